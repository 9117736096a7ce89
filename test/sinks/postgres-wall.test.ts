/** The second wall between tenants: a statement that forgets whose it is finds nothing of another tenant, in a real database. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEmbedded } from '../../sinks/embedded.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { Pool } from '../../sinks/postgres-pool.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { Batch, type Asker, type PastAsked, type Query } from '#engine'
import { Evaluate } from '../../engine/evaluate-job.ts'
import { exportFile, ExportRows } from '../../engine/export-job.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'
import { alertEvent, INGEST, Opened, T0, table } from '../support/store.ts'

const span = { from: T0, to: T0 + 864e5 }, columns = { table: 'readings', kind: 'readings', columns: ['value'] } as const

/** A database in which acme and other have each a row wherever there are rows of tenants. */
async function open (t: Test, url?: string, log = quiet) {
  url ??= (await freshDatabase(t))!
  const opened = await new Opened(url, [table('readings', 'readings'), table('minutes', 'windows', ['mean'])], undefined, 'p', log).open()
  const { series } = opened, ids = Int32Array.from(['acme', 'umbra'], tenant => series.id(tenant, `${tenant}-pump`, 'temp'))
  const batch = new Batch<any>({ time: Float64Array.of(T0, T0 + 1), series: ids, value: Float64Array.of(1, 2), columns: {}, position: Float64Array.of(1, 2) })
  await opened.commit({
    writes: [{ branch: '', table: 'readings', batch }, { branch: 'm', table: 'minutes', batch: batch.with({ mean: batch.value }) }], late: [{ branch: '', step: 's', batch }], ingest: INGEST,
    alerts: ['acme', 'umbra'].map(tenant => ({ event: alertEvent(`of-${tenant}`, { tenant }), receivers: ['hot/hook'] }))
  })
  const actions = new PostgresActions(url), query = new PostgresQuery(url)
  for (const tenant of ['acme', 'umbra']) {
    const actor = { id: `key-${tenant}`, tenant, request: `request-${tenant}` }
    await actions.acknowledge(`of-${tenant}`, 'on it', actor)
    await actions.silence({ kind: 'silence', tenant, from: Date.now(), to: Date.now() + 1e6, reason: 'work' }, 10, actor)
  }
  await rowsOf(url, "INSERT INTO jobs (id, kind, tenant, instance, target, asked, author) SELECT tenant, 'export', tenant, 'i', 'readings', '{}', tenant FROM unnest(ARRAY['acme', 'umbra']) tenant")
  await rowsOf(url, "INSERT INTO alert_deliveries (event, receiver, outcome) SELECT event, receiver, 'retry' FROM alert_outbox")
  const pool = new Pool(url, { readOnly: false })
  t.teardown(async () => { await pool.close(); await actions.close(); await query.close(); await opened.store.close() })
  return { url, pool, actions, query, opened }
}

const pastOf = async (query: Query, asked: Partial<PastAsked>): Promise<string[]> => {
  const { records, place } = await query.past({ table: 'readings', writer: 'p', ...asked }), tenants: string[] = []
  for await (const some of records) for (const { readings = [] } of some) tenants.push(...readings.map(r => r.tenant))
  if (place.position !== 1) throw new Error('how far the pipeline has come is known, whoever asks')
  return tenants.sort()
}

t.test('a statement that forgets the tenant: of every table the role sees what is of its tenant, or nothing at all', async t => {
  const { url, pool } = await open(t), acme = pool.as({ tenant: 'acme' })
  const tables = await rowsOf(url, "SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v') ORDER BY 1")
  const seen: string[] = []
  for (const { name } of tables) {
    const all = await rowsOf(url, `SELECT r::text AS row FROM ${name} r`)
    const own = await acme.ask<{ row: string }>(`SELECT r::text AS row FROM ${name} r`).catch((error: { code: string }) => { t.equal(error.code, '42501', `${name}: denied`); return undefined })
    if (own === undefined) continue
    seen.push(name)
    t.equal(all.length, 2, `${name} has a row of either`)
    t.equal(own.length, 1, `${name}: one is acme's`)
    t.notMatch(own[0].row, /umbra/, name)
  }
  t.strictSame(seen, ['alert_comments', 'alert_deliveries', 'alert_incidents', 'alert_outbox', 'alerts', 'devices', 'jobs', 'late_readings', 'minutes', 'readings', 'series', 'silences'])
  const bare = await rowsOf(url, "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND has_table_privilege('millrace_tenant', oid, 'SELECT') AND NOT relrowsecurity")
  t.strictSame(bare, [], 'tables that the role may read without row-level security')
})

t.test('what is asked for one tenant finds nothing of another, whatever the filter says', async t => {
  const { query } = await open(t), acme = query.as({ tenant: 'acme' }), page = { limit: 10 }
  const forgetful = { tenant: undefined }
  t.strictSame((await query.series(forgetful, page)).rows.map(r => r.tenant), ['acme', 'umbra'], 'a key of every tenant')
  t.strictSame((await acme.series(forgetful, page)).rows.map(r => r.tenant), ['acme'])
  t.strictSame((await acme.series({ tenant: 'umbra' }, page)).rows, [])
  t.strictSame((await acme.latest(columns, forgetful, page)).rows.map(r => r.tenant), ['acme'])
  t.equal(await acme.rows(columns, { tenant: 'umbra', device: 'umbra-pump', metric: 'temp' }, span, page), undefined)
  t.equal((await acme.rows(columns, { tenant: 'acme', device: 'acme-pump', metric: 'temp' }, span, page))?.rows.length, 1)
  t.equal(await acme.buckets(columns, { tenant: 'umbra', device: 'umbra-pump', metric: 'temp' }, span, 10), undefined)
  t.strictSame((await acme.alerts(forgetful, span, page)).rows.map(r => r.tenant), ['acme'])
  const { pages } = await acme.export({ table: columns, series: forgetful, range: span })
  const exported: unknown[] = []
  for await (const rows of pages) exported.push(...rows)
  t.match(exported, [{ tenant: 'acme' }])
  t.equal(exported.length, 1)
  t.strictSame(await pastOf(acme, {}), ['acme'])
  t.strictSame(await pastOf(acme, { tenant: 'umbra' }), [])
})

t.test('nor does a job of a tenant, whose question forgets it', async t => {
  const { query } = await open(t), folder = temporary(t), host = { signal: new AbortController().signal, progress () {} }
  const forgetful = (of: Query): Query => ({ as: (asker: Asker) => forgetful(of.as(asker)), past: (asked: PastAsked) => of.past({ ...asked, tenant: undefined }) }) as Query
  await new ExportRows(folder, query).run({ id: 'e', tenant: 'acme', asked: { table: columns, series: {}, range: span, format: 'ndjson' } }, host)
  t.strictSame(readFileSync(exportFile(folder, 'e', 'ndjson'), 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { tenant: string }).tenant), ['acme'])
  const evaluate = new Evaluate({ folder, query: forgetful(query), registry: { definition: async () => 'no pipeline' } })
  await t.rejects(evaluate.run({ id: 'v', asked: { pipeline: 'p', version: 1, table: { table: 'readings', writer: 'p', ...span, tenant: 'acme' } } }, host), 'it is no pipeline')
  t.match(readFileSync(join(folder, 'evaluations', 'v', 'data.csv'), 'utf8'), /^time,device,metric,value\r\n[^\n]*,acme-pump,temp,1\r\n$/)
})

t.test('exports of a tenant hold up no other; one that is a job waits until there is room', async t => {
  const { query } = await open(t), acme = query.as({ tenant: 'acme' }), folder = temporary(t), asked = { table: columns, series: {}, range: span } as never
  const [one, two] = [await acme.export(asked), await acme.export(asked)]
  await t.rejects(acme.export(asked), { code: 'api/busy', message: /of this tenant/ })
  const other = await query.as({ tenant: 'umbra' }).export(asked)
  await other.close()
  const gone = new AbortController(), jobs = new ExportRows(folder, query)
  let over = false
  const run = (id: string, signal: AbortSignal) => jobs.run({ id, tenant: 'acme', asked: { ...asked as object, format: 'csv' } }, { signal, progress () {} })
  const waiting = run('w', new AbortController().signal).finally(() => { over = true }), cancelled = t.rejects(run('c', gone.signal), { message: 'cancelled' })
  await new Promise(resolve => { setTimeout(resolve, 300) })
  t.notOk(over)
  gone.abort()
  await cancelled
  await one.close()
  t.equal(await waiting, '1 rows')
  await two.close()
})

t.test('what is asked of the past is asked of the database: a tenant and both ends', async t => {
  const { query } = await open(t)
  t.strictSame(await pastOf(query, {}), ['acme', 'umbra'])
  t.strictSame(await pastOf(query, { tenant: 'umbra' }), ['umbra'])
  t.strictSame(await pastOf(query, { from: T0, to: T0 + 1 }), ['acme'])
  t.strictSame(await pastOf(query, { from: T0 + 1 }), ['umbra'])
})

t.test('nor changes anything of it, and the line of the audit log has the request', async t => {
  const { url, pool } = await open(t), acme = pool.as({ tenant: 'acme', request: 'r-1' })
  t.equal((await acme.ask('UPDATE silences SET ends_at = now() RETURNING id')).length, 1)
  t.equal((await acme.ask("UPDATE alert_outbox SET state = 'dead' RETURNING event")).length, 1)
  await t.rejects(acme.ask("INSERT INTO silences (kind, tenant, begins_at, ends_at, reason, author) VALUES ('silence', 'umbra', now(), now() + interval '1 h', 'x', 'x')"), { code: '42501' })
  await t.rejects(acme.ask("INSERT INTO silences (kind, tenant, begins_at, ends_at, reason, author) VALUES ('silence', NULL, now(), now() + interval '1 h', 'x', 'x')"), { code: '42501' })
  await t.rejects(acme.ask("UPDATE silences SET tenant = 'umbra'"), { code: '42501' })
  await t.rejects(acme.ask("INSERT INTO audit (actor, tenant, action, target, change) VALUES ('x', 'umbra', 'x', 'x', '{}')"), { code: '42501' })
  await t.rejects(acme.ask('DELETE FROM alerts'), { code: '42501' })
  t.strictSame(await rowsOf(url, 'SELECT actor, tenant, action, request FROM audit ORDER BY id'), ['acme', 'umbra'].flatMap(tenant => ['alert.acknowledge', 'silence.create'].map(action => ({ actor: `key-${tenant}`, tenant, action, request: `request-${tenant}` }))))
})

t.test('connections are shared, tenants are not: whoever comes next is nobody else, and without a tenant the role sees nothing', async t => {
  const { pool } = await open(t), count = async (tenant?: string) => (await pool.as({ tenant }).ask<{ tenant: string }>('SELECT DISTINCT tenant FROM alerts ORDER BY 1')).map(r => r.tenant)
  const asked = Array.from({ length: 60 }, (_, i) => [undefined, 'acme', 'umbra', 'none'][i % 4])
  const found = await Promise.all(asked.map(tenant => count(tenant)))
  t.ok(found.every((tenants, i) => JSON.stringify(tenants) === JSON.stringify(asked[i] === undefined ? ['acme', 'umbra'] : asked[i] === 'none' ? [] : [asked[i]])))
  await t.rejects(pool.as({ tenant: 'acme' }).ask('SELECT 1/0'))
  t.strictSame(await count(), ['acme', 'umbra'], 'after a failure')
  t.strictSame(await count("'; RESET ROLE; --"), [])
  t.strictSame(await pool.ask("SELECT current_user = 'millrace_tenant' AS role, current_setting('millrace.tenant', true) AS tenant"), [{ role: false, tenant: '' }])
  await t.rejects(pool.ask('SET ROLE millrace_tenant; SELECT 1 / count(*) FROM alerts'), { code: '22012' }, 'no tenant: no rows')
})

t.test('a user of the database who cannot become the role: it is said, the engine works, and the first wall stands', async t => {
  await open(t)                      // the role is there
  const url = (await freshDatabase(t))!, plain = new URL(url), said: string[] = []
  plain.username = 'plain'
  plain.password = 'plain'
  await rowsOf(url, "DROP USER IF EXISTS plain; CREATE USER plain PASSWORD 'plain'; ALTER SCHEMA public OWNER TO plain")
  const log = { ...quiet, child: () => log, info () {}, warn: (_: unknown, text: string) => { said.push(text) }, error () {}, debug () {} } as unknown as typeof quiet
  const { query, pool } = await open(t, plain.href, log)
  t.equal(said.filter(text => /cannot become the role millrace_tenant.*CREATE ROLE/.test(text)).length, 1)
  t.strictSame((await query.as({ tenant: 'acme' }).series({ tenant: 'acme' }, { limit: 10 })).rows.map(r => r.tenant), ['acme'])
  t.equal((await pool.as({ tenant: 'acme' }).ask('SELECT FROM alerts')).length, 2, 'as it was before')
  const { pages } = await query.as({ tenant: 'acme' }).export({ table: columns, series: { tenant: 'acme' }, range: span })
  for await (const rows of pages) t.equal(rows.length, 1)
  t.strictSame(await pastOf(query.as({ tenant: 'acme' }), { tenant: 'acme' }), ['acme'])
})

t.test('from version 16 on who may make roles is not in them: the user of the database becomes the role all the same', async t => {
  const server = await openEmbedded(temporary(t), quiet)
  t.teardown(() => server.stop())
  const own = new URL(server.url)
  own.username = own.password = 'creator'
  own.pathname = '/plant'
  await rowsOf(server.url, "CREATE USER creator CREATEROLE PASSWORD 'creator'")
  await rowsOf(server.url, 'CREATE DATABASE plant OWNER creator')
  t.match(await rowsOf(own.href, "SELECT current_setting('server_version_num')::int >= 160000 AS newer, rolsuper FROM pg_roles WHERE rolname = current_user"), [{ newer: true, rolsuper: false }])
  const { pool } = await open(t, own.href)
  t.strictSame(await pool.as({ tenant: 'acme' }).ask("SELECT current_user = 'millrace_tenant' AS role, count(*)::int FROM alerts"), [{ role: true, count: 1 }])
})

t.test('a table whose pipeline has not started since there is a wall is shut with the migration, and can be asked', async t => {
  const { url, query } = await open(t), acme = query.as({ tenant: 'acme' }), latest = async () => (await acme.latest(columns, { tenant: undefined }, { limit: 10 })).rows.map(r => r.tenant)
  await rowsOf(url, 'REVOKE SELECT ON readings FROM millrace_tenant; ALTER TABLE readings DISABLE ROW LEVEL SECURITY; DROP POLICY tenant ON readings')
  await t.rejects(latest(), { code: '42501' })
  await migrate(url, quiet)
  t.strictSame(await latest(), ['acme'])
})
