import { prefixed } from './fields.ts'
import { Finding } from './hygiene-finding.ts'
import { weightOf } from './news.ts'
import * as tails from './tail.ts'

/**
 * Changes from reading to reading, in two ways, each with a tail (tail.ts):
 *
 *   rate      the size of the last change, for each usual interval
 *   spike     out and back: how far a reading was off the level before it, or the change back where that is smaller; known with the
 *             reading behind it, which is nearer to that level than to the spike
 *
 * The level is smoothed exponentially, as is best for a random walk read with noise (Muth 1960, Optimal properties of exponentially
 * weighted forecasts): white noise is judged against the mean of some readings, and a random walk against the reading before. How much
 * of either it is says the correlation of two changes in a row, from how often they turn (2 of 3 for white noise of any distribution,
 * 1 of 2 for a random walk), by the arcsine law (Sheppard 1899). A spike has no part in the level, and where a change leads that is not
 * believed and does not come back, it begins anew.
 *
 * A reading that repeats the one before tells nothing of how large changes are: the tails are of those that change; from
 * the second on, as the first change of a series that was constant from its birth begins it.
 * Behind a change that is not believed nothing is to be learned of changes for a while; unless that goes on: then it is usual.
 * 120 bytes per series.
 */
export const changes: Readonly<Record<string, number>> = { count: -1, step: 0, off: 0, turns: 0.5, rated: 0, mute: 0, muted: 0, ...prefixed('spike', tails.unheard), ...prefixed('rate', tails.unheard) }
export const CHANGES_WIDTH = Object.keys(changes).length
const COUNT = 0, STEP = 1, OFF = 2, TURNS = 3, RATED = 4, MUTE = 5, MUTED = 6, SPIKE = 7, RATE = SPIKE + tails.TAIL      // count: changes learned; step, rated: the change before, and its evidence; off: of the reading, from the level before it; turns: the share of changes that go back

const PATIENCE = 100                 // readings behind a change that is not believed
const SUSPENDED = 1000               // readings that nothing is learned, at most
const KEEP = 0.8                     // of the level in a reading, at most: it goes back five

export class Changes {
  readonly spike = new Finding()       // size: height
  readonly rate = new Finding()        // size: change
  private height = 0
  private pace = 0
  private turned = NaN                 // whether the change goes back, 0 or 1; NaN beside a repeat
  possible = true                      // the change, as far as the author knows
  private rated = 0                    // evidence of the change, also of one that is excused
  private doubt = 0                    // of a spike, by its tail

  /** `change` within `slots` usual intervals. `most` is physically possible, Infinity when that is not known. What is as unlikely as `limit` is no part of the level. */
  take (m: Float64Array, at: number, change: number, slots: number, most: number, limit: number): void {
    const before = m[at + STEP], off = m[at + OFF], moved = Math.abs(change), away = Math.abs(off)
    this.pace = moved / slots
    this.turned = change === 0 || before === 0 ? NaN : Number(change * before < 0)
    this.height = change * off < 0 && moved >= away / 2 ? Math.min(moved, away) : 0
    this.possible = !(moved > most)
    this.rate.say(!this.possible ? tails.LIMIT : tails.unlikely(m, at + RATE, this.pace), change)
    this.doubt = tails.unlikely(m, at + SPIKE, this.height)
    const both = this.height > 0 && this.turned === 1 ? Math.min(this.rate.evidence, m[at + RATED]) : 0      // each of the two is too large
    this.spike.say(Math.max(this.doubt, both), Math.sign(off) * this.height)
    const level = this.spike.evidence >= limit ? off : m[at + RATED] >= limit ? 0 : kept(m[at + TURNS]) * off
    m[at + OFF] = level + change
    m[at + RATED] = this.rated = this.rate.evidence
    m[at + STEP] = change
  }

  /** Whether nothing is to be learned of this reading. A change as unlikely as `limit` is not believed. */
  suspended (m: Float64Array, at: number, limit: number): boolean {
    if (this.rate.evidence >= limit || this.spike.evidence >= limit) m[at + MUTE] = PATIENCE
    else if (m[at + MUTE] > 0) m[at + MUTE]--
    m[at + MUTED] = m[at + MUTE] > 0 ? m[at + MUTED] + 1 : 0
    return m[at + MUTE] > 0 && m[at + MUTED] <= SUSPENDED
  }

  learn (m: Float64Array, at: number): void {
    if (m[at + STEP] === 0) return
    const n = ++m[at + COUNT]
    if (n < 1) return
    if (!Number.isNaN(this.turned)) m[at + TURNS] += (this.turned - m[at + TURNS]) / Math.min(n, tails.MEMORY)
    tails.take(m, at + SPIKE, this.height, n, weightOf(this.doubt))
    tails.take(m, at + RATE, this.pace, n, weightOf(this.rated))
  }
}

/** What exponential smoothing keeps of the level in a reading where this share of changes turns: that of which two changes in a row are so correlated. */
function kept (turns: number): number {
  const against = Math.sin(Math.PI * (turns - 0.5))      // minus the correlation
  if (!(against > 0)) return 0
  return against >= KEEP / (1 + KEEP * KEEP) ? KEEP : (1 - Math.sqrt(1 - 4 * against * against)) / (2 * against)
}
