/** A postgres store as the engine opens one, and the batches and commits that tests give it. */
import { Batch, noCounts, SeriesTable, type AlertEvent, type Commit, type DeadLetter, type Outcome, type Recovered, type Store, type TablePlan } from '#engine'
import { postgres } from '../../sinks/postgres.ts'
import { quiet } from './postgres.ts'

/** Monday of this week: what is older than a year when a table is made has no partition of its own. */
export const T0 = Math.floor((Date.now() - 4 * 864e5) / 6048e5) * 6048e5 + 4 * 864e5
export const INGEST = T0 + 3_600_000

type Given = Parameters<typeof postgres>[0]
export const table = (name: string, kind: TablePlan['kind'], columns: string[] = [], given: Partial<NonNullable<Given>> = {}): TablePlan =>
  ({ name, kind, columns, options: postgres({ table: name, ...given }).options })

/** An opened store, with the commit that its next one follows. */
export class Opened {
  readonly store: Store
  readonly series: SeriesTable
  recovered!: Recovered
  version = 0
  outcomes: readonly Outcome[] = []

  constructor (url: string | undefined, tables: TablePlan[], series = new SeriesTable(1000), pipeline = 'p', log = quiet) {
    this.series = series
    this.store = postgres.definition.store!(tables.map(p => ({ ...p.options, ...url === undefined ? {} : { url } }) as any), { pipeline, tables }, { pipeline, series, log, database: undefined, folder: '' })
  }

  async open (signal = new AbortController().signal): Promise<this> {
    this.recovered = await this.store.open(signal)
    this.version = this.recovered.version
    return this
  }

  commitOf (parts: Partial<Commit> = {}): Commit {
    return {
      writes: [], alerts: [], late: [], deadLetters: [], partitions: [0], marks: [], position: 1, ingest: INGEST, epoch: this.recovered.epoch, version: this.version,
      counts: outcomes => { this.outcomes = outcomes; return { '': { ...noCounts(), written: outcomes.reduce((sum, o) => sum + o.written, 0) } } },
      ...parts
    }
  }

  async commit (parts: Partial<Commit> = {}): Promise<readonly Outcome[]> {
    const outcomes = await this.store.commit(this.commitOf(parts))
    this.version++
    return outcomes
  }

  write (to: string, batch: Batch<any>): Partial<Commit> { return { writes: [{ branch: '', table: to, batch }] } }
}

/** [device, metric, ms after T0, value, more columns]. Positions count from 1. */
export type Row = readonly [device: string, metric: string, after: number, value: number, columns?: Record<string, number>]
export function batchOf (series: SeriesTable, rows: readonly Row[], provisional?: Batch<any>): Batch<any> {
  const names = [...new Set(rows.flatMap(r => Object.keys(r[4] ?? {})))]
  return new Batch<any>({
    time: Float64Array.from(rows, r => T0 + r[2]),
    series: Int32Array.from(rows, r => series.id('acme', r[0], r[1])),
    value: Float64Array.from(rows, r => r[3]),
    columns: Object.fromEntries(names.map(name => [name, Float64Array.from(rows, r => r[4]?.[name] ?? NaN)])),
    position: Float64Array.from(rows, (_, i) => i + 1),
    provisional
  })
}

export const deadLetter = (position: number, part: number, payload: string): DeadLetter =>
  ({ position, part, reason: 'unparseable', detail: 'not JSON\0', topic: 'a/b', payload: Buffer.from(payload), ingest: INGEST })

export const alertEvent = (id: string, parts: Partial<AlertEvent> = {}): AlertEvent => ({
  id: `${id}.firing`, incident: id, state: 'firing', tenant: 'acme', pipeline: 'p', alert: 'hot', severity: 'warning', device: 'd', metric: 'm',
  since: T0 + 0.125, time: T0 + 1000.5, value: 99.5, evidence: { zscore: 5, other: null }, message: 'd is hot', position: 7, ...parts
})
