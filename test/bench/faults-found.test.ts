import t from 'tap'
import { faultsFound, outcomes } from '../../bench/faults-found.ts'
import { asked, EVERY, healthy, kinds, metrics, plan, START } from '../../bench/found/world.ts'
import { week, type Event } from '../../bench/found/run.ts'
import { scaleOf } from '../../models/fleet-metric.ts'
import type { Fault } from '../../models/faults.ts'

const values = healthy(5, 2), planned = plan(5, [kinds, kinds], asked, values)

t.test('each device gets each fault once, apart from each other, as large and as long as asked', async t => {
  for (const device of [0, 1]) {
    const own = planned.filter(f => f.device === device)
    t.strictSame(new Set(own.map(f => f.kind)), new Set(kinds))
    for (let i = 1; i < own.length; i++) t.ok(own[i].from >= own[i - 1].to + 3_600_000)
  }
  for (const { kind, metric, size, from, to } of planned) {
    const readings = (to - from) / EVERY
    if (kind === 'shift' || kind === 'drift' || kind === 'noise') t.ok(Math.abs(Math.abs(size) / scaleOf(metrics[metric]).spread - 3) < 1e-9)
    if (kind === 'stuck') t.ok(readings >= 30)
    if (kind === 'dropout') t.ok(readings >= 10)
    if (kind === 'clock') t.ok(Math.abs(size) >= 60_000)
    if (kind === 'unit') t.ok(size >= 1.8)
  }
})

t.test('clipping is at the 90th percentile of what the sensor would have given', async t => {
  for (const { device, metric, kind, size, from, to } of planned) {
    if (kind !== 'clip') continue
    const would = values[device * metrics.length + metric].subarray((from - START) / EVERY, (to - START) / EVERY)
    t.ok(Math.abs(would.filter(x => x > size).length / would.length - 0.1) < 0.01)
  }
})

t.test('an event counts when it begins in the time of the fault on its series, with the name that it has at the end', async t => {
  const fault: Fault = { device: 1, metric: 2, kind: 'unit', from: START + 100_000, to: START + 900_000, size: 10 }
  const event = (series: number, from: number, ...names: Event['names']): Event => ({ series, from: START + from, names })
  const at = (ms: number, kind: Event['names'][number]['kind']) => ({ kind, at: START + ms })
  const of = (...events: Event[]) => outcomes([fault], events).map(({ found, named }) => [found, named])
  t.strictSame(of(event(6, 110_000, at(110_000, 'shift'), at(260_000, 'unit'), at(990_000, 'noise'))), [[true, 'unit']])
  t.strictSame(of(event(5, 110_000, at(110_000, 'unit')), event(6, 80_000, at(80_000, 'unit')), event(6, 900_000, at(900_000, 'unit'))), [[false, undefined]])
})

t.test('an event on another metric of the device, in the time of the fault, is one on a healthy metric; a fault of the device has none', async t => {
  const event = (series: number, from: number): Event => ({ series, from: START + from, names: [{ kind: 'drift', at: START + from }] })
  const events = [event(5, 110_000), event(7, 800_000), event(6, 110_000), event(7, 900_000), event(5, 99_000), event(2, 110_000)]
  const of = (metric: number) => outcomes([{ device: 1, metric, kind: 'dropout', from: START + 100_000, to: START + 900_000, size: 0 }], events)[0].neighbours
  t.strictSame([of(2), of(-1)], [2, 0])
  const fault = { device: 1, kind: 'drift', from: START + 100_000, to: START + 900_000, size: 1 } as const
  t.strictSame(outcomes([{ ...fault, metric: 2 }, { ...fault, metric: 1 }], events).map(o => o.neighbours), [1, 1], 'two at once: the fault of one is none of the other')
})

t.test('recall by size is measured unless it is asked not to', async t => {
  t.ok(Number(faultsFound.options!.each.default) >= 3)
})

t.test('without detectors nothing is found; with them some is, and the same again', async t => {
  const run = (faults: readonly Fault[]) => { const events: Event[] = []; t.equal(week(5, 1, faults, e => events.push(e)), 4 * 60_480 - faults.reduce((n, f) => n + (f.kind === 'dropout' ? (f.metric < 0 ? 4 : 1) * (f.to - f.from) / EVERY : 0), 0)); return events }
  const mine = planned.filter(f => f.device === 0), events = run(mine)
  t.ok(outcomes(mine, events).filter(o => o.found).length >= 7, JSON.stringify(outcomes(mine, events)))
  t.ok(outcomes(mine, events).reduce((n, o) => n + o.neighbours, 0) <= 1, 'healthy metrics of a faulty device are named by chance only')
  t.strictSame(run(mine), events)
  t.ok(outcomes(mine, run([])).filter(o => o.found).length <= 1)
})
