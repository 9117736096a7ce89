/**
 * Whether the sensor of a series is broken, in eight ways. Each is compared with what this series has done before, as -log10 of
 * a probability, so that one budget serves all:
 *
 *   stuck     the same value again and again: a run of repeats (runs.ts), also against the runs there have been (tail.ts)
 *   gap       readings that did not come: a run of missed ones, in usual intervals, likewise
 *   spike     out and back: the smaller of two opposite changes in a row (tail.ts); known with the reading behind it
 *   rate      the size of the last change, for each usual interval (tail.ts)
 *   range     outside what the author said is possible: certain
 *   clipping  a largest or smallest value that is come to again and again and not passed: touches, against those of any value (runs.ts)
 *   clock     time that goes back and goes on from there: a run of intervals gone back; and its return
 *   unit      a jump to where a known conversion leads (units.ts), with changes as much larger: see step.ts
 *
 * Scored first, then learned. What is unlikely teaches little: a run as far as it is believed, a change a tenth.
 */
import { prefixed } from './fields.ts'
import * as chains from './runs.ts'
import * as steps from './step.ts'
import * as tails from './tail.ts'

export const checks = ['stuck', 'gap', 'spike', 'rate', 'range', 'clipping', 'clock', 'unit'] as const
export type Check = typeof checks[number]
const K = checks.length
export const STUCK = 0, GAP = 1, SPIKE = 2, RATE = 3, RANGE = 4, CLIPPING = 5, CLOCK = 6, UNIT = 7

/** When several are unlikely enough the first here is said: it explains those behind it. */
const explains = [CLOCK, GAP, UNIT, CLIPPING, STUCK, SPIKE, RANGE, RATE] as const

const SLOW = 1000, FAST = 10
const PATIENCE = 100                 // readings after which a largest value that did not come again is one of the past
const WINDOW = 200                   // readings in which touches are counted
const TOUCHED = 3                    // evidence of touches that makes a run of repeats clipping
const SUSPENDED = 1000               // readings that nothing is learned of changes, at most
const EVENT = 5, WEIGHT = 0.1        // changes that unlikely teach a tenth, as in portfolio.ts
const REACH = 10                     // usual sizes: a change teaches no more
const ENOUGH = 20                    // excesses, for a tail to be asked about runs
const ALL = tails.LIMIT

const own = { n: 0, newest: -Infinity, time: -Infinity, interval: 0, value: NaN, step: 0, level: 0, changes: 0, repeats: 0, back: 0, offset: 0, excused: 0, mute: 0, muted: 0, rated: 0 }
const N = 0, NEWEST = 1, TIME = 2, INTERVAL = 3, VALUE = 4, STEP = 5, LEVEL = 6, CHANGES = 7, REPEATS = 8, BACK = 9, OFFSET = 10, EXCUSED = 11, MUTE = 12, MUTED = 13, RATED = 14
const side = { value: NaN, touches: 0, since: 0, age: 0 }
const UPPER = Object.keys(own).length, LOWER = UPPER + 4, ANY = LOWER + 4, TRIAL = ANY + 4
const STUCK_RUNS = TRIAL + steps.STEP, GAP_RUNS = STUCK_RUNS + chains.RUNS, TOUCH_RUNS = GAP_RUNS + chains.RUNS, CLOCK_RUNS = TOUCH_RUNS + chains.RUNS
const STUCK_TAIL = CLOCK_RUNS + chains.RUNS, GAP_TAIL = STUCK_TAIL + tails.TAIL, SPIKE_TAIL = GAP_TAIL + tails.TAIL, RATE_TAIL = SPIKE_TAIL + tails.TAIL

/** One series: `n` readings, the usual `interval` (ms), the last value and change, what is usual; then the parts. */
export const hygiene: Readonly<Record<string, number>> = {
  ...own, ...prefixed('upper', side), ...prefixed('lower', side), ...prefixed('any', side), ...prefixed('trial', steps.step),
  ...Object.assign({}, ...['stuck', 'gap', 'touch', 'clock'].map(name => prefixed(`runs_${name}`, chains.runs))),
  ...Object.assign({}, ...['stuck', 'gap', 'spike', 'rate'].map(name => prefixed(`tail_${name}`, tails.tail)))
}

/** Of a run, by the chain, and by the tail as soon as that has seen runs enough. */
function run (m: Float64Array, chain: number, tail: number, length: number): number {
  const evidence = Math.min(chains.unlikely(m, chain, length), ALL)
  return tails.excesses(m, tail) < ENOUGH ? evidence : Math.min(evidence, tails.unlikely(m, tail, length))
}

/** What an author knows of a series. */
export interface Known { readonly min?: number | undefined, readonly max?: number | undefined, readonly rate?: number | undefined, readonly every?: number | undefined }      // rate: per second; every: ms

/** Works on the memory of one series after the other, at `at` in m. */
export class Hygiene {
  readonly evidence = new Float64Array(K)
  readonly size = new Float64Array(K)      // readings, missing readings, height, change, distance, touches, ms, factor
  private readonly known: Known
  private readonly hasRange: boolean
  private readonly x = new Float64Array(4)      // length of the run that ended, missed, out and back, change: of the reading that was scored
  private readonly doubt = new Float64Array(4)  // and how unlikely each was
  constructor (known: Known = {}) {
    this.known = known
    this.hasRange = known.min !== undefined || known.max !== undefined
  }

  /** The usual interval, ms; NaN before there is one. */
  interval (m: Float64Array, at: number): number { return this.known.every ?? (m[at + N] > 1 ? m[at + INTERVAL] : NaN) }

  /** The next interval tells nothing: nobody has listened. */
  excuse (m: Float64Array, at: number): void { m[at + EXCUSED] = 1 }

  /** -log10 of the probability that so many readings in a row are missed. */
  missing (m: Float64Array, at: number, missed: number): number {
    return run(m, at + GAP_RUNS, at + GAP_TAIL, missed)
  }

  /** At least so many must be missed to be as unlikely as that. */
  patience (m: Float64Array, at: number, limit: number): number { return chains.longest(m, at + GAP_RUNS, limit) }

  /**
   * Judges and learns a finite value. `limit`: the evidence from which on something is said; what is as unlikely is not believed
   * to be usual. `told`: that this series is silent has been said already.
   */
  take (m: Float64Array, at: number, value: number, time: number, limit: number, told: boolean): void {
    const { evidence } = this
    evidence.fill(0)
    this.range(value)
    if (m[at + N]++ === 0) return this.begin(m, at, value, time)
    const change = value - m[at + VALUE]
    const slots = this.paces(m, at, time, limit, told)
    this.values(m, at, change, slots, limit)
    this.returns(m, at + ANY, at + TOUCH_RUNS, value, change, m[at + N] > SUSPENDED ? limit : Infinity)
    this.touches(m, at + UPPER, at + TOUCH_RUNS, value, change, 1)
    this.touches(m, at + LOWER, at + TOUCH_RUNS, value, change, -1)
    this.units(m, at, value, change, limit)
    const n = m[at + N] - 1
    if (!this.suspended(m, at, limit)) this.learn(m, at, Math.abs(change), n)
    if (!steps.underWay(m, at + TRIAL)) m[at + LEVEL] += (value - m[at + LEVEL]) / Math.min(n + 1, FAST)
    m[at + STEP] = change
    m[at + VALUE] = value
  }

  /** For a while behind a change that is not believed nothing is learned of changes; unless that goes on: then it is usual. */
  private suspended (m: Float64Array, at: number, limit: number): boolean {
    if (m[at + N] > SUSPENDED && (this.evidence[RATE] >= limit || this.evidence[SPIKE] >= limit)) m[at + MUTE] = PATIENCE
    else if (m[at + MUTE] > 0) m[at + MUTE]--
    m[at + MUTED] = m[at + MUTE] > 0 ? m[at + MUTED] + 1 : 0
    return m[at + MUTE] > 0 && m[at + MUTED] <= SUSPENDED
  }

  private learn (m: Float64Array, at: number, moved: number, n: number): void {
    const { x, doubt } = this
    const gain = n < tails.MEMORY ? 1 / n : 1 / tails.MEMORY
    for (let k = 0, tail = at + STUCK_TAIL; k < x.length; k++, tail += tails.TAIL) {
      if (n <= tails.FIRST) tails.begin(m, tail, x[k], n)
      else tails.learn(m, tail, x[k], gain, doubt[k] > EVENT ? WEIGHT : 1, tails.EXCESSES)
    }
    const by = n < SLOW ? 1 / n : 1 / SLOW
    m[at + CHANGES] += ((n > tails.FIRST ? Math.min(moved, REACH * m[at + CHANGES]) : moved) - m[at + CHANGES]) * by
  }

  /** What is said, as 1 + its place in `checks`, 0 for nothing: of all that reach the limit what explains the others. */
  said (limit: number): number {
    for (const check of explains) if (this.evidence[check] >= limit) return check + 1
    return 0
  }

  /** Nothing but the range is said: there is too little to compare with. */
  silence (): void {
    const range = this.evidence[RANGE]
    this.evidence.fill(0)
    this.evidence[RANGE] = range
  }

  private begin (m: Float64Array, at: number, value: number, time: number): void {
    m[at + NEWEST] = m[at + TIME] = time
    m[at + VALUE] = m[at + LEVEL] = m[at + UPPER] = m[at + LOWER] = m[at + ANY] = value
    for (let k = 0; k < this.x.length; k++) m[at + STUCK_TAIL + k * tails.TAIL] = Infinity
  }

  /** Outside of what is possible. */
  private range (value: number): void {
    if (!this.hasRange) return
    const { min = -Infinity, max = Infinity } = this.known, off = value > max ? value - max : value < min ? value - min : 0
    this.evidence[RANGE] = off === 0 ? 0 : ALL
    this.size[RANGE] = off
  }

  /** Gap and clock. Returns how many usual intervals the reading comes after the one before, at least 1. */
  private paces (m: Float64Array, at: number, time: number, limit: number, told: boolean): number {
    const { evidence, size, x } = this
    const straggled = m[at + BACK] > 0 && time > m[at + NEWEST]
    const span = time - m[at + (straggled ? NEWEST : TIME)], n = m[at + N] - 1
    const usual = n > 1 ? this.interval(m, at) : span
    if (span > 0) m[at + INTERVAL] = n === 1 || m[at + INTERVAL] === 0 ? span : m[at + INTERVAL] * (1 + Math.sign(span - m[at + INTERVAL]) * Math.max(1 / n, 1 / SLOW) / 2)
    const slots = usual > 0 ? Math.max(1, Math.round(span / usual)) : 1
    this.clock(m, at, time, span, usual, limit)
    x[GAP] = slots - 1
    if (m[at + EXCUSED] === 1 || evidence[CLOCK] >= limit) x[GAP] = 0
    m[at + EXCUSED] = 0
    evidence[GAP] = this.missing(m, at, x[GAP])
    size[GAP] = x[GAP]
    this.doubt[GAP] = evidence[GAP]
    if (evidence[GAP] < limit) chains.learn(m, at + GAP_RUNS, x[GAP])
    if (told) evidence[GAP] = 0
    if (time > m[at + NEWEST]) m[at + NEWEST] = time
    m[at + TIME] = time
    return slots
  }

  /** A reading that is older than the one before may be a straggler: said when the next one goes on from there. */
  private clock (m: Float64Array, at: number, time: number, span: number, usual: number, limit: number): void {
    const { evidence, size } = this
    const back = m[at + BACK], intervals = (ms: number) => usual > 0 ? Math.round(ms / usual) : 0
    m[at + BACK] = 0
    if (back > 0 && time < m[at + NEWEST] && span >= 0 && intervals(span) < intervals(back)) {
      const gone = intervals(back)
      evidence[CLOCK] = Math.min(chains.unlikely(m, at + CLOCK_RUNS, gone), ALL)
      size[CLOCK] = -back
      if (evidence[CLOCK] >= limit) m[at + OFFSET] -= back
      else chains.learn(m, at + CLOCK_RUNS, gone)
    } else if (span < 0) m[at + BACK] = usual - span
    else {
      chains.learn(m, at + CLOCK_RUNS, 0)
      const jumped = span - usual
      if (m[at + OFFSET] < 0 && intervals(jumped) > 0 && intervals(Math.abs(jumped + m[at + OFFSET])) <= 1) {
        evidence[CLOCK] = Math.min(chains.unlikely(m, at + CLOCK_RUNS, intervals(jumped)), ALL)
        size[CLOCK] = jumped
        m[at + OFFSET] = 0
      }
    }
  }

  /** Stuck, spike and rate. */
  private values (m: Float64Array, at: number, change: number, slots: number, limit: number): void {
    const { evidence, size, x, doubt } = this
    const before = m[at + STEP]
    doubt[STUCK] = 0
    if (change === 0) {
      const repeats = ++m[at + REPEATS]
      evidence[STUCK] = run(m, at + STUCK_RUNS, at + STUCK_TAIL, repeats)
      x[STUCK] = 0
    } else {
      x[STUCK] = m[at + REPEATS]
      doubt[STUCK] = run(m, at + STUCK_RUNS, at + STUCK_TAIL, x[STUCK])
      if (doubt[STUCK] < limit) chains.learn(m, at + STUCK_RUNS, x[STUCK])
      m[at + REPEATS] = 0
    }
    size[STUCK] = m[at + REPEATS] + 1
    const opposite = change * before < 0, moved = Math.abs(change)
    x[SPIKE] = opposite ? Math.min(moved, Math.abs(before)) : 0
    evidence[SPIKE] = doubt[SPIKE] = tails.unlikely(m, at + SPIKE_TAIL, x[SPIKE])
    size[SPIKE] = opposite ? Math.sign(before) * x[SPIKE] : 0
    x[RATE] = moved / slots
    const { rate } = this.known
    evidence[RATE] = rate !== undefined && moved > rate * slots * this.interval(m, at) / 1000 ? ALL : tails.unlikely(m, at + RATE_TAIL, x[RATE])
    doubt[RATE] = evidence[RATE]
    size[RATE] = change
    if (opposite) evidence[SPIKE] = Math.max(evidence[SPIKE], Math.min(evidence[RATE], m[at + RATED]))      // each of the two is too large
    m[at + RATED] = evidence[RATE]
  }

  /** How often any value is come to again within WINDOW readings: of coarse values often. It is what touches of the largest are compared with. */
  private returns (m: Float64Array, at: number, chain: number, value: number, change: number, limit: number): void {
    if (value === m[at] && change !== 0) m[at + 1]++
    const touched = m[at + 1]
    if (touched === 0) chains.calm(m, chain, false)
    if (++m[at + 3] < WINDOW) return
    if (touched > 0 && chains.unlikely(m, chain, touched) < limit) chains.learn(m, chain, touched)
    this.renew(m, at, value)
  }

  /** Clipping at one side: `sign` 1 for the largest value, -1 for the smallest. */
  private touches (m: Float64Array, at: number, chain: number, value: number, change: number, sign: number): void {
    const beyond = sign * (value - m[at])
    if (beyond > 0 || m[at + 2] >= PATIENCE) return this.renew(m, at, value)
    const held = beyond === 0 && change === 0
    if (++m[at + 3] > WINDOW && !held) m[at + 1] = m[at + 3] = 0      // nothing is forgotten of a value that is held
    m[at + 2] = beyond === 0 ? 0 : m[at + 2] + 1
    if (beyond < 0) return
    if (held) return this.held(chains.unlikely(m, chain, m[at + 1]), sign * m[at + 1])
    const evidence = Math.min(chains.unlikely(m, chain, ++m[at + 1]), ALL)
    if (evidence > this.evidence[CLIPPING]) {
      this.evidence[CLIPPING] = evidence
      this.size[CLIPPING] = sign * m[at + 1]
    }
  }

  private renew (m: Float64Array, at: number, value: number): void {
    m[at] = value
    m[at + 1] = m[at + 2] = m[at + 3] = 0
  }

  /** A value that is held where others have come to it and left it again is no stuck one. */
  private held (touched: number, size: number): void {
    if (touched < TOUCHED || this.evidence[STUCK] < this.evidence[CLIPPING]) return
    this.evidence[CLIPPING] = this.evidence[STUCK]
    this.size[CLIPPING] = size
  }

  /** A jump is looked at for some readings. */
  private units (m: Float64Array, at: number, value: number, change: number, limit: number): void {
    const { evidence, size } = this, trial = at + TRIAL
    if (steps.underWay(m, trial)) {
      const jump = steps.go(m, trial, value, Math.abs(change))
      if (jump === undefined) return
      evidence[UNIT] = Math.min(jump.evidence, ALL)
      size[UNIT] = jump.factor
      m[at + LEVEL] = jump.level
      if (evidence[UNIT] >= limit) m[at + CHANGES] *= jump.factor
    } else if (evidence[RATE] >= limit) steps.begin(m, trial, value, m[at + LEVEL], m[at + CHANGES], evidence[RATE])
  }
}
