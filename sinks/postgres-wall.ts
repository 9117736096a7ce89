import type pg from 'pg'
import type { Asker, Logger } from '#engine'
import { identifier, literal, sqlstate, type Session } from './postgres-session.ts'

/** As whom everything is asked that is asked for one tenant: see migration 009. */
export const ROLE = 'millrace_tenant'
/** What the role may do. Of tables that are not here it may nothing. */
const RIGHTS = `
  GRANT SELECT ON devices, series, late_readings, alerts, alert_outbox, alert_deliveries, alert_incidents, alert_comments, silences, jobs TO ${ROLE};
  GRANT INSERT ON alert_deliveries, alert_incidents, alert_comments, silences, audit TO ${ROLE};
  GRANT UPDATE ON alert_outbox, alert_incidents, silences TO ${ROLE};
  GRANT SELECT (id) ON audit TO ${ROLE};`

/** Tables of rows that nobody has shut: of pipelines that have not started since there is a wall, such as those that are paused. */
const OPEN = `SELECT relname AS name FROM pg_class c WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND to_regclass(quote_ident(relname || '_named')) IS NOT NULL AND relname <> 'series' AND NOT has_table_privilege($1, oid, 'SELECT')`

/** In a transaction: from here to its end it is asked for them. Of all tenants only the id of the request is set. */
export const wallFor = ({ tenant, request = '' }: Asker): string =>
  `${tenant === undefined ? '' : `SET LOCAL ROLE ${ROLE}; `}SELECT set_config('millrace.tenant', ${literal(tenant ?? '')}, true), set_config('millrace.request', ${literal(request)}, true)`

/** The same on a connection of its own, in a transaction that has begun. Where there is no wall the first one stands alone. */
export async function withWall (client: Pick<pg.Client, 'query'>, asker: Asker): Promise<void> {
  await client.query(`SAVEPOINT wall; ${wallFor(asker)}`).catch(async (error: unknown) => {
    if (!hasNoWall(error)) throw error
    await client.query('ROLLBACK TO SAVEPOINT wall')
  })
}

export const beginFor = (asker: Asker): string => `BEGIN; ${wallFor(asker)}`

/** The role is not there, or this user may not become it. */
export const hasNoWall = (error: unknown): boolean => ['22023', '42501', '42704'].includes(sqlstate(error) ?? '')

/** Makes the role, where this user may, and gives it its rights in this database. Under the migration lock. */
export async function raiseWall (session: Session, log: Pick<Logger, 'info'> & Partial<Pick<Logger, 'warn'>>): Promise<void> {
  try {
    const { rows: [{ there }] } = await session.query<{ there: boolean }>('SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS there', [ROLE])
    if (!there) await session.query(`CREATE ROLE ${ROLE} NOLOGIN`).catch((error: unknown) => { if (!['42710', '23505'].includes(sqlstate(error) ?? '')) throw error })      // another database of the server made it meanwhile
    const { rows: [{ able, granted }] } = await session.query<{ able: boolean, granted: boolean }>(`SELECT pg_has_role(current_user, $1, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) AS able, has_table_privilege($1, 'silences', 'UPDATE') AS granted`, [ROLE])
    if (!able) await session.query(`GRANT ${ROLE} TO CURRENT_USER`)      // from version 16 on, who makes a role may give it, and not become it
    if (!granted) await session.query(`GRANT USAGE ON SCHEMA ${identifier((await session.query<{ schema: string }>('SELECT current_schema() AS schema')).rows[0].schema)} TO ${ROLE}; ${RIGHTS}`)
    await session.query(`BEGIN; SET LOCAL ROLE ${ROLE}; COMMIT`)
    for (const { name } of (await session.query<{ name: string }>(OPEN, [ROLE])).rows) {
      await session.transaction(async () => {
        await session.query("SET LOCAL lock_timeout = '3s'")
        await shut(session, name)
      }).catch((error: unknown) => { if (sqlstate((error as Error).cause ?? error) === undefined) throw error; log.warn?.({ table: name, err: (error as Error).message }, 'this table cannot be asked with keys of one tenant until its pipeline has started') })
    }
  } catch (error) {
    if (sqlstate(error) === undefined) throw error
    await session.rollback()
    log.warn?.({ err: (error as Error).message }, `tenants are kept apart by the conditions of statements only: the user of the database cannot become the role ${ROLE}. Row-level security would be a second wall: CREATE ROLE ${ROLE} NOLOGIN; GRANT ${ROLE} TO <user>`)
  }
}

/** Shuts a table of rows to the role, but for those of the tenant's series. In the transaction that makes or widens it. Hypertables take no part: TimescaleDB compresses none with row-level security. */
export async function shut (session: Session, table: string): Promise<void> {
  const { rows: [{ hypertable, shut, role, granted }] } = await session.query<{ hypertable: boolean, shut: boolean, role: boolean, granted: boolean }>(`
    SELECT relkind = 'r' AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') AS hypertable, relrowsecurity AS shut, r.oid IS NOT NULL AS role, coalesce(has_table_privilege(r.oid, c.oid, 'SELECT'), false) AS granted
    FROM pg_class c LEFT JOIN pg_roles r ON r.rolname = $2 WHERE c.oid = to_regclass($1)`, [identifier(table), ROLE])
  if (!hypertable && !shut) await session.query(`ALTER TABLE ${identifier(table)} ENABLE ROW LEVEL SECURITY; CREATE POLICY tenant ON ${identifier(table)} USING (current_user <> '${ROLE}' OR series = ANY (ARRAY(SELECT id FROM series)))`)
  if (role && !granted) await session.query(`GRANT SELECT ON ${identifier(table)} TO ${ROLE}`)
}
