/**
 * Readings that are rounded, as if they were not: each gets a uniform chance offset of up to half a step to both sides (dither;
 * randomised residuals, Dunn and Smyth 1996). Otherwise values that are equal become residuals that differ by how what is learned has
 * moved in between, all of them to the same side, and a test of ranks takes that for a change. The step is the smallest difference of
 * neighbouring readings that is no error of floating point. Nothing is added before CHANGES of them were other values, as a series that
 * stands still is not rounded, nor when none was equal: values that do not repeat stay what they are, bit for bit. 40 bytes.
 */
import { key, uniform } from './random.ts'

/** One series: the last value, readings so far, how many were another value than the one before, and how many the same; the step. */
export const rounding = { raw: NaN, seen: 0, changes: 0, repeats: 0, step: Infinity }
const RAW = 0, SEEN = 1, VARIED = 2, REPEATS = 3, STEP = 4

const CHANGES = 16, SEED = key(1)
const EXACT = 1e-9                   // of a value

/** Takes in a finite value; what it may have been before it was rounded. */
export function dithered (m: Float64Array, at: number, x: number): number {
  const difference = Math.abs(x - m[at + RAW]), n = m[at + SEEN]++
  m[at + RAW] = x
  if (difference > EXACT * Math.abs(x)) {
    m[at + VARIED]++
    if (difference < m[at + STEP]) m[at + STEP] = difference
  } else if (difference >= 0) m[at + REPEATS]++
  return m[at + REPEATS] === 0 || m[at + VARIED] < CHANGES ? x : x + m[at + STEP] * (uniform(SEED, n) - 0.5)
}
