import { defineOperator, Duration, Type, type Batch, type Held, type SeriesTable } from '#engine'
import { checks, Hygiene, hygiene as series } from '../models/hygiene.ts'
import { LIMIT } from '../models/tail.ts'
import { budget } from './shared/budget.ts'
import { woven, type Gap } from './shared/gap-rows.ts'

const evidences = checks.map(check => `hygiene_${check}` as const)
const shapes = {
  version: 4,                            // a spike is judged against the level before it
  perSeries: { memory: { ...series, heard: 0, due: Infinity, told: 0 } },          // heard, due: of the device's live time; told: that it is silent
  perDevice: { pace: { reached: -Infinity, live: 0, pause: 0, records: 0, due: Infinity } }
} as const
type Memory = Held<typeof shapes.perSeries> & Held<typeof shapes.perDevice>

/**
 * Whether the sensor of a series is broken, in eight ways, each against what the series itself has done before: see
 * models/hygiene.ts for methods and sources. Nothing need be configured; what an author knows is an option.
 *
 *   hygiene           what is wrong: 1 stuck, 2 gap, 3 spike (the reading before), 4 rate, 5 range, 6 clipping, 7 clock, 8 unit; 0 nothing
 *   hygiene_size      how much: readings alike, readings missing, height, change, distance from the range, touches, ms, factor
 *   hygiene_learned   readings learned so far, up to `samples`
 *   hygiene_stuck     evidence for it: -log10 of the probability that a healthy reading of this series shows as much; 0 to 16
 *   ...               likewise for each of the eight
 *
 * Something is said when its evidence is so rare that chance gives at most `alarms` such in `per` at the series' own rate, all
 * eight taken together; events beyond those that it allows then raise what the next of their kind needs until the budget allows it again. What
 * stands still by nature, as a battery level, is not stuck. What has been stayed in for 100 readings or more, twice, is usual: a value,
 * a level that it is switched to, a pause of the device. Until `samples` readings are learned only the range speaks. A reading without
 * a finite value is no reading.
 *
 * A gap is found while it lasts, and a row of its own says so: without a value, at the time when it was long enough. It is
 * found by the device going on without this metric (in the time in which the device is live: a pause of the whole device
 * counts as at most three of its usual ones), and by a tick that finds the whole device silent. Not heard because nobody was
 * listening is no gap. 0.9 KB per series, 40 bytes per device.
 */
export const hygiene = defineOperator({
  name: 'hygiene',
  summary: 'Whether the sensor of each series is broken: stuck, gap, spike, rate of change, range, clipping, clock, unit.',
  options: Type.Object({
    ...budget,
    samples: Type.Integer({ description: 'Readings to learn from before anything is said.', minimum: 2, default: 200 }),
    min: Type.Optional(Type.Number({ description: 'Least value that is physically possible.' })),
    max: Type.Optional(Type.Number({ description: 'Greatest value that is physically possible.' })),
    rate: Type.Optional(Type.Number({ description: 'Greatest change per second that is physically possible, in the unit of the value.', exclusiveMinimum: 0 })),
    every: Type.Optional(Duration({ description: 'Interval at which readings come; learned when absent.' }))
  }),
  adds: ['hygiene', 'hygiene_size', 'hygiene_learned', ...evidences],
  explains: ({ samples }) => ({ learning: { learned: 'hygiene_learned', of: samples }, spoke: { column: 'hygiene', names: checks } }),
  ...shapes,
  tuning: ['alarms', 'per', 'samples', 'min', 'max', 'rate', 'every'],
  derives: true,
  learns: true,
  check: ({ min, max, every }) => min !== undefined && max !== undefined && min > max ? `min ${min} is above max ${max}` : every === 0 ? 'every must be longer than nothing' : undefined,

  process (batch, options, memory, { series: table }) {
    const { samples } = options, { memory: { data, width } } = memory
    const model = new Hygiene(options), limitOf = (at: number) => limit(chance(model.interval(data, at), options))
    const columns = [...Array(3 + checks.length)].map(() => new Float64Array(batch.length).fill(NaN))
    const [said, size, learned, ...evidence] = columns
    const gaps = new Gaps(batch, model, table, memory, samples, limitOf, options.alarms)
    for (let i = 0; i < batch.length; i++) {
      gaps.upTo(batch.position[i], i)
      const s = batch.series[i], at = s * width, x = batch.value[i], n = model.readings(data, at)
      learned[i] = n < samples ? n : samples
      if (!Number.isFinite(x)) continue
      const bound = limitOf(at)
      model.take(data, at, x, batch.time[i], bound, data[at + TOLD] === 1, gaps.asleep(s))
      gaps.heard(s, bound)
      if (n < samples) model.silence()
      const code = model.tell(data, at, bound, chance(model.interval(data, at), options), options.alarms)
      if (n < samples && code === 0) continue
      said[i] = code
      size[i] = code === 0 ? 0 : model.findings[code - 1].size
      for (let k = 0; k < checks.length; k++) evidence[k][i] = model.findings[k].evidence
    }
    gaps.upTo(Infinity, batch.length)
    gaps.ticked()
    const out = batch.with(Object.fromEntries(['hygiene', 'hygiene_size', 'hygiene_learned', ...evidences].map((name, c) => [name, columns[c]])))
    return gaps.rows.length === 0 ? out : woven(out, gaps.rows, samples)
  }
})

const SERIES = Object.keys(shapes.perSeries.memory), HEARD = SERIES.indexOf('heard'), DUE = SERIES.indexOf('due'), TOLD = SERIES.indexOf('told')
const REACHED = 0, LIVE = 1, PAUSE = 2, RECORDS = 3, NEXT = 4
const MOST = 3                       // usual pauses that a longer one of the device counts as
const SETTLED = 1000                 // records that the usual pause goes back

/** The probability with which the budget allows an alarm in a reading; NaN when there is no interval yet. */
const chance = (interval: number, { alarms, per }: { readonly alarms: number, readonly per: number }): number => alarms * interval / per

/** The evidence that chance gives in one of the eight as often as the budget allows. */
function limit (chance: number): number {
  const evidence = -Math.log10(chance / checks.length)
  return evidence > 1 ? Math.min(evidence, LIMIT) : 1      // also when there is no interval yet
}

/** Finds series that are silent, while the rows of a batch pass. */
class Gaps {
  readonly rows: Gap[] = []
  private readonly batch: Batch<any>
  private readonly model: Hygiene
  private readonly table: SeriesTable
  private readonly memory: Memory
  private readonly samples: number
  private readonly limitOf: (at: number) => number
  private readonly allowed: number
  private next = 0                   // entry of the progress

  constructor (batch: Batch<any>, model: Hygiene, table: SeriesTable, memory: Memory, samples: number, limitOf: (at: number) => number, allowed: number) {
    this.batch = batch
    this.model = model
    this.table = table
    this.memory = memory
    this.samples = samples
    this.limitOf = limitOf
    this.allowed = allowed
    if (batch.progress.resumed) for (let s = 0; s < table.size; s++) model.excuse(memory.memory.data, s * memory.memory.width)
  }

  /** A series was heard. When it is looked at next depends on nothing but itself. */
  heard (s: number, limit: number): void {
    const { memory: { data, width }, pace } = this.memory
    const at = s * width, p = this.table.deviceOf[s] * pace.width
    data[at + TOLD] = 0
    data[at + HEARD] = pace.data[p + LIVE]
    data[at + DUE] = this.model.readings(data, at) < this.samples ? Infinity : pace.data[p + LIVE] + this.patience(at, p, this.model.patience(data, at, limit))
    if (data[at + DUE] < pace.data[p + NEXT]) pace.data[p + NEXT] = data[at + DUE]
  }

  /** Whether the whole device gave nothing since the series was heard. */
  asleep (s: number): boolean {
    const { memory: { data, width }, pace } = this.memory, at = s * width, p = this.table.deviceOf[s] * pace.width
    return !(pace.data[p + LIVE] - data[at + HEARD] > (MOST + 1) * pace.data[p + PAUSE] + this.model.interval(data, at))
  }

  /** Live time without a reading in which so many are missed. */
  private patience (at: number, p: number, missed: number): number {
    const { memory: { data }, pace } = this.memory
    return Math.max((missed + 1) * this.model.interval(data, at), MOST * pace.data[p + PAUSE]) + pace.data[p + PAUSE]
  }

  /** What records before this position have moved. New rows stand before row `before`. */
  upTo (position: number, before: number): void {
    const { progress } = this.batch
    while (this.next < progress.device.length && progress.position[this.next] < position) {
      const first = this.next, record = progress.position[first]
      while (this.next < progress.device.length && progress.position[this.next] === record) this.next++
      for (let k = first; k < this.next; k++) if (k + 1 === this.next || !progress.device.subarray(k + 1, this.next).includes(progress.device[k])) this.moved(progress.device[k], progress.time[k], record, before)
    }
  }

  private moved (d: number, time: number, position: number, before: number): void {
    const { memory: { data, width }, pace } = this.memory
    const p = d * pace.width, span = time - pace.data[p + REACHED]
    if (time === Infinity) return
    pace.data[p + REACHED] = time
    if (span === Infinity) return
    const n = ++pace.data[p + RECORDS], pause = pace.data[p + PAUSE]
    pace.data[p + PAUSE] = n === 1 ? span : pause * (1 + Math.sign(span - pause) * Math.max(1 / n, 1 / SETTLED) / 2)
    pace.data[p + LIVE] += Math.min(span, MOST * pace.data[p + PAUSE])
    if (!(pace.data[p + LIVE] >= pace.data[p + NEXT])) return
    let due = Infinity
    for (let s = this.table.firstOf(d); s >= 0; s = this.table.nextOf(s)) {
      const at = s * width
      if (pace.data[p + LIVE] >= data[at + DUE]) this.missing(s, at, p, position, before)
      due = Math.min(due, data[at + DUE])
    }
    pace.data[p + NEXT] = due
  }

  private missing (s: number, at: number, p: number, position: number, before: number): void {
    const { memory: { data }, pace } = this.memory
    const silent = data[at + DUE] - data[at + HEARD] - pace.data[p + PAUSE], missed = Math.floor(silent / this.model.interval(data, at) - 0.5)
    if (this.say(s, at, p, missed, false, position, before)) return
    data[at + DUE] += this.model.interval(data, at)
  }

  /** What a tick found: devices of which nothing was heard. */
  ticked (): void {
    const { progress: { quiet, silence, tick }, length } = this.batch
    const { memory: { data, width }, pace } = this.memory
    for (let k = 0; k < quiet.length; k++) {
      for (let s = this.table.firstOf(quiet[k]); s >= 0; s = this.table.nextOf(s)) {
        const at = s * width
        if (this.model.readings(data, at) >= this.samples && data[at + TOLD] === 0) this.say(s, at, quiet[k] * pace.width, Math.floor(silence[k] / this.model.interval(data, at)) - 1, true, tick, length)
      }
    }
  }

  private say (series: number, at: number, p: number, missed: number, asleep: boolean, position: number, before: number): boolean {
    const { memory: { data }, pace } = this.memory
    const evidence = this.model.missing(data, at, missed, asleep), limit = this.limitOf(at)
    if (evidence < limit || !this.model.tells(data, at, 'gap', evidence, limit, this.allowed)) return false
    const time = Math.round((this.model.newest(data, at) + (missed + 1) * this.model.interval(data, at)) * 1000) / 1000
    this.rows.push({ before, series, time, arrival: pace.data[p + REACHED], position, evidence, missed })
    data[at + TOLD] = 1
    data[at + DUE] = Infinity
    return true
  }
}
