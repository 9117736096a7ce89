/** Limits of keys and tenants: who has more than its part is refused, with when to come back, and nobody else notices. Over a real database, in the real program. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { ReadingQuota } from '../../engine/quota.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { Limits, readLimits } from '../../engine/limits.ts'
import { SeriesTable } from '../../engine/series.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']

async function open (t: Test, limits: (ids: readonly string[]) => Limits) {
  const url = (await freshDatabase(t))!
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), query = new PostgresQuery(url), actions = new PostgresActions(url)
  const made = ['acme', 'acme', 'umbra', null].map(tenant => ({ tenant, ...newKey() }))
  for (const { id, digest, tenant } of made) await keys.add({ id, digest, name: 'test', tenant, scopes: Object.keys(scopes) as Scope[], expires: null }, 'test')
  const app = await plan({ runs: () => [], stopping: () => false, components, keys, query, actions, limits: limits(made.map(k => k.id)) }, quiet)
  t.teardown(async () => { await app.close(); await keys.close(); await query.close(); await actions.close() })
  const ask = async (as: number, url = '/api/v1/series', payload?: object) => await app.inject({ method: payload === undefined ? 'GET' : 'POST', url, headers: { authorization: `Bearer ${made[as].key}` }, ...payload === undefined ? {} : { payload } })
  return { ask }
}

t.test('a key has as many requests as it is given, and is told what is left; another one has its own', async t => {
  const { ask } = await open(t, ([, second]) => new Limits({ key: { requests: 3 }, keys: { [second]: { requests: 5 } } }))
  const first = await ask(0)
  t.match(first.headers, { 'ratelimit-limit': '3', 'ratelimit-remaining': '2', 'ratelimit-reset': /^\d+$/ })
  t.strictSame([(await ask(0)).statusCode, (await ask(0)).statusCode], [200, 200])
  const refused = await ask(0)
  t.match(refused.json(), { status: 429, code: 'api/too-many' })
  t.ok(Number(refused.headers['retry-after']) > 0 && Number(refused.headers['retry-after']) <= 60)
  for (const [key, most] of [[1, 5], [2, 3]]) {
    for (let k = 0; k < most; k++) t.equal((await ask(key)).statusCode, 200)
    t.equal((await ask(key)).statusCode, 429)
  }
})

t.test('all keys of a tenant together have what the tenant is given', async t => {
  const { ask } = await open(t, () => new Limits({ tenants: { acme: { requests: 4 } } }))
  for (const key of [0, 1, 0, 1]) t.equal((await ask(key)).statusCode, 200)
  for (const key of [0, 1]) {
    const refused = await ask(key)
    t.match(refused.json(), { status: 429, code: 'api/too-many', detail: /tenant "acme".*4 requests/ })
    t.ok(Number(refused.headers['retry-after']) > 0)
  }
  t.strictSame([(await ask(2)).statusCode, (await ask(3)).statusCode], [200, 200], 'another tenant, and a key of all')
})

t.test('silences that are not over are limited for each tenant; one that ends makes room', async t => {
  const { ask } = await open(t, () => new Limits({ tenant: { silences: 2 } })), silence = { to: new Date(Date.now() + 1e6).toISOString(), reason: 'work' }
  const made = await ask(0, '/api/v1/silences', silence)
  t.equal(made.statusCode, 201)
  t.equal((await ask(1, '/api/v1/maintenance', { ...silence, device: 'd' })).statusCode, 201)
  t.match((await ask(0, '/api/v1/silences', silence)).json(), { status: 409, code: 'api/quota' })
  t.match((await ask(0, '/api/v1/maintenance', { ...silence, device: 'd' })).json(), { status: 409, code: 'api/quota' })
  t.strictSame([(await ask(2, '/api/v1/silences', silence)).statusCode, (await ask(3, '/api/v1/silences', silence)).statusCode], [201, 201])
})

t.test('check_drift answers a key ten times a minute when nothing else is said', async t => {
  const { ask } = await open(t, () => new Limits()), body = { data: { value: Array.from({ length: 50 }, (_, i) => i % 5) } }
  for (let k = 0; k < 10; k++) t.equal((await ask(0, '/api/v1/check_drift', body)).statusCode, 200)
  const refused = await ask(0, '/api/v1/check_drift', body)
  t.strictSame([refused.statusCode, refused.headers['ratelimit-limit'], Number(refused.headers['retry-after']) > 0], [429, '10', true])
})

t.test('while the database cannot be reached the answer says when to try again', async t => {
  const keys = new PostgresKeys('postgres://nobody@127.0.0.1:1/none'), app = await plan({ runs: () => [], stopping: () => false, components, keys, query: undefined }, quiet)
  t.teardown(async () => { await app.close(); await keys.close() })
  const reply = await app.inject({ url: '/api/v1/series', headers: { authorization: `Bearer ${newKey().key}` } })
  t.strictSame([reply.statusCode, reply.headers['retry-after']], [503, '5'])
})

t.test('readings that were taken are owed, and paid by time', t => {
  const quota = new ReadingQuota(new Limits({ tenants: { acme: { readings: 100 }, none: { readings: 0 } } }))
  t.equal(quota.wait('acme', 0), 0)
  quota.take('acme', 1000, 0)
  t.equal(quota.wait('acme', 0), 0, 'ten seconds at once')
  quota.take('acme', 500, 0)
  t.equal(quota.wait('acme', 0), 5)
  t.equal(quota.wait('acme', 4), 1)
  t.equal(quota.wait('acme', 5), 0)
  t.equal(quota.wait('umbra', 5), 0, 'no limit')
  t.equal(quota.wait('none', 5), 3600)
  t.end()
})

t.test('readings that are read long after they came, as after a pause, are owed from when they came', t => {
  const quota = new ReadingQuota(new Limits({ tenant: { readings: 100 } }))
  t.ok(Array.from({ length: 3600 }, (_, s) => quota.wait('acme', s)).every(wait => wait === 0), 'not read yet')
  for (let s = 0; s < 3600; s++) quota.take('acme', 100, s)
  t.equal(quota.wait('acme', 3600), 0, 'an hour of what was allowed')
  quota.take('acme', 2000, 3600)
  t.equal(quota.wait('acme', 3600), 10)
  t.end()
})

t.test('a tenant has as many series as it is given: those that are there stay, and no names of its take the room of others', t => {
  const table = new SeriesTable(10)
  table.most = tenant => tenant === 'acme' ? 2 : Infinity
  t.strictSame(['a', 'b', 'c', 'a'].map(device => table.id('acme', device, 'm')), [0, 1, -1, 0])
  t.equal(table.id('acme', 'a', 'other'), -1)
  for (let k = 0; k < 100; k++) table.id('acme', `bomb-${k}`, 'm')
  t.equal(table.devices, 2)
  t.strictSame(Array.from({ length: 9 }, (_, k) => table.id('umbra', `d${k}`, 'm')), [2, 3, 4, 5, 6, 7, 8, 9, -1])
  t.end()
})

t.test('names are found again, many of one tenant and few of many', t => {
  const table = new SeriesTable(5000), names = [...Array.from({ length: 3000 }, (_, k) => ['acme', `d${k}`]), ...Array.from({ length: 2000 }, (_, k) => [`t${k % 1000}`, `d${k}`])]
  for (let round = 0; round < 2; round++) t.strictSame(names.map(([tenant, device]) => table.id(tenant, device, 'm')), names.map((_, k) => k))
  t.strictSame([table.known('acme', 'd2999'), table.known('acme', 'd3000'), table.known('nobody', 'd1')], [2999, -1, -1])
  t.end()
})

t.test('a file of limits says what is wrong with it', t => {
  const folder = temporary(t), read = (text: string) => { writeFileSync(join(folder, 'l.yaml'), text); return readLimits(join(folder, 'l.yaml')) }
  t.match(read('tenants: { acme: { readings: 5 } }\ntenant: { silences: 7 }').ofTenant('acme'), { readings: 5, silences: 7 })
  t.match(read('').ofKey('x'), { requests: 600, ingests: 60_000, drifts: 10, streams: 10 })
  t.strictSame([read('tenant: { silences: 7 }').ofTenant('constructor').silences, read('keys: {}').ofKey('__proto__').requests], [7, 600])
  for (const [text, code] of [['key: { request: 5 }', 'config/unknown-key'], ['key: { requests: -1 }', 'config/invalid'], ['keys: { a: { requests: many } }', 'config/invalid'], ['tenants: [ acme ]', 'config/invalid'], ['tenats: {}', 'config/unknown-key'], ['key: {', 'config/syntax'], ['- 1', 'config/invalid']]) t.throws(() => read(text), { code, message: /l\.yaml/ }, text)
  t.throws(() => readLimits(join(folder, 'none')), { code: 'usage/file' })
  t.end()
})

t.test('one who sends more readings, or more names, than he may is refused alone, also after a restart', { timeout: 180_000 }, async t => {
  const database = (await freshDatabase(t))!, folder = temporary(t), keys = new PostgresKeys(database)
  t.teardown(() => keys.close())
  await migrate(database, quiet)
  writeFileSync(join(folder, 'p.yaml'), 'name: p\nfrom: { http: {} }\nto: [ postgres: { table: readings } ]\n')
  writeFileSync(join(folder, 'limits.yaml'), 'tenants: { acme: { readings: 50, series: 3 } }\n')
  const keyOf = async (tenant: string) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: ['ingest:write'], expires: null }, 'test')
    return key
  }
  const acme = await keyOf('acme'), umbra = await keyOf('umbra'), run = async () => {
    const program = start(t, ['run', join(folder, 'p.yaml'), '--database', database, '--http', '127.0.0.1:0', '--folder', join(folder, 'state'), '--limits', join(folder, 'limits.yaml')])
    await program.until(/http:\/\/127\.0\.0\.1:\d+/)
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.err + program.out)!
    return { program, send: async (as: string, body: unknown) => await fetch(`${url}/api/v1/ingest`, { method: 'POST', headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' }, body: JSON.stringify(body) }) }
  }
  const devices = (tenant: string) => rowsOf(database, 'SELECT d.name FROM devices d JOIN series s ON s.device = d.id WHERE tenant = $1 ORDER BY 1', [tenant])
  const some = (first: number, n: number) => Array.from({ length: n }, (_, k) => ({ device: `d${first + k}`, metric: 'm', value: k })), now = Date.now()
  const many = (n: number) => ({ device: 'd0', metric: 'm', t: Array.from({ length: n }, (_, k) => now - n + k), v: Array.from({ length: n }, (_, k) => k) })
  const { program, send } = await run()
  t.strictSame([(await send(acme, some(0, 5))).status, (await send(umbra, some(0, 5))).status], [202, 202])
  await program.until(async () => (await devices('umbra')).length === 5)
  t.strictSame((await devices('acme')).map(r => r.name), ['d0', 'd1', 'd2'])
  t.match(await rowsOf(database, 'SELECT reason, detail FROM dead_letters'), [{ reason: 'series_limit', detail: /its tenant has as many series/ }, { reason: 'series_limit' }])
  t.equal((await send(acme, many(1000))).status, 202)
  let refused: Response | undefined
  await program.until(async () => (refused = await send(acme, many(1))).status === 429)
  t.match(await refused!.json(), { code: 'api/too-many', detail: /50 a second/ })
  t.ok(Number(refused!.headers.get('retry-after')) >= 1)
  for (let k = 0; k < 5; k++) t.equal((await send(umbra, many(500))).status, 202, 'nobody else')
  program.child.kill('SIGTERM')
  await program.ended
  const again = await run()
  t.equal((await again.send(acme, some(1, 5))).status, 202)
  await again.program.until(async () => (await rowsOf(database, 'SELECT FROM dead_letters')).length === 5)
  t.strictSame((await devices('acme')).map(r => r.name), ['d0', 'd1', 'd2'])
})
