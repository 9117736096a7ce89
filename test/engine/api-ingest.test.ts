import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { newKey, type Scope } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { Journal, type JournalOptions } from '../../engine/journal.ts'
import type { Keys } from '../../engine/keys.ts'
import { Limits } from '../../engine/limits.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { Disk } from '../support/disk.ts'
import { quiet as quietly } from '../support/collect.ts'
import { HOUR, messages, never, records, temporary } from '../support/journal.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { until } from '../support/control.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']

interface Setting { readonly journal?: Partial<JournalOptions>, readonly http?: Record<string, unknown>, readonly keys?: (real: Keys) => Keys, readonly stopping?: () => boolean, readonly control?: { readonly isChanging: boolean }, readonly limits?: Limits }

/** A plane that feeds a real log, and the keys of a real database. */
async function open (test: Test, setting: Setting = {}) {
  const url = (await freshDatabase(test))!
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), { log } = quietly()
  const journal = await Journal.open(sources.http(setting.http), { folder: temporary(test), log, client: 'me', pipelines: ['p'], tick: HOUR, ...setting.journal }, never)
  journal.listen()
  const app = await plan({ runs: () => [{ journal, pipeline: { name: 'p' } }] as never, stopping: setting.stopping ?? (() => false), control: setting.control as never, components, keys: setting.keys?.(keys) ?? keys, query: undefined, limits: setting.limits, inlets: () => journal.inlet === undefined ? [] : [journal.inlet] }, quiet)
  test.teardown(async () => { await app.close(); await journal.close().catch(() => {}); await keys.close() })
  const keyOf = async (tenant: string | null, scopes: readonly Scope[] = ['ingest:write']) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes, expires: null }, 'test')
    return { key, id }
  }
  const { key } = await keyOf(null)
  const send = async (payload: string | Buffer, { url = '/api/v1/ingest', as = key, ...headers }: Record<string, string> = {}) => {
    const reply = await app.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json', ...headers } })
    return { status: reply.statusCode, headers: reply.headers, ...reply.json() as any }
  }
  return { app, journal, keys, keyOf, key, send, url }
}
const reading = '{"device":"p","metric":"m","value":1}'

t.test('202 says that it is in the log: the record stands there, with the bytes that came', async t => {
  const { send, journal } = await open(t)
  const { status, position, replayed } = await send(reading)
  t.strictSame([status, replayed, journal.wal.durable], [202, false, position])
  t.equal((await records(journal)).find(r => r.position === position)?.text, reading)
  t.match(await send(gzipSync(reading), { 'content-encoding': 'gzip' }), { status: 202 })
  t.match(await send('{"a":1}\n{"a":2}', { 'content-type': 'application/x-ndjson; charset=utf-8', url: '/api/v1/ingest?device=p' }), { status: 202 })
  t.strictSame(await messages(journal), [reading, reading, '{"a":1}\n{"a":2}'])
})

t.test('no 202 before the fsync; after a failed one none at all', async t => {
  const disk = new Disk(), { send, journal } = await open(t, { journal: { fs: disk.fs } })
  t.teardown(() => disk.release())
  disk.hold()
  let answered = false
  const reply = send(reading, { 'idempotency-key': 'k' }).then(r => { answered = true; return r })
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(answered, false)
  disk.release()
  t.match(await reply, { status: 202 })
  disk.full = true
  const lost = await send(reading, { 'idempotency-key': 'l' })
  t.match(lost, { status: 503, code: 'api/busy' })
  t.ok(Number(lost.headers['retry-after']) > 0)
  const soon = async (body: string) => await Promise.race([send(body, { 'idempotency-key': 'l' }), new Promise(resolve => setTimeout(resolve, 4000, 'no answer'))])
  t.match(await soon(reading), { status: 503, code: 'api/busy' }, 'again while the disk is full')
  t.match(await soon('2'), { status: 503, code: 'api/busy' }, 'also another body: what came under the key is lost')
  t.match(await send(reading, { 'idempotency-key': 'k' }), { status: 202, replayed: true }, 'what is durable is known')
  disk.full = false
  const deadline = Date.now() + 60_000
  while (!journal.open && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
  t.match(await send(reading, { 'idempotency-key': 'l' }), { status: 202, replayed: false }, 'what was refused is no repetition')
  t.match(await send(reading, { 'idempotency-key': 'k' }), { status: 202, replayed: true })
})

t.test('bodies have so much room as they are unpacked, a tenant as much as is left for the others, and it comes back when they are over', async t => {
  const disk = new Disk(), { app, key, keyOf, send } = await open(t, { journal: { fs: disk.fs }, limits: new Limits({ process: { bodies: 2 ** 22 } }) }), large = gzipSync(`"${'x'.repeat(900_000)}"`), gzip = { 'content-encoding': 'gzip' }
  t.teardown(() => disk.release())
  const { key: acme } = await keyOf('acme')
  disk.hold()
  const statuses: number[] = [], take = (reply: Promise<{ readonly status: number }>) => reply.then(({ status }) => statuses.push(status))
  const held = Array.from({ length: 4 }, () => take(send(large, gzip)))
  await until('two are refused', () => statuses.length === 2)
  t.strictSame(statuses, [503, 503])
  const theirs = take(send(large, { ...gzip, as: acme }))
  t.match(await send(large, gzip), { status: 503, code: 'api/busy', headers: { 'retry-after': '5' } })
  disk.release()
  await Promise.all([...held, theirs])
  t.strictSame(statuses, [503, 503, 202, 202, 202])
  t.equal((await send(large, gzip)).status, 202, 'there is room again')
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 })), sockets = Array.from({ length: 5 }, () => connect(Number(port), '127.0.0.1')), answers: string[] = []
  for (const socket of sockets) socket.on('data', part => answers.push(String(part).slice(9, 12))).write(`POST /api/v1/ingest HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n"`)
  await until('all have come', () => answers.length === 3)
  t.strictSame(answers, ['503', '503', '503'])
  t.equal((await send(reading)).status, 503)
  t.equal((await send(reading, { as: acme })).status, 202, 'others are not held up by bodies that do not come')
  for (const socket of sockets) {
    socket.destroy()
    await once(socket, 'close')
  }
  await until('there is room again', async () => (await send(reading)).status === 202)
})

t.test('an Idempotency-Key: again is answered again, another body is refused, and tenants are apart', async t => {
  const { send, journal, keyOf } = await open(t), headers = { 'idempotency-key': '8e03978e-40d5-43dd' }
  const first = await send(reading, headers), again = await send(gzipSync(reading), { ...headers, 'content-encoding': 'gzip' })
  t.strictSame([first.position, first.replayed, first.headers['idempotency-replayed']], [again.position, false, undefined])
  t.strictSame([again.status, again.replayed, again.headers['idempotency-replayed']], [202, true, 'true'])
  t.match(await send('{"device":"p","metric":"m","value":2}', headers), { status: 422, code: 'api/key-used' })
  t.match(await send(reading, { ...headers, url: '/api/v1/ingest?device=p' }), { status: 422 }, 'of another device')
  const { key } = await keyOf('acme')
  t.match(await send(reading, { ...headers, as: key }), { status: 202, replayed: false }, 'tenants choose their keys for themselves')
  t.match(await send(reading, { 'idempotency-key': 'x'.repeat(256) }), { status: 400 })
  t.equal((await messages(journal)).length, 2)
  t.equal(journal.events.request_repeated, 1)
})

t.test('readings of a tenant that none can be are refused, and not answered with 202 and dead-lettered then', async t => {
  const { send, journal, keyOf, url } = await open(t), { key, id } = await keyOf('a-b')
  await rowsOf(url, `UPDATE api_keys SET tenant = 'a+b' WHERE id = '${id}'`)        // of before names were looked at
  t.match(await send(reading, { as: key }), { status: 400, code: 'api/invalid', detail: /the tenant "a\+b"/ })
  t.match(await send(reading, { url: '/api/v1/ingest?tenant=a%23' }), { status: 400, code: 'api/invalid' })
  t.strictSame(await messages(journal), [])
})

t.test('readings are of the tenant of the key; a key of all tenants may say which', async t => {
  const { send, journal, keyOf } = await open(t, { http: { tenant: 'house' } }), { key: acme } = await keyOf('acme')
  t.match(await send(reading, { as: acme }), { status: 202 })
  t.match(await send(reading, { as: acme, url: '/api/v1/ingest?tenant=acme&device=a/b' }), { status: 202 })
  t.match(await send(reading, { as: acme, url: '/api/v1/ingest?tenant=other' }), { status: 404, code: 'api/not-found' })
  t.match(await send(reading, { url: '/api/v1/ingest?tenant=other&device=p&metric=m' }), { status: 202 })
  t.match(await send(reading), { status: 202 })
  t.match(await send(reading, { url: '/api/v1/ingest?metric=m' }), { status: 400 })
  const topics: string[] = [], reader = journal.wal.reader(0)
  while (reader.position < journal.wal.durable) await reader.read((_position, kind, _ingest, bytes, from) => { if (kind === 1) topics.push(bytes.toString('utf8', from + 2, from + 2 + bytes.readUInt16LE(from))) })
  await reader.close()
  t.strictSame(topics, ['acme', 'acme/a%2Fb', 'other/p/m', 'house'])
})

t.test('what cannot be: no such path, no body, another form, another encoding, no gzip, no scope', async t => {
  const { send, keyOf, journal } = await open(t, { http: { path: 'line-2' } }), url = '/api/v1/ingest/line-2', { key: weak } = await keyOf(null, ['query:read'])
  t.match(await send(reading, { url }), { status: 202 })
  t.match(await send(reading), { status: 404, help: /from: \{ http: \{\} \}/ })
  t.match(await send('', { url }), { status: 400 })
  t.match(await send(reading, { url, 'content-type': 'application/x-www-form-urlencoded' }), { status: 415, code: 'api/media-type' })
  t.match(await send(reading, { url, 'content-encoding': 'br' }), { status: 415, help: 'gzip, or none' })
  t.match(await send(reading, { url, 'content-encoding': 'gzip' }), { status: 400, code: 'api/invalid' })
  t.match(await send(reading, { url, as: weak }), { status: 403 })
  t.match(await send(reading, { url, as: newKey().key }), { status: 401 })
  t.equal((await messages(journal)).length, 1)
})

t.test('what is too large is refused: as it is sent, as it says it is, and as it would be when unpacked', async t => {
  const { send, journal, app, key } = await open(t, { http: { maxPayload: 500_000 } })
  t.match(await send('1'.repeat(500_000), { url: '/api/v1/ingest?device=d&metric=m' }), { status: 202 })
  t.match(await send('1'.repeat(500_001)), { status: 413, code: 'api/too-large' })
  t.match(await send('1'.repeat(2 ** 20 + 1)), { status: 413 })
  const bomb = gzipSync(Buffer.alloc(900 * 2 ** 20))
  t.ok(bomb.length < 2 ** 20, `${bomb.length} bytes for 900 MiB`)
  const before = process.memoryUsage().rss
  for (let k = 0; k < 5; k++) t.match(await send(bomb, { 'content-encoding': 'gzip' }), { status: 413, code: 'api/too-large' })
  const grown = process.memoryUsage().rss - before
  t.ok(grown < 450 * 2 ** 20, `${Math.round(grown / 2 ** 20)} MiB more`)
  t.equal((await messages(journal)).length, 1)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  const body = new ReadableStream({ start (c) { for (let k = 0; k < 40; k++) c.enqueue(Buffer.alloc(2 ** 16, 49)); c.close() } })
  const streamed = await fetch(`http://127.0.0.1:${port}/api/v1/ingest`, { method: 'POST', body, duplex: 'half', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } } as never).then(r => r.status, () => 413)
  t.equal(streamed, 413, 'without a Content-Length')
})

t.test('a log that is full: 503 and Retry-After, and not one record more', async t => {
  const { send, journal } = await open(t, { journal: { budget: 60_000 } })
  let sent = 0, reply
  do reply = await send(`"${String(sent++).padStart(1000, '0')}"`)
  while (reply.status === 202)
  t.match(reply, { status: 503, code: 'api/busy', headers: { 'retry-after': '5' } })
  t.equal((await messages(journal)).length, sent - 1)
  t.match(await send('1'.repeat(8000)), { status: 413 }, 'an eighth of the log at most')
})

t.test('a path that no pipeline reads while the process stops, or pipelines are brought back or changed: 503 and Retry-After, later 404', async t => {
  let stops = false
  const control = { isChanging: true }, { send } = await open(t, { control, stopping: () => stops }), url = '/api/v1/ingest/soon'
  t.match(await send(reading, { url }), { status: 503, code: 'api/busy', headers: { 'retry-after': '5' } })
  t.match(await send(reading), { status: 202 }, 'what is read is taken')
  control.isChanging = false
  t.match(await send(reading, { url }), { status: 404, code: 'api/not-found' })
  stops = true
  t.match(await send(reading, { url }), { status: 503, code: 'api/busy', detail: 'the process is stopping' })
})

t.test('readings get in while the database of keys is away, with keys that were valid when it last answered', async t => {
  let away = false
  const ask = <T>(of: () => Promise<T>): Promise<T> => away ? Promise.reject(Object.assign(new Error('away'), { statusCode: 503 })) : of()
  const { send, keyOf, keys } = await open(t, { keys: real => ({ find: id => ask(() => real.find(id)), used: id => ask(() => real.used(id)) }) as Keys })
  const { key: other } = await keyOf('acme'), { key: revoked, id } = await keyOf('acme')
  t.match(await send(reading, { as: revoked }), { status: 202 })
  await keys.revoke(id, 'test')
  await new Promise(resolve => setTimeout(resolve, 1100))
  t.match(await send(reading, { as: revoked }), { status: 401 })
  t.match(await send(reading), { status: 202 })
  away = true
  await new Promise(resolve => setTimeout(resolve, 1100))
  t.match(await send(reading, { 'idempotency-key': 'k' }), { status: 202 })
  t.match(await send(reading, { 'idempotency-key': 'k' }), { status: 202, replayed: true })
  t.ok((await send(reading, { as: other })).status >= 500, 'a key that was not seen before')
  t.not((await send(reading, { as: revoked })).status, 202)
})
