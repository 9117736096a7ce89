import t from 'tap'
import { broker } from '../../connectors/broker.ts'
import { Disk } from '../support/disk.ts'
import { client, CONNECT, folder, heard, listen, pause, raw, TS } from '../support/mqtt.ts'
import { grow, read } from '../support/reader.ts'

t.test('devices publish at QoS 0, 1 and 2, and the readings come with their positions', async t => {
  const { reader, url } = await listen(t)
  const device = await client(t, url)
  for (const qos of [0, 1, 2] as const) await device.publishAsync('acme/p1/flow', JSON.stringify({ value: qos, ts: TS }), { qos })
  await reader.until(() => reader.readings.length === 3)
  t.strictSame(reader.readings.map(({ name, time, value }) => ({ name, time, value })), [0, 1, 2].map(qos => ({ name: 'acme/p1/flow', time: TS, value: qos })))
  t.ok(grow(reader.readings))
  t.equal(reader.received, 3)
})

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

t.test('after a stop the port is free and nothing is read any more', async t => {
  const { reader, port } = await listen(t)
  await reader.stop()
  t.ok(reader.source.trouble())
  const next = read(broker({ port }))
  await next.until(() => next.source.trouble() === undefined)
  await next.stop()
  t.equal(next.error, undefined)
})
