import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { eventsOf } from '../../engine/cli/remote.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

/** The real program with a pipeline that is fed over HTTP, and keys for it. */
async function open (t: Test) {
  const database = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), url = `http://127.0.0.1:${port}`
  await migrate(database, quiet)
  const keys = new PostgresKeys(database)
  t.teardown(() => keys.close())
  const keyOf = async (given: readonly Scope[], tenant: string | null = null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: given, expires: null }, 'test')
    return { key, id }
  }
  const file = join(folder, 'p.yaml')
  writeFileSync(file, 'name: p\nfrom: { http: {} }\npipe: [ threshold: { above: 50 }, ewma: { alpha: 0.5 } ]\nalerts: { high: { when: { value: { above: 100 } } }, long: { when: { value: { above: 100 } }, for: 10m, severity: critical } }\nto: [ postgres: { table: readings } ]\n')
  const engine = start(t, ['run', file, '--database', database, '--folder', join(folder, 'files'), '--http', `127.0.0.1:${port}`])
  await engine.until(async () => await fetch(`${url}/readyz`).then(r => r.ok, () => false))
  const { key } = await keyOf(Object.keys(scopes) as Scope[])
  const post = async (body: unknown, tenant = 'acme') => await fetch(`${url}/api/v1/ingest?tenant=${tenant}`, { method: 'POST', body: JSON.stringify(body), headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } })
  const listen = async (as: string, query = '', headers = {}) => {
    const stop = new AbortController(), reply = await fetch(`${url}/api/v1/stream${query}`, { signal: stop.signal, headers: { authorization: `Bearer ${as}`, ...headers } })
    t.teardown(() => { stop.abort() })
    const events: { id?: string | undefined, event: string, data: any }[] = []
    const ended = reply.ok ? (async () => { for await (const e of eventsOf(reply.body!)) events.push({ ...e, data: JSON.parse(e.data) }) })().catch(() => {}) : Promise.resolve()
    const until = async (holds: () => boolean, ms = 60_000) => { for (const end = Date.now() + ms; !holds();) { if (Date.now() > end) throw new Error(`${String(holds)}: ${JSON.stringify(events).slice(0, 500)}`); await new Promise(r => setTimeout(r, 10)) } }
    return { reply, events, ended, stop: () => { stop.abort() }, until }
  }
  return { url, port, key, keys, keyOf, post, listen, engine }
}
const names = (events: readonly any[]) => events.flatMap(e => e.event === 'rows' ? e.data.rows.map((r: any) => `${r.tenant}/${r.device}/${r.metric} ${r.value}`) : [])

t.test('the stream: what is committed, of the tenant of the key, alerts to those who may see them, and on behind the last event', async t => {
  const { key, keyOf, post, listen } = await open(t)
  const all = await listen(key), acme = await listen((await keyOf(['query:read'], 'acme')).key), alerts = await listen(key, '?kind=alerts'), scores = await listen(key, '?kind=scores&tenant=acme')
  t.match(all.reply.headers.get('content-type'), 'text/event-stream')
  let sent = 0
  for (const [m, tenant] of [[1, 'acme'], [101, 'acme'], [2, 'other']] as const) {
    sent++
    await post({ device: 'd', m }, tenant)
    await all.until(() => names(all.events).length === sent)
  }
  await alerts.until(() => alerts.events.length > 0)
  t.strictSame(names(all.events), ['acme/d/m 1', 'acme/d/m 101', 'other/d/m 2'])
  t.strictSame(names(acme.events), ['acme/d/m 1', 'acme/d/m 101'])
  t.ok(acme.events.every(e => e.event === 'rows'), 'without alerts:read no alert')
  t.ok(all.events.some(e => e.event === 'alerts'))
  t.match(alerts.events, [{ event: 'alerts', data: { pipeline: 'p', alerts: [{ alert: 'high', state: 'firing', value: 101, details: { version: String } }] } }])
  t.match(all.events[0].data.rows[0], { ewma: 1, threshold: 0 })
  t.strictSame(scores.events.map(({ event, data: { rows } }) => [event, rows.map((row: any) => ({ ...row, time: '' }))]), [[1, 1], [101, 51]].map(([value, ewma]) => ['scores', [{ time: '', tenant: 'acme', device: 'd', metric: 'm', value, ewma }]]))
  t.equal((await listen((await keyOf(['query:read'])).key, '?kind=alerts')).reply.status, 403)
  t.equal((await listen((await keyOf(['query:read'], 'acme')).key, '?tenant=other')).reply.status, 404)
  const { id } = all.events[0]
  all.stop()
  await post({ device: 'd', m: 4 })
  const again = await listen(key, '?kind=rows', { 'last-event-id': id! })
  await again.until(() => names(again.events).length === 3)
  t.strictSame(names(again.events), ['acme/d/m 101', 'other/d/m 2', 'acme/d/m 4'])
  const odd = await listen(key, '', { 'last-event-id': 'of another life-7' })
  await odd.until(() => odd.events.length > 0)
  t.match(odd.events, [{ event: 'notice', data: { notice: 'gap' } }])
})

t.test('who reads slowly is told and cut off, and delays nobody; a key that is revoked is cut off; so many may listen', async t => {
  const { port, key, keys, keyOf, post, listen, engine } = await open(t)
  const slow = connect(port, '127.0.0.1')
  t.teardown(() => { slow.destroy() })
  let text = ''
  await new Promise<void>(resolve => { slow.once('connect', resolve) })
  slow.write(`GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`)
  slow.once('data', () => { slow.pause() })
  const quick = await listen(key, '?device=mark'), { key: weak, id } = await keyOf(['query:read']), revoked = await listen(weak)
  await keys.revoke(id, 'test')
  await revoked.ended
  t.match(revoked.events.at(-1), { event: 'notice', data: { notice: 'revoked' } })
  const times = Array.from({ length: 3000 }, (_, i) => 1_700_000_000_000 + i)
  for (let k = 0; k < 60; k++) if ((await post({ device: `d${k}`, t: times, m: times })).status !== 202) t.fail(`request ${k}`)
  await post({ device: 'mark', m: 1 })
  await quick.until(() => names(quick.events).length === 1)
  let over = false
  slow.on('data', bytes => { text += bytes.toString() }).on('end', () => { over = true }).on('close', () => { over = true }).resume()
  for (const end = Date.now() + 60_000; !over && Date.now() < end;) await new Promise(r => setTimeout(r, 20))
  t.ok(over, 'cut off')
  t.ok(/event: notice\ndata: \{"notice":"slow"/.test(text), 'and told')
  t.ok(text.length < 25_000_000, `${text.length} bytes of about 27 MB`)
  const { key: many } = await keyOf(['query:read']), streams = []
  for (let k = 0; k < 11; k++) streams.push(await listen(many))
  t.strictSame(streams.map(s => s.reply.status), [...Array(10).fill(200), 503])
  t.equal(streams[10].reply.headers.get('retry-after'), '5')
  const several = []
  for (let k = 0; k < 3; k++) { const { key: one } = await keyOf(['query:read'], 'acme'); for (let n = 0; n < (k === 2 ? 1 : 10); n++) several.push(await listen(one)) }
  t.strictSame(several.map(s => s.reply.status), [...Array(20).fill(200), 503], 'one tenant, with however many keys, does not take all')
  t.equal((await listen((await keyOf(['query:read'], 'other')).key)).reply.status, 200)
  engine.child.kill('SIGTERM')
  await quick.ended
  t.match(quick.events.at(-1), { event: 'notice', data: { notice: 'stopping' } })
  t.equal(await engine.ended, 143)
})

t.test('what holds, not for long enough yet, can be asked for, and is no alert', async t => {
  const { url, key, keyOf, post } = await open(t), { key: acme } = await keyOf(['alerts:read'], 'acme')
  const of = async (query = '', as = key) => await (await fetch(`${url}/api/v1/alerts?state=pending${query}`, { headers: { authorization: `Bearer ${as}` } })).json() as { rows: any[], next?: string }
  const until = async (n: number) => { for (const end = Date.now() + 60_000; (await of()).rows.length !== n;) { if (Date.now() > end) throw new Error(`not ${n}`); await new Promise(r => setTimeout(r, 20)) } }
  t.strictSame(await of(), { rows: [] })
  await post([{ device: 'd', m: 101, n: 5 }])
  await post([{ device: 'e', m: 102 }], 'other')
  await until(2)
  const { rows } = await of('', acme)
  t.match(rows, [{ id: /^\w{32}\.pending$/, state: 'pending', tenant: 'acme', pipeline: 'p', alert: 'long', severity: 'critical', device: 'd', metric: 'm', value: null, stale: false, deliveries: [], message: 'long: d m: what it asks for has held for 0s of 10m' }])
  t.strictSame((await of('&tenant=other')).rows.map(r => r.device), ['e'])
  const first = await of('&limit=1'), second = await of(`&limit=1&cursor=${first.next!}`)
  t.strictSame([...first.rows, ...second.rows].map(r => r.device), ['e', 'd'], 'the newest first')
  t.equal(second.next, undefined)
  for (const none of ['&alert=high', '&device=f', '&severity=info', '&pipeline=q', '&open=true', '&to=2020-01-01T00:00:00Z']) t.strictSame((await of(none)).rows, [], none)
  t.ok((await (await fetch(`${url}/api/v1/alerts`, { headers: { authorization: `Bearer ${key}` } })).json() as any).rows.every((r: any) => r.alert === 'high'))
  await post([{ device: 'd', m: 1 }])
  await until(1)
})

t.test('tap and top', async t => {
  const { url, key, post, keyOf } = await open(t), env = { MILLRACE_KEY: key }
  const tap = start(t, ['tap', '--url', url, '--device', 'd', '--count', '3', '--json'], env), plain = start(t, ['tap', '--url', url, '--kind', 'scores', '--for', '20s'], env)
  const send = setInterval(() => { post([{ device: 'd', m: 1 }, { device: 'e', m: 2 }, { device: 'e', m: 3 }]).catch(() => {}) }, 100)         // the last one may meet the end of the engine
  t.teardown(() => { clearInterval(send) })
  t.equal(await tap.ended, 0)
  const lines = tap.out.trim().split('\n').map(line => JSON.parse(line) as object)
  t.equal(lines.length, 3)
  t.match(lines[0], { pipeline: 'p', table: 'readings', tenant: 'acme', device: 'd', metric: 'm', value: 1, threshold: 0, ewma: 1 })
  await plain.until(/^\S+Z {2}readings {2}acme\/e\/m {2}2 {2}ewma \d/m)
  plain.child.kill('SIGINT')
  t.equal(await plain.ended, 130)
  const top = start(t, ['top', '--url', url, '--once', '--every', '2s', '--series', '1', '--json'], env)
  t.equal(await top.ended, 0, top.err)
  const picture = JSON.parse(top.out) as any
  t.match(picture, { pipelines: [{ pipeline: 'p', series: 2, trouble: '' }], busiest: [{ series: 'acme/e/m', table: 'readings', last: 3 }] })
  t.ok(picture.pipelines[0].rate > 1 && picture.busiest[0].rate > 1, top.out)
  const table = start(t, ['top', '--url', url, '--once', '--every', '1s'], env)
  t.equal(await table.ended, 0)
  t.match(table.out, /^pipeline +readings\/s/m)
  t.match(table.out, /^acme\/e\/m/m)
  for (const [args, code, said] of [[['--url', url, '--key', 'x'], 1, /api\/unauthorised/], [['--url', 'http://127.0.0.1:1'], 69, /nobody answers/], [['--url', 'nowhere'], 2, /no URL/], [['--url', url, '--key', (await keyOf(['alerts:read'])).key], 1, /api\/forbidden/]] as const) {
    for (const command of ['tap', 'top']) {
      const wrong = start(t, [command, ...args], env)
      t.equal(await wrong.ended, code, wrong.err)
      t.match(wrong.err, said)
    }
  }
})
