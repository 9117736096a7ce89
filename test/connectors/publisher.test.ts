import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Aedes } from 'aedes'
import { connect } from 'mqtt'
import t from 'tap'
import { sleep } from '#engine'
import { publishFleet } from '../../connectors/publisher.ts'
import { quiet } from '../support/collect.ts'
import { freePort, mosquitto, noMosquitto } from '../support/mosquitto.ts'

interface Message { readonly topic: string, readonly qos: number, readonly ts: number, readonly value: number }

/** Everything that is published to a broker from now on. */
async function subscribe (t: { teardown (f: () => unknown): void }, { port }: { readonly port: number }): Promise<Message[]> {
  const messages: Message[] = []
  const client = connect(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 50 })
  t.teardown(() => client.endAsync(true))
  client.on('message', (topic, payload, { qos }) => { messages.push({ topic, qos, ...JSON.parse(payload.toString()) as { ts: number, value: number } }) })
  await client.subscribeAsync('#', { qos: 1 })
  return messages
}

async function until (what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 3000; i++) {
    if (holds()) return
    await sleep(20)
  }
  throw new Error(`60 s have passed and still not: ${what}`)
}

void t.test('publisher', { skip: noMosquitto }, async t => {
  void t.test('a fleet publishes what its options say, at its rate, and waits for the last acknowledgement', async t => {
    const broker = await mosquitto()
    t.teardown(() => broker.stop())
    const messages = await subscribe(t, broker)
    const acked: number[] = [], began = Date.now()
    const fleet = publishFleet({ url: `mqtt://127.0.0.1:${broker.port}`, devices: 20, metrics: ['current', 'vibration'], rate: 1000, for: '1s', topic: 'plant/{tenant}/{device}/{metric}', onAcked: time => acked.push(time) })
    t.strictSame(await fleet.done, { published: 1000, acknowledged: 1000 })
    const took = Date.now() - began
    t.ok(took >= 950, `${took} ms for a second of readings`)
    await until('all have arrived', () => messages.length === 1000)
    t.strictSame(new Set(messages.map(m => m.topic)).size, 40)
    t.ok(messages.every(m => /^plant\/default\/device-\d+\/(current|vibration)$/.test(m.topic) && m.qos === 1 && Number.isFinite(m.value)))
    t.strictSame(acked.sort((a, b) => a - b), messages.map(m => m.ts).sort((a, b) => a - b))
    t.ok(messages.every(m => m.ts >= began && m.ts <= Date.now()))
  })

  void t.test('planted faults are in the readings and in the labels', async t => {
    const broker = await mosquitto()
    t.teardown(() => broker.stop())
    const messages = await subscribe(t, broker)
    const fleet = publishFleet({ url: `mqtt://127.0.0.1:${broker.port}`, devices: 2, metrics: ['current'], every: '20ms', for: '1s', faults: [{ device: 'device-2', metric: 'current', kind: 'shift', at: '500ms', for: '10s', size: 500 }] })
    await fleet.done
    await until('all have arrived', () => messages.length === 100)
    t.equal(messages.filter(m => m.value > 400).length, 25)
    const [label, ...others] = fleet.labels()
    t.strictSame(others, [])
    t.match(label, { device: 'device-2', metric: 'current', kind: 'shift', size: 500 })
    t.strictSame(messages.map(m => m.value > 400), messages.map(m => m.topic === 'default/device-2/current' && m.ts >= label.from && m.ts < label.to))
  })

  void t.test('a signal stops it; without a broker it does not wait', async t => {
    const broker = await mosquitto()
    t.teardown(() => broker.stop())
    const stop = new AbortController()
    const fleet = publishFleet({ url: `mqtt://127.0.0.1:${broker.port}`, rate: 500, signal: stop.signal })
    await until('it publishes', () => fleet.acknowledged > 50)
    stop.abort()
    const { published, acknowledged } = await fleet.done
    t.equal(acknowledged, published)
    const lonely = publishFleet({ url: `mqtt://127.0.0.1:${await freePort()}`, signal: stop.signal })
    t.strictSame(await lonely.done, { published: 0, acknowledged: 0 })
  })
})

/** An embedded broker that can go away and come back on its port. */
async function flaky (t: { teardown (f: () => unknown): void }) {
  const port = await freePort(), aedes = await Aedes.createBroker(), sockets = new Set<Socket>()
  const server = createServer(socket => { sockets.add(socket); aedes.handle(socket) })
  const start = async () => { await once(server.listen(port, '127.0.0.1'), 'listening') }
  const stop = async () => {
    if (!server.listening) return
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  }
  t.teardown(async () => { await stop(); aedes.close() })
  return { port, start, stop, aedes }
}

void t.test('it waits for a broker, and after an outage sends what it has measured meanwhile, with its times', async t => {
  const broker = await flaky(t)
  const { log, lines } = quiet(), stop = new AbortController()
  t.teardown(() => stop.abort())
  const fleet = publishFleet({ url: `mqtt://127.0.0.1:${broker.port}`, devices: 5, metrics: ['current'], every: '50ms', for: '3s', log, signal: stop.signal })
  await until('it has tried', () => lines.some(l => l.level === 'warn'))
  t.equal(fleet.published, 0)
  await broker.start()
  const messages = await subscribe(t, broker)
  await until('it publishes', () => messages.length > 20)
  await broker.stop()
  await until('it notices', () => !fleet.connected)
  const before = fleet.published
  await sleep(700)
  t.equal(fleet.published, before)
  await broker.start()
  t.strictSame(await fleet.done, { published: 300, acknowledged: 300 })
  t.match(lines.filter(l => l.level === 'warn').at(-1)?.text, /is away, trying again|ECONNREFUSED/)
  const times = [...new Set(messages.map(m => m.ts))].sort((a, b) => a - b)
  t.ok(times.at(-1)! - times[0] < 3000)
})

void t.test('no more than `window` messages are under way', async t => {
  const broker = await flaky(t)
  await broker.start()
  const held: (() => void)[] = []
  let hold = true
  broker.aedes.authorizePublish = (_, __, done) => { if (hold) held.push(() => done(null)); else done(null) }
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const fleet = publishFleet({ url: `mqtt://127.0.0.1:${broker.port}`, devices: 50, metrics: ['current'], rate: 2000, for: '500ms', window: 30, signal: stop.signal })
  await until('it publishes', () => fleet.published >= 30)
  await sleep(200)
  t.equal(fleet.published, 30)
  t.equal(fleet.acknowledged, 0)
  hold = false
  for (const go of held) go()
  t.strictSame(await fleet.done, { published: 1000, acknowledged: 1000 })
})

void t.test('wrong options are refused, and a password is not shown', async t => {
  t.throws(() => publishFleet({ url: 'http://x' }), { code: 'config/invalid', message: /publisher.url/ })
  t.throws(() => publishFleet({ url: 'mqtt://x', rate: 5, every: '1s' }), { message: /`every` and `rate`/ })
  const { log, lines } = quiet(), stop = new AbortController()
  const fleet = publishFleet({ url: `mqtt://mill:secret@127.0.0.1:${await freePort()}`, log, signal: stop.signal })
  await until('it has tried', () => lines.length > 0)
  stop.abort()
  await fleet.done
  t.notOk(lines.some(l => l.text.includes('secret')))
})
