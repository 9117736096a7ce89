import t from 'tap'
import { Changes, changes } from '../../models/hygiene-changes.ts'
import * as tails from '../../models/tail.ts'
import { normal } from './random.ts'

const memory = () => Float64Array.from(Object.values(changes))
/** One tail by itself, whose numbers count a tenth from an evidence of 5 on. */
function alone () {
  const m = Float64Array.from(Object.values(tails.tail))
  m[0] = Infinity
  let n = 0
  return {
    evidence: (x: number) => tails.unlikely(m, 0, x),
    learn (x: number) {
      const weight = tails.unlikely(m, 0, x) > 5 ? 0.1 : 1
      if (++n <= 32) tails.begin(m, 0, x, n)
      else tails.learn(m, 0, x, n < 10_000 ? 1 / n : 1 / 10_000, weight, 200)
    }
  }
}

/** What exponential smoothing keeps where changes in a row are so correlated: the root of -correlation = kept / (1 + kept^2), by halving. */
function kept (correlation: number): number {
  let low = 0, high = 0.8
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (middle / (1 + middle ** 2) < -correlation) low = middle
    else high = middle
  }
  return low
}

t.test('a rate is the change for each interval against its tail; a spike is off the level before it and comes back at least half the way, or has two changes that are both too large', async t => {
  const m = memory(), model = new Changes(), z = normal(1), rates = alone(), spikes = alone()
  let base = 0, value = 0, level = 0, before = 0, rated = 0, turns = 0.5, unlikely = 0, said = 0, short = 0, wrong = 0
  for (let n = 1; n <= 20_000; n++) {
    base += n % 2501 === 0 ? 40 : 0.2 * z()
    const change = base + z() + (n % 1503 === 0 || n % 1503 === 2 ? 12 : 0) - value, slots = 1 + n % 7 % 3
    model.take(m, 0, change, slots, Infinity, 4)
    const rate = rates.evidence(Math.abs(change) / slots), off = value - level, back = change * off < 0, half = Math.abs(change) >= Math.abs(off) / 2
    const height = back && half ? Math.min(Math.abs(change), Math.abs(off)) : 0, spike = height > 0 ? Math.max(spikes.evidence(height), change * before < 0 ? Math.min(rate, rated) : 0) : 0
    if (model.rate.evidence !== rate || model.rate.size !== change) wrong++
    if (Math.abs(model.spike.evidence - spike) > 1e-6 || Math.abs(Math.abs(model.spike.size) - height) > 1e-9 || model.spike.size * change > 0) wrong++
    if (rate > 4) unlikely++
    if (spike > 4) said++
    if (back && !half && Math.abs(change) > 2) short++
    if (spike < 4) level = rated >= 4 ? value : value - kept(Math.sin(Math.PI * (0.5 - turns))) * off
    value += change
    model.learn(m, 0)
    if (n > 1) {
      turns += (Number(change * before < 0) - turns) / Math.min(n - 1, 10_000)
      rates.learn(Math.abs(change) / slots)
      spikes.learn(height)
    }
    before = change
    rated = rate
  }
  t.equal(wrong, 0)
  t.ok(unlikely > 3 && said > 3 && short > 0, `${unlikely}, ${said}, ${short}`)
})

const SIZE = 8
const noises: Readonly<Record<string, { next: () => (z: () => number) => number, found: number }>> = {
  'white noise': { next: () => z => z(), found: 0.96 },
  'a random walk': { next: () => { let x = 0; return z => x += z() * Math.SQRT2 }, found: 0.94 }
}
for (const [name, { next, found }] of Object.entries(noises)) {
  t.test(`of spikes of eight residual deviations in ${name}, one in 5,000 readings, ${100 * found} % are as rare as 1 in 500,000`, async t => {
    let spikes = 0, rare = 0, chance = 0
    for (let seed = 1; seed <= 5; seed++) {
      const m = memory(), model = new Changes(), z = normal(seed), noise = next()
      let value = 0
      for (let i = 0; i < 200_000; i++) {
        const odd = i > 20_000 && i % 5000 === 77, reading = noise(z) + (odd ? SIZE : 0), doubted = i < 1000 ? Infinity : 5.7
        model.take(m, 0, reading - value, 1, Infinity, doubted)
        value = reading
        if (i > 20_000 && i % 5000 === 78) { spikes++; if (model.spike.evidence >= 5.7) rare++ } else if (i > 20_000 && model.spike.evidence >= 4 && i % 5000 !== 77) chance++
        if (!model.suspended(m, 0, doubted)) model.learn(m, 0)
      }
    }
    t.comment(`${name}: ${rare} of ${spikes}, by chance ${chance} of ${5 * 180_000} beyond 4`)
    t.ok(rare >= found * spikes, `${rare} of ${spikes}`)
    t.ok(chance < 2 * 90 && chance > 90 / 3, `${chance} where 90 are expected`)
  })
}

t.test('a jump is no spike when the next reading goes back less than half of it, and a spike soon behind it is one', async t => {
  const m = memory(), model = new Changes(), z = normal(5)
  let value = 0
  const give = (reading: number) => {
    model.take(m, 0, reading - value, 1, Infinity, 6)
    value = reading
    if (!model.suspended(m, 0, 6)) model.learn(m, 0)
    return model.spike.evidence
  }
  for (let i = 0; i < 5000; i++) give(z())
  give(30)
  t.equal(give(30 - 3), 0, 'three of thirty')
  for (const x of [28.5, 29.5, 30.2]) t.ok(give(x) < 2)
  give(0)
  t.ok(give(30) > 6, 'back to where it was')
  for (const x of [50, 30.1, 38.5]) give(x)
  t.ok(give(30) > 6, 'a spike soon behind a larger one, which has no part in the level')
  for (const x of [100, 100.5, 108.5]) give(x)
  t.ok(give(100) > 6, 'and soon behind a jump')
})

t.test('repeats teach nothing of changes, nor does the first change behind them', async t => {
  const one = memory(), other = memory(), model = new Changes(), z = normal(3)
  const give = (m: Float64Array, change: number) => { model.take(m, 0, change, 1, Infinity, 6); model.learn(m, 0) }
  for (let i = 0; i < 500; i++) give(one, 0)
  give(one, 1000)
  give(other, 1)
  for (let i = 0; i < 300; i++) {
    const change = z()
    give(one, change)
    give(other, change)
    if (i % 3 === 0) give(one, 0)
  }
  model.take(one, 0, 9, 1, Infinity, 6)
  const evidence = model.rate.evidence
  model.take(other, 0, 9, 1, Infinity, 6)
  t.ok(evidence > 3 && evidence === model.rate.evidence, `${evidence}`)
})

t.test('what is physically impossible is certain', async t => {
  const m = memory(), model = new Changes()
  for (const [change, most, evidence] of [[3, 3, 0], [3.1, 3, 16], [-3.1, 3, 16], [1e9, Infinity, 0]]) {
    model.take(m, 0, change, 1, most, 6)
    t.equal(model.rate.evidence, evidence)
  }
})

t.test('a change that is not believed suspends learning for a hundred readings, a thousand in a row at most', async t => {
  const m = memory(), model = new Changes()
  const suspended = (evidence: number) => { model.rate.say(evidence, 0); return model.suspended(m, 0, 6) }
  const count = (n: number, evidence: (i: number) => number) => Array.from({ length: n }, (_, i) => suspended(evidence(i))).lastIndexOf(true) + 1
  t.equal(count(300, () => 5.9), 0)
  t.equal(count(300, i => i === 0 ? 6 : 0), 100)
  t.equal(count(300, i => i === 0 || i === 50 ? 6 : 0), 150)
  t.equal(count(3000, () => 9), 1000)
  t.equal(count(300, () => 0), 0)
  t.equal(count(300, i => i === 0 ? 9 : 0), 100, 'anew')
  model.rate.say(0, 0)
  model.spike.say(7, 0)
  t.ok(model.suspended(m, 0, 6), 'by a spike too')
})
