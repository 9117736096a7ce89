/**
 * Autoregression on the last steps and on those around a season ago, by recursive least squares: what the product of a short
 * and a seasonal autoregression (Box and Jenkins 1970, Time series analysis, chapter 9) reaches, with free weights. Values are
 * taken as deviations from their mean, in units of the spread that they had when the first season was over.
 *
 * A young series needs no rule of its own: what lies before its first value repeats the shortest season of what is known, and
 * the weights say "as one season ago" at first, counted as RIDGE observations. A value that is not finite, such as the logarithm
 * of zero, ends the past: the next one is a first value again, with weights that are kept.
 *
 * Of d lags: (d + 1) (d + 4) / 2 + 8 numbers, and one for each step of the past.
 */
import * as rls from './recursive-least-squares.ts'

const RIDGE = 10
const CLIP = 10                      // of the usual size of errors: larger ones teach no more
const EARLY = 3                      // ranges of all that has been, instead, before that is known
const FIRST = 10                     // values before the first spread, at least
const N = 0, SEEN = 1, MEAN = 2, SQUARE = 3, LOW = 4, HIGH = 5, SPREAD = 6, SIZE = 7, WEIGHTS = 8

/**
 * Lags for seasons of so many steps, the shortest first: the last three; a season ago, the step before it and the two after
 * it (counted backwards); the shorter seasons that a longer one holds, at most six of each.
 */
export function lagsOf (seasons: readonly number[]): number[] {
  const lags = new Set([1, 2, 3])
  seasons.forEach((season, k) => {
    for (const off of [-1, 0, 1, 2]) if (season + off > 0) lags.add(season + off)
    for (let times = 2; times <= 6 && times * season < (seasons[k + 1] ?? 0); times++) lags.add(times * season)
  })
  return [...lags].sort((a, b) => a - b)
}

export class SeasonalAutoregression {
  readonly width: number
  readonly length: number            // steps of the past
  readonly path: Float64Array        // the past, newest last, and what follows it: valid until the next call
  private readonly lags: readonly number[]
  private readonly season: number
  private readonly memory: number
  private readonly ring: number      // where the past stands
  private readonly x: Float64Array
  private readonly gain: Float64Array

  /** `ahead`: steps that are ever forecast. `memory`: steps that weights and mean go back. */
  constructor (seasons: readonly number[], ahead: number, memory: number) {
    this.lags = lagsOf(seasons)
    this.season = seasons[0]
    this.length = this.lags.at(-1)!
    this.memory = memory
    this.path = new Float64Array(this.length + ahead)
    this.x = new Float64Array(this.lags.length + 1)
    this.gain = new Float64Array(this.x.length)
    this.ring = WEIGHTS + rls.sizeOf(this.x.length)
    this.width = this.ring + this.length
  }

  private knows (seen: number): boolean { return seen > this.season + FIRST }

  /** What of the value of the next step is to be believed: it may lie outside all that has been, but then no further than CLIP usual errors from what is expected. */
  believable (m: Float64Array, at: number, value: number): number {
    const low = this.low(m, at), high = this.high(m, at)
    if (value >= low && value <= high) return value
    const expected = this.extend(m, at, 1)[this.length], reach = this.knows(m[at + SEEN] + 1) ? CLIP * m[at + SIZE] * m[at + SPREAD] : EARLY * (m[at + HIGH] - m[at + LOW])
    return Math.max(Math.min(low, expected - reach), Math.min(value, Math.max(high, expected + reach)))
  }

  /** Whether values have varied yet. */
  varies (m: Float64Array, at: number): boolean { return m[at + SQUARE] > 0 }

  /** Takes in the value of the next step. */
  learn (m: Float64Array, at: number, value: number): void {
    if (!Number.isFinite(value)) { m[at + N] = 0; return }
    const n = m[at + N], seen = ++m[at + SEEN], mean = seen === 1 ? m[at + MEAN] = value : m[at + MEAN], spread = m[at + SPREAD]
    if (n > 0 && spread > 0) {
      this.recall(m, at)
      const error = (value - mean) / spread - this.expected(m, at, mean, spread), size = m[at + SIZE]
      const limit = this.knows(seen) ? CLIP * size : Infinity
      rls.learn(m, at + WEIGHTS, this.x, error > limit ? limit : error < -limit ? -limit : error, 1 - 1 / this.memory, 1 / RIDGE, this.gain)
      m[at + SIZE] = size === 0 ? Math.abs(error) : size + (Math.abs(error) - size) * Math.max(1 / seen, 1 / this.memory)
    }
    const gain = 1 / Math.min(seen, this.memory), off = value - mean
    m[at + MEAN] += off * gain
    m[at + SQUARE] += (off * (value - m[at + MEAN]) - m[at + SQUARE]) * gain
    if (seen === 1 || value < m[at + LOW]) m[at + LOW] = value
    if (seen === 1 || value > m[at + HIGH]) m[at + HIGH] = value
    if (spread === 0 && seen >= Math.max(this.season, FIRST) && m[at + SQUARE] > 0) {
      m[at + SPREAD] = Math.sqrt(m[at + SQUARE])
      m[at + WEIGHTS + this.lags.indexOf(this.season)] = 1
      rls.begin(m, at + WEIGHTS, this.x.length, 1 / RIDGE)
    }
    this.push(m, at, value)
  }

  /** A step of which nothing is known: the past goes on as expected. */
  pass (m: Float64Array, at: number): void {
    if (m[at + N] > 0) this.push(m, at, this.extend(m, at, 1)[this.length])
  }

  /** Fills path with the past and so many steps ahead, each within low and high; with NaN when there is no past. */
  extend (m: Float64Array, at: number, ahead: number): Float64Array {
    const { path, length, lags } = this, d = lags.length, w = at + WEIGHTS, low = this.low(m, at), high = this.high(m, at), mean = m[at + MEAN], spread = m[at + SPREAD]
    if (m[at + N] === 0) return path.fill(NaN)
    this.recall(m, at)
    for (let t = length; t < length + ahead; t++) {
      let next = path[t - this.season]
      if (spread > 0) {
        next = mean + m[w + d] * spread
        for (let k = 0; k < d; k++) next += m[w + k] * (path[t - lags[k]] - mean)
      }
      path[t] = next > high ? high : next < low ? low : next
    }
    return path
  }

  /** One standard deviation beyond all that has been. */
  low (m: Float64Array, at: number): number { return m[at + LOW] - Math.sqrt(m[at + SQUARE]) }
  high (m: Float64Array, at: number): number { return m[at + HIGH] + Math.sqrt(m[at + SQUARE]) }

  /** What was expected of the step that comes, as a deviation; leaves in x what it was told from. */
  private expected (m: Float64Array, at: number, mean: number, spread: number): number {
    const { x, lags, path, length } = this, d = lags.length
    for (let k = 0; k < d; k++) x[k] = (path[length - lags[k]] - mean) / spread
    x[d] = 1
    return rls.expected(m, at + WEIGHTS, x)
  }

  private push (m: Float64Array, at: number, value: number): void { m[at + this.ring + m[at + N]++ % this.length] = value }

  /** Lays the past out in path. */
  private recall (m: Float64Array, at: number): void {
    const { path, length, season } = this, n = m[at + N], known = Math.min(n, length), from = at + this.ring
    for (let i = length - 1, k = (n - 1) % length; i >= length - known; i--, k = k === 0 ? length - 1 : k - 1) path[i] = m[from + k]
    for (let i = length - known - 1; i >= 0; i--) path[i] = i + season < length ? path[i + season] : path[length - known]
  }
}
