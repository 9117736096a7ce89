import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pino } from 'pino'
import { MillraceError, SeriesTable, Transient, type Receiver, type SinkHost } from '#engine'
import { Dispatcher, isOver, waitAfter, type DispatcherOptions } from '../../engine/dispatch.ts'
import { isLoopback } from '../../engine/loopback.ts'
import { FileStore } from '../../sinks/file/store.ts'
import { webhook } from '../../sinks/webhook.ts'
import { receiver } from '../fixtures/receiver.ts'
import { alert, Bench } from '../fixtures/bench.ts'
import { quiet } from '../support/collect.ts'

const log = pino({ level: 'silent' })
const host: SinkHost = { pipeline: 'p', series: new SeriesTable(10), log, database: undefined, folder: '.', egress: ['127.0.0.0/8'] }
const to = (url: string, timeout = '1s'): Receiver => webhook.definition.receive!(webhook({ url, timeout }).options as never, host)

/** A file store with these alerts in its outbox. */
async function outbox (t: Test, ...alerts: ReturnType<typeof alert>[]) {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-dispatch-'))
  const bench = new Bench({ make: (plan, host) => new FileStore(join(folder, plan.pipeline), plan, host), rows: async () => [], abandon: async () => {} })
  t.teardown(async () => { await bench.close(); await rm(folder, { recursive: true }) })
  const opened = await bench.open()
  await opened.commit([1], { alerts })
  return { ...opened, bench }
}
function dispatch (t: Test, options: Omit<DispatcherOptions, 'log'> & Partial<Pick<DispatcherOptions, 'log'>>): Dispatcher {
  const dispatcher = new Dispatcher({ log, poll: 10, ...options })
  t.teardown(() => dispatcher.stop(0))
  dispatcher.start()
  return dispatcher
}
async function until (holds: () => boolean, within = 60_000): Promise<void> {
  for (const end = Date.now() + within; !holds();) {
    if (Date.now() > end) throw new Error('it did not come to that')
    await wait(5)
  }
}
const some = (n: number, receivers: string[]) => Array.from({ length: n }, (_, i) => alert(`${receivers[0]}${i}`, receivers))
const ids = (received: readonly { headers: Record<string, unknown> }[]) => received.map(r => r.headers['webhook-id'] as string).toSorted()

void t.test('every alert arrives once at each of its receivers, as soon as it is committed', async t => {
  const { url, received } = await receiver(t)
  const { store, commit } = await outbox(t, ...some(50, ['x']))
  const dispatcher = dispatch(t, { store, receivers: new Map([['x', to(url)], ['y', to(`${url}/y`)]]), poll: 60_000 })
  await until(() => received.length === 50)
  await wait(50)
  await commit([2], { alerts: [alert('later', ['x', 'y'])] })
  dispatcher.wake()
  await until(() => received.length === 52)        // not when the next look is due
  t.equal(new Set(ids(received)).size, 51)
  await until(() => dispatcher.counts.delivered === 52)
  t.strictSame(Object.fromEntries(dispatcher.byReceiver), { x: { delivered: 51, retried: 0, dead: 0 }, y: { delivered: 1, retried: 0, dead: 0 } })
  await dispatcher.stop()
  t.strictSame(await store.due(100, Date.now() + 1e9), [])
})

void t.test('receivers that hang, fail or drip hold up nobody else, and nobody has more than four sends at once', async t => {
  let hanging = 0, most = 0
  const { url, received } = await receiver(t, (response, { path }) => {
    if (path === '/good') return void setTimeout(() => response.end(), 5)
    if (path === '/hang') {
      most = Math.max(most, ++hanging)
      response.on('close', () => hanging--)
      return
    }
    response.statusCode = 500
    if (path === '/drip') response.write('.')
    else response.end()
  })
  const { store } = await outbox(t, ...some(40, ['hang']), ...some(40, ['drip']), ...some(40, ['fail']), ...some(40, ['good']))
  const names = ['hang', 'drip', 'fail', 'good']
  let leased = 0
  const counting = {
    async due (...args: Parameters<typeof store.due>) {
      const entries = await store.due(...args)
      leased += entries.filter(e => e.receiver === 'hang').length
      return entries
    },
    settle: store.settle.bind(store)
  }
  const dispatcher = dispatch(t, { store: counting, receivers: new Map(names.map(n => [n, to(`${url}/${n}`, '1m')])) })
  await until(() => dispatcher.byReceiver.get('good')!.delivered === 40)
  t.strictSame(['hang', 'drip'].map(n => dispatcher.byReceiver.get(n)), Array(2).fill({ delivered: 0, retried: 0, dead: 0 }), 'before any of these has timed out')
  t.equal(most, 4)
  t.equal(new Set(ids(received.filter(r => r.path === '/good'))).size, 40)
  t.ok(leased <= 16, `${leased} leased for the one that hangs: no more than there was room for in all`)
})

void t.test('what fails is tried again later and later, as the receiver asks, and then delivered', async t => {
  let now = Date.now()
  const { url, received } = await receiver(t, (response, _, nth) => {
    if (nth === 1) response.writeHead(500)
    if (nth === 2) response.writeHead(429, { 'retry-after': '100' })
    if (nth === 3) response.writeHead(302, { location: '/elsewhere' })
    if (nth === 4) response.writeHead(503, { 'retry-after': '86400' })
    response.end()
  })
  const { store } = await outbox(t, alert('a'))
  const dispatcher = dispatch(t, { store, receivers: new Map([['x', to(url)]]), now: () => now, random: () => 0.5 })
  const tries = async (n: number) => { await until(() => dispatcher.byReceiver.get('x')!.retried === n); await wait(50); t.equal(received.length, n) }
  await tries(1)
  now += 999
  await wait(50)
  t.equal(received.length, 1, 'not before 1 s')
  now += 1
  await tries(2)
  now += 99_000
  await wait(50)
  t.equal(received.length, 2, 'not before the 100 s that it asked for')
  now += 1000
  await tries(3)
  now += 4000
  await tries(4)
  now += 3_600_000                   // it asks for more, which would make 24 h of tries a month
  await until(() => dispatcher.counts.delivered >= 1)
  t.equal(received.length, 5)
  t.equal(new Set(ids(received)).size, 1)
})

void t.test('a receiver that is gone gets it once, one that fails, refuses or is not there for 24 h until then; giving up is logged and counted', async t => {
  const { url, received } = await receiver(t, (response, { path }) => { response.writeHead(Number(path.slice(1))).end() })
  const { store } = await outbox(t, alert('a', ['gone', 'down', 'denied', 'unknown']))
  let now = Date.now()               // not before the commit: what it left is due from then on
  const start = now
  const { log, lines } = quiet()
  const dispatcher = dispatch(t, { store, log, receivers: new Map([['gone', to(`${url}/410`)], ['down', to(`${url}/503`)], ['denied', to(`${url}/401`)]]), now: () => now, random: () => 0.5 })
  const down = dispatcher.byReceiver.get('down')!, denied = dispatcher.byReceiver.get('denied')!
  for (let tries = 1; down.dead + denied.dead < 2; tries++) {
    await until(() => (down.retried === tries && denied.retried === tries) || down.dead + denied.dead === 2)
    if (down.dead === 0) now += waitAfter(tries - 1, 0.5)
  }
  t.ok(now - start > 23 * 3_600_000 && now - start < 26 * 3_600_000, `${(now - start) / 3_600_000} h`)
  t.strictSame(dispatcher.byReceiver.get('gone'), { delivered: 0, retried: 0, dead: 1 })
  t.equal(received.filter(r => r.path === '/410').length, 1)
  t.equal(received.filter(r => r.path === '/401').length, received.filter(r => r.path === '/503').length)
  await until(() => dispatcher.counts.dead === 4)        // also the one for nobody
  t.strictSame(lines.filter(l => l.level === 'error').map(l => l.text).toSorted(), [
    ...Array(3).fill('an alert could not be delivered for 24 h, giving up'), 'an alert was refused by its receiver, giving up', 'an endpoint said that it is gone: nothing more is sent there until it is enabled again'
  ])
  await dispatcher.stop()
  t.strictSame(await store.due(100, now + 1e9), [], 'nor is anything left for a receiver that is not there')
})

void t.test('a breaker: after five failures in a row single tries, later and later, until one succeeds', async t => {
  let now = Date.now() + 1000, down = true
  const { url, received } = await receiver(t, response => { response.writeHead(down ? 503 : 200).end() })
  const { store } = await outbox(t, ...some(40, ['x']))
  const dispatcher = dispatch(t, { store, receivers: new Map([['x', to(url)]]), now: () => now, random: () => 0.5 })
  await until(() => received.length >= 5 && dispatcher.counts.retried === received.length)
  await wait(200)
  t.ok(received.length <= 8, `${received.length} of 40: what was under way when it opened, and no more`)
  const first = received.length
  t.match(dispatcher.receivers, [{ receiver: 'x', delivered: 0, breaker: 'open' }])
  now += 9000
  await wait(100)
  t.equal(received.length, first, 'open for 10 s')
  now += 62_000                      // what was leased and not sent is due again too
  await until(() => received.length === first + 1)
  await wait(200)
  t.equal(received.length, first + 1, 'one try')
  down = false
  now += 120_000
  await until(() => dispatcher.counts.delivered >= 1)
  for (let k = 0; dispatcher.counts.delivered < 40 && k < 600; k++) { now += 120_000; await wait(100) }
  t.equal(dispatcher.counts.delivered, 40)
  t.equal(new Set(ids(received)).size, 40)
})

void t.test('who asks for a pause gets it for all alerts; receivers of one endpoint are held back together, others not', async t => {
  let now = Date.now() + 1000
  const { url, received } = await receiver(t, (response, { path }) => { response.writeHead(path === '/busy' ? 429 : 200, { 'retry-after': '600' }).end() })
  const { store } = await outbox(t, alert('a', ['x']), alert('b', ['y']))
  dispatch(t, { store, receivers: new Map([['x', to(`${url}/busy`)], ['y', to(`${url}/well`)]]), now: () => now })
  await until(() => received.length === 2)
  const { store: other } = await outbox(t, ...some(20, ['x']), ...some(20, ['z']))
  const dispatcher = dispatch(t, { store: other, receivers: new Map([['x', to(`${url}/busy`)], ['z', to(`${url}/busy`)]]), now: () => now })
  await until(() => dispatcher.counts.retried >= 1 && dispatcher.counts.retried === received.length - 2)
  await wait(200)
  t.ok(dispatcher.counts.retried <= 4, `${dispatcher.counts.retried} of 40 tries, then it is left alone`)
  const before = received.length
  now += 590_000
  await wait(100)
  t.equal(received.length, before)
})

void t.test('an endpoint that says 410 gets nothing more, from any alert, until it is enabled', async t => {
  const { url, received } = await receiver(t, response => { response.writeHead(410).end() })
  const { store, commit } = await outbox(t, alert('a', ['x', 'y']))
  const dispatcher = dispatch(t, { store, receivers: new Map([['x', to(url)], ['y', to(url)]]), concurrency: 1 })
  await until(() => dispatcher.counts.dead >= 1)
  await commit([2], { alerts: some(10, ['x']) })
  dispatcher.wake()
  await until(() => dispatcher.counts.dead === 12)
  t.ok(received.length <= 2, `${received.length} requests`)
})

void t.test('a crash between the answer and its record repeats the alert with the same id', async t => {
  const { url, received } = await receiver(t)
  const alerts = some(10, ['x'])
  const { store, bench } = await outbox(t, ...alerts)
  let lost = 0
  const crashing = { due: store.due.bind(store), settle: () => { lost++; return new Promise<void>(() => {}) } }
  const first = new Dispatcher({ store: crashing, receivers: new Map([['x', to(url)]]), log, poll: 10 })
  first.start()
  await until(() => lost === 4)
  await Promise.race([first.stop(0), wait(2000)])
  await store.close()
  const again = await bench.open()
  const dispatcher = dispatch(t, { store: again.store, receivers: new Map([['x', to(url)]]) })
  await until(() => dispatcher.counts.delivered === 10)
  t.strictSame([...new Set(ids(received))], alerts.map(a => a.event.id).toSorted())
  t.equal(received.length, 10 + lost)
})

void t.test('while the store cannot record it, a delivery is not made again', async t => {
  const { url, received } = await receiver(t)
  const { store } = await outbox(t, alert('a'))
  let now = Date.now(), failures = 3
  const failing = { due: store.due.bind(store), settle: (...args: Parameters<typeof store.settle>) => { now += 61_000; return failures-- > 0 ? Promise.reject(new Transient('down')) : store.settle(...args) } }
  const dispatcher = dispatch(t, { store: failing, receivers: new Map([['x', to(url)]]), now: () => now })
  await until(() => failures < 0)
  await wait(50)
  t.equal(received.length, 1, 'although its lease was over three times')
  t.equal(dispatcher.counts.delivered, 1)
})

void t.test('an outbox that cannot be read is tried again', async t => {
  const { url } = await receiver(t)
  const { store } = await outbox(t, alert('a'))
  let failures = 3
  const failing = { due: (...args: Parameters<typeof store.due>) => failures-- > 0 ? Promise.reject(new Error('down')) : store.due(...args), settle: store.settle.bind(store) }
  const dispatcher = dispatch(t, { store: failing, receivers: new Map([['x', to(url)]]) })
  await until(() => dispatcher.counts.delivered >= 1)
})

void t.test('a stop waits for what is under way, but not for long, and leaves the rest for the next start', async t => {
  const { store } = await outbox(t, ...some(9, ['x']))
  let closed = 0
  const answers: (() => void)[] = []
  const deaf: Receiver = { send: () => new Promise(resolve => { answers.push(() => { resolve(undefined) }) }), close: async () => { closed++ } }
  const dispatcher = dispatch(t, { store, receivers: new Map([['x', deaf]]) })
  await until(() => answers.length === 4)
  const stopped = dispatcher.stop(150)
  answers[0]()
  answers[1]()
  await stopped                       // of the two others nothing ever comes
  t.equal(dispatcher.counts.delivered, 2)
  t.equal(closed, 1)
  t.equal(answers.length, 4, 'nothing new was begun')
  t.strictSame(dispatcher.byReceiver.get('x'), { delivered: 2, retried: 0, dead: 0 }, 'what was cut short counts as nothing')
  t.equal((await store.due(100, Date.now() + 61_000)).length, 7)
})

void t.test('an error that is not transient gives up, also one thrown at once', async t => {
  const { store } = await outbox(t, ...some(2, ['x']))
  const bad: Receiver = { send: () => { throw new MillraceError('sink/failed', 'no') }, close: async () => {} }
  const dispatcher = dispatch(t, { store, receivers: new Map([['x', bad]]) })
  await until(() => dispatcher.byReceiver.get('x')!.dead === 2)
})

void t.test('waits double from 1 s to 1 h, a fifth more or less', async t => {
  t.strictSame([0, 1, 2, 11, 12, 30].map(n => waitAfter(n, 0.5)), [1000, 2000, 4000, 2_048_000, 3_600_000, 3_600_000])
  t.strictSame([waitAfter(1, 0), Math.round(waitAfter(1, 1))], [1600, 2400])
  t.notOk(isOver(34))
  t.ok(isOver(35))
})

void t.test('loopback is this machine alone', async t => {
  for (const host of ['localhost', 'LOCALHOST', '127.0.0.1', '127.8.8.8', '::1', '[::1]', '::ffff:127.0.0.1']) t.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '::ffff:10.0.0.1', 'example.com', '127.0.0.1.example.com', 'localhost.example.com', '']) t.notOk(isLoopback(host), host)
})
