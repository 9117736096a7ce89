import t from 'tap'
import { causeOf, END, kinds, verdicts } from '../../bench/verdict/causes.ts'
import { plants, runs, type Plant } from '../../bench/verdict/plants.ts'
import { Rig, run } from '../../bench/verdict/run.ts'
import { outcomes, told } from '../../bench/verdict/told.ts'
import { conditions, DAY, EVERY, HOUR, names, Pump, sensors, START } from '../../bench/verdict/world.ts'
import { anomaly, hygiene, peers, verdict } from '../../operators/index.ts'

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

t.test('a plant runs when it says, its switches up to half an hour early or late; what stands still has no flow', async t => {
  const on = (plant: Plant, day: number, hour: number) => runs(plant, 7, START + day * DAY + hour * HOUR)
  const week = (plant: Plant, hour: number) => Array.from({ length: 7 }, (_, day) => Number(on(plant, day, hour))).join('')
  t.strictSame(plants.map(plant => [week(plant, 3), week(plant, 12), week(plant, 20)]), [['1111111', '1111111', '1111111'], ['0000000', '1111111', '0000000'], ['0000000', '1111100', '0000000'], ['1111100', '1111100', '1111100']])
  const pump = new Pump(7), still = pump.at(START, pump.usual, {}, false).slice(), copy = pump.copy()
  t.ok(still[0] < 1 && still[1] < 0.3 && still[2] > 10 && still[2] < 35 && still[3] < 0.5, still.join(' '))
  t.strictSame(copy.at(START + EVERY, copy.usual, {}), pump.at(START + EVERY, pump.usual, {}), 'a copy goes on as it would')
})

t.test('in a plant causes begin while it runs, behind what is learned, and differ from one to the next', async t => {
  const place = { plant: 'nights and weekends', learn: 21 * DAY, n: 1 } as const
  for (const verdict of verdicts) for (const kind of kinds[verdict]) {
    const { from, to } = causeOf(7, verdict, kind, place)
    t.ok(from >= START + 21 * DAY && from < START + 22 * DAY && runs(place.plant, 7, from) && to <= START + 23 * DAY, kind)
  }
  t.not(causeOf(7, 'model', 'variance', place).from, causeOf(7, 'model', 'variance', { ...place, n: 2 }).from)
})

t.test('a device of a plant that is copied goes on as it would', async t => {
  const steps = [hygiene(), anomaly(), peers(), verdict()], rig = new Rig(7, steps, 'nights'), later: number[][] = [[], []]
  rig.to(START + 8 * HOUR, undefined, () => {})
  for (const [k, one] of [rig.copy(), rig].entries()) one.to(START + 12 * HOUR, undefined, batch => { for (const name of ['anomaly', 'anomaly_usual', 'hygiene', 'peers_learned', 'verdict_learned']) later[k].push(...batch.columns[name]) })
  t.strictSame(later[0], later[1])
})
