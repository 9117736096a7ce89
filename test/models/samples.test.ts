import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fc from 'fast-check'
import { Accumulator, features, type Feature } from '../../models/features.ts'
import { transform } from '../../models/fourier.ts'
import { byRank, quantile } from '../../models/quantiles.ts'
import { columnsOf, EXACT, isRank, LONGEST, ranked, sampleFeatures, sequenced, sequenceFeatures, type Band, type SampleOptions } from '../../models/samples.ts'
import { bandEnergy, rateOf, spectrum } from '../../models/spectrum.ts'
import { normal } from './random.ts'

interface Case extends SampleOptions { readonly name: string, readonly interval: number, readonly values: number[], readonly expected: Readonly<Record<string, number>> }
const { cases } = JSON.parse(readFileSync(join(import.meta.dirname, '../oracles/features.json'), 'utf8')) as { cases: Case[] }
const START = 1_700_000_000_000
const options: SampleOptions = { lag: 1, order: 3, bands: [[0, 10]], carrier: [0, 1000], envelope: [[0, 10]] }
const evenly = (values: readonly number[], interval = 1000) => ({ times: Float64Array.from(values, (_, i) => START + i * interval), values: Float64Array.from(values) })
const one = (feature: typeof sequenceFeatures[number], values: readonly number[], more: Partial<SampleOptions> = {}, interval = 1000) => sequenced([feature], evenly(values, interval), { ...options, ...more })[0]

for (const { name, interval, values, expected, ...own } of cases) {
  t.test(`numpy, scipy and tsfresh say the same of ${name}`, async t => {
    const samples = evenly(values, interval), accumulator = new Accumulator(features, { above: 0 }), a = new Float64Array(accumulator.fields.length)
    values.forEach((_, i) => { accumulator.add(a, 0, samples.times, Float64Array.from(values), i) })
    const running = features.filter(f => f in expected).map((f: Feature): [string, number] => [f, accumulator.value(f, a, 0)])
    const ranks = sampleFeatures.filter(isRank), byRank = ranked(ranks, samples.values)
    const columns = sequenceFeatures.flatMap(f => columnsOf(f, own)), sequences = sequenced(sequenceFeatures, samples, own)
    const got = Object.fromEntries([...running, ...ranks.map((f, i) => [f, byRank[i]] as const), ...columns.map((c, i) => [c, sequences[i]] as const)])
    t.strictSame(Object.keys(got).sort(), Object.keys(expected).sort())
    for (const [feature, x] of Object.entries(expected)) t.ok(Math.abs(got[feature] - x) <= 1e-9 * Math.max(Math.abs(x), 1e-3), `${feature}: ${got[feature]}, not ${x}`)
  })
}

t.test('quantiles of few readings are exact, of many within one percent of the distance from the middle', async t => {
  const noise = normal(3), ranks = sampleFeatures.filter(isRank)
  for (const [offset, spread] of [[0, 1], [80, 0.01], [-1e6, 30]] as const) {
    const values = Float64Array.from({ length: 20_000 }, () => offset + spread * Math.exp(noise()))
    const sorted = values.slice().sort(), middle = sorted[10_000], got = ranked(ranks, values)
    const at = (q: number) => sorted[Math.floor(q * 19_999)]
    const quantiles = { median: 0.5, p01: 0.01, p05: 0.05, p10: 0.1, p25: 0.25, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 }
    for (const [feature, q] of Object.entries(quantiles)) {
      const x = at(q), off = Math.abs(got[ranks.indexOf(feature as 'p01')] - x)
      // the origin is the median of the first 512, about 5 % of the spread away from that of all
      t.ok(off <= 0.0101 * (Math.abs(x - middle) + 0.2 * spread), `${feature} of ${offset}: off by ${off}`)
    }
    t.ok(Math.abs(got[ranks.indexOf('iqr')] / (at(0.75) - at(0.25)) - 1) < 0.02)
    const mad = sorted.map(x => Math.abs(x - middle)).sort()[10_000]
    t.ok(Math.abs(got[ranks.indexOf('mad')] / mad - 1) < 0.03, `mad ${got[ranks.indexOf('mad')]}, not ${mad}`)
  }
  const few = Float64Array.from({ length: EXACT }, (_, i) => EXACT - i)
  t.strictSame(ranked(['median', 'p25', 'iqr'], few), [256.5, 128.75, 255.5])
  t.strictSame(ranked(['median', 'iqr', 'mad'], new Float64Array(0)), [NaN, NaN, NaN])
})

t.test('permutation entropy is that of patterns ranked one by one, bit for bit', async t => {
  const values = fc.array(fc.oneof(fc.integer({ min: -2, max: 2 }), fc.double({ noNaN: true })), { maxLength: 60 })
  fc.assert(fc.property(values, fc.integer({ min: 2, max: 6 }), (some, order) => {
    const counts = new Map<number, number>(), patterns = Math.max(0, some.length - order + 1)
    for (let i = 0; i < patterns; i++) {
      const pattern = some.slice(i, i + order), code = pattern.reduce((code, x, j) => code * (order - j) + pattern.slice(j + 1).filter(later => later < x).length, 0)
      counts.set(code, (counts.get(code) ?? 0) + 1)
    }
    const all = Array.from({ length: order }, (_, k) => k + 1).reduce((a, b) => a * b)
    const entropy = [...counts].sort(([a], [b]) => a - b).reduce((sum, [, n]) => sum - n / patterns * Math.log(n / patterns), 0) / Math.log(all)
    assert.ok(Object.is(one('permutation_entropy', some, { order }), patterns > 0 ? entropy : NaN))
  }), { numRuns: 1000 })
  t.ok(true)
})

t.test('the median distance from the median is that of sorted distances, bit for bit', async t => {
  const values = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.constantFrom(1e300, -1e300, 65535, 5e-324, 1e9, 1e9 + 1e-6)), { minLength: 1, maxLength: 40 })
  fc.assert(fc.property(values, some => {
    const sorted = Float64Array.from(some).sort(), middle = sorted[sorted.length >> 1], centre = quantile(sorted, 0.5, middle)
    assert.ok(Object.is(byRank('mad', sorted), quantile(sorted.map(x => Math.abs(x - middle - centre)).sort(), 0.5)))
  }), { numRuns: 1000 })
  t.ok(true)
})

t.test('a spectrum keeps the energy (Parseval), whatever the length', async t => {
  const noise = normal(5)
  for (const n of [4, 7, 64, 100, 255]) {
    const values = Float64Array.from({ length: n }, () => 5 + noise()), mean = values.reduce((a, b) => a + b) / n
    const weight = (i: number) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / n)
    const kept = values.reduce((sum, x, i) => sum + ((x - mean) * weight(i)) ** 2, 0) / values.reduce((sum, _, i) => sum + weight(i) ** 2, 0)
    t.ok(Math.abs(bandEnergy(spectrum(values, 50), [0, Infinity]) / kept - 1) < 1e-12, `${n}`)
  }
})

t.test('a transform and its inverse give back what there was', async t => {
  fc.assert(fc.property(fc.nat(8).chain(k => fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 2 ** k, maxLength: 2 ** k })), values => {
    const re = Float64Array.from(values), im = Float64Array.from(values, x => -x / 2)
    transform(re, im)
    transform(re, im, true)
    for (const [i, x] of values.entries()) assert.ok(Math.abs(re[i] - x) < 1e-12 && Math.abs(im[i] + x / 2) < 1e-12)
  }))
  t.ok(true)
})

t.test('what goes by frequency needs readings that are even, within half an interval', async t => {
  const times = (...of: number[]) => Float64Array.from(of, s => START + s * 1000)
  t.equal(rateOf(times(0, 1, 2, 3)), 1)
  t.equal(rateOf(times(0, 1.4, 1.6, 3)), 1)
  t.ok(Number.isNaN(rateOf(times(0, 1, 2))), 'too few')
  t.ok(Number.isNaN(rateOf(times(0, 1, 2, 3, 4, 9))), 'a gap')
  t.ok(Number.isNaN(rateOf(times(0, 0, 0, 0))), 'no time')
  t.ok(Number.isNaN(sequenced(['centroid'], { times: times(0, 1, 5, 6, 7), values: Float64Array.of(1, 2, 1, 2, 1) }, options)[0]))
})

t.test('the frequency of a sine is found to a quarter of a bin where readings come a tenth of the interval early or late, and its energy but for what that takes', async t => {
  const n = 256, jitter = normal(11)
  for (const hz of [0.02, 0.1, 0.3, 0.45]) {
    const seconds = Array.from({ length: n }, (_, i) => i + 0.1 * Math.max(-3, Math.min(jitter(), 3))), values = Float64Array.from(seconds, s => Math.sin(2 * Math.PI * hz * s))
    const [peak, energy] = sequenced(['peak_frequency', 'band_energy'], { times: Float64Array.from(seconds, s => START + s * 1000), values }, { ...options, bands: [[hz - 0.015, hz + 0.015]] })
    const coherent = Math.exp(-((2 * Math.PI * hz * 0.1) ** 2))       // of the power of a sine with normal jitter
    t.ok(Math.abs(peak - hz) < 0.25 / n && Math.abs(energy / 0.5 - coherent) < 0.1, `${hz}: ${peak}, ${energy}`)
  }
})

t.test('what goes by frequency has no value behind a gap, beside a time that comes twice, or where power is beyond all numbers', async t => {
  const at = (seconds: readonly number[], scale = 1) => sequenced(['band_energy', 'centroid', 'peak_frequency', 'spectral_entropy', 'envelope_energy'], { times: Float64Array.from(seconds, s => START + s * 1000), values: Float64Array.from(seconds, s => scale * Math.sin(s)) }, options)
  const even = Array.from({ length: 512 }, (_, i) => i), none = Array(5).fill(NaN)
  t.strictSame(at(even.filter(i => i < 128 || i >= 384)), none, 'half of the window is not there')
  t.strictSame(at(even.filter(i => i !== 20)), none, 'one reading is not there')
  t.strictSame(at([...even.slice(0, 101), ...even.slice(100)]), none, 'a time comes twice')
  t.strictSame(at([0, 1]), none)
  t.strictSame(at(even.slice(0, 64), 1e300), [Infinity, NaN, NaN, NaN, Infinity])
  t.ok(Math.abs(at(even.slice(0, 64), 1e150)[2] - 1 / (2 * Math.PI)) < 1e-3)
})

t.test('a band has an energy as far as it lies below half the rate, and none where no frequency of the spectrum lies', async t => {
  const values = Array.from({ length: 256 }, (_, i) => Math.sin(2 * Math.PI * 0.4 * i) + (i % 2)), rate = 1, step = rate / 256
  const of = (bands: readonly Band[], more: Partial<SampleOptions> = {}) => sequenced(['band_energy'], evenly(values), { ...options, ...more, bands })
  const [below, beyond, all] = of([[0.3, 0.5], [0.3, 80], [0.3, 0.5 + step / 2]])
  t.ok(below > 0.4 && beyond > below && beyond === all, `${below}, ${beyond}, ${all}`)
  t.strictSame(of([[0.5, 1], [0.6, 0.7], [80, 90]]), [NaN, NaN, NaN], 'from half the rate on')
  t.strictSame(of([[10.2 * step, 10.8 * step]]), [NaN], 'between two frequencies')
  t.ok(of([[10.2 * step, 11.2 * step]])[0] >= 0)
  const faults = (carrier: Band, envelope: Band) => sequenced(['envelope_energy'], evenly(values), { ...options, carrier, envelope: [envelope] })[0]
  t.ok(faults([0.1, 80], [0, 0.5]) > 0)
  t.ok(Number.isNaN(faults([0.6, 0.8], [0, 0.5])), 'a carrier from half the rate on')
  t.ok(Number.isNaN(faults([0.1, 0.5], [0.6, 0.8])))
})

t.test('patterns: one only, all alike, and too few readings', async t => {
  t.equal(one('permutation_entropy', [1, 2, 3, 4, 5, 6]), 0)
  t.equal(one('permutation_entropy', [1, 1, 1, 1]), 0)
  t.ok(Math.abs(one('permutation_entropy', [1, 2, 1, 2, 1, 2, 1, 2, 1], { order: 2 }) - 1) < 1e-12)
  t.ok(Number.isNaN(one('permutation_entropy', [1, 2])))
})

t.test('features without a value: of one reading, of equal ones, of too many', async t => {
  t.strictSame(sequenced(sequenceFeatures, evenly([1]), options), [0, NaN, NaN, NaN, NaN, NaN, NaN, NaN])
  t.strictSame(sequenced(sequenceFeatures, evenly([1, 1, 1, 1]), options), [0, NaN, 0, 0, NaN, NaN, NaN, 0])
  t.strictSame(sequenced(sequenceFeatures, evenly(Array.from({ length: LONGEST + 1 }, (_, i) => i % 7)), options), [NaN, NaN, NaN, NaN, NaN, NaN, NaN, NaN])
})
