import t from 'tap'
import type { Fault, FaultKind } from '../../models/faults.ts'
import { Fleet, roomFor, type FleetOptions } from '../../models/fleet.ts'
import { metricModels, scaleOf } from '../../models/fleet-metric.ts'

const START = Date.UTC(2026, 0, 5)   // a Monday
const HOUR = 3_600_000
const models = [metricModels.temperature, metricModels.vibration, metricModels.current, metricModels.pressure]
const steady = models.map(model => ({ ...model, stride: 1 }))
const defaults: FleetOptions = { devices: 2, metrics: steady, every: 60_000, seed: 1, start: START }

type Reading = readonly [series: number, time: number, value: number]
/** All readings before `until`, taken in lots of `lot`. */
function run (options: Partial<FleetOptions> = {}, until = START + 24 * HOUR, lot = 1000): Reading[] {
  const fleet = new Fleet({ ...defaults, ...options })
  const out = roomFor(lot)
  const readings: Reading[] = []
  for (let n; (n = fleet.fill(out, until - 0.001)) > 0;) for (let i = 0; i < n; i++) readings.push([out.series[i], out.time[i], out.value[i]])
  return readings
}
const of = (readings: readonly Reading[], series: number) => readings.filter(r => r[0] === series)
const values = (readings: readonly Reading[]) => readings.map(r => r[2])
const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length
const sd = (x: readonly number[]) => { const m = mean(x); return Math.sqrt(mean(x.map(v => (v - m) ** 2))) }
const correlation = (x: readonly number[], y: readonly number[]) => { const mx = mean(x), my = mean(y); return mean(x.map((v, i) => (v - mx) * (y[i] - my))) / (sd(x) * sd(y)) }
/** What a fault changes: [time, healthy value, value] of the readings of a series, by their place. */
const compare = (fault: Omit<Fault, 'device'>, series = 0, until = START + 6 * HOUR) => {
  const planted = { ...fault, device: 0 }
  return { healthy: of(run({}, until), series), faulty: of(run({ faults: [planted] }, until), series), others: [run({}, until), run({ faults: [planted] }, until)].map(r => r.filter(([s]) => s !== series)) }
}
const FROM = START + 2 * HOUR, TO = START + 3 * HOUR
const inside = (time: number) => time >= FROM && time < TO

void t.test('the same seed gives the same readings, however many are taken at once', async t => {
  const once = run({ rates: { spike: 50, dropout: 20, stuck: 10 } })
  t.ok(once.length > 10_000)
  t.strictSame(run({ rates: { spike: 50, dropout: 20, stuck: 10 } }, START + 24 * HOUR, 7), once)
})

void t.test('another seed gives other values, and a device is the same in a fleet of any size', async t => {
  const one = run({ devices: 1 }), two = run({ devices: 2 }), other = run({ devices: 1, seed: 2 })
  t.strictSame(two.filter(r => r[0] < 4), one)
  t.ok(other.every((r, i) => r[1] === one[i][1] && r[2] !== one[i][2]))
})

void t.test('readings come in order of time, evenly spread over the interval', async t => {
  const readings = run({ devices: 8, every: 1000 }, START + 60_000)
  t.ok(readings.every((r, i) => i === 0 || r[1] >= readings[i - 1][1]))
  t.strictSame([...new Set(readings.map(r => r[1] - START))].slice(0, 9), [0, 125, 250, 375, 500, 625, 750, 875, 1000])
})

void t.test('times are whole microseconds', async t => {
  for (const [, time] of run({ devices: 5, every: 1000 / 3 }, START + 1000)) t.equal(time, Math.round(time * 1000) / 1000)
})

void t.test('a metric with a stride is read less often', async t => {
  const readings = run({ metrics: models })
  t.equal(of(readings, 0).length, 720)
  t.equal(of(readings, 1).length, 1440)
  t.ok(of(readings, 0).every((r, i, all) => i === 0 || r[1] - all[i - 1][1] === 120_000))
})

void t.test('metrics are coupled through the load: the signs and strength of their correlation are those of the gains', async t => {
  const readings = run({}, START + 7 * 24 * HOUR)
  const [temperature, vibration, current, pressure] = [0, 1, 2, 3].map(s => values(of(readings, s)))
  t.ok(correlation(vibration, current) > 0.9)
  t.ok(correlation(current, pressure) < -0.9)
  t.ok(correlation(temperature, current) > 0.8)
  const step = (x: readonly number[]) => x.slice(1).map((v, i) => v - x[i])
  const foreign = step(values(of(readings, 6)))
  t.ok(correlation(step(current), step(vibration)) > 0.2, 'also from reading to reading')
  t.ok(Math.abs(correlation(step(current), foreign)) < 0.05, 'and not across devices')
})

void t.test('a lag delays: temperature follows the load about its lag later, and smoother', async t => {
  const readings = run({ devices: 1 }, START + 7 * 24 * HOUR)
  const temperature = values(of(readings, 0)), current = values(of(readings, 2))
  const at = (lag: number) => correlation(temperature.slice(lag), current.slice(0, current.length - lag))
  const best = Array.from({ length: 60 }, (_, lag) => at(lag)).reduce((best, c, lag, all) => c > all[best] ? lag : best, 0)
  t.ok(best >= 5 && best <= 25, `best lag ${best} min`)
})

void t.test('there is a daily season, and the weekend is quieter', async t => {
  const current = of(run({ devices: 1 }, START + 28 * 24 * HOUR), 2)
  const byHour = Array.from({ length: 24 }, (_, h) => mean(values(current.filter(r => new Date(r[1]).getUTCHours() === h))))
  t.ok(Math.max(...byHour) - Math.min(...byHour) > 4, 'amperes between the hours')
  const spreadOn = (day: number) => sd(values(current.filter(r => new Date(r[1]).getUTCDay() === day)))
  t.ok(spreadOn(0) < 0.85 * spreadOn(3))
  const days = Array.from({ length: 5 }, (_, d) => values(current.slice(d * 1440, (d + 1) * 1440)))
  t.ok(correlation(days[0], days[1]) > 0.7)
})

void t.test('the noise of the load does not depend on the interval', async t => {
  const residual = (every: number) => {
    const x = values(of(run({ devices: 1, every, metrics: [{ ...metricModels.current, noise: 0, stride: 1 }] }, START + 14 * 24 * HOUR), 0))
    const lag = Math.round(600_000 / every)
    return sd(x.slice(lag).map((v, i) => v - x[i]))
  }
  t.ok(Math.abs(residual(60_000) / residual(10_000) - 1) < 0.1)
})

void t.test('the stated scale of a metric is near to what its readings show', async t => {
  const readings = run({ devices: 10 }, START + 7 * 24 * HOUR)
  for (const [m, model] of steady.entries()) {
    const all = values(readings.filter(r => r[0] % 4 === m)), { centre, spread } = scaleOf(model)
    t.ok(Math.abs(mean(all) - centre) < spread, `mean of metric ${m}`)
    t.ok(sd(all) / spread > 0.6 && sd(all) / spread < 1.6, `spread of metric ${m}: ${sd(all)} for ${spread}`)
  }
})

const effects: Record<Exclude<FaultKind, 'dropout' | 'clock' | 'load' | 'stuck' | 'noise'>, { size: number, expected: (healthy: number, time: number) => number }> = {
  spike: { size: 40, expected: v => v + 40 },
  shift: { size: -12, expected: v => v - 12 },
  drift: { size: 30, expected: (v, time) => v + 30 * (time - FROM) / HOUR },
  clip: { size: 52, expected: v => Math.min(v, 52) },
  unit: { size: 1.8, expected: v => v * 1.8 + 32 }
}
for (const [kind, { size, expected }] of Object.entries(effects)) {
  void t.test(`${kind} does what its label says, to its metric and in its time only`, async t => {
    const { healthy, faulty, others } = compare({ kind: kind as FaultKind, metric: 0, from: FROM, to: TO, size })
    t.strictSame(faulty, healthy.map(([s, time, value]) => [s, time, inside(time) ? expected(value, time) : value]))
    t.strictSame(others[1], others[0])
  })
}

void t.test('a unit changed by a thousand multiplies', async t => {
  const { healthy, faulty } = compare({ kind: 'unit', metric: 2, from: FROM, to: TO, size: 1000 }, 2)
  t.strictSame(values(faulty), healthy.map(r => inside(r[1]) ? r[2] * 1000 : r[2]))
})

void t.test('stuck repeats the last value before', async t => {
  const { healthy, faulty, others } = compare({ kind: 'stuck', metric: 0, from: FROM, to: TO, size: 0 })
  const before = healthy.findLast(r => r[1] < FROM)![2]
  t.strictSame(values(faulty), healthy.map(r => inside(r[1]) ? before : r[2]))
  t.strictSame(others[1], others[0])
})

void t.test('a noise burst adds noise of its size, independent of the sensor\'s own', async t => {
  const { healthy, faulty } = compare({ kind: 'noise', metric: 0, from: FROM, to: START + 200 * HOUR, size: 3 }, 0, START + 200 * HOUR)
  const added = faulty.map((r, i) => r[2] - healthy[i][2])
  t.ok(added.every((v, i) => (v !== 0) === (healthy[i][1] >= FROM)))
  const burst = added.filter(v => v !== 0)
  t.ok(Math.abs(sd(burst) / 3 - 1) < 0.05)
  t.ok(Math.abs(correlation(burst.slice(1), burst.slice(0, -1))) < 0.05)
  const own = healthy.filter((_, i) => added[i] !== 0).map((r, i, all) => r[2] - 0.5 * (all[Math.max(i - 1, 0)][2] + all[Math.min(i + 1, all.length - 1)][2]))
  t.ok(Math.abs(correlation(burst, own)) < 0.05)
})

void t.test('a dropout leaves readings out, of one metric or of all', async t => {
  const { healthy, faulty, others } = compare({ kind: 'dropout', metric: 0, from: FROM, to: TO, size: 0 })
  t.strictSame(faulty, healthy.filter(r => !inside(r[1])))
  t.strictSame(others[1], others[0])
  t.strictSame(run({ faults: [{ device: 0, metric: -1, kind: 'dropout', from: FROM, to: TO, size: 0 }] }), run().filter(r => r[0] >= 4 || !inside(r[1])))
})

void t.test('a clock jump moves the timestamps of the whole device, not the order of readings', async t => {
  const faults = [{ device: 0, metric: -1, kind: 'clock' as const, from: FROM, to: TO, size: -90_000 }]
  t.strictSame(run({ faults }), run().map(([s, time, v]) => [s, s < 4 && inside(time) ? time - 90_000 : time, v]))
})

void t.test('a change of the load is seen by every metric of the device, each with its own gain and lag', async t => {
  const [healthy, faulty] = [run(), run({ faults: [{ device: 0, metric: -1, kind: 'load', from: FROM, to: TO, size: 0.4 }] })]
  const change = (series: number, minute: number) => values(of(faulty, series))[minute] - values(of(healthy, series))[minute]
  for (const [m, sign] of [[0, 1], [1, 1], [2, 1], [3, -1]] as const) {
    t.equal(change(m, 119), 0)
    t.ok(sign * change(m, 178) > 0.25 * Math.abs(models[m].gain + models[m].bend), `metric ${m}`)
  }
  t.ok(change(0, 125) < 0.5 * change(0, 178), 'temperature comes slowly')
  t.ok(Math.abs(change(2, 121) / change(2, 178) - 1) < 1e-9, 'current at once')
  t.strictSame(faulty.filter(r => r[0] >= 4), healthy.filter(r => r[0] >= 4))
})

void t.test('labels tell all faults that have begun, random and planted', async t => {
  const planted: Fault = { device: 1, metric: 2, kind: 'shift', from: FROM, to: TO, size: 5 }
  const options = { ...defaults, rates: { spike: 40, load: 5 }, faults: [planted] }
  const fleet = new Fleet(options)
  const labels = fleet.faults(START + 21 * 24 * HOUR)
  t.ok(labels.length > 150)
  t.strictSame(labels.filter(l => l.kind === 'shift'), [planted])
  t.strictSame(fleet.faults(START + 10 * 24 * HOUR), labels.filter(l => l.from < START + 10 * 24 * HOUR))
  t.ok(labels.every(l => l === planted || l.device !== 1 || l.to <= FROM || l.from >= TO), 'random ones keep clear')
})

void t.test('every reading that differs from the healthy one is labelled, and every label is seen', async t => {
  const until = START + 10 * 24 * HOUR
  const rates = { spike: 20, shift: 3, unit: 3 }
  const labels = new Fleet({ ...defaults, rates }).faults(until)
  const [healthy, faulty] = [run({}, until), run({ rates }, until)]
  const seen = new Set<Fault>()
  for (let i = 0; i < faulty.length; i++) {
    const [s, time] = faulty[i]
    const label = labels.find(l => l.device === Math.floor(s / 4) && l.metric === s % 4 && time >= l.from && time < l.to)
    if ((label !== undefined) !== (faulty[i][2] !== healthy[i][2])) t.fail(`series ${s} at ${time}`)
    if (label !== undefined) seen.add(label)
  }
  t.equal(seen.size, labels.length)
  t.ok(labels.length > 40)
})

void t.test('what makes no fleet is refused', async t => {
  for (const wrong of [{ devices: 0 }, { metrics: [] }, { every: 0 }, { start: NaN }]) t.throws(() => new Fleet({ ...defaults, ...wrong }), RangeError)
  for (const wrong of [{ device: 2 }, { metric: 4 }, { to: FROM }, { to: Infinity }, { size: NaN }]) t.throws(() => new Fleet({ ...defaults, faults: [{ device: 0, metric: 0, kind: 'shift', from: FROM, to: TO, size: 1, ...wrong }] }), RangeError)
  t.throws(() => new Fleet(defaults).fill(roomFor(3)), RangeError)
})
