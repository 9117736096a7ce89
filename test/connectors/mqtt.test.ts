import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { broker } from '../../connectors/broker.ts'
import { mqtt } from '../../connectors/mqtt.ts'
import { certificates, freePort, mosquitto } from '../support/mosquitto.ts'
import { client, folder, needed, pause, ready, real, say, source, TS } from '../support/mqtt.ts'
import { grow, read, type Reader } from '../support/reader.ts'

const sessionsLost = (reader: Reader) => reader.lines.filter(l => /no session of ours/.test(l.msg as string)).map(l => l.sessionsLost)

for (const protocolVersion of [5, 4] as const) {
  for (const qos of [0, 1] as const) {
    t.test(`readings come through a broker by version ${protocolVersion} at QoS ${qos}`, needed, async t => {
      const { url } = await real(t)
      const reader = source(t, { url, protocolVersion, qos, topic: undefined, topics: ['{tenant}/{device}/{metric}', 'site/{site}/line/{device}'] })
      await ready(reader)
      const device = await client(t, url)
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
  const device = await client(t, `mqtt://127.0.0.1:${port}`)
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
  const device = await client(t, running.url)
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
    const device = await client(t, url)
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
  const device = await client(t, url, { ca: readFileSync(files.ca), cert: readFileSync(files.clientCert), key: readFileSync(files.clientKey) })
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
    const device = await client(t, url)
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
  const device = await client(t, url, { protocolVersion: 5 })
  await device.publishAsync('acme/p1/flow', '7', { qos: 1, properties: { userProperties: { ts: String(TS) } } })
  await device.publishAsync('acme/p1/flow', '8', { qos: 1 })
  await reader.until(() => reader.received === 2)
  t.equal(reader.readings[0].time, TS)
  t.ok(reader.readings[1].time > TS)
})

t.test('while the log has no room nothing more is read, the connection lives on, and nothing is lost', needed, async t => {
  const running = await real(t, { config: 'max_queued_messages 0\nmax_inflight_messages 0' })
  const budget = 2_000_000
  const reader = source(t, { url: running.url, keepalive: '2s', receiveMaximum: 65_535 }, { commit: false, log: { budget } })
  await ready(reader)
  const journal = (await reader.journal)!
  const device = await client(t, running.url)
  const total = 8000
  for (let i = 0; i < total; i++) device.publish('acme/p1/flow', say(i).padEnd(400), { qos: 1 })
  await pause(5000)
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

t.test('options that do not fit are refused with a sentence', async t => {
  for (const [given, message] of [
    [{}, /topics \(or topic\)/], [{ topic: 'a/{device}', topics: 'b/{device}' }, /topics \(or topic\)/], [{ topic: '+/x' }, /"\+\/x"/],
    [{ topic: '{device}', cert: 'x' }, /cert and key/], [{ topic: '{device}', url: 'http://x' }, /url/], [{ topic: '{device}', qos: 2 }, /qos/],
    [{ topic: '{device}', fields: {} }, /fields/], [{ topic: '{device}', share: 'a/b' }, /share/]
  ] as const) t.throws(() => mqtt(given as object), { message }, JSON.stringify(given))
  t.match(mqtt({ topics: ['{device}/x', 'y/{device}'] }).options, { qos: 1, protocolVersion: 5, persistent: true, receiveMaximum: 2000, sessionExpiry: 86_400_000 })
})
