import t from 'tap'
import * as runs from '../../models/runs.ts'
import { Random } from '../../models/random.ts'

const memory = () => new Float64Array(runs.RUNS)
const close = (a: number, b: number, tolerance = 1e-12) => Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b))

t.test('without any event, the first has probability 1 / (n + 2) and each that follows one half', async t => {
  const m = memory()
  for (let i = 0; i < 998; i++) runs.calm(m, 0, false)
  t.ok(close(runs.unlikely(m, 0, 1), 3))
  t.ok(close(runs.unlikely(m, 0, 4), 3 + 3 * Math.log10(2)))
  t.equal(runs.unlikely(m, 0, 0), 0)
})

t.test('of a Markov chain the probabilities of runs are what they are', async t => {
  const m = memory(), random = new Random(3)
  const begin = 0.1, further = 0.7, seen = new Map<number, number>()
  let places = 0
  for (let i = 0; i < 40_000; i++) {
    let length = 0
    if (random.next() < begin) for (length = 1; random.next() < further; length++);
    places++
    for (let l = 1; l <= length; l++) seen.set(l, (seen.get(l) ?? 0) + 1)
    runs.learn(m, 0, length)
  }
  for (const length of [1, 3, 6]) t.ok(Math.abs(10 ** -runs.unlikely(m, 0, length) / (seen.get(length)! / places) - 1) < 0.1, String(length))
})

t.test('the shortest run that is as unlikely as that', async t => {
  const m = memory()
  for (let i = 0; i < 5000; i++) runs.learn(m, 0, i % 50 === 0 ? 3 : 0)
  for (const evidence of [0.5, 2, 6, 12]) {
    const length = runs.longest(m, 0, evidence)
    t.ok(runs.unlikely(m, 0, length) >= evidence && (length === 1 || runs.unlikely(m, 0, length - 1) < evidence), String(evidence))
  }
})

t.test('what is long ago counts less', async t => {
  const m = memory()
  for (let i = 0; i < 1000; i++) runs.learn(m, 0, 1)
  for (let i = 0; i < 20 * runs.MEMORY; i++) runs.calm(m, 0, false)
  t.ok(m[0] < runs.MEMORY && m[1] < 1)
})
