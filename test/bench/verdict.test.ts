import t from 'tap'
import { outcomes, told } from '../../bench/verdict.ts'
import { causeOf, END, kinds, verdicts } from '../../bench/verdict/causes.ts'
import { run } from '../../bench/verdict/run.ts'
import { conditions, DAY, EVERY, HOUR, names, Pump, sensors, START } from '../../bench/verdict/world.ts'

t.test('each condition of the pump is seen in two metrics at least, the second by as much as asked', async t => {
  for (const kind of conditions) {
    const { size } = causeOf(3, 'device', kind), pump = new Pump(3), healthy = pump.settled(pump.usual.mean, {})
    const off = [...pump.settled(pump.usual.mean, { [kind]: size })].map((x, m) => Math.abs(x - healthy[m]) / sensors[m]).sort((a, b) => a - b)
    t.ok(off.at(-2)! > 5, `${kind}: ${off.join(' ')} standard deviations of the sensors`)
  }
})

t.test('a sensor that is wrong is one metric, and another regime changes no coupling', async t => {
  const values = (verdict: typeof verdicts[number] | undefined, kind: string) => {
    const all = names.map((): number[] => []), cause = verdict === undefined ? undefined : causeOf(5, verdict, kind)
    run(5, cause, START + 5 * DAY, [], batch => batch.value.forEach((x, i) => all[batch.series[i]].push(x)))
    return all
  }
  const healthy = values(undefined, '')
  for (const kind of kinds.sensor) {
    const differ = values('sensor', kind).map((x, m) => x.some((v, i) => v !== healthy[m][i]))
    t.strictSame(differ, names.map((_, m) => m === causeOf(5, 'sensor', kind).metric), kind)
  }
  const pump = new Pump(5), { from, regime } = causeOf(5, 'model', 'operating point')
  t.ok(Math.abs(regime.mean - pump.usual.mean) >= 0.15)
  const moved = values('model', 'operating point')
  for (let m = 0; m < names.length; m++) t.strictSame(moved[m].slice(0, (from - START) / EVERY), healthy[m].slice(0, (from - START) / EVERY))
})

t.test('causes begin when three days are learned and end within the run', async t => {
  for (const verdict of verdicts) {
    for (const kind of kinds[verdict]) {
      const { from, to } = causeOf(7, verdict, kind)
      t.ok(from >= START + 3 * DAY + HOUR && from <= START + 4 * DAY && to > from && to <= END, kind)
    }
  }
})

t.test('of one cause of each verdict it is told which, and the same again', async t => {
  for (const verdict of verdicts) {
    const [{ said, metric }] = outcomes(11, 1, [verdict])
    t.equal(said, verdict)
    if (verdict === 'sensor') t.ok(metric, 'and which metric')
    t.strictSame(outcomes(11, 1, [verdict])[0].said, said)
  }
})

t.test('of a device to which nothing happens little is told', async t => {
  t.ok(told(12, undefined, START + 3 * DAY, START + 5 * DAY).length <= 1)
})
