import { prefixed } from './fields.ts'
import { Finding } from './hygiene-finding.ts'
import { weightOf } from './news.ts'
import * as tails from './tail.ts'

/**
 * Changes from reading to reading, in two ways, each with a tail (tail.ts):
 *
 *   rate      the size of the last change, for each usual interval
 *   spike     out and back: the smaller of two opposite changes in a row; known with the reading behind it
 *
 * A reading that repeats the one before tells nothing of how large changes are: the tails are of those that change; from
 * the second on, as the first change of a series that was constant from its birth begins it.
 * Behind a change that is not believed nothing is to be learned of changes for a while; unless that goes on: then it is usual.
 * 104 bytes per series.
 */
export const changes: Readonly<Record<string, number>> = { count: -1, step: 0, rated: 0, mute: 0, muted: 0, ...prefixed('spike', tails.unheard), ...prefixed('rate', tails.unheard) }
export const CHANGES_WIDTH = Object.keys(changes).length
const COUNT = 0, STEP = 1, RATED = 2, MUTE = 3, MUTED = 4, SPIKE = 5, RATE = SPIKE + tails.TAIL      // count: changes learned; step, rated: the change before, and its evidence

const PATIENCE = 100                 // readings behind a change that is not believed
const SUSPENDED = 1000               // readings that nothing is learned, at most

export class Changes {
  readonly spike = new Finding()       // size: height
  readonly rate = new Finding()        // size: change
  private opposite = 0
  private pace = 0
  possible = true                      // the change, as far as the author knows
  private rated = 0                    // evidence of the change, also of one that is excused
  private doubt = 0                    // of a spike, by its tail

  /** `change` within `slots` usual intervals. `most` is physically possible, Infinity when that is not known. */
  take (m: Float64Array, at: number, change: number, slots: number, most: number): void {
    const before = m[at + STEP], moved = Math.abs(change), opposite = change * before < 0
    this.pace = moved / slots
    this.opposite = opposite ? Math.min(moved, Math.abs(before)) : 0
    this.possible = !(moved > most)
    this.rate.say(!this.possible ? tails.LIMIT : tails.unlikely(m, at + RATE, this.pace), change)
    this.doubt = tails.unlikely(m, at + SPIKE, this.opposite)
    const both = opposite ? Math.min(this.rate.evidence, m[at + RATED]) : 0      // each of the two is too large
    this.spike.say(Math.max(this.doubt, both), Math.sign(before) * this.opposite)
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
    tails.take(m, at + SPIKE, this.opposite, n, weightOf(this.doubt))
    tails.take(m, at + RATE, this.pace, n, weightOf(this.rated))
  }
}
