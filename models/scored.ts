/**
 * The score of a row, of any scale, the larger the stranger, as a p-value: how high it stands among those before (standing.ts),
 * a tail of that, and what is news of it (fusion.ts). 96 bytes.
 */
import { prefixed } from './fields.ts'
import { Fusion, fusion } from './fusion.ts'
import { learnStanding, standing, standingOf } from './standing.ts'

const fused = fusion(['score']), STANDING = Object.keys(fused).length

/** The memory of one stream of rows. */
export const scored: Readonly<Record<string, number>> = { ...fused, ...prefixed('standing', standing) }
export const SCORED = Object.keys(scored).length

/** Works on the memory of one stream after the other. First `judge`, then `learn`. */
export class Scored {
  readonly fusion = new Fusion(1)    // what it says of the score that was judged last
  private score = 0

  judge (m: Float64Array, at: number, score: number): void {
    this.score = score
    this.fusion.x[0] = standingOf(m, at + STANDING, score)
    this.fusion.score(m, at)
  }

  /** Takes in the score that was judged last, of a row at `time` (ms). */
  learn (m: Float64Array, at: number, time: number): void {
    this.fusion.learn(m, at)
    learnStanding(m, at + STANDING, this.score)
    this.fusion.pass(m, at, time)
  }
}
