/**
 * Autoregression of order 3 by recursive least squares with exponential forgetting (Ljung 1999, System identification, 11.2).
 * It explains a deviation from a level by the three before it. Without excitation the covariance would grow for ever: it is
 * kept where it is as soon as its trace, in units of the begin, has grown by WINDUP. 96 bytes per stream.
 */
const FORGET = 0.999, WINDUP = 100

/** One stream: weights, the last three deviations, the covariance as an upper triangle, row by row. */
export const autoregression = { w1: 0, w2: 0, w3: 0, x1: 0, x2: 0, x3: 0, p11: 0, p12: 0, p13: 0, p22: 0, p23: 0, p33: 0 }
export const AUTOREGRESSION = Object.keys(autoregression).length

/** The deviation to be expected next. */
export const expected = (m: Float64Array, at: number): number => m[at] * m[at + 3] + m[at + 1] * m[at + 4] + m[at + 2] * m[at + 5]

/** Takes in a deviation. `scale` is the size of deviations so far, 0 for unknown; an error counts as at most `clip`. */
export function learn (m: Float64Array, at: number, deviation: number, scale: number, clip: number): void {
  const a = m[at + 3], b = m[at + 4], c = m[at + 5], p = at + 6
  const power = scale * scale
  if (m[p] === 0 && power > 0) m[p] = m[p + 3] = m[p + 5] = 1 / power
  const ka = m[p] * a + m[p + 1] * b + m[p + 2] * c, kb = m[p + 1] * a + m[p + 3] * b + m[p + 4] * c, kc = m[p + 2] * a + m[p + 4] * b + m[p + 5] * c
  const by = 1 / (FORGET + a * ka + b * kb + c * kc)
  const error = deviation - expected(m, at), e = by * (error > clip ? clip : error < -clip ? -clip : error)
  m[at] += e * ka
  m[at + 1] += e * kb
  m[at + 2] += e * kc
  const grow = (m[p] + m[p + 3] + m[p + 5]) * power < WINDUP ? 1 / FORGET : 1
  m[p] = (m[p] - by * ka * ka) * grow
  m[p + 1] = (m[p + 1] - by * ka * kb) * grow
  m[p + 2] = (m[p + 2] - by * ka * kc) * grow
  m[p + 3] = (m[p + 3] - by * kb * kb) * grow
  m[p + 4] = (m[p + 4] - by * kb * kc) * grow
  m[p + 5] = (m[p + 5] - by * kc * kc) * grow
  m[at + 5] = b
  m[at + 4] = a
  m[at + 3] = deviation
}
