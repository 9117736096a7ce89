import t, { type Test } from 'tap'
import { parse } from 'csv-parse/sync'
import pg from 'pg'
import { newKey, type Scope } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { normalise } from '../../engine/lint.ts'
import { LONGEST_NAME } from '../../engine/names.ts'
import { planTables } from '../../engine/plan.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { freshDatabase, quiet, rowsOf, type Kind } from '../support/postgres.ts'
import { alertEvent, batchOf, deadLetter, Opened, T0 } from '../support/store.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const file = 'name: p\nfrom: { simulator: {} }\npipe: [ zscore ]\nbranches: { w: { pipe: [ tumbling: { every: 10s, features: [ mean ] } ], to: [ postgres: { table: windows } ] } }\nto: [ postgres: { table: readings } ]\n'
const iso = (after: number) => new Date(T0 + after).toISOString()

/** A plane over what a store has committed: 250 readings of a pump of `acme`, a second apart, and one of another tenant's. */
async function open (t: Test, kind: Kind = 'postgres', text = file) {
  const url = (await freshDatabase(t, kind))!, pipeline = normalise(readYaml(text, components, { file: 'p.yaml' }).pipeline!, components)
  const store = await new Opened(url, planTables(pipeline).tables.map(table => ({ ...table, options: { ...table.options, url } }))).open()
  store.series.tag(store.series.device('acme', 'pump'), { site: 'north', type: 'pump', floor: '3', unit: '°C' })
  await store.commit(store.write('readings', batchOf(store.series, [
    ...Array.from({ length: 250 }, (_, i) => ['pump', 'temp', 1000 * i + 0.001, i === 7 ? NaN : i, { zscore: i === 8 ? Infinity : i / 100, seq: 0 }] as const),
    ['pump', 'temp', 5000.001, 1e300, { zscore: 1, seq: 1 }], ['pump', 'flow', 3000, 5, { zscore: 0, seq: 0 }], ['odd "na,me\n', 'temp', 0, 1, { zscore: 0, seq: 0 }]
  ])))
  await rowsOf(url, `WITH d AS (INSERT INTO devices (tenant, name, position, ingested_at) VALUES ('other', 'pump', 1, now()) RETURNING id), s AS (INSERT INTO series (device, metric, position, ingested_at) SELECT id, 'temp', 1, now() FROM d RETURNING id)
    INSERT INTO readings (time, series, seq, value, position, ingested_at) SELECT '${iso(0)}', id, 0, 666, 1, now() FROM s`)
  const keys = new PostgresKeys(url), query = new PostgresQuery(url)
  const app = await plan({ runs: () => [{ pipeline, store: store.store }, { pipeline: { ...pipeline, name: 'new' } }] as never, stopping: () => false, components, keys, query }, quiet)
  t.teardown(async () => { await app.close(); await keys.close(); await query.close(); await store.store.close() })
  const keyOf = async (tenant: string | null, scopes: readonly Scope[] = ['query:read']) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes, expires: null }, 'test')
    return key
  }
  const key = await keyOf('acme')
  const ask = async (path: string, given: Record<string, string | number> = {}, as = key) => {
    const reply = await app.inject({ url: `/api/v1${path}?${new URLSearchParams(Object.fromEntries(Object.entries(given).map(([k, v]) => [k, String(v)]))).toString()}`, headers: { authorization: `Bearer ${as}` } })
    return { status: reply.statusCode, body: reply.body, headers: reply.headers, json: () => reply.json() as any }
  }
  const post = async (path: string, payload: object, as = key) => { const reply = await app.inject({ method: 'POST', url: `/api/v1${path}`, payload, headers: { authorization: `Bearer ${as}` } }); return { status: reply.statusCode, body: reply.json() as any } }
  /** All rows, page by page. */
  const all = async (path: string, given: Record<string, string | number>, as = key) => {
    const rows: any[] = []
    for (let cursor: string | undefined, pages = 0; pages === 0 || cursor !== undefined; pages++) {
      const { rows: more, next } = (await ask(path, { ...given, ...cursor === undefined ? {} : { cursor } }, as)).json()
      rows.push(...more)
      cursor = next
      if (pages > 400) throw new Error('it never ends')
    }
    return rows
  }
  return { url, store, ask, post, all, keyOf }
}
const names = (rows: readonly any[]) => rows.map(r => [r.device, r.metric, ...r.value === undefined ? [] : [r.value]].join('/')).sort()
const pump = { device: 'pump', metric: 'temp', from: iso(0), to: iso(3_600_000) }

for (const kind of ['postgres', 'timescale'] as const) {
  t.test(`rows of a series by time, page by page, on ${kind}`, async t => {
    if (await freshDatabase(t, kind) === undefined) return
    const { ask, all, url } = await open(t, kind)
    const rows = await all('/tables/readings/rows', { ...pump, limit: 7 })
    t.equal(rows.length, 251)
    t.strictSame(rows.slice(4, 10).map(r => r.value), [4, 5, 1e300, 6, null, 8], 'of one time by seq')
    t.equal(rows[8].zscore, 0.07)
    t.equal(rows[9].zscore, null, 'what JSON has no number for')
    t.equal(rows[0].time, `${iso(0).slice(0, -1)}001Z`)
    t.strictSame(await all('/tables/readings/rows', { ...pump, limit: 10_000 }), rows)
    t.strictSame(rows.map(r => Object.keys(r).sort().join()).filter((k, i, a) => a.indexOf(k) === i), [['time', 'value', 'zscore', ...Object.keys(rows[0]).filter(k => !['time', 'value', 'zscore'].includes(k))].sort().join()])
    t.strictSame((await ask('/tables/readings/rows', { ...pump, columns: 'zscore', from: iso(2000), to: iso(4000) })).json(), { rows: [2, 3].map(s => ({ time: `${iso(1000 * s).slice(0, -1)}001Z`, zscore: s / 100 })) })
    const parts = (await ask('/tables/readings/buckets', { ...pump, to: iso(100_000), buckets: 10 })).json().rows
    t.strictSame(parts.map((p: any) => [p.time.slice(0, 23), p.count, p.min, p.max]).slice(0, 3), [[iso(0).slice(0, 23), 10, 0, 1e300], [iso(10_000).slice(0, 23), 10, 10, 19], [iso(20_000).slice(0, 23), 10, 20, 29]])
    t.equal(parts[1].mean, 14.5)
    const [{ mean, ...part }] = (await ask('/tables/readings/buckets', { ...pump, to: iso(10_000), buckets: 1, column: 'zscore' })).json().rows
    t.match(part, { count: 11, min: 0, max: null }, 'infinity is no number of JSON')
    t.ok(Math.abs(mean - 0.137) < 1e-12, 'the mean is of the others')
    await rowsOf(url, "UPDATE readings SET zscore = '-Infinity' WHERE zscore = 'Infinity'")
    t.match((await ask('/tables/readings/buckets', { ...pump, to: iso(10_000), buckets: 1, column: 'zscore' })).json().rows, [{ count: 11, min: null, max: 1 }])
    for (const column of ['value,zscore', 'zscore,value', '', ',']) t.match((await ask('/tables/readings/buckets', { ...pump, column })).json(), { status: 400, detail: column === '' ? /column/ : `the table "readings" has no column "${column}"` }, column)
  })
}

const learning = `name: p
from: { simulator: {} }
pipe: [ ewma, forecast: { every: 1s, seasons: [ 4s ], horizons: [ 1 ] }, zscore, drift, threshold: { above: 5 } ]
branches: { w: { pipe: [ tumbling: { every: 10s, features: [ mean ] } ], to: [ postgres: { table: windows } ] }, c: { pipe: [ tumbling: { every: 10s, features: [ mean ] }, change: {}, rul: { above: 9 } ], to: [ postgres: { table: changes } ] } }
to: [ postgres: { table: readings } ]
`
for (const kind of ['postgres', 'timescale'] as const) {
  t.test(`scores, forecasts with their intervals and drift are found by their kind, without the name of a column, on ${kind}`, async t => {
    if (await freshDatabase(t, kind) === undefined) return
    const { ask, all, keyOf, store } = await open(t, kind, learning), other = await keyOf('other')
    await store.commit(store.write('readings', batchOf(store.series, [['pump', 'temp', 300_000, 9, { seq: 0, ewma: 1, zscore: 2, threshold: 1, forecast_1: 10, forecast_1_low: 8, forecast_1_high: 12, forecast_1_coverage: 0.95, forecast_1_relative: 0.8, drift: 1, drift_p: 0.001 }]])))
    const of = async (kind: string) => Object.fromEntries((await ask('/tables', { kind })).json().tables.map((x: any) => [x.table, x.columns])), forecast = ['forecast_1', 'forecast_1_low', 'forecast_1_high', 'forecast_1_coverage', 'forecast_1_relative']
    t.strictSame(await of('forecast'), { readings: forecast, changes: ['rul_p10', 'rul_p50', 'rul_p90', 'rul_rate', 'rul_learned'] })
    const { readings: drift, ...rest } = await of('drift')
    t.strictSame([drift.slice(0, 1), drift.every((c: string) => c.startsWith('drift')), drift.includes('drift_p'), rest], [['drift'], true, true, { changes: ['change', 'change_size', 'change_after', 'change_learned'] }])
    t.strictSame((await of('scores')).readings, ['ewma', ...forecast, 'zscore', ...drift], 'what steps that learn say, and neither a threshold nor the reading')
    const last = { ...pump, from: iso(299_000) }
    t.match(await all('/tables/readings/rows', { ...last, kind: 'forecast' }), [{ forecast_1: 10, forecast_1_low: 8, forecast_1_high: 12, forecast_1_coverage: 0.95 }])
    const [newest] = await all('/tables/readings/latest', { device: 'pump', metric: 'temp', kind: 'drift' })
    t.match(newest, { time: /T00:05:00/, tenant: 'acme', drift: 1, drift_p: 0.001 })
    t.strictSame(Object.keys(newest).filter(c => !['time', 'tenant', 'device', 'metric'].includes(c)).sort(), drift.toSorted())
    t.match((await ask('/tables/readings/rows', { ...last, kind: 'scores', format: 'csv' })).body, /^time,ewma,forecast_1,.*,zscore,drift,/)
    t.match((await ask('/tables/readings/export', { device: 'pump', kind: 'forecast', from: iso(299_000) })).body, /,forecast_1,forecast_1_low,forecast_1_high,forecast_1_coverage,forecast_1_relative\r\n.*pump,temp,10,8,12,0.95,0.8\r\n$/)
    t.strictSame((await all('/tables/readings/rows', { ...pump, kind: 'scores' }, other)).map(r => r.zscore), [null], 'of another tenant its own')
    t.strictSame(await all('/tables/readings/latest', { kind: 'scores' }, await keyOf('nobody')), [])
    t.equal((await ask('/tables', { kind: 'scores' }, await keyOf('acme', ['alerts:read']))).status, 403)
    t.match((await ask('/tables/windows/latest', { kind: 'drift' })).json(), { status: 400, detail: /no columns of the kind "drift"/, help: /readings, changes/ })
    t.match((await ask('/tables/readings/latest', { kind: 'drift', columns: 'value' })).json(), { status: 400, help: /either columns or kind/ })
    t.equal((await ask('/tables', { kind: 'odd' })).status, 400)
  })
}

t.test('series and newest rows, by names and tags', async t => {
  const { ask, all, keyOf } = await open(t)
  const rows = await all('/series', { limit: 1 })
  t.strictSame(names(rows), ['odd "na,me\n/temp', 'pump/flow', 'pump/temp'])
  t.match(rows.find(r => r.metric === 'flow'), { tenant: 'acme', unit: '°C', site: 'north', type: 'pump', tags: { floor: '3' } })
  t.equal((await all('/series', { site: 'north' })).length, 2)
  t.equal((await all('/series', { site: "north' OR '1'='1" })).length, 0)
  t.strictSame(names(await all('/tables/readings/latest', { limit: 2, columns: 'value' })), ['odd "na,me\n/temp/1', 'pump/flow/5', 'pump/temp/249'])
  const everybody = await keyOf(null)
  t.equal((await all('/series', {}, everybody)).length, 4)
  t.strictSame((await all('/tables/readings/latest', { tenant: 'other', columns: 'value' }, everybody)).map(r => r.value), [666])
  t.strictSame((await ask('/tables')).json().tables.map((x: any) => [x.table, x.kind, x.columns[0]]), [['readings', 'readings', 'value'], ['windows', 'windows', 'mean']])
})

t.test('of a key of one tenant nothing of another exists', async t => {
  const { ask, all, keyOf } = await open(t), other = await keyOf('other'), nobody = await keyOf('nobody')
  t.strictSame((await all('/tables/readings/rows', pump, other)).map(r => r.value), [666])
  t.strictSame(await all('/series', {}, nobody), [])
  t.strictSame(await all('/tables/readings/latest', {}, nobody), [])
  for (const path of ['/series', '/tables/readings/latest', '/tables/readings/rows', '/tables/readings/buckets']) {
    const denied = await ask(path, { ...path.includes('rows') || path.includes('buckets') ? pump : {}, tenant: 'acme' }, nobody), absent = await ask(path, { ...path.includes('rows') || path.includes('buckets') ? pump : {}, tenant: 'absent' }, nobody)
    t.strictSame([denied.status, absent.status], [404, 404], path)
    t.equal(denied.json().detail.replace('acme', ''), absent.json().detail.replace('absent', ''), path)
  }
  for (const path of ['/tables/readings/rows', '/tables/readings/buckets']) t.equal((await ask(path, pump, nobody)).status, 404, path)
})

t.test('what may be stored under a name can be asked for under it, on every route', async t => {
  const { store, ask } = await open(t), device = 'd'.repeat(LONGEST_NAME), metric = 'm'.repeat(LONGEST_NAME)
  await store.commit(store.write('readings', batchOf(store.series, [[device, metric, 0, 7, { zscore: 0, seq: 0 }]])))
  for (const path of ['/series', '/tables/readings/latest']) t.match((await ask(path, { device, metric })).json().rows, [{ device, metric }], path)
  for (const path of ['/tables/readings/rows', '/tables/readings/buckets']) t.equal((await ask(path, { device, metric, from: iso(0), to: iso(1000) })).json().rows?.length ?? 1, 1, path)
  t.equal((await ask('/tables/readings/rows', { device: `${device}d`, metric })).status, 400)
  const shorter: string[] = [], names = ['tenant', 'device', 'metric', 'site', 'type']
  const walk = (at: string, name: string, part: any): void => {
    if (part === null || typeof part !== 'object') return
    const schema = part.in === 'query' ? part.schema : part, called = part.in === 'query' ? part.name : name
    if (names.includes(called) && schema.maxLength !== undefined && schema.pattern === undefined && schema.maxLength !== LONGEST_NAME) shorter.push(`${at} ${called}`)
    for (const [key, inner] of Object.entries(part)) walk(at, key, inner)
  }
  for (const [path, methods] of Object.entries((await ask('/../../openapi.json')).json().paths)) walk(path, '', methods)
  t.strictSame(shorter, [], 'all with one bound')
})

t.test('alerts, the newest first, page by page, with their deliveries, and of other tenants none', async t => {
  const { store, ask, all, keyOf } = await open(t), key = await keyOf('acme', ['alerts:read']), other = await keyOf('other', ['alerts:read'])
  const range = { from: iso(0), to: iso(3_600_000) }
  await store.commit({ alerts: [
    ...Array.from({ length: 5 }, (_, i) => ({ event: alertEvent(`a${i}`, { time: T0 + 1000 * Math.floor(i / 2), device: i === 3 ? 'x' : 'd' }), receivers: i === 0 ? ['ops', 'hook'] : [] })),
    { event: alertEvent('b', { id: 'b.resolved', state: 'resolved', time: T0 + 9000 }), receivers: [], stale: true }, { event: alertEvent('o', { tenant: 'other' }), receivers: [] }
  ] })
  for (const limit of [1, 2, 100]) t.strictSame((await all('/alerts', { ...range, limit }, key)).map(a => a.id), ['b.resolved', 'a4.firing', 'a3.firing', 'a2.firing', 'a1.firing', 'a0.firing'], `${limit} at a time`)
  const [newest, , , , , oldest] = await all('/alerts', range, key)
  t.match(newest, { incident: 'b', state: 'resolved', stale: true, deliveries: [] })
  t.match(oldest, { severity: 'warning', value: 99.5, evidence: { zscore: 5, other: null }, message: 'd is hot', since: /T00:00:00\.000125Z$/, deliveries: [{ receiver: 'hook', state: 'due', attempts: 0, error: null }, { receiver: 'ops' }] })
  t.strictSame((await all('/alerts', { ...range, device: 'x' }, key)).map(a => a.id), ['a3.firing'])
  t.strictSame((await all('/alerts', { ...range, state: 'resolved' }, key)).map(a => a.id), ['b.resolved'])
  t.strictSame((await all('/alerts', range, other)).map(a => a.id), ['o.firing'])
  t.equal((await ask('/alerts', { ...range, tenant: 'acme' }, other)).status, 404)
  t.equal((await ask('/alerts', { ...range, state: 'loud' }, key)).status, 400)
  t.equal((await ask('/alerts', range)).status, 403, 'query:read is not enough')
})

t.test('dead letters with their bytes, for keys of every tenant only', async t => {
  const { store, ask, keyOf } = await open(t), key = await keyOf(null, ['pipelines:read']), path = '/pipelines/p/dead-letters'
  await store.commit({ deadLetters: [{ ...deadLetter(7, 0, 'a'), payload: Buffer.from('{') }, { ...deadLetter(8, 1, 'b'), payload: Buffer.from([0xff, 0]) }] })
  const rows = async (given = {}) => (await ask(path, given, key)).json().rows
  t.match(await rows(), [{ position: 8, part: 1, base64: '/wA=' }, { position: 7, part: 0, payload: '{', requeued: false, ingest: /Z$/ }])
  t.strictSame([(await rows({ position: 7 })).length, (await rows({ limit: 1 })).length, (await rows({ late: 'true' })).length, (await rows({ reason: 'too_deep' })).length], [1, 1, 0, 0])
  for (const [at, given, status] of [[path, { reason: 'none' }, 400], [path, { limit: 0 }, 400], ['/pipelines/none/dead-letters', {}, 404], ['/pipelines/new/dead-letters', {}, 503]] as const) t.equal((await ask(at, given, key)).status, status, JSON.stringify(given))
  t.match((await ask(path, {}, await keyOf('acme', ['pipelines:read']))).json(), { status: 403, code: 'api/forbidden' })
})

t.test('a question that the database does not answer in time is given up, and says so', async t => {
  const { url, ask } = await open(t), client = new pg.Client(url)
  await client.connect()
  t.teardown(() => client.end())
  await client.query('BEGIN; LOCK TABLE readings IN ACCESS EXCLUSIVE MODE')
  t.match(await ask('/tables/readings/rows', pump), { status: 504 })
  await client.query('ROLLBACK')
  t.equal((await ask('/tables/readings/rows', pump)).status, 200)
})

t.test('csv and ndjson say the same', async t => {
  const { ask } = await open(t), asked = { ...pump, columns: 'value,zscore', limit: 3, from: iso(6000) }
  const csv = await ask('/tables/readings/rows', { ...asked, format: 'csv' }), lines = await ask('/tables/readings/rows', { ...asked, format: 'ndjson' }), { rows, next } = (await ask('/tables/readings/rows', asked)).json()
  t.strictSame(csv.body, `time,value,zscore\r\n${rows.map((r: any) => `${r.time},${r.value ?? ''},${r.zscore ?? 'Infinity'}\r\n`).join('')}`, 'JSON has no number for infinity, CSV has')
  t.strictSame(lines.body.trim().split('\n').map(line => JSON.parse(line)), rows)
  t.strictSame([csv.headers['x-next-cursor'], lines.headers['x-next-cursor']], [next, next])
  t.match(csv.headers['content-type'], 'text/csv')
})

t.test('series, newest rows, parts and alerts too', async t => {
  const { store, ask, keyOf } = await open(t), key = await keyOf('acme', ['query:read', 'alerts:read']), range = { from: iso(0), to: iso(3_600_000) }
  await store.commit({ alerts: [{ event: alertEvent('a', { message: 'hot, "very"' }), receivers: ['ops'] }, { event: alertEvent('b', { time: T0 + 1000 }), receivers: [] }] })
  const heads = { '/series': 'tenant,device,metric,unit,type,site,tags', '/tables/readings/latest': 'time,tenant,device,metric,value,zscore', '/tables/readings/buckets': 'time,count,min,max,mean', '/alerts': /^id,incident,state,tenant,.*,position,origin,deliveries$/ }
  for (const [path, head] of Object.entries(heads)) {
    const given = path === '/alerts' ? { ...range, limit: 1 } : path.endsWith('buckets') ? { ...pump, buckets: 3 } : { limit: 1 }
    const { rows, next } = (await ask(path, given, key)).json(), [csv, lines] = [await ask(path, { ...given, format: 'csv' }, key), await ask(path, { ...given, format: 'ndjson' }, key)]
    t.strictSame(lines.body.trim().split('\n').map(line => JSON.parse(line)), rows, path)
    t.strictSame([csv.headers['x-next-cursor'], lines.headers['x-next-cursor']], [next, next], path)
    t.equal(next === undefined, path.endsWith('buckets'), path)
    const [first, ...records] = parse(csv.body) as string[][]
    t.match(first.join(), head, path)
    t.strictSame(records.map(cells => Object.fromEntries(cells.map((cell, i) => [first[i], cell]))), rows.map((row: any) => Object.fromEntries(first.map(name => [name, row[name] === null ? '' : typeof row[name] === 'object' ? JSON.stringify(row[name]) : String(row[name])]))), path)
    t.match(csv.headers['content-type'], 'text/csv')
  }
  t.equal((await ask('/alerts', { ...range, format: 'xml' }, key)).status, 400)
})

t.test('what cannot be meant is said', async t => {
  const { ask } = await open(t)
  for (const [path, given, status, detail] of [
    ['/tables/reading/rows', pump, 404, /no table "reading"/], ['/tables/api_keys/rows', pump, 404, /no table/], ['/tables/readings/rows', { ...pump, columns: 'zscor' }, 400, /no column "zscor"/],
    ['/tables/readings/rows', { ...pump, columns: 'value","x' }, 400, /no column/], ['/tables/readings/rows', { ...pump, device: 'none' }, 404, /no series "acme\/none\/temp"/], ['/tables/readings/rows', { device: 'pump' }, 400, /metric/],
    ['/tables/readings/rows', { ...pump, to: iso(-1) }, 400, /range is empty/], ['/tables/readings/rows', { ...pump, from: 'yesterday' }, 400, /date-time/], ['/tables/readings/rows', { ...pump, cursor: "1' OR 1" }, 400, /no cursor/],
    ['/tables/readings/rows', { ...pump, limit: 0 }, 400, /limit/], ['/tables/readings/rows', { ...pump, limit: 1e9 }, 400, /limit/], ['/tables/readings/buckets', { ...pump, buckets: 5001 }, 400, /buckets/], ['/series', { cursor: '99999999999' }, 400, /no cursor/]
  ] as const) {
    const reply = await ask(path, given)
    t.equal(reply.status, status, `${path} ${JSON.stringify(given)}: ${reply.body}`)
    t.match(reply.json().detail, detail, path)
  }
})

t.test('tables of a paused pipeline are there too', async t => {
  const pipeline = normalise(readYaml(file, components, { file: 'p.yaml' }).pipeline!, components), url = (await freshDatabase(t))!
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), app = await plan({ runs: () => [], pipelines: () => [pipeline], stopping: () => false, components, keys, query: undefined }, quiet), { key, id, digest } = newKey()
  t.teardown(async () => { await app.close(); await keys.close() })
  await keys.add({ id, digest, name: 'test', tenant: null, scopes: ['query:read'], expires: null }, 'test')
  t.strictSame((await app.inject({ url: '/api/v1/tables', headers: { authorization: `Bearer ${key}` } })).json().tables.map((x: any) => x.table), ['readings', 'windows'])
})

t.test('devices are found by their tags, all of them', async t => {
  const { ask } = await open(t), pairs = (rows: readonly any[]) => rows.map(r => `${r.device}/${r.metric}`).sort(), found = async (path: string, tags: string) => { const reply = await ask(path, { tags }); return reply.status === 200 ? pairs(reply.json().rows) : reply.status }
  t.strictSame(await found('/series', 'floor=3'), ['pump/flow', 'pump/temp'])
  t.strictSame(await found('/tables/readings/latest', 'floor=3'), ['pump/flow', 'pump/temp'])
  for (const none of ['floor=4', 'floor=3,hall=B', 'Floor=3', "floor=3' OR 'a'='a"]) t.strictSame(await found('/series', none), [], none)
  for (const wrong of ['floor', '=3', 'floor=3,']) t.equal(await found('/series', wrong), 400, wrong)
  t.strictSame(pairs((await ask('/tables/readings/latest', { site: 'north', metric: 'flow' })).json().rows), ['pump/flow'])
})

t.test('readings that are stored are analysed as the same ones that are sent; only one\'s own', async t => {
  const { ask, post, keyOf } = await open(t), rows = (await ask('/tables/readings/rows', { ...pump, limit: 1000 })).json().rows, stored = { table: 'readings', ...pump }
  const data = { time: rows.map((r: any) => r.time), value: rows.map((r: any) => r.value) }
  for (const [url, options] of [['/detect_anomaly', { samples: 50 }], ['/predict', { every: '1s', seasons: ['60s'] }], ['/check_drift', { reference: 100, current: 50 }]] as const) {
    const [one, other] = [await post(url, { data, options, last: 50 }), await post(url, { stored, options, last: 50 })]
    t.strictSame([one.status, other.status], [200, 200], JSON.stringify([one.body, other.body]).slice(0, 300))
    t.strictSame(other.body, one.body, url)
  }
  t.equal((await post('/predict', { stored: { ...stored, column: 'zscore' }, options: { every: '1s', seasons: ['60s'] } })).body.readings, 251)
  for (const [body, status] of [
    [{}, 400], [{ data, stored }, 400], [{ stored: { ...stored, table: 'windows' } }, 400], [{ stored: { ...stored, table: 'nothing' } }, 404], [{ stored: { ...stored, metric: 'nothing' } }, 404], [{ stored: { ...stored, column: 'nothing' } }, 400], [{ stored: { ...stored, column: 'value,zscore' } }, 400],
    [{ stored: { ...stored, tenant: 'other' } }, 404], [{ stored: { ...stored, from: iso(-2000), to: iso(-1000) } }, 400], [{ stored: { ...stored, more: 1 } }, 400]
  ] as const) t.equal((await post('/detect_anomaly', body)).status, status, JSON.stringify(body).slice(-200))
  t.equal((await post('/detect_anomaly', { stored: { ...stored, tenant: 'acme' } }, await keyOf('other'))).status, 404)
  t.equal((await post('/detect_anomaly', { stored: { ...stored, tenant: 'other' } }, await keyOf(null))).body.readings, 1)
})
