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
import { Step } from './autoregression.ts'
import { LARGEST } from './largest.ts'
import { isTold, spentAfter } from './news.ts'
import { learn } from './portfolio-learning.ts'
import { places } from './portfolio-memory.ts'
import { score } from './portfolio-scoring.ts'
import { Hour } from './season.ts'
import { TAIL, unlikely } from './tail.ts'
export { portfolio, signals } from './portfolio-memory.ts'

const { N, INTERVAL, BAR, SPENT, START, K, TAILS } = places

const limited = (x: number): number => x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x

/** Works on the memory of one series after the other, at `at` in m: `read`, then `score` unless it is the first of the series, `alarm` if wanted, and `learn`. `score` leaves its findings in the fields. */
export class Portfolio {
  evidence = 0                       // -log10 of the p-value, 0 for the usual 98 %, at most 16
  news = false                       // whether that exceeds the bar
  signal = -1                        // the one that spoke, by its place in `signals`; -1 for none
  low = NaN                          // where 98 % of values are expected, by the narrowest of jump, level, season and dynamics
  high = NaN
  usual = NaN                        // at this hour; NaN when nothing is
  // Between the steps. Numbers are handed on here: V8 copies those that a function is called with to the heap, unless it inlines the function.
  value = 0
  time = 0
  clock = 0
  readonly x = new Float64Array(K)   // what the signals say; of `noise` 0 when it is surely below the threshold of its tail
  unusual = false                    // whether one of these exceeds the threshold of its tail
  largest = 0                        // -log10 p of a signal
  predicted = 0                      // by the autoregression
  off = 0                            // from the season
  fast = 0                           // what the mean of FAST readings comes to with the value
  change = 0                         // and that of FAST changes
  spread = 0
  volatility = 0
  seasonal = false                   // whether something is usual at this hour
  far = false                        // from what is expected and from the last value
  doubted = false
  onTheWay = false                   // from one regime to another
  gain = 0                           // of a mean of SLOW readings
  readonly hour = new Hour()
  readonly beside = new Hour()
  readonly step = new Step()

  /** What comes next: a finite value, at a time in ms since 1970; `clock` is what clocks read there then, likewise: hours and days go by it. */
  read (value: number, time: number, clock = time): void {
    this.value = limited(value)
    this.time = time
    this.clock = clock
  }

  /** Judges it. */
  score (m: Float64Array, at: number): void {
    if (m[at + N] < START) this.know()
    else score(m, at, this)
  }

  /**
   * Whether what was scored last is an alarm, when chance may give `alarms` in `per` ms: so unlikely, and news, or the first of
   * its event that is so unlikely, which makes it news.
   */
  alarm (m: Float64Array, at: number, alarms: number, per: number): boolean {
    const spent = m[at + SPENT]
    if (this.evidence === 0 && spent === 0) return false
    const chance = alarms * m[at + INTERVAL] / per, told = this.evidence > 0 && isTold(m[at + BAR], this.evidence, this.news, spent - Math.log10(chance))
    m[at + SPENT] = spentAfter(spent, chance, told)
    if (told) this.news = true
    return told
  }

  /** What the signal `k` alone says of what was scored last and is not learned yet: -log10 of how rarely it is as large, 0 for the usual 98 %. */
  part (m: Float64Array, at: number, k: number): number { return unlikely(m, at + TAILS + k * TAIL, this.x[k]) }

  /** Takes it in. A time older than the newest counts as the newest. */
  learn (m: Float64Array, at: number): void { learn(m, at, this) }

  /** Nothing is known of what was to be scored. */
  private know (): void {
    this.evidence = 0
    this.news = false
    this.signal = -1
    this.low = this.high = NaN
  }
}
