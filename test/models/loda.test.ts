import t from 'tap'
import { Loda } from '../../models/loda.ts'
import { normal } from './random.ts'

const AT = 5
function learned (d: number, rows: readonly (readonly number[])[], lines = 200, memory = 2000) {
  const loda = new Loda(d, { lines, memory, seed: 1 }), m = new Float64Array(AT + Object.keys(loda.shape).length)
  for (const row of rows) {
    const x = Float64Array.from(row)
    loda.score(m, AT, x)
    loda.learn(m, AT, x)
  }
  const blame = (x: readonly number[]) => {
    const into = new Float64Array(d), score = loda.score(m, AT, Float64Array.from(x))
    loda.blame(into)
    return { score, blame: [...into] }
  }
  return { loda, m, blame }
}
const rows = (d: number, n: number, seed: number) => { const z = normal(seed); return Array.from({ length: n }, () => Array.from({ length: d }, (_, j) => 10 ** j * z())) }

t.test('of normal numbers the score of a row is -log of the shares that the normal distribution gives its bins', async t => {
  const { loda, m } = learned(1, rows(1, 50_000, 1), 1, 100_000)
  const shares = [0.1915, 0.1499, 0.0918, 0.0441, 0.0165]
  shares.forEach((share, k) => {
    const got = Math.exp(-loda.score(m, AT, Float64Array.of((0.25 + k / 2) * Math.sqrt(m[AT + 4]) + m[AT + 3])))
    t.ok(Math.abs(got / share - 1) < 0.1, `bin ${k}: ${got}, not ${share}`)
  })
})

t.test('counts sum to their total and fade, and nothing else changes when all are made smaller', async t => {
  const loda = new Loda(4, { lines: 10, memory: 100, seed: 1 }), m = new Float64Array(AT + Object.keys(loda.shape).length), from = AT + 3 + 8
  let before = 0, smaller = 0
  for (const row of rows(4, 6000, 2)) {
    const x = Float64Array.from(row)
    loda.score(m, AT, x)
    loda.learn(m, AT, x)
    if (m[AT + 1] < before) {
      smaller++
      for (let j = 0; j < 4; j++) t.ok(Math.abs(Math.log10(m[AT + 3 + 4 + j]) - 2 * j) < 0.5, 'not the variances')
      for (let line = 0; line < 10; line++) t.ok(Math.abs(m.subarray(from + line * 20, from + line * 20 + 20).reduce((a, b) => a + b) / m[AT + 2] - 1) < 1e-9)
    }
    before = m[AT + 1]
  }
  t.equal(smaller, 2)
  t.ok(Math.abs(m[AT + 2] / m[AT + 1] / 99 - 1) < 1e-9, 'as many as are remembered, less the one to come')
  t.equal(Object.keys(loda.shape).length, 3 + 8 + 200 + 16 * 4)
})

t.test('it blames the number that is wild', async t => {
  const { blame } = learned(9, rows(9, 3000, 3))
  const usual = blame(Array.from({ length: 9 }, () => 0)), wild = blame(Array.from({ length: 9 }, (_, j) => j === 5 ? 6e5 : 0))
  t.ok(wild.score > usual.score + 0.5)
  t.ok(wild.blame[5] > 5 && wild.blame.every((x, j) => j === 5 || x < wild.blame[5] / 2), wild.blame.join())
  t.ok(usual.blame.every(x => Math.abs(x) < 4), usual.blame.join())
})

t.test('of two numbers it blames the wild one too, though all lines of a number say the same', async t => {
  const { blame } = learned(2, rows(2, 3000, 3)), wild = [blame([6e5, 0]), blame([0, 6e5])]
  t.strictSame(wild.map(w => w.blame.map(x => Math.round(x))), [[100, -100], [-100, 100]])
})

t.test('of one number there is nothing to compare: no blame', async t => {
  t.strictSame(learned(1, rows(1, 100, 4)).blame([50]).blame, [0])
})

t.test('wild rows among the others do not widen the scale by much', async t => {
  const z = normal(5), { loda, m } = learned(2, Array.from({ length: 5000 }, (_, i) => [z() + (i % 50 === 49 ? 1e6 : 0), z()]))
  const scores = [loda.score(m, AT, Float64Array.of(1e6, 0)), loda.score(m, AT, Float64Array.of(0, 0))]
  t.ok(m[AT + 5] < 4 && scores[0] > 1.3 * scores[1], `${m[AT + 5]}, ${scores.join()}`)
})

t.test('one wild value, whenever it comes, does not widen the scale: what is 8 deviations off stands out a thousand rows later', async t => {
  for (const glitch of [65535, -9999, 85, 1000, 0]) {
    for (const when of [0, 3, 15, 16, 31, 40, 300]) {
      const z = normal(when + 7), { loda, m } = learned(2, Array.from({ length: 1000 }, (_, i) => [i === when ? glitch : 20 + z(), 20 + z()]), 50)
      const scores = [28, 20].map(x => loda.score(m, AT, Float64Array.of(x, 20)))
      t.ok(m[AT + 5] < 3 && scores[0] > 1.3 * scores[1], `${glitch} in row ${when}: ${m[AT + 5]}, ${scores.join()}`)
    }
  }
})
