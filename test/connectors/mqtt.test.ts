import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as dial, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connect, MqttClient, type IClientOptions } from 'mqtt'
import { mqtt } from '../../connectors/mqtt.ts'
import { Acks } from '../../connectors/mqtt-acks.ts'
import { broker } from '../../connectors/broker.ts'
import { Disk } from '../support/disk.ts'
import { certificates, freePort, mosquitto, noMosquitto, type Broker } from '../support/mosquitto.ts'
import { grow, read, type Reader } from '../support/reader.ts'

const TS = Date.now() - 1000
type T = { teardown (f: () => unknown): void }
const pause = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })
const needed = { skip: noMosquitto }

async function real (t: T, options: Parameters<typeof mosquitto>[0] = {}): Promise<Broker & { url: string }> {
  const running = await mosquitto(options)
  t.teardown(() => running.stop())
  return { ...running, url: `mqtt://127.0.0.1:${running.port}` }
}
function source (t: T, options: Record<string, unknown>, setting: Parameters<typeof read>[1] = {}): Reader {
  const reader = read(mqtt({ topic: '{tenant}/{device}/{metric}', ...options }), setting)
  t.teardown(() => reader.stop())
  return reader
}
async function publisher (t: T, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = connect(url, { reconnectPeriod: 0, ...options })
  t.teardown(() => { client.end(true) })
  await new Promise((resolve, reject) => { client.once('connect', resolve).once('error', reject) })
  return client
}
/** A folder for the log of several sources, one after the other. */
function folder (t: T): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-mqtt-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return join(path, 'log')
}
const sessionsLost = (reader: Reader) => reader.lines.filter(l => /no session of ours/.test(l.msg as string)).map(l => l.sessionsLost)
const ready = (reader: Reader) => reader.until(() => reader.source.trouble() === undefined)
const say = (value: number) => JSON.stringify({ value, ts: TS })

for (const protocolVersion of [5, 4] as const) {
  for (const qos of [0, 1] as const) {
    t.test(`readings come through a broker by version ${protocolVersion} at QoS ${qos}`, needed, async t => {
      const { url } = await real(t)
      const reader = source(t, { url, protocolVersion, qos, topic: undefined, topics: ['{tenant}/{device}/{metric}', 'site/{site}/line/{device}'] })
      await ready(reader)
      const device = await publisher(t, url)
      for (let i = 0; i < 500; i++) await device.publishAsync('acme/p1/flow', say(i), { qos: 1 })
      await device.publishAsync('site/berlin/line/p2', JSON.stringify({ heat: 4, ts: TS }), { qos: 1 })
      await device.publishAsync('acme/p1/flow', 'not JSON', { qos: 1 })
      await reader.until(() => reader.received === 502)
      t.strictSame(reader.readings.slice(0, 500).map(r => [r.name, r.time, r.value]), Array.from({ length: 500 }, (_, i) => ['acme/p1/flow', TS, i]))
      t.match(reader.readings[500], { name: 'default/p2/heat', time: TS, value: 4 })
      t.ok(grow([...reader.readings, ...reader.dead]))
      t.strictSame(reader.series.tags(reader.series.device('default', 'p2')), { site: 'berlin' })
      t.match(reader.dead, [{ reason: 'unparseable', payload: Buffer.from('not JSON') }])
    })
  }
}

t.test('no PUBACK goes out before the sync of the log: after a lost connection those messages come again, and are in the log once', needed, async t => {
  const running = await real(t), disk = new Disk()
  let pubacks = 0
  const proxy = await tap(t, running, packet => { if (packet[0] === 0x40) pubacks += packet.length / 4 })
  const reader = source(t, { url: proxy.url, protocolVersion: 4 }, { log: { fs: disk.fs } })
  t.teardown(() => disk.release())   // else a failure before it would never end
  await ready(reader)
  const journal = (await reader.journal)!, { bytes } = journal.wal
  disk.hold()
  const device = await publisher(t, running.url)
  for (let i = 0; i < 10; i++) await device.publishAsync('acme/p1/flow', say(i), { qos: 1 })
  await reader.until(() => journal.wal.bytes > bytes + 10 * say(0).length)
  await pause(200)
  t.strictSame([pubacks, reader.received], [0, 0], 'read ahead, neither acknowledged nor given to the engine')
  proxy.cut()
  await reader.until(() => reader.source.trouble() !== undefined)
  await reader.until(() => journal.suppressed === 10)
  t.equal(pubacks, 0)
  disk.release()
  await reader.until(() => pubacks === 10)
  await reader.until(() => reader.received === 10)
  await device.publishAsync('acme/p1/flow', say(10), { qos: 1 })
  await reader.until(() => reader.received === 11)
  t.strictSame(reader.readings.map(r => r.value), Array.from({ length: 11 }, (_, i) => i))
  t.strictSame(sessionsLost(reader), [])
})

t.test('a message whose PUBACK never arrived comes again after a restart and is found in the log', needed, async t => {
  const running = await real(t), log = { folder: folder(t) }
  let deaf = true
  const proxy = await tap(t, running, () => {}, packet => deaf && packet[0] === 0x40)
  const first = source(t, { url: proxy.url, protocolVersion: 4 }, { log })
  await ready(first)
  const device = await publisher(t, running.url)
  for (let i = 0; i < 10; i++) await device.publishAsync('acme/p1/flow', say(i), { qos: 1 })
  await first.until(() => first.received === 10)
  await first.stop()
  deaf = false

  const second = source(t, { url: proxy.url, protocolVersion: 4 }, { log, from: first.upTo })
  await ready(second)
  const journal = (await second.journal)!
  await second.until(() => journal.suppressed === 10)
  await device.publishAsync('acme/p1/flow', say(10), { qos: 1 })
  await second.until(() => second.received === 1)
  t.equal(second.readings[0].value, 10)
  t.ok(grow([...first.readings, ...second.readings]))
  t.strictSame(sessionsLost(second), [])
})

t.test('what the broker certainly has an acknowledgement of is not looked for again: the same id and the same payload are another message', needed, async t => {
  const running = await real(t)
  const reader = source(t, { url: running.url }, {})
  await ready(reader)
  const confirmed: number[] = []
  const journal = (await reader.journal)!, confirm = journal.confirm.bind(journal)
  journal.confirm = (client, upTo, recorded) => { confirmed.push(upTo); confirm(client, upTo, recorded) }
  const device = await publisher(t, running.url)
  await device.publishAsync('acme/p1/flow', say(1), { qos: 1 })
  await reader.until(() => confirmed.some(upTo => upTo >= reader.upTo && reader.received === 1))
  t.ok(true, 'the answer to a ping says so')
})

t.test('the contract with mqtt.js 5.16.0: PUBACKs leave by _sendPacket, in order, one for each message, and only when given', needed, async t => {
  t.equal(MqttClient.VERSION, '5.16.0')
  t.type((MqttClient.prototype as unknown as { _sendPacket: unknown })._sendPacket, 'function')
  const sent: number[] = [], disk = new Disk()
  const proxy = await tap(t, await real(t), packet => { if (packet[0] === 0x40) for (let i = 0; i < packet.length; i += 4) sent.push(packet.readUInt16BE(i + 2)) })
  const reader = source(t, { url: proxy.url, protocolVersion: 4 }, { log: { fs: disk.fs } })
  t.teardown(() => disk.release())   // else a failure before it would never end
  await ready(reader)
  const device = await publisher(t, proxy.direct)
  const publish = async (from: number, to: number) => { for (let i = from; i < to; i++) await device.publishAsync('acme/p1/flow', say(i), { qos: 1 }) }
  await publish(0, 4)
  await reader.until(() => sent.length === 4)
  const journal = (await reader.journal)!
  await pause(400)                   // the ping after them is over
  disk.hold()
  const { bytes } = journal.wal
  await publish(4, 10)
  await reader.until(() => journal.wal.bytes > bytes + 6 * say(0).length)
  await pause(100)
  t.equal(sent.length, 4)
  disk.release()
  await reader.until(() => sent.length === 10)
  t.strictSame(sent, [...sent].sort((a, b) => a - b))
})

t.test('a broker that is not there at start: says so, keeps trying, and reads when it comes', needed, async t => {
  const port = await freePort()
  const url = `mqtt://user:secret@127.0.0.1:${port}`
  const reader = source(t, { url })
  await reader.until(() => /ECONNREFUSED/.test(reader.source.trouble() ?? ''))
  t.match(reader.source.trouble(), `mqtt://127.0.0.1:${port}`)
  t.notMatch(JSON.stringify(reader.lines) + reader.source.trouble(), /secret/)
  const late = await mosquitto({ port })
  t.teardown(() => late.stop())
  await ready(reader)
  const device = await publisher(t, `mqtt://127.0.0.1:${port}`)
  await device.publishAsync('acme/p1/flow', say(1), { qos: 1 })
  await reader.until(() => reader.received === 1)
})

t.test('a broker that lost the session is a warning and a count', needed, async t => {
  const running = await real(t)
  const reader = source(t, { url: running.url })
  await ready(reader)
  await running.halt()
  await reader.until(() => reader.source.trouble() !== undefined)
  await running.start()
  await ready(reader)
  t.strictSame(sessionsLost(reader), [1])
  t.ok(reader.lines.some(l => l.level === 40 && /session/.test(l.msg as string)))
  const log = { folder: folder(t) }
  const other = source(t, { url: running.url, clientId: 'other' }, { log })
  await ready(other)
  const device = await publisher(t, running.url)
  await device.publishAsync('acme/p1/flow', say(1), { qos: 1 })
  await other.until(() => other.received === 1)
  t.strictSame(sessionsLost(other), [], 'nobody had one before')
  await other.stop()
  await running.halt()
  await running.start()
  const again = source(t, { url: running.url, clientId: 'other' }, { log, from: other.upTo })
  await ready(again)
  t.strictSame(sessionsLost(again), [1], 'also when the last run had one')
})

t.test('members of a share group divide the messages among them', needed, async t => {
  for (const protocolVersion of [5, 4]) {
    const { url } = await real(t)
    const members = ['a', 'b'].map(clientId => source(t, { url, protocolVersion, clientId, share: 'group' }))
    for (const member of members) await ready(member)
    const device = await publisher(t, url)
    for (let i = 0; i < 100; i++) await device.publishAsync('acme/p1/flow', say(i), { qos: 1 })
    await members[0].until(() => members[0].received + members[1].received === 100)
    t.ok(members.every(m => m.received > 10), members.map(m => m.received).join(' + '))
    t.strictSame(members.flatMap(m => m.readings.map(r => r.value)).sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i))
  }
})

t.test('TLS with a client certificate; without it, or with a wrong authority, the source says why', needed, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const files = certificates(folder)
  const { port } = await real(t, { listener: `allow_anonymous true\ncafile ${files.ca}\ncertfile ${files.serverCert}\nkeyfile ${files.serverKey}\nrequire_certificate true` })
  const url = `mqtts://127.0.0.1:${port}`
  const reader = source(t, { url, ca: files.ca, cert: files.clientCert, key: files.clientKey })
  await ready(reader)
  const device = await publisher(t, url, { ca: readFileSync(files.ca), cert: readFileSync(files.clientCert), key: readFileSync(files.clientKey) })
  await device.publishAsync('acme/p1/flow', say(1), { qos: 1 })
  await reader.until(() => reader.received === 1)
  const anonymous = source(t, { url, ca: files.ca, clientId: 'x' })
  const suspicious = source(t, { url, cert: files.clientCert, key: files.clientKey, clientId: 'y' })
  await suspicious.until(() => /certificate/.test(suspicious.source.trouble() ?? ''))
  await anonymous.until(() => anonymous.source.trouble() !== 'not connected yet')
  const missing = source(t, { url, ca: join(folder, 'nothing.pem') })
  await missing.until(() => missing.error !== undefined)
  t.match(missing.error, { code: 'usage/file', message: /mqtt\.ca.*nothing\.pem/ })
})

t.test('a subscription that the broker refuses ends the source with an error that says so', async t => {
  const limited = read(broker({ port: 0 }))
  t.teardown(() => limited.stop())
  await ready(limited)
  const reader = source(t, { url: limited.source.address!(), protocolVersion: 4, topic: undefined, topics: ['acme/{device}', '$SYS/{device}/{metric}'] })
  await reader.until(() => reader.error !== undefined)
  t.match(reader.error, { code: 'source/refused', message: /: \$SYS\/\+\/\+$/ })
})

t.test('a broker that refuses the user is said and tried again', needed, async t => {
  const { url } = await real(t, { listener: 'allow_anonymous false' })
  const reader = source(t, { url })
  await reader.until(() => /Connection refused: Not authorized/i.test(reader.source.trouble() ?? ''))
  t.equal(reader.error, undefined)
})

t.test('retained messages that a subscription brings up are no readings', needed, async t => {
  for (const protocolVersion of [5, 4]) {
    const { url } = await real(t)
    const device = await publisher(t, url)
    await device.publishAsync('acme/p1/flow', say(1), { qos: 1, retain: true })
    const reader = source(t, { url, protocolVersion })
    await ready(reader)
    await device.publishAsync('acme/p1/flow', say(2), { qos: 1, retain: true })
    await reader.until(() => reader.received === 1)
    await pause(100)
    t.strictSame(reader.readings.map(r => r.value), [2], 'what is published while we listen is one')
    t.equal(reader.lines.filter(l => /retained/.test(l.msg as string)).length, protocolVersion === 4 ? 1 : 0)
  }
})

t.test('the timestamp may come in a user property of MQTT 5', needed, async t => {
  const { url } = await real(t)
  const reader = source(t, { url })
  await ready(reader)
  const device = await publisher(t, url, { protocolVersion: 5 })
  await device.publishAsync('acme/p1/flow', '7', { qos: 1, properties: { userProperties: { ts: String(TS) } } })
  await device.publishAsync('acme/p1/flow', '8', { qos: 1 })
  await reader.until(() => reader.received === 2)
  t.equal(reader.readings[0].time, TS)
  t.ok(reader.readings[1].time > TS)
})

t.test('while the log has no room nothing more is read, the connection lives on, and nothing is lost', needed, async t => {
  const running = await real(t, { config: 'max_queued_messages 0\nmax_inflight_messages 0' })
  const budget = 2_000_000
  const reader = source(t, { url: running.url, keepalive: '1s', receiveMaximum: 65_535 }, { commit: false, log: { budget } })
  await ready(reader)
  const journal = (await reader.journal)!
  const device = await publisher(t, running.url)
  const total = 8000
  for (let i = 0; i < total; i++) device.publish('acme/p1/flow', say(i).padEnd(400), { qos: 1 })
  await pause(3500)
  t.equal(reader.source.trouble(), undefined, 'more than twice the keepalive later it is still connected')
  t.ok(journal.wal.bytes <= budget * 1.125, `${journal.wal.bytes} bytes are in the log`)
  t.ok(reader.received > 2000 && reader.received < 6000, `${reader.received} were read`)
  await reader.until(() => { void reader.commit(); return reader.received === total })
  t.strictSame(reader.readings.map(r => r.value), Array.from({ length: total }, (_, i) => i))
})

t.test('a broker that accepts and says nothing is given up and tried again', async t => {
  let dials = 0
  const mute = createServer(socket => { dials++; socket.on('error', () => {}).resume() })
  await new Promise<void>(resolve => { mute.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => mute.close())
  const reader = source(t, { url: `mqtt://127.0.0.1:${(mute.address() as { port: number }).port}`, connectTimeout: '300ms' })
  await reader.until(() => /no answer within 0.3 s/.test(reader.source.trouble() ?? ''))
  await reader.until(() => dials === 2)
  t.ok(true)
})

t.test('acknowledgements are given in order, what is committed already at once', async t => {
  const given: string[] = []
  const acks = new Acks<string>(10, ack => given.push(ack))
  acks.hold(9, 'a')
  acks.hold(11, 'b')
  acks.hold(10, 'c')
  acks.hold(12, 'd')
  t.strictSame(given, ['a'], 'nothing overtakes')
  acks.commit(11)
  t.strictSame(given, ['a', 'b', 'c'])
  acks.commit(5)
  t.equal(acks.held, 1)
  acks.drop()
  acks.commit(20)
  t.strictSame(given, ['a', 'b', 'c'])
  for (let i = 21; i <= 1000; i++) acks.hold(i, String(i))
  for (let i = 21; i <= 1000; i += 7) acks.commit(i)
  acks.commit(1000)
  t.equal(given.length, 3 + 980)
  t.strictSame(given.slice(3), Array.from({ length: 980 }, (_, i) => String(21 + i)))
})

t.test('options that do not fit are refused with a sentence', async t => {
  for (const [given, message] of [
    [{}, /topics \(or topic\)/], [{ topic: 'a/{device}', topics: 'b/{device}' }, /topics \(or topic\)/], [{ topic: '+/x' }, /"\+\/x"/],
    [{ topic: '{device}', cert: 'x' }, /cert and key/], [{ topic: '{device}', url: 'http://x' }, /url/], [{ topic: '{device}', qos: 2 }, /qos/],
    [{ topic: '{device}', fields: {} }, /fields/], [{ topic: '{device}', share: 'a/b' }, /share/]
  ] as const) t.throws(() => mqtt(given as object), { message }, JSON.stringify(given))
  t.match(mqtt({ topics: ['{device}/x', 'y/{device}'] }).options, { qos: 1, protocolVersion: 5, persistent: true, receiveMaximum: 2000, sessionExpiry: 86_400_000 })
})

/** A TCP hop before a broker that looks at what the client sends, can lose some of it, and can cut its connections. */
async function tap (t: T, to: Broker & { url: string }, sent: (bytes: Buffer) => void, loses: (bytes: Buffer) => boolean = () => false) {
  const sockets = new Set<Socket>()
  const hop = createServer(client => {
    const up = dial(to.port, '127.0.0.1')
    for (const socket of [client, up]) sockets.add(socket.on('error', () => {}).on('close', () => { client.destroy(); up.destroy() }))
    client.on('data', (data: Buffer) => {
      sent(data)
      if (!loses(data)) up.write(data)
    })
    client.on('end', () => up.end())
    up.pipe(client)
  })
  await new Promise<void>(resolve => { hop.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => hop.close())
  return { url: `mqtt://127.0.0.1:${(hop.address() as { port: number }).port}`, direct: to.url, cut: () => { for (const socket of sockets) socket.destroy() } }
}
