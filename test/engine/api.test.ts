import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { connect } from 'node:net'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Validator } from '@seriousme/openapi-schema-validator'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import { pino } from 'pino'
import { parse } from 'yaml'
import { plan, serve, type Plane } from '../../engine/api/server.ts'
import { authorise } from '../../engine/api/auth.ts'
import { Attempts } from '../../engine/attempts.ts'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import type { Keys } from '../../engine/keys.ts'
import { normalise } from '../../engine/lint.ts'
import { Live } from '../../engine/live.ts'
import { Run } from '../../engine/run.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import { fileStore } from '../../sinks/file.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { certificates } from '../support/mosquitto.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'
import { fastify } from 'fastify'

const components = { sources, operators, sinks } as unknown as Plane['components']
const text = 'name: p\nfrom: { simulator: {} }\npipe: [ anomaly ]\nto: [ file: { table: readings } ]\n'
const everything = Object.keys(scopes) as Scope[]

/** A plane with one pipeline that does not run, and the keys of a real database. */
async function open (test: Test) {
  const url = (await freshDatabase(test))!
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), pipeline = normalise(readYaml(text, components, { file: 'p.yaml' }).pipeline!, components)
  const run = new Run(pipeline, { log: quiet, folder: temporary(test), database: undefined, fallback: fileStore, acceptLoss: false, journals: new Set() } as any)
  const app = await plan({ runs: () => [run], stopping: () => false, components, keys, query: undefined }, quiet)
  test.teardown(async () => { await app.close(); await keys.close() })
  const add = async (given: readonly Scope[], expires: Date | null = null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant: null, scopes: given, expires }, 'test')
    return { key, id }
  }
  return { app, keys, url, add }
}
const ask = (app: FastifyInstance, url: string, key?: string) => app.inject({ url, headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })

t.test('what there is: pipelines, how one stands, what it is', async t => {
  const { app, add } = await open(t), { key } = await add(everything)
  const { pipelines } = (await ask(app, '/api/v1/pipelines', key)).json()
  t.strictSame(pipelines.map((p: any) => [p.pipeline, p.imbalance, p.readings.received]), [['p', 0, 0]])
  t.equal((await ask(app, '/api/v1/pipelines/p', key)).json().pipeline, 'p')
  const [json, yaml] = [await ask(app, '/api/v1/pipelines/p/definition', key), await ask(app, '/api/v1/pipelines/p/definition?format=yaml', key)]
  t.equal(json.json().name, 'p')
  t.strictSame(parse(yaml.body), json.json())
  t.match(yaml.headers['content-type'], 'application/yaml')
  t.strictSame([json, yaml, await ask(app, '/'), await ask(app, '/nothing', key), await ask(app, '/api/v1/pipelines')].map(reply => reply.headers['x-content-type-options']), Array(5).fill('nosniff'), 'a browser takes an answer for what it says it is')
  const as = async (accept: string, query = '') => (await app.inject({ url: `/api/v1/pipelines/p/definition${query}`, headers: { authorization: `Bearer ${key}`, accept } })).headers['content-type']
  for (const [accept, query, type] of [['application/yaml', '', /yaml/], ['text/yaml, */*;q=0.5', '', /yaml/], ['*/*', '', /json/], ['application/json, application/yaml;q=0.5', '', /json/], ['application/yaml', '?format=json', /json/]] as const) t.match(await as(accept, query), type, accept)
})

t.test('errors are problem+json with the code of the error table, and say nothing of the inside', async t => {
  const { app, add } = await open(t), { key } = await add(everything)
  for (const [url, status, code] of [['/api/v1/pipelines/none', 404, 'api/not-found'], ['/nothing', 404, 'api/not-found'], ['/api/v1/pipelines/p/definition?format=xml', 400, 'api/invalid'], [`/api/v1/pipelines/${'x'.repeat(201)}`, 400, 'api/invalid'], ['/api/v1/pipelines/%E0%A4%A', 400, 'api/invalid']] as const) {
    const reply = await ask(app, url, key)
    t.match(reply.headers['content-type'], 'application/problem+json')
    t.match(reply.json(), { status, code, type: `urn:millrace:error:${code.replace('/', ':')}`, title: String, detail: String, instance: String }, url)
    t.equal(reply.statusCode, status)
  }
})

t.test('a fault of ours says its id, and the log the rest', async t => {
  const said: object[] = [], log = pino({ level: 'error' }, { write: (line: string) => { said.push(JSON.parse(line)) } })
  const app = await plan({ runs: () => { throw new Error('CnrySecret at engine/run.ts:7') }, stopping: () => false, components, keys: undefined, query: undefined }, log)
  t.teardown(() => app.close())
  const reply = await ask(app, '/status')
  t.match(reply.json(), { status: 500, code: 'api/failed', instance: String })
  t.notMatch(reply.body + JSON.stringify(reply.headers), /Cnry|run\.ts|stack/)
  t.match(said, [{ reqId: reply.json().instance, err: { message: /CnrySecret/ } }])
})

t.test('a page runs nothing and loads nothing', async t => {
  const { app } = await open(t)
  t.match((await ask(app, '/')).headers['content-security-policy'], /^default-src 'none'; style-src 'unsafe-inline'/)
})

t.test('a parameter that a route does not have is refused, with those that it has; behind the key, and not of public routes', async t => {
  const { app, add } = await open(t), { key } = await add(everything), of = async (url: string, as?: string) => { const reply = await ask(app, url, as); return [reply.statusCode, reply.json().code, reply.json().detail, reply.json().help] }
  t.strictSame(await of('/api/v1/pipelines/p/definition?fromat=yaml', key), [400, 'api/invalid', 'there is no parameter "fromat"', 'there are: format'])
  t.strictSame(await of('/api/v1/pipelines?state=paused', key), [400, 'api/invalid', 'there is no parameter "state"', 'this route has none'])
  for (const odd of ['constructor', '__proto__', 'toString']) t.match(await of(`/api/v1/alerts?limit=5&${odd}=1`, key), [400, 'api/invalid', `there is no parameter "${odd}"`, /there are: tenant, .*, format$/])
  t.match(await of('/api/v1/silences?reason=x', (await add(everything.filter(s => s !== 'alerts:read'))).key), [403, 'api/forbidden'])
  t.match(await of('/api/v1/silences?reason=x'), [401, 'api/unauthorised'])
  t.match(await of('/nothing?a=b', key), [404, 'api/not-found'])
  t.equal((await ask(app, '/livez?from=balancer')).statusCode, 200)
  t.equal((await ask(app, '/api/v1/pipelines/p/definition?format=yaml', key)).statusCode, 200)
})

t.test('a pipeline that is sent is checked, and looks neither into the environment nor at files', async t => {
  process.env.MILLRACE_TEST_CANARY = 'canary-7261'
  const { app, add } = await open(t), { key } = await add(everything)
  const validate = async (payload: string | Buffer, type = 'application/yaml') => await app.inject({ method: 'POST', url: '/api/v1/pipelines/validate', payload, headers: { authorization: `Bearer ${key}`, 'content-type': type } })
  t.strictSame((await validate(text)).json(), { valid: true, findings: [] })
  const wrong = (await validate(text.replace('anomaly', 'anomoly'))).json()
  t.match(wrong, { valid: false, findings: [{ code: 'config/unknown-component', level: 'error', line: 3, help: /anomaly/ }] })
  for (const sly of ['name: "${MILLRACE_TEST_CANARY}"\n', 'devices: ../../../../../etc/passwd\n', 'name: "${file:/etc/passwd}"\n', 'pipe: [ "${MILLRACE_TEST_CANARY}" ]\n']) {
    const reply = await validate(sly + text.replace(/^name.*\n/, ''))
    t.equal(reply.statusCode, 200)
    t.notMatch(reply.body, /canary-7261|root:/, sly)
  }
  t.equal((await validate('{}', 'application/json')).statusCode, 400, 'a map where text belongs')
  t.equal((await validate('x', 'text/plain')).statusCode, 415)
  t.equal((await validate('x', 'application/x-nothing')).statusCode, 415)
  t.equal((await validate('x'.repeat(2 ** 16 + 1))).statusCode, 413)
})

t.test('no key, half a key, an unknown, expired or revoked one: 401, all with the same words; without the scope: 403', async t => {
  const { app, keys, add } = await open(t)
  const { key, id } = await add(['pipelines:read'])
  const known = async (text?: string) => { const { statusCode, body } = await ask(app, '/api/v1/pipelines', text); return { statusCode, ...JSON.parse(body) } }
  t.equal((await known(key)).statusCode, 200)
  const none = await known(), half = await known(key.slice(0, -3))
  t.strictSame([none.statusCode, half.statusCode], [401, 401])
  t.match((await ask(app, '/api/v1/pipelines')).headers['www-authenticate'], 'Bearer')
  const said = (problem: any) => [problem.statusCode, problem.code, problem.detail, problem.help]
  const unknown = said(await known(newKey().key)), expired = said(await known((await add(['pipelines:read'], new Date(Date.now() - 1000))).key))
  t.strictSame(unknown.slice(0, 2), [401, 'api/unauthorised'])
  t.strictSame(expired, unknown)
  // a key with the id of another, and a secret of its own
  const forged = newKey(), other = newKey()
  await keys.add({ id: forged.id, digest: other.digest, name: 'forged', tenant: null, scopes: everything, expires: null }, 'test')
  t.strictSame(said(await known(forged.key)), unknown)
  t.equal(await keys.revoke(id, 'test'), true)
  t.equal(await keys.revoke(id, 'test'), false)
  await new Promise(resolve => setTimeout(resolve, 1000))
  t.strictSame(said(await known(key)), unknown, 'revoked a second ago')
  const weak = await add(['alerts:read'])
  t.match(await known(weak.key), { statusCode: 403, code: 'api/forbidden', help: 'it has alerts:read' })
})

t.test('while the database of keys cannot be reached nobody is let in, and the answer says why', async t => {
  const keys = new PostgresKeys('postgres://nobody:hidden@127.0.0.1:1/none'), app = await plan({ runs: () => [], stopping: () => false, components, keys, query: undefined }, quiet)
  t.teardown(async () => { await app.close(); await keys.close() })
  const reply = await ask(app, '/api/v1/pipelines', newKey().key)
  t.match(reply.json(), { status: 503, code: 'store/unreachable' })
  t.notMatch(reply.body, /hidden/)
  t.equal((await ask(app, '/livez')).statusCode, 200)
})

t.test('a key may ask so often in a minute; who watches may as often as he likes', async t => {
  const { app, add } = await open(t), { key } = await add(['pipelines:read']), other = await add(['pipelines:read'])
  let answered = 0
  for (let k = 0; k < 610; k++) if ((await ask(app, '/api/v1/pipelines', key)).statusCode === 200) answered++
  t.equal(answered, 600)
  const refused = await ask(app, '/api/v1/pipelines/p', key)
  t.match(refused.json(), { status: 429, code: 'api/too-many' })
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal((await ask(app, '/api/v1/pipelines', other.key)).statusCode, 200, 'another key')
  for (let k = 0; k < 610; k++) if ((await ask(app, '/livez')).statusCode !== 200) t.fail('no limit here')
})

t.test('over TLS, 1.2 or newer; with files that are no certificate and its key it does not start', async t => {
  const { ca, serverCert: cert, serverKey: key, clientKey } = certificates(temporary(t)), keys = undefined
  const plane = { runs: () => [], stopping: () => false, components, keys, query: undefined }, open = (tls: { cert: string, key: string }) => serve(plane, { host: '127.0.0.1', port: 0, tls, log: quiet })
  const { url, close } = await open({ cert, key })
  t.teardown(close)
  const status = (options: object) => new Promise<number | string>(resolve => { get(`${url}/livez`, { ca: readFileSync(ca), ...options }, reply => { reply.resume(); resolve(reply.statusCode!) }).on('error', error => resolve(error.message)) })
  t.match(url, /^https:/)
  t.equal(await status({}), 200)
  t.match(await status({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }), /protocol version|alert/)
  t.match(await status({ ca: [] }), /certificate/)
  await t.rejects(open({ cert, key: clientKey }), { code: 'config/invalid', message: /no certificate and its key/ })
  await t.rejects(open({ cert: 'none.pem', key }), { code: 'usage/file', message: /tls.cert: none.pem/ })
})

t.test('in a database that nothing was written to yet there are no keys', async t => {
  const keys = new PostgresKeys((await freshDatabase(t))!), app = await plan({ runs: () => [], stopping: () => false, components, keys, query: undefined }, quiet)
  t.teardown(async () => { await app.close(); await keys.close() })
  t.match((await ask(app, '/api/v1/pipelines', newKey().key)).json(), { status: 401, code: 'api/unauthorised' })
})

t.test('every change of keys is in the audit log, and no secret is in the database', async t => {
  const { keys, url, add } = await open(t), { key, id } = await add(['query:read'])
  await keys.revoke(id, 'somebody')
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query('SELECT actor, action, target, change FROM audit ORDER BY id')
  t.match(rows, [{ actor: 'test', action: 'key.create', target: id, change: { name: 'test', scopes: ['query:read'] } }, { actor: 'somebody', action: 'key.revoke', target: id }])
  const { rows: all } = await client.query('SELECT api_keys::text AS row FROM api_keys UNION ALL SELECT audit::text FROM audit')
  await client.end()
  for (const { row } of all) t.notMatch(row, key.slice(12, 55))
})

t.test('every route says which scope it needs, and is refused without', async t => {
  const app = fastify()
  authorise(app as unknown as FastifyInstance, { keys: undefined, attempts: new Attempts(20, quiet) })
  t.throws(() => app.get('/open', async () => 1), { message: /GET \/open declares no scope/ })
  t.throws(() => app.get('/odd', { config: { scope: 'query:everything' as Scope } }, async () => 1), { message: /declares no scope/ })
  app.get('/right', { config: { scope: 'public' } }, async () => 1)
})

t.test('every route behind a scope is closed to every key without it; the document names them all and is valid', async t => {
  const { app, add } = await open(t)
  const reply = await ask(app, '/openapi.json'), document = reply.json()
  const { valid, errors } = await new Validator().validate(structuredClone(document))
  t.ok(valid, JSON.stringify(errors))
  let closed = 0
  for (const [path, methods] of Object.entries<Record<string, any>>(document.paths)) {
    for (const [method, { security, responses }] of Object.entries(methods)) {
      if (security === undefined) continue
      closed++
      const [[scope]] = security.map((s: any) => s.key)
      const url = path.replaceAll(/\{.*?\}/g, 'p'), others = await add(everything.filter(s => s !== scope))
      const ask = async (key?: string) => (await app.inject({ method: method.toUpperCase() as 'GET', url, headers: key === undefined ? {} : { authorization: `Bearer ${key}` } })).statusCode
      t.strictSame([await ask(), await ask(others.key)], [401, 403], `${method} ${path}`)
      t.ok(['401', '403', '429', '500', '503'].every(status => status in responses), `${method} ${path} says how it fails`)
    }
  }
  t.equal(closed, 56)
})

t.test('who hangs up while the key is looked up is not listened for', async t => {
  const { key, id, digest } = newKey(), live = new Live()
  let asked = 0
  const find = async () => { asked++; await new Promise(resolve => setTimeout(resolve, 300)); return { id, digest, name: 'test', tenant: null, scopes: everything, created: new Date(), expires: null, revoked: null, used: null } }
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: { find, used: async () => {} } as unknown as Keys, query: undefined, live }, quiet)
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }, socket = connect(port, '127.0.0.1')
  socket.write(`GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`)
  while (asked === 0) await new Promise(resolve => setTimeout(resolve, 10))
  socket.destroy()
  await new Promise(resolve => setTimeout(resolve, 600))
  t.equal(live.count, 0)
})

t.test('that a key is used is told its store once, not at each request; again soon when the store could not be asked', async t => {
  const { key, id, digest } = newKey(), find = async () => ({ id, digest, name: 'test', tenant: null, scopes: everything, created: new Date(), expires: null, revoked: null, used: null })
  let told = 0, time = 1000, away = false
  const used = async () => { told++; if (away) throw new Error('away') }, now = performance.now.bind(performance)
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: { find, used } as unknown as Keys, query: undefined, live: new Live() }, quiet)
  performance.now = () => time
  t.teardown(async () => { performance.now = now; await app.close() })
  const ask = async (ms: number) => {
    time += ms
    t.equal((await app.inject({ url: '/api/v1/pipelines', headers: { authorization: `Bearer ${key}` } })).statusCode, 200)
    return told
  }
  t.strictSame([await ask(0), await ask(1000), await ask(60_000)], [1, 1, 1])
  away = true
  t.strictSame([await ask(5000), await ask(5000), await ask(5000)], [2, 2, 3])
})

t.test('a route whose answer has no end, or is a whole table, has no HEAD', async t => {
  const { app, add } = await open(t), { key } = await add(everything), headers = { authorization: `Bearer ${key}` }
  for (const url of ['/api/v1/stream', '/api/v1/tables/readings/export']) t.equal(app.hasRoute({ method: 'HEAD', url: url.replace('readings', ':table') }), false, url)
  t.equal((await app.inject({ method: 'HEAD', url: '/api/v1/stream', headers })).statusCode, 404)
  t.equal((await app.inject({ method: 'HEAD', url: '/api/v1/pipelines', headers })).statusCode, 200)
})

t.test('who listens hears a comment every 15 s when nothing happens', async t => {
  const { key, id, digest } = newKey(), find = async () => ({ id, digest, name: 'test', tenant: null, scopes: everything, created: new Date(), expires: null, revoked: null, used: null })
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: { find, used: async () => {} } as unknown as Keys, query: undefined, live: new Live() }, quiet)
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(async () => { mock.timers.reset(); await app.close() })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }, socket = connect(port, '127.0.0.1'), beats = () => said.split(': still there\n\n').length - 1
  let said = ''
  socket.setEncoding('utf8').on('data', text => { said += text }).on('error', () => {})
  t.teardown(() => { socket.destroy() })
  socket.write(`GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`)
  while (!said.includes('retry: 2000\n\n')) await new Promise(resolve => setTimeout(resolve, 10))
  mock.timers.tick(14_999)
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(beats(), 0)
  mock.timers.tick(1)
  while (beats() === 0) await new Promise(resolve => setTimeout(resolve, 10))
  mock.timers.tick(30_000)
  while (beats() < 3) await new Promise(resolve => setTimeout(resolve, 10))
  t.equal(beats(), 3)
})

t.test('a leap second, and a body that is nested without end, are refused: 400', async t => {
  const { app, add } = await open(t), { key } = await add(everything)
  const post = async (url: string, payload: string) => (await app.inject({ method: 'POST', url: `/api/v1/${url}`, payload, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } })).statusCode
  t.equal((await ask(app, '/api/v1/alerts?from=2016-12-31T23:59:60Z', key)).statusCode, 400)
  t.equal(await post('silences', '{"to":"2130-12-31T23:59:60Z","reason":"x"}'), 400)
  t.equal(await post('detect_anomaly', '{"data":{"value":[1],"time":["2016-12-31T23:59:60Z"]}}'), 400)
  t.equal(await post('detect_anomaly', '{"data":{"value":[1],"time":["2016-12-31T23:59:59Z"]}}'), 200)
  t.equal(await post('silences', '['.repeat(50_000) + ']'.repeat(50_000)), 400)
})
