/**
 * What cumulative sums (cusum.ts) have to exceed, and what a number may count as, so that they have the average run length that
 * is wanted: two-sided, of independent standard normal numbers, from a sum of 0 to a false change. Exact but for cells: sums are
 * a Markov chain (Brook and Evans 1972, An approach to the probability distribution of cusum run length) of cells so wide that
 * what a number counts as at most is CELLS of them. One number alone never is a change, so with a large allowance, where the
 * threshold is low, it counts as still less; where the run length is too short even for that, it may be one.
 */
import { logNormal } from './significance.ts'

const CLIP = 3                       // what a number counts as at most, and twice that where one may be a change
const CELLS = 32                     // at which run lengths are off by less than 0.3 %

export interface Limits { readonly threshold: number, readonly clip: number }

/** `allowance`: above 0, below 3; `runLength`: above what every number beyond the allowance would give. O(CELLS^2) for each cell up to the threshold, at most some ms. */
export function limitsOf (allowance: number, runLength: number): Limits {
  const wanted = 2 * runLength, alone = (clip: number) => lengthsOf(allowance, clip, CELLS, Infinity)[CELLS]      // one side gives a change in twice as many
  if (alone(CLIP) <= wanted) return { threshold: thresholdOf(allowance, CLIP, wanted), clip: CLIP }
  if (alone(allowance) > wanted) return { threshold: thresholdOf(allowance, 2 * CLIP, wanted), clip: 2 * CLIP }
  let low = allowance, high = CLIP
  for (let i = 0; i < 24; i++) {
    const clip = (low + high) / 2
    if (alone(clip) < wanted) low = clip
    else high = clip
  }
  return { threshold: (low - allowance) * (1 + 1 / (2 * CELLS)), clip: low }
}

function thresholdOf (allowance: number, clip: number, wanted: number): number {
  const lengths = lengthsOf(allowance, clip, Infinity, wanted), n = lengths.length - 1, before = n === 0 ? 1 : lengths[n - 1]
  const part = Math.log(wanted / before) / Math.log(lengths[n] / before)
  return (clip - allowance) / CELLS * (n - 1 / 2 + part)
}

/**
 * Average run lengths of one side whose threshold is the upper end of cell 0, 1, 2 ..., up to cell `most` or the first that is
 * `enough`. All come from one elimination: the chain of a lower threshold is a leading part of that of a higher one.
 */
function lengthsOf (allowance: number, clip: number, most: number, enough: number): number[] {
  const width = (clip - allowance) / CELLS, down = Math.round((clip + allowance) / width)
  /** P(a sum moves by less than so many cells). */
  const below = (cells: number) => cells > CELLS ? 1 : cells < -down ? 0 : Math.exp(logNormal(cells * width + allowance))
  const moves = (cells: number) => below(cells + 1 / 2) - below(cells - 1 / 2)
  const upper: Float64Array[] = [], left: number[] = [], right: number[] = [], lengths: number[] = []
  for (let i = 0; i <= most && !(lengths[i - 1] >= enough); i++) {
    const first = Math.max(0, i - down), row = new Float64Array(i + CELLS + 1 - first)
    for (let c = first; c <= i + CELLS; c++) row[c - first] = (c === i ? 1 : 0) - (c === 0 ? below(1 / 2 - i) : moves(c - i))
    let y = 1, x = i === 0 ? 1 : 0
    for (let c = first; c < i; c++) {
      const by = row[c - first] / upper[c][0]
      for (let k = 1; k <= CELLS; k++) row[c - first + k] -= by * upper[c][k]
      y -= by * right[c]
      if (c >= i - CELLS) x -= left[c] * upper[c][i - c]
    }
    const own = upper[i] = row.subarray(i - first)
    right[i] = y
    left[i] = x / own[0]
    lengths[i] = (lengths[i - 1] ?? 0) + left[i] * y
  }
  return lengths
}
