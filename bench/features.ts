import { resolve } from 'node:path'
import { SeriesTable, Watermarks, type Batch, type Host } from '#engine'
import { Random } from '../models/random.ts'
import { count } from '../operators/count.ts'
import { tumbling } from '../operators/tumbling.ts'
import { features as all, type Feature } from '../operators/windows/options.ts'
import { features as running } from '../models/features.ts'
import type { Series } from './drive.ts'
import { errorOf, exactFeatures } from './exact.ts'
import { alternate, atMost, missed, mustEqual, round, spread, type Benchmark } from './measure.ts'
import { files, readSeries, writeSeries } from './series-files.ts'

const WINDOWS = 12, PER_WINDOW = 400                                 // of each series, for the errors: exact arithmetic is slow
const OFFSET = 1e6                   // standard deviations: a series whose mean is farther from 0 counts as one with a large offset
const SERIES = 1000, PER_DEVICE = 10, SECONDS = 600, EVERY = 60, ROUNDS = 7, BATCH = 1024
const ABOVE = 20
/** All of the time domain: not what goes by frequency. */
const timed: readonly Feature[] = all.filter(f => !['band_energy', 'centroid', 'peak_frequency', 'spectral_entropy', 'envelope_energy'].includes(f))
/** What has an exact rational value: an entropy has none. */
const exact: readonly Feature[] = timed.filter(f => f !== 'permutation_entropy')
const bySign: readonly Feature[] = ['skewness', 'kurtosis']

/** Seven kinds of ordinary values, of which three are about 0, and a large offset, taken every second. */
export function made (seed: number): Series[] {
  const random = new Random(seed), normal = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  let level = 0, last = 0
  const kinds = {
    'normal': () => 20 + 5 * normal(), 'exponential': () => -7 * Math.log(1 - random.next()), 'uniform to one decimal': () => Math.round(random.next() * 1000) / 10, 'random walk': () => level += normal(), '1e9 + N(0, 1e-3)': () => 1e9 + 1e-3 * normal(),
    'N(0, 1)': normal, 'autoregressive, 0.9': () => last = 0.9 * last + normal(), 'whole numbers from -5 to 5': () => Math.floor(random.next() * 11) - 5
  }
  const time = Array.from({ length: WINDOWS * PER_WINDOW }, (_, i) => 1_700_000_000_000 + i * 1000)
  return Object.entries(kinds).map(([name, next]) => ({ name, time, value: time.map(next) }))
}

/** Is the mean so far from 0 that digits of the spread are few? */
function isOffset ({ value }: Series): boolean {
  const x = Array.from(value), mean = x.reduce((sum, v) => sum + v / x.length, 0)
  return Math.abs(mean) > OFFSET * Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2 / x.length, 0))
}

/**
 * How far features are off from exact rational arithmetic on the same doubles, and what they cost. `max_relative_error` is
 * over windows of seven kinds of ordinary data, `max_relative_error_offset` over 1e9 + N(0, 1e-3); of skewness and kurtosis
 * relative to at least 1. `ns_per_reading` is that of all time-domain features that are sums, in one pass, by the operator
 * tumbling over 1,000 series; `ns_per_reading_samples` with those by rank and order too, autocorrelation and permutation entropy
 * among them. The floor is a bare loop that adds up value and time of each series.
 */
export const features: Benchmark = {
  summary: 'features against exact rational arithmetic, and ns per reading for all of the time domain in one pass',
  unit: 'reading',
  options: { seed: { type: 'string', default: '1' }, ...files },
  check ({ seed }) { if (!/^\d+$/.test(seed)) throw new Error(`--seed must be a whole number, got "${seed}"`) },
  async run (say, { seed, data, write }) {
    const series = data === '' ? made(Number(seed)) : readSeries(resolve(data)), [worst, offset] = worstOf(series)
    if (write !== '') writeSeries(resolve(write), series)
    for (const { name, feature, error } of [worst, offset]) if (name !== '') say(`${name}: ${feature} is off most, by ${error.toExponential(2)}`)

    let n = 0
    const values = (series.find(s => !isOffset(s)) ?? series[0]).value, batches = readings(() => values[n++ % values.length]), total = SERIES * SECONDS
    const expected = floor(batches)
    const sampled = timed.filter(f => !(running as readonly string[]).includes(f))
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
  fault: (figures, { data } = {}) => missed(figures, { max_relative_error: atMost(1e-12), max_relative_error_offset: atMost(1e-9), ...data === '' && { ns_per_reading: atMost(120) } })
}

interface Worst { readonly name: string, readonly feature: Feature, readonly error: number }

/** The feature that is off most, over the first windows of ordinary series, and over those with a large offset. */
export function worstOf (all: readonly Series[]): readonly [Worst, Worst] {
  const worst: [Worst, Worst] = [{ name: '', feature: 'count', error: 0 }, { name: '', feature: 'count', error: 0 }]
  for (const series of all) {
    const which = isOffset(series) ? 1 : 0, times = Array.from(series.time).slice(0, WINDOWS * PER_WINDOW), values = Array.from(series.value).slice(0, times.length)
    let from = 0
    for (const row of rowsOf(exact, [{ times, values, series: times.map(() => 0) }])) {
      const part = <T>(of: readonly T[]) => of.slice(from, from + row.count), truth = exactFeatures(part(times), part(values), ABOVE)
      for (const f of exact) {
        if (Number.isNaN(row[f]) && truth[f].q === 0n) continue
        const error = errorOf(row[f], truth[f], bySign.includes(f) ? 1 : 0)
        if (!(error <= worst[which].error)) worst[which] = { name: series.name, feature: f, error }
      }
      from += row.count
    }
    mustEqual(`readings of ${series.name} in its windows`, from, times.length)
  }
  return worst
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

/** Windows of so many readings. */
function rowsOf (chosen: readonly Feature[], parts: readonly Part[]): Record<string, number>[] {
  const table = named(), stage = count({ readings: PER_WINDOW, features: chosen, above: ABOVE }).open(host(table))
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
