import { prefixed } from './fields.ts'
import { Finding } from './hygiene-finding.ts'
import * as spells from './hygiene-spell.ts'

/** Stuck: the same value again and again, a spell of repeats. 72 bytes per series. */
export const stuck: Readonly<Record<string, number>> = { repeats: 0, ...prefixed('spell', spells.spell) }
export const STUCK_WIDTH = Object.keys(stuck).length
const REPEATS = 0, SPELL = 1

export class Stuck {
  readonly finding = new Finding()     // size: readings alike
  private ended = 0                    // length of the spell that this reading has ended
  private doubt = 0

  /** `change` since the reading before; a spell as unlikely as `limit` is not believed. */
  take (m: Float64Array, at: number, change: number, limit: number): void {
    this.ended = this.doubt = 0
    if (change === 0) {
      const repeats = ++m[at + REPEATS]
      return this.finding.say(spells.unlikely(m, at + SPELL, repeats), repeats + 1)
    }
    this.ended = m[at + REPEATS]
    this.doubt = spells.unlikely(m, at + SPELL, this.ended)
    if (this.doubt < limit) spells.learn(m, at + SPELL, this.ended)
    m[at + REPEATS] = 0
    this.finding.say(0, 1)
  }

  learn (m: Float64Array, at: number, n: number): void { spells.learnTail(m, at + SPELL, this.ended, n, this.doubt) }
}
