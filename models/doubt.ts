/**
 * Readings in doubt in a row: they are a new level when there are PATIENCE of them. Their mean and scatter begin again as long as
 * they may still be on the way to it. Behind a change to a level that is known the series is `new` there for WAY readings. 24 bytes per stream.
 */
export const PATIENCE = 10
export const WAY = PATIENCE / 2      // so many may be on the way from one level to the other
const APART = 10                     // usual changes, and a tenth of the way, that readings of one level do not differ by

/** One stream: how many are in doubt, or below 0 for how many it is new; their mean and mean distance from it. */
export const doubt = { count: 0, mean: 0, scatter: 0 }
export const DOUBT = Object.keys(doubt).length

export const isInDoubt = (m: Float64Array, at: number): boolean => m[at] > 0
export const isNew = (m: Float64Array, at: number): boolean => m[at] < 0
export const mayBeOnTheWay = (m: Float64Array, at: number): boolean => m[at] < WAY
export const isOver = (m: Float64Array, at: number): boolean => m[at] >= PATIENCE
export const mean = (m: Float64Array, at: number): number => m[at + 1]
export const scatter = (m: Float64Array, at: number): number => m[at + 2]

/** The series has gone to a level that is known. */
export function arrive (m: Float64Array, at: number): void { m[at] = -WAY }

/** A reading is not in doubt. */
export function pass (m: Float64Array, at: number): void { m[at] = m[at] < 0 ? m[at] + 1 : 0 }

export function end (m: Float64Array, at: number): void { m[at] = 0 }

/** Takes in a reading in doubt, when `expected` was expected and changes are usually of that `size`. */
export function take (m: Float64Array, at: number, value: number, expected: number, size: number): void {
  const k = m[at] = Math.max(m[at], 0) + 1, off = value - m[at + 1]
  const isFirst = k === 1 || k <= WAY && Math.abs(off) > APART * size && Math.abs(off) > Math.abs(m[at + 1] - expected) / APART
  m[at + 1] = isFirst ? value : m[at + 1] + off / k
  m[at + 2] = isFirst ? 0 : m[at + 2] + (Math.abs(off) - m[at + 2]) / (k - 1)
}
