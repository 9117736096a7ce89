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

t.test('a drift that is of the last half life or so is known as well as it says, too', async t => {
  const RUNS = 400, HALF_LIFE = 50
  let drifts = 0
  for (let run = 0; run < RUNS; run++) {
    const { m } = play(1000, 0, () => 1, 5000 + run, HALF_LIFE)
    drifts += (drift(m, AT) - 2) ** 2 / driftVariance(m, AT) / RUNS
  }
  t.ok(drifts > 0.8 && drifts < 1.3, `${drifts}`)
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
  for (let i = 0; i <= 1000; i++) learn(m, AT, i, i <= 500 ? 0 : (i - 500) * 3, 100)
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

t.test('a value that is out and comes back never was, the first one too; a jump that stays is learned with the eighth', async t => {
  const of = (at: number, by: number, long: number) => {
    const z = normal(7), m = begin(), taken: boolean[] = []
    for (let i = 0, x = 0; i < 400; i++) { x += 0.5 + z(); taken.push(learn(m, AT, i, x + z() + (i >= at && i < at + long ? by : 0), Infinity)) }
    return { m, taken }
  }
  const { m: clean, taken } = of(0, 0, 0)
  t.equal(taken.filter(x => !x).length, 0)
  for (const at of [0, 1, 7, 8, 200, 380]) {
    for (const by of [100, -9999, 65535, 3e38]) {
      const { m, taken } = of(at, by, 1)
      if (at >= 7) t.strictSame(taken.flatMap((x, i) => x ? [] : [i]), [at], `${by} at ${at}`)
      for (const of of [drift, variance, noise, place, placeVariance]) t.ok(Math.abs(of(m, AT) / of(clean, AT) - 1) < 0.1, `${of.name}, ${by} at ${at}: ${of(m, AT)}, not ${of(clean, AT)}`)
    }
  }
  const jumped = of(200, 100, 200), least = 100 ** 2 / 400
  t.strictSame(jumped.taken.flatMap((x, i) => x ? [] : [i - 200]), [0, 1, 2, 3, 4, 5, 6])
  t.ok(Math.abs(place(jumped.m, AT) - place(clean, AT) - 100) < 3, `${place(jumped.m, AT)}`)
  t.ok(variance(jumped.m, AT) > variance(clean, AT) + least / 2 && variance(jumped.m, AT) < variance(clean, AT) + 2 * least, `${variance(jumped.m, AT)}`)
})
