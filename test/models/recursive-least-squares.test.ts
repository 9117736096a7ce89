import { readFileSync } from 'node:fs'
import t from 'tap'
import { begin, expected, learn, sizeOf } from '../../models/recursive-least-squares.ts'
import { normal } from './random.ts'

const AT = 2
interface Oracle { readonly x: number[][], readonly y: number[], readonly first: number[], readonly forget: number, readonly variance: number, readonly weights: number[], readonly covariance: number[][] }
const { least_squares: oracle } = JSON.parse(readFileSync(new URL('../oracles/forecast.json', import.meta.url), 'utf8')) as { least_squares: Oracle }

/** P = U D U', from its packed form. */
function covariance (m: Float64Array, at: number, d: number): number[][] {
  const u = (i: number, j: number) => i === j ? 1 : i < j ? m[at + d + j * (j + 1) / 2 + i] : 0
  const diagonal = (j: number) => m[at + d + j * (j + 1) / 2 + j]
  return Array.from({ length: d }, (_, i) => Array.from({ length: d }, (_, k) => Array.from({ length: d }, (_, j) => u(i, j) * diagonal(j) * u(k, j)).reduce((a, b) => a + b)))
}

t.test('weights and covariance are those that numpy solves for over everything so far, discounted', async t => {
  const { x, y, first, forget, variance } = oracle, d = first.length, m = new Float64Array(AT + sizeOf(d)), gain = new Float64Array(d)
  m.set(first, AT)
  begin(m, AT, d, variance)
  x.forEach((row, i) => { const r = Float64Array.from(row); learn(m, AT, r, y[i] - expected(m, AT, r), forget, Infinity, gain) })
  oracle.weights.forEach((w, i) => t.ok(Math.abs(m[AT + i] - w) < 1e-10, `weight ${i}: ${m[AT + i]}, not ${w}`))
  covariance(m, AT, d).forEach((row, i) => row.forEach((p, j) => t.ok(Math.abs(p - oracle.covariance[i][j]) < 1e-10 * Math.abs(oracle.covariance[i][i]) + 1e-14, `covariance ${i} ${j}`)))
})

t.test('a million steps of regressors that hardly differ leave it positive and the weights right', async t => {
  const z = normal(1), m = new Float64Array(AT + sizeOf(3)), gain = new Float64Array(3), x = new Float64Array(3)
  begin(m, AT, 3, 1)
  for (let i = 0; i < 1e6; i++) {
    const a = z()
    x.set([1, a, a + 1e-6 * z()])
    learn(m, AT, x, 2 + 3 * x[1] - expected(m, AT, x), 0.999, 1, gain)
  }
  t.ok([0, 2, 5].every(j => m[AT + 3 + j] > 0 && m[AT + 3 + j] <= 1))
  t.ok(Math.abs(m[AT] - 2) < 1e-6 && Math.abs(m[AT + 1] + m[AT + 2] - 3) < 1e-6)
})

t.test('where nothing comes it does not become surer or more restless than at first', async t => {
  const m = new Float64Array(AT + sizeOf(2)), gain = new Float64Array(2)
  begin(m, AT, 2, 1)
  for (let i = 0; i < 1e5; i++) learn(m, AT, Float64Array.of(1, 0), 0, 0.99, 1, gain)
  t.equal(m[AT + 2 + 2], 1)
  t.ok(m[AT + 2] < 0.02)
})
