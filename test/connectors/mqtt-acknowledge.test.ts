import t from 'tap'
import { MqttClient } from 'mqtt'
import { Acks } from '../../connectors/mqtt-acks.ts'
import { Disk } from '../support/disk.ts'
import { client, folder, needed, pause, ready, real, say, source, tap } from '../support/mqtt.ts'
import { grow, type Reader } from '../support/reader.ts'

const sessionsLost = (reader: Reader) => reader.lines.filter(l => /no session of ours/.test(l.msg as string)).map(l => l.sessionsLost)

t.test('no PUBACK goes out before the sync of the log: after a lost connection those messages come again, and are in the log once', needed, async t => {
  const running = await real(t), disk = new Disk()
  let pubacks = 0
  const proxy = await tap(t, running, packet => { if (packet[0] === 0x40) pubacks += packet.length / 4 })
  const reader = source(t, { url: proxy.url, protocolVersion: 4 }, { log: { fs: disk.fs } })
  t.teardown(() => disk.release())   // else a failure before it would never end
  await ready(reader)
  const journal = (await reader.journal)!, { bytes } = journal.wal
  disk.hold()
  const device = await client(t, running.url)
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
  const device = await client(t, running.url)
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
  const device = await client(t, running.url)
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
  const device = await client(t, proxy.direct)
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
