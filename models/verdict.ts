/**
 * Which of three causes an event of a device has, from what detectors say of its metrics reading by reading:
 *
 *   sensor   one metric's measurement is wrong. Its own past says so (stuck, gap, clipping, clock, unit), or it has left what the
 *            others let expect and these still agree among themselves when it is left out (`rest` of peers.ts)
 *   device   its physics has changed: the metrics disagree whichever is left out. Or several move at once, agreeing, and it is
 *            not known yet whether that lasts
 *   model    the metrics agree as ever, but two or more are, and stay, FAR from what is usual at the hour: the world has another
 *            regime, which the detectors have to learn
 *
 * A reading so wild that the others disagree, as they are predicted from it, need be no alarm of `peers` itself: then what hygiene says of it makes it the
 * one that is left out. One wrong sensor is the simplest explanation and is kept until what it leaves unexplained is as rare as DOUBT in the whole
 * event (Bonferroni, a look per BLOCK readings). What an event has said remains said; so a verdict goes from sensor to device, or
 * from device to model, and not to and fro.
 *
 * An event begins with the first alarm, or when two metrics are far. It is over when there was no alarm for BLOCK readings of each
 * metric; for `lasts` when metrics have moved together, as detectors are silent about what goes on; and not while two are far.
 * Moved together: one has an alarm, the first in BLOCK readings, and another is within so many as unusual as chance makes it
 * with the probability DOUBT: that is no one sensor. Such metrics disagree only when they do for most of 3 BLOCK readings, as where they have
 * never been they disagree a little. Far: on
 * average over `lasts` the distance from what is usual at the hour, or was a week ago when that is nearer (weekly.ts: weekends recur), is FAR
 * times what it is without events, of this hour of the week or in a week, whichever is more; and until it is less than NEAR times that.
 */
import { prefixed } from './fields.ts'
import { BLOCK } from './peers.ts'
import * as weeks from './weekly.ts'

export const causes = ['device', 'model', 'sensor'] as const
export const DEVICE = 1, MODEL = 2, SENSOR = 3

const DOUBT = 2                      // -log10 of the probability that chance makes a sensor's fault look like the device's
const FAR = 2, NEAR = 1.5            // times the usual distance
const WEEK = 7 * 24 * 60 * 60_000
const CLIP = 10, LEAST = 10          // a reading counts as no farther, and an interval as no longer than this part of `lasts`
const SETTLE = 1 / 6                 // of `lasts`, behind a switch
const SUSTAINED = 3 * BLOCK          // readings in which half must be alarms of `peers`, for metrics that have moved together
const UNKNOWN = -1

/** One device: rows so far, how many metrics; of its event the time it began (NaN: there is none) and the newest, the rows when it began and when its last alarm was, the time of that, whether metrics have moved together, its number. */
export const device = { rows: 0, metrics: 0, began: NaN, newest: -Infinity, first: 0, last: 0, alarmed: NaN, together: 0, event: 0, switched: -Infinity }
const ROWS = 0, METRICS = 1, BEGAN = 2, NEWEST = 3, FIRST = 4, LAST = 5, ALARMED = 6, TOGETHER = 7, EVENT = 8, SWITCHED = 9

/**
 * One series: whether it is known, and its newest time; rows of the device when it last had an alarm of its own, the first of those
 * in a row, and was unusual; the share of alarms of `peers`; the row when hygiene was sure; whether peers has spoken; the mean distance
 * from what is usual at the hour over `lasts`, what it would be without events, that of a week, from so many ms, and whether it is far. Then of event `event`: evidence of
 * hygiene, sure and not, of moves, of peers, and of the rest without it (-1: nothing is known of that); whether peers gave an alarm.
 */
export const series: Readonly<Record<string, number>> = { known: 0, time: NaN, alarm: -Infinity, onset: -Infinity, unusual: -Infinity, broken: 0, sure: -Infinity, coupled: 0, away: 0, expected: 0, usual: 0, span: 0, far: 0, value: NaN, jumped: -Infinity, waits: 0, waits_odd: 0, waits_moved: 0, event: 0, hygiene: 0, odd: 0, moved: 0, peers: 0, rest: UNKNOWN, parted: 0, ...prefixed('week', weeks.weekly) }
const KNOWN = 0, TIME = 1, ALARM = 2, ONSET = 3, UNUSUAL = 4, BROKEN = 5, SURE = 6, COUPLED = 7, AWAY = 8, EXPECTED = 9, USUAL = 10, SPAN = 11, IS_FAR = 12, VALUE = 13, JUMPED = 14, WAITS = 15, WAITS_ODD = 16, WAITS_MOVED = 17, OWN_EVENT = 18, HYGIENE = 19, ODD = 20, MOVED = 21, PEERS = 22, REST = 23, PARTED = 24, WEEKS = 25

/**
 * What is said of one reading; NaN where there is nothing to say. `sure`, `odd`: evidence that hygiene says something that only a
 * sensor does, or that a device can do too; 0 for none. `moved`: evidence that it is unusual, `alarm` whether that is one, `noisy`
 * whether by its noise alone; `value` of the reading, and what is `usual` at the hour; the others are those of peers.
 */
export interface Said { sure: number, odd: number, moved: number, alarm: boolean, noisy: boolean, value: number, usual: number, peers: number, rest: number, parted: boolean }

/** Where the series of a device are in the memory of all. */
type Places = readonly number[]

/** Leaves what hygiene is sure of, and what peers says. */
function quiet (said: Said): void {
  said.odd = said.moved = 0
  said.alarm = said.noisy = said.parted = false
}

/** Works on the memory of one device after the other, at `d` in devices, and of its series, at `s` in all. */
export class Verdict {
  cause = 0                          // 1 + its place in `causes`; 0 when there is no event, or none can be told
  private readonly lasts: number
  private readonly devices: Float64Array
  private readonly all: Float64Array
  private suspect = 0                // evidence of the most likely one wrong metric; 0 for none
  private left = 0                   // evidence that remains whichever metric is left out
  private certain = false            // hygiene says that it is a sensor
  private isBroken = false           // the metrics disagree
  constructor (devices: Float64Array, all: Float64Array, lasts: number) {
    this.devices = devices
    this.all = all
    this.lasts = lasts
  }

  /** Takes in a reading of the series at `s`, one of those of the device at `d`, and decides. */
  take (d: number, s: number, said: Said, time: number, places: Places): void {
    const { devices: m, all } = this
    if (all[s + KNOWN] === 0) {
      all[s + KNOWN] = 1
      m[d + METRICS]++
    }
    const row = ++m[d + ROWS]
    const jumps = this.watch(d, s, said.value, row, time, places)
    if (time - m[d + SWITCHED] < SETTLE * this.lasts) {
      quiet(said)
      said.peers = said.rest = NaN
      all[s + WAITS] = 0
    } else this.wait(s, said, jumps)
    const alarm = said.sure > 0 || said.odd > 0 || said.alarm || said.parted
    if (time > m[d + NEWEST]) m[d + NEWEST] = time
    this.follow(s, said, time, Number.isNaN(m[d + BEGAN]))
    let far = 0
    for (const at of places) if (all[at + IS_FAR] === 1) far++
    if (far < 2 && !Number.isNaN(m[d + BEGAN]) && this.isOver(d, row)) m[d + BEGAN] = NaN
    if (Number.isNaN(m[d + BEGAN]) && (alarm || far > 1)) {
      m[d + BEGAN] = m[d + NEWEST]
      m[d + FIRST] = row
      m[d + TOGETHER] = 0
      m[d + EVENT]++
    }
    if (alarm) {
      m[d + LAST] = row
      m[d + ALARMED] = m[d + NEWEST]
    }
    this.gather(d, s, said, row)
    this.accompany(d, s, row, places)
    this.decide(d, far > 1, places)
  }

  /** Whether the metric at `s` is concerned by the verdict. */
  concerns (d: number, s: number): boolean {
    const { all } = this
    if (this.cause === 0 || !this.takesPart(d, s)) return false
    if (this.certain) return this.isSure(d, s)
    if (this.cause === SENSOR) return this.suspect > 0 ? this.isSuspect(d, s) && all[s + PEERS] === this.suspect : all[s + ODD] > 0
    return this.cause === MODEL ? all[s + IS_FAR] === 1 : all[s + PARTED] === 1 || all[s + MOVED] >= this.company(d)
  }

  /** -log10 of the probability that chance gives what speaks for the verdict: of this metric, or of all of them. */
  evidence (s: number): number {
    const { all } = this
    if (this.certain) return all[s + HYGIENE]
    if (this.cause === SENSOR) return Math.max(all[s + ODD], all[s + PEERS])
    return this.isBroken ? Math.max(this.left, 0) : Math.max(all[s + MOVED], all[s + ODD])
  }

  /** Likewise of what speaks against it. */
  doubt (s: number): number {
    const { all } = this
    if (this.certain) return 0
    return this.cause === SENSOR ? Math.max(all[s + REST], 0) : this.isBroken ? 0 : all[s + PEERS]
  }

  private takesPart (d: number, s: number): boolean { return this.all[s + OWN_EVENT] === this.devices[d + EVENT] }
  private isSure (d: number, s: number): boolean { return this.devices[d + ROWS] - this.all[s + SURE] <= BLOCK * this.devices[d + METRICS] }
  /** What one wrong metric may leave unexplained. */
  private limit (d: number): number { return DOUBT + Math.log10(1 + (this.devices[d + ROWS] - this.devices[d + FIRST]) / (BLOCK * this.devices[d + METRICS])) }
  /** What a reading must be to move with another: in BLOCK readings before and behind an alarm, of any metric, chance gives that as rarely as DOUBT. */
  private company (d: number): number { return DOUBT + Math.log10(2 * BLOCK * this.devices[d + METRICS]) }
  /** Whether the others agree without it. */
  private explains (d: number, s: number): boolean { return this.all[s + REST] !== UNKNOWN && this.all[s + REST] < this.limit(d) }
  private isSuspect (d: number, s: number): boolean { return this.all[s + PARTED] === 1 && this.explains(d, s) }

  private isOver (d: number, row: number): boolean {
    const { devices: m } = this
    return m[d + TOGETHER] === 1 ? m[d + NEWEST] - m[d + ALARMED] > this.lasts : row - m[d + LAST] > BLOCK * m[d + METRICS]
  }

  /** Whether the device is switched on or off: two metrics jump at once. Returns whether this one does, and did not just before: a spike comes back. */
  private watch (d: number, s: number, value: number, row: number, time: number, places: Places): boolean {
    const { devices: m, all } = this, jump = Math.abs(value - all[s + VALUE]), since = row - BLOCK * m[d + METRICS]
    if (!Number.isFinite(value)) return false
    all[s + VALUE] = value
    if (!(all[s + SPAN] > this.lasts && jump > CLIP * all[s + USUAL])) return false
    const first = row - all[s + JUMPED] > 2 * m[d + METRICS]
    all[s + JUMPED] = row
    for (const at of places) if (at !== s && all[at + JUMPED] >= since) m[d + SWITCHED] = time
    return first
  }

  /** What is said of a jump waits for the next reading of its metric: then it is known whether others jump too. */
  private wait (s: number, said: Said, jumps: boolean): void {
    const { all } = this
    if (jumps) {
      all[s + WAITS] = said.alarm || said.odd > 0 ? 1 : 0
      all[s + WAITS_ODD] = said.odd
      all[s + WAITS_MOVED] = said.moved
      quiet(said)
    } else if (all[s + WAITS] === 1) {
      said.alarm = true
      said.odd = Math.max(said.odd, all[s + WAITS_ODD])
      said.moved = Math.max(said.moved, all[s + WAITS_MOVED])
      all[s + WAITS] = 0
    }
  }

  /** What goes on whether there is an event or not. */
  private follow (s: number, said: Said, time: number, calm: boolean): void {
    const { all, lasts } = this, span = time - all[s + TIME]
    if (!(span <= 0)) all[s + TIME] = time
    const seen = !(Number.isFinite(said.value) && span > 0) || this.stray(s, said, time, Math.min(span, lasts / LEAST), calm) || calm
    if (!Number.isNaN(said.peers)) {
      all[s + COUPLED] = 1
      if (said.parted || seen) all[s + BROKEN] += (Number(said.parted) - all[s + BROKEN]) / SUSTAINED
    }
  }

  /** How far it is. Returns whether this reading is farther than expected, or that is not known. */
  private stray (s: number, { value, usual }: Said, time: number, span: number, calm: boolean): boolean {
    const { all, lasts } = this, known = all[s + SPAN], before = weeks.usual(all, s + WEEKS, time), off = Math.abs(value - usual), week = Math.abs(value - before)
    const away = Number.isNaN(off) || week < off ? week : off
    weeks.learn(all, s + WEEKS, time, value, calm ? away : NaN)
    if (Number.isNaN(away)) return true
    if (calm) {
      all[s + SPAN] = Math.min(known + span, WEEK)
      all[s + USUAL] += (away - all[s + USUAL]) * span / all[s + SPAN]
    }
    const expected = Math.max(all[s + USUAL], weeks.distance(all, s + WEEKS, time)), by = 1 - Math.exp(-span / lasts)
    all[s + AWAY] += (Math.min(away, CLIP * expected) - all[s + AWAY]) * by
    all[s + EXPECTED] += (expected - all[s + EXPECTED]) * by
    all[s + IS_FAR] = known > lasts && all[s + AWAY] > (all[s + IS_FAR] === 1 ? NEAR : FAR) * all[s + EXPECTED] ? 1 : 0
    return away > expected
  }

  private gather (d: number, s: number, said: Said, row: number): void {
    const { devices: m, all } = this
    if (said.alarm || said.odd > 0) {
      if (row - all[s + ALARM] > BLOCK * m[d + METRICS]) all[s + ONSET] = row
      all[s + ALARM] = row
    }
    if (said.moved >= this.company(d)) all[s + UNUSUAL] = row
    if (said.sure > 0) all[s + SURE] = row
    if (Number.isNaN(m[d + BEGAN])) return
    if (all[s + OWN_EVENT] !== m[d + EVENT]) {
      all.fill(0, s + HYGIENE, s + PARTED + 1)
      all[s + REST] = UNKNOWN
      all[s + OWN_EVENT] = m[d + EVENT]
    }
    all[s + HYGIENE] = Math.max(all[s + HYGIENE], said.sure)
    all[s + ODD] = Math.max(all[s + ODD], said.odd, said.alarm && said.noisy ? said.moved : 0)
    if (said.moved > all[s + MOVED]) all[s + MOVED] = said.moved
    if (said.peers > all[s + PEERS]) all[s + PEERS] = said.peers
    if (said.rest > all[s + REST]) all[s + REST] = said.rest
    if (said.parted) all[s + PARTED] = 1
  }

  /** Whether another metric moves with this one. */
  private accompany (d: number, s: number, row: number, places: Places): void {
    const { devices: m, all } = this, since = row - BLOCK * m[d + METRICS]
    if (Number.isNaN(m[d + BEGAN]) || m[d + TOGETHER] === 1 || all[s + ONSET] !== row && all[s + UNUSUAL] !== row) return
    for (const at of places) {
      if (at === s) continue
      if (all[s + ONSET] === row && all[at + UNUSUAL] >= since || all[s + UNUSUAL] === row && all[at + ONSET] >= since) m[d + TOGETHER] = 1
    }
  }

  private decide (d: number, far: boolean, places: Places): void {
    const { devices: m, all } = this
    this.cause = this.suspect = this.left = 0
    this.certain = this.isBroken = false
    if (Number.isNaN(m[d + BEGAN])) return
    let parted = false, sustained = false, odd = false, alone = false, waits = false, coupled = true, left = Infinity
    for (const at of places) {
      if (all[at + WAITS] === 1 && m[d + ROWS] - all[at + JUMPED] <= 2 * m[d + METRICS]) waits = true
      if (!this.takesPart(d, at)) continue
      if (all[at + COUPLED] === 0 && (all[at + IS_FAR] === 1 || all[at + MOVED] >= this.company(d))) coupled = false
      if (this.isSure(d, at)) this.certain = true
      if (all[at + BROKEN] >= 0.5) sustained = true
      if (all[at + ODD] > 0) odd = true
      if (all[at + ODD] > 0 && this.explains(d, at)) alone = true
      if (all[at + PARTED] === 0) continue
      parted = true
      left = Math.min(left, all[at + REST])
      if (this.isSuspect(d, at)) this.suspect = Math.max(this.suspect, all[at + PEERS])
    }
    const together = far || m[d + TOGETHER] === 1
    if (this.certain) this.cause = SENSOR
    else if (parted && (sustained || !together)) {
      if (together) this.suspect = 0
      this.cause = this.suspect > 0 || alone && !together ? SENSOR : (left === UNKNOWN || waits) && !together ? 0 : DEVICE
      this.isBroken = true
      this.left = left
    } else {
      this.suspect = 0
      this.cause = together ? coupled ? far ? MODEL : DEVICE : 0 : odd ? SENSOR : 0
    }
  }
}
