import t from 'tap'
import { drift, driftVariance, learn, noise, place, placeVariance, variance, wiener } from '../../models/wiener.ts'
import { normal, uniform } from './random.ts'

const AT = 1
const begin = () => Float64Array.of(NaN, ...Object.values(wiener))
/** A process that drifts by 2 and wanders by a variance of 9 in a unit of time, read with noise of a variance of `noisy`. */
function play (n: number, noisy: number, elapsed: (i: number) => number, seed: number, halfLife = Infinity) {
  const z = normal(seed), m = begin()
  let x = 0, time = 0
  for (let i = 0; i < n; i++) {
    learn(m, AT, time, x + Math.sqrt(noisy) * z(), halfLife)
    if (i === n - 1) break
    const step = elapsed(i)
    time += step
    x += 2 * step + Math.sqrt(9 * step) * z()
  }
  return { m, x, time }
}

t.test('finds drift and variance, and tells the process from the noise, also when readings are not even', async t => {
  const u = uniform(9)
  for (const elapsed of [() => 1, () => 0.2 + 1.6 * u()]) {
    const { m } = play(40_000, 25, elapsed, 1)
    t.ok(Math.abs(variance(m, AT) - 9) < 1 && Math.abs(noise(m, AT) - 25) < 1, `${variance(m, AT)}, ${noise(m, AT)}`)
    t.ok(Math.abs(drift(m, AT) - 2) < 3 * Math.sqrt(driftVariance(m, AT)) && Math.abs(Math.sqrt(driftVariance(m, AT)) - 0.015) < 0.002)
  }
})

t.test('the drift is known as well as it says, and so is the place', async t => {
  let drifts = 0, places = 0
  const RUNS = 400
  for (let run = 0; run < RUNS; run++) {
    const { m, x } = play(1000, 9, () => 1, 100 + run)
    drifts += (drift(m, AT) - 2) ** 2 / driftVariance(m, AT) / RUNS
    places += (place(m, AT) - x) ** 2 / placeVariance(m, AT) / RUNS
  }
  t.ok(drifts > 0.8 && drifts < 1.25, `${drifts}`)
  t.ok(places > 0.8 && places < 1.3, `${places}`)
})

t.test('noise about a level that does not move is no drift', async t => {
  let squares = 0
  const RUNS = 300
  for (let run = 0; run < RUNS; run++) {
    const z = normal(1000 + run), m = begin()
    for (let i = 0; i < 200; i++) learn(m, AT, i, 5 * z(), Infinity)
    squares += drift(m, AT) ** 2 / driftVariance(m, AT) / RUNS
  }
  t.ok(squares > 0.3 && squares < 1.25, `${squares}`)
})

t.test('what is older counts half for each half life', async t => {
  const m = begin()
  for (let i = 0; i <= 100; i++) learn(m, AT, i, i <= 50 ? 0 : (i - 50) * 3, 10)
  t.ok(Math.abs(drift(m, AT) - 3 * (1 - 2 ** -5)) < 0.01, `${drift(m, AT)}`)
})

t.test('a straight line has a drift and nothing else, and a time that is not later changes nothing', async t => {
  const m = begin()
  for (let i = 0; i < 50; i++) t.ok(learn(m, AT, i, 5 + 2 * i, Infinity))
  const before = m.slice()
  t.notOk(learn(m, AT, 49, 1000, Infinity) || learn(m, AT, 3, 1000, Infinity))
  t.strictSame(m, before)
  t.ok(Math.abs(drift(m, AT) - 2) < 1e-12 && variance(m, AT) < 1e-20 && Math.abs(place(m, AT) - 103) < 1e-9)
})
