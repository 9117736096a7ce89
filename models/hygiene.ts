/**
 * Whether the sensor of a series is broken, in eight ways. Each is compared with what this series has done before, as -log10 of
 * a probability, so that one budget serves all:
 *
 *   stuck     the same value again and again: hygiene-stuck.ts
 *   gap       readings that did not come: hygiene-gap.ts
 *   spike     out and back: hygiene-changes.ts
 *   rate      too large a change: hygiene-changes.ts
 *   range     outside what the author said is possible: certain
 *   clipping  a largest or smallest value that is come to again and again and not passed: hygiene-clipping.ts
 *   clock     time that goes back and goes on from there, and its return: hygiene-clock.ts
 *   unit      a jump to where a known conversion leads, with changes as much larger: hygiene-unit.ts
 *
 * Scored first, then learned. What is unlikely teaches little: a run as far as it is believed, a change a tenth; while a value is held
 * nothing is learned of changes. What recurs is usual: a value at which it rests (hygiene-rests.ts), a level that it is switched to
 * (hygiene-levels.ts), a pause of the device (recurrence.ts), each of STAY readings at least, when it has come twice. What is told keeps to the budget: hygiene-told.ts.
 */
import { Changes, changes, CHANGES_WIDTH } from './hygiene-changes.ts'
import { Clipping, clipping, CLIPPING_WIDTH } from './hygiene-clipping.ts'
import { Clock, clock, CLOCK_WIDTH } from './hygiene-clock.ts'
import { prefixed } from './fields.ts'
import { Finding } from './hygiene-finding.ts'
import { Gap, gap, GAP_WIDTH } from './hygiene-gap.ts'
import { Levels, levels, LEVELS_WIDTH } from './hygiene-levels.ts'
import { Stuck, stuck, STUCK_WIDTH } from './hygiene-stuck.ts'
import { LIMIT } from './tail.ts'
import { pass, tells, told } from './hygiene-told.ts'
import { Unit, unit, UNIT_WIDTH } from './hygiene-unit.ts'

export const checks = ['stuck', 'gap', 'spike', 'rate', 'range', 'clipping', 'clock', 'unit'] as const
export type Check = typeof checks[number]
export const codeOf = (check: Check): number => checks.indexOf(check) + 1

/** When several are unlikely enough the first here is said: it explains those behind it. */
const explains = (['clock', 'gap', 'unit', 'clipping', 'stuck', 'spike', 'range', 'rate'] as const).map(codeOf)

const SETTLED = 1000                 // readings before which every change and touch is believed

/** One series: `n` readings, the last value, the memory of each check. */
export const hygiene: Readonly<Record<string, number>> = {
  n: 0, value: NaN, ...prefixed('stuck', stuck), ...prefixed('gap', gap), ...prefixed('changes', changes), ...prefixed('clipping', clipping), ...prefixed('clock', clock), ...prefixed('unit', unit), ...levels, ...told
}
const N = 0, VALUE = 1
const STUCK = 2, GAP = STUCK + STUCK_WIDTH, CHANGES = GAP + GAP_WIDTH, CLIPPING = CHANGES + CHANGES_WIDTH, CLOCK = CLIPPING + CLIPPING_WIDTH, UNIT = CLOCK + CLOCK_WIDTH, LEVELS = UNIT + UNIT_WIDTH, TOLD = LEVELS + LEVELS_WIDTH

/** What an author knows of a series. */
export interface Known { readonly min?: number | undefined, readonly max?: number | undefined, readonly rate?: number | undefined, readonly every?: number | undefined }      // rate: per second; every: ms

/** Works on the memory of one series after the other, at `at` in m. */
export class Hygiene {
  private readonly stuck = new Stuck()
  private readonly gap = new Gap()
  private readonly changes = new Changes()
  private readonly range = new Finding()      // size: distance from what is possible
  private readonly clipping = new Clipping()
  private readonly clock = new Clock()
  private readonly unit = new Unit()
  private readonly levels = new Levels()
  private readonly known: Known

  /** Of the reading that was judged, in the order of `checks`. */
  readonly findings: readonly Finding[] = [this.stuck.finding, this.gap.finding, this.changes.spike, this.changes.rate, this.range, this.clipping.finding, this.clock.finding, this.unit.finding]

  constructor (known: Known = {}) { this.known = known }

  /** Readings judged. */
  readings (m: Float64Array, at: number): number { return m[at + N] }

  /** The usual interval, ms; NaN before there is one. */
  interval (m: Float64Array, at: number): number { return this.known.every ?? (m[at + N] > 1 ? this.gap.interval(m, at + GAP) : NaN) }

  /** Time of the newest reading, ms. */
  newest (m: Float64Array, at: number): number { return this.clock.newest(m, at + CLOCK) }

  /** The next interval tells nothing: nobody has listened. */
  excuse (m: Float64Array, at: number): void { this.gap.excuse(m, at + GAP) }

  /** -log10 of the probability that so many readings in a row are missed; `asleep`: the whole device gave none. */
  missing (m: Float64Array, at: number, missed: number, asleep: boolean): number { return this.gap.missing(m, at + GAP, missed, asleep) }

  /** At least so many must be missed to be as unlikely as that. */
  patience (m: Float64Array, at: number, limit: number): number { return this.gap.patience(m, at + GAP, limit) }

  /**
   * Judges and learns a finite value. `limit`: the evidence from which on something is said; what is as unlikely is not believed
   * to be usual. `told`: that this series is silent has been said already.
   * `asleep`: the device gave nothing since the reading before, as far as it is silent.
   */
  take (m: Float64Array, at: number, value: number, time: number, limit: number, told: boolean, asleep: boolean): void {
    const n = m[at + N]++, before = m[at + VALUE], change = value - before      // change n
    this.judgeRange(value)
    m[at + VALUE] = value
    if (n === 0) return this.begin(m, at, value, time)
    const slots = this.pace(m, at, time, n, limit, told, asleep), doubted = n >= SETTLED ? limit : Infinity
    this.stuck.take(m, at + STUCK, value, before, limit)
    this.changes.take(m, at + CHANGES, change, slots, this.known.rate === undefined ? Infinity : this.known.rate * slots * this.interval(m, at) / 1000, doubted)
    this.clipping.take(m, at + CLIPPING, value, change, this.stuck.finding.evidence, doubted)
    const jumped = this.changes.rate.evidence >= limit, suspended = this.changes.suspended(m, at + CHANGES, doubted)
    const isSwitch = jumped && this.levels.isSwitch(m, at + LEVELS, before, value)
    this.unit.take(m, at + UNIT, value, change, isSwitch ? 0 : this.changes.rate.evidence, limit)
    if (this.changes.possible) this.levels.holdBack(m, at + LEVELS, before, value, jumped, this.changes.spike.evidence >= limit, this.changes.rate)
    this.levels.learn(m, at + LEVELS, value, jumped)
    this.unit.settle(m, at + UNIT, value, n)
    if (suspended || change === 0 && this.stuck.doubt >= doubted) return
    this.stuck.learn(m, at + STUCK, n)
    this.gap.learn(m, at + GAP, n)
    this.changes.learn(m, at + CHANGES)
    this.unit.learn(m, at + UNIT, change, n)
  }

  /** What is found, as 1 + its place in `checks`, 0 for nothing: of all that reach the limit what explains the others. */
  said (limit: number): number {
    for (const code of explains) if (this.findings[code - 1].evidence >= limit) return code
    return 0
  }

  /** What is told of it: nothing that goes on, or that exceeds the budget by which chance gives a reading like this with probability `chance`, and `allowed` such in its time. */
  tell (m: Float64Array, at: number, limit: number, chance: number, allowed: number): number {
    const code = this.said(limit), isTold = code > 0 && this.tells(m, at, checks[code - 1], this.findings[code - 1].evidence, limit, allowed)
    pass(m, at + TOLD, chance, limit, this.changes.spike.evidence, this.changes.rate.evidence)
    return isTold ? code : 0
  }

  /** Whether a finding as unlikely as the limit is told. What the author says is impossible always is. */
  tells (m: Float64Array, at: number, check: Check, evidence: number, limit: number, allowed: number): boolean { return check === 'range' || check === 'rate' && !this.changes.possible || tells(m, at + TOLD, check, evidence, limit, allowed) }

  /** Nothing but the range is said: there is too little to compare with. */
  silence (): void { for (const finding of this.findings) if (finding !== this.range) finding.evidence = 0 }

  private begin (m: Float64Array, at: number, value: number, time: number): void {
    this.silence()
    this.clock.arrive(m, at + CLOCK, time)
    this.clipping.begin(m, at + CLIPPING, value)
    this.unit.begin(m, at + UNIT, value)
  }

  private judgeRange (value: number): void {
    const { min = -Infinity, max = Infinity } = this.known, off = value > max ? value - max : value < min ? value - min : 0
    this.range.say(off === 0 ? 0 : LIMIT, off)
  }

  /** Clock and gap. Returns how many usual intervals the reading comes after the one before, at least 1. */
  private pace (m: Float64Array, at: number, time: number, n: number, limit: number, told: boolean, asleep: boolean): number {
    const span = this.clock.span(m, at + CLOCK, time), usual = n > 1 ? this.interval(m, at) : span
    const slots = usual > 0 ? Math.max(1, Math.round(span / usual)) : 1
    this.gap.pace(m, at + GAP, span, n)
    this.clock.take(m, at + CLOCK, time, span, usual, limit)
    this.gap.take(m, at + GAP, slots, this.clock.finding.evidence >= limit, told, asleep, limit)
    return slots
  }
}
