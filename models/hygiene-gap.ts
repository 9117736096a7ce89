import { prefixed } from './fields.ts'
import { Finding } from './hygiene-finding.ts'
import { STAY } from './hygiene-levels.ts'
import * as spells from './hygiene-spell.ts'
import * as recurrences from './recurrence.ts'

/** Gap: readings that did not come, a spell of missed ones, in usual intervals. The usual interval (ms) is a median, tracked by its sign. A pause of the whole device is none when it was as long twice (recurrence.ts). 96 bytes per series. */
export const gap: Readonly<Record<string, number>> = { interval: 0, excused: 0, ...prefixed('spell', spells.spell), ...prefixed('pause', recurrences.recurrence) }
export const GAP_WIDTH = Object.keys(gap).length
const INTERVAL = 0, EXCUSED = 1, SPELL = 2, PAUSES = SPELL + spells.SPELL

const SLOW = 1000                    // intervals that the median goes back

export class Gap {
  readonly finding = new Finding()     // size: readings missing
  private missed = 0
  private doubt = 0

  /** ms, as learned; 0 before two readings. */
  interval (m: Float64Array, at: number): number { return m[at + INTERVAL] }

  /** The next interval tells nothing: nobody has listened. */
  excuse (m: Float64Array, at: number): void { m[at + EXCUSED] = 1 }

  /** -log10 of the probability that so many readings in a row are missed; `asleep`: the whole device gave none. */
  missing (m: Float64Array, at: number, missed: number, asleep: boolean): number { return asleep && missed <= recurrences.usual(m, at + PAUSES) ? 0 : spells.unlikely(m, at + SPELL, missed) }

  /** At least so many must be missed to be as unlikely as that. */
  patience (m: Float64Array, at: number, limit: number): number { return spells.longest(m, at + SPELL, limit) }

  /** Learns interval `n` (from 1 on), in ms; one that goes back is none. */
  pace (m: Float64Array, at: number, span: number, n: number): void {
    if (!(span > 0)) return
    const usual = m[at + INTERVAL]
    m[at + INTERVAL] = n === 1 || usual === 0 ? span : usual * (1 + Math.sign(span - usual) * Math.max(1 / n, 1 / SLOW) / 2)
  }

  /** A reading `slots` usual intervals behind the one before. `explained`: by a clock that has jumped. `told`: has been said already. `asleep`: of the whole device there was none meanwhile. */
  take (m: Float64Array, at: number, slots: number, explained: boolean, told: boolean, asleep: boolean, limit: number): void {
    this.missed = m[at + EXCUSED] === 1 || explained ? 0 : slots - 1
    m[at + EXCUSED] = 0
    this.doubt = this.missing(m, at, this.missed, false)
    this.finding.say(told ? 0 : this.missing(m, at, this.missed, asleep), this.missed)
    if (this.doubt < limit) spells.learn(m, at + SPELL, this.missed)
    else if (asleep && this.missed >= STAY) recurrences.learn(m, at + PAUSES, this.missed)
  }

  learn (m: Float64Array, at: number, n: number): void { spells.learnTail(m, at + SPELL, this.missed, n, this.doubt) }
}
