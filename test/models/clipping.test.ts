import t from 'tap'
import { Clipping, clipping } from '../../models/clipping.ts'
import * as runs from '../../models/runs.ts'
import { normal } from './random.ts'

/** A stream through the model: [evidence, size] of each reading. `stuck`: the evidence that it is held. */
function run (values: readonly number[], limit = 6, stuck = 9) {
  const m = Float64Array.from(Object.values(clipping)), model = new Clipping()
  model.begin(m, 0, values[0])
  return { m, out: values.slice(1).map((x, i) => { model.take(m, 0, x, x - values[i], x === values[i] ? stuck : 0, limit); return [model.finding.evidence, model.finding.size] }) }
}
const noise = (n: number, seed: number) => { const z = normal(seed); return Array.from({ length: n }, z) }
const calm = noise(1000, 1).map(x => Math.max(-2, Math.min(2, x)) / 2 + x / 1000)      // never the same twice

t.test('touches of the largest or the smallest value, as a run in a stream where no value comes again', async t => {
  for (const sign of [1, -1]) {
    const peaks = [5, 0, 5, 0.1, 4, 5, 5, 0.2, 5].map(x => sign * x), { out, m } = run([...calm, ...peaks])
    const chain = new Float64Array(runs.RUNS)
    for (let i = 1; i < calm.length; i++) runs.calm(chain, 0, false)
    const touches = out.slice(-peaks.length).map(([, size]) => size)
    t.strictSame(touches, [0, 0, sign, 0, 0, 2 * sign, 2 * sign, 0, 3 * sign])
    const said = out.at(-1)![0]
    t.ok(Math.abs(said - runs.unlikely(chain, 0, 3)) < 0.01, `${said}, ${runs.unlikely(chain, 0, 3)}`)
    t.equal(out.at(-3)![0], 9, 'held where it was come to before: as unlikely as that it is stuck')
    t.equal(m[0], Math.max(...calm.slice(-100), ...peaks))
  }
})

t.test('a value that is passed is none that is clipped, nor one that did not come again for a hundred readings', async t => {
  const touched = [5, 0, 5, 0, 5, 0, 5]
  t.strictSame(run([...calm, ...touched, 6, 0, 5]).out.at(-1), [0, 0])
  const wait = (n: number) => run([...calm, ...touched, ...noise(n, 2).map(x => Math.tanh(x)), 5]).out.at(-1)![1]
  t.strictSame([wait(99), wait(100)], [4, 0])
})

t.test('of coarse values any is come to often, and so is the largest', async t => {
  const coarse = (n: number, seed: number) => noise(n, seed).map(x => Math.max(-2, Math.min(2, Math.round(x))))
  const late = (values: readonly number[]) => Math.max(...run(values).out.slice(-1000).filter((_, i) => values[values.length - 1000 + i] !== values[values.length - 1001 + i]).map(([evidence]) => evidence))
  t.ok(late(coarse(20_000, 4)) < 6, `${late(coarse(20_000, 4))}`)
  t.ok(late([...noise(19_000, 5), ...coarse(1000, 4)]) > 9)
})
