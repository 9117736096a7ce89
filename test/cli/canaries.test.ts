/** Secrets that are easy to recognise, planted in every way in which secrets come in; nothing that the program says or keeps for people may have one in it. */
import { createHmac, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect as dial } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { connectAsync } from 'mqtt'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { passwordDigest } from '../../engine/credentials.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { receiver } from '../fixtures/receiver.ts'
import { mailServer } from '../fixtures/mail.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const LONG = 120_000                 // ms; a machine with other things to do
const planted = new Map<string, string>()
const plant = (name: string, value = `Cnry${name.replaceAll(/\W/g, '')}${randomBytes(12).toString('hex')}`): string => { planted.set(name, value); return value }
const forms = (secret: string): string[] => [secret, encodeURIComponent(secret), ...[0, 1, 2].map(k => Buffer.from('x'.repeat(k) + secret).toString('base64').slice(4, 4 + Math.floor(secret.length / 3) * 4 - 8)), Buffer.from(secret).toString('hex')]
/** Names of what is planted and stands in a text. */
const found = (text: string): string[] => [...planted].filter(([, secret]) => forms(secret).some(form => text.includes(form))).map(([name]) => name)
const webhookSecret = (name: string): string => plant(name, `whsec_${randomBytes(24).toString('base64')}`)

t.test('what is looked for would be found', async t => {
  plant('probe', 'CnryProbe0123456789abcdef')
  for (const text of ['a CnryProbe0123456789abcdef b', Buffer.from('user:CnryProbe0123456789abcdef').toString('base64'), Buffer.from('CnryProbe0123456789abcdef').toString('hex')]) t.strictSame(found(text), ['probe'], text)
  planted.delete('probe')
})

t.test('no secret in logs, answers, metrics, audit, deliveries, dead letters and tables but that of definitions', async t => {
  const plain = (await freshDatabase(t))!, folder = temporary(t), withPassword = (password: string, of = plain) => { const url = new URL(of); url.password = password; return url.href }
  await migrate(plain, quiet)
  const keys = new PostgresKeys(plain)
  t.teardown(() => keys.close())
  const key = async (name: string, given: readonly Scope[], tenant: string | null = null, expires: Date | null = null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: given, expires }, 'test')
    return plant(name, key)
  }
  const all = await key('key', Object.keys(scopes) as Scope[]), expired = await key('expired key', ['query:read'], null, new Date(Date.now() - 1000)), poor = await key('key without the scope', ['jobs:read'], 'acme'), unknown = plant('unknown key', newKey().key)

  // receivers that say back all that they were sent
  const echo = await receiver(t, (response, request) => { response.writeHead(request.path.includes('good') ? 200 : 500).end(JSON.stringify(request.headers)) })
  const mail = await mailServer(t, { authMethods: ['PLAIN', 'LOGIN'], onAuth: ({ password }, _, done) => { done(new Error(`535 the password ${password} is wrong`)) } })
  const dead = await freePort(), broker = await freePort(), jwtSecret = plant('jwt secret')
  const devicePassword = plant('device password')
  writeFileSync(join(folder, 'jwt-secret'), `${jwtSecret}-long-enough-for-hs256`)
  writeFileSync(join(folder, 'jwt.yaml'), 'issuer: https://idp.example\naudience: millrace\nsecretFile: jwt-secret\n')
  writeFileSync(join(folder, 'devices.csv'), `username,digest,topics\na/p,${passwordDigest(devicePassword).toString('hex')},\n`)
  const alerts = `alerts: { high: { when: { value: { above: 10 } }, to: [ webhook: { url: "${echo.url}/bad/${plant('path of a webhook')}?token=${plant('query of a webhook')}", secret: "${webhookSecret('webhook secret')}", oldSecret: "${webhookSecret('old webhook secret')}", headers: { authorization: "Bearer ${plant('webhook header')}" } }, webhook: { url: "${echo.url}/good", secret: "${webhookSecret('secret of a good webhook')}", headers: { x-tenant: "${plant('header of a good webhook')}" } }, slack: { url: "${echo.url}/slack/${plant('slack path')}" }, email: { server: "${mail.url}", from: a@example.com, to: b@example.com, user: u, password: "${plant('smtp password')}" } ] } }\n`
  const files: Record<string, string> = {
    'posted.yaml': `name: posted\nfrom: { http: {} }\n${alerts}to: [ postgres: { table: posted } ]\n`,
    'devices.yaml': `name: devices\nfrom: { broker: { port: ${broker}, topics: "{tenant}/{device}/{metric}", credentials: "${join(folder, 'devices.csv')}" } }\nto: [ postgres: { table: of_devices } ]\n`,
    'mqtt.yaml': `name: mqtt\nfrom: { mqtt: { url: "mqtt://u:${plant('mqtt password in a url')}@127.0.0.1:${dead}", topic: "{device}/{metric}" } }\nto: [ file: { table: m } ]\n`,
    'refused.yaml': `name: refused\nfrom: { mqtt: { url: "mqtt://127.0.0.1:${broker}", topic: "{device}/{metric}", username: u, password: "${plant('mqtt password')}" } }\nto: [ file: { table: r } ]\n`,
    'nats.yaml': `name: nats\nfrom: { nats: { servers: "nats://127.0.0.1:${dead}", user: u, password: "${plant('nats password')}" } }\nto: [ file: { table: n }, nats: { servers: "127.0.0.1:${dead}", user: u, password: "${plant('nats password of a sink')}", stream: S } ]\n`,
    'token.yaml': `name: token\nfrom: { jetstream: { servers: [ "nats://127.0.0.1:${dead}" ], stream: S, token: "${plant('nats token')}" } }\nto: [ file: { table: j } ]\n`,
    'quest.yaml': `name: quest\nfrom: { simulator: { devices: 1, every: 1s } }\nto: [ file: { table: q }, questdb: { table: q, url: "${echo.url}", user: u, password: "${plant('questdb password')}" } ]\n`,
    'quest-token.yaml': `name: quest-token\nfrom: { simulator: { devices: 1, every: 1s } }\nto: [ file: { table: qt }, questdb: { table: q, url: "${echo.url}", token: "${plant('questdb token')}" } ]\n`,
    'elsewhere.yaml': `name: elsewhere\nfrom: { simulator: { devices: 1, every: 1s } }\nto: [ postgres: { table: e, url: "postgres://u:${plant('password of a database that is away')}@127.0.0.1:${dead}/x" } ]\n`
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const said: [string, string][] = []
  const engine = (format: string, more: readonly string[]) => start(t, ['run', ...more, '--database', withPassword(plant(`database password, ${format}`)), '--redis', `redis://u:${plant(`redis password, ${format}`)}@127.0.0.1:${dead}`, '--redis-down', 'local', '--jwt', join(folder, 'jwt.yaml'), '--http', '127.0.0.1:0', '--egress', '127.0.0.0/8', '--hosts', '127.0.0.1', '--folder', join(folder, 'state'), '--log-level', 'trace', '--log-format', format], { MILLRACE_CANARY: plant(`environment, ${format}`) })
  let url = ''
  const ask = async (method: string, path: string, bearer: string | undefined, body?: string | Uint8Array, headers: Record<string, string> = {}) => {
    const reply = await fetch(url + path, { method, signal: AbortSignal.timeout(20_000), headers: { ...bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }, ...headers }, ...body === undefined ? {} : { body: body as never } })
    const text = await reply.text()
    said.push([`answer of ${method} ${path.split('?')[0]}`, `${JSON.stringify([...reply.headers])}\n${text}`])
    return { status: reply.status, text }
  }
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = (name: string, secret: string, more: object = {}) => {
    const head = `${part({ alg: 'HS256' })}.${part({ iss: 'https://idp.example', aud: 'millrace', sub: 'ada', tenant: 'acme', scope: 'query:read', exp: Math.floor(Date.now() / 1000) + 300, ...more })}`
    return `${head}.${plant(name, createHmac('sha256', secret).update(head).digest('base64url'))}`
  }

  for (const format of ['json', 'pretty']) {
    const it = engine(format, Object.keys(files).map(name => join(folder, name)))
    await it.until(/http:\/\/127\.0\.0\.1:\d+/, LONG)
    url = /http:\/\/127\.0\.0\.1:\d+/.exec(it.err + it.out)![0]
    await it.until(async () => await fetch(`${url}/api/v1/ingest`, { method: 'POST', body: '{"device":"d","metric":"m","value":1}', headers: { authorization: `Bearer ${all}`, 'content-type': 'application/json' } })
      .then(r => r.status === 202, () => false), LONG)
    const json = { 'content-type': 'application/json' }, idempotency = plant(`idempotency key, ${format}`)

    // readings: taken, repeated, another under the same key, undecodable, forbidden
    for (const [bearer, body] of [[all, '{"device":"d","metric":"m","value":50}'], [all, '{"device":"d","metric":"m","value":50}'], [all, '{"device":"d","metric":"m","value":51}'], [all, '{"device":"d","metric":"m","value":"x"}'], [poor, '{}'], [unknown, '{}'], [expired, '{}'], [undefined, '{}']] as const) await ask('POST', '/api/v1/ingest', bearer, body, { ...json, 'idempotency-key': idempotency })
    await ask('POST', '/api/v1/ingest', all, gzipSync('{"device":"d","metric":"m","value":60}'), { ...json, 'content-encoding': 'gzip', 'idempotency-key': `${idempotency}-2` })
    await ask('POST', '/api/v1/ingest', all, 'no json', { ...json, 'idempotency-key': 'x'.repeat(500) + idempotency })

    // keys and tokens that are right, wrong, in the wrong place
    const good = token(`token, ${format}`, readFileSync(join(folder, 'jwt-secret'), 'utf8'))
    for (const bearer of [all, `${all}x`, all.slice(0, -2), expired, poor, unknown, good, `${good}x`, token(`forged token, ${format}`, 'other'), token(`late token, ${format}`, readFileSync(join(folder, 'jwt-secret'), 'utf8'), { exp: 1 })]) for (const path of ['/api/v1/series', '/api/v1/pipelines']) await ask('GET', path, bearer)
    await ask('GET', `/api/v1/series?api_key=${all}&access_token=${good}`, undefined)
    await ask('GET', '/api/v1/series', undefined, undefined, { authorization: `Basic ${Buffer.from(`u:${all}`).toString('base64')}`, 'x-api-key': all, cookie: `session=${all}` })
    await ask('POST', '/api/v1/jobs', `${all}`, '{"kind":', { ...json, cookie: `session=${all}` })
    const raw = dial(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
    raw.end(`GET / HTTP/1.1\r\nauthorization: Bearer ${all}\r\nbroken header ${all}\r\n\r\n`)

    // pipelines with secrets: right, with what cannot work, with secrets of the wrong type, masked
    const yaml = { 'content-type': 'application/yaml' }, put = async (name: string, text: string, headers: Record<string, string> = {}) => await ask('PUT', `/api/v1/pipelines/${name}`, all, text, { ...yaml, ...headers })
    const sent = `name: sent-${format}\nfrom: { simulator: { devices: 1 } }\n${alerts}to: [ postgres: { table: sent } ]\n`
    await put(`sent-${format}`, sent)
    await put(`sent-${format}`, sent)
    await put(`sent-${format}`, sent.replace('above: 10', 'above: 11'), { 'if-match': '"1"' })
    await put('away', `name: away\nfrom: simulator\nto: [ postgres: { table: x, url: "postgres://u:${plant(`password of a database that is put, ${format}`)}@127.0.0.1:${dead}/x" } ]\n`)
    for (const wrong of [`webhook: { url: "${echo.url}", secret: "${plant(`no whsec, ${format}`)}" }`, `webhook: { url: "https://u:${plant(`password in a webhook, ${format}`)}@a.example" }`, `webhook: { url: "${echo.url}", secret: [ "${plant(`secret in a list, ${format}`)}" ] }`, `webhook: { url: "${echo.url}", headers: { authorization: { x: "${plant(`header in a map, ${format}`)}" } } }`, `webhook: { url: "${echo.url}", sekret: "${plant(`secret under a wrong name, ${format}`)}" }`, `email: { server: "smtp://u:${plant(`password in a mail server, ${format}`)}@a.example", from: a@b.example, to: c@d.example }`, `slack: { url: "no://${plant(`slack that is no url, ${format}`)}" }`, `webhook: { url: "${echo.url}", headers: { "content-type": "${plant(`header that is ours, ${format}`)}" } }`]) {
      const text = `name: wrong\nfrom: simulator\nalerts: { a: { when: { value: { above: 1 } }, to: [ ${wrong} ] } }\nto: [ stdout ]\n`
      await put('wrong', text)
      await ask('POST', '/api/v1/pipelines/validate', all, text, yaml)
      await ask('POST', '/api/v1/pipelines/try', all, JSON.stringify({ pipeline: text, given: '00:00:00 d/m 1\n' }), json)
    }
    for (const wrong of [`mqtt: { url: "http://u:${plant(`mqtt url that is none, ${format}`)}@x", topic: "{device}/{metric}" }`, `mqtt: { topic: "{device}/{metric}", password: [ "${plant(`mqtt password in a list, ${format}`)}" ] }`, `nats: { servers: [ "nats://u:${plant(`nats not allowed, ${format}`)}@10.0.0.1" ] }`, `mqtt: { url: "mqtt://u:${plant(`mqtt not allowed, ${format}`)}@10.0.0.1", topic: "{device}/{metric}" }`]) await put('wrong', `name: wrong\nfrom: { ${wrong} }\nto: [ stdout ]\n`)
    await put('wrong', `name: wrong\npassword: ${plant(`not yaml, ${format}`)}\n  - [`)

    // devices
    const connect = async (username: string, password: string) => { const client = await connectAsync(`mqtt://127.0.0.1:${broker}`, { username, password, reconnectPeriod: 0 }).catch(() => undefined); return client }
    const device = await connect('a/p', devicePassword)
    await device!.publishAsync('a/p/m', 'not a number', { qos: 1 })
    device!.on('error', () => {})
    device!.publish('other/topic/m', '1', { qos: 1 }, () => {})
    await connect('a/p', plant(`wrong device password, ${format}`))
    await connect('nobody', devicePassword)

    await it.until(async () => (await rowsOf(plain, "SELECT count(*)::int AS n FROM alert_deliveries").catch(() => [{ n: 0 }]))[0].n > 3, 20_000).catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 2500))
    const { paths } = JSON.parse((await ask('GET', '/openapi.json', undefined)).text) as { paths: Record<string, Record<string, unknown>> }
    for (const [path, methods] of Object.entries(paths)) if ('get' in methods && !path.endsWith('/stream')) for (const name of path.includes('{name}') ? ['posted', `sent-${format}`, 'quest', 'elsewhere'] : ['posted']) await ask('GET', path.replaceAll('{name}', name).replaceAll('{table}', 'posted').replaceAll(/\{.*?\}/g, '1'), all)
    for (const path of ['definition?format=yaml', 'versions', 'versions/1', 'dead-letters', 'deliveries']) await ask('GET', `/api/v1/pipelines/sent-${format}/${path}`, all)
    for (const path of ['/', '/status', '/metrics', '/readyz', '/healthz', '/livez', '/version']) await ask('GET', path, undefined)
    await ask('DELETE', `/api/v1/pipelines/sent-${format}`, all)
    it.child.kill('SIGTERM')
    await it.ended
    t.ok(it.err.length > 1000)
    said.push([`stdout, ${format}`, it.out], [`stderr, ${format}`, it.err])
  }

  // what the command line says
  for (const args of [['lint', ...Object.keys(files).map(name => join(folder, name))], ['show', join(folder, 'posted.yaml')], ['show', join(folder, 'mqtt.yaml')], ['alerts', 'test', join(folder, 'posted.yaml'), '--egress', '127.0.0.0/8'], ['dlq', 'list', '--database', withPassword(plant('password for dlq'))], ['keys', 'list', '--database', withPassword(plant('password for keys'))], ['keys', 'list', '--database', `postgres://u:${plant('password of no database')}@127.0.0.1:${dead}/x`], ['keys', 'list', '--database', `postgres://u:a/${plant('password with a slash')}@127.0.0.1:${dead}/x`], ['run', join(folder, 'posted.yaml'), '--database', `postgres://u:a#?${plant('password with a number sign')}@127.0.0.1:${dead}/x`, '--http', '127.0.0.1:0', '--for', '1s'], ['run', join(folder, 'posted.yaml'), '--database', `http://u:${plant('no database')}@x`, '--http', '127.0.0.1:0', '--for', '1s'], ['run', join(folder, 'posted.yaml'), '--redis', `http://u:${plant('no redis')}@x`]]) {
    const it = start(t, args)
    await it.ended
    said.push([`millrace ${args.slice(0, 2).join(' ')}`, it.out + it.err])
  }

  // what is kept for people; definitions have their secrets, as they are to run
  const tables = (await rowsOf(plain, "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'")).map(r => r.name as string)
  const DEFINITIONS = ['pipeline_versions', 'pipelines']
  for (const table of tables) if (!DEFINITIONS.includes(table)) said.push([`table ${table}`, (await rowsOf(plain, `SELECT t::text AS row FROM ${table} t`)).map(r => r.row).join('\n')])
  const walk = (path: string): string[] => statSync(path).isDirectory() ? readdirSync(path).flatMap(name => walk(join(path, name))) : [path]
  // the log has the Idempotency-Key of each request, which is no secret to who may read its readings
  for (const file of walk(join(folder, 'state'))) said.push([`file ${file.slice(folder.length)}`, readFileSync(file, 'latin1')])
  const isOfLog = (where: string, name: string): boolean => where.startsWith('file /state/log/') && name.startsWith('idempotency key')

  t.ok(tables.includes('audit') && tables.includes('alert_deliveries'))
  t.ok(planted.size > 40 && said.length > 150, `${planted.size} secrets, ${said.length} places`)
  const leaks = new Map<string, Set<string>>()
  for (const [where, text] of said) for (const name of found(text)) if (!isOfLog(where, name)) leaks.set(where, (leaks.get(where) ?? new Set()).add(name))
  t.strictSame(Object.fromEntries([...leaks].map(([where, names]) => [where, [...names]])), {})
})
