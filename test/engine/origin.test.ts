/** Which message made a row, and which request brought it: through answers, the log, rows and alerts, in the real program over a real database. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { requestId } from '../../engine/api/request-id.ts'
import { originOf } from '../../engine/origin.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { all, append, openWal } from '../laws/wal.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const file = 'name: p\nfrom: { http: {} }\nalerts: { hot: { when: { value: { above: 50 } }, to: [ stdout ] } }\nto: [ postgres: { table: readings } ]\n'

t.test('an id is taken when it has the form of one, and made otherwise', async t => {
  for (const id of ['a', 'req-1.2:3_4', 'x'.repeat(128)]) t.equal(requestId({ headers: { 'x-request-id': id } }), id)
  const made = new Set([undefined, '', 'a b', 'a\nb', '"', 'ü', 'x'.repeat(129), ['a', 'b'] as never].map(id => requestId({ headers: id === undefined ? {} : { 'x-request-id': id } })))
  t.equal(made.size, 8)
  for (const id of made) t.match(id, /^\w{16}$/)
})

t.test('what is kept of a log that nobody needs is as much as was asked for, and at most half of it', async t => {
  for (const [keep, least, most] of [[0, 0, 700], [2000, 2000, 2700], [9000, 4000, 4700]]) {
    const wal = await openWal(temporary(t), { budget: 8000, segment: 500, keep })
    for (let n = 1; append(wal, n) !== undefined; n++) await wal.flush()
    const { first, durable } = wal
    await wal.drop(durable)
    t.ok(wal.first > first && wal.bytes >= least && wal.bytes <= most, `${keep}: ${wal.bytes}`)
    await t.rejects(originOf(wal, wal.first - 1), { code: 'log/dropped', help: /--log-keep/ })
    await t.rejects(originOf(wal, durable + 1), { code: 'api/not-found' })
    await wal.close()
  }
})

t.test('many starts leave no more files than are looked at in no time', async t => {
  const wal = await openWal(temporary(t), { budget: 1_000_000, segment: 100, keep: 500_000 })
  for (let n = 1; n < 400; n++) { append(wal, n, 90); await wal.flush() }
  await wal.drop(wal.durable)
  t.equal(wal.segments.length, 64)
  t.equal((await all(wal)).length, wal.durable + 1 - wal.first)
  await wal.close()
})

t.test('a row and an alert say their position, and that says the request', { timeout: 120_000 }, async t => {
  const database = (await freshDatabase(t))!, folder = temporary(t), keys = new PostgresKeys(database)
  t.teardown(() => keys.close())
  await migrate(database, quiet)
  writeFileSync(join(folder, 'p.yaml'), file)
  const begin = async () => {
    const program = start(t, ['run', join(folder, 'p.yaml'), '--database', database, '--http', '127.0.0.1:0', '--folder', join(folder, 'state')])
    await program.until(/http:\/\/127\.0\.0\.1:\d+/)
    return { program, url: /http:\/\/127\.0\.0\.1:\d+/.exec(program.err + program.out)![0] }
  }
  const { program, url: first } = await begin()
  let url = first
  const keyOf = async (tenant: string | null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: Object.keys(scopes) as Scope[], expires: null }, 'test')
    return { key, id }
  }
  const all = await keyOf(null), acme = await keyOf('acme')
  const ask = async (path: string, { as = all.key, headers = {}, body }: { as?: string, headers?: Record<string, string>, body?: unknown } = {}) => {
    const reply = await fetch(`${url}/api/v1/${path}`, { method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${as}`, ...body === undefined ? {} : { 'content-type': 'application/json' }, ...headers }, ...body === undefined ? {} : { body: JSON.stringify(body) } })
    return { status: reply.status, id: reply.headers.get('x-request-id'), json: await reply.json() as any }
  }
  const sent = await ask('ingest?device=pump', { as: acme.key, headers: { 'x-request-id': 'order-66', 'idempotency-key': 'once' }, body: { metric: 'temp', value: 99 } })
  t.match(sent, { status: 202, id: 'order-66' })
  const other = await ask('ingest?device=pump', { as: acme.key, body: { metric: 'temp', value: 1 } })
  t.match(other.id, /^\w{16}$/)
  const rows = async () => await rowsOf(database, 'SELECT value, position::float8 FROM readings ORDER BY position').catch(() => [])
  await program.until(async () => (await rows()).length === 2)
  t.strictSame(await rows(), [{ value: 99, position: sent.json.position }, { value: 1, position: other.json.position }])
  const range = `from=${new Date(Date.now() - 60_000).toISOString()}&to=${new Date(Date.now() + 60_000).toISOString()}`
  const { json: { rows: [one, second] } } = await ask(`tables/readings/rows?tenant=acme&device=pump&metric=temp&columns=value,position&${range}`)
  t.match([one, second], [{ value: 99, position: sent.json.position }, { value: 1, position: other.json.position }])
  const { json: { rows: alerts } } = await ask(`alerts?${range}`), firing = alerts.find((a: any) => a.state === 'firing'), found = await ask(`pipelines/p/origin/${firing.position}`)
  t.match(firing, { position: sent.json.position, details: { version: String } })
  t.match(found, { status: 200, json: { origin: firing.origin, position: sent.json.position, kind: 'message', topic: 'acme/pump', request: { id: 'order-66', key: acme.id }, idempotencyKey: 'once' } })
  t.equal(found.json.bytes, JSON.stringify({ metric: 'temp', value: 99 }).length)
  t.match((await ask(`pipelines/p/origin/${second.position}`)).json, { request: { id: other.id } })
  await program.until(() => program.out.includes(`"position":${sent.json.position}`))
  t.match(program.out, new RegExp(`"position":${sent.json.position},"origin":"${firing.origin}"`), 'receivers are told too')
  t.match(await ask('pipelines/p/origin/999999'), { status: 404 })
  t.match(await ask(`pipelines/p/origin/${second.position}`, { as: acme.key }), { status: 403 })
  t.match(await ask('silences', { as: acme.key, headers: { 'x-request-id': 'hush' }, body: { to: new Date(Date.now() + 60_000).toISOString(), reason: 'work' } }), { status: 201, id: 'hush' })
  t.match(await rowsOf(database, "SELECT actor, action, request FROM audit WHERE action = 'silence.create'"), [{ actor: acme.id, request: 'hush' }])
  const refused = await ask('pipelines/none', { headers: { 'x-request-id': 'mine' } })
  t.match(refused, { status: 404, id: 'mine', json: { instance: 'mine' } })
  t.match(await ask('series', { as: 'nobody', headers: { 'x-request-id': 'a b' } }), { status: 401, id: /^\w{16}$/ })

  // the segment is closed, and nobody needs it
  program.child.kill('SIGTERM')
  await program.ended
  const again = await begin()
  url = again.url
  const third = await ask('ingest?device=pump', { as: acme.key, body: { metric: 'temp', value: 2 } })
  await again.program.until(async () => (await rows()).length === 3)
  again.program.child.kill('SIGTERM')
  await again.program.ended
  url = (await begin()).url
  for (const { json: { position }, id } of [sent, other, third]) t.match(await ask(`pipelines/p/origin/${position}`), { status: 200, json: { request: { id } } }, 'and still is there by default')
})
