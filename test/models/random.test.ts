import t from 'tap'
import { key, mix, normal, Random, uniform } from '../../models/random.ts'

const N = 200_000
const mean = (x: ArrayLike<number>) => Array.prototype.reduce.call(x, (a: any, b) => a + b, 0) as number / x.length

void t.test('mix is a bijection: different inputs never meet', async t => {
  const seen = new Set<number>()
  for (let i = 0; i < N; i++) seen.add(mix(i))
  t.equal(seen.size, N)
})

void t.test('uniform numbers fill (0, 1) evenly: chi square of 100 cells stays below its 0.1 % point', async t => {
  const cells = new Float64Array(100)
  const k = key(1, 2)
  for (let i = 0; i < N; i++) cells[Math.floor(uniform(k, i) * 100)]++
  const expected = N / 100
  t.ok(cells.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0) < 148.2)
})

void t.test('normal numbers have the moments of the normal distribution and do not depend on their neighbours', async t => {
  const k = key(7, 1)
  const x = Float64Array.from({ length: N }, (_, i) => normal(k, i))
  t.ok(Math.abs(mean(x)) < 4 / Math.sqrt(N))
  t.ok(Math.abs(mean(x.map(v => v * v)) - 1) < 4 * Math.sqrt(2 / N))
  t.ok(Math.abs(mean(x.map(v => v ** 3))) < 4 * Math.sqrt(15 / N))
  t.ok(Math.abs(mean(x.map(v => v ** 4)) - 3) < 4 * Math.sqrt(96 / N))
  t.ok(Math.abs(mean(x.map((v, i) => v * x[(i + 1) % N]))) < 4 / Math.sqrt(N))
  t.ok(Math.abs(x.filter(v => v > 1.959964).length / N - 0.025) < 4 * Math.sqrt(0.025 / N))
})

void t.test('streams of different keys are independent', async t => {
  const a = key(1, 1), b = key(1, 2), c = key(2, 1)
  t.equal(new Set([a, b, c]).size, 3)
  for (const other of [b, c]) {
    let sum = 0
    for (let i = 0; i < N; i++) sum += normal(a, i) * normal(other, i)
    t.ok(Math.abs(sum / N) < 4 / Math.sqrt(N))
  }
})

void t.test('a number of a stream is the same whenever it is asked for', async t => {
  const k = key(5)
  const later = normal(k, 1_000_000)
  for (let i = 0; i < 10; i++) normal(k, i)
  t.equal(normal(k, 1_000_000), later)
})

void t.test('number `seed` of the stream of a seed is no smaller than others', async t => {
  const u = Float64Array.from({ length: 1000 }, (_, seed) => uniform(key(seed), seed))
  t.ok(Math.min(...u) > 1e-5 && Math.abs(mean(u) - 0.5) < 4 / Math.sqrt(12 * u.length), `${Math.min(...u)}, ${mean(u)}`)
})

void t.test('a sequential stream repeats with its seed, differs with another, and is even', async t => {
  const draw = (seed: number) => { const r = new Random(seed); return Float64Array.from({ length: N }, () => r.next()) }
  const x = draw(3)
  t.strictSame(x, draw(3))
  t.ok(draw(4).every((v, i) => v !== x[i] || i > 0))
  t.ok(Math.abs(mean(x) - 0.5) < 4 / Math.sqrt(12 * N))
  t.ok(x.every(v => v >= 0 && v < 1))
})

void t.test('Poisson counts have the mean and the variance they should, also for large means', async t => {
  for (const rate of [0, 0.3, 4, 1200]) {
    const r = new Random(11)
    const counts = Float64Array.from({ length: 5000 }, () => r.poisson(rate))
    const m = mean(counts), v = mean(counts.map(c => (c - m) ** 2))
    t.ok(Math.abs(m - rate) <= 5 * Math.sqrt(rate / 5000), `mean ${m} for ${rate}`)
    t.ok(Math.abs(v - rate) <= rate * 0.15, `variance ${v} for ${rate}`)
  }
})
