import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { calibration } from '../../bench/calibration.ts'
import { detect } from '../../bench/detect.ts'
import { driftBench } from '../../bench/drift.ts'
import { faultsFound } from '../../bench/faults-found.ts'
import { made, worstOf } from '../../bench/features.ts'
import type { Benchmark, Figures } from '../../bench/measure.ts'
import { readSeries, writeSeries } from '../../bench/series-files.ts'
import { thresholdTime } from '../../bench/threshold-time.ts'
import { verdictBench } from '../../bench/verdict.ts'

const defaults = ({ options = {} }: Benchmark) => Object.fromEntries(Object.entries(options).map(([name, o]) => [name, o.default]))
const run = (bench: Benchmark, options: Record<string, string>) => { const all = { ...defaults(bench), ...options }; bench.check?.(all); return bench.run(() => {}, all) }
/** Figures but for time, which differs from run to run, and the seed. */
const bare = (all: readonly Figures[]) => all.map(f => Object.fromEntries(Object.entries(f).filter(([name]) => !/ns_per|ratio|seed/.test(name)))).sort((a, b) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

for (const [bench, options] of [
  [detect, { seed: '3', each: '230' }], [calibration, { seed: '3', series: '2', length: '3000', from: '500' }], [thresholdTime, { seed: '3', units: '12' }],
  [verdictBench, { seed: '3', causes: '1', weeks: '1' }]
] as [Benchmark, Record<string, string>][]) {
  t.test(`what is written scores the same when it is read: ${bench.summary}`, async t => {
    const folder = t.testdir(), made = bare(await run(bench, { ...options, write: folder }))
    t.strictSame(bare(await run(bench, { ...options, seed: '4', data: folder })), made)
    t.ok(made.length > 0)
  })
}

t.test('features are off by as much on what was written, by kind of series: ordinary, or with a large offset', async t => {
  const folder = t.testdir(), series = made(3), worst = worstOf(series)
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
})

t.test('what is not there or cannot be read is said with its place', async t => {
  const folder = t.testdir({ empty: {}, words: { 'a.csv': 'time,value\n2026-01-05T10:00:00Z,warm\n' }, back: { 'a.csv': 'time,value\n2026-01-05T10:00:00Z,1\n2026-01-05T09:00:00Z,1\n' }, other: { 'a.csv': 'when,value\n1,1\n' }, short: { 'a.csv': 'time,value\n1\n' }, clock: { 'a.csv': 'time,value\nnoon,1\n' } })
  for (const [name, message] of Object.entries({ empty: /\*\.csv: nothing there/, words: /a\.csv, row 1: "warm" is no number/, back: /row 2: it is older/, other: /no column "time"; there are: when, value/, short: /row 1: 1 cells under 2/, clock: /row 1: "noon" is no time/ })) {
    await t.rejects(run(detect, { data: join(folder, name) }), { message }, name)
  }
  await t.rejects(run(faultsFound, { data: folder }), { code: 'ENOENT' })
  await t.rejects(run(verdictBench, { data: folder }), { code: 'ENOENT' })
})

t.test('devices with faults score the same when they are read, beside any healthy ones; labels that fit no device are named', async t => {
  const made = t.testdir({ healthy: {} }), path = join(made, 'faulty', 'labels.csv'), HOUR = 4 * 360
  const expected = await run(faultsFound, { seed: '3', faults: '1', weeks: '0', write: made })
  t.strictSame(readdirSync(join(made, 'faulty')), ['0.csv', 'labels.csv'])
  writeFileSync(join(made, 'healthy', 'a.csv'), `${readFileSync(join(made, 'faulty', '0.csv'), 'utf8').split('\n').slice(0, 1 + HOUR).join('\n')}\n`)
  const got = await run(faultsFound, { data: made }), told = (of: readonly Figures[]) => of.map(({ kind, recall, named_right, named, faults }) => [kind, recall, named_right, named, faults])
  t.strictSame(told(got), told(expected))
  t.ok(expected.filter(f => f.recall === 1).length >= 6 && got.every(f => f.false_alarms_of_all_kinds_per_device_week === 0 && f.device_weeks === 1 / 168))
  const labels = readFileSync(path, 'utf8')
  for (const [from, to, message] of [[/,spike,/, ',spook,', /the kind "spook"; there are: stuck/], [/\n0,\w+,spike/, '\n0,colour,spike', /no metric "colour"/], [/\n0,(\w*),spike/, '\n7,$1,spike', /devices that are not there: 7/]] as const) {
    writeFileSync(path, labels.replace(from, to))
    await t.rejects(run(faultsFound, { data: made }), { message })
  }
})
