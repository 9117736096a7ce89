import t from 'tap'
import { readFileSync } from 'node:fs'
import { delaysOf, found, processes, runLengthOf, runsOf, shifted, steady } from '../../bench/drift.ts'
import { changesIn, delaysIn, golden, matched, rivers, runLengthIn } from '../../bench/river.ts'
import { averageRunLength, normals } from '../../bench/run-length.ts'
import { Kswin } from '../../models/kswin.ts'
import { change } from '../../operators/change.ts'

const near = (t: { ok (holds: boolean, what: string): unknown }, got: number, expected: number, by: number, what: string) => t.ok(Math.abs(got - expected) <= by, `${what}: ${got}, not ${expected}`)

t.test('without drift next to none is found, with a large one all is', async t => {
  for (const process of Object.values(processes)) {
    t.ok(found(runsOf(process, 500, 50, 71), 500) <= 0.04)
    t.ok(found(runsOf(process, 500, 20, 72, 30), 500) >= (process === processes.iid ? 1 : 0.8))
  }
})

t.test('processes have variance 1', async t => {
  for (const [name, process] of Object.entries(processes)) {
    const next = process(3), n = 20_000
    const square = Array.from({ length: n }, (_, i) => next(i)).reduce((sum, x) => sum + x * x / n, 0)
    t.ok(Math.abs(square - 1) < 0.25, `${name}: ${square}`)
  }
})

t.test('the run length that is asked for holds for every shift', async t => {
  const [all] = steady(600_000, 78), readings = (count: number) => [{ ...all, time: (all.time as Float64Array).subarray(0, count), value: (all.value as Float64Array).subarray(0, count) }]
  for (const [method, shifts] of [['cusum', [0.1, 0.5, 1, 2, 4]], ['page_hinkley', [1, 4]]] as const) {
    for (const shift of shifts) for (const [runLength, changes] of [[1000, 150], [10_000, 60]]) near(t, runLengthOf(change({ method, shift, runLength }), readings(runLength * changes)) / runLength, 1, 0.3, `${method}, shift ${shift}, ${runLength}`)
  }
})

t.test('a run length is readings over changes, a delay is counted from the first reading behind the shift', async t => {
  const step = change({ runLength: 500 }), length = runLengthOf(step, steady(60_000, 73))
  t.ok(length > 350 && length < 700, `${length}`)
  const delays = delaysOf(change(), shifted(20, 40, 74))
  t.ok(delays.length > 30 && delays.every(d => d >= 1 && d <= 5) && delays.filter(d => d === 4).length > 15, delays.join())
  const measured = averageRunLength(new Kswin(75 / 210), normals(75), 50, 1e6)
  t.ok(measured > 500 && measured < 1300, `${measured}`)
})

t.test('what is called river here finds changes exactly where river does, with forgetting and without', async t => {
  interface Fires { readonly values: number[], readonly adwin: { confidence: number, at: number[] }[], readonly page_hinkley: { allowance: number, threshold: number, forget: number, at: number[] }[] }
  const { fires } = JSON.parse(readFileSync(new URL('../oracles/drift.json', import.meta.url), 'utf8')) as { fires: Fires[] }
  const settings = { 'page_hinkley': [0.005, 50, 0.9999], 'page_hinkley, delta 0.5': [0.5, 8, 0.9999], 'page_hinkley, delta 0.5, alpha 1': [0.5, 8, 1] }
  for (const { values, adwin, page_hinkley } of fires) {
    for (const { confidence, at } of adwin) t.strictSame([...changesIn(rivers.adwin(confidence), values)], at)
    for (const [name, [allowance, threshold, forget]] of Object.entries(settings)) {
      const { at } = page_hinkley.find(one => one.allowance === allowance && one.threshold === threshold && one.forget === forget)!
      t.strictSame([...changesIn(rivers[name](threshold), values)], at, name)
    }
  }
})

t.test('what is called river here takes as long as river, at its parameters', async t => {
  const { detectors } = golden()
  t.strictSame(detectors.map(d => d.detector).sort(), Object.keys(rivers).sort())
  for (const { detector, parameter, average_run_length, run_length_error, delay, delay_error } of detectors) {
    const late = delaysIn(rivers[detector](parameter), shifted(1, 400, 76)), length = runLengthIn(rivers[detector](parameter), steady(1_000_000, 77))
    t.ok(late.every(Number.isFinite) && late.length > 300)
    near(t, late.reduce((a, b) => a + b / late.length, 0), delay, 6 * delay_error, `delay of ${detector}`)
    near(t, length, average_run_length, 4 * run_length_error + 0.15 * average_run_length, `run length of ${detector}`)
  }
})

t.test('a parameter is found that gives the run length that is wanted, whether it rises with it or falls', async t => {
  const up = matched(p => 50 * p ** 2, 10_000, 3, true), down = matched(p => 700 / p ** 1.4, 10_000, 2, false)
  near(t, up.length, 10_000, 200, 'up')
  near(t, up.parameter, Math.sqrt(200), 0.2, 'up')
  near(t, down.length, 10_000, 200, 'down')
  t.equal(matched(p => Math.ceil(p / 7000) * 7000, 10_000, 10_000, true).length, 14_000, 'the nearest of those that there are')
})
