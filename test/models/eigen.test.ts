import t from 'tap'
import { eigen } from '../../models/eigen.ts'
import { normal } from './random.ts'

/** The largest deviations from A v = value v and from orthonormality, for the covariance of `n` vectors of d numbers. */
function errors (d: number, n: number, seed: number) {
  const z = normal(seed), rows = Array.from({ length: n }, () => Array.from({ length: d }, z))
  const a = Float64Array.from({ length: d * d }, (_, k) => rows.reduce((sum, row) => sum + row[Math.floor(k / d)] * row[k % d], 0))
  const values = new Float64Array(d), vectors = new Float64Array(d * d)
  eigen(a.slice(), d, values, vectors)
  const v = (c: number, k: number) => vectors[c * d + k]
  let residual = 0, orthonormal = 0
  for (let c = 0; c < d; c++) {
    for (let i = 0; i < d; i++) residual = Math.max(residual, Math.abs(Array.from({ length: d }, (_, k) => a[i * d + k] * v(c, k)).reduce((x, y) => x + y) - values[c] * v(c, i)))
    for (let e = 0; e < d; e++) orthonormal = Math.max(orthonormal, Math.abs(Array.from({ length: d }, (_, k) => v(c, k) * v(e, k)).reduce((x, y) => x + y) - (c === e ? 1 : 0)))
  }
  return { residual: residual / values[0], orthonormal, values }
}

t.test('eigenvectors are what they should be, the largest first, also when there are fewer vectors than numbers', async t => {
  for (const [d, n] of [[2, 50], [8, 100], [52, 400], [10, 4]]) {
    const { residual, orthonormal, values } = errors(d, n, d)
    t.ok(residual < 1e-11 && orthonormal < 1e-12, `${d}: ${residual}, ${orthonormal}`)
    t.ok(values.every((x, c) => c === 0 || x <= values[c - 1]))
    t.ok(values.every((x, c) => c < n || Math.abs(x) < 1e-10 * values[0]))
  }
})

t.test('of a diagonal matrix it orders the diagonal; zero stays zero', async t => {
  const values = new Float64Array(3), vectors = new Float64Array(9)
  eigen(Float64Array.of(1, 0, 0, 0, 3, 0, 0, 0, 2), 3, values, vectors)
  t.strictSame([...values], [3, 2, 1])
  t.strictSame([...vectors], [0, 1, 0, 0, 0, 1, 1, 0, 0])
  eigen(new Float64Array(9), 3, values, vectors)
  t.strictSame([...values], [0, 0, 0])
})
