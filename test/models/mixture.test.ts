import t from 'tap'
import { best, combine, learn, relative, sizeOf } from '../../models/mixture.ts'
import { normal } from './random.ts'

const AT = 2, BASELINES = 2

/** Mean absolute errors of the combination and of each expert, over the second half. */
function play (experts: readonly ((y: number, i: number) => number)[], steps: number, valueOf: (i: number) => number) {
  const E = experts.length, m = new Float64Array(AT + sizeOf(E, BASELINES)), errors = new Float64Array(E + 1)
  for (let i = 0; i < steps; i++) {
    const y = valueOf(i), f = Float64Array.from(experts, expert => expert(y, i)), mixed = combine(m, AT, f, 0, E, BASELINES)
    learn(m, AT, f, 0, E, BASELINES, mixed, y, 300)
    if (i >= steps / 2) [mixed, ...f].forEach((x, k) => { errors[k] += Math.abs(x - y) * 2 / steps })
  }
  return { m, errors }
}

t.test('comes near the best combination, which is better than the best expert', async t => {
  const z = normal(1), { errors: [mixed, ...own] } = play([y => y + 4 * z(), y => y - 4 * z(), y => y + 1 + z() / 10, y => y - 1 + z() / 10], 4000, () => 10 * z())
  t.ok(Math.min(...own) > 0.9 && mixed < 0.25, `${mixed} of ${own.join()}`)
})

t.test('weights are the positive regrets over their sums of squares, both discounted, as written out', async t => {
  const z = normal(4), E = 3, MOST = 20, m = new Float64Array(AT + sizeOf(E, BASELINES)), regrets: number[][] = []
  for (let i = 0; i < 60; i++) {
    const y = z(), f = Float64Array.from({ length: E }, (_, e) => y * e / 2 + z()), mixed = combine(m, AT, f, 0, E, BASELINES)
    const sums = [0, 1, 2].map(e => [1, 2].map(power => regrets.reduce((sum, r, k) => sum + r[e] ** power * (1 - 1 / MOST) ** (regrets.length - 1 - k), 0)))
    const weights = sums.map(([regret, square]) => regret > 0 ? regret / square : 0), total = weights.reduce((a, b) => a + b)
    if (total > 0) t.ok(Math.abs(mixed - weights.reduce((sum, w, e) => sum + w * f[e], 0) / total) < 1e-9, `${i}`)
    regrets.push([...f].map(x => Math.sign(mixed - y) * (mixed - x)))
    learn(m, AT, f, 0, E, BASELINES, mixed, y, MOST)
  }
})

t.test('follows when another expert becomes the best', async t => {
  const z = normal(2), { errors: [mixed] } = play([y => y + 3, y => y - 3, (y, i) => i < 1000 ? y : y + 9, (y, i) => i < 1000 ? y + 9 : y], 4000, () => z())
  t.ok(mixed < 0.2, `${mixed}`)
})

t.test('an expert that sleeps has no weight, and comes back with what it had', async t => {
  const z = normal(3), { errors: [mixed] } = play([y => y + 1, y => y + 2, (y, i) => i % 2 === 0 ? y : NaN], 2000, () => z())
  t.ok(mixed < 0.75, `${mixed}`)
})

t.test('keeps the account of the gate: errors lately against those of the best baseline', async t => {
  const { m } = play([y => y + 2, y => y + 1, y => y + 8], 500, () => 0)
  t.equal(best(m, AT, BASELINES), 1)
  t.ok(relative(m, AT, BASELINES) <= 1.05)
  t.ok(Number.isNaN(relative(new Float64Array(AT + sizeOf(3, BASELINES)), AT, BASELINES)))
})
