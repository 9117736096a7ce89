/**
 * Which weekdays are of the second of two kinds of days. For each weekday a share from 0 to 1 is kept, in every second place. Once
 * kinds are known it is that of its days that were of the second kind; before, that of its days that kinds would have foretold
 * better (prequential choice of a model, Dawid 1984). A weekday of the second kind is kept as 1 more. Cost: 14 numbers read.
 */
export const WEEK = 7

export const isSecond = (kept: number): boolean => kept > 1
export const shareOf = (kept: number): number => kept > 1 ? kept - 1 : kept
export const secondWith = (share: number): number => Math.min(Math.max(share, 1e-6) + 1, 2)

export interface Counts {
  readonly seconds: number           // weekdays of the second kind; 0 as long as there is one kind
  readonly days: number              // the sum of shares: days of the second kind in a week
  readonly explained: number         // which part of the variance of the kinds of days lies between weekdays (correlation ratio), 0 to 1
}

/** Of what is kept from `at` on. */
export function countsOf (f: Float32Array, at: number): Counts {
  let seconds = 0, days = 0, squares = 0
  for (let d = 0; d < WEEK; d++) {
    const kept = f[at + 2 * d], share = shareOf(kept)
    days += share
    squares += share * share
    if (isSecond(kept)) seconds++
  }
  const mean = days / WEEK, variance = mean * (1 - mean)
  return { seconds, days, explained: variance > 0 ? (squares / WEEK - mean * mean) / variance : 0 }
}

/** The weekdays on one side of the widest gap between levels, fewer than half of them; none when all levels are equal. */
export interface Group {
  readonly count: number
  readonly between: number           // a level in the gap
  readonly below: boolean            // whether theirs are below it
  readonly odds: number              // weekdays in the group to others: by how much of what is between both the mean of all lies from the others
}

/** Of the levels from `at` on, in every second place. */
export function groupOf (f: Float32Array, at: number): Group {
  const levels = Array.from({ length: WEEK }, (_, d) => f[at + 2 * d]).sort((a, b) => a - b)
  let low = 0
  for (let d = 1, gap = 0; d < WEEK; d++) if (levels[d] - levels[d - 1] > gap) { gap = levels[d] - levels[d - 1]; low = d }
  const count = Math.min(low, WEEK - low)
  return { count, between: low > 0 ? levels[low - 1] + (levels[low] - levels[low - 1]) / 2 : 0, below: count === low, odds: count / (WEEK - count) }
}

export const isIn = ({ count, between, below }: Group, level: number): boolean => count > 0 && level < between === below
