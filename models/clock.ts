import { prefixed } from './fields.ts'
import { Finding } from './finding.ts'
import * as chains from './runs.ts'
import { LIMIT } from './tail.ts'

/**
 * Clock: time that goes back and goes on from there, as a run of intervals gone back (runs.ts); and its return. A reading that is
 * older than the one before may be a straggler: it is said when the next one goes on from there. 64 bytes per series.
 */
export const clock: Readonly<Record<string, number>> = { time: -Infinity, newest: -Infinity, back: 0, offset: 0, ...prefixed('runs', chains.runs) }
export const CLOCK_WIDTH = Object.keys(clock).length
const TIME = 0, NEWEST = 1, BACK = 2, OFFSET = 3, RUNS = 4      // back: ms that the reading before has gone back; offset: that the clock is behind

export class Clock {
  readonly finding = new Finding()     // size: ms, negative for back

  newest (m: Float64Array, at: number): number { return m[at + NEWEST] }

  /** ms since the reading before; when that was a straggler, since the newest. */
  span (m: Float64Array, at: number, time: number): number {
    const straggled = m[at + BACK] > 0 && time > m[at + NEWEST]
    return time - m[at + (straggled ? NEWEST : TIME)]
  }

  /** A reading `span` ms behind the one before, where `usual` is usual. A jump as unlikely as `limit` is not believed. */
  take (m: Float64Array, at: number, time: number, span: number, usual: number, limit: number): void {
    const back = m[at + BACK], intervals = (ms: number) => usual > 0 ? Math.round(ms / usual) : 0
    this.finding.say(0, 0)
    m[at + BACK] = 0
    if (back > 0 && time < m[at + NEWEST] && span >= 0 && intervals(span) < intervals(back)) {
      this.jump(m, at, intervals(back), -back)
      if (this.finding.evidence >= limit) m[at + OFFSET] -= back
      else chains.learn(m, at + RUNS, intervals(back))
    } else if (span < 0) m[at + BACK] = usual - span
    else {
      chains.learn(m, at + RUNS, 0)
      const jumped = span - usual
      if (m[at + OFFSET] < 0 && intervals(jumped) > 0 && intervals(Math.abs(jumped + m[at + OFFSET])) <= 1) {
        this.jump(m, at, intervals(jumped), jumped)
        m[at + OFFSET] = 0
      }
    }
    this.arrive(m, at, time)
  }

  arrive (m: Float64Array, at: number, time: number): void {
    if (time > m[at + NEWEST]) m[at + NEWEST] = time
    m[at + TIME] = time
  }

  private jump (m: Float64Array, at: number, intervals: number, ms: number): void {
    this.finding.say(Math.min(chains.unlikely(m, at + RUNS, intervals), LIMIT), ms)
  }
}
