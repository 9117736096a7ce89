import t from 'tap'
import { connectAsync } from 'mqtt'
import { newKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const KILLS = [0, 40, 120, 300]      // ms after a replacement was asked for

t.test('run without a file: what is put lives through kill -9, also in the middle of a replacement: the new version or the old, and each reading once', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort()
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), { key, id, digest } = newKey()
  await keys.add({ id, digest, name: 'test', tenant: null, scopes: ['pipelines:read', 'pipelines:write'], expires: null }, 'test')
  await keys.close()
  const text = (high: number) => `name: p\nfrom: { broker: { port: ${port} } }\npipe: [ ewma: { alpha: 0.5 }${high % 2 === 0 ? '' : ', zscore: { over: 1m }'} ]\nalerts: { high: { when: { value: { above: ${high} } } } }\nto: [ postgres: { table: readings } ]\n`
  const life = async () => {
    const run = start(t, ['run', '--database', url, '--folder', folder, '--http', '127.0.0.1:0', '--log-format', 'json'])
    await run.until(/status page http/)
    const [, at] = /status page (http:\/\/[^"\s]+?)\/["\s]/.exec(run.err)!
    return { ...run, run, ask: async (method: string, path: string, body?: string, headers: Record<string, string> = {}) => await fetch(`${at}/api/v1/pipelines${path}`, { method, headers: { authorization: `Bearer ${key}`, ...body === undefined ? {} : { 'content-type': 'application/yaml' }, ...headers }, ...body === undefined ? {} : { body } }), ready: async () => (await fetch(`${at}/readyz`)).status === 200 }
  }
  let sent = 0
  const send = async (n: number) => {
    const device = await connectAsync(`mqtt://127.0.0.1:${port}`)
    for (let i = 0; i < n; i++, sent++) await device.publishAsync('t/d/m', JSON.stringify({ ts: Date.now(), value: sent }), { qos: 1 })
    await device.endAsync()
  }
  let now = await life()
  await now.run.until(async () => (await now.ask('PUT', '/p', text(1000))).status === 201)
  await send(20)
  let high = 1000
  for (const wait of KILLS) {
    const etag = (await now.ask('GET', '/p')).headers.get('etag')!
    const change = now.ask('PUT', '/p', text(++high), { 'if-match': etag }).catch(() => {})
    await new Promise(resolve => setTimeout(resolve, wait))
    now.run.child.kill('SIGKILL')
    await Promise.all([change, now.run.ended])
    now = await life()
    await now.run.until(async () => (await rowsOf(url, 'SELECT settled FROM pipelines'))[0].settled && await now.ready())
    const { version, trouble } = await (await now.ask('GET', '/p')).json() as { version: number, trouble: object }
    const [wanted] = await rowsOf(url, 'SELECT version, (SELECT max(version) FROM pipeline_versions) AS newest, (SELECT count(*)::int FROM pipeline_versions WHERE failed IS NOT NULL) AS failed FROM pipelines')
    t.match([version, wanted.version, wanted.failed, trouble], [wanted.newest, wanted.newest, 0, {}], `killed after ${wait} ms`)
    await send(20)
  }
  await now.run.until(async () => (await rowsOf(url, 'SELECT FROM readings')).length >= sent)
  const stored = await rowsOf(url, 'SELECT value, ewma FROM readings ORDER BY position')
  t.strictSame(stored.map(r => r.value), Array.from({ length: sent }, (_, n) => n))
  let mean = 0
  t.strictSame(stored.map(r => r.ewma), stored.map((_, n) => mean += 0.5 * (n - mean)))
  now.run.child.kill('SIGTERM')
  t.equal(await now.run.ended, 143, now.run.err)
})

t.test('run without a file and without a database: it says what is missing', async t => {
  const run = start(t, ['run', '--folder', temporary(t)], { MILLRACE_DATABASE: '' })
  t.equal(await run.ended, 2)
  t.match(run.err, /no pipeline, and no database/)
})
