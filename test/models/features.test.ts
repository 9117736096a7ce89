import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { Accumulator, features, fields, type Feature } from '../../models/features.ts'
import { normal } from './random.ts'

type Reading = readonly [time: number, value: number]
const AT = 3       // accumulators may stand anywhere

function filled (readings: readonly Reading[], chosen: readonly Feature[] = features): { accumulator: Accumulator, a: Float64Array } {
  const accumulator = new Accumulator(chosen), a = new Float64Array(AT + accumulator.fields.length)
  for (const [time, value] of readings) accumulator.add(a, AT, time, value)
  return { accumulator, a }
}
const valuesOf = ({ accumulator, a }: ReturnType<typeof filled>, chosen: readonly Feature[] = features) => Object.fromEntries(chosen.map(f => [f, accumulator.value(f, a, AT)])) as Record<Feature, number>

/** The definitions, two passes, from textbooks. */
function naive (readings: readonly Reading[]): Record<Feature, number> {
  const n = readings.length, x = readings.map(r => r[1]), seconds = readings.map(r => (r[0] - readings[0][0]) / 1000)
  const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0)
  const mean = sum(x) / n, time = sum(seconds) / n
  const spread = sum(seconds.map(s => (s - time) ** 2))
  const times = readings.map(r => r[0])
  return {
    count: n, mean, std: Math.sqrt(sum(x.map(v => (v - mean) ** 2)) / n), min: Math.min(...x), max: Math.max(...x),
    rms: Math.sqrt(sum(x.map(v => v * v)) / n), range: Math.max(...x) - Math.min(...x),
    slope: spread === 0 ? NaN : sum(seconds.map((s, i) => (s - time) * (x[i] - mean))) / spread,
    first: x[times.indexOf(Math.min(...times))], last: x[times.lastIndexOf(Math.max(...times))]
  }
}

const close = (a: number, b: number, scale: number) => Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(scale, 1e-3)
function agree (got: Record<Feature, number>, want: Record<Feature, number>, message: string): void {
  const scale = Math.max(Math.abs(want.min), Math.abs(want.max))
  for (const f of features) {
    const exact = ['count', 'min', 'max', 'range', 'first', 'last'].includes(f)
    assert.ok(exact ? Object.is(got[f], want[f]) : close(got[f], want[f], scale), `${message} ${f}: ${got[f]}, not ${want[f]}`)
  }
}

const reading = fc.tuple(fc.integer({ min: 0, max: 100 }).map(s => 1_700_000_000_000 + s * 500), fc.double({ min: -1000, max: 1000, noNaN: true }).map(x => x + 0))
const some = fc.array(reading, { minLength: 1, maxLength: 50 })

t.test('every feature agrees with its definition', async t => {
  fc.assert(fc.property(some, readings => agree(valuesOf(filled(readings)), naive(readings), 'added')), { numRuns: 500 })
  t.ok(true)
})

t.test('merging is the same as adding', async t => {
  fc.assert(fc.property(fc.array(reading, { maxLength: 30 }), fc.array(reading, { maxLength: 30 }), fc.array(reading, { maxLength: 30 }), (x, y, z) => {
    const a = filled(x), b = filled(y), c = filled(z)
    a.accumulator.merge(a.a, AT, b.a, AT)
    a.accumulator.merge(a.a, AT, c.a, AT)
    if (x.length + y.length + z.length === 0) assert.equal(valuesOf(a).count, 0)
    else agree(valuesOf(a), naive([...x, ...y, ...z]), 'merged')
  }), { numRuns: 500 })
  t.ok(true)
})

t.test('any choice of features gives the same numbers as all of them', async t => {
  fc.assert(fc.property(some, fc.subarray([...features], { minLength: 1 }), (readings, chosen) => {
    const all = valuesOf(filled(readings)), own = valuesOf(filled(readings, chosen), chosen)
    for (const f of chosen) assert.ok(Object.is(own[f], all[f]), f)
  }))
  t.strictSame(fields(['count']), ['n'])
  t.strictSame(fields(['max', 'mean']), ['n', 'value0', 'sum', 'max'])
})

t.test('without readings there is a count of 0 and nothing else', async t => {
  t.strictSame(valuesOf(filled([])), { count: 0, mean: NaN, std: NaN, min: NaN, max: NaN, rms: NaN, range: NaN, slope: NaN, first: NaN, last: NaN })
})

t.test('among equal times the first added is first and the last added is last', async t => {
  const { first, last } = valuesOf(filled([[5, 1], [5, 2], [5, 3]]))
  t.strictSame([first, last], [1, 3])
})

/** Population variance of doubles, exactly: integers times 2^-30. */
function exactVariance (values: readonly number[]): number {
  const x = values.map(v => BigInt(v * 2 ** 30)), n = BigInt(x.length)
  const sum = x.reduce((a, b) => a + b, 0n), squares = x.reduce((a, b) => a + b * b, 0n)
  return Number((n * squares - sum * sum) * 10n ** 12n / (n * n)) / 1e12 / 2 ** 60
}

t.test('a large offset costs no digits: 1e9 + N(0, 1e-3)', async t => {
  const noise = normal(1)
  const readings = Array.from({ length: 10_000 }, (_, i): Reading => [1_700_000_000_000 + i * 10, 1e9 + noise() * 1e-3])
  const { std, mean } = valuesOf(filled(readings))
  const exact = Math.sqrt(exactVariance(readings.map(r => r[1])))
  t.ok(Math.abs(std / exact - 1) < 1e-12, `${std} against ${exact}`)
  t.ok(Math.abs(exact / 1e-3 - 1) < 0.05)
  t.ok(Math.abs(mean - 1e9) < 1e-4)
})

t.test('a slope is found on a large offset and far from the beginning of time', async t => {
  const readings = Array.from({ length: 1000 }, (_, i): Reading => [1_700_000_000_000 + 86_000_000 + i, 1e6 + 0.25 * i / 1000])
  t.ok(Math.abs(valuesOf(filled(readings)).slope - 0.25) < 1e-6)
})
