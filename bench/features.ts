import { SeriesTable, Watermarks, type Batch, type Host } from '#engine'
import { Random } from '../models/random.ts'
import { tumbling } from '../operators/tumbling.ts'
import { features as all, type Feature } from '../operators/windows/features.ts'
import { features as running } from '../models/features.ts'
import { errorOf, exactFeatures } from './exact.ts'
import { alternate, mustEqual, round, spread, type Benchmark } from './measure.ts'

const WINDOWS = 12, PER_WINDOW = 400                                 // for the errors: exact arithmetic is slow
const SERIES = 1000, PER_DEVICE = 10, SECONDS = 600, EVERY = 60, ROUNDS = 7, BATCH = 1024
const ABOVE = 20
/** What has an exact rational value: all but entropies and what goes by frequency. */
const exact = all.filter(f => !['permutation_entropy', 'band_energy', 'centroid', 'peak_frequency', 'spectral_entropy', 'envelope_energy'].includes(f))
const bySign: readonly Feature[] = ['skewness', 'kurtosis']

/**
 * How far features are off from exact rational arithmetic on the same doubles, and what they cost. `max_relative_error` is
 * over windows of four kinds of ordinary data, `max_relative_error_offset` over 1e9 + N(0, 1e-3); of skewness and kurtosis
 * relative to at least 1. `ns_per_reading` is that of all time-domain features that are sums, in one pass, by the operator
 * tumbling over 1,000 series; `ns_per_reading_samples` with those by rank and order too. The floor is a bare loop that adds
 * up value and time of each series.
 */
export const features: Benchmark = {
  summary: 'features against exact rational arithmetic, and ns per reading for all of the time domain in one pass',
  unit: 'reading',
  options: { seed: { type: 'string', default: '1' } },
  check ({ seed }) { if (!/^\d+$/.test(seed)) throw new Error(`--seed must be a whole number, got "${seed}"`) },
  async run (say, { seed }) {
    const random = new Random(Number(seed)), normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
    let level = 0
    const ordinary = { 'N(20, 5)': () => 20 + 5 * normal(), 'exponential': () => -7 * Math.log(1 - random.next()), 'uniform, one decimal': () => Math.round(random.next() * 1000) / 10, 'random walk': () => level += normal() }
    const worst = Object.entries(ordinary).map(([name, next]) => worstOf(name, next)).reduce((a, b) => b.error > a.error ? b : a)
    const offset = worstOf('1e9 + N(0, 1e-3)', () => 1e9 + 1e-3 * normal())
    for (const { name, feature, error } of [worst, offset]) say(`${name}: ${feature} is off most, by ${error.toExponential(2)}`)

    const batches = readings(() => 20 + 5 * normal()), total = SERIES * SECONDS
    const expected = floor(batches)
    const sampled = exact.filter(f => !(running as readonly string[]).includes(f))
    const taken = alternate(ROUNDS, {
      sums: () => { mustEqual('the sum of the means', through(batches, running), expected, 1e-9) },
      samples: () => { mustEqual('the sum of the means', through(batches, ['mean', ...running.filter(f => f !== 'mean'), ...sampled]), expected, 1e-9) },
      floor: () => { mustEqual('the sum of the means', floor(batches), expected) }
    })
    const per = (ns: readonly number[]) => spread(ns.map(x => x / total)), own = per(taken.sums), more = per(taken.samples), bare = per(taken.floor)
    return [{
      max_relative_error: Number(worst.error.toPrecision(3)), max_relative_error_offset: Number(offset.error.toPrecision(3)), ns_per_reading: round(own.median), ns_per_reading_samples: round(more.median), floor_ns_per_reading: round(bare.median),
      worst: worst.feature, worst_offset: offset.feature, features: running.length, features_samples: running.length + sampled.length, seed: Number(seed),
      readings: total, series: SERIES, every_s: EVERY, batch: BATCH, runs: ROUNDS,
      ns_per_reading_spread: [round(own.low), round(own.high)], ns_per_reading_samples_spread: [round(more.low), round(more.high)], floor_ns_per_reading_spread: [round(bare.low), round(bare.high)]
    }]
  },
  fault: ({ max_relative_error: error, max_relative_error_offset: offset }) => Number(error) <= 1e-12 && Number(offset) <= 1e-9 ? undefined : `features are off by more than 1e-12, or 1e-9 on a large offset: ${Number(error)}, ${Number(offset)}`
}

/** The feature that is off most, over windows of such data taken every second. */
function worstOf (name: string, next: () => number): { name: string, feature: Feature, error: number } {
  let feature: Feature = 'count', error = 0
  const times = Array.from({ length: WINDOWS * PER_WINDOW }, (_, i) => 1_700_000_000_000 + i * 1000), values = times.map(next)
  const start = (k: number) => k * PER_WINDOW
  const offset = times[0] % (PER_WINDOW * 1000)
  const rows = rowsOf(exact, { every: `${PER_WINDOW}s`, offset: `${offset}ms` }, [{ times, values, series: times.map(() => 0) }])
  mustEqual('the number of windows', rows.length, WINDOWS)
  for (const [k, row] of rows.entries()) {
    const part = <T>(of: readonly T[]) => of.slice(start(k), start(k + 1)), truth = exactFeatures(part(times), part(values), ABOVE)
    for (const f of exact) {
      const off = errorOf(row[f], truth[f], bySign.includes(f) ? 1 : 0)
      if (!(off <= error)) { error = off; feature = f }
    }
  }
  return { name, feature, error }
}

interface Part { readonly times: readonly number[], readonly values: readonly number[], readonly series: readonly number[] }

function batchesOf (parts: readonly Part[], table: SeriesTable): Batch[] {
  const watermarks = new Watermarks(table, { lateness: 0, idle: 1e9, forget: 1e9 })
  return [...parts.map(({ times, values, series }) => watermarks.arrive({
    time: Float64Array.from(times), series: Int32Array.from(series), value: Float64Array.from(values), position: Float64Array.from(times, (_, i) => i), ingest: new Float64Array(times.length)
  })), watermarks.end(0)]
}

const named = (): SeriesTable => {
  const table = new SeriesTable(SERIES)
  for (let s = 0; s < SERIES; s++) table.id('plant', `device-${Math.floor(s / PER_DEVICE)}`, `metric-${s % PER_DEVICE}`)
  return table
}
const host = (series: SeriesTable): Host => ({ series, late () { throw new Error('nothing is late here') }, aggregated () {} })

function rowsOf (chosen: readonly Feature[], options: { every: string, offset?: string }, parts: readonly Part[]): Record<string, number>[] {
  const table = named(), stage = tumbling({ ...options, features: chosen, above: ABOVE }).open(host(table))
  return batchesOf(parts, table).flatMap(batch => {
    const out = stage.process(batch)
    return Array.from(out.time, (_, i) => Object.fromEntries(chosen.map(f => [f, out.columns[f][i]])))
  })
}

/** A reading of every series each second. */
function readings (next: () => number): Batch[] {
  const parts: { times: number[], values: number[], series: number[] }[] = []
  for (let i = 0; i < SECONDS * SERIES; i++) {
    if (i % BATCH === 0) parts.push({ times: [], values: [], series: [] })
    const part = parts[parts.length - 1]
    part.times.push(1_700_000_040_000 + Math.floor(i / SERIES) * 1000)       // a whole minute
    part.series.push(i % SERIES)
    part.values.push(next())
  }
  return batchesOf(parts, named())
}

/** The sum of all means, by way of everything. */
function through (batches: readonly Batch[], chosen: readonly Feature[]): number {
  const stage = tumbling({ every: `${EVERY}s`, features: chosen, above: ABOVE }).open(host(named()))
  let sum = 0
  for (const batch of batches) for (const x of stage.process(batch).columns.mean) sum += x
  return sum
}

/** The same by the least that can be done: a sum per series. */
function floor (batches: readonly Batch[]): number {
  const sums = new Float64Array(SERIES), times = new Float64Array(SERIES)
  for (const { time, series, value } of batches) {
    for (let i = 0; i < time.length; i++) {
      sums[series[i]] += value[i]
      times[series[i]] += time[i]
    }
  }
  return sums.reduce((a, b) => a + b) / EVERY
}
