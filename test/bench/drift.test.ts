import t from 'tap'
import { delaysOf, found, processes, runLengthOf, runsOf, shifted, steady } from '../../bench/drift.ts'
import { averageRunLength, normals } from '../../bench/run-length.ts'
import { Kswin } from '../../models/kswin.ts'
import { change } from '../../operators/change.ts'

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

t.test('a run length is readings over changes, a delay is counted from the first reading behind the shift', async t => {
  const step = change({ runLength: 500 }), length = runLengthOf(step, steady(60_000, 73))
  t.ok(length > 350 && length < 700, `${length}`)
  const delays = delaysOf(change(), shifted(20, 40, 74))
  t.ok(delays.length > 30 && delays.every(d => d >= 1 && d <= 5) && delays.filter(d => d === 4).length > 15, delays.join())
  const measured = averageRunLength(new Kswin(75 / 210), normals(75), 50, 1e6)
  t.ok(measured > 500 && measured < 1300, `${measured}`)
})
