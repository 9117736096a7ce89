import { SeriesTable, Watermarks, type Batch, type Operator } from '#engine'
import type { DeviceReadings } from '../device-files.ts'
import { names } from './world.ts'
import { key } from '../../models/random.ts'
import { causes } from '../../models/verdict.ts'
import { anomaly, hygiene, peers, verdict } from '../../operators/index.ts'
import { causeOf, END, kinds, verdicts, type Cause, type Verdict } from './causes.ts'
import type { Plant } from './plants.ts'
import { Rig } from './run.ts'
import { DAY, START } from './world.ts'

/** The budgets of faults-found, fixed there. */
const BUDGET = { alarms: 0.1, per: '1w' } as const
const steps = (): Operator<any, any>[] => [hygiene(), anomaly(BUDGET), peers(BUDGET), verdict()]
const BATCH = 1000
/** Days that are learned of a plant before causes come. */
export const LEARN = 21

/** What was said of a device from a time on: by event what came last and of which metrics, and when anything was said first. */
export interface Told { readonly verdict: Verdict, readonly metrics: ReadonlySet<number>, readonly at: number }

/** Listens to the batches of one device: what it was told from `from` on, event by event. */
function listen (from: number): { readonly all: Told[], readonly take: (batch: Batch<any>) => void } {
  const open = new Map<number, number>(), all: Told[] = []
  return {
    all,
    take (batch) {
      const { verdict: codes } = batch.columns as Record<string, Float64Array>
      for (let i = 0; i < batch.length; i++) {
        const code = codes[i], metric = batch.series[i], before = open.size
        if (code > 0) open.set(metric, code)
        else open.delete(metric)
        if (batch.time[i] < from || !(code > 0)) continue
        const verdict = causes[code - 1], last = all.at(-1)
        if (before === 0 || last === undefined) all.push({ verdict, metrics: new Set([metric]), at: batch.time[i] })
        else if (last.verdict !== verdict) all[all.length - 1] = { verdict, metrics: new Set([metric]), at: last.at }
        else (last.metrics as Set<number>).add(metric)
      }
    }
  }
}

/** One device to `end`: what it was told from `from` on. */
export function told (seed: number, cause: Cause | undefined, from: number, end: number, plant: Plant = 'always'): Told[] {
  const { all, take } = listen(from)
  new Rig(seed, steps(), plant).to(end, cause, take)
  return all
}

/** What a device from a file was told from `from` on, to `end`. */
export function toldOf ({ metrics, arrival, time, metric, value }: DeviceReadings, from: number, end: number): Told[] {
  const table = new SeriesTable(metrics.length), { all, take } = listen(from)
  for (const name of metrics) table.id('bench', 'pump', name)
  const marks = new Watermarks(table, { lateness: 0, idle: Infinity, forget: Infinity }), stages = steps().map(step => step.open({ series: table, late () {}, aggregated () {} }))
  const count = arrival.findIndex(at => at >= end), rows = count < 0 ? arrival.length : count
  for (let i = 0; i < rows; i += BATCH) {
    const part = (of: readonly number[]) => Float64Array.from(of.slice(i, Math.min(i + BATCH, rows)))
    take(stages.reduce((batch, stage) => stage.process(batch), marks.arrive({ time: part(time), series: Int32Array.from(part(metric)), value: part(value), position: part(time).map((_, k) => i + k + 1), ingest: part(arrival) }) as Batch<any>))
  }
  return all
}

/** A simulated device as it is written. */
export function readingsOf (seed: number, name: string, cause: Cause | undefined, end: number): DeviceReadings {
  const time: number[] = [], metric: number[] = [], value: number[] = []
  new Rig(seed, []).to(end, cause, batch => { time.push(...batch.time); metric.push(...batch.series); value.push(...batch.value) })
  return { name, metrics: names, arrival: time, time, metric, value }
}

export interface Outcome { readonly cause: Pick<Cause, 'verdict' | 'kind' | 'from' | 'metric'>, readonly said: Verdict | 'none', readonly metric: boolean, readonly delay: number }

export function outcomeOf (cause: Outcome['cause'], all: readonly Told[]): Outcome {
  const last = all.at(-1)
  return { cause, said: last?.verdict ?? 'none', metric: last !== undefined && last.metrics.has(cause.metric) && last.metrics.size === 1, delay: (all[0]?.at ?? NaN) - cause.from }
}

/** What became of `count` causes of each verdict, of all kinds in turn, each on a device of its own: what was said last in their time, whether of a sensor the right one, and how many ms it took until anything was said. */
export function outcomes (seed: number, count: number, only: readonly Verdict[] = verdicts, write?: (readings: DeviceReadings, cause: Cause) => void): Outcome[] {
  return only.flatMap(verdict => Array.from({ length: count }, (_, n): Outcome => {
    const device = key(seed, verdicts.indexOf(verdict), n), cause = causeOf(device, verdict, kinds[verdict][n % kinds[verdict].length])
    write?.(readingsOf(device, `${verdict}-${n}`, cause, Math.min(cause.to, END)), cause)
    return outcomeOf(cause, told(device, cause, cause.from, Math.min(cause.to, END)))
  }))
}

/** Likewise in a plant: a device learns once, and each cause is taken on from there. As many of each verdict as a sensor has kinds. */
export function plantOutcomes (seed: number, plant: Plant): Outcome[] {
  const rig = new Rig(seed, steps(), plant), most = Math.max(...verdicts.map(verdict => kinds[verdict].length))
  rig.to(START + LEARN * DAY, undefined, () => {})
  return verdicts.flatMap((verdict, v) => Array.from({ length: most }, (_, n) => {
    const cause = causeOf(seed, verdict, kinds[verdict][n % kinds[verdict].length], { plant, learn: LEARN * DAY, n: 1 + verdicts.length * n + v }), { all, take } = listen(cause.from)
    rig.copy().to(cause.to, cause, take)
    return outcomeOf(cause, all)
  }))
}
