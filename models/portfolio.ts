/**
 * Whether a reading is unusual for its series, seen in seven ways. Each way (signal) gives a number >= 0, and a tail of its own
 * (tail.ts) says how rarely that number is so large. They differ in what they compare with; lengths are a decade apart:
 *
 *   jump      value against the one before
 *   level     value against the mean of the last 100
 *   shift     mean of the last 10 against the mean of the last 100
 *   drift     mean of the last 10 against the mean of the last 1,000
 *   season    value against what is usual at this hour on days of this kind, in units of its spread (season.ts)
 *   dynamics  value against the expectation of an autoregression (autoregression.ts), in units of the current volatility
 *   noise     size of the last 10 changes against that of the last 1,000, as the logarithm of their ratio: less is unusual too
 *
 * The strongest speaks: the largest -log10 p. The largest of several is large more often than each of them; how much more
 * depends on how they hang together in this very series. A last tail, on the largest itself, corrects for it, beginning with
 * the slope that uniform p-values have. So the p-value that comes out is calibrated whatever the signals do.
 *
 * What goes on is no news (news.ts). Scored first, then learned. 1024 bytes per series.
 *
 * No reading moves what is usual by more than so much, however wild (bounded influence, Huber 1964; for smoothing Gelper, Fried
 * and Croux 2010, Robust forecasting with exponential and Holt-Winters smoothing). The first level and scale are the median of
 * the first START readings and the median distance from it. Later a reading is in doubt that is more than CLIP times as far as
 * usual both from what the autoregression expects and from the last value, and farther than chance gives by the tails of both:
 * means and autoregression take in what was expected instead, its sizes count as CLIP usual ones, so that a scale grows by 5 % a
 * reading when it has to, and of such readings in a row the first teaches the tails. When PATIENCE of them are in a row the level
 * has changed: it begins anew as their mean.
 */
import * as autoregressive from './autoregression.ts'
import { prefixed } from './fields.ts'
import { barAfter, isEvent, isNews, isTold, spentAfter, weightAt } from './news.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

export const signals = ['jump', 'level', 'shift', 'drift', 'season', 'dynamics', 'noise'] as const
const K = signals.length, JUMP = 0, LEVEL = 1, SHIFT = 2, DRIFT = 3, SEASONAL = 4, DYNAMICS = 5, NOISE = 6

const FAST = 10, MIDDLE = 100, SLOW = 1000
const LEAST = 0.01                   // of the usual size of changes: smaller ones are all alike
const START = 16                     // readings of which level and scale begin
const CLIP = 10                      // usual sizes: what is in doubt teaches no more
const PATIENCE = FAST
const TINY = 1e-9                    // of a value: smaller sizes are as good as 0
const LARGEST = 1e100                // a value counts as no more, so that squares are finite

const limited = (x: number, by: number): number => x > by ? by : x < -by ? -by : x
const NO_TAIL = Object.values(tails.tail)
const median = (sorted: Float64Array): number => (sorted[START / 2 - 1] + sorted[START / 2]) / 2

const own = { n: 0, newest: -Infinity, interval: 0, known: 0, bar: 0, spent: 0, fast: 0, middle: 0, slow: 0, change: 0, changes: 0, error: 0, errors: 0, doubt: 0, doubted: 0 }
const N = 0, NEWEST = 1, INTERVAL = 2, KNOWN = 3, BAR = 4, SPENT = 5, FAST_MEAN = 6, MIDDLE_MEAN = 7, SLOW_MEAN = 8, CHANGE = 9, CHANGES = 10, ERROR = 11, ERRORS = 12, DOUBT = 13, DOUBTED = 14
const AR = Object.keys(own).length, SEASON = AR + autoregressive.AUTOREGRESSION, TAILS = SEASON + seasonal.SEASON, LAST = TAILS + K * tails.TAIL

/**
 * One series: `n` readings with a mean `interval` (ms), `known` of them with a season; the bar that news has to exceed; what the
 * limit is raised by for alarms given; means, sizes of changes and errors; how many readings are in doubt in a row and their mean;
 * then the parts. The first START values are kept where the tails will be.
 */
export const portfolio: Readonly<Record<string, number>> = {
  ...own, ...prefixed('ar', autoregressive.autoregression), ...prefixed('season', seasonal.season),
  ...Object.assign({}, ...[...signals, 'last'].map(name => prefixed(`tail_${name}`, tails.tail)))
}

/** Works on the memory of one series after the other, at `at` in m. `score` leaves its findings in the fields. */
export class Portfolio {
  evidence = 0                       // -log10 of the p-value, 0 for the usual 98 %, at most 16
  news = false                       // whether that exceeds the bar
  signal = -1                        // the one that spoke, by its place in `signals`; -1 for none
  low = NaN                          // where 98 % of values are expected, by the narrowest of jump, level, season and dynamics
  high = NaN
  usual = NaN                        // at this hour; NaN when nothing is
  private readonly x = new Float64Array(K)
  private largest = 0
  private predicted = 0              // by the autoregression
  private off = 0                    // from the season
  private seasonal = false
  private doubted = false
  private readonly hour = new seasonal.Hour()

  /** Judges a finite value of a series that has had one. */
  score (m: Float64Array, at: number, given: number, time: number): void {
    if (m[at + N] < START) return this.know()
    const { x } = this, value = limited(given, LARGEST)
    const slow = m[at + SLOW_MEAN], middle = m[at + MIDDLE_MEAN], before = autoregressive.last(m, at + AR), changes = m[at + CHANGES]
    const fast = m[at + FAST_MEAN] + (value - m[at + FAST_MEAN]) / FAST
    const tiny = TINY * Math.max(Math.abs(slow), Math.abs(value)) || Number.MIN_VALUE
    const hour = this.hour.to(time), usual = seasonal.usual(m, at + SEASON, hour), known = usual === usual
    const spread = Math.max(seasonal.spread(m, at + SEASON, hour), tiny), volatility = Math.max((m[at + ERROR] + m[at + ERRORS]) / 2, tiny)
    const predicted = this.predicted = slow + autoregressive.expected(m, at + AR, slow)
    this.seasonal = known
    this.usual = usual
    this.off = value - (known ? usual : slow)
    x[JUMP] = Math.abs(value - before)
    x[LEVEL] = Math.abs(value - middle)
    x[SHIFT] = Math.abs(fast - middle)
    x[DRIFT] = Math.abs(fast - slow)
    x[SEASONAL] = known ? Math.abs(this.off) / spread : 0
    x[DYNAMICS] = Math.abs(value - predicted) / volatility
    const change = m[at + CHANGE] + (x[JUMP] - m[at + CHANGE]) / FAST, least = LEAST * changes
    x[NOISE] = least > 0 ? Math.abs(Math.log((change + least) / (changes + least))) : 0
    this.judge(m, at + TAILS)
    this.doubted = x[DYNAMICS] > CLIP && x[JUMP] > CLIP * Math.max(changes, tiny) && (m[at + N] < START + tails.FIRST || this.isEvent(m, at, JUMP) && this.isEvent(m, at, DYNAMICS))
    this.evidence = tails.unlikely(m, at + LAST, this.largest)
    this.news = isNews(m[at + BAR], this.evidence)

    const t = at + TAILS
    let center = before, half = m[t]
    if (m[t + LEVEL * tails.TAIL] < half) { center = middle; half = m[t + LEVEL * tails.TAIL] }
    if (m[t + DYNAMICS * tails.TAIL] * volatility < half) { center = predicted; half = m[t + DYNAMICS * tails.TAIL] * volatility }
    if (known && m[t + SEASONAL * tails.TAIL] * spread < half) { center = usual; half = m[t + SEASONAL * tails.TAIL] * spread }
    this.low = center - half
    this.high = center + half
  }

  /**
   * Whether what was scored last is an alarm, when chance may give `alarms` in `per` ms: so unlikely, and news, or the first of
   * its event that is so unlikely, which makes it news.
   */
  alarm (m: Float64Array, at: number, alarms: number, per: number): boolean {
    const chance = alarms * m[at + INTERVAL] / per, told = this.evidence > 0 && isTold(m[at + BAR], this.evidence, this.news, m[at + SPENT] - Math.log10(chance))
    m[at + SPENT] = spentAfter(m[at + SPENT], chance, told)
    if (told) this.news = true
    return told
  }

  /** Nothing is known of what was to be scored. */
  private know (): void {
    this.evidence = 0
    this.news = false
    this.signal = -1
    this.low = this.high = NaN
  }

  private isEvent (m: Float64Array, at: number, k: number): boolean { return isEvent(tails.unlikely(m, at + TAILS + k * tails.TAIL, this.x[k])) }

  private judge (m: Float64Array, at: number): void {
    const { x } = this
    let largest = 0, signal = -1
    for (let k = 0; k < K; k++, at += tails.TAIL) {
      if (!(x[k] > m[at])) continue
      const evidence = tails.unlikely(m, at, x[k])
      if (evidence > largest) { largest = evidence; signal = k }
    }
    this.largest = largest
    this.signal = signal
  }

  /** Takes in the value that was scored last, or the first of a series. A time older than the newest counts as the newest. */
  learn (m: Float64Array, at: number, given: number, time: number): void {
    const n = ++m[at + N], value = limited(given, LARGEST), newest = m[at + NEWEST], bySlow = 1 / Math.min(n, SLOW)
    if (n > 1) m[at + INTERVAL] += (this.pause(time > newest ? time - newest : 0, m[at + INTERVAL]) - m[at + INTERVAL]) * (n === 2 ? 1 : bySlow)
    if (time > newest) m[at + NEWEST] = time
    if (n <= START) return this.begin(m, at, value, n)
    this.calibrate(m, at, n - START)
    const byMiddle = 1 / Math.min(n, MIDDLE), slow = m[at + SLOW_MEAN], tiny = TINY * Math.min(Math.abs(slow), Math.abs(value)) || Number.MIN_VALUE
    const { doubted } = this, most = CLIP * Math.max((m[at + ERROR] + m[at + ERRORS]) / 2, tiny), error = Math.abs(value - this.predicted)
    const believed = doubted ? this.predicted : value, size = doubted ? most : error, change = doubted ? CLIP * Math.max(m[at + CHANGES], tiny) : this.x[JUMP]
    autoregressive.learn(m, at + AR, believed, slow, seasonal.size(m, at + SEASON), most)
    seasonal.learn(m, at + SEASON, this.hour, value, this.off, bySlow)
    m[at + CHANGE] += (change - m[at + CHANGE]) / FAST
    m[at + CHANGES] += (change - m[at + CHANGES]) * bySlow
    m[at + ERROR] += (size - m[at + ERROR]) * byMiddle
    m[at + ERRORS] += (size - m[at + ERRORS]) * bySlow
    m[at + FAST_MEAN] += (believed - m[at + FAST_MEAN]) / FAST
    m[at + MIDDLE_MEAN] += (believed - m[at + MIDDLE_MEAN]) * byMiddle
    m[at + SLOW_MEAN] += (believed - slow) * bySlow
    this.doubt(m, at, value)
  }

  /** A pause counts as at most CLIP usual intervals: a device that was off for months is no slow one. */
  private pause (span: number, usual: number): number { return usual > 0 && span > CLIP * usual ? CLIP * usual : span }

  /** Keeps the first START values; of all of them level and scale begin. The scale is the median distance from the median, or when that is 0 the mean of all distances but the two largest. */
  private begin (m: Float64Array, at: number, value: number, n: number): void {
    m[at + TAILS + n - 1] = value
    if (n < START) return
    const first = m.slice(at + TAILS, at + TAILS + START).sort(), level = median(first)
    const off = first.map(x => Math.abs(x - level)).sort(), scale = median(off) || off.subarray(0, START - 2).reduce((a, b) => a + b) / (START - 2)
    m[at + CHANGE] = m[at + CHANGES] = m[at + ERROR] = m[at + ERRORS] = scale
    seasonal.begin(m, at + SEASON, scale)
    this.settle(m, at, level)
    for (let k = 0; k <= K; k++) {
      m.set(NO_TAIL, at + TAILS + k * tails.TAIL)
      m[at + TAILS + k * tails.TAIL] = Infinity
    }
  }

  /** Readings in doubt are a new level when there are PATIENCE of them in a row. */
  private doubt (m: Float64Array, at: number, value: number): void {
    if (!this.doubted) {
      m[at + DOUBT] = 0
      return
    }
    const k = ++m[at + DOUBT], mean = m[at + DOUBTED] = k === 1 ? value : m[at + DOUBTED] + (value - m[at + DOUBTED]) / k
    if (k < PATIENCE) return
    m[at + DOUBT] = 0
    this.settle(m, at, mean)
  }

  private settle (m: Float64Array, at: number, level: number): void {
    m[at + FAST_MEAN] = m[at + MIDDLE_MEAN] = m[at + SLOW_MEAN] = level
    autoregressive.begin(m, at + AR, level)
  }

  /** The tails take in what was scored, number n of each but the season's. */
  private calibrate (m: Float64Array, at: number, n: number): void {
    const { x } = this
    const first = weightAt(m[at + BAR]), weight = weightAt(m[at + BAR] = barAfter(m[at + BAR], this.evidence)), gain = n < tails.MEMORY ? first / n : first / tails.MEMORY
    const known = this.seasonal ? ++m[at + KNOWN] : 0, again = this.doubted && m[at + DOUBT] > 0
    for (let k = 0, t = at + TAILS; k < K; k++, t += tails.TAIL) {
      const seen = k === SEASONAL ? known : n
      if (seen <= tails.FIRST) { if (seen > 0) tails.begin(m, t, x[k], seen) }
      else if (!again) tails.learn(m, t, x[k], k === SEASONAL ? first / Math.min(known, tails.MEMORY) : gain, weight, tails.EXCESSES)
    }
    if (n === tails.FIRST) tails.start(m, at + LAST, 0, tails.DECADE, tails.EXCESSES)
    else if (n > tails.FIRST && !again) tails.learn(m, at + LAST, this.largest, gain, first, tails.MOST)
  }
}
