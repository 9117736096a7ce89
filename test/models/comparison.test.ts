import t from 'tap'
import { readFileSync } from 'node:fs'
import { compare, comparison, measures, PANES, refer, take } from '../../models/comparison.ts'
import { correlationTime } from '../../models/correlation-time.ts'
import { chiSquare, kolmogorov } from '../../models/significance.ts'
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
    t.ok(found('p') <= 3 * expected.chi_square * (1 + 1e-6), `${name}: ${found('p')}, ${expected.chi_square}`)
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
