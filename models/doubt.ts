/**
 * Readings in doubt in a row: they are a new level when there are PATIENCE of them. Their mean and scatter begin again as long as
 * they may still be on the way to it. Behind a change to a level that is known the series is `new` there for WAY readings.
 *
 * Of readings that are not in doubt it is known how many of the last LATELY or so repeated the one before them. Where more than half did,
 * as in a battery level or a counter, PATIENCE of them tell little of how large changes are. 24 bytes per stream.
 */
export const PATIENCE = 10
export const WAY = PATIENCE / 2      // so many may be on the way from one level to the other
const LATELY = 50, HALF = 0.5
const APART = 10                     // usual changes, and a tenth of the way, that readings of one level do not differ by

/** One stream: how many are in doubt, and a half where the series stood still before them, or below 0 for how many it is new; their mean, or while none is in doubt the share of repeats; their mean distance from it. */
export const doubt = { count: 0, mean_repeats: 0, scatter: 0 }
export const DOUBT = Object.keys(doubt).length

export const isInDoubt = (m: Float64Array, at: number): boolean => m[at] > 0
export const isNew = (m: Float64Array, at: number): boolean => m[at] < 0
export const mayBeOnTheWay = (m: Float64Array, at: number): boolean => m[at] < WAY
export const isOver = (m: Float64Array, at: number): boolean => m[at] >= PATIENCE
export const mean = (m: Float64Array, at: number): number => m[at + 1]
export const scatter = (m: Float64Array, at: number): number => m[at + 2]

/** Whether the series stood still before what is in doubt, or now when nothing is. */
export const stood = (m: Float64Array, at: number): boolean => m[at] > 0 ? m[at] % 1 > 0 : m[at + 1] > HALF

/** Whether most of the first readings were alike. */
export function begin (m: Float64Array, at: number, alike: boolean): void { m[at + 1] = alike ? 1 : 0 }

/** The series has gone to a level that is known. */
export function arrive (m: Float64Array, at: number): void {
  end(m, at)
  m[at] = -WAY
}

/** A reading is not in doubt; whether it `repeats` the one before. */
export function pass (m: Float64Array, at: number, repeats: boolean): void {
  if (m[at] > 0) end(m, at)
  else if (m[at] < 0) m[at]++
  m[at + 1] += ((repeats ? 1 : 0) - m[at + 1]) * (1 / LATELY)
}

/** Nothing is in doubt any more. */
export function end (m: Float64Array, at: number): void {
  if (m[at] > 0) m[at + 1] = stood(m, at) ? 1 : 0
  m[at] = 0
}

/** Takes in a reading in doubt, when `expected` was expected and changes are usually of that `size`. */
export function take (m: Float64Array, at: number, value: number, expected: number, size: number): void {
  const still = stood(m, at) ? HALF : 0, k = Math.max(Math.floor(m[at]), 0) + 1, off = value - m[at + 1]
  const isFirst = k === 1 || k <= WAY && Math.abs(off) > APART * size && Math.abs(off) > Math.abs(m[at + 1] - expected) / APART
  m[at] = k + still
  m[at + 1] = isFirst ? value : m[at + 1] + off / k
  m[at + 2] = isFirst ? 0 : m[at + 2] + (Math.abs(off) - m[at + 2]) / (k - 1)
}
