import t from 'tap'
import { begin, FIRST, learn, LIMIT, rate, SHARE, tail, TAIL, unlikely } from '../../models/tail.ts'
import { normal, uniform } from './random.ts'

const AT = 2
/** The tail of a stream, after numbers 1 to n. */
function learned (n: number, next: (i: number) => number): Float64Array {
  const m = new Float64Array(AT + TAIL)
  m.set(Object.values(tail), AT)
  for (let i = 1; i <= n; i++) {
    if (i <= FIRST) begin(m, AT, next(i), i)
    else learn(m, AT, next(i), 1 / Math.min(i, 10_000), 1, 200)
  }
  return m
}
const evidence = (m: Float64Array, x: number) => unlikely(m, AT, x)
const close = (t: { ok (holds: boolean, what: string): unknown }, got: number, expected: number, by: number, what: string) => t.ok(Math.abs(got - expected) <= by, `${what}: ${got}, not ${expected}`)

t.test('the threshold is the number that one in fifty exceeds, and the rate is one in fifty', async t => {
  const u = uniform(1), z = normal(2)
  const exponential = learned(100_000, () => -Math.log(1 - u()))
  close(t, exponential[AT], Math.log(50), 0.25, 'threshold')
  close(t, rate(exponential, AT), SHARE, 0.003, 'rate')
  close(t, learned(100_000, () => Math.abs(z()))[AT], 2.326, 0.12, 'threshold of |normal|')
})

t.test('far beyond, the probability is right within a factor of two for light, exponential and heavy tails', async t => {
  const u = uniform(3), z = normal(4)
  const half = Math.log10(2)
  const exponential = learned(50_000, () => -Math.log(1 - u()))
  close(t, evidence(exponential, 4 * Math.LN10), 4, half, 'exponential')
  close(t, evidence(learned(50_000, () => Math.abs(z())), 3.891), 4, half, '|normal|')
  close(t, evidence(learned(50_000, () => (1 - u()) ** (-1 / 4)), 10), 4, half, 'Pareto of index 4')
})

t.test('what is more extreme is less likely, up to the limit', async t => {
  const z = normal(5), m = learned(5000, () => Math.abs(z()))
  const at = [0, 1, 2, 3, 5, 8, 20].map(x => evidence(m, x))
  t.strictSame(at.slice(0, 3), [0, 0, 0])
  t.ok(at.slice(3).every((e, i, all) => i === 0 || e > all[i - 1]), at.join())
  t.equal(evidence(m, 1e9), LIMIT)
})

t.test('few excesses say little about far ones', async t => {
  const u = uniform(6), e = () => -Math.log(1 - u())
  const few = learned(300, e), many = learned(50_000, e)
  t.ok(evidence(few, few[AT] + 12 * few[AT + 2]) < evidence(many, many[AT] + 12 * many[AT + 2]) - 1)
})

t.test('of a stream that never was anything but 0 everything else is as unlikely as can be; nothing is while it begins', async t => {
  t.equal(evidence(learned(100, () => 0), 1e-9), LIMIT)
  t.equal(evidence(learned(100, () => 0), 0), 0)
  t.equal(evidence(learned(FIRST - 1, () => 1), 1e9), 0)
})

t.test('one wild number changes the tail by no more than ten mean excesses', async t => {
  const u = uniform(7), m = learned(20_000, () => -Math.log(1 - u())), [, , , , before] = m
  learn(m, AT, 1e12, 1e-4, 1, 200)
  t.ok(m[AT + 2] - before <= 9.01 * before / 200, `${before} -> ${m[AT + 2]}`)
})
