import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { calibration } from '../../bench/calibration.ts'
import { detect } from '../../bench/detect.ts'
import { readLabelled, writeDevice, writeLabelled } from '../../bench/device-files.ts'
import { driftBench } from '../../bench/drift.ts'
import { faultsFound, outcomes, writeGroup } from '../../bench/faults-found.ts'
import { made, worstOf } from '../../bench/features.ts'
import { fleetOf, listen, type Event } from '../../bench/found/run.ts'
import { START } from '../../bench/found/world.ts'
import type { Benchmark, Figures } from '../../bench/measure.ts'
import { readSeries, writeSeries } from '../../bench/series-files.ts'
import { thresholdTime } from '../../bench/threshold-time.ts'
import { verdictBench, writeCause } from '../../bench/verdict.ts'
import { causeOf } from '../../bench/verdict/causes.ts'
import { outcomeOf, readingsOf, told, toldOf } from '../../bench/verdict/told.ts'
import { DAY, HOUR, START as BEGIN } from '../../bench/verdict/world.ts'
import type { Fault } from '../../models/faults.ts'

const defaults = ({ options = {} }: Benchmark) => Object.fromEntries(Object.entries(options).map(([name, o]) => [name, o.default]))
const run = (bench: Benchmark, options: Record<string, string>) => bench.run(() => {}, { ...defaults(bench), ...options })      // without its check, which asks for more readings than it takes to compare
/** Figures but for time, which differs from run to run, and the seed. */
const bare = (all: readonly Figures[]) => all.map(f => Object.fromEntries(Object.entries(f).filter(([name]) => !/ns_per|ratio|seed/.test(name)))).sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

for (const [bench, options] of [
  [detect, { seed: '3', series: '20', each: '230' }], [calibration, { seed: '3', series: '2', length: '3000', from: '500' }], [thresholdTime, { seed: '3', units: '4' }],
  [driftBench, { seed: '9', runs: '2', readings: '60000' }]
] as [Benchmark, Record<string, string>][]) {
  t.test(`what is written scores the same when it is read: ${bench.summary}`, async t => {
    const folder = t.testdir(), made = bare(await run(bench, { ...options, write: folder }))
    t.strictSame(bare(await run(bench, { ...options, seed: '4', data: folder })), made)
    t.ok(made.length > 0)
  })
}

t.test('features are off by as much on what was written, by kind of series: ordinary, or with a large offset', async t => {
  const folder = t.testdir(), series = made(3).map(({ name, time, value }) => ({ name, time: Array.from(time).slice(0, 1600), value: Array.from(value).slice(0, 1600) })), worst = worstOf(series)
  writeSeries(folder, series)
  t.strictSame([...worstOf(readSeries(folder))], [...worst])
  t.ok(worst[0].error < 1e-12 && worst[1].error < 1e-9 && worst[1].name === '1e9 + N(0, 1e-3)', JSON.stringify(worst))
})

t.test('series with drift and without, shifts at known times: a case for each folder, of those that are long enough', async t => {
  const folder = t.testdir(), write = (path: string, values: readonly number[], change?: number) => {
    mkdirSync(join(folder, path), { recursive: true })
    writeFileSync(join(folder, path, 'a.csv'), `time,value\n${values.map((x, i) => `${new Date(i * 1000).toISOString()},${x}\n`).join('')}`)
    if (change !== undefined) writeFileSync(join(folder, path, 'changes.csv'), `series,time\na,${new Date(change * 1000).toISOString()}\n`)
  }
  const noise = (n: number, from = n) => Array.from({ length: n }, (_, i) => Math.sin(i * i) + (i >= from ? 20 : 0))
  write('stable/mill', noise(700))
  write('drifted/mill', noise(400, 200), 200)
  write('steady', noise(3000))
  write('shifted', noise(600, 500), 500)
  const all = await run(driftBench, { data: folder })
  t.match(all.slice(0, 2), [{ case: 'mill', n: 200, false_alarm_rate: 0, runs: 1 }, { case: 'mill', n: 100, found: 1, runs: 1 }])
  t.strictSame(all.slice(2).map(f => [f.case, f.found]), ['cusum', 'page_hinkley', 'adwin', 'kswin'].map(name => [name, 1]))
  t.ok(all.slice(2).every(f => Number(f.delay) > 0 && Number(f.delay) < 40), JSON.stringify(all))
  t.ok(Number(all.find(f => f.case === 'page_hinkley')!.river_delay) < 20, 'what river takes on these files, not on those of its golden file')
})

t.test('what is not there or cannot be read is said with its place', async t => {
  const folder = t.testdir({ empty: {}, words: { 'a.csv': 'time,value\n2026-01-05T10:00:00Z,warm\n' }, back: { 'a.csv': 'time,value\n2026-01-05T10:00:00Z,1\n2026-01-05T09:00:00Z,1\n' }, other: { 'a.csv': 'when,value\n1,1\n' }, short: { 'a.csv': 'time,value\n1\n' }, clock: { 'a.csv': 'time,value\nnoon,1\n' }, few: { mill: { 'a.csv': 'time,value\n2026-01-05T10:00:00Z,1\n' } } })
  for (const [name, message] of Object.entries({ empty: /\*\.csv: nothing there/, words: /a\.csv, row 1: "warm" is no number/, back: /row 2: it is older/, other: /no column "time"; there are: when, value/, short: /row 1: 1 cells under 2/, clock: /row 1: "noon" is no time/ })) {
    await t.rejects(run(detect, { data: join(folder, name) }), { message }, name)
  }
  await t.rejects(run(calibration, { data: join(folder, 'few') }), { code: 'EINVAL', message: /mill.a has 1 readings, of which those before --from 20000 do not count/ })
  await t.rejects(run(faultsFound, { data: folder }), { code: 'ENOENT' })
  await t.rejects(run(verdictBench, { data: folder }), { code: 'ENOENT' })
})

t.test('devices with faults score the same when they are read, beside any healthy ones; labels that fit no device are named', async t => {
  const folder = t.testdir({ healthy: {} }), faulty = join(folder, 'faulty'), labels = join(faulty, 'labels.csv'), to = START + 14 * HOUR
  const faults = ([[0, 0, 'stuck', 5, 5.4, 0], [0, 2, 'unit', 8, 9, 100], [0, -1, 'clock', 11, 11.5, 900_000], [0, 3, 'shift', 13, 13.8, 9], [1, 1, 'dropout', 6, 6.5, 0], [1, 3, 'spike', 9, 9 + 1 / 360, 40], [1, 0, 'stuck', 12, 12.7, 0]] as const)
    .map(([device, metric, kind, from, until, size]): Fault => ({ device, metric, kind, from: START + from * HOUR, to: START + until * HOUR, size }))
  const elsewhere: Fault = { ...faults[0], metric: 3, kind: 'noise' }      // is in the labels only: nothing is found in this metric
  const world = () => ({ ...fleetOf(3, 2, faults), to }), events: Event[] = []
  listen(world(), event => events.push(event))
  writeLabelled(faulty, writeGroup(faulty, world(), [...faults, elsewhere]))
  writeFileSync(join(folder, 'healthy', 'a.csv'), `${readFileSync(join(faulty, '0.csv'), 'utf8').split('\n').slice(0, 1 + 4 * 360).join('\n')}\n`)
  const all = outcomes([...faults, elsewhere], events), got = await run(faultsFound, { data: folder })
  for (const { kind, recall, named, faults: count } of got) {
    const own = all.filter(o => o.fault.kind === kind), found = own.filter(o => o.found), names: Record<string, number> = {}
    for (const { named } of found) names[named!] = (names[named!] ?? 0) + 1
    t.strictSame([count, recall, named], [own.length, own.length === 0 ? NaN : found.length / own.length, names], kind as string)
  }
  t.ok(all.filter(o => o.found && o.named === o.fault.kind).length >= 5 && !all.at(-1)!.found, JSON.stringify(all))
  t.ok(got.every(f => f.false_alarms_of_all_kinds_per_device_week === 0 && f.device_weeks === 1 / 168))
  const text = readFileSync(labels, 'utf8')
  for (const [from, to, message] of [[/,spike,/, ',spook,', /the kind "spook"; there are: stuck/], [/\n1,\w+,spike/, '\n1,colour,spike', /no metric "colour"/], [/\n1,(\w*),spike/, '\n7,$1,spike', /devices that are not there: 7/]] as const) {
    writeFileSync(labels, text.replace(from, to))
    await t.rejects(run(faultsFound, { data: folder }), { message })
  }
})

t.test('devices with a cause, and healthy ones, are told the same when they are read', async t => {
  const folder = t.testdir(), causes = join(folder, 'causes'), whole = causeOf(34, 'sensor', 'noise'), cause = { ...whole, to: whole.from + HOUR }
  const labels = [writeCause(causes, readingsOf(34, 'a', cause, cause.to), cause)], expected = outcomeOf(cause, told(34, cause, cause.from, cause.to))
  writeLabelled(causes, labels)
  // A reading a minute, so that this is soon done.
  const { metrics, ...all } = readingsOf(5, 'b', undefined, BEGIN + 3 * DAY + 12 * HOUR), each = (of: readonly number[]) => of.filter((_, i) => i % (6 * metrics.length) < metrics.length)
  const healthy = { name: 'b', metrics, arrival: each(all.arrival), time: each(all.time), metric: each(all.metric), value: each(all.value).map((x, i) => i % metrics.length === 0 && (i > 18_000 || (i > 14_400 && i < 14_700)) ? x + 40 : x) }
  for (const name of ['b', 'c']) writeDevice(join(folder, 'healthy'), { ...healthy, name })
  const wrong = 2 * toldOf(healthy, BEGIN + 3 * DAY, Infinity).length, weeks = 2 * (12 * HOUR - 60_000) / (7 * DAY), [got] = await run(verdictBench, { data: folder })
  t.strictSame(readLabelled(causes, 'verdict'), labels)
  t.match(got, { confusion: { sensor: { [expected.said]: 1 } }, right_metric_of_sensors: 1, median_minutes_to_first: expected.delay / 60_000, causes_of_each: 1 / 3, device_weeks: Number(weeks.toPrecision(4)), false_verdicts_per_device_week: Number((wrong / weeks).toPrecision(3)) })
  t.ok(expected.said === 'sensor' && expected.metric && wrong > 0 && toldOf(healthy, BEGIN, Infinity).length > wrong / 2, JSON.stringify([expected, wrong]))
})
