import { prefixed } from './fields.ts'
import { Finding } from './finding.ts'
import * as chains from './runs.ts'
import { LIMIT } from './tail.ts'

/**
 * Clipping: a largest or smallest value that is come to again and again and not passed. Touches of it, within WINDOW readings, are
 * compared with those of any value, as runs (runs.ts): of coarse values any is come to often. 128 bytes per series.
 */
const extreme = { value: NaN, touches: 0, since: 0, age: 0 }      // since: readings since it was there; age: readings of this window
const VALUE = 0, TOUCHES = 1, SINCE = 2, AGE = 3, SIDE = Object.keys(extreme).length
export const clipping: Readonly<Record<string, number>> = { ...prefixed('upper', extreme), ...prefixed('lower', extreme), ...prefixed('any', extreme), ...prefixed('runs', chains.runs) }
export const CLIPPING_WIDTH = Object.keys(clipping).length
const UPPER = 0, LOWER = SIDE, ANY = 2 * SIDE, RUNS = 3 * SIDE

const PATIENCE = 100                 // readings after which a largest value that did not come again is one of the past
const WINDOW = 200                   // readings in which touches are counted
const TOUCHED = 3                    // evidence of touches that makes a run of repeats clipping

export class Clipping {
  readonly finding = new Finding()     // size: touches, negative for those of a smallest value

  begin (m: Float64Array, at: number, value: number): void { m[at + UPPER] = m[at + LOWER] = m[at + ANY] = value }

  /** `change` since the reading before; `stuck` is the evidence that it is held. Touches as unlikely as `limit` are not believed. */
  take (m: Float64Array, at: number, value: number, change: number, stuck: number, limit: number): void {
    this.finding.say(0, 0)
    this.returns(m, at + ANY, at + RUNS, value, change, limit)
    this.touches(m, at + UPPER, at + RUNS, value, change, stuck, 1)
    this.touches(m, at + LOWER, at + RUNS, value, change, stuck, -1)
  }

  /** How often any value is come to again. */
  private returns (m: Float64Array, side: number, runs: number, value: number, change: number, limit: number): void {
    if (value === m[side + VALUE] && change !== 0) m[side + TOUCHES]++
    const touches = m[side + TOUCHES]
    if (touches === 0) chains.calm(m, runs, false)
    if (++m[side + AGE] < WINDOW) return
    if (touches > 0 && chains.unlikely(m, runs, touches) < limit) chains.learn(m, runs, touches)
    renew(m, side, value)
  }

  /** One side: `sign` 1 for the largest value, -1 for the smallest. */
  private touches (m: Float64Array, side: number, runs: number, value: number, change: number, stuck: number, sign: number): void {
    const beyond = sign * (value - m[side + VALUE]), held = beyond === 0 && change === 0
    if (beyond > 0 || m[side + SINCE] >= PATIENCE) return renew(m, side, value)
    if (++m[side + AGE] > WINDOW && !held) m[side + TOUCHES] = m[side + AGE] = 0      // nothing is forgotten of a value that is held
    m[side + SINCE] = beyond === 0 ? 0 : m[side + SINCE] + 1
    if (beyond < 0) return
    if (!held) m[side + TOUCHES]++
    const evidence = Math.min(chains.unlikely(m, runs, m[side + TOUCHES]), LIMIT)
    this.say(held ? evidence < TOUCHED ? 0 : stuck : evidence, sign * m[side + TOUCHES])      // held where it was come to and left before: no stuck one
  }

  private say (evidence: number, size: number): void { if (evidence >= this.finding.evidence) this.finding.say(evidence, size) }
}

function renew (m: Float64Array, side: number, value: number): void {
  m[side + VALUE] = value
  m[side + TOUCHES] = m[side + SINCE] = m[side + AGE] = 0
}
