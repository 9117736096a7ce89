import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { dedupe } from '../../operators/dedupe.ts'
import { bench, through, type Given } from './table.ts'

const kept = (readings: readonly Given[], within = '10m') => through(dedupe({ within }), readings).map(r => [r.at, r.value, r.seq])

t.test('a repetition is dropped, also one without a value', async t => {
  t.strictSame(kept([[0, 'a/x', 1], [0, 'a/x', 1], [1, 'a/x', NaN], [1, 'a/x', NaN], [0, 'a/x', 1]]), [[0, 1, 0], [1, NaN, 0]])
})

t.test('other values of the same time are kept and numbered', async t => {
  t.strictSame(kept([[5, 'a/x', 1], [5, 'a/x', 2], [5, 'a/x', 1], [5, 'a/x', NaN], [5, 'a/x', 2], [5, 'a/x', 3]]), [[5, 1, 0], [5, 2, 1], [5, NaN, 2], [5, 3, 3]])
})

t.test('the same reading of another series is no repetition', async t => {
  t.equal(kept([[0, 'a/x', 1], [0, 'b/x', 1], [0, 'a/y', 1]]).length, 3)
})

t.test('a repetition is recognised in any order within the horizon, both ends included', async t => {
  t.strictSame(kept([[0, 'a/x', 1], [10, 'a/x', 2], [5, 'a/x', 3], [0, 'a/x', 1], [5, 'a/x', 3], [0, 'a/x', 9]], '10s').map(r => r[2]), [0, 0, 0, 1])
})

t.test('what is older than the horizon passes with seq 0', async t => {
  t.strictSame(kept([[0, 'a/x', 1], [11, 'a/x', 2], [0, 'a/x', 1], [0, 'a/x', 5]], '10s').map(r => [r[1], r[2]]), [[1, 0], [2, 0], [1, 0], [5, 0]])
})

t.test('memory is bounded by time: a fast series is remembered as far back as a slow one', async t => {
  const fast = Array.from({ length: 50_000 }, (_, i): Given => [i / 1000, 'a/x', i])
  const b = bench(dedupe({ within: '60s' }))
  t.equal(b.give(fast).length, 50_000)
  t.equal(b.give(fast).length, 0, 'every one of 50,000 readings within a minute is recognised')
  const { counts } = b.stage.save().series.seen as { counts: Float64Array }
  t.equal(counts[0], 50_000)
  b.give([[200, 'a/x', 0]])
  t.equal((b.stage.save().series.seen as { counts: Float64Array }).counts[0], 1)
})

t.test('agrees with a plain list of everything seen', async t => {
  const readings = fc.array(fc.tuple(fc.nat(30), fc.constantFrom('a/x', 'b/x'), fc.constantFrom(1, 2, 3, NaN)), { maxLength: 200, size: 'max' })
  fc.assert(fc.property(readings, given => {
    const seen: Given[] = [], newest: Record<string, number> = {}
    const expected = given.flatMap(([at, series, value]) => {
      if (at < newest[series] - 10) return [[at, value, 0]]
      const there = seen.filter(r => r[0] === at && r[1] === series)
      if (there.some(r => Object.is(r[2], value))) return []
      seen.push([at, series, value])
      newest[series] = Math.max(newest[series] ?? -Infinity, at)
      return [[at, value, there.length]]
    })
    assert.deepEqual(kept(given, '10s'), expected)
  }))
  t.ok(true)
})
