import { prefixed } from './fields.ts'
import type { Finding } from './hygiene-finding.ts'
import { front, makeRoom, TWICE } from './hygiene-recent.ts'

/**
 * Levels that a series is switched to: what recurs is usual. Each change that is not believed leads to a level. One at which the
 * series then stays for STAY readings has come; when it has come TWICE, a change that leads there from elsewhere is a switch, and
 * no fault. A value is at the level from which it is the fewest spreads, mean absolute deviations, off, REACH at most. The level that it was led to
 * is learned for as long as the series is there, with an earlier stay counting as STAY readings.
 *
 * What does not stay is no level: a spike, a loose contact. A jump within one level is none between two.
 *
 * A switch may take TRANSIT readings, and changes meanwhile are part of it. A change from a level that has come TWICE towards another
 * is told when that has not been come to so long. 112 bytes per series.
 */
const level = { value: NaN, spread: 0, times: 0 }
const SLOTS = 3, WIDTH = Object.keys(level).length, VALUE = 0, SPREAD = 1, TIMES = 2
export const levels: Readonly<Record<string, number>> = { left: 0, evidence: 0, size: 0, origin: 0, stay: 0, ...Object.assign({}, ...Array.from({ length: SLOTS }, (_, k) => prefixed(`level${k}`, level))) }
export const LEVELS_WIDTH = Object.keys(levels).length
const LEFT = 0, EVIDENCE = 1, SIZE = 2, ORIGIN = 3, STAYED = 4, FIRST = 5      // a change not told yet: for so many readings, what will be told, the level that it came from; stay: readings since the level in front was led to, 0: none was yet

export const STAY = 100              // readings: less is no stay
const TRANSIT = 10
const REACH = 5                      // four standard deviations of normal noise
const MEMORY = 10_000                // readings that a level goes back

export class Levels {
  private slot = -1
  private before = -1

  /** Whether a change from `from` to `value` is a switch. */
  isSwitch (m: Float64Array, at: number, from: number, value: number): boolean {
    this.slot = slotOf(m, at, value)
    this.before = slotOf(m, at, from)
    return this.switches(m, at)
  }

  private switches (m: Float64Array, at: number): boolean { return this.slot >= 0 && this.slot !== this.before && m[at + FIRST + this.slot * WIDTH + TIMES] >= TWICE }

  /** Holds back what `rate` says of a change that is not believed (`jumped`) and was asked of `isSwitch`, or says what was held back. `back`: a spike explains it. */
  holdBack (m: Float64Array, at: number, from: number, value: number, jumped: boolean, back: boolean, rate: Finding): void {
    const is = jumped && this.switches(m, at)
    if (m[at + LEFT] === 0) {
      if (!is && !(jumped && this.leads(m, at, from, value))) return
      m[at + LEFT] = TRANSIT
      m[at + EVIDENCE] = is ? 0 : rate.evidence
      m[at + SIZE] = rate.size
      return rate.say(0, 0)
    }
    if (back) return void (m[at + LEFT] = 0)
    if (is || arrived(m, at, value)) m[at + EVIDENCE] = 0
    if (--m[at + LEFT] === 0 && m[at + EVIDENCE] > 0) rate.say(Math.max(rate.evidence, m[at + EVIDENCE]), m[at + SIZE])
    else if (jumped) rate.say(0, 0)
  }

  /** Whether a change leads from a level that has recurred towards another, and not beyond. */
  private leads (m: Float64Array, at: number, from: number, value: number): boolean {
    const slot = this.before >= 0 ? this.before : 0, origin = at + FIRST + slot * WIDTH, way = value - from
    if (m[at + STAYED] === 0 || m[origin + TIMES] < TWICE) return false
    for (let k = 0, level = at + FIRST; k < SLOTS; k++, level += WIDTH) {
      const whole = m[level + VALUE] - from
      if (k === slot || m[level + TIMES] < TWICE || way * whole <= 0 || Math.abs(way) > Math.abs(whole)) continue
      m[at + ORIGIN] = m[origin + VALUE]
      return true
    }
    return false
  }

  /** Learns the value that `isSwitch` was asked of. `jumped`: the change is not believed. */
  learn (m: Float64Array, at: number, value: number, jumped: boolean): void {
    const first = at + FIRST
    if (jumped && (this.slot < 0 || this.slot !== this.before)) {
      if (this.slot >= 0) front(m, first, WIDTH, this.slot)
      else {
        makeRoom(m, first, WIDTH, SLOTS, TIMES)
        m[first + VALUE] = value
        m[first + SPREAD] = m[first + TIMES] = 0
      }
      m[at + STAYED] = 0
    } else if (m[at + STAYED] === 0) return
    const n = ++m[at + STAYED], times = m[first + TIMES], off = value - m[first + VALUE], by = 1 / Math.min(n + STAY * times, MEMORY)
    if (n === STAY) come(m, first)
    if (n > STAY && Math.abs(off) > REACH * m[first + SPREAD]) return
    m[first + VALUE] += off * by
    m[first + SPREAD] += (Math.abs(off) - m[first + SPREAD]) * by
  }
}

/** The level in front has come. A new one that turns out to be one of the others, with something in between on the way to it, is that. */
function come (m: Float64Array, first: number): void {
  if (m[first + TIMES] === 0) for (let k = 1, level = first + WIDTH; k < SLOTS; k++, level += WIDTH) {
    if (!(Math.abs(m[first + VALUE] - m[level + VALUE]) <= REACH * m[level + SPREAD])) continue
    m[first + VALUE] = NaN
    m[first + TIMES] = 0
    front(m, first, WIDTH, k)
    break
  }
  m[first + TIMES]++
}

/** Whether a value is at a level that has recurred, other than the one that the change held back came from. */
function arrived (m: Float64Array, at: number, value: number): boolean {
  const slot = slotOf(m, at, value), level = at + FIRST + slot * WIDTH
  return slot >= 0 && m[level + TIMES] >= TWICE && m[level + VALUE] !== m[at + ORIGIN]
}

/** The level that a value is at; -1 for none. */
function slotOf (m: Float64Array, at: number, value: number): number {
  let slot = -1, least = Infinity
  for (let k = 0, level = at + FIRST; k < SLOTS; k++, level += WIDTH) {
    const off = Math.abs(value - m[level + VALUE]), spreads = off === 0 ? 0 : off / m[level + SPREAD]
    if (spreads <= REACH && spreads < least) { slot = k; least = spreads }
  }
  return slot
}
