/**
 * Drift and variance of a Wiener process that is read with noise, from its increments; and where it is now. An increment less
 * what the drift gives, r, has the mean square variance x time + 2 noise, and neighbours have the mean product -noise (Roll
 * 1984, A simple implicit measure of the effective bid-ask spread): so the two are told apart, also when readings are not even.
 * Where the process is follows by a Kalman filter of one number. What is older counts half for each `halfLife`. 104 bytes per stream.
 */
export const wiener = { n: 0, time: NaN, value: NaN, drift: 0, span: 0, spread: 0, increments: 0, elapsed: 0, squares: 0, products: 0, residual: 0, place: 0, unsure: 0 }
const N = 0, TIME = 1, VALUE = 2, DRIFT = 3, SPAN = 4, SPREAD = 5, INCREMENTS = 6, ELAPSED = 7, SQUARES = 8, PRODUCTS = 9, RESIDUAL = 10, PLACE = 11, UNSURE = 12

const LEAST = 1e-3                   // of the mean square of increments is at least the process, not noise

/** Takes in a value; false when its time is not after that of the last one, which changes nothing. */
export function learn (m: Float64Array, at: number, time: number, value: number, halfLife: number): boolean {
  const elapsed = time - m[at + TIME]
  if (m[at + N] > 0 && !(elapsed > 0)) return false
  const n = ++m[at + N]
  if (n === 1) m[at + PLACE] = value
  else {
    const keep = 2 ** (-elapsed / halfLife), before = m[at + SPAN] * keep, span = m[at + SPAN] = before + elapsed
    const off = value - m[at + VALUE] - m[at + DRIFT] * elapsed
    m[at + DRIFT] += off / span
    m[at + SPREAD] = m[at + SPREAD] * keep * keep + elapsed
    const known = n > 2 ? 1 : 0, residual = known * off * Math.sqrt(before / span)      // the first increment is its drift
    m[at + INCREMENTS] = m[at + INCREMENTS] * keep + known
    m[at + ELAPSED] = m[at + ELAPSED] * keep + known * elapsed
    m[at + SQUARES] = m[at + SQUARES] * keep + residual * residual
    m[at + PRODUCTS] = m[at + PRODUCTS] * keep + residual * m[at + RESIDUAL]
    m[at + RESIDUAL] = residual
    const ahead = m[at + UNSURE] + variance(m, at) * elapsed, noisy = noise(m, at), gain = ahead + noisy > 0 ? ahead / (ahead + noisy) : 1
    const reached = m[at + PLACE] + m[at + DRIFT] * elapsed
    m[at + PLACE] = reached + gain * (value - reached)
    m[at + UNSURE] = gain * noisy
  }
  m[at + TIME] = time
  m[at + VALUE] = value
  return true
}

/** Readings so far. */
export const count = (m: Float64Array, at: number): number => m[at + N]
/** Change per unit of time. */
export const drift = (m: Float64Array, at: number): number => m[at + DRIFT]
/** Of the process, per unit of time; 0 before the third reading. */
export const variance = (m: Float64Array, at: number): number => m[at + ELAPSED] > 0 ? Math.max(m[at + SQUARES] * LEAST, m[at + SQUARES] + 2 * m[at + PRODUCTS]) / m[at + ELAPSED] : 0
/** Variance of the noise of a reading. */
export const noise = (m: Float64Array, at: number): number => m[at + PRODUCTS] < 0 ? -m[at + PRODUCTS] / m[at + INCREMENTS] : 0
/** How well the drift is known. */
export const driftVariance = (m: Float64Array, at: number): number => (variance(m, at) * m[at + SPREAD] + 2 * noise(m, at)) / m[at + SPAN] ** 2
/** Where the process is now, and how well that is known. */
export const place = (m: Float64Array, at: number): number => m[at + PLACE]
export const placeVariance = (m: Float64Array, at: number): number => m[at + UNSURE]
