import fc from 'fast-check'
import { SeriesTable, Watermarks, type Batch, type Host, type Numbers, type Operator, type Readings } from '#engine'

/** What a source would read: records (one position each) of one or more readings, and ticks of the ingest clock between them. */
export interface Reading { readonly device: string, readonly metric: string, readonly time: number, readonly value: number }
export type Entry =
  | { readonly kind: 'record', readonly position: number, readonly readings: readonly Reading[] }
  | { readonly kind: 'tick', readonly position: number, readonly silence: number }     // ms that pass on the ingest clock
  | { readonly kind: 'listen' }                                                        // nobody has listened until now
  | { readonly kind: 'relearn', readonly device: string }                              // maintenance of it is over
  | { readonly kind: 'empty' }                                                         // a batch without rows
  | { readonly kind: 'end', readonly position: number }
export type Log = readonly Entry[]

const TIME = { lateness: 5_000, idle: 30_000, forget: 1_000_000 }
const START = 1_700_000_000_000

const value = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 4 }) },
  { weight: 4, arbitrary: fc.double({ min: -100, max: 100, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(NaN) })
const behind = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 0, max: 8 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 200 }) })
const reading = fc.record({ device: fc.nat(2), metric: fc.nat(2), behind, value })
const record = fc.record({ kind: fc.constant('record' as const), step: fc.integer({ min: 0, max: 6 }), readings: fc.array(reading, { minLength: 1, maxLength: 3 }) })
const repeat = fc.record({ kind: fc.constant('repeat' as const), back: fc.nat(6) })
const tick = fc.record({ kind: fc.constant('tick' as const), silence: fc.constantFrom(10_000, 40_000, 2_000_000) })
const empty = fc.record({ kind: fc.constant('empty' as const) })
const listen = fc.record({ kind: fc.constant('listen' as const) })
const relearn = fc.record({ kind: fc.constant('relearn' as const), device: fc.constantFrom('d0', 'd1', 'd2') })

/**
 * Streams of three devices with three metrics each: gaps, repeats, stragglers, missing values, empty batches, series that
 * appear on the way, a device whose clock is wrong, devices that go silent, come back with old readings, are forgotten, or are to be learned anew.
 */
export const logs: fc.Arbitrary<Log> = fc.record({
  steps: fc.array(fc.oneof({ weight: 12, arbitrary: record }, { weight: 2, arbitrary: repeat }, { weight: 2, arbitrary: tick }, { weight: 1, arbitrary: empty }, { weight: 1, arbitrary: listen }, { weight: 1, arbitrary: relearn }), { maxLength: 40, size: 'max' }),
  wrongClock: fc.constantFrom(0, 0, 90_000, -3_600_000),
  ends: fc.boolean()
}).map(({ steps, wrongClock, ends }) => {
  const log: Entry[] = []
  const records: (readonly Reading[])[] = []
  let clock = START, position = 0
  for (const step of steps) {
    if (step.kind === 'record') {
      clock += step.step * 1000
      records.push(step.readings.map(({ device, metric, behind, value }) => ({ device: `d${device}`, metric: `m${metric}`, value, time: clock - behind * 1000 + (device === 2 ? wrongClock : 0) })))
      log.push({ kind: 'record', position: ++position, readings: records[records.length - 1] })
    } else if (step.kind === 'repeat') {
      const readings = records[records.length - 1 - step.back]
      if (readings !== undefined) log.push({ kind: 'record', position: ++position, readings })
    } else if (step.kind === 'tick') log.push({ kind: 'tick', position, silence: step.silence })
    else log.push(step)
  }
  if (ends) log.push({ kind: 'end', position })
  return log
})

/** The log as one device alone would have filled it. */
export const alone = (log: Log, device: string): Log => log.map(entry =>
  entry.kind === 'record' ? { ...entry, readings: entry.readings.filter(r => r.device === device) } : entry)

/** Consecutive records in one delivery, or not: `cut` says before which entries the stream is cut. */
export function deliveries (log: Log, cut: (entry: number) => boolean): Log[] {
  const out: Entry[][] = []
  log.forEach((entry, i) => {
    const before = log[i - 1]
    if (entry.kind === 'record' && before?.kind === 'record' && !cut(i)) out[out.length - 1].push(entry)
    else out.push([entry])
  })
  return out
}

/** One row, with names instead of ids, which may differ between runs. */
export type Row = readonly [series: string, time: number, value: number, position: number, arrival: number, kind: 'row' | 'provisional' | 'late', ...columns: (readonly [string, number])[]]

export function rowsOf (batch: Batch<any>, table: SeriesTable, kind: Row[5] = 'row'): Row[] {
  const columns = Object.entries(batch.columns as Record<string, Numbers>).sort(([a], [b]) => a < b ? -1 : 1)
  return Array.from(batch.time, (time, i): Row => {
    return [nameOf(table, batch.series[i]), time, batch.value[i], batch.position[i], batch.arrival[i], kind, ...columns.map(([name, column]) => [name, column[i]] as const)]
  })
}

const known = new WeakMap<SeriesTable, string[]>()
function nameOf (table: SeriesTable, series: number): string {
  let names = known.get(table)
  if (names === undefined) known.set(table, names = [])
  return names[series] ??= (({ device, metric }) => `${device}/${metric}`)(table.name(series))
}

/** One operator on its way through a log, with the table, the progress and the memory that belong to it. */
export class Run {
  readonly table: SeriesTable
  readonly watermarks: Watermarks
  readonly stage
  readonly rows: Row[] = []
  readonly late: Row[] = []
  aggregated = 0
  private readonly operator: Operator
  private ingest = START

  constructor (operator: Operator, from?: Run) {
    this.operator = operator
    this.table = new SeriesTable(64)
    if (from !== undefined) {
      for (let s = 0; s < from.table.size; s++) {
        const { tenant, device, metric } = from.table.name(s)
        this.table.id(tenant, device, metric)
      }
      this.ingest = from.ingest
    }
    this.watermarks = new Watermarks(this.table, TIME)
    const host: Host = {
      series: this.table,
      late: rows => { this.late.push(...rowsOf(rows, this.table, 'late')) },
      aggregated: readings => { this.aggregated += readings }
    }
    this.stage = operator.open(host)
  }

  /** What the source and the clock make of one delivery; nothing when a tick finds nobody silent, and of what makes no batch. */
  batch (delivery: Log): Batch<any> | undefined {
    const [entry] = delivery
    if (entry.kind === 'tick') {
      this.ingest += entry.silence
      const batch = this.watermarks.tick(this.watermarks.gone(this.ingest), entry.position)
      return batch === undefined ? undefined : withColumns(batch, this.operator.needs)
    }
    if (entry.kind === 'relearn') return this.relearn(entry.device)
    if (entry.kind === 'listen') return withColumns(this.watermarks.listen(this.ingest), this.operator.needs)
    if (entry.kind === 'end') return withColumns(this.watermarks.end(entry.position), this.operator.needs)
    const readings = delivery.flatMap(e => e.kind === 'record' ? e.readings.map(r => ({ ...r, position: e.position })) : [])
    const rows: Readings = {
      time: Float64Array.from(readings, r => r.time),
      series: Int32Array.from(readings, r => this.table.id('t', r.device, r.metric)),
      value: Float64Array.from(readings, r => r.value),
      position: Float64Array.from(readings, r => r.position),
      ingest: new Float64Array(readings.length).fill(this.ingest)
    }
    return withColumns(this.watermarks.arrive(rows), this.operator.needs)
  }

  relearn (device: string): undefined {
    const d = this.table.known('t', device), series: number[] = []
    if (d < 0) return
    for (let s = this.table.firstOf(d); s >= 0; s = this.table.nextOf(s)) series.push(s)
    this.stage.relearn(Int32Array.from(series), Int32Array.of(d))
  }

  process (batch: Batch<any>): Batch<any> {
    const out = this.stage.process(batch)
    this.rows.push(...rowsOf(out, this.table))
    if (out.provisional !== undefined) this.rows.push(...rowsOf(out.provisional, this.table, 'provisional'))
    return out
  }

  /** `only`: of one series; it has the same number in every run through these parts from their beginning. */
  feed (parts: readonly Log[], only?: number): this {
    for (const part of parts) {
      const batch = this.batch(part)
      if (batch !== undefined) this.process(only === undefined ? batch : batch.filter(i => batch.series[i] === only))
    }
    return this
  }

  nameOf (series: number): string { return nameOf(this.table, series) }
}

/** The columns that an operator needs, and one that it does not know. */
function withColumns (batch: Batch<any>, needs: readonly string[]): Batch<any> {
  return batch.with(Object.fromEntries([...needs, 'given'].map((name, k) => [name, batch.value.map(x => x * 0.5 + k)])))
}
