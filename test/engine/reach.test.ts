/** A pipeline that is put over HTTP reaches what the operator of the process allows, and nothing else. */
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { connect } from 'mqtt'
import pg from 'pg'
import t from 'tap'
import type { Components } from '../../engine/components.ts'
import { readDefinition } from '../../engine/definition.ts'
import { Reach } from '../../engine/reach.ts'
import * as sources from '../../connectors/index.ts'
import * as sinks from '../../sinks/index.ts'
import { components, open, until } from '../support/control.ts'
import { freshDatabase } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

const pipe = (from: string, to = 'stdout', alerts = '') => `name: p\nfrom: ${from}\n${alerts}to: [ ${to} ]\n`
const admits = (allowed: readonly string[], text: string): boolean => {
  const pipeline = readDefinition(text, components)
  try { new Reach(allowed).admit(pipeline); return true } catch (error) { t.match(error, { code: 'config/host' }); return false }
}
const mqtt = (url: string) => pipe(`{ mqtt: { url: ${JSON.stringify(url)}, topic: "{device}/{metric}" } }`)

t.test('without a word of the operator it reaches no host; with one that host, on that port', async t => {
  for (const text of [
    mqtt('mqtt://localhost:1883'), pipe('{ mqtt: { topic: "{device}/{metric}" } }'), pipe('nats'), pipe('{ jetstream: { stream: S } }'), pipe('{ nats: { servers: [ "nats://ok.example:4222", "10.0.0.1" ] } }'),
    pipe('simulator', 'questdb: { table: t }'), pipe('simulator', 'nats: { stream: S }'), pipe('simulator', 'postgres: { table: t, url: "postgres://db/x" }'),
    pipe('simulator', 'file: { table: t }', 'alerts: { a: { when: { value: { above: 1 } }, to: [ email: { server: "smtp://mail:25", from: a@example.com, to: b@example.com } ] } }\n'),
    pipe('simulator', 'file: { table: t }', 'alerts: { a: { when: { value: { above: 1 } }, to: [ stdout ], escalate: [ { after: 1h, to: [ email: { server: "smtp://mail:25", from: a@example.com, to: b@example.com } ] } ] } }\n')
  ]) t.notOk(admits(['ok.example'], text), text)
  for (const text of [pipe('simulator'), pipe('http'), pipe('{ broker: { port: 0 } }'), pipe('simulator', 'postgres: { table: t }')]) t.ok(admits([], text), text)
  t.ok(admits(['ok.example:8883'], mqtt('mqtts://user:p%40ss@OK.example:8883')))
  t.notOk(admits(['ok.example:8883'], mqtt('mqtts://ok.example:1883')))
  t.notOk(admits(['ok.example:8883'], mqtt('mqtts://ok.example')), 'a port that is not said')
  t.ok(admits(['*.plant.example'], mqtt('mqtt://a.b.plant.example')))
  for (const host of ['plant.example', 'xplant.example', 'a.plant.example.evil']) t.notOk(admits(['*.plant.example'], mqtt(`mqtt://${host}`)), host)
  for (const [allowed, host, yes] of [['10.0.0.0/8', '10.9.8.7', true], ['10.0.0.0/8', '11.0.0.1', false], ['192.0.2.7', '192.0.2.7', true], ['192.0.2.7', '192.0.2.8', false], ['fd00::/8', '[fd00::1]', true], ['fd00::/8', '[::1]', false], ['[fd00::1]:1883', '[fd00:0::1]:1883', true], ['127.0.0.1', '2130706433', false], ['127.0.0.1', '0x7f.1', false], ['127.0.0.1', '[::ffff:127.0.0.1]', false]] as const) t.equal(admits([allowed], mqtt(`mqtt://${host}`)), yes, `${host} of ${allowed}`)
})

t.test('what clients could read as different hosts is refused', async t => {
  for (const url of ['mqtt://ok.example@evil', 'mqtt://ok.example\\@evil', 'mqtt://a@ok.example@evil', 'mqtt://evil#@ok.example', 'mqtt://evil?@ok.example', 'mqtt://evil/@ok.example', 'mqtt://ok.example,evil', 'mqtt://ok.example%2eevil', 'mqtt://ok.example evil', 'mqtt://ok.example\tevil', 'mqtt://ok%00.example', 'mqtt://ok.example\u3002evil']) t.notOk(admits(['ok.example'], mqtt(url)), url)
  for (const url of ['postgres://ok.example/x?host=evil', 'postgres://ok.example/x?hostaddr=10.0.0.1', 'postgres://ok.example/x?sslmode=require&port=1', 'postgres://ok.example/x?sslrootcert=/etc/passwd', 'postgres://ok.example/x?sslmode=require&%68ost=evil', 'postgres:///x', 'postgres:///x?host=/var/run', 'postgres://ok.example,evil/x', 'postgres://u:p@ok.example@evil/x']) t.notOk(admits(['ok.example'], pipe('simulator', `postgres: { table: t, url: ${JSON.stringify(url)} }`)), url)
  for (const url of ['postgres://ok.example/x', 'postgres://u:p@ok.example:5433/x?sslmode=require&application_name=plant-1', 'postgresql://u@OK.EXAMPLE/x']) {
    t.ok(admits(['ok.example'], pipe('simulator', `postgres: { table: t, url: "${url}" }`)), url)
    t.equal(new pg.Client(url).host.toLowerCase(), 'ok.example', 'and so the client reads it')
  }
})

const require = createRequire(import.meta.url)
const natsServers: { hostPort (address: string): { hostname: string, port: number } } = require(join(dirname(require.resolve('@nats-io/nats-core', { paths: [require.resolve('@nats-io/transport-node')] })), 'servers.js'))
/** Of each client: how a pipeline names an address, and where the client itself would dial. */
const clients: Record<string, { readonly text: (address: string) => string, readonly dials: (address: string) => string }> = {
  mqtt: { text: mqtt, dials: url => { const { options } = connect(url, { manualConnect: true, reconnectPeriod: 0 }); return `${options.host || 'localhost'}:${options.port ?? 1883}` } },
  nats: { text: address => pipe(`{ nats: { servers: ${JSON.stringify(address)} } }`), dials: address => { const { hostname, port } = natsServers.hostPort(address); return `${hostname}:${port}` } },
  postgres: { text: url => pipe('simulator', `postgres: { table: t, url: ${JSON.stringify(url)} }`), dials: url => { const { host, port } = new pg.Client(url); return `${host}:${port}` } },
  questdb: { text: url => pipe('simulator', `file: { table: t }, questdb: { table: t, url: ${JSON.stringify(url)} }`), dials: url => { const { hostname, port } = new URL(url); return `${hostname}:${port}` } },
  email: { text: url => pipe('simulator', 'file: { table: t }', `alerts: { a: { when: { value: { above: 1 } }, to: [ email: { server: ${JSON.stringify(url)}, from: a@example.com, to: b@example.com } ] } }\n`), dials: url => { const { hostname, port } = new URL(url); return `${hostname}:${port}` } }
}
const allowed = ['ok.example:7001', '*.plant.example:7001']
/** Whether it is taken as a definition, and admitted. */
const taken = (client: string, address: string): boolean => {
  let pipeline
  try { pipeline = readDefinition(clients[client].text(address), components) } catch { return false }
  try { new Reach(allowed).admit(pipeline); return true } catch { return false }
}

t.test('what is admitted is where the client itself would dial: of known ways to differ', async t => {
  const long = `${'a'.repeat(250)}.plant.example`
  for (const [client, address] of [
    ['mqtt', `mqtt://${long}:7001`], ['nats', 'nats://ok.example:7001/://127.0.0.1:4222'], ['nats', 'nats://u:6379@ok.example:7001'], ['nats', 'u:6379@ok.example:7001'], ['nats', `${long}:7001`],
    ['postgres', 'ok.example:7001/x'], ['postgres', 'socket://ok.example:7001/var/run/postgresql'], ['postgres', 'postgres://%2Fvar%2Frun/x'], ['postgres', 'socket:/var/run/postgresql'], ['postgres', '/var/run/postgresql']
  ] as const) t.notOk(taken(client, address), address.slice(0, 80))
  for (const [client, scheme] of [['mqtt', 'mqtts'], ['nats', 'nats'], ['postgres', 'postgres'], ['questdb', 'https'], ['email', 'smtps']] as const) {
    t.ok(taken(client, `${scheme}://ok.example:7001`), scheme)
    t.equal(clients[client].dials(`${scheme}://ok.example:7001`), 'ok.example:7001')
  }
})

t.test('what is admitted is where the client itself would dial: of addresses put together by chance', async t => {
  const part = fc.constantFrom('ok.example', '.plant.example', '127.0.0.1', '2130706433', '[::1]', 'u', ':7001', ':4222', '://', '//', '/', '@', ':', '?', '#', '%2f', '%40', 'x', '.', ',', ';', '&', 'host=127.0.0.1', 'sslmode=require', 'socket', 'a'.repeat(250))
  const parts = (maxLength: number) => fc.array(part, { maxLength }).map(all => all.join(''))
  const schemes: Record<string, readonly string[]> = { mqtt: ['mqtt://', 'ws://'], nats: ['nats://', 'tls://', ''], postgres: ['postgres://', 'socket://', ''], questdb: ['http://', 'https://'], email: ['smtp://', 'smtps://'] }
  const address = fc.constantFrom(...Object.keys(clients)).chain(client => fc.tuple(fc.constant(client), fc.constantFrom(...schemes[client]), parts(2), fc.constantFrom('ok.example', 'a.plant.example'), fc.constantFrom(':7001', ':7001', ''), parts(3)))
  let admitted = 0
  fc.assert(fc.property(address, ([client, ...all]) => {
    const text = all.join('')
    if (!taken(client, text)) return
    admitted++
    const dialled = clients[client].dials(text).toLowerCase()
    if (!/^(ok|[a-z0-9._-]*\.plant)\.example:7001$/.test(dialled)) throw new Error(`${client}: ${text} is admitted, and ${dialled} dialled`)
  }), { numRuns: 1500 })
  t.ok(admitted > 50, `${admitted} were admitted`)
})

t.test('what --hosts says is a host, or is refused', async t => {
  for (const text of ['', '*', '*.', 'a b', '10.0.0.0/33', 'a/8', '*.10.0.0.1', 'http://a', 'a:b', 'a:123456', '::1/129']) t.throws(() => new Reach([text]), { code: 'usage/command' }, text)
})

t.test('every component that connects somewhere says where, or has a guard, or only listens', async t => {
  const guarded = ['webhook', 'slack'], listens = ['broker'], CONNECTS = /^(url|urls|server|servers|host|hosts|brokers?|address|endpoint)$/i
  for (const [name, { definition }] of Object.entries({ ...sources, ...Object.fromEntries(Object.entries(sinks).map(([n, s]) => [`sink ${n}`, s])) } as unknown as Components['sources'])) {
    const connects = Object.keys(definition.options.properties).some(option => CONNECTS.test(option))
    t.equal(definition.reaches !== undefined, connects && !guarded.includes(definition.name) && !listens.includes(definition.name), name)
  }
})

t.test('put, put again after the operator has allowed it, and not brought back when he no longer does', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t)
  let dialled = 0
  const inside = createServer(socket => { dialled++; socket.destroy() })
  await new Promise<void>(resolve => { inside.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => inside.close())
  const { port } = inside.address() as AddressInfo, text = pipe(`{ mqtt: { url: "mqtt://127.0.0.1:${port}", topic: "{device}/{metric}" } }`, 'postgres: { table: readings }')
  const put = async (process: Awaited<ReturnType<typeof open>>) => await process.ask('PUT', '/p', text)
  const strict = await open(t, url, folder)
  t.match(await put(strict), { status: 400, json: { code: 'config/host', detail: `mqtt: pipelines that are put over HTTP may not connect to 127.0.0.1:${port}` } })
  t.match(await strict.ask('PUT', '/p?dryRun=true', text), { status: 400 })
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(dialled, 0)
  await strict.end()
  const lenient = await open(t, url, folder, { hosts: ['127.0.0.1'], within: 3000 })
  t.match(await put(lenient), { status: 422 }, 'nobody answers there')
  t.ok(dialled > 0)
  const own = pipe('simulator', `postgres: { table: readings, url: "${url}" }`)
  t.match(await lenient.ask('PUT', '/p', own), { status: 201 })
  await lenient.end()
  const again = await open(t, url, folder, { settled: false })
  await until('it is not brought back', () => again.control.trouble() === 'not brought back: p')
  t.match(await again.ask('POST', '/p/resume'), { status: 422, json: { detail: /config\/host/ } })
  t.match(await again.ask('DELETE', '/p'), { status: 200 }, 'and can be deleted')
})
