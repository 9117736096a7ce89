import t from 'tap'
import { Credits, MillraceError, type Source } from '#engine'
import { simulator } from '../../connectors/simulator.ts'
import { collect } from '../support/collect.ts'

const START = '2026-01-05T00:00:00Z'
const start = Date.parse(START)
const day: NonNullable<Parameters<typeof simulator>[0]> = { devices: 3, metrics: ['vibration', 'current'], every: '1m', for: '24h', start: START, speed: 'max' }

void t.test('the same options give the same readings, one record each, and an end', async t => {
  const a = await collect(simulator(day)), b = await collect(simulator(day))
  t.equal(a.readings.length, 3 * 2 * 1440)
  t.strictSame(b.readings, a.readings)
  t.strictSame(a.positions, a.positions.map((_, i) => i + 1))
  t.ok(a.ended)
  t.strictSame(a.readings[0].slice(0, 2), ['device-1/vibration', start])
  t.ok((await collect(simulator({ ...day, seed: 2 }))).readings.every((r, i) => r[2] !== a.readings[i][2]))
})

void t.test('a restart goes on with the reading after the last committed one', async t => {
  const whole = await collect(simulator(day))
  const rest = await collect(simulator(day), { from: 5000 })
  t.strictSame(rest.readings, whole.readings.slice(5000))
  t.equal(rest.positions[0], 5001)
})

void t.test('it waits while the engine has no room, and loses nothing', async t => {
  const tight = await collect(simulator(day), { credits: new Credits({ bytes: 64 * 1024, deliveries: 1 }) })
  t.strictSame(tight.readings, (await collect(simulator(day))).readings)
  t.ok(tight.deliveries.length >= 4)
  t.ok(tight.deliveries.every(d => d.bytes < 256 * 1024), 'never much beyond the room there is')
})

void t.test('without a start it lives now, at real speed', async t => {
  const from = Date.now()
  const { readings, deliveries } = await collect(simulator({ devices: 4, metrics: ['current'], every: '20ms' }), { until: seen => seen.readings >= 100 })
  const took = Date.now() - from
  t.ok(took > 350, `${took} ms for 100 readings at 200/s`)
  t.ok(readings.every(r => r[1] >= from - 1 && r[1] <= Date.now()))
  t.ok(deliveries.every(d => d.rows.time.every(time => time <= d.ingest + 1)))
})

void t.test('a multiple of real time has its own clock, so that nothing is from the future', async t => {
  let source: Source | undefined
  const began = performance.now()
  const { readings, dead } = await collect(simulator({ ...day, for: '30m', speed: 3600 }), { ahead: 0, opened: opened => { source = opened } })
  t.ok(performance.now() - began > 400, 'half an hour takes half a second')
  t.equal(readings.length, 180)
  t.strictSame(dead, [])
  t.equal(source!.now!(), readings.at(-1)![1])
})

void t.test('a restart at a multiple of real time goes on at once, and at that speed', async t => {
  const began = performance.now()
  const { readings } = await collect(simulator({ ...day, for: '60h', speed: 3600 }), { from: 21_540 })
  const took = performance.now() - began
  t.equal(readings.length, 60)
  t.ok(took > 120 && took < 30_000, `the last ten minutes of 60 hours took ${Math.round(took)} ms, not a minute`)
})

void t.test('a rate says how many readings there are per second', async t => {
  const { readings } = await collect(simulator({ devices: 10, rate: 1000, for: '10s', start: START, speed: 'max' }))
  t.ok(Math.abs(readings.length - 10_000) < 50, `${readings.length}`)
})

void t.test('a clock that jumps ahead gives dead letters, one that falls back gives old timestamps', async t => {
  const jump = (size: number) => collect(simulator({ ...day, faults: [{ device: 'device-2', kind: 'clock', at: '1h', for: '30m', size }] }))
  const forward = await jump(3_600_000), back = await jump(-3_600_000)
  t.strictSame(new Set(forward.dead.map(d => d.reason)), new Set(['future']))
  t.equal(forward.dead.length, 60)
  t.equal(back.dead.length, 0)
  t.equal(back.readings.filter((r, i) => i > 0 && r[1] < back.readings[i - 1][1] - 3_000_000).length, 30, 'each scan is an hour old')
})

void t.test('devices, tenant and metrics have the names that the options give', async t => {
  const { readings } = await collect(simulator({ ...day, for: '1m', tenant: 'acme', prefix: 'pump' }))
  t.strictSame(readings.map(r => r[0]).sort(), ['current', 'vibration'].flatMap(m => [1, 2, 3].map(n => `acme:pump-${n}/${m}`)).sort())
})

void t.test('wrong options are refused with the option and what would be right', async t => {
  const wrong: [Parameters<typeof simulator>[0], RegExp][] = [
    [{ every: '1s', rate: 5 }, /`every` and `rate`/],
    [{ prefix: 'pump#' }, /pump#-10/],
    [{ tenant: 'a#b' }, /the tenant "a#b"/],
    [{ start: 'yesterday' }, /"yesterday" is not a time/],
    [{ metrics: ['mood'] as never }, /metrics/],
    [{ faults: [{ device: 'device-11', kind: 'spike', metric: 'current', at: '1s', for: '1s' }] }, /device-1 to device-10/],
    [{ faults: [{ device: 'device-1', kind: 'spike', at: '1s', for: '1s' }] }, /needs one of its metrics: temperature/],
    [{ faults: [{ device: 'device-1', kind: 'spike', metric: 'current', at: '1s', for: '0s' }] }, /lasts 0s/],
    [{ faults: [{ device: 'device-1', kind: 'burp' as never, at: '1s', for: '1s' }] }, /kind/],
    [{ rates: { burp: 1 } as never }, /burp/]
  ]
  for (const [options, message] of wrong) {
    try {
      simulator(options)
      t.fail(`accepted ${JSON.stringify(options)}`)
    } catch (error) {
      t.ok(error instanceof MillraceError)
      t.match((error as Error).message, message)
    }
  }
})
