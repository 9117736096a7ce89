/**
 * Several numbers >= 0 about one thing, each large when something is odd, become one p-value. Each (signal) has a tail of its own
 * (tail.ts); the strongest speaks, and a last tail, on the largest -log10 p, corrects for there being several: at first as if they were
 * independent, later for what they have to do with each other. One signal alone needs none. What goes on is no news (news.ts).
 */
import { prefixed } from './fields.ts'
import { barAfter, isNews, isTold, weightAt } from './news.ts'
import * as tails from './tail.ts'

const LEAST = -Math.log10(tails.SHARE)     // the largest is 0 or about so much: between them its tail says nothing
const GAPS = 1000                    // that the mean interval goes back

const own = { n: 0, rows: 0, newest: -Infinity, interval: 0, bar: 0 }
const ROWS = 1, NEWEST = 2, INTERVAL = 3, BAR = 4, TAILS = 5

/** The memory of one stream: `n` rows learned of all `rows`, the newest at `newest` (ms), `interval` ms apart on average; the bar that news has to exceed; the tails. */
export const fusion = (signals: readonly string[]): Readonly<Record<string, number>> => ({
  ...own, ...Object.assign({}, ...(signals.length > 1 ? [...signals, 'last'] : signals).map(name => prefixed(`tail_${name}`, tails.tail)))
})

/** Works on the memory of one stream after the other. Put numbers, best such that are exponential when all is usual, into x, then `score`, `alarm`, `learn` and `pass`. */
export class Fusion {
  readonly x: Float64Array           // the signals; 0 says nothing
  evidence = 0                       // -log10 of the p-value, 0 for the usual 98 %, at most 16
  news = false                       // whether that exceeds the bar
  signal = -1                        // the one that spoke; -1 for none
  private largest = 0

  constructor (signals: number) { this.x = new Float64Array(signals) }

  score (m: Float64Array, at: number): void {
    const { x } = this
    let t = at + TAILS, largest = 0, signal = -1
    if (m[at] >= tails.FIRST) {
      for (let k = 0; k < x.length; k++, t += tails.TAIL) {
        const evidence = tails.unlikely(m, t, x[k])
        if (evidence > largest) { largest = evidence; signal = k }
      }
    }
    this.largest = largest
    this.evidence = x.length === 1 ? largest : m[at] > tails.FIRST ? tails.unlikely(m, at + TAILS + x.length * tails.TAIL, largest) : 0
    this.signal = this.evidence > 0 ? signal : -1
    this.news = isNews(m[at + BAR], this.evidence)
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

  /** How far what was scored last may pull: 1 up to the threshold of each signal, above it threshold / number, of the worst. */
  weight (m: Float64Array, at: number): number {
    let weight = 1
    if (m[at] >= tails.FIRST) for (let k = 0, t = at + TAILS; k < this.x.length; k++, t += tails.TAIL) if (m[t] > 0 && this.x[k] * weight > m[t]) weight = m[t] / this.x[k]
    return weight
  }

  /** The tails take in what was scored last. */
  learn (m: Float64Array, at: number): void {
    const { x } = this, n = ++m[at], last = at + TAILS + x.length * tails.TAIL
    const weight = weightAt(m[at + BAR]), gain = weight / Math.min(n, tails.MEMORY)
    for (let k = 0, t = at + TAILS; k < x.length; k++, t += tails.TAIL) {
      if (n <= tails.FIRST) tails.begin(m, t, x[k], n)
      else tails.learn(m, t, x[k], gain, weight, tails.EXCESSES)
    }
    if (x.length === 1 || n < tails.FIRST) return
    if (n === tails.FIRST) return tails.start(m, last, Math.log10(x.length / tails.SHARE), tails.DECADE, tails.EXCESSES)
    tails.learn(m, last, this.largest, gain, weight, tails.MOST)
    if (m[last] < LEAST) m[last] = LEAST
  }

  /** The row that was scored last is over, whether it was learned or not. A time older than the newest counts as the newest. */
  pass (m: Float64Array, at: number, time: number): void {
    const gap = time - m[at + NEWEST], rows = ++m[at + ROWS]
    if (rows > 1) m[at + INTERVAL] += ((gap > 0 ? gap : 0) - m[at + INTERVAL]) / Math.min(rows - 1, GAPS)
    if (gap > 0) m[at + NEWEST] = time
    m[at + BAR] = barAfter(m[at + BAR], this.evidence)
  }
}
