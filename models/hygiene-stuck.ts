import { prefixed } from './fields.ts'
import { Finding } from './hygiene-finding.ts'
import * as resting from './hygiene-rests.ts'
import * as spells from './hygiene-spell.ts'
import * as nature from './hygiene-still.ts'

/** Stuck: the same value again and again, a spell of repeats, where it does not rest as long (hygiene-rests.ts) nor stands still by nature (hygiene-still.ts). 168 bytes per series. */
export const stuck: Readonly<Record<string, number>> = { repeats: 0, ...prefixed('spell', spells.spell), ...resting.rests, ...nature.still }
export const STUCK_WIDTH = Object.keys(stuck).length
const REPEATS = 0, SPELL = 1, RESTS = SPELL + spells.SPELL, STILL = STUCK_WIDTH - nature.STILL

export class Stuck {
  readonly finding = new Finding()     // size: readings alike
  private ended = 0                    // length of the spell that this reading has ended
  doubt = 0                            // of the spell that goes on, or has ended, among short ones

  /** `before` is the value of the reading before; a spell as unlikely as `limit` is not believed. */
  take (m: Float64Array, at: number, value: number, before: number, limit: number): void {
    this.ended = this.doubt = 0
    if (value === before) {
      const repeats = ++m[at + REPEATS]
      this.doubt = spells.unlikely(m, at + SPELL, repeats)
      return this.finding.say(this.doubt < limit ? this.doubt : repeats > resting.usual(m, at + RESTS, value) ? Math.min(this.doubt, nature.unlikely(m, at + STILL, repeats)) : 0, repeats + 1)
    }
    this.ended = m[at + REPEATS]
    this.doubt = spells.unlikely(m, at + SPELL, this.ended)
    if (this.doubt < limit) {
      spells.learn(m, at + SPELL, this.ended)
      nature.move(m, at + STILL, this.ended)
    } else {
      nature.stand(m, at + STILL, this.ended, resting.times(m, at + RESTS, before))
      resting.learn(m, at + RESTS, before, this.ended)
    }
    m[at + REPEATS] = 0
    this.finding.say(0, 1)
  }

  learn (m: Float64Array, at: number, n: number): void { spells.learnTail(m, at + SPELL, this.ended, n, this.doubt) }
}
