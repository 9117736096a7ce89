/**
 * Does a metric agree with the others of its device? Analytical redundancy: each metric is predicted linearly from the latest
 * values of the others, by the precision matrix of all of them (residual of a metric = its row of the precision matrix times the
 * deviations, over its diagonal element; Whittaker 1990, Graphical models in applied multivariate statistics, 5.8). What moves
 * all of them, as a season or a change of load, moves no residual. Residuals are averaged over the last ten. How unlikely so large
 * a mean is says a tail (tail.ts) of its largest in blocks of BLOCK readings: it comes and goes slowly, and readings that go
 * together are one observation (block maxima; Leadbetter 1983, Extremes and local dependence in stationary sequences).
 *
 * An excursion of several blocks teaches its peak, when it is over (declustering, Davison and Smith 1990): so a slow drift does not
 * make itself usual. Means and covariances go back a week of event time, and learn when each metric that is there has a new value,
 * but not during an excursion, unless that has lasted for a day: then it is usual. No metric pulls at them with more than
 * first-rows.ts says, from its first value on.
 *
 * A metric that is not there, comes rarely, never varies or has not been there for as long as is to be learned has no part in it:
 * the others are predicted without it. One that was away for a day is learned anew. Up to WIDTH metrics of a device. 2.4 KB per
 * device, 88 bytes per series.
 */
import { numbered, prefixed } from './fields.ts'
import { firstOf, firstRows, KEPT, pull } from './first-rows.ts'
import * as tails from './tail.ts'

export const WIDTH = 8
const FAST = 10, SOLVE = 64
export const BLOCK = 100
const DAY = 24 * 60 * 60_000, MEMORY = 7 * DAY
const RIDGE = 1e-6                   // of the variance, so that two metrics that are one can be told apart from noise

const own = { count: 0, learned: NaN, fresh: 0, solved: 0, members: 0, mute: 0, since: NaN }
const COUNT = 0, LEARNED = 1, FRESH = 2, SOLVED = 3, MEMBERS = 4, MUTED = 5, SINCE = 6
const VALUES = 7, TIMES = VALUES + WIDTH, SETS = TIMES + WIDTH, BEGUN = SETS + WIDTH, MEANS = BEGUN + WIDTH
const COVARIANCES = MEANS + WIDTH, PRECISIONS = COVARIANCES + WIDTH * WIDTH, FIRST = PRECISIONS + WIDTH * WIDTH

/**
 * One device: how many metrics, the time of the last set of values learned, a bit for each metric with a new value; sets since the
 * precisions were worked out, and a bit for each metric that they are of. Of each metric: value and time, sets learned, time of the
 * first of them, mean; then the matrices and first values.
 */
export const device: Readonly<Record<string, number>> = {
  ...own, ...numbered('value', WIDTH, NaN), ...numbered('time', WIDTH, NaN), ...numbered('sets', WIDTH), ...numbered('begun', WIDTH, NaN), ...numbered('mean', WIDTH),
  ...numbered('covariance', WIDTH * WIDTH), ...numbered('precision', WIDTH * WIDTH), ...firstRows(WIDTH)
}
/** One series: its place among the metrics of its device, the mean of its last residuals; readings in this block and the largest of them, the peak of this excursion, blocks before, and their tail. */
export const peer: Readonly<Record<string, number>> = { place: -1, mean: 0, readings: 0, largest: 0, peak: 0, blocks: 0, ...prefixed('tail', tails.unheard) }
const PLACE = 0, MEAN = 1, READINGS = 2, LARGEST = 3, PEAK = 4, BLOCKS = 5, TAIL = 6

/** Works on the memory of one device and one of its series, at `d` in devices and `s` in series. */
export class Peers {
  evidence = 0                       // -log10 of the probability that a healthy metric disagrees so much within BLOCK readings
  expected = NaN                     // by the others
  deviation = NaN                    // of the value from that, in its usual size; a mean of ten

  /** Judges a finite value and learns it. False when it cannot be judged: too many metrics, or no other with a value in `within` that has been learned for `span`. `limit`: the evidence from which on nothing is learned. */
  take (devices: Float64Array, d: number, series: Float64Array, s: number, value: number, time: number, within: number, limit: number, span: number): boolean {
    if (series[s + PLACE] < 0) this.join(devices, d, series, s)
    const place = series[s + PLACE], count = Math.min(devices[d + COUNT], WIDTH)
    this.evidence = 0
    if (place >= WIDTH) return false
    if (devices[d + LEARNED] - devices[d + TIMES + place] > DAY) this.forget(devices, d, place)
    devices[d + VALUES + place] = value
    devices[d + TIMES + place] = time
    if (time !== devices[d + LEARNED]) devices[d + FRESH] |= 1 << place      // else it came behind a set that was learned without it
    let there = 0
    for (let k = 0; k < count; k++) if (Math.abs(time - devices[d + TIMES + k]) <= within) there |= 1 << k
    if (there === 1 << place) return false
    const judged = this.judge(devices, d, series, s, place, there, span, limit)
    if ((devices[d + FRESH] & there) === there) this.learn(devices, d, there, time)
    return judged
  }

  /** How much it has learned: first for `span`, then some blocks. 0 to 1. */
  learned (devices: Float64Array, d: number, series: Float64Array, s: number, span: number): number {
    const place = series[s + PLACE]
    return ((place >= 0 && place < WIDTH ? this.cycle(devices, d, place, span) : 0) + Math.min(series[s + BLOCKS] / tails.FIRST, 1)) / 2
  }

  /** How much of `span` has been learned of a metric, 0 to 1. */
  private cycle (devices: Float64Array, d: number, place: number, span: number): number {
    const share = (devices[d + LEARNED] - devices[d + BEGUN + place]) / span
    return share > 0 ? Math.min(share, 1) : 0
  }

  private join (devices: Float64Array, d: number, series: Float64Array, s: number): void {
    series[s + PLACE] = devices[d + COUNT]++
  }

  /** A metric begins anew. */
  private forget (m: Float64Array, d: number, place: number): void {
    m[d + SETS + place] = m[d + MEANS + place] = m[d + MEMBERS] = 0
    m[d + BEGUN + place] = NaN
    for (let k = 0; k < WIDTH; k++) m[d + COVARIANCES + Math.max(k, place) * WIDTH + Math.min(k, place)] = 0
  }

  private judge (devices: Float64Array, d: number, series: Float64Array, s: number, place: number, there: number, span: number, limit: number): boolean {
    const row = d + PRECISIONS + place * WIDTH
    let members = 0
    for (let k = 0; k < WIDTH; k++) if ((there & 1 << k) !== 0 && this.cycle(devices, d, k, span) === 1 && devices[d + COVARIANCES + k * WIDTH + k] > 0) members |= 1 << k
    if ((members & 1 << place) === 0 || members === 1 << place) return false
    if (members !== devices[d + MEMBERS] || devices[d + SOLVED] >= SOLVE) {
      devices[d + MEMBERS] = members
      devices[d + SOLVED] = 0
      invert(devices, d + COVARIANCES, d + PRECISIONS, places(members))
    }
    const own = devices[row + place]
    if (!(own > 0)) return false
    let sum = 0
    for (const k of places(members)) sum += devices[row + k] * (devices[d + VALUES + k] - devices[d + MEANS + k])
    this.expected = devices[d + VALUES + place] - sum / own
    this.deviation = series[s + MEAN] += (sum / Math.sqrt(own) - series[s + MEAN]) / FAST
    const size = Math.abs(this.deviation), ready = series[s + BLOCKS] >= tails.FIRST
    this.evidence = ready ? tails.unlikely(series, s + TAIL, size) : 0
    if (ready && size > tails.threshold(series, s + TAIL)) {
      if (devices[d + MUTED] === 0) devices[d + SINCE] = devices[d + TIMES + place]
      devices[d + MUTED] = BLOCK
    }
    this.block(series, s, size, limit)
    return ready
  }

  /** The tail learns of blocks, and of an excursion beyond its threshold the peak, when that is over; a tenth when it was an alarm. */
  private block (series: Float64Array, s: number, size: number, limit: number): void {
    if (size > series[s + LARGEST]) series[s + LARGEST] = size
    if (++series[s + READINGS] < BLOCK) return
    const n = ++series[s + BLOCKS], largest = series[s + LARGEST]
    series[s + READINGS] = series[s + LARGEST] = 0
    if (n > tails.FIRST && largest > tails.threshold(series, s + TAIL)) return void (series[s + PEAK] = Math.max(series[s + PEAK], largest))
    const peak = series[s + PEAK]
    series[s + PEAK] = 0
    if (peak > 0) tails.take(series, s + TAIL, peak, n, tails.unlikely(series, s + TAIL, peak) >= limit ? 0.1 : 1)
    tails.take(series, s + TAIL, largest, n, 1)
  }

  private muted (devices: Float64Array, d: number, time: number): boolean {
    return devices[d + MUTED] > 0 && Math.abs(time - devices[d + SINCE]) < DAY
  }

  /** Means and covariances (West 1979) of the metrics that are there, weighted so that they go back MEMORY. */
  private learn (m: Float64Array, d: number, there: number, time: number): void {
    m[d + FRESH] &= ~there
    const muted = this.muted(m, d, time)
    if (m[d + MUTED] > 0) m[d + MUTED]--
    const passed = time - m[d + LEARNED]
    m[d + LEARNED] = time
    if (muted) return
    m[d + SOLVED]++
    const least = Math.min(passed > 0 ? passed / MEMORY : 0, 0.01), off = new Float64Array(WIDTH), old: number[] = []
    for (const k of places(there)) {
      const n = ++m[d + SETS + k], x = m[d + VALUES + k], mean = m[d + MEANS + k]
      if (n === 1) m[d + BEGUN + k] = time
      if (n <= KEPT) {
        m[d + FIRST + (n - 1) * WIDTH + k] = x
        if (n === KEPT) this.begin(m, d, k)
        continue
      }
      old.push(k)
      off[k] = pull(m, d + FIRST, k, x - mean, mean, m[d + COVARIANCES + k * WIDTH + k])
      m[d + FIRST + k] = x
    }
    const gain = (n: number) => Math.max(1 / n, least)
    for (const i of old) for (const j of old) {
      if (j > i) break
      const by = gain(Math.min(m[d + SETS + i], m[d + SETS + j])), at = d + COVARIANCES + i * WIDTH + j
      m[at] = (1 - by) * (m[at] + by * off[i] * off[j])
    }
    for (const k of old) m[d + MEANS + k] += gain(m[d + SETS + k]) * off[k]
  }

  /** The mean and the variance of the first values of a metric, without what is wild among them. */
  private begin (m: Float64Array, d: number, k: number): void {
    const values = firstOf(m, d + FIRST, k, WIDTH), mean = values.reduce((a, b) => a + b) / KEPT
    m[d + MEANS + k] = mean
    m[d + COVARIANCES + k * WIDTH + k] = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / KEPT
    m[d + FIRST + k] = values[KEPT - 1]
  }
}

/** The places that have a bit in `mask`, in ascending order. */
const places = (mask: number): readonly number[] => PLACES[mask]
const PLACES = Array.from({ length: 1 << WIDTH }, (_, mask) => Array.from({ length: WIDTH }, (_, k) => k).filter(k => (mask & 1 << k) !== 0))

/** The inverse of the covariance matrix (lower half given) of these metrics by Gauss and Jordan, its diagonal a little larger; zeros when it has none. */
function invert (m: Float64Array, from: number, to: number, of: readonly number[]): void {
  const count = of.length, a = of.map((i, row) => Float64Array.from({ length: 2 * count }, (_, j) =>
    j >= count ? Number(j - count === row) : m[from + Math.max(i, of[j]) * WIDTH + Math.min(i, of[j])] * (row === j ? 1 + RIDGE : 1)))
  m.fill(0, to, to + WIDTH * WIDTH)
  for (let k = 0; k < count; k++) {
    const pivot = a[k][k]
    if (!(pivot > 0)) return
    for (let j = 0; j < 2 * count; j++) a[k][j] /= pivot
    for (let i = 0; i < count; i++) {
      const factor = a[i][k]
      if (i !== k && factor !== 0) for (let j = 0; j < 2 * count; j++) a[i][j] -= factor * a[k][j]
    }
  }
  of.forEach((i, row) => { of.forEach((j, column) => { m[to + i * WIDTH + j] = a[row][count + column] }) })
}
