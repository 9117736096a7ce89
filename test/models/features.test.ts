import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { errorOf, exactFeatures } from '../../bench/exact.ts'
import { Accumulator, features, fields, type Feature } from '../../models/features.ts'
import { Gathered } from '../../models/gathered.ts'
import { normal } from './random.ts'

type Reading = readonly [time: number, value: number]
const AT = 3       // accumulators may stand anywhere
const ABOVE = 1

function filled (readings: readonly Reading[], chosen: readonly Feature[] = features): { accumulator: Accumulator, a: Float64Array } {
  const accumulator = new Accumulator(chosen, { above: ABOVE }), a = new Float64Array(AT + accumulator.fields.length)
  const times = Float64Array.from(readings, r => r[0]), values = Float64Array.from(readings, r => r[1])
  for (let i = 0; i < times.length; i++) accumulator.add(a, AT, times, values, i)
  return { accumulator, a }
}
const valuesOf = ({ accumulator, a }: ReturnType<typeof filled>, chosen: readonly Feature[] = features) => Object.fromEntries(chosen.map(f => [f, accumulator.value(f, a, AT)])) as Record<Feature, number>
const merged = (...parts: readonly (readonly Reading[])[]) => {
  const [first, ...rest] = parts.map(p => filled(p))
  for (const part of rest) first.accumulator.merge(first.a, AT, part.a, AT)
  return first
}

/** The same, with readings that wait for each other; parts are merged with what waits in them. */
function gathered (...parts: readonly (readonly Reading[])[]): { accumulator: Accumulator, a: Float64Array } {
  const accumulator = new Accumulator(features, { above: ABOVE }), record = new Gathered(accumulator)
  const [a, ...rest] = parts.map(readings => {
    const a = new Float64Array(AT + record.fields.length), times = Float64Array.from(readings, r => r[0]), values = Float64Array.from(readings, r => r[1])
    for (let i = 0; i < times.length; i++) {
      record.add(a, AT, times, values, i)
      assert.equal(record.count(a, AT), i + 1)
    }
    return a
  })
  for (const part of rest) record.merge(a, AT, part, AT)
  record.settle(a, AT)
  return { accumulator, a }
}

/** What goes by the order of readings, and so only by those that are not older than the newest before them. */
const ordered: readonly Feature[] = ['mean_held', 'mean_linear', 'time_above', 'duty_cycle', 'zero_crossings']
const exactly: readonly Feature[] = ['count', 'min', 'max', 'range', 'peak', 'first', 'last', 'delta', 'zero_crossings']
const inTime = (readings: readonly Reading[]) => [...readings].sort((a, b) => a[0] - b[0])

/**
 * Small numbers with few digits, where no sum that should be 0 is anything else: a relative error is a fair one only where
 * numbers do not cancel, so what is near 0 compared with the values that it is made of is held against these.
 */
function agree (got: Record<Feature, number>, readings: readonly Reading[], tolerance: number, message: string, of: readonly Feature[] = features): void {
  const sorted = inTime(readings), exact = exactFeatures(sorted.map(r => r[0]), sorted.map(r => r[1]), ABOVE)
  const size = Math.max(1, ...readings.map(r => Math.abs(r[1])))
  for (const f of of) {
    if (Number.isNaN(got[f])) { assert.equal(exact[f].q, 0n, `${message} ${f}: no value`); continue }
    const error = exactly.includes(f) ? errorOf(got[f], exact[f]) : errorOf(got[f], exact[f], f === 'var' ? size ** 2 : f === 'skewness' || f === 'kurtosis' || f === 'r2' ? 1 : size)
    assert.ok(error <= tolerance, `${message} ${f}: ${got[f]} is off by ${error}`)
  }
}

const reading = fc.tuple(fc.integer({ min: 0, max: 100 }).map(s => 1_700_000_000_000 + s * 500), fc.integer({ min: -1000, max: 1000 }).map(x => x / 8))
const some = fc.array(reading, { minLength: 1, maxLength: 50, size: 'max' })
const three = fc.tuple(some, some, some)

/** Three sets, each newer than the one before. */
const apart = three.map(([x, y, z]) => [x, y.map(([t, v]): Reading => [t + 60_000, v]), z.map(([t, v]): Reading => [t + 120_000, v])].map(inTime))

t.test('every feature agrees with its definition, in exact arithmetic', async t => {
  fc.assert(fc.property(some, readings => { agree(valuesOf(filled(inTime(readings))), readings, 1e-12, 'added') }), { numRuns: 500 })
  t.ok(true)
})

t.test('readings in any order give the same, but for what goes by their order', async t => {
  fc.assert(fc.property(some, readings => { agree(valuesOf(filled(readings)), readings, 1e-12, 'added', features.filter(f => !ordered.includes(f))) }), { numRuns: 500 })
  t.ok(true)
})

t.test('merging is the same as adding', async t => {
  fc.assert(fc.property(three, sets => { agree(valuesOf(merged(...sets)), sets.flat(), 1e-12, 'merged', features.filter(f => !ordered.includes(f))) }), { numRuns: 500 })
  fc.assert(fc.property(apart, sets => { agree(valuesOf(merged(...sets)), sets.flat(), 1e-12, 'merged in time') }), { numRuns: 500 })
  t.ok(true)
})

t.test('readings that wait for each other and are added at once give the same', async t => {
  fc.assert(fc.property(some, readings => { agree(valuesOf(gathered(inTime(readings))), readings, 1e-12, 'in time') }), { numRuns: 500 })
  fc.assert(fc.property(some, readings => { agree(valuesOf(gathered(readings)), readings, 1e-12, 'in any order', features.filter(f => !ordered.includes(f))) }), { numRuns: 500 })
  fc.assert(fc.property(apart, sets => { agree(valuesOf(gathered(...sets)), sets.flat(), 1e-12, 'merged in time') }), { numRuns: 500 })
  t.strictSame(valuesOf(gathered([])), valuesOf(filled([])))
})

t.test('merging is associative, not commutative', async t => {
  fc.assert(fc.property(apart, ([x, y, z]) => {
    const left = valuesOf(merged(x, y, z)), b = filled(y), a = filled(x)
    b.accumulator.merge(b.a, AT, filled(z).a, AT)
    a.accumulator.merge(a.a, AT, b.a, AT)
    const right = valuesOf(a)
    for (const f of features) assert.ok(Object.is(left[f], right[f]) || Math.abs(left[f] - right[f]) <= 1e-9 * Math.max(1, Math.abs(left[f])), `${f}: ${left[f]}, ${right[f]}`)
    for (const f of exactly) assert.ok(Object.is(left[f], right[f]), f)
  }), { numRuns: 500 })
  const first = [[0, 1], [1000, 1]] as const, second = [[2000, -1], [3000, -1]] as const
  t.equal(valuesOf(merged(first, second)).zero_crossings, 1)
  t.equal(valuesOf(merged(second, first)).zero_crossings, 0, 'an older path has no place behind a newer one')
})

t.test('an empty set changes nothing, on either side', async t => {
  fc.assert(fc.property(some, readings => {
    const own = valuesOf(filled(readings))
    assert.deepEqual(valuesOf(merged(readings, [])), own)
    assert.deepEqual(valuesOf(merged([], readings)), own)
  }))
  t.ok(true)
})

t.test('any choice of features gives the same numbers as all of them', async t => {
  fc.assert(fc.property(some, fc.subarray([...features], { minLength: 1 }), (readings, chosen) => {
    const all = valuesOf(filled(readings)), own = valuesOf(filled(readings, chosen), chosen)
    for (const f of chosen) assert.ok(Object.is(own[f], all[f]), f)
  }))
  t.strictSame(fields(['count']), ['n'])
  t.strictSame(fields(['max', 'mean']), ['n', 'value0', 'sum', 'sumLow', 'max'])
})

t.test('moving and stretching values does to each feature what it should', async t => {
  fc.assert(fc.property(some, fc.integer({ min: -512, max: 512 }), fc.constantFrom(0.5, 2, 4), (readings, by, times) => {
    const own = valuesOf(filled(readings)), moved = valuesOf(filled(readings.map(([t, v]) => [t, v + by]))), stretched = valuesOf(filled(readings.map(([t, v]) => [t, v * times])))
    for (const f of ['std', 'var', 'skewness', 'kurtosis', 'slope', 'r2', 'range', 'delta', 'rate'] as const) assert.ok(Object.is(moved[f], own[f]), `${f} moved`)
    for (const f of ['crest', 'shape', 'impulse', 'skewness', 'kurtosis', 'r2', 'zero_crossings'] as const) assert.ok(Object.is(stretched[f], own[f]), `${f} stretched`)
    for (const f of ['mean', 'std', 'rms', 'peak', 'slope', 'intercept', 'delta', 'rate', 'mean_held', 'mean_linear'] as const) assert.ok(Object.is(stretched[f], own[f] * times), `${f} stretched by ${times}`)
  }), { numRuns: 300 })
  t.ok(true)
})

t.test('without readings there is a count of 0 and nothing else; with one, no rate and no shape', async t => {
  t.strictSame(valuesOf(filled([])), Object.fromEntries(features.map(f => [f, f === 'count' ? 0 : NaN])))
  const one = valuesOf(filled([[5, 2]]))
  const none = ['slope', 'intercept', 'r2', 'rate', 'skewness', 'kurtosis', 'mean_held', 'mean_linear', 'duty_cycle']
  t.strictSame(features.filter(f => Number.isNaN(one[f])).sort(), none.sort())
  t.match(one, { count: 1, mean: 2, std: 0, var: 0, range: 0, rms: 2, crest: 1, shape: 1, impulse: 1, delta: 0, time_above: 0, zero_crossings: 0 })
})

t.test('among equal times the first added is first and the last added is last', async t => {
  const { first, last } = valuesOf(filled([[5, 1], [5, 2], [5, 3]]))
  t.strictSame([first, last], [1, 3])
})

t.test('time counts: a value holds until the next, or a line leads to it', async t => {
  const { mean_held, mean_linear, time_above, duty_cycle, rate } = valuesOf(filled([[0, 0], [1000, 4], [4000, 0], [8000, 8]]))
  t.strictSame([mean_held, mean_linear, time_above, duty_cycle, rate], [1.5, (2 + 6 + 16) / 8, 3, 3 / 8, 1])
})

t.test('a large offset costs no digits: 1e9 + N(0, 1e-3)', async t => {
  const noise = normal(1)
  const readings = Array.from({ length: 2000 }, (_, i): Reading => [1_700_000_000_000 + i * 10, 1e9 + noise() * 1e-3])
  const exact = exactFeatures(readings.map(r => r[0]), readings.map(r => r[1]), ABOVE)
  for (const [how, got] of [['added', valuesOf(filled(readings))], ['gathered', valuesOf(gathered(readings))], ['merged', valuesOf(merged(readings.slice(0, 700), readings.slice(700, 1500), readings.slice(1500)))]] as const) {
    for (const f of features) t.ok(errorOf(got[f], exact[f], f === 'skewness' || f === 'kurtosis' ? 1 : 0) <= 1e-9, `${how} ${f} ${errorOf(got[f], exact[f])}`)
  }
})

t.test('a first value far from all others costs no digits', async t => {
  const noise = normal(2)
  const readings = Array.from({ length: 1000 }, (_, i): Reading => [i * 1000, i === 0 ? -1e6 : 50 + noise()])
  const got = valuesOf(merged(readings.slice(0, 300), readings.slice(300))), rest = valuesOf(filled(readings.slice(1)))
  const exact = exactFeatures(readings.map(r => r[0]), readings.map(r => r[1]), ABOVE)
  t.ok(errorOf(got.kurtosis, exact.kurtosis) < 1e-12)
  t.ok(errorOf(rest.std, exactFeatures(readings.slice(1).map(r => r[0]), readings.slice(1).map(r => r[1]), ABOVE).std) < 1e-12)
})

t.test('what is near 0 by chance keeps its digits, added or merged, at even times or not', async t => {
  for (const seed of [3, 4, 5]) {
    const noise = normal(seed), readings = Array.from({ length: 4000 }, (_, i): Reading => [1_700_000_000_000 + i * 60 + (seed > 3 ? i * i % 40 : 0), noise()])
    for (let from = 0; from < readings.length; from += 400) {
      const some = readings.slice(from, from + 400), exact = exactFeatures(some.map(r => r[0]), some.map(r => r[1]), ABOVE)
      for (const got of [valuesOf(filled(some)), valuesOf(gathered(some)), valuesOf(gathered(some.slice(0, 150), some.slice(150))), valuesOf(merged(some.slice(0, 150), some.slice(150))), valuesOf(merged(...some.map(r => [r])))]) {
        for (const f of ['mean', 'intercept', 'mean_held', 'mean_linear', 'slope', 'r2', 'duty_cycle'] as const) assert.ok(errorOf(got[f], exact[f]) <= 3e-13, `${f} of ${seed}, ${from}: ${errorOf(got[f], exact[f])}`)
      }
    }
  }
  t.ok(true)
})

t.test('a line that begins next to 0 has its place there to as many digits', async t => {
  const noise = normal(6)
  for (let k = 0; k < 40; k++) {
    const some = Array.from({ length: 400 }, (_, i): Reading => [1_700_000_000_000 + i * 1000, noise()]), by = valuesOf(filled(some)).intercept - 1e-4
    const moved = some.map(([time, x]): Reading => [time, x - by]), exact = exactFeatures(moved.map(r => r[0]), moved.map(r => r[1]), ABOVE)
    for (const got of [valuesOf(filled(moved)), valuesOf(merged(moved.slice(0, 99), moved.slice(99)))]) assert.ok(errorOf(got.intercept, exact.intercept) <= 1e-12, `${k}: ${errorOf(got.intercept, exact.intercept)}`)
  }
  t.ok(true)
})

t.test('values near the largest double have no mean that rounding could be kept of, and still a mean', async t => {
  t.equal(valuesOf(filled([[0, 1e305], [1000, 1e305]])).mean, 1e305)
  t.equal(valuesOf(filled([[0, -1.7e308], [1000, 1.7e308]])).mean, Infinity, 'their difference is none')
})
