import { key, normal } from '../models/random.ts'
import { portfolio, Portfolio } from '../models/portfolio.ts'
import { anomaly } from '../operators/index.ts'
import { BATCH } from './drive.ts'
import { alternate, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { Batch, SeriesTable } from '#engine'

const SERIES = 1000, EACH = 1000, ROUNDS = 7, ALPHA = 0.01
const BYTES = 8

/** `anomaly` over 1,000 series that come in turn, a reading a second each; the floor is the least detector: mean and variance that fade, and a z-score. */
export const detect: Benchmark = {
  summary: 'the operator anomaly, time and memory, against a z-score of fading mean and variance written by hand',
  unit: 'reading',
  options: { seed: { type: 'string', default: '1' } },
  check ({ seed }) { if (!/^\d+$/.test(seed)) throw new Error(`--seed must be a whole number, got "${seed}"`) },
  async run (say, { seed }) {
    const batches = readings(Number(seed)), total = SERIES * EACH
    const expected = alone(batches)
    say(`${total} readings of ${SERIES} series; the operator gives what the model alone gives: ${expected}`)
    const taken = alternate(ROUNDS, { operator: () => { mustEqual('the sum of evidence', through(batches), expected, 1e-12) }, floor: () => { mustEqual('the number of scores', floor(batches), total) } })
    const own = spread(taken.operator.map(ns => ns / total)), least = spread(taken.floor.map(ns => ns / total)), ratio = spread(taken.operator.map((ns, i) => ns / taken.floor[i]))
    const figures: Figures = {
      ns_per_reading: round(own.median), bytes_per_series: Object.keys(portfolio).length * BYTES, floor_ns_per_reading: round(least.median), ratio_to_floor: round(ratio.median),
      series: SERIES, readings: total, runs: ROUNDS, ns_per_reading_spread: [round(own.low), round(own.high)], floor_ns_per_reading_spread: [round(least.low), round(least.high)]
    }
    return [figures]
  }
}

function readings (seed: number): Batch[] {
  const of = key(seed), count = SERIES * EACH
  return Array.from({ length: Math.ceil(count / BATCH) }, (_, b) => {
    const at = Float64Array.from({ length: Math.min(BATCH, count - b * BATCH) }, (_, i) => b * BATCH + i)
    return new Batch({ time: at.map(i => Math.floor(i / SERIES) * 1000), series: Int32Array.from(at, i => i % SERIES), value: at.map(i => normal(of, i)) })
  })
}

function through (batches: readonly Batch[]): number {
  const table = new SeriesTable(SERIES)
  for (let s = 0; s < SERIES; s++) table.id('bench', `${s}`, 'value')
  const stage = anomaly().open({ series: table, late () {}, aggregated () {} })
  let sum = 0
  for (const batch of batches) for (const x of (stage.process(batch).columns as Record<string, Float64Array>).anomaly) if (x > 0) sum += x
  return sum
}

/** The sum of what is news, by the model without an operator. */
function alone (batches: readonly Batch[]): number {
  const first = Object.values(portfolio), width = first.length, model = new Portfolio()
  const m = new Float64Array(SERIES * width), { samples } = anomaly().options as { samples: number }
  for (let s = 0; s < SERIES; s++) m.set(first, s * width)
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

function floor (batches: readonly Batch[]): number {
  const mean = new Float64Array(SERIES), variance = new Float64Array(SERIES).fill(1)
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
