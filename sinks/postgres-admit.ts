import type { Batch, DeadLetter, Reason, SeriesTable } from '#engine'
import type { Target } from './postgres-copy.ts'
import { micros } from './postgres-time.ts'
import { clean } from './postgres-series.ts'

const MAX_NAME = 1024                // bytes: what fits into an index entry with room to spare

/** Rows that were refused, as dead letters: numbered on after those that their message has already. */
export class Refusals {
  readonly letters: DeadLetter[] = []
  private readonly parts = new Map<number, number>()
  private readonly series: SeriesTable
  private readonly ingest: number

  constructor (series: SeriesTable, ingest: number, before: readonly DeadLetter[]) {
    this.series = series
    this.ingest = ingest
    for (const { position, part } of before) this.parts.set(position, Math.max(this.parts.get(position) ?? 0, part + 1))
  }

  add (table: string, batch: Batch<any>, row: number, reason: Reason, why: string, otherwise: number): void {
    const position = Number.isSafeInteger(batch.position[row]) ? batch.position[row] : otherwise
    const part = this.parts.get(position) ?? 0
    this.parts.set(position, part + 1)
    const columns = Object.fromEntries(Object.entries(batch.columns).map(([name, column]) => [name, column[row]]))
    const json = { table, ...this.series.name(batch.series[row]), time: batch.time[row], value: batch.value[row], ...columns }
    this.letters.push({ position, part, reason, detail: `${table}: ${why}`, topic: '', payload: Buffer.from(JSON.stringify(json)), ingest: this.ingest })
  }
}

const names = new WeakMap<SeriesTable, Map<number, boolean>>()

/** Can the database hold the names of this series? PostgreSQL has no NUL in text, and UTF-8 no lone surrogates. */
function named (table: SeriesTable, series: number): boolean {
  let known = names.get(table)
  if (known === undefined) names.set(table, known = new Map())
  let good = known.get(series)
  if (good === undefined) {
    const { tenant, device, metric } = table.name(series)
    known.set(series, good = [tenant, device, metric].every(name => clean(name) === name && Buffer.byteLength(name) <= MAX_NAME))
  }
  return good
}

/** The rows that may be sent to the table; the others become refusals. `horizon`: time before which it keeps nothing (-Infinity: keeps all). */
export function admit (target: Target, batch: Batch<any>, table: SeriesTable, horizon: number, refuse: (row: number, reason: Reason, why: string) => void): Batch<any> {
  const whole: Readonly<Float64Array> | undefined = target.kind === 'readings' ? batch.columns.seq : batch.columns.revision
  const most = target.kind === 'readings' ? 0x7fff : 0x7fffffff
  const { time, series, position } = batch
  let checked = -1
  return batch.filter(i => {
    if (time[i] < horizon) refuse(i, 'beyond_retention', `${moment(time[i])} is older than the ${moment(horizon)} that the table goes back to`)
    else if (!Number.isSafeInteger(micros(time[i]))) refuse(i, 'rejected_by_store', `the time ${time[i]} ms is out of range`)
    else if (!Number.isSafeInteger(position[i])) refuse(i, 'rejected_by_store', `the position ${position[i]} is not a whole number`)
    else if (whole !== undefined && !(whole[i] >= 0 && whole[i] <= most)) refuse(i, 'rejected_by_store', `${target.kind === 'readings' ? 'seq' : 'revision'} ${whole[i]} is outside 0 to ${most}`)
    else if (series[i] !== checked && !named(table, series[i])) refuse(i, 'rejected_by_store', 'a name that the database cannot hold')
    else { checked = series[i]; return true }
    return false
  })
}

const moment = (ms: number): string => Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`
