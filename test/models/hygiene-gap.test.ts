import t from 'tap'
import { Gap, gap } from '../../models/hygiene-gap.ts'
import { uniform } from './random.ts'

const memory = () => Float64Array.from(Object.values(gap)), LIMIT = 6
/** A model that has seen so many readings without a gap. */
function seen (n: number) {
  const m = memory(), model = new Gap()
  for (let i = 1; i <= n; i++) {
    model.take(m, 0, 1, false, false, false, LIMIT)
    model.learn(m, 0, i)
  }
  return { m, model, take: (slots: number, { explained = false, told = false, asleep = false } = {}) => { model.take(m, 0, slots, explained, told, asleep, LIMIT); return [model.finding.evidence, model.finding.size] } }
}

t.test('the usual interval is the median of those there were, also when it changes', async t => {
  const m = memory(), model = new Gap(), u = uniform(1)
  let n = 0
  const pace = (count: number, span: (u: number) => number) => { for (let i = 0; i < count; i++) model.pace(m, 0, span(u()), ++n); return model.interval(m, 0) }
  t.equal(pace(1, () => 7), 7)
  const usual = pace(5000, u => u < 0.3 ? 1000 : 10 * (1 + u / 100))
  t.ok(usual > 9.9 && usual < 10.3, `${usual}`)
  t.equal(pace(50, u => -u), usual, 'what goes back is none')
  const later = pace(5000, () => 25)
  t.ok(Math.abs(later - 25) < 0.1, `${later}`)
})

t.test('one reading missing in a thousand is rare, each more half as likely', async t => {
  const { take, model, m } = seen(998)
  t.strictSame(take(1), [0, 0])
  const [evidence, missed] = take(4)
  t.ok(Math.abs(evidence - Math.log10(1001) - 2 * Math.log10(2)) < 1e-9, `${evidence}`)
  t.equal(missed, 3)
  t.ok(model.missing(m, 0, model.patience(m, 0, LIMIT), false) >= LIMIT && model.missing(m, 0, model.patience(m, 0, LIMIT) - 1, false) < LIMIT)
})

t.test('a gap that is believed is learned, one that is not teaches nothing', async t => {
  const { take } = seen(998), [before] = take(4), [again] = take(4)
  t.ok(again < before)
  const far = seen(998), [first] = far.take(40)
  t.ok(first > LIMIT && Math.abs(far.take(40)[0] - first) < 1e-3)
})

t.test('an interval in which nobody listened says and teaches nothing, the next one does', async t => {
  const one = seen(998), two = seen(999)
  one.model.excuse(one.m, 0)
  t.strictSame(one.take(500), [0, 0])
  t.strictSame(one.take(40), two.take(40))
})

t.test('a jump of the clock is no gap, and what has been told is not told again', async t => {
  const one = seen(998), two = seen(999)
  t.strictSame(one.take(500, { explained: true }), [0, 0])
  t.strictSame(one.take(40), two.take(40))
  t.equal(seen(998).take(40, { told: true })[0], 0)
})
