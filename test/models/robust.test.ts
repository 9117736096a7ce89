import t from 'tap'
import { Robust, robust } from '../../models/robust.ts'
import { normal, uniform } from './random.ts'

const AT = 2
function learned (values: Iterable<number>, { over = 1e6, samples = 30, floor = 0, every = 1000 } = {}) {
  const model = new Robust({ over, samples, floor }), m = new Float64Array(AT + 4)
  m.set(Object.values(robust), AT)
  const all = [...values]
  model.begin(m, AT, Float64Array.from(all.slice(0, samples)).sort())
  let time = m[AT + 3] = samples * every
  for (const x of all.slice(samples)) model.learn(m, AT, x, time += every)
  return { model, m, location: m[AT], scale: Math.sqrt(m[AT + 1]), weight: m[AT + 2] }
}
const noise = (n: number, seed: number) => { const z = normal(seed); return Array.from({ length: n }, () => 50 + 2 * z()) }

t.test('on normal readings it finds mean and standard deviation', async t => {
  const scales = [1, 2, 3, 4, 5, 6, 7, 8].map(seed => learned(noise(100_000, seed), { over: Infinity }).scale)
  const mean = scales.reduce((a, b) => a + b) / scales.length
  t.ok(Math.abs(mean / 2 - 1) < 0.0015, `the scale is ${mean}, not 2`)
  t.ok(Math.abs(learned(noise(20_000, 9), { over: 5e6 }).location - 50) < 0.1)
})

t.test('begins at the median with the MAD as its scale; when that is 0, with the mean absolute deviation', async t => {
  const first = learned([1, 4, 2, 1e9, 3], { samples: 5 })
  t.strictSame([first.location, first.weight], [3, 5])
  t.ok(Math.abs(first.scale / 1.4826 - 1) < 1e-4)
  const stuck = learned([7, 7, 7, 8], { samples: 4 })
  t.equal(stuck.location, 7)
  t.ok(Math.abs(stuck.scale / (1.2533 / 4) - 1) < 1e-4)
  t.equal(learned([7, 7, 7, 7], { samples: 4 }).scale, 0)
})

t.test('without decay and outliers it goes on as mean and standard deviation of the population', async t => {
  const values = noise(2000, 11).filter(x => Math.abs(x - 50) < 5)
  const { scale, location } = learned(values, { over: Infinity, samples: 2 })
  const mean = values.reduce((a, x) => a + x) / values.length
  t.ok(Math.abs(location - mean) < 0.02)
  t.ok(Math.abs(scale / Math.sqrt(values.reduce((a, x) => a + (x - mean) ** 2, 0) / values.length) - 1) < 0.02)
})

t.test('five percent of wild readings widen the scale by about a third, and move the location little', async t => {
  const wild = uniform(3)
  const { scale, location } = learned(noise(20_000, 4).map(x => wild() < 0.05 ? 1e6 : x), { over: 5e6 })
  t.ok(scale / 2 > 1.15 && scale / 2 < 1.5, `${scale / 2}`)
  t.ok(Math.abs(location - 50) < 1, `${location}`)
})

t.test('a spike changes what is normal by no more than its clipped size', async t => {
  const before = learned(noise(1000, 5)), { model, m } = before
  model.learn(m, AT, 1e12, 1.001e6)
  t.ok(Math.abs(m[AT] - before.location) <= 3 * before.scale / before.weight * 1.01)
})

t.test('a shift of a hundred scales becomes normal', async t => {
  const { model, m } = learned([...noise(1000, 6), ...noise(600, 7).map(x => x + 200)], { over: 1e5 })
  t.ok(Math.abs(model.score(m, AT, 250)) < 1 && model.score(m, AT, 50) < -5, `${model.score(m, AT, 250)} ${model.score(m, AT, 50)}`)
})

t.test('weights decay with time, but a slow series keeps the newest samples', async t => {
  t.ok(Math.abs(learned(noise(5000, 8), { over: 100_000 }).weight - 100) < 2, 'a reading each second and 100 s of memory')
  t.ok(Math.abs(learned(noise(5000, 8), { over: 100_000, every: 3_600_000 }).weight - 31) < 1e-9)
})

t.test('old readings are learned without turning time back', async t => {
  const { model, m, weight } = learned(noise(100, 9))
  const newest = m[AT + 3]
  model.learn(m, AT, 50, newest - 50_000)
  t.equal(m[AT + 3], newest)
  t.equal(m[AT + 2], weight + 1)
})
