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
 * Behind a change that is not believed nothing is to be learned of changes for a while; unless that goes on: then it is usual.
 * 96 bytes per series.
 */
export const changes: Readonly<Record<string, number>> = { step: 0, rated: 0, mute: 0, muted: 0, ...prefixed('spike', tails.unheard), ...prefixed('rate', tails.unheard) }
export const CHANGES_WIDTH = Object.keys(changes).length
const STEP = 0, RATED = 1, MUTE = 2, MUTED = 3, SPIKE = 4, RATE = SPIKE + tails.TAIL      // step, rated: the change before, and its evidence

const PATIENCE = 100                 // readings behind a change that is not believed
const SUSPENDED = 1000               // readings that nothing is learned, at most

export class Changes {
  readonly spike = new Finding()       // size: height
  readonly rate = new Finding()        // size: change
  private opposite = 0
  private pace = 0
  private doubt = 0                    // of a spike, by its tail

  /** `change` within `slots` usual intervals. `most` is physically possible, Infinity when that is not known. */
  take (m: Float64Array, at: number, change: number, slots: number, most: number): void {
    const before = m[at + STEP], moved = Math.abs(change), opposite = change * before < 0
    this.pace = moved / slots
    this.opposite = opposite ? Math.min(moved, Math.abs(before)) : 0
    this.rate.say(moved > most ? tails.LIMIT : tails.unlikely(m, at + RATE, this.pace), change)
    this.doubt = tails.unlikely(m, at + SPIKE, this.opposite)
    const both = opposite ? Math.min(this.rate.evidence, m[at + RATED]) : 0      // each of the two is too large
    this.spike.say(Math.max(this.doubt, both), Math.sign(before) * this.opposite)
    m[at + RATED] = this.rate.evidence
    m[at + STEP] = change
  }

  /** Whether nothing is to be learned of this reading. A change as unlikely as `limit` is not believed. */
  suspended (m: Float64Array, at: number, limit: number): boolean {
    if (this.rate.evidence >= limit || this.spike.evidence >= limit) m[at + MUTE] = PATIENCE
    else if (m[at + MUTE] > 0) m[at + MUTE]--
    m[at + MUTED] = m[at + MUTE] > 0 ? m[at + MUTED] + 1 : 0
    return m[at + MUTE] > 0 && m[at + MUTED] <= SUSPENDED
  }

  learn (m: Float64Array, at: number, n: number): void {
    tails.take(m, at + SPIKE, this.opposite, n, weightOf(this.doubt))
    tails.take(m, at + RATE, this.pace, n, weightOf(this.rate.evidence))
  }
}
