import t from 'tap'
import { RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { Credits, sleep } from '#engine'
import { placeOf } from '../../connectors/jetstream-pull.ts'
import { advice, atLeast, originOf, overlap, siftedBy } from '../../connectors/jetstream-stream.ts'
import { jetstream } from '../../connectors/jetstream.ts'
import { make, read, serve, still, until, upTo } from '../support/jetstream.ts'
import { freePort, withoutNats } from '../support/nats.ts'

void t.test('jetstream source', { skip: withoutNats }, async t => {
  void t.test('messages come in the order of the stream, with its sequence as position and its time as arrival; subjects become names', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    const stamp = headers()
    stamp.set('ts', '2026-01-05T00:00:00.123456Z')
    const before = Date.now()
    await publish(['{"ts": 1767225600000.125, "value": 21.5}'], 't.acme.boiler%201%2Ea.temp')
    await publish(['7'], 't.acme.pump.flow%', { headers: stamp })
    await publish(['broken{', Buffer.from([0xff, 0x00, 0x31])], 't.acme.boiler.temp')
    await publish(['9'], 't.acme.pump.flow%')
    const reader = read(t, { servers: server.url, subject: 't.{tenant}.{device}.{metric}' })
    t.equal(reader.source.trouble(), 'jetstream is not connected yet')
    t.equal(reader.source.now!(), 1, 'the clock of the engine before the first message')
    await until('all have arrived', () => reader.deliveries.reduce((sum, d) => sum + d.messages, 0) === 5)
    t.equal(reader.source.trouble(), undefined)
    t.strictSame(reader.names, ['acme/boiler 1.a/temp', 'acme/pump/flow%', 'acme/pump/flow%'])
    t.strictSame(reader.values, [21.5, 7, 9])
    t.strictSame(reader.positions, [1, 2, 5])
    const arrivals = await Promise.all([1, 2, 5].map(async seq => Date.parse((await jsm.streams.getMessage('S', { seq }))!.timestamp)))
    const ingests = reader.deliveries.flatMap(d => [...d.rows.ingest])
    t.strictSame(ingests.map(Math.floor), arrivals, 'the server\'s time')
    t.ok(ingests.some(ms => ms % 1 !== 0), 'with a fraction')
    t.strictSame(reader.deliveries.flatMap(d => [...d.rows.time]).slice(0, 2), [1767225600000.125, Date.UTC(2026, 0, 5) + 123.456])
    const dead = reader.deliveries.flatMap(d => d.dead)
    t.match(dead, [{ reason: 'unparseable', position: 3, topic: 't.acme.boiler.temp' }, { reason: 'unparseable', position: 4, topic: 't.acme.boiler.temp' }])
    t.strictSame(dead.map(d => Buffer.from(d.payload).toString('hex')), [Buffer.from('broken{').toString('hex'), 'ff0031'])
    const now = reader.source.now!()
    t.ok(now >= before && now < before + 60_000)
    await sleep(50)
    t.ok(reader.source.now!() >= now + 40, 'with nothing more to read its clock runs')
    t.match(reader.source.origin!(), /^jetstream:S@\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
  })

  void t.test('goes on after the committed position, and a second reading gives the same', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish(upTo(100))
    const first = read(t, { servers: server.url })
    await until('100', () => first.values.length === 100)
    const origin = first.source.origin!()
    await first.end()
    await publish(upTo(150, 101))
    const second = read(t, { servers: server.url }, { from: 60, origin })
    await until('150', () => second.values.includes(150))
    t.strictSame(second.values, upTo(150, 61))
    t.strictSame(second.positions, upTo(150, 61))
    const ingests = (r: typeof first) => r.deliveries.flatMap(d => [...d.rows.ingest])
    t.strictSame(ingests(second).slice(0, 40), ingests(first).slice(60))
    t.equal(second.source.events!().record_lost, 0)
  })

  void t.test('without room in the engine it asks for nothing more, and goes on later', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish(upTo(12_000))
    const reader = read(t, { servers: server.url }, { credits: new Credits({ bytes: 100_000, deliveries: 1 }), hold: true })
    await until('some have come', () => reader.credits.used > 100_000)
    const used = await still(() => reader.credits.used)
    t.ok(used < 12_000 * 100 / 2, `${used} bytes taken`)
    const now = reader.source.now!()
    await sleep(500)
    t.equal(reader.credits.used, used, 'nothing more')
    t.equal(reader.source.now!(), now, 'its clock stands still: there is more to read')
    reader.release()
    await until('all', () => reader.values.length === 12_000)
    t.strictSame(reader.values, upTo(12_000))
  })

  void t.test('a server that is killed and comes back: no gap, nothing twice', async t => {
    const server = await serve(t)
    await make((await server.client()).jsm)
    const reader = read(t, { servers: server.url })
    for (let round = 0; round < 4; round++) {
      const before = reader.values.length
      await (await server.client()).publish(upTo((round + 1) * 3000, round * 3000 + 1))
      await until('some', () => reader.values.length > before)
      await server.kill()
      await until('trouble', () => reader.source.trouble() !== undefined)
      await sleep(200)
      await server.start()
      await until('well', () => reader.source.trouble() === undefined)
    }
    await (await server.client()).publish([0])
    await until('all', () => reader.values.includes(0))
    t.strictSame(reader.values, [...upTo(12_000), 0])
    t.strictSame(reader.positions, upTo(12_001))
    t.equal(reader.source.events!().record_lost, 0)
  })

  void t.test('a server that hangs is noticed, and read again when it wakes up', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish(upTo(12_000))
    const reader = read(t, { servers: server.url })
    await until('some', () => reader.values.length > 0)
    server.signal('SIGSTOP')
    await still(() => reader.values.length)        // what was on the way
    const now = reader.source.now!()
    t.ok(reader.values.length < 12_000, 'stopped on the way')
    await sleep(100)
    t.equal(reader.source.now!(), now, 'its clock stands still: there is more to read')
    await until('trouble', () => reader.source.trouble() !== undefined)
    server.signal('SIGCONT')
    await until('all', () => reader.values.length >= 12_000)
    t.strictSame(reader.values, upTo(12_000))
  })

  void t.test('messages that the consumer delivered to somebody else are read again, in their place', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    const large = Buffer.alloc(1_000_000, 32)
    await publish([large, large, large, ...upTo(20, 4)])
    const reader = read(t, { servers: server.url }, { credits: new Credits({ bytes: 1, deliveries: 1 }), hold: true })
    await until('the first', () => reader.deliveries.length > 0)
    await still(() => reader.credits.used)         // its request is over, by its bytes
    const [{ name }] = await jsm.consumers.list('S').next()
    let stolen = 0
    for await (const _ of await (await jsm.jetstream().consumers.get('S', name)).fetch({ max_messages: 5, expires: 2000 })) stolen++
    t.equal(stolen, 5)
    reader.release()
    await until('20', () => reader.values.includes(20))
    t.strictSame(reader.positions, upTo(20, 4))
    t.strictSame(reader.deliveries.flatMap(d => d.dead.map(l => l.position)), [1, 2, 3])
    t.equal(reader.source.events!().record_lost, 0)
    t.match(reader.warnings.at(-1), /message \d of the consumer is missing/)
  })

  void t.test('a consumer that is deleted is made again', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish(upTo(10))
    const reader = read(t, { servers: server.url })
    await until('10', () => reader.values.length === 10)
    for (const { name } of await jsm.consumers.list('S').next()) await jsm.consumers.delete('S', name)
    await publish(upTo(20, 11))
    await until('20', () => reader.values.length >= 20)
    t.strictSame(reader.values, upTo(20))
  })

  void t.test('a message of the largest size comes through, however little room there is', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish([Buffer.alloc(1_048_000, 32), '1'])
    const reader = read(t, { servers: server.url }, { credits: new Credits({ bytes: 1, deliveries: 1 }) })
    await until('1', () => reader.values.length === 1)
    t.match(reader.deliveries.flatMap(d => d.dead), [{ reason: 'too_large', position: 1 }])
  })

  void t.test('several subjects, also those that overlap', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    const apart = read(t, { servers: server.url, subject: ['t.plant.{device}.{metric}', 't.{device}.{metric}'] })
    const across = read(t, { servers: server.url, subject: ['t.plant.{device}.{metric}', 't.{tenant}.{device}.up'] })
    await until('reading', () => apart.source.trouble() === undefined && across.source.trouble() === undefined)
    await publish([1], 't.plant.pump.up')
    await publish([2], 't.pump.flow')
    await publish([3], 't.acme.pump.up')
    await publish([4], 't.a.b.c.d')
    await publish([5], 't.plant.pump.flow')
    await until('5', () => apart.values.includes(5) && across.values.includes(5))
    t.strictSame(apart.values, [1, 2, 5])
    t.strictSame(across.values, [1, 3, 5])
    t.strictSame([...apart.deliveries, ...across.deliveries].flatMap(d => d.dead), [])
  })

  void t.test('of one subject the server leaves the others out, unless it is one that counts what is pending anew with each message then', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    const reader = read(t, { servers: server.url })
    await until('reading', () => reader.source.trouble() === undefined)
    await publish([1])
    await publish([2], 't.pump.flow')
    await publish([3])
    await until('3', () => reader.values.includes(3))
    t.strictSame(reader.positions, [1, 3])
    t.strictSame(reader.deliveries.flatMap(d => d.dead), [])
    const [{ config }] = await jsm.consumers.list('S').next()
    t.equal(config.filter_subject, atLeast(await server.version(), '2.9.15') ? 't.*.*.*' : undefined)
  })

  void t.test('a durable consumer shows how far the commits are; one of somebody else is left alone', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish(upTo(10))
    const lag = async () => {
      const { ack_floor, num_ack_pending, num_pending } = await jsm.consumers.info('S', 'lag')
      return { floor: ack_floor.stream_seq, unacked: num_ack_pending, pending: num_pending }
    }
    const first = read(t, { servers: server.url, durable: 'lag' }, { hold: true })
    await until('10', () => first.values.length === 10)
    t.strictSame(await lag(), { floor: 0, unacked: 10, pending: 0 })
    first.release()
    await until('acknowledged', async () => (await lag()).floor === 10)
    await first.end()
    await publish(upTo(15, 11))
    t.strictSame(await lag(), { floor: 10, unacked: 0, pending: 5 }, 'while away')
    const second = read(t, { servers: server.url, durable: 'lag' }, { from: 7 })
    await until('15', () => second.values.includes(15))
    t.strictSame(second.values, upTo(15, 8), 'the position counts, not what was acknowledged')
    await until('acknowledged', async () => (await lag()).floor === 15)
    await jsm.consumers.add('S', { durable_name: 'theirs', ack_policy: 'explicit' })
    const third = read(t, { servers: server.url, durable: 'theirs' })
    await until('stopped', () => third.failure !== undefined)
    t.match(third.failure, { code: 'source/unsuitable', message: /theirs/ })
    t.ok(await jsm.consumers.info('S', 'theirs'))
  })

  void t.test('a stream that loses messages by design is refused, one in memory is warned of, one that is not there is waited for', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    const waiting = read(t, { servers: server.url })
    await until('it tells', () => /cannot read S at .*: stream not found/i.test(waiting.source.trouble() ?? ''))
    await make(jsm, { storage: StorageType.Memory })
    await publish([1])
    await until('1', () => waiting.values.includes(1))
    t.ok(waiting.warnings.some(w => /S is kept in memory/.test(w)))
    for (const retention of [RetentionPolicy.Workqueue, RetentionPolicy.Interest]) {
      await jsm.streams.delete('S')
      await make(jsm, { retention })
      const refused = read(t, { servers: server.url })
      await until('refused', () => refused.failure !== undefined)
      t.match(refused.failure, { code: 'source/unsuitable', message: new RegExp(retention) })
    }
  })

  void t.test('a server that is not there is waited for; an old one is warned of once', async t => {
    const port = await freePort()
    const reader = read(t, { servers: `nats://127.0.0.1:${port}` })
    await until('trouble', () => reader.source.trouble()?.includes(`127.0.0.1:${port}`) ?? false)
    t.equal(reader.failure, undefined)
  })

  void t.test('nothing is delivered after a stop, and a stop while nothing comes does not wait', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    const reader = read(t, { servers: server.url })
    await until('reading', () => reader.source.trouble() === undefined)
    const began = performance.now()
    await reader.end()
    t.ok(performance.now() - began < 15_000, 'not the 30 s that a request stands')
    await publish([1])
    await sleep(60)
    t.strictSame(reader.values, [])
  })

  void t.test('many messages are asked for as soon as there is room, not when a request has run out', async t => {
    const server = await serve(t), { jsm, publish } = await server.client()
    await make(jsm)
    await publish(upTo(10_000))
    const began = performance.now()
    const reader = read(t, { servers: server.url })
    await until('all', () => reader.values.length === 10_000)
    const seconds = (performance.now() - began) / 1000
    t.ok(seconds < 25, `${seconds} s, not the 30 s that a request stands`)
    t.strictSame(reader.values, upTo(10_000))
  })
})

void t.test('places, origins, versions and subjects are read as servers write them', async t => {
  t.strictSame(placeOf('$JS.ACK.S.c.1.7.3.1795932322200697123.5'), { seq: 7, delivery: 3, time: 1795932322200.697, pending: 5 })
  t.strictSame(placeOf('$JS.ACK.hub.hash.S.c.1.7.3.1795932322200697123.5.token'), { seq: 7, delivery: 3, time: 1795932322200.697, pending: 5 })
  t.equal(originOf('S', '2026-01-05T00:00:00.12Z'), 'jetstream:S@2026-01-05T00:00:00.120000000Z')
  t.equal(originOf('S', '2026-01-05T00:00:00Z'), 'jetstream:S@2026-01-05T00:00:00.000000000Z')
  t.strictSame(['2.9.10', '2.10.0-beta.1', '2.10.0', '2.11.1', '3.0.0'].map(v => atLeast(v, '2.10.0')), [false, true, true, true, true])
  t.match(advice('2.9.10'), /can lose streams/)
  t.strictSame(['2.10.27', '2.11.15', '2.12.6'].map(v => /known security holes/.test(advice(v)!) && !/lose/.test(advice(v)!)), [true, true, true])
  t.strictSame(['2.11.16', '2.12.7', '2.14.0'].map(advice), [undefined, undefined, undefined])
  t.strictSame(['2.9.10', '2.9.15', '2.10.0'].map(v => siftedBy(v, ['t.*'])), [undefined, { filter_subject: 't.*' }, { filter_subject: 't.*' }])
  t.strictSame(['2.9.15', '2.10.0'].map(v => siftedBy(v, ['t.*', 't.*.up'])), [undefined, { filter_subjects: ['t.*', 't.*.up'] }])
  t.equal(siftedBy('2.10.0', ['t.*.up', 't.a.*']), undefined)
  t.strictSame([overlap('t.*.up', 't.a.*'), overlap('t.*.up', 't.*.down'), overlap('t.*', 't.*.*')], [true, false, false])
})

void t.test('wrong options are refused', async t => {
  t.throws(() => jetstream({ stream: 'S', subject: '{device}.>' }), { message: /">"/ })
  t.throws(() => jetstream({ stream: 'a.b' }), { message: /stream/ })
  t.throws(() => jetstream({ stream: 'S', fields: {} }), { message: /neither a value nor metrics/ })
})
