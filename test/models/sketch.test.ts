import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { EXACT, rankedFrom, sketchOf } from '../../models/samples.ts'
import { accuracy, add, ALPHA, begin, BINS, deviation, merge, quantile, WIDTH } from '../../models/sketch.ts'
import { normal } from './random.ts'

const AT = 2
function of (values: readonly number[], origin = 0): Float64Array {
  const a = new Float64Array(AT + WIDTH)
  begin(a, AT, origin)
  for (const x of values) add(a, AT, x)
  return a
}
const joined = (a: Float64Array, b: Float64Array) => { const c = a.slice(); merge(c, AT, b, AT); return c }
const value = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.double({ min: -1, max: 1, noNaN: true }))
const some = fc.array(value, { minLength: 1, maxLength: 200, size: 'max' })

t.test('every quantile is within `accuracy` of the distance of the true one from the origin, which is ALPHA while bins suffice', async t => {
  const wide = fc.double({ noNaN: true, noDefaultInfinity: true })
  fc.assert(fc.property(fc.oneof(some, fc.array(wide, { minLength: 1, maxLength: 3000, size: 'max' })), fc.double({ min: -100, max: 100, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (values, origin, q) => {
    const a = of(values, origin), x = Float64Array.from(values).sort()[Math.floor(q * (values.length - 1))]
    assert.ok(values.length > BINS || accuracy(a, AT) < 1.0001 * ALPHA)
    assert.ok(Math.abs(quantile(a, AT, q) - x) <= 1.0001 * accuracy(a, AT) * Math.abs(x - origin) + 1e-12 * Math.abs(origin), `${x}: ${quantile(a, AT, q)}`)
  }), { numRuns: 300 })
  t.ok(true)
})

t.test('merging is adding, in any order, when origins are equal, however many bins the values need', async t => {
  const many = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 1200, size: 'max' })
  for (const values of [some, many]) {
    fc.assert(fc.property(values, values, values, (x, y, z) => {
      const all = of([...x, ...y, ...z], 1)
      assert.deepEqual(joined(joined(of(x, 1), of(y, 1)), of(z, 1)), all)
      assert.deepEqual(joined(of(x, 1), joined(of(y, 1), of(z, 1))), all)
      assert.deepEqual(joined(joined(of(z, 1), of(x, 1)), of(y, 1)), all)
      assert.deepEqual(joined(of([], 1), all), all)
    }), { numRuns: 60 })
  }
  t.ok(true)
})

t.test('with different origins both errors add up', async t => {
  fc.assert(fc.property(some, some, fc.double({ min: 0, max: 1, noNaN: true }), (x, y, q) => {
    const a = joined(of(x, 10), of(y, -10)), sorted = Float64Array.from([...x, ...y]).sort()
    const rank = Math.floor(q * (sorted.length - 1)), got = quantile(a, AT, q)
    const bound = (v: number) => ALPHA * 1.01 * (Math.abs(v - 10) + Math.abs(v + 10))
    assert.ok(Math.abs(got - sorted[rank]) <= bound(sorted[rank]), `${sorted[rank]}: ${got}`)
  }), { numRuns: 300 })
  t.ok(true)
})

const z = normal(1)
const shapes: Readonly<Record<string, (i: number) => number>> = {
  normal: () => z(),
  'log-normal': () => Math.exp(z()),
  'one in 100 is 1e6 deviations off': i => i % 100 === 7 ? 1e6 * z() : z(),
  'one in 10 is 65535': i => i % 10 === 7 ? 65535 : 20 + z(),
  'one is 3.4e38': i => i === 555 ? 3.4e38 : 20 + z(),
  'each thousandth is -9999, 85, 1000 or 0': i => i % 1000 === 3 ? [-9999, 85, 1000, 0][i / 1000 & 3] : 20 + 0.1 * z(),
  'constant, with few others': i => i % 50 === 7 ? 20 + z() : 20,
  'in steps of a tenth': () => Math.round(200 + 10 * z()) / 10,
  'two clusters far from each other': i => i % 3 === 0 ? 1e6 + z() : z(),
  'Cauchy': () => z() / z(),
  'at first a thousand times as wide': i => i < 600 ? 1000 * z() : z()
}
for (const [name, value] of Object.entries(shapes)) {
  t.test(`of more than ${EXACT} readings features by rank are within 1 % of the distance from the middle, or 2 % over very many decades: ${name}`, async t => {
    for (const n of [600, 20_000]) {
      const values = Float64Array.from({ length: n }, (_, i) => value(i)), sorted = values.slice().sort()
      const origin = values.slice(0, EXACT).sort().reduce((sum, x, i) => i === EXACT / 2 || i === EXACT / 2 - 1 ? sum + x / 2 : sum, 0)
      const a = sketchOf(values), share = 1.0001 * accuracy(a, 0)
      t.ok(share < (name === 'Cauchy' ? 2.001 : 1.001) * ALPHA, `${n}: ${share}`)
      const rank = (q: number) => sorted[Math.floor(q * (n - 1))], bound = (x: number) => share * Math.abs(x - origin) + 1e-9
      const [p01, p10, median, p90, p99, iqr, mad] = rankedFrom(['p01', 'p10', 'median', 'p90', 'p99', 'iqr', 'mad'], a, 0)
      for (const [q, got] of [[0.01, p01], [0.1, p10], [0.5, median], [0.9, p90], [0.99, p99]]) t.ok(Math.abs(got - rank(q)) <= bound(rank(q)), `${n}: ${q}: ${got}, not ${rank(q)}`)
      t.ok(Math.abs(iqr - (rank(0.75) - rank(0.25))) <= bound(rank(0.75)) + bound(rank(0.25)), `${n}: iqr ${iqr}, not ${rank(0.75) - rank(0.25)}`)
      const off = values.map(x => Math.abs(x - rank(0.5))).sort()[Math.floor((n - 1) / 2)]
      t.ok(Math.abs(mad - off) <= share * off + 2 * bound(rank(0.5)), `${n}: mad ${mad}, not ${off}`)
    }
  })
}

t.test('an empty one says nothing; one value is itself, up to ALPHA; the origin is exact', async t => {
  t.ok(Number.isNaN(quantile(of([]), AT, 0.5)) && Number.isNaN(deviation(of([]), AT, 0)))
  t.equal(quantile(of([7, 7, 7], 7), AT, 0.5), 7)
  t.ok(Math.abs(quantile(of([100]), AT, 1) / 100 - 1) <= ALPHA)
  t.equal(deviation(of([1, 7, 7], 7), AT, 7), 0)
})
