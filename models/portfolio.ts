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
 * and Croux 2010, Robust forecasting with exponential and Holt-Winters smoothing). The first level is the median of the first START
 * readings, the first scale the median distance from it. Later a reading is in doubt that is more than CLIP times as far as usual both
 * from what the autoregression expects and from the last value, and farther than chance gives by the tails of both: means and
 * autoregression take in what was expected instead, its sizes count as CLIP usual ones, so that a scale grows by 5 % a reading when
 * it has to, and of such readings in a row the first teaches the tails. Many in a row are a new level (doubt.ts), with a size of changes of its own if that clearly is another.
 *
 * A series may have several levels that it returns to (regime.ts). A jump to one that is usual is no news: the reading is scored
 * there, and means and sizes, and the tails of what has the unit of the value, go on as they were there. That it is the wrong hour
 * for it is what the season says: not of the first readings, and not when an hour earlier or later it were usual.
 */
import * as autoregressive from './autoregression.ts'
import * as doubts from './doubt.ts'
import { prefixed } from './fields.ts'
import { barAfter, isEvent, isNews, isTold, spentAfter, weightAt } from './news.ts'
import * as regimes from './regime.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

export const signals = ['jump', 'level', 'shift', 'drift', 'season', 'dynamics', 'noise'] as const
const K = signals.length, JUMP = 0, LEVEL = 1, SHIFT = 2, DRIFT = 3, SEASONAL = 4, DYNAMICS = 5, NOISE = 6

const FAST = 10, MIDDLE = 100, SLOW = 1000
const LEAST = 0.01                   // of the usual size of changes: smaller ones are all alike
const START = 16                     // readings of which level and scale begin
const CLIP = 10                      // usual sizes: what is in doubt teaches no more
const ALIKE = 3                      // sizes that differ by less may be the same: of so few readings
const TINY = 1e-9                    // of a value: smaller sizes are as good as 0
const HOUR = 3_600_000
const LARGEST = 1e100                // a value counts as no more, so that squares are finite

const limited = (x: number, by: number): number => x > by ? by : x < -by ? -by : x
const NO_TAIL = Object.values(tails.tail)
const median = (sorted: Float64Array): number => (sorted[START / 2 - 1] + sorted[START / 2]) / 2

const own = { n: 0, newest: -Infinity, interval: 0, known: 0, bar: 0, spent: 0, fast: 0, middle: 0, slow: 0, change: 0, changes: 0, error: 0, errors: 0 }
const N = 0, NEWEST = 1, INTERVAL = 2, KNOWN = 3, BAR = 4, SPENT = 5, FAST_MEAN = 6, MIDDLE_MEAN = 7, SLOW_MEAN = 8, CHANGE = 9, CHANGES = 10, ERROR = 11, ERRORS = 12
const AR = Object.keys(own).length, DOUBT = AR + autoregressive.AUTOREGRESSION, REGIME = DOUBT + doubts.DOUBT, SEASON = REGIME + regimes.REGIME, TAILS = SEASON + seasonal.SEASON, LAST = TAILS + K * tails.TAIL

/**
 * One series: `n` readings with a mean `interval` (ms), `known` of them with a season; the bar that news has to exceed; what the
 * limit is raised by for alarms given; means, sizes of changes and errors; then the parts. The first START values are kept where the tails will be.
 */
export const portfolio: Readonly<Record<string, number>> = {
  ...own, ...prefixed('ar', autoregressive.autoregression), ...prefixed('doubt', doubts.doubt), ...prefixed('regime', regimes.regime), ...prefixed('season', seasonal.season),
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
  private onTheWay = false
  private far = false
  private spread = 0
  private volatility = 0
  private readonly hour = new seasonal.Hour()
  private readonly beside = new seasonal.Hour()

  /** Judges a finite value of a series that has had one. */
  score (m: Float64Array, at: number, given: number, time: number): void {
    if (m[at + N] < START) return this.know()
    const value = limited(given, LARGEST), hour = this.hour.to(time)
    this.compare(m, at, value, hour)
    this.onTheWay = false
    if (this.far) this.place(m, at, value, hour)
    if (doubts.isNew(m, at + DOUBT)) {
      this.seasonal = false
      this.x[SEASONAL] = 0
    } else if (this.x[SEASONAL] > m[at + TAILS + SEASONAL * tails.TAIL] && regimes.hasSeveral(m, at + REGIME)) {
      this.x[SEASONAL] = Math.min(this.x[SEASONAL], this.offSeason(m, at, value, time - HOUR), this.offSeason(m, at, value, time + HOUR))
    }
    this.judge(m, at + TAILS)
    this.evidence = this.onTheWay ? 0 : tails.unlikely(m, at + LAST, this.largest)
    this.news = isNews(m[at + BAR], this.evidence)

    const t = at + TAILS, { usual, spread, volatility, predicted } = this, middle = m[at + MIDDLE_MEAN]
    let center = autoregressive.last(m, at + AR), half = m[t]
    if (m[t + LEVEL * tails.TAIL] < half) { center = middle; half = m[t + LEVEL * tails.TAIL] }
    if (m[t + DYNAMICS * tails.TAIL] * volatility < half) { center = predicted; half = m[t + DYNAMICS * tails.TAIL] * volatility }
    if (this.seasonal && m[t + SEASONAL * tails.TAIL] * spread < half) { center = usual; half = m[t + SEASONAL * tails.TAIL] * spread }
    this.low = center - half
    this.high = center + half
  }

  /** A value that is far from where the series is may belong to another of its regimes: if that is usual, the series is there. */
  private place (m: Float64Array, at: number, value: number, hour: seasonal.Hour): void {
    const middle = m[at + MIDDLE_MEAN], size = m[at + CHANGES], near = regimes.find(m, at + REGIME, value, size)
    const onTheWay = near < 0 && doubts.mayBeOnTheWay(m, at + DOUBT) && regimes.isOnTheWay(m, at + REGIME, value, middle)
    const k = near >= 0 || onTheWay ? near : regimes.find(m, at + REGIME, value, size, Math.abs(value - middle))
    if (k >= 0 && regimes.hasStayed(m, at + REGIME, k)) this.doubted = true
    if (this.doubted && k >= 0 && regimes.isUsual(m, at + REGIME, k)) {
      if (doubts.isInDoubt(m, at + DOUBT)) regimes.cross(m, at + REGIME)
      this.go(m, at, k, value)
      doubts.arrive(m, at + DOUBT)
      this.compare(m, at, value, hour)
    } else if (onTheWay) this.doubted = this.onTheWay = true
  }

  /** How far a value is from what is usual at another time, in units of its spread; Infinity when nothing is. */
  private offSeason (m: Float64Array, at: number, value: number, time: number): number {
    const hour = this.beside.to(time), usual = seasonal.usual(m, at + SEASON, hour), tiny = TINY * Math.abs(value) || Number.MIN_VALUE
    return usual === usual ? Math.abs(value - usual) / Math.max(seasonal.spread(m, at + SEASON, hour), tiny) : Infinity
  }

  /** Puts into x how a value differs, and says whether it is in doubt. */
  private compare (m: Float64Array, at: number, value: number, hour: seasonal.Hour): void {
    const { x } = this
    const slow = m[at + SLOW_MEAN], middle = m[at + MIDDLE_MEAN], before = autoregressive.last(m, at + AR), changes = m[at + CHANGES]
    const fast = m[at + FAST_MEAN] + (value - m[at + FAST_MEAN]) / FAST
    const tiny = TINY * Math.max(Math.abs(slow), Math.abs(value)) || Number.MIN_VALUE
    const usual = seasonal.usual(m, at + SEASON, hour), known = usual === usual
    const spread = this.spread = Math.max(seasonal.spread(m, at + SEASON, hour), tiny), volatility = this.volatility = Math.max((m[at + ERROR] + m[at + ERRORS]) / 2, tiny)
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
    this.far = x[DYNAMICS] > CLIP && x[JUMP] > CLIP * Math.max(changes, tiny)
    this.doubted = this.far && (doubts.isInDoubt(m, at + DOUBT) || m[at + N] < START + tails.FIRST || this.isEvent(m, at, JUMP) && this.isEvent(m, at, DYNAMICS))
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

  private isEvent (m: Float64Array, at: number, k: number): boolean { return isEvent(tails.unlikely(m, at + TAILS + k * tails.TAIL, this.x[k]), m[at + N]) }

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
    if (!doubted || m[at + CHANGES] > 0) {
      const slower = doubted ? 1 / SLOW : bySlow
      m[at + CHANGE] += (change - m[at + CHANGE]) / FAST
      m[at + CHANGES] += (change - m[at + CHANGES]) * slower
      m[at + ERROR] += (size - m[at + ERROR]) * (doubted ? 1 / MIDDLE : byMiddle)
      m[at + ERRORS] += (size - m[at + ERRORS]) * slower
    }
    m[at + FAST_MEAN] += (believed - m[at + FAST_MEAN]) / FAST
    m[at + MIDDLE_MEAN] += (believed - m[at + MIDDLE_MEAN]) * byMiddle
    m[at + SLOW_MEAN] += (believed - slow) * bySlow
    this.doubt(m, at, value)
  }

  /** A pause counts as at most CLIP usual intervals: a device that was off for months is no slow one. */
  private pause (span: number, usual: number): number { return usual > 0 && span > CLIP * usual ? CLIP * usual : span }

  /** Keeps the first START values; of all of them level and scale begin. The scale is the median distance from the median, or when that is 0 the mean of all changes but the two largest. */
  private begin (m: Float64Array, at: number, value: number, n: number): void {
    m[at + TAILS + n - 1] = value
    if (n < START) return
    const first = m.slice(at + TAILS, at + TAILS + START), changes = first.subarray(1).map((x, i) => Math.abs(x - first[i])).sort(), level = median(first.sort())
    const scale = median(first.map(x => Math.abs(x - level)).sort()) || changes.subarray(0, START - 3).reduce((a, b) => a + b) / (START - 3)
    this.start(m, at, level, scale)
  }

  /** All begins with a level and a scale, but what is known of hours and of other levels. */
  private start (m: Float64Array, at: number, level: number, scale: number): void {
    m[at + N] = START
    m[at + KNOWN] = 0
    m.fill(0, at + AR, at + AR + autoregressive.AUTOREGRESSION)
    m[at + CHANGE] = m[at + CHANGES] = m[at + ERROR] = m[at + ERRORS] = scale
    seasonal.begin(m, at + SEASON, scale)
    this.settle(m, at, level)
    for (let k = 0; k <= K; k++) {
      m.set(NO_TAIL, at + TAILS + k * tails.TAIL)
      m[at + TAILS + k * tails.TAIL] = Infinity
    }
  }

  /** What is in doubt, and goes on. */
  private doubt (m: Float64Array, at: number, value: number): void {
    if (!this.doubted) {
      if (doubts.isInDoubt(m, at + DOUBT)) regimes.meet(m, at + REGIME, doubts.mean(m, at + DOUBT), m[at + CHANGES])
      return doubts.pass(m, at + DOUBT)
    }
    doubts.take(m, at + DOUBT, value, this.predicted, m[at + CHANGES])
    if (!doubts.isOver(m, at + DOUBT)) return
    doubts.end(m, at + DOUBT)
    this.change(m, at, doubts.mean(m, at + DOUBT), doubts.scatter(m, at + DOUBT))
  }

  /**
   * The level has changed for good. If the series has not been there it may have another size of changes too: that of the readings in
   * doubt, when it differs by more than theirs may by chance. What never varied, or has just begun, had nothing to learn from: it begins anew.
   */
  private change (m: Float64Array, at: number, level: number, scatter: number): void {
    const size = m[at + CHANGES], anew = m[at + N] < START + tails.FIRST + doubts.PATIENCE || size === 0 && scatter > 0, ratio = scatter / size
    if (this.go(m, at, regimes.find(m, at + REGIME, level, Math.max(size, scatter), Math.abs(level - m[at + MIDDLE_MEAN])), level, anew) && !anew) return
    if (anew) return this.start(m, at, level, scatter)
    this.settle(m, at, level)
    if (ratio > ALIKE || ratio < 1 / ALIKE) this.resize(m, at, scatter, m[at + ERRORS] * ratio)
  }

  /** The series goes with a value to the regime at place k, and is there as it was there; its level may be another. False if it has not stayed there before, or has no place: then nothing is known but the level, if that. */
  private go (m: Float64Array, at: number, k: number, value: number, early = false): boolean {
    const there = regimes.leave(m, at + REGIME, k, { level: m[at + SLOW_MEAN], size: doubts.isNew(m, at + DOUBT) && !regimes.isKnown(m, at + REGIME) ? -1 : m[at + CHANGES], error: m[at + ERRORS] }, early)
    if (there === undefined) return false
    this.settle(m, at, Math.abs(value - there.level) > regimes.WIDTH * Math.max(there.size, m[at + CHANGES]) ? value : there.level)
    if (there.size < 0) return false
    this.resize(m, at, there.size, there.error)
    return true
  }

  /** Changes and errors are of another size from now on, and what counts in their unit is as large. */
  private resize (m: Float64Array, at: number, size: number, error: number): void {
    const by = regimes.ratio(size, m[at + CHANGES])
    m[at + CHANGE] = m[at + CHANGES] = size
    m[at + ERROR] = m[at + ERRORS] = error
    if (by === 1) return
    autoregressive.rescale(m, at + AR, by)
    for (let k = JUMP; k <= DRIFT; k++) tails.rescale(m, at + TAILS + k * tails.TAIL, by)
  }

  private settle (m: Float64Array, at: number, level: number): void {
    m[at + FAST_MEAN] = m[at + MIDDLE_MEAN] = m[at + SLOW_MEAN] = level
    autoregressive.begin(m, at + AR, level)
  }

  /** The tails take in what was scored, number n of each but the season's. */
  private calibrate (m: Float64Array, at: number, n: number): void {
    const { x } = this
    const first = weightAt(m[at + BAR]), weight = weightAt(m[at + BAR] = barAfter(m[at + BAR], this.evidence)), gain = n < tails.MEMORY ? first / n : first / tails.MEMORY
    const known = this.seasonal ? ++m[at + KNOWN] : 0, again = this.doubted && (this.onTheWay || doubts.isInDoubt(m, at + DOUBT) || m[at + CHANGES] === 0)
    for (let k = 0, t = at + TAILS; k < K; k++, t += tails.TAIL) {
      const seen = k === SEASONAL ? known : n
      if (seen <= tails.FIRST) { if (seen > 0) tails.begin(m, t, x[k], seen) }
      else if (!again) tails.learn(m, t, x[k], k === SEASONAL ? first / Math.min(known, tails.MEMORY) : gain, weight, tails.EXCESSES)
    }
    if (n === tails.FIRST) tails.start(m, at + LAST, 0, tails.DECADE, tails.EXCESSES)
    else if (n > tails.FIRST && !again) tails.learn(m, at + LAST, this.largest, gain, first, tails.MOST)
  }
}
