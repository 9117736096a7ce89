import { Batch, SeriesTable, Watermarks, type Operator } from '#engine'
import { Fleet, roomFor } from '../models/fleet.ts'
import { metricModels } from '../models/metric.ts'
import { anomaly, fault, hygiene, peers } from '../operators/index.ts'
import { alternate, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'

const DEVICES = 250, TICKS = 1000, ROUNDS = 5, EVERY = 10_000, BYTES = 8
const metrics = (['temperature', 'vibration', 'current', 'pressure'] as const).map(name => ({ ...metricModels[name], stride: 1 }))
const STEPS: readonly (() => Operator)[] = [hygiene, anomaly, peers, fault]

/** The operators that name faults, one behind the other, over 250 devices with 4 metrics: what each takes by itself. */
export const cost: Benchmark = {
  summary: 'time and memory of hygiene, peers and fault',
  unit: 'operator',
  async run (say) {
    const inputs = prepared(), total = DEVICES * TICKS * metrics.length
    say(`${total} readings of ${DEVICES} devices; each operator gives the same in batches of half the size`)
    const names = STEPS.map(make => make().name)
    const sums = STEPS.map((make, k) => sum(make, inputs[k]))
    STEPS.forEach((make, k) => { mustEqual(names[k], sum(make, inputs[k].flatMap(halves)), sums[k]) })
    const taken = alternate(ROUNDS, Object.fromEntries(STEPS.map((make, k) => [names[k], () => { mustEqual(names[k], sum(make, inputs[k]), sums[k]) }])))
    return STEPS.map((make, k): Figures => {
      const { median, low, high } = spread(taken[names[k]].map(ns => ns / total)), { perSeries, perDevice } = make().definition
      return { operator: names[k], ns_per_reading: round(median), bytes_per_series: bytes(perSeries), bytes_per_device: bytes(perDevice), runs: ROUNDS, ns_per_reading_spread: [round(low), round(high)] }
    })
  }
}

/** What each operator is given: readings, with what those before it add. */
function prepared (): Batch<any>[][] {
  const fleet = new Fleet({ devices: DEVICES, metrics, every: EVERY, seed: 1, start: Date.UTC(2026, 0, 5) })
  const table = tableOf(), time = new Watermarks(table, { lateness: 0, idle: Infinity, forget: Infinity }), out = roomFor(DEVICES * metrics.length)
  const batches: Batch<any>[] = []
  for (let tick = 0, position = 0; tick < TICKS; tick++) {
    const n = fleet.fill(out)
    batches.push(time.arrive({ time: out.time.slice(0, n), series: out.series.slice(0, n), value: out.value.slice(0, n), position: new Float64Array(n).map(() => ++position), ingest: out.truth.slice(0, n) }))
  }
  return STEPS.reduce<Batch<any>[][]>((all, make) => {
    const stage = make().open({ series: table, late () {}, aggregated () {} })
    return [...all, all.at(-1)!.map(batch => stage.process(batch))]
  }, [batches])
}

function tableOf (): SeriesTable {
  const table = new SeriesTable(DEVICES * metrics.length)
  for (let d = 0; d < DEVICES; d++) for (let m = 0; m < metrics.length; m++) table.id('bench', `${d}`, `${m}`)
  return table
}

/** The sum of all that an operator adds. */
function sum (make: () => Operator, batches: readonly Batch<any>[]): number {
  const operator = make(), stage = operator.open({ series: tableOf(), late () {}, aggregated () {} })
  let sum = 0
  for (const batch of batches) {
    const { columns } = stage.process(batch)
    for (const name of operator.adds) for (const x of columns[name] as Float64Array) if (Number.isFinite(x)) sum += Math.round(x * 1e6)      // whole numbers: exact in any order
  }
  return sum
}

function halves (batch: Batch<any>): Batch<any>[] {
  const middle = batch.length >> 1, rows = Int32Array.from({ length: batch.length }, (_, i) => i), { progress } = batch
  const cut = progress.position.findIndex(p => p > batch.position[middle - 1])
  const part = (from: number, to: number, first: number, last: number) => new Batch({ ...batch.take(rows.subarray(from, to)), progress: { ...progress, device: progress.device.subarray(first, last), time: progress.time.subarray(first, last), position: progress.position.subarray(first, last) } })
  return [part(0, middle, 0, cut), part(middle, batch.length, cut, progress.device.length)]
}

const bytes = (shapes: unknown): number => BYTES * Object.values(shapes ?? {}).reduce((sum: number, shape) => sum + (typeof shape === 'number' ? 1 : Object.keys(shape as object).length), 0)
