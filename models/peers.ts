/**
 * Does a metric agree with the others of its device? Analytical redundancy: each metric is predicted linearly from the latest
 * values of the others, by the precision matrix of all of them (residual of a metric = its row of the precision matrix times the
 * deviations, over its diagonal element; Whittaker 1990, Graphical models in applied multivariate statistics, 5.8). What moves
 * all of them, as a season or a change of load, moves no residual. Residuals are averaged over the last ten. How unlikely so large
 * a mean is says a tail (tail.ts) of its largest in blocks of BLOCK readings: it comes and goes slowly, and readings that go
 * together are one observation (block maxima; Leadbetter 1983, Extremes and local dependence in stationary sequences).
 *
 * An excursion of several blocks teaches its peak, when it is over (declustering, Davison and Smith 1990): so a slow drift does not
 * make itself usual. Means and covariances go back a week of event time, and learn when each metric has a new value, but not during
 * an excursion, unless that has lasted for a day: then it is usual. Up to WIDTH metrics of a device. 1.3 KB per device,
 * 88 bytes per series.
 */
import { numbered, prefixed } from './fields.ts'
import * as tails from './tail.ts'

export const WIDTH = 8
const FAST = 10, SOLVE = 64
export const BLOCK = 100
const DAY = 24 * 60 * 60_000, MEMORY = 7 * DAY
const RIDGE = 1e-6                   // of the variance, so that two metrics that are one can be told apart from noise

const own = { count: 0, n: 0, first: NaN, learned: NaN, fresh: 0, solved: 0, mute: 0, since: NaN }
const COUNT = 0, N = 1, FIRST = 2, LEARNED = 3, FRESH = 4, SOLVED = 5, MUTED = 6, SINCE = 7
const VALUES = 8, TIMES = VALUES + WIDTH, MEANS = TIMES + WIDTH, COVARIANCES = MEANS + WIDTH, PRECISIONS = COVARIANCES + WIDTH * WIDTH

/** One device: how many metrics, sets of values learned; times of the first and the last; a bit for each metric with a new value; then the matrices. */
export const device: Readonly<Record<string, number>> = { ...own, ...numbered('value', WIDTH, NaN), ...numbered('time', WIDTH, NaN), ...numbered('mean', WIDTH), ...numbered('covariance', WIDTH * WIDTH), ...numbered('precision', WIDTH * WIDTH) }
/** One series: its place among the metrics of its device, the mean of its last residuals; readings in this block and the largest of them, the peak of this excursion, blocks before, and their tail. */
export const peer: Readonly<Record<string, number>> = { place: -1, mean: 0, readings: 0, largest: 0, peak: 0, blocks: 0, ...prefixed('tail', tails.unheard) }
const PLACE = 0, MEAN = 1, READINGS = 2, LARGEST = 3, PEAK = 4, BLOCKS = 5, TAIL = 6

/** Works on the memory of one device and one of its series, at `d` in devices and `s` in series. */
export class Peers {
  evidence = 0                       // -log10 of the probability that a healthy metric disagrees so much within BLOCK readings
  expected = NaN                     // by the others
  deviation = NaN                    // of the value from that, in its usual size; a mean of ten

  /** Judges a finite value and learns it. False when it cannot be judged: too many metrics, or others without a value in `within`. `limit`: the evidence from which on nothing is learned. */
  take (devices: Float64Array, d: number, series: Float64Array, s: number, value: number, time: number, within: number, limit: number, span: number): boolean {
    if (series[s + PLACE] < 0) this.join(devices, d, series, s)
    const place = series[s + PLACE], count = Math.min(devices[d + COUNT], WIDTH)
    this.evidence = 0
    if (place >= WIDTH) return false
    if (!(devices[d + FIRST] <= time)) devices[d + FIRST] = devices[d + N] === 0 ? time : devices[d + FIRST]
    devices[d + VALUES + place] = value
    devices[d + TIMES + place] = time
    devices[d + FRESH] |= 1 << place
    let complete = count > 1
    for (let k = 0; k < count; k++) if (!(Math.abs(time - devices[d + TIMES + k]) <= within)) complete = false
    if (!complete) return false
    const judged = this.judge(devices, d, series, s, place, count, span, limit)
    if (devices[d + FRESH] === 2 ** count - 1) this.learn(devices, d, count, time)
    return judged
  }

  /** How much it has learned: first for `span`, then some blocks. 0 to 1. */
  learned (devices: Float64Array, d: number, series: Float64Array, s: number, span: number): number {
    return (this.cycle(devices, d, span) + Math.min(series[s + BLOCKS] / tails.FIRST, 1)) / 2
  }

  /** How much of `span` has been learned of the device, 0 to 1. */
  private cycle (devices: Float64Array, d: number, span: number): number {
    const share = (devices[d + LEARNED] - devices[d + FIRST]) / span
    return share > 0 ? Math.min(share, 1) : 0
  }

  private join (devices: Float64Array, d: number, series: Float64Array, s: number): void {
    series[s + PLACE] = devices[d + COUNT]++
    if (devices[d + N] > 0 && series[s + PLACE] < WIDTH) {      // begins anew with it
      devices[d + N] = devices[d + SOLVED] = 0
      devices[d + FIRST] = NaN
      devices.fill(0, d + MEANS, d + PRECISIONS + WIDTH * WIDTH)
    }
  }

  private judge (devices: Float64Array, d: number, series: Float64Array, s: number, place: number, count: number, span: number, limit: number): boolean {
    const row = d + PRECISIONS + place * WIDTH, own = devices[row + place]
    if (!(own > 0) || this.cycle(devices, d, span) < 1) return false
    let sum = 0
    for (let k = 0; k < count; k++) sum += devices[row + k] * (devices[d + VALUES + k] - devices[d + MEANS + k])
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

  /** Means and covariances (West 1979), weighted so that they go back MEMORY. */
  private learn (m: Float64Array, d: number, count: number, time: number): void {
    m[d + FRESH] = 0
    const muted = this.muted(m, d, time)
    if (m[d + MUTED] > 0) m[d + MUTED]--
    const passed = time - m[d + LEARNED]
    m[d + LEARNED] = time
    if (muted) return
    const n = ++m[d + N], by = n === 1 ? 1 : Math.max(1 / n, Math.min(passed > 0 ? passed / MEMORY : 0, 0.01))
    for (let i = 0; i < count; i++) {
      const off = m[d + VALUES + i] - m[d + MEANS + i]
      for (let j = 0; j <= i; j++) m[d + COVARIANCES + i * WIDTH + j] = (1 - by) * (m[d + COVARIANCES + i * WIDTH + j] + by * off * (m[d + VALUES + j] - m[d + MEANS + j]))
    }
    for (let i = 0; i < count; i++) m[d + MEANS + i] += by * (m[d + VALUES + i] - m[d + MEANS + i])
    if (++m[d + SOLVED] >= SOLVE) {
      m[d + SOLVED] = 0
      invert(m, d + COVARIANCES, d + PRECISIONS, count)
    }
  }
}

/** The inverse of a covariance matrix (lower half given) by Gauss and Jordan, its diagonal a little larger; zeros when a metric does not vary. */
function invert (m: Float64Array, from: number, to: number, count: number): void {
  const a = Array.from({ length: count }, (_, i) => Float64Array.from({ length: 2 * count }, (_, j) =>
    j >= count ? Number(j - count === i) : m[from + Math.max(i, j) * WIDTH + Math.min(i, j)] * (i === j ? 1 + RIDGE : 1)))
  for (let k = 0; k < count; k++) {
    const pivot = a[k][k]
    if (!(pivot > 0)) return void m.fill(0, to, to + WIDTH * WIDTH)
    for (let j = 0; j < 2 * count; j++) a[k][j] /= pivot
    for (let i = 0; i < count; i++) {
      const factor = a[i][k]
      if (i !== k && factor !== 0) for (let j = 0; j < 2 * count; j++) a[i][j] -= factor * a[k][j]
    }
  }
  for (let i = 0; i < count; i++) for (let j = 0; j < count; j++) m[to + i * WIDTH + j] = a[i][count + j]
}
