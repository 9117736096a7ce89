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

t.test('a rate is the change for each interval against its tail; a spike the smaller of two opposite ones, or two that are both too large', async t => {
  const m = memory(), model = new Changes(), z = normal(1), rates = alone(), spikes = alone()
  let before = 0, rated = 0, unlikely = 0, said = 0
  for (let n = 1; n <= 20_000; n++) {
    const change = z() * (n % 501 === 0 ? 40 : n % 503 === 0 ? -6 : n % 700 < 2 ? 8 : 1), slots = 1 + n % 7 % 3
    model.take(m, 0, change, slots, Infinity)
    const rate = rates.evidence(Math.abs(change) / slots), back = change * before < 0, height = back ? Math.min(Math.abs(change), Math.abs(before)) : 0
    const spike = back ? Math.max(spikes.evidence(height), Math.min(rate, rated)) : 0
    if (model.rate.evidence !== rate || model.rate.size !== change) t.fail(`rate of change ${n}`)
    if (model.spike.evidence !== spike || Math.abs(model.spike.size) !== height || model.spike.size * change > 0) t.fail(`spike at change ${n}`)
    if (rate > 5) unlikely++
    if (spike > 3) said++
    before = change
    rated = rate
    model.learn(m, 0)
    if (n === 1) continue
    rates.learn(Math.abs(change) / slots)
    spikes.learn(height)
  }
  t.ok(unlikely > 3 && said > 3, `${unlikely}, ${said}`)
})

t.test('repeats teach nothing of changes, nor does the first change behind them', async t => {
  const one = memory(), other = memory(), model = new Changes(), z = normal(3)
  const give = (m: Float64Array, change: number) => { model.take(m, 0, change, 1, Infinity); model.learn(m, 0) }
  for (let i = 0; i < 500; i++) give(one, 0)
  give(one, 1000)
  give(other, 1)
  for (let i = 0; i < 300; i++) {
    const change = z()
    give(one, change)
    give(other, change)
    if (i % 3 === 0) give(one, 0)
  }
  model.take(one, 0, 9, 1, Infinity)
  const evidence = model.rate.evidence
  model.take(other, 0, 9, 1, Infinity)
  t.ok(evidence > 3 && evidence === model.rate.evidence, `${evidence}`)
})

t.test('what is physically impossible is certain', async t => {
  const m = memory(), model = new Changes()
  for (const [change, most, evidence] of [[3, 3, 0], [3.1, 3, 16], [-3.1, 3, 16], [1e9, Infinity, 0]]) {
    model.take(m, 0, change, 1, most)
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
