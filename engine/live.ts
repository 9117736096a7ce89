import type { AlertEvent } from './alert.ts'
import type { Outputs } from './outputs.ts'
import { isoMicros } from './iso.ts'
import type { SeriesTable } from './series.ts'

/** `scores`: of rows only what steps that learn say of them. */
export const liveKinds = ['rows', 'alerts', 'scores'] as const
export type LiveKind = typeof liveKinds[number]

/** What somebody wants to see: equal names, or all. */
export interface LiveFilter { readonly kinds: readonly LiveKind[], readonly tenant?: string | undefined, readonly pipeline?: string | undefined, readonly device?: string | undefined, readonly metric?: string | undefined }
/** `id` says where to go on: behind the commit whose last event this is. The others have none, so whoever is cut off between has all of the commit again. */
export interface LiveEvent { readonly id?: string, readonly event: LiveKind, readonly data: string }
export interface Listening {
  /** False: what came between the id and now is not kept any more. */
  readonly whole: boolean
  /** What came behind the id that was given. */
  readonly missed: readonly LiveEvent[]
  stop (): void
}

interface Kept { readonly number: number, readonly pipeline: string, readonly series: SeriesTable, readonly outputs: Pick<Outputs, 'writes' | 'alerts'>, readonly scores: ReadonlySet<string>, readonly rows: number }

const KEPT = 20_000                  // rows that are kept for those who come back
const NONE: ReadonlySet<string> = new Set()
const GRACE = 60_000                 // ms that they are, when nobody listens any more

/**
 * What pipelines have committed, for whoever listens now. Costs a comparison a commit while nobody does: rows are kept as the columns
 * that they are, and become text for those who want them. An id counts commits of one time of listening; with it one who was cut off goes on
 * without a gap as long as the newest 20,000 rows hold what came between.
 */
export class Live {
  private readonly listeners = new Set<(kept: Kept) => void>()
  private kept: Kept[] = []
  private rows = 0
  private time = ''                  // of listening, as part of ids
  private number = 0
  private until = -Infinity

  get count (): number { return this.listeners.size }

  /** Called after each commit. `scores`: the columns of the pipeline that are some. */
  commit (pipeline: string, series: SeriesTable, outputs: Pick<Outputs, 'writes' | 'alerts'>, scores: ReadonlySet<string> = NONE): void {
    if (this.listeners.size === 0 && performance.now() > this.until) {
      if (this.kept.length > 0) this.clear()
      return
    }
    const { writes, alerts } = outputs, rows = writes.reduce((n, { batch }) => n + batch.length, alerts.length)
    if (rows === 0) return
    const kept = { number: ++this.number, pipeline, series, outputs: { writes, alerts }, scores, rows }
    this.kept.push(kept)
    this.rows += rows
    while (this.rows > KEPT && this.kept.length > 1) this.rows -= this.kept.shift()!.rows
    for (const listener of this.listeners) listener(kept)
  }

  /** `after`: the id that was seen last. `give` is called in the commit and must not throw. */
  listen (filter: LiveFilter, after: string | undefined, give: (events: readonly LiveEvent[]) => void): Listening {
    if (this.listeners.size === 0 && performance.now() > this.until) {
      this.clear()
      this.time = Date.now().toString(36)
      this.number = 0
    }
    const seen = after === undefined ? undefined : after.startsWith(`${this.time}-`) ? Number(after.slice(this.time.length + 1)) : NaN
    const reads = reader(filter), events = (kept: Kept) => reads(kept, `${this.time}-${kept.number}`)
    const listener = (kept: Kept) => {
      const found = events(kept)
      if (found.length > 0) give(found)
    }
    this.listeners.add(listener)
    return {
      whole: seen === undefined || seen <= this.number && seen >= (this.kept[0]?.number ?? this.number + 1) - 1,
      missed: seen === undefined ? [] : this.kept.filter(({ number }) => number > seen).flatMap(events),
      stop: () => {
        if (this.listeners.delete(listener) && this.listeners.size === 0) this.until = performance.now() + GRACE
      }
    }
  }

  private clear (): void {
    this.kept = []
    this.rows = 0
  }
}

/** What of a commit one sees, as events. Whether a series is wanted is asked once for each. */
function reader ({ kinds, tenant, pipeline, device, metric }: LiveFilter): (kept: Kept, id: string) => LiveEvent[] {
  const wanted = new WeakMap<SeriesTable, Int8Array>()
  const fits = (is: { readonly tenant: string, readonly device: string, readonly metric: string }) =>
    (tenant === undefined || is.tenant === tenant) && (device === undefined || is.device === device) && (metric === undefined || is.metric === metric)
  const named = tenant !== undefined || device !== undefined || metric !== undefined
  return (kept, id) => {
    if (pipeline !== undefined && kept.pipeline !== pipeline) return []
    const { series, scores, outputs: { writes, alerts } } = kept
    let known = wanted.get(series)
    if (known === undefined) wanted.set(series, known = new Int8Array(named ? series.capacity : 0))
    const is = (s: number) => !named || (known[s] ||= fits(series.name(s)) ? 1 : -1) > 0
    const events: Omit<LiveEvent, 'id'>[] = []
    for (const event of ['rows', 'scores'] as const) {
      if (!kinds.includes(event)) continue
      for (const { branch, table, batch } of writes) {
        const columns = Object.entries<any>(batch.columns).filter(([name]) => event === 'rows' ? name !== 'seq' : scores.has(name)), rows: object[] = []
        for (let i = 0; i < batch.length; i++) {
          if (!is(batch.series[i]) || event === 'scores' && !columns.some(([, column]) => Number.isFinite(column[i]))) continue
          const row: Record<string, unknown> = { time: isoMicros(batch.time[i]), ...series.name(batch.series[i]), value: finite(batch.value[i]) }
          for (const [name, column] of columns) row[name] = finite(column[i])
          rows.push(row)
        }
        if (rows.length > 0) events.push({ event, data: JSON.stringify({ pipeline: kept.pipeline, branch, table, rows }) })
      }
    }
    if (kinds.includes('alerts')) {
      const found = alerts.filter(({ event }) => fits(event))
      if (found.length > 0) events.push({ event: 'alerts', data: JSON.stringify({ pipeline: kept.pipeline, alerts: found.map(({ event, stale = false }) => plain(event, stale)) }) })
    }
    return events.map((event, i) => i < events.length - 1 ? event : { id, ...event })
  }
}

const finite = (x: number): number | null => Number.isFinite(x) ? x : null
const plain = ({ id, incident, state, tenant, alert, severity, device, metric, since, time, value, evidence, message, details }: AlertEvent, stale: boolean) =>
  ({ id, incident, state, tenant, alert, severity, device, metric, since: isoMicros(since), time: isoMicros(time), value, evidence, message, ...details === undefined ? {} : { details }, stale })
