import { prefixed } from './fields.ts'
import { Finding } from './finding.ts'
import * as steps from './step.ts'
import { FIRST, LIMIT } from './tail.ts'

/**
 * Unit: a jump to where a known conversion leads (units.ts), with changes as much larger. Each jump that is not believed is
 * looked at for some readings, see step.ts, with the level and the size of changes before it. 72 bytes per series.
 */
export const unit: Readonly<Record<string, number>> = { level: 0, changes: 0, ...prefixed('trial', steps.step) }
export const UNIT_WIDTH = Object.keys(unit).length
const LEVEL = 0, CHANGES = 1, TRIAL = 2

const SLOW = 1000, FAST = 10         // readings that the size of changes and the level go back
const REACH = 10                     // usual sizes: a change teaches no more

export class Unit {
  readonly finding = new Finding()     // size: the factor

  begin (m: Float64Array, at: number, value: number): void { m[at + LEVEL] = value }

  /** `rate` is the evidence of the change that led here. */
  take (m: Float64Array, at: number, value: number, change: number, rate: number, limit: number): void {
    const trial = at + TRIAL
    this.finding.say(0, 0)
    if (!steps.underWay(m, trial)) {
      if (rate >= limit) steps.begin(m, trial, value, m[at + LEVEL], m[at + CHANGES], rate)
      return
    }
    const jump = steps.go(m, trial, value, Math.abs(change))
    if (jump === undefined) return
    this.finding.say(Math.min(jump.evidence, LIMIT), jump.factor)
    m[at + LEVEL] = jump.level
    if (this.finding.evidence >= limit) m[at + CHANGES] *= jump.factor
  }

  /** The level is not learned while a jump is looked at. */
  settle (m: Float64Array, at: number, value: number, n: number): void {
    if (!steps.underWay(m, at + TRIAL)) m[at + LEVEL] += (value - m[at + LEVEL]) / Math.min(n + 1, FAST)
  }

  /** Learns change `n`, from 1 on. */
  learn (m: Float64Array, at: number, change: number, n: number): void {
    const usual = m[at + CHANGES], moved = Math.abs(change)
    m[at + CHANGES] += ((n > FIRST ? Math.min(moved, REACH * usual) : moved) - usual) / Math.min(n, SLOW)
  }
}
