/** A pipeline that stands goes on sending what it has committed, and nobody else sends it too: a real database, a real broker, real receivers. */
import { setTimeout as wait } from 'node:timers/promises'
import { connectAsync } from 'mqtt'
import t, { type Test } from 'tap'
import { MillraceError } from '../../engine/errors.ts'
import { normalise } from '../../engine/lint.ts'
import { Pipelines } from '../../engine/pipelines.ts'
import { Run } from '../../engine/run.ts'
import { readYaml } from '../../engine/yaml.ts'
import { fileStore } from '../../sinks/file.ts'
import { receiver } from '../fixtures/receiver.ts'
import { components, open, until, type Process } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { match, put } from '../support/one-pipeline.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const text = (port: number, hook: string, store = 'postgres: { table: readings }') => `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nalerts: { high: { when: { value: { above: 50 } }, to: [ webhook: { url: "${hook}" } ] } }\nto: [ ${store} ]\n`

/** A receiver that is down until `works`, and answers after `ms`: what it has taken. */
async function hook (t: Test) {
  const it = { works: false, ms: 0, url: '', taken: [] as string[], tried: 0 }
  const { url } = await receiver(t, (response, { headers }) => {
    it.tried++
    if (it.works) it.taken.push(headers['webhook-id'] as string)
    setTimeout(() => { response.writeHead(it.works ? 204 : 503).end() }, it.ms)
  })
  return Object.assign(it, { url })
}

async function publish (port: number, ...names: readonly string[]): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`)
  for (const name of names) await client.publishAsync(`t/${name}/m`, JSON.stringify({ ts: Date.now(), value: 99 }), { qos: 1 })
  await client.endAsync()
}
const egress = ['127.0.0.0/8'], due = async (url: string) => (await rowsOf(url, "SELECT FROM alert_outbox WHERE state = 'due'")).length
const sent = (url: string) => until('all is sent', async () => await due(url) === 0)

/** One alert is committed, and its receiver is down. */
async function waiting (t: Test, process: Process, port: number, it: { readonly url: string, tried: number }): Promise<void> {
  t.equal((await put(process, text(port, it.url))).status, 201)
  await publish(port, 'd1')
  await until('it was tried', () => it.tried > 0)
}

t.test('paused, and paused still after a start of the process: what waits is sent, once', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), it = await hook(t), process = await open(t, url, folder, { egress })
  await waiting(t, process, port, it)
  t.equal((await process.ask('POST', '/p/pause')).status, 200)
  it.works = true
  await sent(url)
  it.works = false
  t.equal((await process.ask('POST', '/p/resume')).status, 200)
  const before = it.tried
  await publish(port, 'd2')
  await until('it was tried', () => it.tried > before)
  await process.ask('POST', '/p/pause')
  await process.end()
  it.works = true
  const next = await open(t, url, folder, { egress })
  await sent(url)
  t.match((await next.ask('GET', '/p')).json, { state: 'paused' })
  t.equal((await next.ask('POST', '/p/resume')).status, 200)
  await publish(port, 'd3')
  await until('it works again', () => it.taken.length === 3)
  t.equal(new Set(it.taken).size, 3)
  t.equal((await next.ask('DELETE', '/p')).status, 200)
})

t.test('failed: what waits is sent; repaired, it goes on, and nothing is sent twice', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), it = await hook(t), process = await open(t, url, temporary(t), { egress })
  await waiting(t, process, port, it)
  await rowsOf(url, 'ALTER TABLE readings RENAME COLUMN value TO other')
  await publish(port, 'd2')
  await until('it has failed', () => !process.pipelines.isWorking('p') && process.pipelines.failure !== undefined)
  it.works = true
  await sent(url)
  t.match(process.pipelines.runOf('p')!.dispatcher!.counts, { delivered: 1 }, 'and it is counted')
  await rowsOf(url, 'ALTER TABLE readings RENAME COLUMN other TO value')
  t.equal((await process.ask('POST', '/p/resume')).status, 200)
  await until('what it could not commit is sent too', () => it.taken.length === 2)
  t.equal(new Set(it.taken).size, 2)
})

t.test('changed while it is paused: it sends by its new version, whatever has become of its tables', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), it = await hook(t), process = await open(t, url, temporary(t), { egress })
  await waiting(t, process, port, it)
  await process.ask('POST', '/p/pause')
  await rowsOf(url, 'DROP TABLE readings CASCADE')
  t.equal((await put(process, text(port, `${it.url}/new`).replace('url:', 'name: a, url:'), match(1))).status, 200)
  t.equal((await put(process, text(port, it.url), match(2))).status, 200)
  it.works = true
  await sent(url)
  t.equal(it.taken.length, 1)
})

t.test('two processes in which it stands: whoever opened the store last sends, the other one no more, and takes nothing back', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), it = await hook(t), process = await open(t, url, temporary(t), { egress })
  await waiting(t, process, port, it)
  await process.ask('POST', '/p/pause')
  const run = process.pipelines.runOf('p')!, before = run.dispatcher
  await until('it stands', () => run.dispatcher !== before)
  const stop = new AbortController(), other = new Run(run.pipeline, { log: quiet, folder: temporary(t), database: url, fallback: fileStore, egress }), delivered = other.stand(stop.signal), epoch = async () => (await rowsOf(url, 'SELECT max(epoch)::int AS epoch FROM checkpoint'))[0].epoch as number
  t.teardown(async () => { stop.abort(); await delivered })
  await until('the other one stands', () => other.dispatcher !== undefined)
  const now = await epoch(), { delivered: sentHere, retried } = run.dispatcher!.counts
  it.works = true
  await rowsOf(url, 'UPDATE alert_outbox SET due = now()')
  await sent(url)
  t.match([it.taken.length, other.dispatcher!.counts], [1, { delivered: 1 }])
  await rowsOf(url, "UPDATE alert_outbox SET state = 'due', due = now(), attempts = 0")         // a replay
  await sent(url)
  t.match([other.dispatcher!.counts.delivered, run.dispatcher!.counts], [2, { delivered: sentHere, retried }])
  await t.rejects(run.stand(new AbortController().signal), { code: 'store/fenced' }, 'it does not take the store from the other')
  t.equal(await epoch(), now)
})

t.test('without a database: what waits in the files is sent too', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), it = await hook(t), process = await open(t, url, temporary(t), { egress })
  t.equal((await put(process, text(port, it.url, 'stdout').replace('to: [ stdout ]', ''))).status, 201)
  await publish(port, 'd1')
  await until('it was tried', () => it.tried > 0)
  await process.ask('POST', '/p/pause')
  Object.assign(it, { works: true, ms: 1000 })
  await until('it is being sent', () => it.taken.length === 1)
  await process.ask('POST', '/p/resume')
  await publish(port, 'd2')
  await until('it works again', () => it.taken.length === 2)
  t.equal(new Set(it.taken).size, 2)
})

t.test('neither version starts: one that still tries does not stand too, and one that has failed stands once', async t => {
  let fails = false, open = 0
  const store = {
    open: async (signal: AbortSignal, ...stands: readonly unknown[]) => {
      if (fails && stands.length === 0) throw new MillraceError('store/failed', 'no')
      open++
      await new Promise(resolve => { signal.addEventListener('abort', resolve) })
      open--
      throw new Error('stopped')
    },
    close: async () => {}, trouble: () => 'away'
  }
  const pipelines = new Pipelines({ log: quiet, folder: temporary(t), fallback: () => store as never, within: 50, failed: () => {} })
  t.teardown(() => pipelines.close())
  const of = (high: number) => normalise(readYaml(`name: p\nfrom: { simulator: {} }\nalerts: { high: { when: { value: { above: ${high} } }, to: [ stdout ] } }\n`, components, { file: 'p.yaml' }).pipeline!, components)
  await pipelines.start(of(50), { patient: true })
  await t.rejects(pipelines.replace(of(60)), { code: 'pipeline/not-started' })
  await wait(100)
  t.strictSame([open, pipelines.isWorking('p')], [1, true])
  fails = true
  await t.rejects(pipelines.replace(of(70)), { code: 'store/failed' })
  await wait(100)
  t.strictSame([open, pipelines.isWorking('p')], [1, false])
})

t.test('started or paused where its log cannot be had: it stands as before', async t => {
  let open = 0
  const store = { open: (signal: AbortSignal) => new Promise((_, reject) => { open++; signal.addEventListener('abort', () => { open--; reject(new Error('stopped')) }) }), close: async () => {}, trouble: () => 'away' }
  const pipelines = new Pipelines({ log: quiet, folder: temporary(t), fallback: () => store as never, failed: () => {} })
  t.teardown(() => pipelines.close())
  const of = (name: string, from: string) => normalise(readYaml(`name: ${name}\nfrom: { ${from} }\nalerts: { high: { when: { value: { above: 1 } }, to: [ stdout ] } }\n`, components, { file: 'p.yaml' }).pipeline!, components)
  await pipelines.pause(of('q', 'http: { tenant: a }'))
  await pipelines.pause(of('p', 'simulator: {}'))
  for (const change of ['start', 'pause'] as const) {
    await t.rejects(pipelines[change](of('p', 'http: { tenant: b }')), { code: 'config/invalid' }, change)
    await until('both stand', () => open === 2)
  }
})

t.test('killed while it stands: the next process sends what waits, though it is paused there too', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), it = await hook(t), http = await freePort()
  const arguments_ = ['run', '--database', url, '--folder', folder, '--http', `127.0.0.1:${http}`, '--egress', '127.0.0.0/8']
  const key = start(t, ['keys', 'create', 'all', '--scope', 'pipelines:read', 'pipelines:write', '--database', url])
  await key.ended
  const ask = async (method: string, path: string, body?: string) => (await fetch(`http://127.0.0.1:${http}/api/v1/pipelines/p${path}`, { method, headers: { authorization: `Bearer ${key.out.trim()}`, 'content-type': 'application/yaml' }, ...body === undefined ? {} : { body } })).status
  const first = start(t, arguments_)
  await first.until(async () => (await fetch(`http://127.0.0.1:${http}/readyz`).catch(() => undefined))?.status === 200)
  t.equal(await ask('PUT', '', text(port, it.url)), 201)
  await publish(port, 'd1', 'd2', 'd3')
  await until('they were tried', () => it.tried >= 3)
  t.equal(await ask('POST', '/pause'), 200)
  first.child.kill('SIGKILL')
  await first.ended
  it.works = true
  const second = start(t, arguments_)
  await until('all is sent', () => new Set(it.taken).size === 3, 90_000)
  await second.until(async () => await ask('GET', '') === 200)
  t.strictSame(await rowsOf(url, 'SELECT state FROM pipelines'), [{ state: 'paused' }])
})
