import { resolve } from 'node:path'
import { key, normal } from '../models/random.ts'
import { portfolio, Portfolio } from '../models/portfolio.ts'
import { anomaly } from '../operators/index.ts'
import { BATCH, type Series } from './drive.ts'
import { alternate, atMost, missed, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { files, readSeries, writeSeries } from './series-files.ts'
import { Batch, SeriesTable } from '#engine'

const ROUNDS = 7, ALPHA = 0.01
const BYTES = 8, SERIES = 1000, EACH = 1000

/** `anomaly` over 1,000 series that come in turn, a reading a second each; the floor is the least detector: mean and variance that fade, and a z-score. */
export const detect: Benchmark = {
  summary: 'the operator anomaly, time and memory, against a z-score of fading mean and variance written by hand',
  unit: 'reading',
  options: { seed: { type: 'string', default: '1' }, series: { type: 'string', default: `${SERIES}` }, each: { type: 'string', default: `${EACH}` }, ...files },      // each: readings of a series
  check ({ seed, series, each }) { for (const [name, text] of Object.entries({ seed, series, each })) if (!/^\d+$/.test(text)) throw new Error(`--${name} must be a whole number, got "${text}"`) },
  async run (say, { seed, each, data, write, ...options }) {
    const series = data === '' ? made(Number(seed), Number(options.series), Number(each)) : readSeries(resolve(data)), count = series.length, total = series.reduce((n, s) => n + s.time.length, 0), batches = batchesOf(series)
    if (write !== '') writeSeries(resolve(write), series)
    const expected = alone(batches, count)
    say(`${total} readings of ${count} series; the operator gives what the model alone gives: ${expected}`)
    const taken = alternate(ROUNDS, { operator: () => { mustEqual('the sum of evidence', through(batches, count), expected, 1e-12) }, floor: () => { mustEqual('the number of scores', floor(batches, count), total) } })
    const own = spread(taken.operator.map(ns => ns / total)), least = spread(taken.floor.map(ns => ns / total)), ratio = spread(taken.operator.map((ns, i) => ns / taken.floor[i]))
    const figures: Figures = {
      ns_per_reading: round(own.median), bytes_per_series: Object.keys(portfolio).length * BYTES, floor_ns_per_reading: round(least.median), ratio_to_floor: round(ratio.median),
      series: count, evidence: expected, readings: total, runs: ROUNDS, ns_per_reading_spread: [round(own.low), round(own.high)], floor_ns_per_reading_spread: [round(least.low), round(least.high)]
    }
    return [figures]
  },
  fault: (figures, { data, series, each } = {}) => data === '' && Number(series) >= SERIES && Number(each) >= EACH ? missed(figures, { ns_per_reading: atMost(250), bytes_per_series: atMost(1024) }) : undefined
}

function made (seed: number, series: number, each: number): Series[] {
  const of = key(seed)
  return Array.from({ length: series }, (_, s) => ({ name: `${s}`, time: Float64Array.from({ length: each }, (_, i) => i * 1000), value: Float64Array.from({ length: each }, (_, i) => normal(of, i * series + s)) }))
}

/** As they come: by time, at one time by series. */
function batchesOf (all: readonly Series[]): Batch[] {
  const rows = all.flatMap(({ time, value }, s) => Array.from(time, (at, i) => ({ at, s, x: value[i] }))).sort((a, b) => a.at - b.at || a.s - b.s)
  return Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, b) => {
    const part = rows.slice(b * BATCH, (b + 1) * BATCH)
    return new Batch({ time: Float64Array.from(part, r => r.at), series: Int32Array.from(part, r => r.s), value: Float64Array.from(part, r => r.x) })
  })
}

function through (batches: readonly Batch[], count: number): number {
  const table = new SeriesTable(count)
  for (let s = 0; s < count; s++) table.id('bench', `${s}`, 'value')
  const stage = anomaly().open({ series: table, late () {}, aggregated () {} })
  let sum = 0
  for (const batch of batches) for (const x of (stage.process(batch).columns as Record<string, Float64Array>).anomaly) if (x > 0) sum += x
  return sum
}

/** The sum of what is news, by the model without an operator. */
function alone (batches: readonly Batch[], count: number): number {
  const first = Object.values(portfolio), width = first.length, model = new Portfolio()
  const m = new Float64Array(count * width), { samples } = anomaly().options as { samples: number }
  for (let s = 0; s < count; s++) m.set(first, s * width)
  let sum = 0
  for (const { time, series, value } of batches) {
    for (let i = 0; i < value.length; i++) {
      const at = series[i] * width, n = m[at]
      model.read(value[i], time[i])
      if (n > 0) model.score(m, at)
      if (n >= samples && model.news) sum += model.evidence
      model.learn(m, at)
    }
  }
  return sum
}

function floor (batches: readonly Batch[], count: number): number {
  const mean = new Float64Array(count), variance = new Float64Array(count).fill(1)
  let scores = 0
  for (const { series, value } of batches) {
    const z = new Float64Array(value.length)
    for (let i = 0; i < value.length; i++) {
      const s = series[i], off = value[i] - mean[s]
      z[i] = off / Math.sqrt(variance[s])
      mean[s] += ALPHA * off
      variance[s] += ALPHA * (off * off - variance[s])
      if (z[i] === z[i]) scores++
    }
  }
  return scores
}
