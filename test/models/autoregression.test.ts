import t from 'tap'
import { AUTOREGRESSION, autoregression, begin, expected, learn } from '../../models/autoregression.ts'
import { normal } from './random.ts'

const AT = 1
const fresh = () => {
  const m = new Float64Array(AT + AUTOREGRESSION)
  m.set(Object.values(autoregression), AT)
  return m
}
function process (n: number, [a, b, c]: readonly number[], seed: number): number[] {
  const z = normal(seed), x = [0, 0, 0]
  while (x.length < n) x.push(a * x.at(-1)! + b * x.at(-2)! + c * x.at(-3)! + z())
  return x
}

/** The weights that make the discounted sum of squares least, with a ridge: what the recursion must give, by elimination. */
function least (x: readonly number[], forget: number, ridge: number): number[] {
  const n = x.length - 3
  const a = [0, 1, 2].map(i => [0, 1, 2, 3].map(j => i === j ? ridge * forget ** n : 0))
  for (let k = 0; k < n; k++) {
    const lags = [x[k + 2], x[k + 1], x[k]]
    for (let i = 0; i < 3; i++) for (let j = 0; j < 4; j++) a[i][j] += forget ** (n - 1 - k) * lags[i] * (j < 3 ? lags[j] : x[k + 3])
  }
  for (let i = 0; i < 3; i++) for (let r = 0; r < 3; r++) if (r !== i) a[r] = a[r].map((v, j) => v - a[i][j] * (a[r][i] / a[i][i]))
  return a.map((row, i) => row[3] / row[i])
}

t.test('gives what least squares over everything so far gives', async t => {
  const x = process(300, [0.5, -0.3, 0.2], 1), m = fresh()
  begin(m, AT, 50)
  x.forEach((deviation, i) => { learn(m, AT, { value: deviation + 50, level: 50, scale: i < 3 ? 0 : 2, clip: Infinity }) })
  least(x, 0.999, 4).forEach((w, i) => t.ok(Math.abs(m[AT + i] - w) < 1e-9, `${m[AT + i]}, not ${w}`))
})

t.test('finds the weights of a process and forecasts with them', async t => {
  const x = process(20_000, [0.5, -0.3, 0.2], 2), m = fresh()
  for (const deviation of x) learn(m, AT, { value: deviation, level: 0, scale: 1.2, clip: Infinity })
  for (const [i, w] of [0.5, -0.3, 0.2].entries()) t.ok(Math.abs(m[AT + i] - w) < 0.06, `${m[AT + i]}, not ${w}`)
  t.equal(expected(m, AT, 0), m[AT] * x.at(-1)! + m[AT + 1] * x.at(-2)! + m[AT + 2] * x.at(-3)!)
})

t.test('a wild error teaches no more than a large one', async t => {
  const after = (last: number) => {
    const m = fresh()
    for (const deviation of [...process(500, [0.8, 0, 0], 3), last]) learn(m, AT, { value: deviation, level: 0, scale: 1.5, clip: 5 })
    return m.slice(AT, AT + 3)
  }
  t.strictSame(after(1e9), after(1e3))
})

t.test('a long rest does not make it restless', async t => {
  const m = fresh()
  for (const deviation of [...process(500, [0.8, 0, 0], 4), ...Array.from({ length: 100_000 }, () => 0)]) learn(m, AT, { value: deviation, level: 0, scale: 1.5, clip: Infinity })
  t.ok(m.every(Number.isFinite) && Math.max(...m.slice(AT + 6).map(Math.abs)) < 100, m.join())
})
