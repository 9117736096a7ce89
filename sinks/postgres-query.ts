import { MillraceError, POSITION, type AlertFilter, type AlertRow, type Asker, type Bucket, type ExportAsked, type Exported, type Found, type OneSeries, type Page, type PastAsked, type PastFound, type Query, type Range, type Report, type ReportAsked, type Row, type SeriesFilter, type SeriesRow, type TableColumns } from '#engine'
import { openExport } from './postgres-export.ts'
import { openPast } from './postgres-past.ts'
import { isMissing, Pool } from './postgres-pool.ts'
import { report } from './postgres-report.ts'
import { identifier } from './postgres-session.ts'
import { moment } from './postgres-time.ts'

export const ISO = (column: string, as = 'time'): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ${as}`
const FINITE = (number: string): string => `nullif(nullif(${number}, 'Infinity'), '-Infinity')`
export const MOMENT = (n: number): string => `to_timestamp($${n}::float8 / 1000)`

const EXPORTS = 16, OF_A_TENANT = 2  // at once: each has a connection of its own
const EVERYBODY: Asker = { tenant: undefined }
/** What the view series_named has, without the view: that is read with the rights of its owner. */
export const NAMED = '(SELECT s.id AS series, d.tenant, d.name AS device, s.metric, s.unit, d.type, d.site, d.tags FROM series s JOIN devices d ON d.id = s.device)'

/** An alert, and what became of it with each receiver; of the table alerts as a. */
export const ALERT = `a.id, a.incident, a.state, a.tenant, a.pipeline, a.alert, a.severity, a.device, a.metric, ${ISO('a.since', 'since')}, ${ISO('a.time')}, a.value, a.evidence, a.message, a.details, a.stale, a.position::float8 AS position, a.origin,
  (SELECT coalesce(json_agg(json_build_object('receiver', o.receiver, 'state', o.state, 'attempts', o.attempts, 'error', o.error) ORDER BY o.receiver), '[]') FROM alert_outbox o WHERE o.event = a.id) AS deliveries`

/** Of the table alerts as a. */
const OPEN = "(a.state = 'firing' AND NOT EXISTS (SELECT FROM alerts e WHERE e.id = a.incident || '.resolved'))", ACKNOWLEDGED = 'EXISTS (SELECT FROM alert_incidents i WHERE i.incident = a.incident AND i.acknowledged_at IS NOT NULL)'
const said = (holds: boolean | undefined, what: string): string => holds === undefined ? '' : ` AND ${holds ? '' : 'NOT '}${what}`

/** Reads what pipelines have written to PostgreSQL, on a few connections that can only read. */
export class PostgresQuery implements Query {
  private readonly url: string
  private readonly pool: Pool
  private readonly asker: Asker
  private readonly exports: (string | undefined)[]
  constructor (url: string, { pool = new Pool(url, { readOnly: true }), asker = EVERYBODY, exports = [] }: { readonly pool?: Pool, readonly asker?: Asker, readonly exports?: (string | undefined)[] } = {}) {
    this.url = url
    this.pool = pool
    this.asker = asker
    this.exports = exports
  }

  /** With the same connections. */
  as (asker: Asker): PostgresQuery { return new PostgresQuery(this.url, { pool: this.pool, asker, exports: this.exports }) }

  async series (filter: SeriesFilter, { limit, after = '0' }: Page): Promise<Found<SeriesRow>> {
    const { where, values } = matching(filter, [Number(after)])
    const rows = await this.ask<Placed<SeriesRow>>(`SELECT n.series AS place, n.tenant, n.device, n.metric, n.unit, n.type, n.site, n.tags FROM ${NAMED} n WHERE n.series > $1::bigint${where} ORDER BY n.series LIMIT ${limit + 1}`, values)
    return paged(rows, limit)
  }

  async latest ({ table, kind, columns }: TableColumns, filter: SeriesFilter, { limit, after = '0' }: Page): Promise<Found<Row>> {
    const { where, values } = matching(filter, [Number(after)])
    const newest = kind === 'readings' ? 'time DESC, seq DESC' : 'time DESC'
    const rows = await this.ask<Placed<Row>>(`
      SELECT n.series AS place, n.tenant, n.device, n.metric, ${ISO('r.time')}${listed(columns, 'r')} FROM ${NAMED} n
      CROSS JOIN LATERAL (SELECT time${listed(columns)} FROM ${identifier(table)} WHERE series = n.series ORDER BY ${newest} LIMIT 1) r
      WHERE n.series > $1::bigint${where} ORDER BY n.series LIMIT ${limit + 1}`, values)
    return paged(rows, limit)
  }

  async rows ({ table, kind, columns }: TableColumns, series: OneSeries, { from, to }: Range, { limit, after }: Page): Promise<Found<Row> | undefined> {
    const id = await this.idOf(series)
    if (id === undefined) return undefined
    const seq = kind === 'readings' ? 'seq' : '0', behind = after?.split('_').map(Number)
    const rows = await this.ask<Placed<Row>>(`
      SELECT ${ISO('time')}${listed(columns)}, (extract(epoch FROM time) * 1000000)::bigint || '_' || ${seq} AS place FROM ${identifier(table)}
      WHERE series = $1 AND time >= ${MOMENT(2)} AND time < ${MOMENT(3)}${behind === undefined ? '' : ` AND time >= ${moment('$4')} AND (time, ${seq}) > (${moment('$4')}, $5::int)`}
      ORDER BY series, time${kind === 'readings' ? ', seq' : ''} LIMIT ${limit + 1}`, [id, from, to, ...behind ?? []])
    return paged(rows, limit)
  }

  async buckets ({ table, columns: [column] }: TableColumns, series: OneSeries, { from, to }: Range, count: number): Promise<readonly Bucket[] | undefined> {
    const id = await this.idOf(series)
    if (id === undefined) return undefined
    const width = (to - from) / count, c = column === POSITION ? 'position::float8' : identifier(column)
    return await this.ask<Bucket>(`
      SELECT ${ISO('to_timestamp(($2::float8 + part * $4::float8) / 1000)')}, count, min, max, mean FROM (
        SELECT floor((extract(epoch FROM time)::float8 * 1000 - $2::float8) / $4::float8) AS part, count(${c})::int AS count, ${FINITE(`min(${c})`)} AS min, ${FINITE(`max(${c})`)} AS max, sum(${c}) FILTER (WHERE ${c} BETWEEN -1e290 AND 1e290) / nullif(count(${c}) FILTER (WHERE ${c} BETWEEN -1e290 AND 1e290), 0) AS mean
        FROM ${identifier(table)} WHERE series = $1 AND time >= ${MOMENT(2)} AND time < ${MOMENT(3)} AND ${c} IS NOT NULL GROUP BY 1) b ORDER BY part`, [id, from, to, width])
  }

  async alerts ({ open, acknowledged, ...filter }: AlertFilter, { from, to }: Range, { limit, after }: Page): Promise<Found<AlertRow>> {
    const [us, ...id] = after?.split('_') ?? []
    const { where, values } = matching(filter, [from, to, ...us === undefined ? [] : [us, id.join('_')]], 'a')
    const rows = await this.ask<Placed<AlertRow>>(`
      SELECT ${ALERT}, (extract(epoch FROM a.time) * 1000000)::bigint || '_' || a.id AS place
      FROM alerts a WHERE a.time >= ${MOMENT(1)} AND a.time < ${MOMENT(2)}${us === undefined ? '' : ` AND (a.time, a.id) < (${moment('$3')}, $4)`}${where}${said(open, OPEN)}${said(acknowledged, ACKNOWLEDGED)} ORDER BY a.time DESC, a.id DESC LIMIT ${limit + 1}`, values)
    return paged(rows, limit)
  }

  /** Each on a connection of its own. */
  async export (asked: ExportAsked): Promise<Exported> {
    const { exports, asker: { tenant } } = this, own = exports.filter(other => other === tenant).length
    if (own >= OF_A_TENANT || exports.length >= EXPORTS) throw new MillraceError('api/busy', own >= OF_A_TENANT ? `${own} exports of this tenant are under way` : `${exports.length} exports are under way`)
    exports.push(tenant)
    let over = false
    const leave = () => { if (!over) exports.splice(exports.indexOf(tenant), 1); over = true }
    try {
      const { place, pages, close } = await openExport(this.url, asked, { asker: this.asker })
      const counted = async function* () { try { yield* pages } finally { leave() } }
      return { place, pages: counted(), close: async () => { leave(); await close() } }
    } catch (error) {
      leave()
      throw error
    }
  }

  async past (asked: PastAsked): Promise<PastFound> { return await openPast(this.url, asked, this.asker) }

  async report (asked: ReportAsked): Promise<Report> { return await report({ ask: (sql, values = []) => this.ask(sql, values) }, asked) }

  async close (): Promise<void> { await this.pool.close() }

  private async idOf ({ tenant, device, metric }: OneSeries): Promise<number | undefined> {
    return (await this.ask<{ id: number }>('SELECT s.id FROM series s JOIN devices d ON d.id = s.device WHERE d.tenant = $1 AND d.name = $2 AND s.metric = $3', [tenant, device, metric]))[0]?.id
  }

  private async ask<R extends object> (sql: string, values: readonly unknown[]): Promise<R[]> {
    return await this.pool.as(this.asker).ask<R>(sql, values).catch((error: unknown) => { throw isMissing(error) ? new MillraceError('api/not-found', 'the pipeline has not made this table yet') : error })
  }
}

/** Conditions on columns of a table, with their parameters behind those that are there. */
export function matching (filter: Partial<SeriesFilter> | Omit<AlertFilter, 'open' | 'acknowledged'>, values: readonly unknown[], of = 'n'): { where: string, values: readonly unknown[] } {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined)
  return { where: given.map(([name], k) => name === 'tags' ? ` AND ${of}.tags @> $${values.length + k + 1}::jsonb` : ` AND ${of}.${identifier(name)} = $${values.length + k + 1}`).join(''), values: [...values, ...given.map(([, value]) => value)] }
}

export const listed = (columns: readonly string[], of?: string): string => columns.map(c => c === POSITION ? `, ${of === undefined ? '' : `${of}.`}position::float8 AS position` : `, ${of === undefined ? '' : `${of}.`}${identifier(c)}`).join('')

/** A row with its place in the order. */
export type Placed<T> = T & { place?: string | number }

/** One row more was asked for than is given: it says that there are more. */
export function paged<T> (rows: readonly Placed<T>[], limit: number): Found<T> {
  const given = rows.slice(0, limit), next = rows.length > limit ? String(given[limit - 1].place) : undefined
  for (const row of given) delete row.place
  return { rows: given, next }
}
