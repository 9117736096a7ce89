import t from 'tap'
import { invert, spread } from '../../models/precision.ts'

const WIDTH = 4, of = [0, 1, 3]
const full = [[4, 1.5, 9, -1], [1.5, 3, 9, 0.5], [9, 9, 9, 9], [-1, 0.5, 9, 2]]      // the variable 2 is not asked for
const lower = full.flatMap((row, i) => row.map((x, j) => j <= i ? x : 0))
const near = (a: number, b: number) => Math.abs(a - b) < 1e-5

t.test('the inverse of the covariances of some variables; of the others nothing', async t => {
  const m = Float64Array.from([...lower, ...Array<number>(16).fill(7)])
  invert(m, 0, 16, WIDTH, of)
  for (const i of of) for (const j of of) t.ok(near(of.reduce((sum, k) => sum + full[i][k] * m[16 + k * WIDTH + j], 0), Number(i === j)), `${i} ${j}`)
  t.strictSame([0, 1, 2, 3].flatMap(k => [m[16 + 2 * WIDTH + k], m[16 + k * WIDTH + 2]]), Array(8).fill(0))
})

t.test('two that are one have an inverse, one without variance none', async t => {
  const same = Float64Array.from([2, 0, 0, 0, 2, 2, 0, 0, ...Array<number>(24).fill(0)])
  invert(same, 0, 16, WIDTH, [0, 1])
  t.ok(same[16] > 1e4 && Number.isFinite(same[16]))
  const still = Float64Array.from([2, 0, 0, 0, 0, 0, 0, 0, ...Array<number>(24).fill(1)])
  invert(still, 0, 16, WIDTH, [0, 1])
  t.ok(still.subarray(16).every(x => x === 0))
})

t.test('how standardised residuals vary together is P C P between precisions, scaled', async t => {
  const m = Float64Array.from([...lower, ...Array<number>(32).fill(0)])
  invert(m, 0, 16, WIDTH, of)
  spread(m, 16, 0, 32, WIDTH, of)
  const p = (i: number, j: number) => m[16 + i * WIDTH + j]
  for (const i of of) for (const j of of.filter(j => j <= i)) {
    t.ok(near(m[32 + i * WIDTH + j], p(i, j) / Math.sqrt(p(i, i) * p(j, j))), `${i} ${j}: of the same covariances it is the standardised precision matrix`)
  }
})
