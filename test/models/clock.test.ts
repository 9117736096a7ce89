import t from 'tap'
import { Clock, clock } from '../../models/clock.ts'
import * as runs from '../../models/runs.ts'

const LIMIT = 6, USUAL = 10
/** A series every 10 ms whose clock is `off` at reading i: [reading, evidence, size] where something is said. */
function run (n: number, off: (i: number) => number, limit = LIMIT) {
  const m = Float64Array.from(Object.values(clock)), model = new Clock(), said: [number, number, number][] = []
  for (let i = 0; i < n; i++) {
    const time = USUAL * i + off(i)
    if (i === 0) { model.arrive(m, 0, time); continue }
    model.take(m, 0, time, model.span(m, 0, time), USUAL, limit)
    if (model.finding.evidence > 0) said.push([i, model.finding.evidence, model.finding.size])
  }
  return said
}

t.test('a jump back is said with its second reading, as a run of intervals that never went back; its return at once', async t => {
  const m = new Float64Array(runs.RUNS)
  for (let i = 1; i < 1000; i++) runs.calm(m, 0, false)
  const [back, forth, ...more] = run(2000, i => i >= 1000 && i < 1200 ? -300 : 0)
  t.strictSame(back, [1001, runs.unlikely(m, 0, 30), -300])
  for (let i = 1002; i <= 1200; i++) runs.calm(m, 0, false)
  t.strictSame(forth, [1200, runs.unlikely(m, 0, 30), 300])
  t.strictSame(more, [])
})

t.test('with its return it is over: the same way forward again is no return', async t => {
  t.strictSame(run(3000, i => i < 1000 ? 0 : i < 1200 ? -300 : i < 1500 ? 0 : 300).map(([i, , size]) => [i, size]), [[1001, -300], [1200, 300]])
})

t.test('a return from elsewhere is none', async t => {
  t.strictSame(run(3000, i => i < 1000 ? 0 : i < 1200 ? -900 : -450).map(([i]) => i), [1001])
})

t.test('a straggler is no jump, and the reading behind it follows the newest', async t => {
  t.strictSame(run(2000, i => i === 1000 ? -95 : 0), [])
  const m = Float64Array.from(Object.values(clock)), model = new Clock()
  model.arrive(m, 0, 100)
  t.equal(model.span(m, 0, 60), -40)
  model.take(m, 0, 60, -40, USUAL, LIMIT)
  t.strictSame([model.newest(m, 0), model.span(m, 0, 110)], [100, 10])
})

t.test('what goes back often is no jump for long', async t => {
  const evidence = run(20_000, i => i % 100 >= 50 ? -40 : 0, Infinity).filter(([, , size]) => size < 0).map(([, e]) => e)
  t.equal(evidence.length, 200)
  t.ok(Math.abs(evidence.at(-1)! - 2 - 3 * Math.log10(4 / 3)) < 0.05, `${evidence.at(-1)}: one place in a hundred begins a run, of four`)
})
