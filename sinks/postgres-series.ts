import type { Batch, SeriesTable, Tags } from '#engine'
import type { Session } from './postgres-session.ts'
import { micros } from './postgres-time.ts'

/** What a transaction has named for the first time; forgotten again when it does not commit. */
export interface Named { readonly series: number[], readonly devices: [device: number, tags: Tags][] }

/**
 * Durable ids of devices and series. Asked for in the transaction of the rows that need them and known to this process
 * only when that has committed. 12 bytes per series.
 */
export class DurableSeries {
  readonly ids: Int32Array           // process id -> durable id; 0: none yet
  private readonly devices: Int32Array
  private readonly tags: (Tags | undefined)[] = []     // of a device, as last stored
  private readonly seen: Int32Array                    // device -> the last call that looked at it
  private calls = 0
  private readonly table: SeriesTable

  constructor (table: SeriesTable) {
    this.table = table
    this.ids = new Int32Array(table.capacity)
    this.devices = new Int32Array(table.capacity)
    this.seen = new Int32Array(table.capacity)
  }

  /** Series in the batches without a durable id, and devices with tags that are not stored. */
  unknown (batches: readonly Batch<any>[]): { readonly series: Set<number>, readonly devices: Set<number> } {
    const { table, ids } = this
    const call = ++this.calls
    const series = new Set<number>(), devices = new Set<number>()
    for (const batch of batches) {
      for (let i = 0; i < batch.length; i++) {
        const s = batch.series[i]
        const d = table.deviceOf[s]
        if (ids[s] === 0) series.add(s)
        if (this.seen[d] === call) continue
        this.seen[d] = call
        if (this.tags[d] !== table.tags(d)) devices.add(d)
      }
    }
    return { series, devices }
  }

  /** Gives every series in the batches a durable id, and stores tags that are new. Nothing is sent when all is known. */
  async name (session: Session, batches: readonly Batch<any>[], position: number, ingest: number): Promise<Named> {
    const { table, ids } = this
    const { series, devices } = this.unknown(batches)
    const named: Named = { series: [...series], devices: [...devices].map(d => [d, table.tags(d)]) }
    if (named.devices.length > 0) await this.nameDevices(session, named.devices, position, ingest)
    for (const [d] of named.devices) for (let s = table.firstOf(d); s >= 0; s = table.nextOf(s)) if (ids[s] !== 0 && unitOf(table, s) !== null) series.add(s)
    if (series.size > 0) await this.nameSeries(session, [...series], position, ingest)
    return named
  }

  keep ({ devices }: Named): void { for (const [d, tags] of devices) this.tags[d] = tags }

  forget ({ series, devices }: Named): void {
    for (const s of series) this.ids[s] = 0
    for (const [d] of devices) if (this.tags[d] === undefined) this.devices[d] = 0
  }

  private async nameDevices (session: Session, devices: Named['devices'], position: number, ingest: number): Promise<void> {
    const rows = devices.map(([d, all]) => {
      const { tenant, device } = this.table.deviceName(d)
      const { type = null, site = null, unit: _, ...tags } = all
      return [d, tenant, device, type && clean(type), site && clean(site), JSON.stringify(Object.fromEntries(Object.entries(tags).filter(([key]) => !key.startsWith('unit.')).map(([key, value]) => [clean(key), clean(value)])))]
    })
    const { rows: answer } = await session.query<{ n: number, id: number }>(DEVICES, [...transposed(rows, 6), position, micros(ingest)])
    for (const { n, id } of answer) this.devices[n] = id
  }

  private async nameSeries (session: Session, series: readonly number[], position: number, ingest: number): Promise<void> {
    const { table } = this
    const rows = series.map(s => [s, this.devices[table.deviceOf[s]], table.metric(s), unitOf(table, s)])
    const { rows: answer } = await session.query<{ n: number, id: number }>(SERIES, [...transposed(rows, 4), position, micros(ingest)])
    for (const { n, id } of answer) this.ids[n] = id
  }
}

/** The tag `unit` is that of all of a device's metrics, `unit.<metric>` that of one. */
function unitOf (table: SeriesTable, s: number): string | null {
  const tags = table.tags(table.deviceOf[s])
  const unit = tags[`unit.${table.metric(s)}`] ?? tags.unit
  return unit === undefined ? null : clean(unit)
}

/** Text that PostgreSQL can hold: NUL and lone surrogates become U+FFFD. */
export const clean = (text: string): string => Buffer.from(text.replaceAll('\0', '\ufffd')).toString()
/** The same of all texts in it, as JSON: there they would be escaped, and jsonb refuses them all the same. */
export const cleanJson = (value: unknown): string => JSON.stringify(value, (_key, inner: unknown) => typeof inner === 'string' ? clean(inner) : inner)

const transposed = (rows: readonly unknown[][], width: number): unknown[][] => Array.from({ length: width }, (_, column) => rows.map(row => row[column]))

// Known ones are looked up before anything is inserted, so that a start does not use up an id for each of them.
const SINCE = `timestamptz 'epoch' + `
const DEVICES = `
  WITH given AS (SELECT n, tenant, name, type, site, tags::jsonb AS tags
    FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS g (n, tenant, name, type, site, tags)),
  changed AS (UPDATE devices d SET type = coalesce(g.type, d.type), site = coalesce(g.site, d.site), tags = d.tags || g.tags
    FROM given g WHERE d.tenant = g.tenant AND d.name = g.name
    AND (d.type, d.site, d.tags) IS DISTINCT FROM (coalesce(g.type, d.type), coalesce(g.site, d.site), d.tags || g.tags)),
  added AS (INSERT INTO devices AS d (tenant, name, type, site, tags, position, ingested_at)
    SELECT g.tenant, g.name, g.type, g.site, g.tags, $7::bigint, ${SINCE} $8::bigint * interval '1 microsecond' FROM given g
    WHERE NOT EXISTS (SELECT FROM devices d WHERE d.tenant = g.tenant AND d.name = g.name) ORDER BY g.tenant, g.name
    ON CONFLICT (tenant, name) DO UPDATE SET type = coalesce(excluded.type, d.type), site = coalesce(excluded.site, d.site), tags = d.tags || excluded.tags
    RETURNING d.id, d.tenant, d.name)
  SELECT g.n, coalesce(d.id, a.id) AS id FROM given g LEFT JOIN devices d USING (tenant, name) LEFT JOIN added a USING (tenant, name)`
const SERIES = `
  WITH given AS (SELECT * FROM unnest($1::int[], $2::int[], $3::text[], $4::text[]) AS g (n, device, metric, unit)),
  changed AS (UPDATE series s SET unit = g.unit FROM given g WHERE s.device = g.device AND s.metric = g.metric AND g.unit <> coalesce(s.unit, '')),
  added AS (INSERT INTO series AS s (device, metric, unit, position, ingested_at)
    SELECT g.device, g.metric, g.unit, $5::bigint, ${SINCE} $6::bigint * interval '1 microsecond' FROM given g
    WHERE NOT EXISTS (SELECT FROM series s WHERE s.device = g.device AND s.metric = g.metric) ORDER BY g.device, g.metric
    ON CONFLICT (device, metric) DO UPDATE SET unit = coalesce(excluded.unit, s.unit)
    RETURNING s.id, s.device, s.metric)
  SELECT g.n, coalesce(s.id, a.id) AS id FROM given g LEFT JOIN series s USING (device, metric) LEFT JOIN added a USING (device, metric)`
