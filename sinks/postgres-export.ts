import pg from 'pg'
import { masked, MillraceError, type Asker, type ExportAsked, type Exported, type Row } from '#engine'
import { identifier, sqlstate } from './postgres-session.ts'
import { withWall } from './postgres-wall.ts'
import { ISO, listed, matching, MOMENT, NAMED } from './postgres-query.ts'

const PAGE = 2000                    // rows in memory at once
const TIMEOUT = 60_000               // ms for a page
const IDLE = 60_000                  // ms in which whoever reads is to take a page
const LONGEST = 3_600_000            // ms for all: until it is over its table cannot be changed, nor anything vacuumed
const PLACES = 'what the export before gave; without it all rows come'
const PLACE = /^(\d{1,20})\.(\d{1,10})\.(\d{1,20}:\d{1,20}:[\d,]{0,4000})$/

/**
 * All rows of a table, or those that were committed since another export, by a cursor in one snapshot: whatever is committed meanwhile
 * is of the next one. What a row was committed by is its xmin, so both sides of a place are exact, in whatever order pipelines commit: no row is written in a savepoint, see postgres-rows.ts. The whole
 * range is read for it. A raw xmin has 32 bits: rows that are older than four thousand million transactions may be taken for new ones.
 */
export async function openExport (url: string, { table: { table, kind, columns }, series, range, since }: ExportAsked, { asker = { tenant: undefined }, idle = IDLE, longest = LONGEST }: { readonly asker?: Asker, readonly idle?: number, readonly longest?: number } = {}): Promise<Exported> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, query_timeout: TIMEOUT, statement_timeout: TIMEOUT, idle_in_transaction_session_timeout: idle, fallback_application_name: 'millrace-export', options: '-c timezone=UTC' })
  let lost: Error | undefined
  client.on('error', error => { lost ??= error })
  const close = async () => { await client.end().catch(() => {}) }
  const failed = (error: unknown): Error => {
    if (error instanceof MillraceError) return error
    if (sqlstate(lost) === '25P03') return new MillraceError('api/too-long', `the export was ended: no ${PAGE} rows were read for ${idle / 1000} s`)
    const code = sqlstate(error)
    if (code === '42P01') return new MillraceError('api/not-found', 'the pipeline has not made this table yet')
    if (code === '22P02' && since !== undefined) return new MillraceError('api/invalid', 'since is no place of an export', { help: PLACES })
    if (code === '57014') return new MillraceError('api/too-long', `the database did not give ${PAGE} rows within ${TIMEOUT / 1000} s`, { help: 'a shorter range, fewer series' })
    if (code === '0A000' && since !== undefined) return new MillraceError('api/invalid', 'rows that TimescaleDB has compressed do not say when they were committed', { help: 'from: a time after which nothing is compressed; or all rows, without since' })
    return code !== undefined && !/^(08|53|57)/.test(code) ? error as Error : new MillraceError('store/unreachable', `the database ${masked(url)} cannot be reached: ${(lost ?? error as Error).message}`, { cause: error })
  }
  try {
    await client.connect()
    const [, { rows: [{ place }] }] = await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT (SELECT system_identifier FROM pg_control_system()) || '.' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '.' || pg_current_snapshot() AS place") as unknown as [unknown, pg.QueryResult<{ place: string }>]
    const [, system, database, before] = PLACE.exec(since ?? place) ?? []
    if (before === undefined || !place.startsWith(`${system}.${database}.`)) throw new MillraceError('api/invalid', before === undefined ? 'since is no place of an export' : 'since is a place in another database', { help: PLACES })
    await withWall(client, asker)
    const { where, values } = matching(series, [range.from, range.to, before])
    const added = since === undefined ? ' AND $3::text IS NOT NULL' : ` AND NOT pg_visible_in_snapshot(${COMMITTED}, $3::pg_snapshot)`
    await client.query(`DECLARE exported NO SCROLL CURSOR FOR SELECT ${ISO('r.time')}, n.tenant, n.device, n.metric${listed(columns, 'r')} FROM ${identifier(table)} r JOIN ${NAMED} n ON n.series = r.series
      WHERE r.time >= ${MOMENT(1)} AND r.time < ${MOMENT(2)}${added}${kind === 'windows' ? ' AND NOT r.provisional' : ''}${where} ORDER BY r.series, r.time${kind === 'readings' ? ', r.seq' : ''}`, [...values])
    const end = performance.now() + longest
    const next = async () => {
      if (performance.now() > end) throw new MillraceError('api/too-long', `the export was ended: it was not over within ${longest / 1000} s`, { help: 'a shorter range, fewer series' })
      return (await client.query<Row & pg.QueryResultRow>(`FETCH ${PAGE} FROM exported`)).rows
    }
    let page = await next()
    const pages = async function* (): AsyncGenerator<readonly Row[]> {
      try {
        for (; page.length > 0; page = page.length < PAGE ? [] : await next()) yield page
      } catch (error) {
        throw failed(error)
      } finally { await close() }
    }
    return { place, pages: pages(), close }
  } catch (error) {
    await close()
    throw failed(error)
  }
}

/** xmin with the epoch that it must be of: the newest that is not ahead of the snapshot. */
const COMMITTED = `(SELECT CASE WHEN x > newest THEN x - 4294967296 ELSE x END FROM (SELECT newest, newest / 4294967296 * 4294967296 + r.xmin::text::bigint AS x FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS newest) s) t)::text::xid8`
