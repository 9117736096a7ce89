/** Receivers of alerts keep what is to be sent to them, wherever they stand under `to`: a real database, a real broker, real receivers. */
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import t, { type Test } from 'tap'
import { lint } from '../../engine/lint.ts'
import { receiversIn } from '../../engine/plan.ts'
import { readYaml } from '../../engine/yaml.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { receiver } from '../fixtures/receiver.ts'
import { components, open, until } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { match, put } from '../support/one-pipeline.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

const text = (port: number, to: readonly string[], more = '') => `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nalerts: { high: { when: { value: { above: 50 } }, to: [ ${to.join(', ')} ]${more} } }\nto: [ postgres: { table: readings } ]\n`
const read = (to: readonly string[], more?: string) => readYaml(text(1883, to, more), components, { file: 'p.yaml' })
const keysOf = (to: readonly string[], more?: string) => receiversIn(read(to, more).pipeline!).map(r => r.key)
const hook = (url: string, more = '') => `webhook: { url: "${url}"${more} }`

/** A server on which each path is a receiver that is down until it is told to work: which alerts of which device it has taken, in order. */
async function world (t: Test) {
  const up = new Set<string>(), taken: Record<string, string[]> = {}, server = await receiver(t, (response, { path, body }) => {
    if (up.has(path)) (taken[path] ??= []).push(`${JSON.parse(body).data.device} ${JSON.parse(body).data.state}`)
    response.writeHead(up.has(path) ? 204 : 503).end()
  })
  const tried = (path: string, device: string) => until(`${path} is told of ${device}`, () => server.received.some(r => r.path === path && JSON.parse(r.body).data.device === device))
  return { up, taken, tried, url: (path: string) => `${server.url}${path}` }
}
const sorted = (taken: Record<string, string[]>) => Object.fromEntries(Object.entries(taken).map(([path, all]) => [path, all.toSorted()]))

async function device (t: Test, port: number): Promise<(name: string, value: number) => Promise<unknown>> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`)
  t.teardown(() => { client.end(true) })
  return async (name, value) => await client.publishAsync(`t/${name}/m`, JSON.stringify({ ts: Date.now(), value }), { qos: 1 })
}

t.test('a key says what a receiver is, and not where it stands; a name instead of its address', async t => {
  const a = hook('https://a.example/x'), b = hook('https://b.example/x'), mail = 'email: { server: "smtp://localhost", from: m@example.com, to: [ b@example.com, a@example.com ] }'
  const [ofA, ofB, ofMail] = keysOf([a, b, mail])
  t.match([ofA, ofB, ofMail], [/^high\/webhook:[0-9a-f]{8}$/, /^high\/webhook:[0-9a-f]{8}$/, /^high\/email:[0-9a-f]{8}$/])
  t.equal(new Set([ofA, ofB, ofMail]).size, 3)
  t.strictSame(keysOf([mail, b]), [ofMail, ofB])
  t.strictSame(keysOf([hook('https://a.example/x', ', timeout: 3s, secret: whsec_YSBzZWNyZXQga2V5IG9mIDMyIHJhbmRvbSBieXRlcyE=')]), [ofA], 'how it is sent does not matter')
  t.strictSame(keysOf(['email: { server: "smtp://other", from: x@example.com, to: [ a@example.com, b@example.com ] }']), [ofMail], 'nor by which way')
  t.strictSame(keysOf([hook('https://a.example/x', ', name: ops')]), ['high/webhook:ops'])
  t.strictSame(keysOf([a], `, escalate: [ { after: 1h, to: [ ${b} ] }, { after: 2h, to: [ ${a} ] } ]`), [ofA, ofB.replace('high/', 'high/escalation/'), ofA.replace('high/', 'high/escalation/')], 'who is told at once may be told again later')
  t.notMatch(keysOf(['slack: { url: "https://hooks.slack.com/services/T0/B0/secretsecret" }'])[0], /secret/)
})

t.test('of two equal receivers one is too many, unless they have names', async t => {
  const a = hook('https://a.example/x'), wrong = (to: readonly string[], more?: string) => read(to, more).findings.concat(lint(read([a]).pipeline!)).map(f => [f.code, f.message, f.path?.join('.')])
  for (const [to, more, path] of [[[a, a], '', 'alerts.high.to.1.webhook'], [[a, hook('https://a.example/x', ', timeout: 3s')], '', 'alerts.high.to.1.webhook'], [['stdout', a, 'stdout: { format: text }'], '', 'alerts.high.to.2.stdout'], [[a], `, escalate: [ { after: 1h, to: [ ${a} ] }, { after: 2h, to: [ ${a} ] } ]`, 'alerts.high.escalate.1.to.0.webhook']] as const) {
    const found = wrong(to, more)
    t.match(found, [['config/duplicate-receiver', /^alert "high": a second receiver (webhook|stdout):[0-9a-f]{8}$/, path]])
    t.equal(found.length, 1)
  }
  const again = hook('https://a.example/x', ', name: again')
  t.strictSame(wrong([a, again]), [])
  t.strictSame(wrong([a], `, escalate: [ { after: 1h, to: [ ${a} ] }, { after: 2h, to: [ ${again} ] } ]`), [], 'told again by a later step')
  t.match(wrong([hook('https://a.example/x', ', name: ops'), hook('https://b.example/x', ', name: ops')]), [['config/duplicate-receiver', 'alert "high": a second receiver webhook:ops']])
  t.match(wrong([hook('https://a.example/x', ', name: "a b"')]), [['config/invalid']])
})

t.test('while deliveries wait, receivers change places, go, come, come back and get a name: each gets its own once, and no other', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), { up, taken, tried, url: at } = await world(t), [a, b, c] = ['/a', '/b', '/c'].map(path => hook(at(path)))
  const process = await open(t, url, temporary(t), { egress: ['127.0.0.0/8'] })
  up.add('/a')
  t.equal((await put(process, text(port, [a, b]))).status, 201)
  const send = await device(t, port)
  const change = async (version: number, to: readonly string[]) => { t.match(await put(process, text(port, to), match(version)), { status: 200 }, to.join(', ')) }
  await send('d1', 99)
  await tried('/a', 'd1')
  await tried('/b', 'd1')
  await change(1, [b, a])
  await send('d2', 99)
  await tried('/a', 'd2')
  await tried('/b', 'd2')
  await change(2, [c, b])
  await send('d3', 99)
  await tried('/c', 'd3')
  await tried('/b', 'd3')
  await change(3, [b])
  await send('d1', 1)
  await until('its end is kept, also for who is not there', async () => (await rowsOf(url, "SELECT FROM alert_outbox WHERE event LIKE '%.resolved'")).length === 2)
  await change(4, [hook(at('/a')), hook(at('/b'), ', name: duty'), c])
  await change(5, [hook(at('/b2'), ', name: duty'), c, a])       // with a name it keeps what waits, wherever it moves
  for (const path of ['/b2', '/c']) up.add(path)
  await rowsOf(url, "UPDATE alert_outbox SET due = now() WHERE state = 'due' AND ready_at IS NULL")       // a minute later
  await until('all has arrived', async () => (await rowsOf(url, "SELECT FROM alert_outbox WHERE state = 'due'")).length === 0)
  t.strictSame(sorted(taken), { '/a': ['d1 firing', 'd1 resolved', 'd2 firing'], '/b2': ['d1 firing', 'd1 resolved', 'd2 firing', 'd3 firing'], '/c': ['d3 firing'] })
  t.strictSame(await rowsOf(url, "SELECT DISTINCT state FROM alert_outbox"), [{ state: 'delivered' }])
  await send('d2', 1)
  await until('whoever was told of a beginning is told of its end', () => taken['/a'].includes('d2 resolved') && taken['/b2'].includes('d2 resolved'))
})

t.test('who waits to be told, because nobody has acknowledged it, keeps the place when others change theirs', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), { up, taken, tried, url: at } = await world(t), [a, b, c] = ['/a', '/b', '/c'].map(path => hook(at(path)))
  const process = await open(t, url, temporary(t), { egress: ['127.0.0.0/8'] }), steps = (...all: readonly [string, string][]) => all.length === 0 ? '' : `, escalate: [ ${all.map(([after, who]) => `{ after: ${after}, to: [ ${who} ] }`).join(', ')} ]`
  for (const path of ['/a', '/b', '/c']) up.add(path)
  await put(process, text(port, [a], steps(['1h', b], ['2h', c])))
  const send = await device(t, port), held = () => rowsOf(url, "SELECT receiver, held, round(extract(epoch FROM due - posted_at) / 3600)::int AS hours FROM alert_outbox WHERE state = 'due' ORDER BY due")
  await send('d1', 99)
  await tried('/a', 'd1')
  await until('both wait', async () => (await held()).filter(row => row.held === 'escalation').length === 2)
  await put(process, text(port, [a]), match(1))
  await rowsOf(url, "UPDATE alert_outbox SET due = now() WHERE held = 'escalation' AND due < posted_at + interval '90 minutes'")      // an hour later
  await until('it was looked at while its receiver is not there', async () => (await rowsOf(url, "SELECT FROM alert_outbox WHERE state = 'due' AND due > now() AND due < now() + interval '2 minutes'")).length === 1)
  await put(process, text(port, [a], steps(['2h', c], ['1h', b])), match(2))
  await rowsOf(url, "UPDATE alert_outbox SET due = now() WHERE held = 'escalation' AND due < posted_at + interval '90 minutes'")
  await tried('/b', 'd1')
  await until('it is known', async () => (await held()).length === 1)
  t.match(await held(), [{ held: 'escalation', hours: 2 }])
  t.strictSame(taken, { '/a': ['d1 firing'], '/b': ['d1 firing'] })
})

t.test('what is kept under the places of receivers, by a program before this one, is of the receivers that stood there', async t => {
  const url = (await freshDatabase(t))!, port = await freePort(), folder = temporary(t), before = join(folder, 'migrations'), { up, taken, url: at } = await world(t), [a, b, c] = ['/a', '/b', '/c'].map(path => hook(at(path)))
  mkdirSync(before)
  for (const file of readdirSync('migrations').filter(file => Number.parseInt(file) < 13)) cpSync(join('migrations', file), join(before, file))
  await migrate(url, quiet, before)
  await rowsOf(url, `INSERT INTO alerts (id, incident, state, tenant, pipeline, alert, severity, device, metric, since, time, value, evidence, message, position, ingested_at)
    SELECT i || '.' || s, i, s, 't', 'p', 'high', 'warning', i, 'm', now(), now(), 99, '{}', 'high', 0, now() FROM unnest(ARRAY['i1', 'i2']) AS i, unnest(ARRAY['firing', 'resolved']) AS s WHERE i = 'i1' OR s = 'firing'`)
  await rowsOf(url, `INSERT INTO alert_outbox (event, receiver, pipeline, state, due, position, ingested_at, ready_at, held, posted_at) VALUES
    ('i1.firing', 'high/webhook', 'p', 'delivered', now(), 0, now(), now(), NULL, now()), ('i1.firing', 'high/webhook#1', 'p', 'due', now(), 0, now(), now(), NULL, now()), ('i1.resolved', 'high/webhook', 'p', 'due', now(), 0, now(), NULL, NULL, now()),
    ('i2.firing', 'high/webhook', 'p', 'delivered', now(), 0, now(), now(), NULL, now()), ('i2.firing', 'high/escalation-2/webhook', 'p', 'due', now(), 0, now(), NULL, 'escalation', now() - interval '2 hours')`)
  await rowsOf(url, "INSERT INTO alert_deliveries (event, receiver, outcome) VALUES ('i1.firing', 'high/webhook#1', 'retry')")
  for (const path of ['/a', '/b', '/c']) up.add(path)
  const process = await open(t, url, folder, { egress: ['127.0.0.0/8'], files: [text(port, [a, b], `, escalate: [ { after: 1h, to: [ ${a} ] }, { after: 2h, to: [ ${c} ] } ]`)] })
  await until('all has arrived', async () => (await rowsOf(url, "SELECT FROM alert_outbox WHERE state = 'due'")).length === 0)
  t.strictSame(taken, { '/a': ['i1 resolved'], '/b': ['i1 firing'], '/c': ['i2 firing'] })
  t.match(await rowsOf(url, "SELECT outcome FROM alert_deliveries d WHERE event = 'i1.firing' AND EXISTS (SELECT FROM alert_outbox o WHERE o.event = d.event AND o.receiver = d.receiver) ORDER BY id"), [{ outcome: 'retry' }, { outcome: 'delivered' }])
  t.strictSame((await rowsOf(url, "SELECT receiver FROM alert_receivers ORDER BY receiver")).map(r => r.receiver.replace(/:.*/, '')), ['high/escalation/webhook', 'high/escalation/webhook', 'high/webhook', 'high/webhook'])
  await process.end()
})
