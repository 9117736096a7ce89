/**
 * A sliding window that is never subtracted from, as two stacks (see Tangwongsan, Hirzel, Schneider and Wu, General
 * incremental sliding-window aggregation, VLDB 2015). Each entry of the front holds what it and all newer ones of the front add up to; entries of the back
 * hold themselves, and their sum is kept. Dropping the oldest is a step in the front; when that is empty the back becomes
 * the front, once for each entry: O(1) amortised, and exact for what has no inverse, as minimum and maximum.
 */
import type { Accumulator } from './features.ts'

const SUM = 2

/** Accumulators in the order of time, as a queue. */
export interface Entries {
  page (entry: number): Float64Array
  offset (entry: number): number
  oldest (): number
  newest (): number
  older (entry: number): number
  shift (): void
}

/** In `state` from `at` on stand how many entries front and back have, then the sum of the back. */
export class TwoStacks {
  private readonly accumulator: Accumulator
  private readonly scratch: Float64Array
  constructor (accumulator: Accumulator) {
    this.accumulator = accumulator
    this.scratch = new Float64Array(accumulator.fields.length)
  }

  /** Drops the oldest entry. */
  pop (entries: Entries, state: Float64Array, at: number): void {
    if (state[at] === 0) this.flip(entries, state, at)
    entries.shift()
    state[at]--
  }

  private flip (entries: Entries, state: Float64Array, at: number): void {
    const { accumulator, scratch } = this, width = scratch.length
    let newer = -1
    for (let e = entries.newest(); e >= 0; e = entries.older(e)) {
      if (newer >= 0) accumulator.merge(entries.page(e), entries.offset(e), entries.page(newer), entries.offset(newer))
      newer = e
    }
    state[at] = state[at + 1]
    state.fill(0, at + 1, at + SUM + width)
  }

  /** Takes in what has become the newest entry. */
  push (entries: Entries, state: Float64Array, at: number): void {
    const e = entries.newest()
    state[at + 1]++
    this.accumulator.merge(state, at + SUM, entries.page(e), entries.offset(e))
  }

  /** The sum of all entries: valid until the next call. */
  sum (entries: Entries, state: Float64Array, at: number): Float64Array {
    const { accumulator, scratch } = this
    scratch.fill(0)
    if (state[at] > 0) accumulator.merge(scratch, 0, entries.page(entries.oldest()), entries.offset(entries.oldest()))
    accumulator.merge(scratch, 0, state, at + SUM)
    return scratch
  }
}
