import { MillraceError } from '#engine'
import { at } from './postgres-partitions.ts'
import { identifier, literal, type Session } from './postgres-session.ts'

/** What the database can do: partitions made by the engine, hypertables (Apache licence), or hypertables with compression, aggregates and policies. */
export type Edition = 'none' | 'apache' | 'community'

/** Older ones lose rows without a word: INSERT ... SELECT ... ON CONFLICT DO NOTHING into compressed chunks (timescaledb issue 7672). */
const OLDEST = [2, 18, 1]

/** Is the version as new as Millrace needs? */
export function supported (version: string): boolean {
  const parts = version.split(/[.-]/).map(Number)
  const i = OLDEST.findIndex((least, k) => parts[k] !== least)
  return i < 0 || parts[i] > OLDEST[i]
}

/** Creates the extension where it can be, and says which edition it is. */
export async function detect (session: Session, wanted: 'auto' | 'off'): Promise<Edition> {
  const { rows: [{ installed, available, loaded }] } = await session.query<{ installed: string | null, available: string | null, loaded: boolean }>(`
    SELECT (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS installed,
           (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb') AS available,
           EXISTS (SELECT FROM pg_settings WHERE name LIKE 'timescaledb%') AS loaded`)
  if (wanted === 'off' || !loaded) return 'none'
  const version = installed ?? available
  if (version === null) return 'none'
  if (!supported(version)) {
    throw new MillraceError('store/unsupported', `postgres: the database has TimescaleDB ${version}, which loses rows on conflict in compressed chunks`, { help: `upgrade it to ${OLDEST.join('.')} or newer, or set timescale: off` })
  }
  if (installed === null) await session.query('CREATE EXTENSION IF NOT EXISTS timescaledb')
  const { rows: [{ license }] } = await session.query<{ license: string | null }>(`SELECT current_setting('timescaledb.license', true) AS license`)
  return license === 'timescale' ? 'community' : 'apache'
}

export const makeHypertable = (session: Session, table: string, chunk: number): Promise<unknown> =>
  session.query(`SELECT create_hypertable(${literal(identifier(table))}::regclass, by_range('time', ${interval(chunk)}), create_default_indexes => false)`)

/** Drops chunks that are wholly older than `horizon`: the engine's own retention, for the Apache edition. Returns their names. */
export async function dropChunks (session: Session, table: string, horizon: number): Promise<string[]> {
  const { rows } = await session.query<{ chunk: string }>(`SELECT drop_chunks(${literal(identifier(table))}::regclass, older_than => ${at(horizon)}::timestamptz)::text AS chunk`)
  return rows.map(r => r.chunk)
}

export interface Policies { readonly order: string, readonly compress: number | undefined, readonly retention: number | undefined, readonly aggregate: number | undefined }

/** Compression, retention and the continuous aggregate, as the options say, all or none. What the options leave out stays as it is. */
export async function applyPolicies (session: Session, table: string, policies: Policies, name: string): Promise<void> {
  await session.transaction(() => apply(session, table, policies, name))
}

async function apply (session: Session, table: string, { order, compress, retention, aggregate }: Policies, name: string): Promise<void> {
  const relation = literal(identifier(table))
  const { rows: jobs } = await session.query<{ proc: string, same: boolean }>(`
    SELECT proc_name AS proc, CASE proc_name WHEN 'policy_compression' THEN (config->>'compress_after')::interval = $2::interval ELSE (config->>'drop_after')::interval = $3::interval END AS same
    FROM timescaledb_information.jobs WHERE hypertable_schema = current_schema() AND hypertable_name = $1 AND proc_name IN ('policy_compression', 'policy_retention')`,
  [table, seconds(compress ?? 0), seconds(retention ?? 0)])
  const policy = async (kind: 'compression' | 'retention', option: string, after: number | undefined) => {
    const job = jobs.find(j => j.proc === `policy_${kind}`)
    if (after === undefined || job?.same === true) return
    if (job !== undefined) await session.query(`SELECT remove_${kind}_policy(${relation})`)
    await session.query(`SELECT add_${kind}_policy(${relation}, ${option} => ${interval(after)})`)
  }
  if (compress !== undefined) {
    const { rows: [{ on }] } = await session.query<{ on: boolean }>('SELECT compression_enabled AS on FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema() AND hypertable_name = $1', [table])
    if (!on) await session.query(`ALTER TABLE ${identifier(table)} SET (timescaledb.compress, timescaledb.compress_segmentby = 'series', timescaledb.compress_orderby = ${literal(order)})`)
  }
  await policy('compression', 'compress_after', compress)
  await policy('retention', 'drop_after', retention)
  if (aggregate !== undefined) await makeAggregate(session, table, name, aggregate)
  await spareAggregates(session, table)
}

/** The aggregate follows what changes, and adds what is newer than its last refresh when it is read. */
async function makeAggregate (session: Session, table: string, name: string, every: number): Promise<void> {
  const { rows: [{ there }] } = await session.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [identifier(name)])
  if (there) return
  await session.query(`
    CREATE MATERIALIZED VIEW ${identifier(name)} WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT time_bucket(${interval(every)}, time) AS time, series, count(value) AS count, avg(value) AS mean, min(value) AS min, max(value) AS max
    FROM ${identifier(table)} GROUP BY 1, 2 WITH NO DATA`)
  await addRefresh(session, name, 'NULL', interval(every), interval(every))
}

/**
 * A refresh deletes what it finds no rows for. So an aggregate is refreshed no further back than the retention policy keeps
 * rows, nor than a shorter one before it did, and outlives them.
 */
async function spareAggregates (session: Session, table: string): Promise<void> {
  const { rows } = await session.query<{ name: string, start: string, end: string, every: string }>(`
    SELECT c.view_name AS name, r.config->>'drop_after' AS start, j.config->>'end_offset' AS end, j.schedule_interval::text AS every
    FROM timescaledb_information.continuous_aggregates c
    JOIN timescaledb_information.jobs r ON r.proc_name = 'policy_retention' AND (r.hypertable_schema, r.hypertable_name) = (c.hypertable_schema, c.hypertable_name)
    JOIN timescaledb_information.jobs j ON j.proc_name = 'policy_refresh_continuous_aggregate'
      AND (j.hypertable_schema, j.hypertable_name) IN ((c.view_schema, c.view_name), (c.materialization_hypertable_schema, c.materialization_hypertable_name))
    WHERE c.hypertable_schema = current_schema() AND c.hypertable_name = $1 AND starts_with(c.view_name, $2)
      AND coalesce((j.config->>'start_offset')::interval > (r.config->>'drop_after')::interval, true)`, [table, `${table}_by_`])
  for (const { name, start, end, every } of rows) {
    await session.query('SELECT remove_continuous_aggregate_policy($1)', [identifier(name)])
    await addRefresh(session, name, ...[start, end, every].map(span => `INTERVAL ${literal(span)}`) as [string, string, string])
  }
}

const addRefresh = (session: Session, name: string, start: string, end: string, every: string): Promise<unknown> =>
  session.query(`SELECT add_continuous_aggregate_policy(${literal(identifier(name))}, start_offset => ${start}, end_offset => ${end}, schedule_interval => ${every})`)

const seconds = (ms: number): string => `${ms / 1000} seconds`
const interval = (ms: number): string => `INTERVAL ${literal(seconds(ms))}`
