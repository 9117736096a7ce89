/** What becomes of what is learned when maintenance is over: a real database, a real broker, a real stream, and a process that is killed. */
import t, { type Test } from 'tap'
import { newKey } from '../../engine/api-key.ts'
import type { Definition } from '../../engine/operator.ts'
import * as operators from '../../operators/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { device, means, open, rows, until, valueOf, type Process } from '../support/control.ts'
import { make, serve } from '../support/jetstream.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const yaml = (from: string) => `name: p\nfrom: ${from}\npipe: [ ewma: { alpha: 0.5 } ]\nalerts: { high: { when: { value: { above: 50 } } } }\nto: [ postgres: { table: readings } ]\nbranches: { all: { pipe: [ tumbling: { every: 1h, features: [ count ] } ], to: [ postgres: { table: hours } ] } }\n`
const broker = (port: number) => yaml(`{ broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }`)
const iso = (after: number) => new Date(Date.now() + after).toISOString()
/** The means of one that began anew at each of these places. */
const anew = (n: number, ...places: readonly number[]): number[] => [0, ...places].flatMap((from, k) => {
  let mean = NaN
  return Array.from({ length: (places[k] ?? n) - from }, (_, i) => mean = Number.isNaN(mean) ? valueOf(from + i) : mean + 0.5 * (valueOf(from + i) - mean))
})
const ewma = async (url: string, name = 'd') => (await rows(url, 'ewma', 'readings', name)).map(r => r.ewma)
const stored = (url: string, n: number, name = 'd') => until(`${n} rows of ${name}`, async () => (await ewma(url, name)).length === n)

/** A window that is over; resolves when the pipeline has been told. */
async function maintain (process: Process, url: string, more: object = {}, told = true): Promise<string> {
  const { json: { id } } = await process.call('POST', '/maintenance', { tenant: 't', device: 'd', reason: 'a new bearing', to: iso(60_000), ...more })
  await process.call('DELETE', `/maintenance/${id}`)
  if (told) await until('it is told', () => isTold(url, id))
  return id
}
const isTold = async (url: string, id: string): Promise<boolean> => (await rowsOf(url, "SELECT relearned ? 'p' AS told FROM silences WHERE id = $1", [id]))[0].told

t.test('when maintenance is over detectors learn its device anew, from a position of the log on; nothing else is forgotten', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort()
  let process = await open(t, url, folder, { within: 30_000 })
  t.equal((await process.ask('PUT', '/p', broker(port))).status, 201)
  let d = await device(t, port), e = await device(t, port, 'e')
  const send = async (n: number) => { await d.send(n); await e.send(n); await stored(url, d.sent); await stored(url, e.sent, 'e') }
  await send(16)                     // the last one fires
  await maintain(process, url)
  await d.client.publishAsync('t/d/m', JSON.stringify({ ts: (await rows(url, 'time'))[15].time.getTime(), value: valueOf(15) }), { qos: 1 })
  await send(14)
  t.strictSame(await ewma(url), anew(30, 16), 'the mean begins anew')
  t.strictSame(await ewma(url, 'e'), means(30), 'of another device it does not')
  t.match((await process.ask('GET', '/p')).json.readings, { received: 61, written: 60, deduplicated: 1 }, 'what was there before is still a repetition')
  t.strictSame(await rowsOf(url, "SELECT state, device FROM alerts ORDER BY device, alerts.time"), ['d', 'e'].flatMap(device => ['firing', 'resolved'].map(state => ({ state, device }))), 'an alert that fires is resolved')
  t.match(await rowsOf(url, "SELECT actor, tenant, change FROM audit WHERE action = 'maintenance.relearn'"), [{ actor: 'millrace', tenant: 't', change: { device: 'd', pipeline: 'p' } }])

  await process.end()
  const since = iso(0)
  process = await open(t, url, folder)
  await until('the broker is there', async () => await device(t, port).then(found => { found.sent = d.sent; d = found; return true }, () => false))
  e = await device(t, port, 'e')
  e.sent = 30
  await send(10)
  await new Promise(resolve => setTimeout(resolve, 1500))        // it has looked
  await send(10)
  t.strictSame(await ewma(url), anew(50, 16), 'once is enough, also for the next process')

  await maintain(process, url, { relearn: false }, false)
  const early = (await process.call('POST', '/maintenance', { tenant: 't', device: 'd', reason: 'x', from: iso(30_000), to: iso(60_000) })).json.id
  t.match((await process.call('DELETE', `/maintenance/${early}`)).json, { relearn: false }, 'one that never began')
  await maintain(process, url, { device: 'none' }, false)
  await maintain(process, url, { tenant: 'other' }, false)
  await new Promise(resolve => setTimeout(resolve, 1500))
  await send(5)
  t.strictSame(await ewma(url), anew(55, 16), 'not when nobody wants it, and not for a device of another name')

  await process.ask('POST', '/p/pause')
  await d.send(5)
  await maintain(process, url, {}, false)
  await new Promise(resolve => setTimeout(resolve, 1500))
  await d.send(5)
  await process.ask('POST', '/p/resume')
  await stored(url, 65)
  t.strictSame(await ewma(url), anew(65, 16, 60), 'one that is paused meets it where it stood in its log')
  t.match((await process.ask('GET', '/p')).json, { imbalance: 0 })
  t.ok(Date.parse((await process.call('GET', '/maintenance?all=true')).json.rows[0].relearned.p) > Date.parse(since))
})

t.test('a stream has no place for it: there it stands in a commit', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), server = await serve(t), { jsm, publish } = await server.client()
  await make(jsm)
  let process = await open(t, url, folder, { within: 30_000, hosts: ['127.0.0.1'] })
  const put = await process.ask('PUT', '/p', yaml(`{ jetstream: { servers: "${server.url}", stream: S, subject: "t.{tenant}.{device}.{metric}" } }`))
  t.equal(put.status, 201, put.text)
  let sent = 0
  const send = async (n: number) => {
    for (let i = 0; i < n; i++, sent++) await publish([{ ts: START + 100 * sent, value: valueOf(sent) }], 't.t.d.m')
    await stored(url, sent)
  }
  await send(10)
  await maintain(process, url)
  await until('it is committed', async () => (await rowsOf(url, "SELECT FROM marks WHERE kind = 'relearn'")).length === 1)
  await send(10)
  await process.end()
  process = await open(t, url, folder, { hosts: ['127.0.0.1'] })
  await send(10)
  t.strictSame(await ewma(url), anew(30, 10))
  t.match((await process.ask('GET', '/p')).json, { imbalance: 0, trouble: {} })
})
const START = Date.now() - 60_000

t.test('killed around the end of maintenance, the device is learned anew exactly once', { timeout: 600_000 }, async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), keys = new PostgresKeys(url), { key, id: keyId, digest } = newKey()
  t.teardown(() => keys.close())
  await migrate(url, quiet)
  await keys.add({ id: keyId, digest, name: 'test', tenant: null, scopes: ['alerts:read', 'alerts:write', 'pipelines:read', 'pipelines:write'], expires: null }, 'test')
  const { program: first, ask: firstAsk } = await begin(t, url, folder, key)
  await until('pipelines may be put', async () => (await firstAsk('PUT', '/pipelines/p', broker(port))).status === 201)
  let program = first, ask = firstAsk, sent = 0
  const send = async (n: number) => {
    let d!: Awaited<ReturnType<typeof device>>
    await until('the broker is there', async () => await device(t, port).then(found => { d = found; return true }, () => false), 30_000)
    d.sent = sent
    await d.send(n)
    sent = d.sent
    d.client.end(true)
  }
  const places: number[] = []
  for (let kill = 0; kill < 6; kill++) {
    await send(6)
    await stored(url, sent)
    let id: string | undefined
    await until('maintenance is taken before it is over', async () => (id = (await ask('POST', '/maintenance', { tenant: 't', device: 'd', reason: 'x', to: iso(200) })).json.id) !== undefined)
    await new Promise(resolve => setTimeout(resolve, 300 + kill * 250))       // it looks every second
    program.child.kill('SIGKILL')
    await program.ended
    ;({ program, ask } = await begin(t, url, folder, key))
    await until('it is told', () => isTold(url, id!))
    await new Promise(resolve => setTimeout(resolve, 2200))      // it has looked, if the one before had only noted it
    places.push(sent)
    await send(6)
    await stored(url, sent)
  }
  t.strictSame(await ewma(url), anew(sent, ...places))
  t.match((await ask('GET', '/pipelines/p')).json, { imbalance: 0 })
})

async function begin (t: Test, url: string, folder: string, key: string) {
  const program = start(t, ['run', '--database', url, '--folder', folder, '--http', '127.0.0.1:0'])
  await program.until(/http:\/\/127\.0\.0\.1:\d+/, 90_000)
  const [at] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.err + program.out)!
  const ask = async (method: string, path: string, body?: string | object) => {
    const reply = await fetch(`${at}/api/v1${path}`, {
      method, headers: { authorization: `Bearer ${key}`, ...body === undefined ? {} : { 'content-type': typeof body === 'string' ? 'application/yaml' : 'application/json' } }, ...body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
    })
    return { status: reply.status, json: await reply.json() as any }
  }
  return { program, ask }
}

t.test('what remembers something and does not learn is known', async t => {
  const found = Object.values(operators).map(({ definition }) => definition as Definition<any, any, any, any, any>).filter(d => (d.perSeries !== undefined || d.perDevice !== undefined) && d.learns !== true).map(d => d.name)
  t.strictSame(found.toSorted(), ['across', 'count', 'deadband', 'dedupe', 'derive', 'hopping', 'scale', 'session', 'sliding', 'threshold', 'tumbling', 'validate', 'where'], 'a new one that says what is usual has to say learns: true')
})
