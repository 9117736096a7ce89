import t from 'tap'
import { Fusion, fusion } from '../../models/fusion.ts'
import { normal, uniform } from './random.ts'

const AT = 4
/** Evidence of each row of numbers, one row a second. */
function judge (rows: readonly (readonly number[])[], alarms = 1, per = 1e6) {
  const signals = rows[0].map((_, k) => `s${k}`), first = Object.values(fusion(signals)), m = new Float64Array(AT + first.length), model = new Fusion(signals.length)
  m.set(first, AT)
  return rows.map((row, i) => {
    model.x.set(row)
    model.score(m, AT)
    const alarm = model.alarm(m, AT, alarms, per), out = { evidence: model.evidence, signal: model.signal, news: model.news, alarm, weight: model.weight(m, AT) }
    model.learn(m, AT)
    model.pass(m, AT, i * 1000)
    return out
  })
}
/** Three numbers, exponential when all is usual. */
const usual = (n: number, seed: number) => { const u = uniform(seed); return Array.from({ length: n }, () => [0, 1, 2].map(() => -Math.log(1 - u()))) }
const share = (rows: readonly { evidence: number }[], p: number) => rows.filter(r => r.evidence >= -Math.log10(p)).length / rows.length

t.test('p-values are as often as they say, from the first on and for good, of independent signals and of three that are the same', async t => {
  const same = (n: number, seed: number) => usual(n, seed).map(([x]) => [x, x, x])
  for (const [name, make] of Object.entries({ independent: usual, same, one: (n: number, seed: number) => usual(n, seed).map(([x]) => [x]) })) {
    const late = judge(make(100_000, 1)).slice(20_000), early = Array.from({ length: 150 }, (_, s) => judge(make(250, 100 + s)).slice(64)).flat()
    for (const p of [1e-2, 1e-3]) t.ok(share(late, p) > p / 2 && share(late, p) < 2 * p, `${name}, late, ${p}: ${share(late, p)}`)
    t.ok(share(early, 0.01) < 0.015, `${name}, early: ${share(early, 0.01)}`)
  }
})

t.test('the strongest signal speaks, is news once, and an alarm once', async t => {
  const out = judge([...usual(2000, 2), [1, 30, 1], [1, 30, 1], [1, 31, 1]])
  t.ok(out[2000].evidence > 5 && out[2000].signal === 1 && out[2000].news)
  t.strictSame(out.slice(2000).map(r => r.news), [true, false, false])
  t.strictSame(judge([...usual(2000, 2), [1, 30, 1], [1, 30, 1]], 1, 1e8).slice(2000).map(r => r.alarm), [true, false])
})

t.test('what is usual pulls in full, what is rarer the less', async t => {
  const [a, b, c] = judge([...usual(2000, 3), [1, 1, 1], [1, 10, 1], [1, 100, 1]]).slice(2000).map(r => r.weight)
  t.ok(a === 1 && b < 0.6 && b > 0.3 && c < 0.06)
})

t.test('nothing is said while a tail begins', async t => {
  const z = normal(4)
  t.ok(judge(Array.from({ length: 32 }, () => [Math.abs(z()) * 1e9])).every(r => r.evidence === 0))
})
