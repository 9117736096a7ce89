/**
 * Autoregression of order 3 by recursive least squares with exponential forgetting (Ljung 1999, System identification, 11.2).
 * It explains a deviation from a level by those of the three values before. Without excitation the covariance would grow for ever: it is
 * kept where it is as soon as its trace, in units of the begin, has grown by WINDUP. 96 bytes per stream.
 */
const FORGET = 0.999, WINDUP = 100, HUGE = 1e100

/** One stream: weights, the last three values, the covariance as an upper triangle, row by row. */
export const autoregression = { w1: 0, w2: 0, w3: 0, x1: 0, x2: 0, x3: 0, p11: 0, p12: 0, p13: 0, p22: 0, p23: 0, p33: 0 }
export const AUTOREGRESSION = Object.keys(autoregression).length

/** The deviation from the level to be expected next. */
export const expected = (m: Float64Array, at: number, level: number): number => m[at] * (m[at + 3] - level) + m[at + 1] * (m[at + 4] - level) + m[at + 2] * (m[at + 5] - level)

/** The last value. */
export const last = (m: Float64Array, at: number): number => m[at + 3]

/** As if the last values had been these: behind a change of level. */
export function begin (m: Float64Array, at: number, value: number): void { m[at + 3] = m[at + 4] = m[at + 5] = value }

/** Values are `by` times as large from now on. */
export function rescale (m: Float64Array, at: number, by: number): void { for (let k = 6; k < AUTOREGRESSION; k++) m[at + k] /= by * by }

/** What `learn` takes in: a value, the level that it deviates from, the size of deviations from it so far, 0 for unknown; an error counts as at most `clip`. */
export class Step {
  value = NaN
  level = NaN
  scale = NaN
  clip = NaN
}

/** Takes in a value. */
export function learn (m: Float64Array, at: number, { value, level, scale, clip }: Step): void {
  const w1 = m[at], w2 = m[at + 1], w3 = m[at + 2], x1 = m[at + 3], x2 = m[at + 4], a = x1 - level, b = x2 - level, c = m[at + 5] - level, p = at + 6
  const power = scale * scale
  if (m[p] === 0 && 1 / power < Infinity) m[p] = m[p + 3] = m[p + 5] = 1 / power
  const p11 = m[p], p12 = m[p + 1], p13 = m[p + 2], p22 = m[p + 3], p23 = m[p + 4], p33 = m[p + 5]
  const ka = p11 * a + p12 * b + p13 * c, kb = p12 * a + p22 * b + p23 * c, kc = p13 * a + p23 * b + p33 * c
  const lever = a * ka + b * kb + c * kc
  if (lever >= 0 && lever < HUGE) {
    const by = 1 / (FORGET + lever), error = value - level - (w1 * a + w2 * b + w3 * c), e = by * (error > clip ? clip : error < -clip ? -clip : error)
    const grow = (p11 + p22 + p33) * power < WINDUP ? 1 / FORGET : 1
    m[at] = w1 + e * ka
    m[at + 1] = w2 + e * kb
    m[at + 2] = w3 + e * kc
    m[p] = (p11 - by * ka * ka) * grow
    m[p + 1] = (p12 - by * ka * kb) * grow
    m[p + 2] = (p13 - by * ka * kc) * grow
    m[p + 3] = (p22 - by * kb * kb) * grow
    m[p + 4] = (p23 - by * kb * kc) * grow
    m[p + 5] = (p33 - by * kc * kc) * grow
  } else {                             // rounding has made it no covariance: it begins anew
    m.fill(0, at, at + 3)
    m.fill(0, p, p + 6)
  }
  m[at + 5] = x2
  m[at + 4] = x1
  m[at + 3] = value
}
