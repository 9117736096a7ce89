import { mkdtempSync, rmSync } from 'node:fs'
import { connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connect, type MqttClient } from 'mqtt'
import { broker } from '../../connectors/broker.ts'
import { Disk } from '../support/disk.ts'
import { grow, read, type Reader } from '../support/reader.ts'

const TS = Date.now() - 1000

async function listen (t: { teardown (f: () => unknown): void }, options: Record<string, unknown> = {}, setting: Parameters<typeof read>[1] = {}): Promise<{ reader: Reader, url: string, port: number }> {
  const reader = read(broker({ port: 0, ...options }), setting)
  t.teardown(() => reader.stop())
  await reader.until(() => reader.source.trouble() === undefined)
  const url = reader.source.address!()!
  return { reader, url, port: Number(new URL(url).port) }
}

async function client (t: { teardown (f: () => unknown): void }, url: string, options = {}): Promise<MqttClient> {
  const client = connect(url, { reconnectPeriod: 0, ...options })
  t.teardown(() => { client.end(true) })
  await new Promise((resolve, reject) => { client.once('connect', resolve).once('error', reject) })
  return client
}

const pause = (ms: number) => new Promise(resolve => { setTimeout(resolve, ms) })

t.test('devices publish at QoS 0, 1 and 2, and the readings come with their positions', async t => {
  const { reader, url } = await listen(t)
  const device = await client(t, url)
  for (const qos of [0, 1, 2] as const) await device.publishAsync('acme/p1/flow', JSON.stringify({ value: qos, ts: TS }), { qos })
  await reader.until(() => reader.readings.length === 3)
  t.strictSame(reader.readings.map(({ name, time, value }) => ({ name, time, value })), [0, 1, 2].map(qos => ({ name: 'acme/p1/flow', time: TS, value: qos })))
  t.ok(grow(reader.readings))
  t.equal(reader.received, 3)
})

for (const qos of [1, 2] as const) {
  t.test(`at QoS ${qos} the acknowledgement goes out when the message is durable in the log and not before`, async t => {
    const disk = new Disk()
    const { reader, url } = await listen(t, {}, { commit: false, log: { fs: disk.fs } })
    t.teardown(() => disk.release())
    const device = await client(t, url)
    disk.hold()
    let acknowledged = 0
    for (let i = 0; i < 5; i++) device.publish('acme/p1/flow', `${i}`, { qos }, error => { if (!error) acknowledged++ })
    await pause(300)
    t.equal(acknowledged, 0)
    t.equal(reader.received, 0)
    disk.release()
    await reader.until(() => acknowledged === 5)
    await reader.until(() => reader.readings.length === 5)
    t.equal(reader.source.trouble(), undefined)
  })
}

t.test('a stop makes durable what was heard, and acknowledges it; the next start has it', async t => {
  const disk = new Disk(), log = { folder: folder(t) }
  const { reader, url } = await listen(t, {}, { log: { ...log, fs: disk.fs } })
  t.teardown(() => disk.release())
  const device = await client(t, url)
  disk.hold()
  const acknowledged: string[] = []
  for (const name of ['a', 'b']) device.publish(`acme/p1/${name}`, '1', { qos: 1 }, error => { if (!error) acknowledged.push(name) })
  await pause(100)
  const stopped = reader.stop()
  await pause(100)
  t.strictSame(acknowledged, [])
  disk.release()
  await stopped
  await reader.until(() => acknowledged.length === 2)
  const again = await listen(t, {}, { log })
  await again.reader.until(() => again.reader.received === 2)
  t.strictSame(again.reader.readings.map(r => r.name), ['acme/p1/a', 'acme/p1/b'])
})

t.test('what the disk refuses is not acknowledged, by a stop neither', async t => {
  const disk = new Disk()
  const { reader, url } = await listen(t, {}, { log: { fs: disk.fs } })
  const device = await client(t, url)
  let acknowledged = 0
  disk.full = true
  device.publish('acme/p1/a', '1', { qos: 1 }, error => { if (!error) acknowledged++ })
  await reader.until(() => /no space/.test(reader.source.trouble() ?? ''))
  await reader.stop()
  await pause(100)
  t.equal(acknowledged, 0)
})

t.test('positions go on where the log of the last run ended', async t => {
  const log = { folder: folder(t) }
  const first = await listen(t, {}, { log })
  await (await client(t, first.url)).publishAsync('acme/p1/flow', '1', { qos: 1 })
  await first.reader.until(() => first.reader.received === 1)
  await first.reader.stop()
  const second = await listen(t, {}, { log, from: first.reader.upTo })
  await (await client(t, second.url)).publishAsync('acme/p1/flow', '2', { qos: 1 })
  await second.reader.until(() => second.reader.received === 1)
  t.equal(second.reader.readings[0].value, 2)
  t.ok(grow([...first.reader.readings, ...second.reader.readings]))
})

t.test('a device that sends again what it had no PUBACK for is acknowledged, and stored once', async t => {
  const { reader, port } = await listen(t)
  const again = (dup: number) => Buffer.concat([Buffer.from([0x32 | dup << 3, 17, 0, 12]), Buffer.from('acme/p1/flow'), Buffer.from([0, 9]), Buffer.from('7')])
  const one = await raw(port)
  one.write(CONNECT)
  await heard(one)
  one.write(again(0))
  t.strictSame(await heard(one), Buffer.from([0x40, 2, 0, 9]))
  one.destroy()
  const two = await raw(port)
  two.write(CONNECT)
  await heard(two)
  two.write(again(1))
  t.strictSame(await heard(two), Buffer.from([0x40, 2, 0, 9]))
  two.write(again(0))
  t.strictSame(await heard(two), Buffer.from([0x40, 2, 0, 9]))
  await reader.until(() => reader.received === 2)
  t.equal((await reader.journal)!.suppressed, 1, 'what does not say that it comes again is another message')
})

t.test('what a device sends after it has taken leave of a clean session is new, whatever it says', async t => {
  const { reader, port } = await listen(t)
  const session = async (clean: boolean, goodbye: boolean, dup: number) => {
    const socket = await raw(port), connect = Buffer.from(CONNECT)
    connect[9] = clean ? 2 : 0
    socket.write(connect)
    await heard(socket)
    socket.write(Buffer.concat([Buffer.from([0x32 | dup << 3, 17, 0, 12]), Buffer.from('acme/p1/flow'), Buffer.from([0, 1]), Buffer.from('7')]))
    await heard(socket)
    if (goodbye) socket.end(Buffer.from([0xe0, 0]))
    else socket.destroy()
    await pause(50)
  }
  const journal = (await reader.journal)!
  await session(true, true, 0)
  await session(true, true, 1)
  t.equal(journal.suppressed, 0, 'a clean session that ended well')
  await session(true, false, 0)
  await session(true, false, 1)
  t.equal(journal.suppressed, 1, 'a connection that was lost')
  await session(false, true, 1)
  t.equal(journal.suppressed, 2, 'a session that is kept')
  await reader.until(() => reader.received === 3)
})

t.test('every kind of bad input is a dead letter with its bytes, its reason and its position, and is acknowledged', async t => {
  const { reader, url } = await listen(t, { maxPayload: 3000 })
  const device = await client(t, url)
  const bad: [string, string, string | Buffer][] = [
    ['unparseable', 'acme/p1/flow', '{"value":'],
    ['unparseable', 'acme/p1/flow', Buffer.from([0xc3, 0x28])],
    ['unparseable', 'acme/p1/flow', ''],
    ['wrong_shape', 'acme/p1/flow', '[]'],
    ['not_a_number', 'acme/p1/flow', '{"value":"on"}'],
    ['not_finite', 'acme/p1/flow', '{"value":1e999}'],
    ['unsafe_integer', 'acme/p1/flow', '{"value":9007199254740993}'],
    ['too_deep', 'acme/p1/flow', '['.repeat(500) + ']'.repeat(500)],
    ['too_large', 'acme/p1/flow', `"${'x'.repeat(3000)}"`],
    ['topic_mismatch', 'acme/p1', '1'],
    ['bad_name', 'acme//flow', '1'],
    ['forbidden_key', 'acme/__proto__/flow', '1'],
    ['forbidden_key', 'acme/p1/flow', '{"__proto__":{}}'],
    ['bad_time', 'acme/p1/flow', '{"value":1,"ts":"soon"}'],
    ['future', 'acme/p1/flow', JSON.stringify({ value: 1, ts: Date.now() + 3_600_000 })]
  ]
  for (const [, topic, payload] of bad) await device.publishAsync(topic, payload, { qos: 1 })
  await reader.until(() => reader.dead.length === bad.length)
  t.ok(grow(reader.dead))
  t.strictSame(reader.dead.map(d => [d.reason, d.topic, Buffer.from(d.payload).toString('latin1')]),
    bad.map(([reason, topic, payload]) => [reason, topic, Buffer.from(payload).subarray(0, reason === 'too_large' ? 1024 : 3000).toString('latin1')]))
  t.equal(reader.received, bad.length)
  await device.publishAsync('acme/p1/flow', '1', { qos: 1 })
  await reader.until(() => reader.readings.length > 0)
  t.equal(reader.readings.length, 1, 'and the next reading goes on as ever')
})

t.test('a packet that declares too much is cut before it is read, and kept as a dead letter when a device sent it', async t => {
  const { reader, port, url } = await listen(t)
  const device = await raw(port)
  device.write(CONNECT)
  await heard(device)
  device.write(Buffer.concat([Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 12]), Buffer.from('acme/p1/flow'), Buffer.alloc(5000, 'x')]))
  await closed(device)
  await reader.until(() => reader.dead.length === 1)
  t.match(reader.dead[0], { reason: 'too_large', topic: 'acme/p1/flow', detail: /268435455 bytes/ })
  t.equal(reader.dead[0].payload.length, 1010)
  const other = await client(t, url)
  await other.publishAsync('acme/p1/flow', `"${'x'.repeat(262_142)}"`, { qos: 1 })
  await reader.until(() => reader.dead.length === 2)
  t.equal(reader.dead[1].reason, 'not_a_number', 'a payload of the allowed size passes')
})

t.test('a socket that declares 268 MB without having said who it is costs no memory and is cut', async t => {
  const { reader, port } = await listen(t)
  const sockets = await Promise.all(Array.from({ length: 20 }, () => raw(port)))
  const before = process.memoryUsage().rss
  const bomb = Buffer.alloc(4 * 2 ** 20, 1)
  await Promise.all(sockets.map(async (socket, i) => {
    socket.write(i % 2 === 0 ? Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]) : Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80, 0x01]))
    socket.write(bomb)
    await closed(socket)
  }))
  const grown = (process.memoryUsage().rss - before) / 2 ** 20
  t.ok(grown < 16, `grew by ${grown.toFixed(1)} MB`)
  t.equal(reader.received, 0, 'noise on the port is not a reading')
  t.ok(reader.lines.some(l => l.declared === 268_435_455 && l.limit === 8192))
})

t.test('a header is read the same however the bytes are cut', async t => {
  const { reader, port } = await listen(t)
  const device = await raw(port)
  const publish = (value: string) => Buffer.concat([Buffer.from([0x30, 14 + value.length, 0, 12]), Buffer.from(`acme/p1/flow${value}`)])
  const long = Buffer.concat([Buffer.from([0x30, 0x80 | ((14 + 300) & 127), (14 + 300) >> 7, 0, 12]), Buffer.from(`acme/p1/flow${' '.repeat(299)}7`)])
  for (const byte of Buffer.concat([CONNECT, publish('1'), Buffer.from([0xc0, 0]), long, publish('2')])) {
    device.write(Buffer.from([byte]))
    await pause(0)
  }
  await reader.until(() => reader.readings.length === 3)
  t.strictSame(reader.readings.map(r => r.value), [1, 7, 2])
})

t.test('what a payload holds is never taken for a header', async t => {
  const { reader, port } = await listen(t)
  const device = await raw(port)
  device.write(CONNECT)
  await heard(device)
  const length = 14 + 3000
  device.write(Buffer.concat([Buffer.from([0x30, 0x80 | (length & 127), length >> 7, 0, 12]), Buffer.from('acme/p1/flow'), Buffer.alloc(1000, 0xff)]))
  await pause(50)
  device.write(Buffer.alloc(1000, 0xff))
  await pause(50)
  device.write(Buffer.concat([Buffer.alloc(1000, 0xff), Buffer.from([0x30, 15, 0, 12]), Buffer.from('acme/p1/flow5')]))
  await reader.until(() => reader.received === 2)
  t.match(reader.dead, [{ reason: 'unparseable' }])
  t.match(reader.readings, [{ value: 5 }])
})

t.test('a connection that does not begin with CONNECT, or names itself too long, is refused', async t => {
  const { reader, port, url } = await listen(t)
  const socket = await raw(port)
  socket.write('GET / HTTP/1.1\r\n\r\n')
  await closed(socket)
  await t.rejects(new Promise((resolve, reject) => { connect(url, { clientId: 'x'.repeat(129), reconnectPeriod: 0 }).on('connect', resolve).on('close', () => reject(new Error('closed'))) }))
  await client(t, url, { clientId: 'x'.repeat(128) })
  t.equal(reader.received, 0)
})

t.test('no more connections from one address than allowed', async t => {
  const { port, url } = await listen(t, { maxConnections: 2 })
  const first = await raw(port)
  await client(t, url)
  const third = await raw(port)
  await closed(third)
  first.destroy()
  await closed(first)
  await pause(50)
  await client(t, url)
  t.ok(true, 'a closed one makes room')
})

t.test('people may watch topics, but not everything at once, and devices may not play the broker', async t => {
  const { reader, url } = await listen(t)
  const watcher = await client(t, url, { clean: false, clientId: 'watcher' })
  const granted = async (filter: string) => (await watcher.subscribeAsync(filter, { qos: 1 }).catch((error: { packet: { granted: number[] } }) => [{ qos: error.packet.granted[0] }]))[0].qos
  t.equal(await granted('#'), 128)
  t.equal(await granted('$SYS/#'), 128)
  t.equal(await granted('acme/+/flow'), 1)
  const device = await client(t, url, { clientId: 'device' })
  const seen = new Promise<string>(resolve => { watcher.on('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`)) })
  await device.publishAsync('acme/p1/flow', '1', { qos: 1, retain: true })
  t.equal(await seen, 'acme/p1/flow 1')
  const late = await client(t, url)
  let retained = 0
  late.on('message', () => retained++)
  await late.subscribeAsync('acme/+/flow')
  await pause(100)
  t.equal(retained, 0, 'retained messages are not kept')
  const gone = new Promise<void>(resolve => { device.on('close', () => resolve()) })
  device.publish('$SYS/x/new/clients', 'watcher', { qos: 1 })
  await gone
  await reader.until(() => reader.dead.length === 1)
  t.match(reader.dead[0], { reason: 'topic_mismatch', topic: '$SYS/x/new/clients' })
  t.equal(watcher.connected, true)
})

t.test('while the log has no room, devices wait and nothing is lost', async t => {
  const budget = 200_000
  const { reader, url } = await listen(t, { maxPayload: 10_000 }, { commit: false, log: { budget } })
  const journal = (await reader.journal)!
  const device = await client(t, url)
  const payload = JSON.stringify({ value: 1, ts: TS, pad: false })
  const total = 5000
  for (let i = 0; i < total; i++) device.publish('acme/p1', payload.padEnd(100), { qos: 0 })
  await pause(500)
  t.ok(reader.received < 2000, `${reader.received} of ${total} were read`)
  t.ok(journal.wal.bytes <= budget * 1.125, `${journal.wal.bytes} bytes are in the log`)
  await reader.until(() => { void reader.commit(); return reader.received === total })
  t.equal(reader.received, total)
})

t.test('listening on more than loopback is refused, a taken port is an error that says so', async t => {
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org']) t.throws(() => broker({ host }), { code: 'config/exposed', message: new RegExp(host) })
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) t.equal(broker({ host }).options.host, host)
  t.throws(() => broker({ topics: 'a/#' }), { code: 'config/invalid', message: /"a\/#"/ })
  const { port } = await listen(t)
  const second = read(broker({ port }))
  await second.until(() => second.error !== undefined)
  t.match(second.error, { code: 'source/listen', message: new RegExp(`127.0.0.1:${port}`), help: /another program/ })
  await second.stop()
})

t.test('after a stop the port is free and nothing is read any more', async t => {
  const { reader, port } = await listen(t)
  await reader.stop()
  t.ok(reader.source.trouble())
  const next = read(broker({ port }))
  await next.until(() => next.source.trouble() === undefined)
  await next.stop()
  t.equal(next.error, undefined)
})

function folder (t: { teardown (f: () => unknown): void }): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-broker-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return join(path, 'log')
}
const CONNECT = Buffer.concat([Buffer.from([0x10, 14, 0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 60, 0, 2]), Buffer.from('d1')])
const raw = (port: number): Promise<Socket> => new Promise((resolve, reject) => {
  const socket = dial(port, '127.0.0.1', () => resolve(socket)).once('error', reject)
  socket.on('error', () => {}).resume()
})
const heard = (socket: Socket): Promise<unknown> => new Promise(resolve => { socket.once('data', resolve) })
const closed = (socket: Socket): Promise<unknown> => socket.destroyed ? Promise.resolve() : new Promise(resolve => { socket.once('close', resolve) })
