/**
 * Drift and variance of a Wiener process that is read with noise, from its increments; and where it is now. An increment less
 * what the drift gives, r, has the mean square variance x time + 2 noise, and neighbours have the mean product -noise (Roll
 * 1984, A simple implicit measure of the effective bid-ask spread): so the two are told apart, also when readings are not even.
 * Where the process is follows by a Kalman filter of one number. What is older counts half for each `halfLife`.
 *
 * A reading further than FAR deviations from where the last one and the drift lead is held to be wild and is not learned: what is
 * out and comes back never was. Where FEW in a row are out the last of them is learned as it is: the process has jumped, and may
 * again. Of the first FEW, what is wild lies far off a line through their middle (Theil 1950 and Sen 1968; first-readings.ts), and
 * nothing is learned before them. 240 bytes per stream.
 */
import { numbered } from './fields.ts'
import { middle, usual } from './first-readings.ts'
import { normalOf } from './significance.ts'

const FEW = 8
const FAR = 5                        // in normal deviations; of an increment, as Student's t
const LEAST = 1e-3                   // of the mean square of increments is at least the process, not noise
const EXACT = 1e-9                   // of a value is no deviation

export const wiener: Readonly<Record<string, number>> = {
  n: 0, time: NaN, value: NaN, drift: 0, span: 0, spread: 0, increments: 0, elapsed: 0, squares: 0, products: 0, residual: 0, place: 0, unsure: 0, out: 0,
  ...numbered('firstTime', FEW), ...numbered('firstValue', FEW)
}
const N = 0, TIME = 1, VALUE = 2, DRIFT = 3, SPAN = 4, SPREAD = 5, INCREMENTS = 6, ELAPSED = 7, SQUARES = 8, PRODUCTS = 9, RESIDUAL = 10, PLACE = 11, UNSURE = 12, OUT = 13, TIMES = 14, VALUES = TIMES + FEW

/** Takes in a value; false when it is not learned: its time is not after that of the last one, or it is held to be wild. */
export function learn (m: Float64Array, at: number, time: number, value: number, halfLife: number): boolean {
  const n = m[at + N]
  if (n > 0 && !(time > m[at + TIME])) return false
  if (n < FEW) {
    m[at + N]++
    m[at + TIME] = m[at + TIMES + n] = time
    m[at + VALUES + n] = value
    if (n === FEW - 1) begin(m, at, halfLife)
    return m[at + OUT] === 0
  }
  if (isWild(m, at, time - m[at + TIME], value) && ++m[at + OUT] < FEW) return false
  m[at + N]++
  next(m, at, time, value, halfLife)
  return true
}

/** Learns the first values, without those that are wild. */
function begin (m: Float64Array, at: number, halfLife: number): void {
  const times = m.subarray(at + TIMES, at + VALUES), values = m.subarray(at + VALUES, at + VALUES + FEW)
  const slopes = Array.from(times, (time, i) => Array.from(times.subarray(0, i), (before, j) => (values[i] - values[j]) / (time - before))).flat()
  const slope = middle(Float64Array.from(slopes).sort()), off = values.map((x, i) => x - slope * (times[i] - times[0])), { median, reach } = usual(off)
  m[at + TIME] = NaN
  for (let i = 0; i < FEW; i++) {
    if (Math.abs(off[i] - median) <= reach + EXACT * Math.abs(values[i])) next(m, at, times[i], values[i], halfLife)
    else m[at + OUT]++
  }
}

function isWild (m: Float64Array, at: number, elapsed: number, value: number): boolean {
  const last = m[at + VALUE], off = Math.abs(value - last - m[at + DRIFT] * elapsed)
  if (off <= EXACT * Math.max(Math.abs(value), Math.abs(last))) return false
  const expected = variance(m, at) * elapsed + 2 * noise(m, at) + driftVariance(m, at) * elapsed * elapsed
  return normalOf(off / Math.sqrt(expected), Math.max(m[at + INCREMENTS], 1)) > FAR
}

function next (m: Float64Array, at: number, time: number, value: number, halfLife: number): void {
  const elapsed = time - m[at + TIME]
  m[at + OUT] = 0
  if (elapsed !== elapsed) m[at + PLACE] = value
  else {
    const keep = 2 ** (-elapsed / halfLife), before = m[at + SPAN] * keep, span = m[at + SPAN] = before + elapsed
    const off = value - m[at + VALUE] - m[at + DRIFT] * elapsed
    m[at + DRIFT] += off / span
    m[at + SPREAD] = m[at + SPREAD] * keep * keep + elapsed
    const known = before > 0 ? 1 : 0, residual = known * off * Math.sqrt(before / span)      // the first increment is its drift
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
}

/** Readings learned so far. */
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
