import t from 'tap'
import { learnStanding, standing, standingOf } from '../../models/standing.ts'
import { normal } from './random.ts'

const learned = (numbers: readonly number[]) => {
  const m = Float64Array.from(Object.values(standing))
  for (const x of numbers) learnStanding(m, 0, x)
  return m
}
const tail = (z: number) => -Math.log(z)      // of P(Z > z), given as that
const close = (a: number, b: number, by: number) => Math.abs(a - b) <= by

t.test('of normal numbers it is -ln of the chance of so high a one, whatever the units', async t => {
  const z = normal(1), numbers = Array.from({ length: 500 }, z)
  const mean = numbers.reduce((a, b) => a + b) / 500, deviation = Math.sqrt(numbers.reduce((a, x) => a + (x - mean) ** 2, 0) / 500), m = learned(numbers)
  for (const [height, chance] of [[0, 0.5], [1, 0.158655], [3, 0.00134990], [5, 2.86652e-7], [-1, 0.841345]]) {
    const said = standingOf(m, 0, mean + height * deviation)
    t.ok(close(said, tail(chance), 0.01 * Math.max(1, tail(chance))), `${height}: ${said}, ${tail(chance)}`)
    const scaled = learned(numbers.map(x => 1000 * x - 7))
    t.ok(close(standingOf(scaled, 0, 1000 * (mean + height * deviation) - 7), said, 1e-6))
  }
})

t.test('nothing stands high before two numbers are known, or where all are the same', async t => {
  t.equal(standingOf(learned([]), 0, 9), 0)
  t.equal(standingOf(learned([1]), 0, 9), 0)
  t.equal(standingOf(learned([1, 1, 1, 1]), 0, 9), 0)
  t.ok(standingOf(learned([1, 2]), 0, 9) > 5)
})

t.test('a number counts as at most five deviations once eight are known', async t => {
  const early = learned([0, 1, 0, 1, 0, 1, 0, 1000]), usual = learned([0, 1, 0, 1, 0, 1, 0, 1]), m = usual.slice()
  t.equal(early[1], 1003 / 8)
  learnStanding(m, 0, 1000)
  const off = 5 * Math.sqrt(usual[2])
  t.ok(close(m[1], usual[1] + off / 9, 1e-12) && close(m[2], 8 / 9 * (usual[2] + off * off / 9), 1e-12))
})

t.test('it fades: behind a thousand numbers elsewhere those before count a third', async t => {
  const at = (n: number) => learned([...Array.from({ length: 5000 }, (_, i) => i % 2), ...Array.from({ length: n }, (_, i) => 2 + i % 2)])[1]
  t.ok(close(at(1000), 2.5 - 2 / Math.E, 0.01), `${at(1000)}`)
})
