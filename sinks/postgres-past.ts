import pg from 'pg'
import { masked, MillraceError, type Asker, type PastAsked, type PastFound, type PastRecord } from '#engine'
import { matching, MOMENT, NAMED } from './postgres-query.ts'
import { identifier, sqlstate } from './postgres-session.ts'
import { withWall } from './postgres-wall.ts'

const PAGE = 2000                    // rows in memory at once
const TIMEOUT = 600_000              // ms for a page: the first waits until all are sorted

/**
 * Readings of a table in the order in which they were committed, in one snapshot with the checkpoint of who writes it: those are all
 * that it has made of what stands before that position, and none of what stands behind it.
 */
export async function openPast (url: string, { table, writer, from = -Infinity, to = Infinity, tenant }: PastAsked, asker: Asker): Promise<PastFound> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000, query_timeout: TIMEOUT, statement_timeout: TIMEOUT, idle_in_transaction_session_timeout: TIMEOUT, fallback_application_name: 'millrace-backfill' })
  let lost: Error | undefined
  client.on('error', error => { lost ??= error })
  const close = async () => { await client.end().catch(() => {}) }
  const failed = (error: unknown): Error => {
    const code = sqlstate(error)
    if (code === '42P01') return new MillraceError('api/not-found', `the table "${table}" is not there yet`)
    if (code === '57014') return new MillraceError('api/too-long', `the database did not give ${PAGE} rows within ${TIMEOUT / 1000} s`, { help: 'from: a later time' })
    return code !== undefined && !/^(08|53|57)/.test(code) ? error as Error : new MillraceError('store/unreachable', `the database ${masked(url)} cannot be reached: ${(lost ?? error as Error).message}`, { cause: error })
  }
  try {
    await client.connect()
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const { rows: [place = { origin: null, position: null }] } = await client.query<{ origin: string | null, position: number | null }>('SELECT origin, position::float8 FROM checkpoint WHERE pipeline = $1 ORDER BY version DESC LIMIT 1', [writer])
    await withWall(client, asker)       // behind what only the engine may see
    const { where, values } = matching({ tenant }, [from, to])
    await client.query(`DECLARE past NO SCROLL CURSOR FOR SELECT ${MS('r.ingested_at')} AS at, n.tenant, n.device, n.metric, ${MS('r.time')} AS time, r.value FROM ${identifier(table)} r JOIN ${NAMED} n ON n.series = r.series
      WHERE r.time >= ${MOMENT(1)} AND r.time < ${MOMENT(2)}${where} ORDER BY r.ingested_at, r.position, r.time, r.seq, r.series`, [...values])
    const records = async function* (): AsyncGenerator<readonly PastRecord[]> {
      try {
        for (;;) {
          const { rows } = await client.query<{ at: number, tenant: string, device: string, metric: string, time: number, value: number | null }>(`FETCH ${PAGE} FROM past`)
          if (rows.length === 0) return
          yield rows.map(({ at, ...reading }) => ({ at, readings: [reading] }))
        }
      } catch (error) {
        throw failed(error)
      } finally { await close() }
    }
    return { place: { origin: place.origin ?? undefined, position: place.position ?? undefined }, records: records(), close }
  } catch (error) {
    await close()
    throw failed(error)
  }
}

/** Milliseconds since 1970, exact to the microsecond. */
const MS = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::float8`
