/**
 * How far the numbers of a row may pull at what is known of them, each on its own, so that a wild one does no harm whenever it
 * comes and a lasting change is still followed. The first KEPT rows are kept; of them what is wild is told by their median
 * (first-readings.ts). Later a number counts as at most CLIP standard deviations off. What never varied has none: there one other
 * number is no spread, two rows in a row are, by the smaller of what they are off.
 */
import { numbered } from './fields.ts'
import { tamed } from './first-readings.ts'

export const KEPT = 16
const CLIP = 5

/** Memory of rows of d numbers: the first, later the last one. */
export const firstRows = (d: number): Readonly<Record<string, number>> => numbered('first', KEPT * d)

/** Takes in the first rows, of which x is number `n`, from 1. True with the last: then all stand in the memory, without what is wild. */
export function keepFirst (m: Float64Array, at: number, n: number, x: Float64Array): boolean {
  const d = x.length
  m.set(x, at + (n - 1) * d)
  if (n < KEPT) return false
  for (let j = 0; j < d; j++) {
    const values = firstOf(m, at, j, d)
    for (let r = 0; r < KEPT; r++) m[at + r * d + j] = values[r]
  }
  return true
}

/** Number j of each of the first rows, without what is wild. */
export const firstOf = (m: Float64Array, at: number, j: number, d: number): Float64Array => tamed(Float64Array.from({ length: KEPT }, (_, r) => m[at + r * d + j]))

/** What number j counts as, when it is so far off its mean. `off` may be drawn to the mean already. */
export function pull (m: Float64Array, at: number, j: number, off: number, mean: number, variance: number): number {
  const before = m[at + j] - mean, bound = variance > 0 ? CLIP * Math.sqrt(variance) : Math.abs(before)
  return off > bound ? bound : off < -bound ? -bound : off
}

/** A later row has been learned. */
export function keepLast (m: Float64Array, at: number, x: Float64Array): void { m.set(x, at) }
