import { Batch, SeriesTable, Watermarks, type Operator } from '#engine'
import { Fleet, roomFor } from '../models/fleet.ts'
import { metricModels } from '../models/fleet-metric.ts'
import * as operators from '../operators/index.ts'
import { features as running } from '../models/features.ts'
import { alternate, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'

const names = ['temperature', 'vibration', 'current', 'pressure'] as const, metrics = names.map(name => ({ ...metricModels[name], stride: 1 }))
const ROUNDS = 5, SECOND = 1000, HOUR = 3_600_000, BYTES = 8
const { across, anomaly, change, count, deadband, dedupe, derive, drift, ewma, fault, forecast, forest, hopping, hotelling, hygiene, loda, peers, rul, scale, session, sliding, threshold, tumbling, validate, verdict, where, zscore } = operators

/** What operators are measured on: devices with 4 metrics, all readings or one row of the four; `of` what stands before them. */
interface Input { readonly devices: number, readonly ticks: number, readonly every: number, readonly of?: readonly (() => Operator<any, any>)[] }
const many: Input = { devices: 100, ticks: 500, every: 10 * SECOND }
const hours: Input = { devices: 10, ticks: 500, every: HOUR }
const minutes: Input = { devices: 25, ticks: 500, every: 10 * SECOND }
const columns = names.map(name => `${name}_last` as const)
const rows: Input = { ...minutes, of: [() => tumbling({ every: '10s', features: ['last'] }), () => across({ metrics: [...names], columns: ['last'] })] }
/** Behind those before it. */
const behind = (...of: readonly (() => Operator<any, any>)[]): Input => ({ ...many, of })
const learned = () => peers({ learn: '30m' })          // so that most of the time is spent judging

type Case = readonly [Input, () => Operator<any, any>, options?: string]

/** Each operator with options as one would write them. */
export const cases: Readonly<Partial<Record<keyof typeof operators, Case>>> = {
  across: [behind(() => tumbling({ every: '10s' })), () => across({ metrics: [...names] }), '{ metrics: [4 of them] }'],
  anomaly: [behind(hygiene), anomaly],
  change: [many, change],
  count: [many, () => count({ readings: 60 }), '{ readings: 60 }'],
  deadband: [many, () => deadband({ percent: 1 }), '{ percent: 1 }'],
  dedupe: [many, dedupe],
  derive: [many, () => derive({ metric: 'load', from: ['current', 'pressure'], by: 'product' }), '{ from: [2 metrics], by: product }'],
  drift: [many, () => drift({ reference: 300, current: 100 }), '{ reference: 300, current: 100 }'],
  ewma: [many, ewma],
  fault: [behind(hygiene, anomaly, learned), fault],
  forecast: [hours, () => forecast({ every: '1h', horizons: [1, 24] }), '{ every: 1h, horizons: [1, 24] }, on hourly readings'],
  forest: [rows, () => forest({ columns }), '{ columns: [4 of them] }'],
  hopping: [many, () => hopping({ size: '10m', every: '1m' }), '{ size: 10m, every: 1m }'],
  hotelling: [rows, () => hotelling({ columns }), '{ columns: [4 of them] }'],
  hygiene: [many, hygiene],
  loda: [rows, () => loda({ columns }), '{ columns: [4 of them] }'],
  peers: [behind(hygiene, anomaly), learned, '{ learn: 30m }'],
  rul: [minutes, () => rul({ above: 1e6 }), '{ above: 1000000 }'],
  scale: [many, () => scale({ factor: 1.8, offset: 32 }), '{ factor: 1.8, offset: 32 }'],
  session: [many, () => session({ gap: '1m' }), '{ gap: 1m }'],
  sliding: [many, () => sliding({ over: '10m' }), '{ over: 10m }'],
  threshold: [many, () => threshold({ above: 80, clear: 75 }), '{ above: 80, clear: 75 }'],
  tumbling: [many, () => tumbling({ every: '10m', features: [...running], above: 20 }), `{ every: 10m, features: [all ${running.length} that are sums] }`],
  validate: [many, () => validate({ min: -50, max: 500 }), '{ min: -50, max: 500 }'],
  verdict: [behind(hygiene, anomaly, learned, fault), verdict],
  where: [many, () => where({ metric: ['temperature', 'current'] }), '{ metric: [2 of 4] }'],
  zscore: [many, () => zscore({ over: '1h' }), '{ over: 1h }']
}

/** With others that cost another amount. */
const others: Readonly<Partial<Record<keyof typeof operators, readonly Case[]>>> = {
  count: [[many, () => count({ readings: 60, of: 'device' }), '{ readings: 60, of: device }']],
  sliding: [
    [many, () => sliding({ over: '10m', features: ['median', 'iqr', 'mad'] }), '{ over: 10m, features: [median, iqr, mad] }'],
    [many, () => sliding({ over: '10m', features: ['mean_crossings', 'autocorrelation', 'permutation_entropy'] }), '{ over: 10m, features: [mean_crossings, autocorrelation, permutation_entropy] }'],
    [many, () => sliding({ over: '10m', features: ['centroid', 'peak_frequency'] }), '{ over: 10m, features: [centroid, peak_frequency] }'],
    [many, () => sliding({ over: '10m', of: 'device' }), '{ over: 10m, of: device }']
  ]
}

/** Every operator by itself, on devices of the simulator: the time of a reading, or of a row of several columns, and what is remembered of a series at the end. */
export const cost: Benchmark = {
  summary: 'time and memory of each operator',
  unit: 'operator',
  options: { only: { type: 'string', default: '' } },
  check ({ only }) { if (only !== '' && !(only in cases)) throw new Error(`--only ${only}: there is no such operator`) },
  async run (say, { only }) {
    const named = Object.entries(cases).filter(([name]) => only === '' || name === only)
    return named.flatMap(([name, usual]) => [usual, ...others[name as keyof typeof operators] ?? []].map(one => [name, one] as const)).map(([operator, [input, make, options = '']]): Figures => {
      const batches = prepared(input), total = batches.reduce((n, batch) => n + batch.length, 0), expected = sum(make, batches, input)
      mustEqual(`${operator} in batches of half the size`, sum(make, batches.flatMap(halves), input), expected)
      const { median, low, high } = spread(alternate(ROUNDS, { own: () => { mustEqual(operator, sum(make, batches, input), expected) } }).own.map(ns => ns / total))
      say(`${operator} ${options}: ${total} readings or rows`)
      return { operator, options, ns_per_reading: round(median), bytes_per_series: Math.round(remembered(make, batches, input)), readings: total, runs: ROUNDS, ns_per_reading_spread: [round(low), round(high)] }
    })
  }
}

/** Readings, through the steps that stand before. */
function prepared (input: Input): Batch<any>[] {
  const { devices, ticks, every, of = [] } = input
  const fleet = new Fleet({ devices, metrics, every, seed: 1, start: Date.UTC(2026, 0, 5) })
  const table = tableOf(input), time = new Watermarks(table, { lateness: 0, idle: Infinity, forget: Infinity }), out = roomFor(devices * metrics.length)
  let position = 0
  const batches = Array.from({ length: ticks }, (): Batch<any> => {
    const n = fleet.fill(out)
    return time.arrive({ time: out.time.slice(0, n), series: out.series.slice(0, n), value: out.value.slice(0, n), position: new Float64Array(n).map(() => ++position), ingest: out.truth.slice(0, n) })
  })
  return of.reduce((batches, make) => { const stage = open(make(), table); return batches.map(batch => stage.process(batch)) }, batches)
}

const open = (operator: Operator<any, any>, series: SeriesTable) => operator.open({ series, late () {}, aggregated () {} })

/** Every series that is given is known, and there is room for those that operators add. */
function tableOf (input: Input): SeriesTable {
  const { devices } = input, table = new SeriesTable(2 * devices * metrics.length)
  for (let d = 0; d < devices; d++) for (const name of names) table.id('bench', `${d}`, name)
  if (input === rows) for (let d = 0; d < devices; d++) table.id('bench', `${d}`, 'all')
  return table
}

/** The number of rows and the sum of all that an operator adds. */
function sum (make: () => Operator<any, any>, batches: readonly Batch<any>[], input: Input): number {
  const operator = make(), stage = open(operator, tableOf(input))
  let sum = 0
  for (const batch of batches) {
    const out = stage.process(batch)
    sum += out.length
    for (const name of operator.adds) for (const x of (out.columns as Record<string, Float64Array>)[name]) if (Number.isFinite(x)) sum += Math.round(x * 1e6) % 1e8      // whole numbers, and few digits of them: exact in any order
  }
  return sum
}

/** Bytes in its snapshot behind all readings, for each series that it is given. */
function remembered (make: () => Operator<any, any>, batches: readonly Batch<any>[], input: Input): number {
  const series = new Set<number>(), stage = open(make(), tableOf(input))
  for (const batch of batches) {
    for (const s of batch.series) series.add(s)
    stage.process(batch)
  }
  return bytesOf(stage.save()) / series.size
}

const bytesOf = (part: unknown): number => ArrayBuffer.isView(part) ? part.byteLength : typeof part === 'number' ? BYTES : part !== null && typeof part === 'object' ? Object.values(part).reduce((all: number, one) => all + bytesOf(one), 0) : 0

function halves (batch: Batch<any>): Batch<any>[] {
  if (batch.length < 2) return [batch]
  const middle = batch.length >> 1, rows = Int32Array.from({ length: batch.length }, (_, i) => i), { progress } = batch
  const found = progress.position.findIndex(p => p > batch.position[middle - 1]), cut = found < 0 ? progress.position.length : found
  const part = (from: number, to: number, first: number, last: number) => new Batch({ ...batch.take(rows.subarray(from, to)), progress: { ...progress, device: progress.device.subarray(first, last), time: progress.time.subarray(first, last), position: progress.position.subarray(first, last) } })
  return [part(0, middle, 0, cut), part(middle, batch.length, cut, progress.device.length)]
}
