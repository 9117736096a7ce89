/**
 * LODA, a lightweight online detector of anomalies (Pevny 2016): random projections of a vector onto lines, each of about
 * sqrt(d) of its numbers, with a histogram on every line. The score is the mean over lines of -log of the share of its bin. It says
 * why by itself: a number is to blame when lines that see it find the vector rarer than lines that do not.
 *
 * Here numbers are taken in standard deviations from a mean that fades with `memory`, and counts fade alike, so all is
 * online. No number pulls at these with more than first-rows.ts says, from the first on. Lines come from a seed and are no part of
 * the memory. 8 (3 + (KEPT + 2) d + lines * bins) bytes; O(lines * sqrt(d)) per vector.
 */
import { numbered } from './fields.ts'
import { firstRows, keepFirst, keepLast, KEPT, pull } from './first-rows.ts'
import { key, normal, Random } from './random.ts'

const BINS = 20, REACH = 5           // bins of half a standard deviation; the outer ones are open
const MOST = 100                     // of a t statistic
const LARGEST = 2 ** 40              // weight of the newest vector, before all are made smaller

export class Loda {
  readonly d: number
  readonly lines: number
  readonly memory: number
  readonly shape: Readonly<Record<string, number>>     // memory of one stream
  readonly rarity: Float64Array      // of each line: -log of the share, of what was scored last
  private readonly uses: Int32Array  // numbers that a line sees, `each` of them
  private readonly weights: Float64Array
  private readonly each: number
  private readonly bins: Int32Array  // of what was scored last
  private readonly z: Float64Array
  private readonly variance: number  // offsets
  private readonly counts: number
  private readonly first: number

  constructor (d: number, { lines, memory, seed }: { readonly lines: number, readonly memory: number, readonly seed: number }) {
    const each = Math.round(Math.sqrt(d))
    this.d = d
    this.lines = lines
    this.memory = memory
    this.each = each
    this.shape = { vectors: 0, weight: 0, total: 0, ...numbered('mean', d), ...numbered('variance', d), ...numbered('count', lines * BINS), ...firstRows(d) }
    this.variance = 3 + d
    this.counts = 3 + 2 * d
    this.first = this.counts + lines * BINS
    this.rarity = new Float64Array(lines)
    this.bins = new Int32Array(lines)
    this.z = new Float64Array(d)
    this.uses = new Int32Array(lines * each)
    this.weights = new Float64Array(lines * each)
    const order = Int32Array.from({ length: d }, (_, j) => j)
    for (let line = 0; line < lines; line++) {
      const random = new Random(key(seed, line))
      for (let i = 0; i < each; i++) {
        const j = i + random.below(d - i), one = order[j]
        order[j] = order[i]
        order[i] = one
        this.uses[line * each + i] = one
      }
      const w = Array.from({ length: each }, (_, i) => normal(key(seed, line, 1), i)), length = Math.hypot(...w)
      for (let i = 0; i < each; i++) this.weights[line * each + i] = w[i] / length
    }
  }

  /** The score of x: how rare its bins are, on average over lines; at least 0. */
  score (m: Float64Array, at: number, x: Float64Array): number {
    const { d, lines, each, uses, weights, z, bins, rarity, variance, counts } = this, share = m[at + 1], all = m[at + 2] + BINS * share
    for (let j = 0; j < d; j++) {
      const v = m[at + variance + j]
      z[j] = v > 0 ? (x[j] - m[at + 3 + j]) / Math.sqrt(v) : 0
    }
    let sum = 0
    for (let line = 0, k = 0; line < lines; line++) {
      let y = 0
      for (let i = 0; i < each; i++, k++) y += weights[k] * z[uses[k]]
      const bin = y < -REACH ? 0 : y >= REACH ? BINS - 1 : Math.floor((y + REACH) * (BINS / (2 * REACH)))
      bins[line] = bin
      sum += rarity[line] = -Math.log((m[at + counts + line * BINS + bin] + share) / all)
    }
    return sum / lines
  }

  /**
   * How much to blame each number is for what was scored last: the t statistic of the rarity on lines that see it against that on
   * lines that do not, at most MOST: of two numbers all lines that see one say the same. Above about 3 it is no chance. 0 where there are not
   * two lines of each.
   */
  blame (into: Float64Array): void {
    const { d, lines, each, uses, rarity } = this
    for (let j = 0; j < d; j++) {
      const n = [0, 0], mean = [0, 0], squares = [0, 0]
      for (let line = 0; line < lines; line++) {
        let sees = 0
        for (let i = 0; i < each; i++) if (uses[line * each + i] === j) sees = 1
        const off = rarity[line] - mean[sees]
        mean[sees] += off / ++n[sees]
        squares[sees] += off * (rarity[line] - mean[sees])
      }
      const error = Math.sqrt(squares[0] / (n[0] - 1) / n[0] + squares[1] / (n[1] - 1) / n[1])
      const apart = mean[1] - mean[0]
      into[j] = Math.min(...n) > 1 && apart !== 0 ? apart / Math.max(error, Math.abs(apart) / MOST) : 0
    }
  }

  /** Takes in x, which was scored last. */
  learn (m: Float64Array, at: number, x: Float64Array): void {
    const { d, lines, bins, memory, z, variance, counts } = this, n = ++m[at], by = n < memory ? 1 / n : 1 / memory
    if (n === 1) m[at + 1] = 1
    const add = m[at + 1]
    if (n > SCALED) {
      for (let line = 0; line < lines; line++) m[at + counts + line * BINS + bins[line]] += add
      m[at + 2] += add
      m[at + 1] = add / (1 - 1 / memory)
      if (m[at + 1] > LARGEST) {
        m[at + 1] /= LARGEST
        m[at + 2] /= LARGEST
        for (let k = at + counts, end = k + lines * BINS; k < end; k++) m[k] /= LARGEST
      }
    }
    const first = at + this.first
    if (n > KEPT) {
      for (let j = 0; j < d; j++) z[j] = pull(m, first, j, x[j] - m[at + 3 + j], m[at + 3 + j], m[at + variance + j])
      this.take(m, at, by)
      keepLast(m, first, x)
    } else if (keepFirst(m, first, n, x)) {
      for (let r = 0; r < KEPT; r++) {
        for (let j = 0; j < d; j++) z[j] = m[first + r * d + j] - m[at + 3 + j]
        this.take(m, at, 1 / (r + 1))
      }
    }
  }

  /** Takes in a vector whose deviations, as they count, stand in z. */
  private take (m: Float64Array, at: number, by: number): void {
    const { d, z, variance } = this
    for (let j = 0; j < d; j++) {
      m[at + 3 + j] += by * z[j]
      m[at + variance + j] = (1 - by) * (m[at + variance + j] + by * z[j] * z[j])
    }
  }
}

/** Vectors from which means and spreads are learned before the first is counted. */
export const SCALED = 32
