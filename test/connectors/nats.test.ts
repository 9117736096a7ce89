import t from 'tap'
import { connect, headers } from '@nats-io/transport-node'
import { Credits, SeriesTable, sleep, type Delivery, type Source } from '#engine'
import { nats } from '../../connectors/nats.ts'
import { quiet } from '../support/collect.ts'
import { freePort, startNats, withoutNats, type NatsServer } from '../support/nats.ts'

type Options = NonNullable<Parameters<typeof nats>[0]>

/** A source at work on a server; `values` are those received so far. */
function listen (t: { teardown (f: () => void): void }, options: Options, { credits = new Credits(), hold = false } = {}) {
  const series = new SeriesTable(), stop = new AbortController(), { log, lines } = quiet()
  const source: Source = nats(options).open({ pipeline: 'test', series, ahead: 300_000, log, now: Date.now, origin: undefined })
  const deliveries: Delivery[] = []
  const held: Delivery[] = []
  let failure: unknown
  const subscription = source.open(undefined, credits, stop.signal).subscribe({
    next (delivery) {
      deliveries.push(delivery)
      if (hold) held.push(delivery)
      else credits.give(delivery.bytes)
    },
    error (error) { failure = error }
  })
  t.teardown(() => { stop.abort(); subscription.unsubscribe() })
  return {
    source, series, deliveries, lines, stop,
    get failure () { return failure },
    get values () { return deliveries.flatMap(d => [...d.rows.value]) },
    get names () { return deliveries.flatMap(d => Array.from(d.rows.series, s => Object.values(series.name(s)).join('/'))) },
    release () {
      hold = false
      for (const delivery of held.splice(0)) credits.give(delivery.bytes)
    }
  }
}

async function until (what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return
    await sleep(20)
  }
  throw new Error(`10 s have passed and still not: ${what}`)
}

const publisher = async (t: { teardown (f: () => unknown): void }, { url }: NatsServer, options = {}) => {
  const connection = await connect({ servers: url, ...options })
  t.teardown(() => connection.close())
  return connection
}

void t.test('nats source', { skip: withoutNats }, async t => {
  void t.test('subjects become series, payloads readings, positions count messages', async t => {
    const server = await startNats()
    t.teardown(() => server.stop())
    const client = await publisher(t, server)
    const listener = listen(t, { servers: server.url, subject: ['{tenant}.{device}.{metric}', 'plant.{site}.{device}.{metric}'] })
    await until('connected', () => listener.source.trouble() === undefined)
    const stamp = headers()
    stamp.set('ts', '2026-01-05T00:00:00.123456Z')
    client.publish('acme.boiler.temp', '{"ts": 1767225600000.125, "value": 21.5}')
    client.publish('plant.north.pump.flow', '7', { headers: stamp })
    client.publish('acme.boiler.temp', 'broken{')
    client.publish('other', '1')
    await client.flush()
    await until('all have arrived', () => listener.deliveries.reduce((sum, d) => sum + d.messages, 0) === 3)
    t.strictSame(listener.names, ['acme/boiler/temp', 'default/pump/flow'])
    t.strictSame(listener.values, [21.5, 7])
    t.strictSame(listener.deliveries.flatMap(d => [...d.rows.time]), [1767225600000.125, Date.UTC(2026, 0, 5) + 123.456])
    t.strictSame(listener.deliveries.flatMap(d => [...d.rows.position]), [1, 2])
    t.match(listener.deliveries.flatMap(d => d.dead), [{ reason: 'unparseable', position: 3, topic: 'acme.boiler.temp' }])
    t.strictSame(listener.series.tags(listener.series.device('default', 'pump')), { site: 'north' })
  })

  void t.test('a server that is not there at the start is waited for, and one that goes away too; the time without it is told', async t => {
    const port = await freePort()
    const listener = listen(t, { servers: `nats://127.0.0.1:${port}` })
    await until('trouble names the server', () => listener.source.trouble()?.includes(`127.0.0.1:${port} cannot be reached`) ?? false)
    let server = await startNats({ port })
    await until('connected', () => listener.source.trouble() === undefined)
    t.equal(listener.lines.filter(l => l.level === 'error').length, 0, 'nothing was missed before the first connection')
    const client = await publisher(t, server, { maxReconnectAttempts: -1, reconnectTimeWait: 50 })
    client.publish('a.b.c', '1')
    await until('1 has arrived', () => listener.values.length === 1)
    const outage = async (ms: number) => {
      await server.stop()
      await until('trouble names the server', () => listener.source.trouble()?.includes('is gone') ?? false)
      await sleep(ms)
      server = await startNats({ port })
      await until('connected again', () => listener.source.trouble() === undefined)
    }
    t.teardown(() => server.stop())
    await outage(1500)
    await client.flush()
    client.publish('a.b.c', '2')
    await until('2 has arrived', () => listener.values.includes(2))
    await outage(0)
    const errors = listener.lines.filter(l => l.level === 'error').map(l => l.text)
    t.match(errors, [/is gone; messages published from now on are lost/, /listening again; messages of the last/, /is gone/, /listening again/])
    const [long, short] = [errors[1], errors[3]].map(text => Number(/last ([\d.]+) s/.exec(text)![1]))
    t.ok(long >= 1.5 && long < 8 && short < long, `${long} s and ${short} s`)
  })

  void t.test('without room in the engine it goes on up to `buffer`, then unsubscribes, says so, and comes back', async t => {
    const server = await startNats()
    t.teardown(() => server.stop())
    const client = await publisher(t, server)
    const listener = listen(t, { servers: server.url, buffer: 100_000 }, { credits: new Credits({ bytes: 10_000, deliveries: 1 }), hold: true })
    await until('connected', () => listener.source.trouble() === undefined)
    for (let i = 0; i < 5000; i++) client.publish('a.b.c', String(i))
    await client.flush()
    await until('it has given up', () => listener.source.trouble()?.includes('has unsubscribed') ?? false)
    listener.release()
    await until('it is back', () => listener.source.trouble() === undefined)
    client.publish('a.b.c', '-1')
    await until('the last has arrived', () => listener.values.includes(-1))
    const received = listener.values.slice(0, -1)
    t.strictSame(received, received.map((_, i) => i), 'what came before is whole and in order')
    t.ok(received.length > 1000 && received.length < 5000, `${received.length}`)
    t.match(listener.lines.filter(l => l.level === 'error').map(l => l.text), [/100000 bytes beyond its room/, /listening again/])
  })

  void t.test('members of a queue group share the messages', async t => {
    const server = await startNats()
    t.teardown(() => server.stop())
    const client = await publisher(t, server)
    const options = { servers: server.url, queue: 'millrace' }
    t.ok(nats.definition.shares!(nats(options).options as never))
    const a = listen(t, options), b = listen(t, options)
    await until('connected', () => a.source.trouble() === undefined && b.source.trouble() === undefined)
    await sleep(50)
    for (let i = 0; i < 200; i++) client.publish('a.b.c', String(i))
    await until('all have arrived', () => a.values.length + b.values.length === 200)
    t.ok(a.values.length > 0 && b.values.length > 0)
    t.strictSame([...a.values, ...b.values].sort((x, y) => x - y), Array.from({ length: 200 }, (_, i) => i))
  })

  void t.test('a wrong password is told and tried again, the right one works', async t => {
    const server = await startNats({ args: ['--user', 'mill', '--pass', 'race'] })
    t.teardown(() => server.stop())
    const wrong = listen(t, { servers: server.url, user: 'mill', password: 'wrong' })
    const right = listen(t, { servers: server.url, user: 'mill', password: 'race' })
    await until('connected', () => right.source.trouble() === undefined)
    await until('trouble tells', () => /authorization/i.test(wrong.source.trouble() ?? ''))
    t.equal(wrong.failure, undefined)
    t.notOk(wrong.lines.some(l => l.text.includes('wrong')), 'the password is not logged')
  })

  void t.test('nothing is delivered after a stop', async t => {
    const server = await startNats()
    t.teardown(() => server.stop())
    const client = await publisher(t, server)
    const listener = listen(t, { servers: server.url })
    await until('connected', () => listener.source.trouble() === undefined)
    listener.stop.abort()
    client.publish('a.b.c', '1')
    await client.flush()
    await sleep(60)
    t.strictSame(listener.values, [])
  })
})

void t.test('wrong options are refused', async t => {
  t.throws(() => nats({ subject: '{device}.>' }), { message: /">"/ })
  t.throws(() => nats({ subject: ['a.{b}', 'a.{b}.{b}'] }), { message: /twice/ })
  t.throws(() => nats({ fields: {} }), { message: /neither a value nor metrics/ })
})
