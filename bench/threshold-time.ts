import { join, resolve } from 'node:path'
import { key, normal, uniform } from '../models/random.ts'
import { wiener } from '../models/wiener.ts'
import { rul } from '../operators/index.ts'
import { columnsOf, type Series } from './drive.ts'
import { cpuOf, missed, mustEqual, round, spread, type Benchmark } from './measure.ts'
import { files, readChanges, readSeries, writeChanges, writeSeries } from './series-files.ts'

const HOUR = 3_600_000, DAY = 24, BEGIN = Date.UTC(2026, 0, 1), LONGEST = 500 * DAY
const THRESHOLD = 100, DRIFT = 1 / DAY, SPREAD = 0.3, WANDER = 2 / Math.sqrt(DAY), NOISE = 0.5, LEAST = 0.2
const INSPECTED = 10 * DAY * HOUR     // ms
const UNITS = 1000
const SAMPLES = 30                   // readings before the first rate, by default

interface Unit extends Series { readonly fails: number }      // when it comes to the threshold, ms; Infinity when it does not

/**
 * A unit that degrades as a Wiener process with a drift of its own, in hours until it has failed, read with noise. Units drift by
 * a lognormal number around 1 a day, 30 % apart; the process wanders by 2 in a day, so a unit lasts 100 days, 20 % more or less.
 * With `trend` 0 they only wander.
 */
function unit (k: number, name: string, trend: number): Unit {
  const drift = trend * DRIFT * Math.max(LEAST, Math.exp(SPREAD * normal(k, 0) - SPREAD * SPREAD / 2)), value: number[] = [], chance = key(k, 1), noise = key(k, 2)
  let x = 0, fails = Infinity
  for (let hour = 0; hour < LONGEST && fails === Infinity; hour++) {
    value.push(x + NOISE * normal(noise, hour))
    const next = x + drift + WANDER * normal(k, hour + 1)
    // A path between two hours passes the threshold with this probability, also when it ends below.
    const passed = next >= THRESHOLD || uniform(chance, hour) < Math.exp(-2 * (THRESHOLD - x) * (THRESHOLD - next) / WANDER ** 2)
    if (passed) fails = hour + (next >= THRESHOLD ? (THRESHOLD - x) / (next - x) : 0.5)
    x = next
  }
  return { name, fails: Math.round(BEGIN + fails * HOUR), time: Float64Array.from(value, (_, hour) => BEGIN + hour * HOUR), value }
}

export const unitsOf = (seed: number, count: number, trend: number): Unit[] => Array.from({ length: count }, (_, u) => unit(key(seed, trend, u), `${u}`, trend))

/** Units as they were written: those with a trend, which fail at the time in changes.csv or not at all, and those without one. */
function readUnits (folder: string): Unit[] {
  const fails = readChanges(folder)
  return readSeries(folder).map(series => ({ ...series, fails: fails.get(series.name) ?? Infinity }))
}

function writeUnits (folder: string, units: readonly Unit[]): void {
  writeSeries(folder, units)
  writeChanges(folder, units.filter(u => u.fails < Infinity).map(u => [u.name, u.fails]))
}

/** What the operator says at every tenth day of units that have not failed: how often it speaks, and where the failure then falls. */
export function inspect (units: readonly Unit[], above = THRESHOLD) {
  let inspections = 0, spoken = 0, early = 0, late = 0
  columnsOf(rul({ above, over: '365d' }), units).forEach(({ rul_p10: p10, rul_p90: p90 }, u) => {
    const { time, fails } = units[u]
    for (let i = 0, next = time[0] + INSPECTED; i < time.length; i++) {
      if (time[i] < next) continue
      next += INSPECTED
      inspections++
      if (Number.isNaN(p10[i])) continue
      const left = (fails - time[i]) / 1000
      spoken++
      if (left < p10[i]) early++
      if (left > p90[i]) late++
    }
  })
  return { inspections, spoken, early, late }
}

const READINGS = 20_000, ROUNDS = 5

/** CPU time of a reading for which it speaks. */
function cost (): number {
  let x = 0
  const k = key(1), value = Float64Array.from({ length: READINGS }, (_, i) => x += DRIFT + WANDER * normal(k, i)), series = { name: '0', time: value.map((_, i) => BEGIN + i * HOUR), value }
  const taken = Array.from({ length: ROUNDS + 1 }, () => {
    let columns: { readonly rul_rate: Float64Array }[] = []
    const ns = cpuOf(() => { columns = columnsOf(rul({ above: 10 * x, over: '365d' }), [series]) })
    mustEqual('the number of rates', columns[0].rul_rate.filter(rate => !Number.isNaN(rate)).length, READINGS - SAMPLES + 1)
    return ns / READINGS
  })
  return spread(taken.slice(1)).median
}

export const thresholdTime: Benchmark = {
  summary: 'the operator rul on simulated Wiener degradation: how often the time to the threshold lies between its 10 and 90 %',
  unit: 'all units',
  options: { seed: { type: 'string', default: '1' }, units: { type: 'string', default: `${UNITS}` }, above: { type: 'string', default: `${THRESHOLD}` }, ...files },      // data: folders trend and none of units
  check ({ seed, units, above }) {
    if (!Number.isFinite(Number(above))) throw new Error(`--above ${above}: must be a number`)
    for (const [name, text] of Object.entries({ seed, units })) if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: must be a whole number`) },
  async run (say, options) {
    const [seed, count, above] = [options.seed, options.units, options.above].map(Number), { data, write } = options
    const of = (name: string, trend: number) => data === '' ? unitsOf(seed, count, trend) : readUnits(join(resolve(data), name))
    const units = of('trend', 1), still = of('none', 0)
    if (write !== '') for (const [name, some] of [['trend', units], ['none', still]] as const) writeUnits(join(resolve(write), name), some)
    say(`${units.length} units that degrade, and ${still.length} that only wander, looked at every tenth day until they fail`)
    const { inspections, spoken, early, late } = inspect(units, above), idle = inspect(still, above)
    return [{
      coverage_80: round((spoken - early - late) / spoken), before_p10: round(early / spoken), after_p90: round(late / spoken),
      spoken: round(spoken / inspections), spoken_without_trend: round(idle.spoken / idle.inspections), units: units.length, inspections,
      ...data === '' && write === '' ? { ns_per_reading: round(cost()) } : {}, bytes_per_series: 8 * Object.keys(wiener).length
    }]
  },
  fault: (figures, { data, units, above } = {}) => data === '' && Number(units) >= UNITS && Number(above) === THRESHOLD ? missed(figures, { coverage_80: [0.78, 0.82] }) : undefined
}
