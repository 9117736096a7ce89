/**
 * Is a jump a change of unit? A change of unit takes the level to where a known conversion leads (units.ts) and makes changes
 * larger by its factor; any other jump takes the level anywhere and leaves changes as they are, or not. Bayes factor of the two
 * (Jeffreys 1935), from the mean of the first LENGTH readings behind the jump and the mean size of changes among them:
 *
 *   unit      mean ~ normal(factor * level + offset, LOOSE * factor * changes)   log scatter ~ normal(log factor, SPREAD)   each conversion as likely
 *   another   mean ~ uniform within two jumps on either side                     log scatter ~ normal(0, SPREAD), or uniform over a factor of 100 on either side
 *
 * 56 bytes per stream.
 */
import { conversions } from './units.ts'

const LENGTH = 16
const LOOSE = 2                      // sizes of changes that two means of some ten readings differ by: 0.5 for white noise, 2.5 for a random walk
const SPREAD = 0.3                   // of the logarithm of a mean of 15 sizes of changes, which are correlated: 0.2 to 0.3

/** `left` readings to come; sums of values and sizes of changes; level and sizes of changes before; the evidence of the jump. */
export const step = { left: 0, sum: 0, changed: 0, level: 0, changes: 0, jump: 0, evidence: 0 }
export const STEP = Object.keys(step).length

export const underWay = (m: Float64Array, at: number): boolean => m[at] > 0

/** With the first reading behind the jump; `level` and `changes` are of before. */
export function begin (m: Float64Array, at: number, value: number, level: number, changes: number, evidence: number): void {
  m[at] = LENGTH - 1
  m[at + 1] = value
  m[at + 2] = 0
  m[at + 3] = level
  m[at + 4] = changes
  m[at + 5] = value - level
  m[at + 6] = evidence
}

export interface Jump {
  readonly evidence: number          // -log10 of the probability that it is a jump, and fits by chance; 0 when it rather is none of unit
  readonly factor: number
  readonly level: number             // mean behind the jump
}

/** The next reading. With the last one: what the jump was. */
export function go (m: Float64Array, at: number, value: number, change: number): Jump | undefined {
  m[at + 1] += value
  m[at + 2] += change
  if (--m[at] > 0) return undefined
  const level = m[at + 1] / LENGTH, before = m[at + 3], least = 1e-9 * Math.abs(before) || Number.MIN_VALUE
  const changes = Math.max(m[at + 4], least), scatter = Math.log(Math.max(m[at + 2] / (LENGTH - 1), least) / changes)
  const other = -Math.log(4 * Math.abs(m[at + 5])) + Math.max(logNormal(scatter, 0, SPREAD), -Math.log(4 * Math.log(10)))
  let best = -Infinity, factor = 1
  for (const c of conversions) {
    const fit = logNormal(level, c.factor * before + c.offset, LOOSE * c.factor * changes) + logNormal(scatter, Math.log(c.factor), SPREAD)
    if (fit > best) { best = fit; factor = c.factor }
  }
  const bayes = (best - Math.log(conversions.length) - other) / Math.LN10
  return { evidence: bayes > 0 ? m[at + 6] + bayes : 0, factor, level }
}

const HALF_LOG_TURN = Math.log(2 * Math.PI) / 2
const logNormal = (x: number, mean: number, deviation: number): number => -(((x - mean) / deviation) ** 2) / 2 - Math.log(deviation) - HALF_LOG_TURN
