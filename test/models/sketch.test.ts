import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { add, ALPHA, begin, deviation, merge, quantile, WIDTH } from '../../models/sketch.ts'

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

t.test('every quantile is within ALPHA of the distance of the true one from the origin, but near the origin', async t => {
  fc.assert(fc.property(some, fc.double({ min: -100, max: 100, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (values, origin, q) => {
    const a = of(values, origin), sorted = Float64Array.from(values).sort()
    const x = sorted[Math.floor(q * (values.length - 1))], farthest = Math.max(...values.map(v => Math.abs(v - origin)))
    const off = Math.abs(quantile(a, AT, q) - x)
    assert.ok(off <= ALPHA * 1.0001 * Math.abs(x - origin) || off <= farthest / 27_000, `${x}: off by ${off}`)
  }), { numRuns: 1000 })
  t.ok(true)
})

t.test('merging is adding, in any order, when origins are equal', async t => {
  fc.assert(fc.property(some, some, some, (x, y, z) => {
    const all = of([...x, ...y, ...z], 1)
    assert.deepEqual(joined(joined(of(x, 1), of(y, 1)), of(z, 1)), all)
    assert.deepEqual(joined(of(x, 1), joined(of(y, 1), of(z, 1))), all)
    assert.deepEqual(joined(joined(of(z, 1), of(x, 1)), of(y, 1)), all)
  }), { numRuns: 300 })
  t.ok(true)
})

t.test('with different origins both errors add up', async t => {
  fc.assert(fc.property(some, some, fc.double({ min: 0, max: 1, noNaN: true }), (x, y, q) => {
    const a = joined(of(x, 10), of(y, -10)), sorted = Float64Array.from([...x, ...y]).sort()
    const rank = Math.floor(q * (sorted.length - 1)), got = quantile(a, AT, q)
    const bound = (v: number) => ALPHA * 1.01 * (Math.abs(v - 10) + Math.abs(v + 10)) + 2e6 / 27_000
    assert.ok(Math.abs(got - sorted[rank]) <= bound(sorted[rank]), `${sorted[rank]}: ${got}`)
  }), { numRuns: 500 })
  t.ok(true)
})

t.test('an empty one says nothing; one value is itself, up to ALPHA; the origin is exact', async t => {
  t.ok(Number.isNaN(quantile(of([]), AT, 0.5)) && Number.isNaN(deviation(of([]), AT, 0)))
  t.equal(quantile(of([7, 7, 7], 7), AT, 0.5), 7)
  t.ok(Math.abs(quantile(of([100]), AT, 1) / 100 - 1) <= ALPHA)
  t.equal(deviation(of([1, 7, 7], 7), AT, 7), 0)
})
