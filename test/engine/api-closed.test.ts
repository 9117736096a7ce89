/** What is told to those who have no key, where anybody may ask. */
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import t, { type Test } from 'tap'
import { newKey, type Scope } from '../../engine/api-key.ts'
import { serve, type Address, type Plane } from '../../engine/api/server.ts'
import type { Keys } from '../../engine/keys.ts'
import { normalise } from '../../engine/lint.ts'
import { Run } from '../../engine/run.ts'
import { version } from '../../engine/version.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import { fileStore } from '../../sinks/file.ts'
import * as sinks from '../../sinks/index.ts'
import { certificates } from '../support/mosquitto.ts'
import { quiet } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const TELLS = /secret-plant|secret_table|not listening|millrace_|\d+\.\d+\.\d+/        // names of pipelines and tables, trouble, metrics, versions

/** A plane on every address, with a pipeline that is in trouble, and a key for each scope. */
async function open (t: Test, more: Partial<Address> = {}) {
  const { ca, serverCert: cert, serverKey: key } = certificates(temporary(t)), made = new Map<string, object>()
  const pipeline = normalise(readYaml('name: secret-plant\nfrom: { simulator: {} }\nto: [ file: { table: secret_table } ]\n', components, { file: 'p.yaml' }).pipeline!, components)
  const run = new Run(pipeline, { log: quiet, folder: temporary(t), database: undefined, fallback: fileStore, acceptLoss: false, journals: new Set() } as any)
  const keys = { find: async (id: string) => made.get(id), used: async () => {} } as unknown as Keys
  const { url, close } = await serve({ runs: () => [run], stopping: () => false, components, keys, query: undefined }, { host: '0.0.0.0', port: 0, tls: { cert, key }, log: quiet, ...more })
  t.teardown(close)
  const add = (scopes: readonly Scope[]) => {
    const { key, id, digest } = newKey()
    made.set(id, { id, digest, name: 'test', tenant: null, scopes, created: new Date(), expires: null, revoked: null, used: null })
    return key
  }
  const ask = (path: string, key?: string, headers: Record<string, string> = {}) => new Promise<{ status: number, body: string }>((resolve, reject) => {
    request(`https://127.0.0.1:${new URL(url).port}${path}`, { ca: readFileSync(ca), headers: { ...key === undefined ? {} : { authorization: `Bearer ${key}` }, ...headers } }, reply => {
      let body = ''
      reply.setEncoding('utf8').on('data', piece => { body += piece }).on('end', () => { resolve({ status: reply.statusCode!, body }) })
    }).on('error', reject).end()
  })
  return { ask, add }
}

t.test('on more than loopback, who has no key learns that there is a server, and whether it is well', async t => {
  const { ask, add } = await open(t)
  t.strictSame([await ask('/livez'), await ask('/healthz'), await ask('/readyz')], [{ status: 200, body: '{"status":"alive"}' }, ...Array(2).fill({ status: 503, body: '{"status":"not ready"}' })])
  for (const path of ['/metrics', '/status', '/version']) t.equal((await ask(path)).status, 401, path)
  for (const path of ['/', '/livez', '/healthz', '/readyz', '/metrics', '/status', '/version', '/nothing', '/openapi.json', '/api/v1/pipelines/secret-plan', '/../../etc/passwd', '/?x=%ff']) {
    const { status, body } = await ask(path)
    t.ok(status < 500 || status === 503, path)
    t.notMatch(body.replace('3.1.0', '').replaceAll('1.2.', ''), TELLS, path)
  }
  const [metrics, pipelines] = [add(['metrics:read']), add(['pipelines:read'])]
  t.match((await ask('/metrics', metrics)).body, 'millrace_ready{pipeline="secret-plant"}')
  t.match((await ask('/version', metrics)).body, version)
  t.match((await ask('/status', pipelines)).body, 'secret-plant')
  t.strictSame([(await ask('/metrics', pipelines)).status, (await ask('/status', metrics)).status], [403, 403])
})

t.test('unless somebody has said so: open on every address, or closed on loopback', async t => {
  const { ask } = await open(t, { closed: false })
  t.match((await ask('/metrics')).body, 'secret-plant')
  t.match((await ask('/')).body, 'secret-plant')
  const { ask: askOther } = await open(t, { host: '127.0.0.1', closed: true })
  t.equal((await askOther('/metrics')).status, 401)
  const { ask: askLocal } = await open(t, { host: '127.0.0.1' }), { ask: askBehind } = await open(t, { host: '127.0.0.1', proxies: ['127.0.0.1'] }), { ask: askOpen } = await open(t, { host: '127.0.0.1', proxies: ['127.0.0.1'], closed: false })
  t.strictSame([(await askLocal('/metrics')).status, (await askBehind('/metrics')).status, (await askOpen('/metrics')).status], [200, 401, 200], 'on loopback, behind a proxy, and where somebody has said so')
})

t.test('only a proxy that is trusted says from where a request comes', async t => {
  const fail = async (proxies: readonly string[]) => {
    const { ask } = await open(t, { proxies }), from = (k: number) => ask('/api/v1/pipelines', 'wrong', { 'x-forwarded-for': `192.0.2.${k}` })
    for (let k = 0; k < 20; k++) await from(k)
    return (await from(20)).status
  }
  t.strictSame([await fail([]), await fail(['127.0.0.1']), await fail(['10.0.0.0/8'])], [429, 401, 429])
})
