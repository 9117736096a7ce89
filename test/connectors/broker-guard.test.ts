import type { Socket } from 'node:net'
import t from 'tap'
import { connect } from 'mqtt'
import { broker } from '../../connectors/broker.ts'
import { client, CONNECT, heard, listen, pause, raw } from '../support/mqtt.ts'
import { read } from '../support/reader.ts'

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
  const bomb = Buffer.alloc(16 * 2 ** 20, 1)
  await Promise.all(sockets.map(async (socket, i) => {
    socket.write(i % 2 === 0 ? Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]) : Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80, 0x01]))
    socket.write(bomb)
    await closed(socket)
  }))
  const grown = (process.memoryUsage().rss - before) / 2 ** 20
  t.ok(grown < 64, `grew by ${grown.toFixed(1)} MB`)
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
  t.match(reader.dead[0], { reason: 'not_allowed', topic: '$SYS/x/new/clients' })
  t.equal(watcher.connected, true)
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

const closed = (socket: Socket): Promise<unknown> => socket.destroyed ? Promise.resolve() : new Promise(resolve => { socket.once('close', resolve) })
