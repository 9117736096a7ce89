import t from 'tap'
import { faultKinds, faultsOfWeek, usualSize, WEEK, withoutOverlaps, type Fault, type FaultKind } from '../../models/faults.ts'

const kinds = Object.keys(faultKinds) as FaultKind[]
const scales = [{ centre: 50, spread: 5, factor: 1.8 }, { centre: 2, spread: 0.5, factor: 1000 }]
const start = Date.UTC(2026, 0, 5)
const weekOf = (week: number, rates: { [K in FaultKind]?: number }, device = 0, seed = 1) => faultsOfWeek({ seed, device, week, start, rates, scales, every: 1000 })

void t.test('a week of faults is the same whenever it is asked for, and another for another week, device or seed', async t => {
  const rates = { spike: 20, drift: 2 }
  const week = weekOf(3, rates)
  weekOf(0, rates)
  t.strictSame(weekOf(3, rates), week)
  for (const other of [weekOf(4, rates), weekOf(3, rates, 1), weekOf(3, rates, 0, 2)]) t.ok(other.some((f, i) => f.from !== week[i]?.from))
})

void t.test('faults lie inside their week, in order, and never overlap', async t => {
  const faults = Array.from({ length: 50 }, (_, w) => weekOf(w, Object.fromEntries(kinds.map(kind => [kind, 10])))).flat()
  t.ok(faults.length > 1000)
  for (let i = 0; i < faults.length; i++) {
    const { from, to } = faults[i]
    const week = Math.floor((from - start) / WEEK)
    if (!(to > from && to <= start + (week + 1) * WEEK && from >= (faults[i - 1]?.to ?? start))) t.fail(`${from} to ${to}`)
  }
  t.strictSame(new Set(faults.map(f => f.kind)), new Set(kinds))
})

void t.test('there are as many as the rate says', async t => {
  const count = Array.from({ length: 400 }, (_, w) => weekOf(w, { spike: 5 }).length).reduce((a, b) => a + b)
  t.ok(Math.abs(count - 2000) < 5 * Math.sqrt(2000), `${count}`)
  t.strictSame(weekOf(0, {}), [])
})

void t.test('a wrong clock and a changed load are of the whole device, other faults of one metric', async t => {
  for (const kind of kinds.filter(kind => kind !== 'dropout')) {
    const metrics = Array.from({ length: 40 }, (_, w) => weekOf(w, { [kind]: 3 })).flat().map(f => f.metric)
    t.strictSame(new Set(metrics), kind === 'clock' || kind === 'load' ? new Set([-1]) : new Set([0, 1]), kind)
  }
})

void t.test('usual sizes are measured in the spread of the metric', async t => {
  t.equal(usualSize('shift', scales[0], 0), 15)
  t.equal(usualSize('shift', scales[1], 0, -1), -1.5)
  t.equal(usualSize('clip', scales[0], 0), 50)
  t.equal(usualSize('unit', scales[1]), 1000)
  t.equal(usualSize('stuck', scales[1]), 0)
  t.equal(usualSize('clock', scales[0], 0), 30_000)
})

void t.test('of two that overlap the later one is left out, and random ones keep clear of planted ones', async t => {
  const fault = (from: number, to: number): Fault => ({ device: 0, metric: 0, kind: 'shift', from, to, size: 1 })
  t.strictSame(withoutOverlaps([fault(5, 8), fault(0, 6), fault(8, 9), fault(6, 7)]), [fault(0, 6), fault(6, 7), fault(8, 9)])
  t.strictSame(withoutOverlaps([fault(0, 6), fault(8, 9)], [fault(5, 7)]), [fault(8, 9)])
})
