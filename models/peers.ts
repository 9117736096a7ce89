/**
 * Does a metric agree with the others of its device? Analytical redundancy: each metric is predicted linearly from the latest
 * values of the others, by the precision matrix of all of them (residual of a metric = its row of the precision matrix times the
 * deviations, over its diagonal element; Whittaker 1990, Graphical models in applied multivariate statistics, 5.8). What moves
 * all of them, as a season or a change of load, moves no residual. Residuals are averaged over the last ten, in which one that is wild counts as CLIP usual ones, and those that go on as what they are within some readings. How unlikely so large
 * a mean is says a tail (tail.ts) of its largest in blocks of BLOCK readings: it comes and goes slowly, and readings that go
 * together are one observation (block maxima; Leadbetter 1983, Extremes and local dependence in stationary sequences).
 *
 * An excursion of several blocks teaches its peak, when it is over (declustering, Davison and Smith 1990): so a slow drift does not
 * make itself usual. Means and covariances go back a week of event time, and learn from sets in which each metric has a new value,
 * but not during an excursion, unless that has lasted for a day: then it is usual. No metric pulls at them with more than
 * first-rows.ts says, from its first value on.
 *
 * A reading of another metric that is WILD, and farther off than this one, counts as what is expected of it where it predicts this
 * one: the wildest first, as it makes others look wild. What goes on counts as what it is within some readings, as in its own mean.
 * Of two that are wild at once each may hide the other.
 *
 * Those that are not there for a while, or do not vary, are left out and the others are predicted without them. A metric has a part
 * in it when REGULAR readings in a row have come no further apart than SPARSE times what values of others may be away; all is then
 * learned anew with it. It has none any more when it was away for a day.
 *
 * A metric that is wrong makes the others disagree too, as they are predicted from it. So of each metric is also told how far the
 * others disagree among themselves when it is left out: removing variable k from a normal vector changes the standardised residual
 * of j from u_j to (u_j - c_jk u_k) / sqrt(1 - c_jk^2), c being the standardised precision matrix. The largest of these, in units
 * of its own usual size (from the running covariance of u), has a tail likewise. One wrong sensor leaves it what it was, whatever
 * that sensor says; two that are wrong do not.
 *
 * Up to WIDTH metrics of a device. 3.5 KB per device, 136 bytes per series.
 */
import { numbered, prefixed } from './fields.ts'
import { firstOf, firstRows, KEPT, pull } from './first-rows.ts'
import { invert, spread } from './precision.ts'
import * as tails from './tail.ts'

export const WIDTH = 8
const FAST = 10, SOLVE = 64
export const BLOCK = 100
const CLIP = 10, WILD = 5            // usual sizes, and twice what the mean is off already: a reading counts as no more in it, and one beyond that predicts no other
const DAY = 24 * 60 * 60_000, MEMORY = 7 * DAY
const REGULAR = 16, SPARSE = 10

const own = { count: 0, sets: 0, begun: NaN, learned: NaN, fresh: 0, solved: 0, members: 0, mute: 0, since: NaN }
const COUNT = 0, SETS = 1, BEGUN = 2, LEARNED = 3, FRESH = 4, SOLVED = 5, MEMBERS = 6, MUTED = 7, SINCE = 8
const VALUES = 9, TIMES = VALUES + WIDTH, MEANS = TIMES + WIDTH, COVARIANCES = MEANS + WIDTH, PRECISIONS = COVARIANCES + WIDTH * WIDTH
const SMOOTH = PRECISIONS + WIDTH * WIDTH, SLOW = SMOOTH + WIDTH, TOGETHER = SLOW + WIDTH, SPREADS = TOGETHER + WIDTH * WIDTH, OFF = SPREADS + WIDTH * WIDTH, FIRST = OFF + WIDTH

/**
 * One device: how many metrics have a place; sets of values learned, times of the first and the last; a bit for each metric with a
 * new value; sets since the precisions were worked out, and a bit for each metric that they are of. Of each metric: value, time (NaN: it
 * has no part) and mean; then the matrices; means of the last BLOCK values, their standardised residuals, how these means and these
 * residuals vary together; the mean of the last residuals; and the first sets.
 */
export const device: Readonly<Record<string, number>> = {
  ...own, ...numbered('value', WIDTH, NaN), ...numbered('time', WIDTH, NaN), ...numbered('mean', WIDTH), ...numbered('covariance', WIDTH * WIDTH), ...numbered('precision', WIDTH * WIDTH),
  ...numbered('smooth', WIDTH), ...numbered('slow', WIDTH), ...numbered('together', WIDTH * WIDTH), ...numbered('spread', WIDTH * WIDTH), ...numbered('off', WIDTH), ...firstRows(WIDTH)
}
const maxima = { largest: 0, peak: 0, ...tails.unheard }
/** One series: its place among the metrics of its device, readings in a row that came regularly and the time of the last; readings in this block, blocks before; then of its own disagreement and of the others without it the largest in this block, the peak of this excursion, and the tail. */
export const peer: Readonly<Record<string, number>> = { place: -1, regular: 0, came: NaN, readings: 0, blocks: 0, ...prefixed('own', maxima), ...prefixed('rest', maxima) }
const PLACE = 0, IN_A_ROW = 1, CAME = 2, READINGS = 3, BLOCKS = 4, OWN = 5, REST = OWN + Object.keys(maxima).length
const LARGEST = 0, PEAK = 1, TAIL = 2

/** Works on the memory of one device and one of its series, at `d` in devices and `s` in series. */
export class Peers {
  evidence = 0                       // -log10 of the probability that a healthy metric disagrees so much within BLOCK readings
  expected = NaN                     // by the others
  deviation = NaN                    // of the value from that, in its usual size; a mean of ten
  rest = NaN                         // as `evidence`, of the others among themselves without it; NaN when fewer than two are left

  private readonly off = new Float64Array(WIDTH)     // room to work in: of values, and of means of the last BLOCK
  private readonly far = new Float64Array(WIDTH)
  private readonly wild = new Float64Array(WIDTH)    // residuals of all, and what is left of them without a wild one

  /** Judges a finite value and learns it. False when it cannot be judged: it has no part, or no other has a value in `within`, or less than `span` is learned. `limit`: the evidence from which on nothing is learned. */
  take (devices: Float64Array, d: number, series: Float64Array, s: number, value: number, time: number, within: number, limit: number, span: number): boolean {
    this.evidence = 0
    if (!this.takesPart(devices, d, series, s, time, within)) return false
    const place = series[s + PLACE], count = Math.min(devices[d + COUNT], WIDTH)
    devices[d + VALUES + place] = value
    devices[d + TIMES + place] = time
    devices[d + FRESH] |= 1 << place
    let all = 0, there = 0
    for (let k = 0; k < count; k++) {
      const away = time - devices[d + TIMES + k]
      if (away > DAY) this.leave(devices, d, k)
      else if (!Number.isNaN(away)) all |= 1 << k
      if (Math.abs(away) <= within) there |= 1 << k
    }
    if (there === 1 << place) return false
    const judged = devices[d + SETS] >= SOLVE && this.cycle(devices, d, span) === 1 && this.judge(devices, d, series, s, place, there, limit)
    if ((devices[d + FRESH] & there) === there) this.learn(devices, d, there, all, time)
    return judged
  }

  /** Readings that it has learned from, of `needs`: first for `span`, in which so many come, then some blocks. */
  learned (devices: Float64Array, d: number, series: Float64Array, s: number, span: number, inSpan: number): number {
    const place = series[s + PLACE], share = place >= 0 && place < WIDTH ? this.cycle(devices, d, span) : 0
    return Math.floor(share * Math.ceil(inSpan)) + Math.min(BLOCK * series[s + BLOCKS] + series[s + READINGS], BLOCK * tails.FIRST)
  }

  /** Readings that it learns from before it says anything. */
  needs (inSpan: number): number { return Math.ceil(inSpan) + BLOCK * tails.FIRST }

  /** How much of `span` has been learned, 0 to 1. */
  private cycle (devices: Float64Array, d: number, span: number): number {
    const share = (devices[d + LEARNED] - devices[d + BEGUN]) / span
    return share > 0 ? Math.min(share, 1) : 0
  }

  /** Whether a metric has a part in it. With one that gets it all begins anew. */
  private takesPart (m: Float64Array, d: number, series: Float64Array, s: number, time: number, within: number): boolean {
    series[s + IN_A_ROW] = time - series[s + CAME] > SPARSE * within ? 1 : series[s + IN_A_ROW] + 1
    series[s + CAME] = time
    const place = series[s + PLACE]
    if (place >= WIDTH) return false
    if (place >= 0 && !Number.isNaN(m[d + TIMES + place])) return true
    if (series[s + IN_A_ROW] < REGULAR) return false
    if (place < 0) series[s + PLACE] = m[d + COUNT]++
    if (series[s + PLACE] >= WIDTH) return false
    m[d + SETS] = m[d + MEMBERS] = 0
    m[d + BEGUN] = NaN
    m.fill(0, d + MEANS, d + FIRST)
    return true
  }

  /** A metric has no part any more: nothing that is known of it is read before all begins anew with it. */
  private leave (m: Float64Array, d: number, place: number): void {
    m[d + TIMES + place] = NaN
    m[d + FRESH] &= ~(1 << place)
  }

  private judge (devices: Float64Array, d: number, series: Float64Array, s: number, place: number, there: number, limit: number): boolean {
    const row = d + PRECISIONS + place * WIDTH
    let members = 0
    for (let k = 0; k < WIDTH; k++) if ((there & 1 << k) !== 0 && devices[d + COVARIANCES + k * WIDTH + k] > 0) members |= 1 << k
    if ((members & 1 << place) === 0 || members === 1 << place) return false
    if (members !== devices[d + MEMBERS] || devices[d + SOLVED] >= SOLVE) {
      devices[d + MEMBERS] = members
      devices[d + SOLVED] = 0
      invert(devices, d + COVARIANCES, d + PRECISIONS, WIDTH, places(members))
      spread(devices, d + PRECISIONS, d + TOGETHER, d + SPREADS, WIDTH, places(members))
      this.slow(devices, d)
    }
    const own = devices[row + place]
    if (!(own > 0)) return false
    const residual = this.residual(devices, d, place, members), off = devices[d + OFF + place]
    this.expected = devices[d + VALUES + place] - residual / Math.sqrt(own)
    this.deviation = devices[d + OFF + place] += (limited(residual, CLIP + 2 * Math.abs(off)) - off) / FAST
    const size = Math.abs(this.deviation), others = places(members & ~(1 << place)), rest = this.without(devices, d, place, others), ready = series[s + BLOCKS] >= tails.FIRST
    this.evidence = ready ? tails.unlikely(series, s + OWN + TAIL, size) : 0
    this.rest = ready && others.length > 1 ? tails.unlikely(series, s + REST + TAIL, rest) : NaN
    if (ready && size > tails.threshold(series, s + OWN + TAIL)) {
      if (devices[d + MUTED] === 0) devices[d + SINCE] = devices[d + TIMES + place]
      devices[d + MUTED] = BLOCK
    }
    this.largest(series, s + OWN, size)
    this.largest(series, s + REST, rest)
    if (++series[s + READINGS] === BLOCK) {
      const n = ++series[s + BLOCKS]
      series[s + READINGS] = 0
      this.block(series, s + OWN, n, limit)
      this.block(series, s + REST, n, limit)
    }
    return ready
  }

  /** Of the metric at `place` from the others without those that are wild, standardised. */
  private residual (m: Float64Array, d: number, place: number, members: number): number {
    const usual = this.standardised(m, d, place, members)
    if (Math.abs(usual) <= WILD) return usual
    const { wild } = this, of = places(members)
    for (const k of of) wild[k] = k === place ? usual : this.standardised(m, d, k, members)
    for (let left = members; ;) {
      let k = place
      for (const j of places(left)) if (Math.abs(wild[j]) > Math.abs(wild[k])) k = j
      if (k === place) return wild[k]
      left &= ~(1 << k)
      const u = wild[k], own = m[d + PRECISIONS + k * WIDTH + k]
      if (Math.abs(u) > WILD + 2 * Math.abs(m[d + OFF + k])) for (const j of of) wild[j] -= u * m[d + PRECISIONS + j * WIDTH + k] / Math.sqrt(own * m[d + PRECISIONS + j * WIDTH + j])
    }
  }

  /** Of the metric at `place` from all others as they are. */
  private standardised (m: Float64Array, d: number, place: number, members: number): number {
    const row = d + PRECISIONS + place * WIDTH
    let sum = 0
    for (const k of places(members)) sum += m[row + k] * (m[d + VALUES + k] - m[d + MEANS + k])
    return sum / Math.sqrt(m[row + place])
  }

  /** How far the others disagree among themselves when the metric at `place` is left out: the largest of their residuals, in its usual size. */
  private without (m: Float64Array, d: number, place: number, others: readonly number[]): number {
    const at = d + PRECISIONS, own = m[at + place * WIDTH + place], u = d + SLOW, spread = d + SPREADS
    let largest = 0
    for (const j of others) {
      const c = m[at + place * WIDTH + j] / Math.sqrt(own * m[at + j * WIDTH + j])
      const off = m[u + j] - c * m[u + place]
      const usual = m[spread + j * WIDTH + j] - 2 * c * m[spread + Math.max(j, place) * WIDTH + Math.min(j, place)] + c * c * m[spread + place * WIDTH + place]
      if (usual > 0) largest = Math.max(largest, Math.abs(off) / Math.sqrt(usual))
    }
    return largest
  }

  private largest (m: Float64Array, at: number, size: number): void { if (size > m[at + LARGEST]) m[at + LARGEST] = size }

  /** Block n is over: a tail learns of its largest, and of an excursion beyond its threshold the peak, when that is over; a tenth when it was an alarm. */
  private block (m: Float64Array, at: number, n: number, limit: number): void {
    const largest = m[at + LARGEST]
    m[at + LARGEST] = 0
    if (n > tails.FIRST && largest > tails.threshold(m, at + TAIL)) return void (m[at + PEAK] = Math.max(m[at + PEAK], largest))
    const peak = m[at + PEAK]
    m[at + PEAK] = 0
    if (peak > 0) tails.take(m, at + TAIL, peak, n, tails.unlikely(m, at + TAIL, peak) >= limit ? 0.1 : 1)
    tails.take(m, at + TAIL, largest, n, 1)
  }

  private muted (devices: Float64Array, d: number, time: number): boolean {
    return devices[d + MUTED] > 0 && Math.abs(time - devices[d + SINCE]) < DAY
  }

  /** Takes in a set of values, one of each metric that is there; of all that have a part, it is learned. */
  private learn (m: Float64Array, d: number, there: number, all: number, time: number): void {
    m[d + FRESH] &= ~there
    const muted = this.muted(m, d, time), passed = time - m[d + LEARNED]
    if (m[d + MUTED] > 0) m[d + MUTED]--
    this.smooth(m, d, there)
    if (there !== all) return
    m[d + LEARNED] = time
    if (muted) return
    const n = ++m[d + SETS], by = Math.max(1 / n, Math.min(passed > 0 ? passed / MEMORY : 0, 0.01)), of = places(there)
    if (n === 1) m[d + BEGUN] = time
    if (n <= KEPT) {
      for (const k of of) m[d + FIRST + (n - 1) * WIDTH + k] = m[d + VALUES + k]
      if (n === KEPT) for (const k of of) this.begin(m, d, k)
      return
    }
    m[d + SOLVED]++
    const { off, far } = this
    for (const k of of) {
      const mean = m[d + MEANS + k], variance = m[d + COVARIANCES + k * WIDTH + k]
      off[k] = pull(m, d + FIRST, k, m[d + VALUES + k] - mean, mean, variance)
      far[k] = pull(m, d + FIRST, k, m[d + SMOOTH + k] - mean, mean, variance)
      m[d + FIRST + k] = m[d + VALUES + k]
    }
    for (const i of of) for (const j of of) {
      if (j > i) break
      const at = d + i * WIDTH + j
      m[at + COVARIANCES] = (1 - by) * (m[at + COVARIANCES] + by * off[i] * off[j])
      m[at + TOGETHER] += by * (far[i] * far[j] - m[at + TOGETHER])
    }
    for (const k of of) m[d + MEANS + k] += by * off[k]
  }

  /** Means of the last BLOCK values, and their residuals. */
  private smooth (m: Float64Array, d: number, there: number): void {
    if (m[d + SETS] >= KEPT) for (const k of places(there)) {
      const smooth = m[d + SMOOTH + k], most = CLIP * Math.sqrt(m[d + COVARIANCES + k * WIDTH + k]) + 2 * Math.abs(smooth - m[d + MEANS + k])
      m[d + SMOOTH + k] += limited(m[d + VALUES + k] - smooth, most) / Math.min(m[d + SETS], BLOCK)
    }
    this.slow(m, d)
  }

  /** Residuals of these means, by the precisions as they are: of others they would not vanish where one metric is left out. */
  private slow (m: Float64Array, d: number): void {
    const members = places(m[d + MEMBERS])
    for (const i of members) {
      let sum = 0
      for (const j of members) sum += m[d + PRECISIONS + i * WIDTH + j] * (m[d + SMOOTH + j] - m[d + MEANS + j])
      m[d + SLOW + i] = sum === 0 ? 0 : sum / Math.sqrt(m[d + PRECISIONS + i * WIDTH + i])
    }
  }

  /** The mean and the variance of the first values of a metric, without what is wild among them. */
  private begin (m: Float64Array, d: number, k: number): void {
    const values = firstOf(m, d + FIRST, k, WIDTH), mean = values.reduce((a, b) => a + b) / KEPT
    m[d + MEANS + k] = m[d + SMOOTH + k] = mean
    m[d + COVARIANCES + k * WIDTH + k] = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / KEPT
    m[d + FIRST + k] = values[KEPT - 1]
  }
}

const limited = (x: number, by: number): number => x > by ? by : x < -by ? -by : x

/** The places that have a bit in `mask`, in ascending order. */
const places = (mask: number): readonly number[] => PLACES[mask]
const PLACES = Array.from({ length: 1 << WIDTH }, (_, mask) => Array.from({ length: WIDTH }, (_, k) => k).filter(k => (mask & 1 << k) !== 0))
