/**
 * Whether a reading is unusual for its series, seen in seven ways. Each way (signal) gives a number >= 0, and a tail of its own
 * (tail.ts) says how rarely that number is so large. They differ in what they compare with; lengths are a decade apart:
 *
 *   jump      value against the one before
 *   level     value against the mean of the last 100
 *   shift     mean of the last 10 against the mean of the last 100
 *   drift     mean of the last 10 against the mean of the last 1,000
 *   season    value against what is usual at this hour and on this day of the week, in units of its spread (season.ts)
 *   dynamics  value against the expectation of an autoregression (autoregression.ts), in units of the current volatility
 *   noise     size of the last 10 changes against that of the last 1,000, as the logarithm of their ratio: less is unusual too
 *
 * The strongest speaks: the largest -log10 p. The largest of several is large more often than each of them; how much more
 * depends on how they hang together in this very series. A last tail, on the largest itself, corrects for it, beginning with
 * the slope that uniform p-values have. So the p-value that comes out is calibrated whatever the signals do.
 *
 * What goes on is no news (news.ts). Scored first, then learned. 1024 bytes per series.
 */
import * as autoregressive from './autoregression.ts'
import { prefixed } from './fields.ts'
import { barAfter, isNews, isTold, weightAt } from './news.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

export const signals = ['jump', 'level', 'shift', 'drift', 'season', 'dynamics', 'noise'] as const
const K = signals.length, JUMP = 0, LEVEL = 1, SHIFT = 2, DRIFT = 3, SEASONAL = 4, DYNAMICS = 5, NOISE = 6

const FAST = 10, MIDDLE = 100, SLOW = 1000
const LEAST = 0.01                   // of the usual size of changes: smaller ones are all alike
const CLIP = 10                      // of the usual size of errors: larger ones teach the autoregression no more

const own = { n: 0, newest: -Infinity, interval: 0, known: 0, bar: 0, value: 0, fast: 0, middle: 0, slow: 0, change: 0, changes: 0, error: 0, errors: 0 }
const N = 0, NEWEST = 1, INTERVAL = 2, KNOWN = 3, BAR = 4, VALUE = 5, FAST_MEAN = 6, MIDDLE_MEAN = 7, SLOW_MEAN = 8, CHANGE = 9, CHANGES = 10, ERROR = 11, ERRORS = 12
const AR = Object.keys(own).length, SEASON = AR + autoregressive.AUTOREGRESSION, TAILS = SEASON + seasonal.SEASON, LAST = TAILS + K * tails.TAIL

/** One series: `n` readings with a mean `interval` (ms), `known` of them with a season; the bar that news has to exceed; means, sizes of changes and errors; then the parts. */
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
  private off = 0                    // from the season
  private error = 0                  // of the autoregression
  private seasonal = false
  private readonly hour = new seasonal.Hour()

  /** Judges a finite value of a series that has had one. */
  score (m: Float64Array, at: number, value: number, time: number): void {
    const { x } = this
    const slow = m[at + SLOW_MEAN], middle = m[at + MIDDLE_MEAN], before = m[at + VALUE], changes = m[at + CHANGES]
    const fast = m[at + FAST_MEAN] + (value - m[at + FAST_MEAN]) / FAST
    const hour = this.hour.to(time), usual = seasonal.usual(m, at + SEASON, hour), known = usual === usual
    const spread = seasonal.spread(m, at + SEASON, hour) || 1, volatility = (m[at + ERROR] + m[at + ERRORS]) / 2 || 1
    const predicted = slow + autoregressive.expected(m, at + AR)
    this.seasonal = known
    this.usual = usual
    this.off = value - (known ? usual : slow)
    this.error = value - predicted
    x[JUMP] = Math.abs(value - before)
    x[LEVEL] = Math.abs(value - middle)
    x[SHIFT] = Math.abs(fast - middle)
    x[DRIFT] = Math.abs(fast - slow)
    x[SEASONAL] = known ? Math.abs(this.off) / spread : 0
    x[DYNAMICS] = Math.abs(this.error) / volatility
    const change = m[at + CHANGE] + (x[JUMP] - m[at + CHANGE]) / FAST, least = LEAST * changes
    x[NOISE] = least > 0 ? Math.abs(Math.log((change + least) / (changes + least))) : 0
    this.judge(m, at + TAILS)
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
    if (this.evidence === 0 || !isTold(m[at + BAR], this.evidence, this.news, -Math.log10(alarms * m[at + INTERVAL] / per))) return false
    this.news = true
    return true
  }

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
  learn (m: Float64Array, at: number, value: number, time: number): void {
    const n = ++m[at + N]
    if (n === 1) {
      m[at + NEWEST] = time
      m[at + VALUE] = m[at + FAST_MEAN] = m[at + MIDDLE_MEAN] = m[at + SLOW_MEAN] = value
      for (let k = 0; k <= K; k++) m[at + TAILS + k * tails.TAIL] = Infinity
      return
    }
    this.calibrate(m, at, n - 1)
    const byFast = n < FAST ? 1 / n : 1 / FAST, byMiddle = n < MIDDLE ? 1 / n : 1 / MIDDLE, bySlow = n < SLOW ? 1 / n : 1 / SLOW
    const off = value - m[at + SLOW_MEAN], newest = m[at + NEWEST]
    const change = this.x[JUMP], error = Math.abs(this.error), errors = m[at + ERRORS]
    autoregressive.learn(m, at + AR, off, seasonal.size(m, at + SEASON), n > tails.FIRST ? CLIP * errors : Infinity)
    seasonal.learn(m, at + SEASON, this.hour, value, this.off, bySlow)
    m[at + INTERVAL] += ((time > newest ? time - newest : 0) - m[at + INTERVAL]) * (n === 2 ? 1 : bySlow)
    if (time > newest) m[at + NEWEST] = time
    m[at + CHANGE] += (change - m[at + CHANGE]) * byFast
    m[at + CHANGES] += (change - m[at + CHANGES]) * bySlow
    m[at + ERROR] += (error - m[at + ERROR]) * byMiddle
    m[at + ERRORS] += (error - errors) * bySlow
    m[at + FAST_MEAN] += (value - m[at + FAST_MEAN]) * byFast
    m[at + MIDDLE_MEAN] += (value - m[at + MIDDLE_MEAN]) * byMiddle
    m[at + SLOW_MEAN] += off * bySlow
    m[at + VALUE] = value
  }

  /** The tails take in what was scored, number n of each but the season's. */
  private calibrate (m: Float64Array, at: number, n: number): void {
    const { x } = this
    const weight = weightAt(m[at + BAR]), gain = n < tails.MEMORY ? weight / n : weight / tails.MEMORY
    m[at + BAR] = barAfter(m[at + BAR], this.evidence, this.news)
    const known = this.seasonal ? ++m[at + KNOWN] : 0
    for (let k = 0, t = at + TAILS; k < K; k++, t += tails.TAIL) {
      const seen = k === SEASONAL ? known : n
      if (seen > tails.FIRST) tails.learn(m, t, x[k], k === SEASONAL ? weight / Math.min(known, tails.MEMORY) : gain, weight, tails.EXCESSES)
      else if (seen > 0) tails.begin(m, t, x[k], seen)
    }
    if (n > tails.FIRST) tails.learn(m, at + LAST, this.largest, gain, weight, tails.MOST)
    else if (n === tails.FIRST) tails.start(m, at + LAST, 0, tails.DECADE, tails.EXCESSES)
  }
}
