import t from 'tap'
import { readFileSync } from 'node:fs'
import { compare, comparison, measures, PANES, refer, take } from '../../models/comparison.ts'
import { correlationTime } from '../../models/correlation-time.ts'
import { chiSquare, kolmogorov, student } from '../../models/significance.ts'
import { normal } from './random.ts'

const oracle = JSON.parse(readFileSync(new URL('../oracles/drift.json', import.meta.url), 'utf8')) as {
  comparisons: { name: string, reference: number[], current: number[], psi: number, js: number, ks: number, wasserstein: number, chi_square: number }[]
  tails: { chi_square: [number, number, number][], kolmogorov: [number, number][] }
}
const near = (t: { ok (holds: boolean, what: string): unknown }, got: number, expected: number, by: number, what: string) => t.ok(Math.abs(got - expected) <= by, `${what}: ${got}, not ${expected}`)
const names = Object.keys(comparison), AT = 3

t.test('measures are those of numpy and scipy; the area on bins is near that of the readings', async t => {
  for (const { name, reference, current, ...expected } of oracle.comparisons) {
    const m = new Float64Array(AT + names.length), found = (field: string) => m[AT + names.indexOf(field)]
    refer(m, AT, Float64Array.from(reference))
    m[AT + names.indexOf('time')] = 1          // readings are independent, and taken to be
    current.forEach((x, i) => { t.equal(take(m, AT, x, current.length / PANES), i === current.length - 1, name) })
    compare(m, AT)
    for (const measure of measures) near(t, found(measure), expected[measure], measure === 'wasserstein' ? 0.03 + 0.03 * expected.wasserstein : 1e-12, `${name}: ${measure}`)
    const smallest = Math.min(expected.chi_square, kolmogorov(found('ks'), 1 / (1 / reference.length + 1 / current.length)), ofMeans(reference, current))
    near(t, found('p') / Math.min(1, 3 * smallest), 1, 1e-6, `${name}: p of three tests`)
  }
})

/** Student's t for two means, with the degrees of freedom of the reference alone. */
function ofMeans (reference: readonly number[], current: readonly number[]): number {
  const mean = (of: readonly number[]) => of.reduce((a, b) => a + b) / of.length, squares = (of: readonly number[]) => of.reduce((sum, x) => sum + (x - mean(of)) ** 2, 0), [n, m] = [reference.length, current.length]
  return student((mean(current) - mean(reference)) / Math.sqrt((squares(reference) + squares(current)) / (n + m) * (1 / n + 1 / m)), n - 1)
}

t.test('without drift p is not smaller than chance makes it, nor larger than three tests at once make it', async t => {
  for (const [what, chance] of [['normal', () => normal(8)], ['exponential', () => { const z = normal(9); return () => z() ** 2 + z() ** 2 }]] as const) {
    const z = chance(), n = 200, ps = Array.from({ length: 2000 }, () => {
      const m = new Float64Array(names.length)
      refer(m, 0, Float64Array.from({ length: n }, z))
      m[names.indexOf('time')] = 1
      for (let i = 0; i < n; i++) if (take(m, 0, z(), n / PANES)) compare(m, 0)
      return m[names.indexOf('p')]
    }).sort((a, b) => a - b)
    // Each of the tests alone has p uniform, or nearly so: P(p <= a) lies between a / 3, when they all say the same, and a. Bounds of Kolmogorov at 1e-3.
    const by = 1.95 / Math.sqrt(ps.length), most = (off: (share: number, p: number) => number) => Math.max(...ps.map((p, i) => p < 1 ? off((i + 1) / ps.length, p) : 0))
    const small = most((share, p) => share - p), large = most((share, p) => p / 3 - share)
    t.ok(small <= by, `${what}: p is too small by ${small}`)
    t.ok(large <= by, `${what}: p is too large by ${large}`)
  }
})

t.test('the window slides: it is that of the newest readings, whatever came before', async t => {
  const z = normal(1), reference = Float64Array.from({ length: 100 }, z), values = Array.from({ length: 170 }, z)
  const after = (values: readonly number[]) => {
    const m = new Float64Array(names.length)
    refer(m, 0, reference)
    for (const x of values) if (take(m, 0, x, 10)) compare(m, 0)
    return m.slice(names.indexOf('psi'), names.indexOf('edge0'))
  }
  t.strictSame(Array.from(after(values), x => Number(x.toPrecision(12))), Array.from(after(values.slice(-50)), x => Number(x.toPrecision(12))))
})

t.test('tails are those of scipy', async t => {
  for (const [x, k, p] of oracle.tails.chi_square) near(t, chiSquare(x, k) / p, 1, 1e-6, `chi-square ${x}, ${k}`)
  const large = 1e6
  for (const [x, p] of oracle.tails.kolmogorov) near(t, kolmogorov(x / (Math.sqrt(large) + 0.12 + 0.11 / Math.sqrt(large)), large) / p, 1, 1e-6, `Kolmogorov ${x}`)
  t.strictSame([chiSquare(0, 3), kolmogorov(0, 10), kolmogorov(0.01, 10)], [1, 1, 1])
})

t.test('the correlation time is that of the process, at least in the middle of many', async t => {
  for (const [r, n] of [[0, 500], [0.5, 500], [0.9, 1000], [0.9, 200]] as const) {
    const z = normal(100 * r + n), times = Array.from({ length: 200 }, () => {
      let x = z() / Math.sqrt(1 - r * r)
      return correlationTime(Float64Array.from({ length: n }, () => x = r * x + z())).time
    }).sort((a, b) => a - b)
    const exact = (1 + r) / (1 - r)
    near(t, times[100] / exact, 1, 0.2, `${r}, ${n}: median`)
    t.ok(times[20] > exact * 0.45, `${r}, ${n}: a tenth is below ${times[20]}`)
  }
  t.equal(correlationTime(Float64Array.of(3, 3, 3)).time, 1)
  t.equal(correlationTime(Float64Array.from({ length: 100 }, (_, i) => i % 2)).time, 1)
})
