import t from 'tap'
import * as recurrences from '../../models/recurrence.ts'
import { front, makeRoom } from '../../models/hygiene-recent.ts'
import * as rests from '../../models/hygiene-rests.ts'

t.test('what has come twice is usual, and half as much again', async t => {
  const m = Float64Array.from(Object.values(recurrences.recurrence)), usual = () => recurrences.usual(m, 0)
  t.equal(usual(), 0)
  recurrences.learn(m, 0, 100)
  t.equal(usual(), 0)
  recurrences.learn(m, 0, 200)
  t.ok(Math.abs(usual() - 1.5 * 99) < 1e-9)
  recurrences.learn(m, 0, 300)
  t.ok(Math.abs(usual() - 1.5 * 198) < 1e-9)
})

t.test('what does not come any more is forgotten: a hundredth with each that is smaller', async t => {
  const m = Float64Array.from(Object.values(recurrences.recurrence))
  for (const size of [1000, 1000, ...Array.from({ length: 300 }, () => 100)]) recurrences.learn(m, 0, size)
  t.ok(recurrences.usual(m, 0) < 151 && recurrences.usual(m, 0) >= 148, `${recurrences.usual(m, 0)}`)
})

t.test('slots: the newest in front, the others in their order; what recurs is not driven out by what comes once', async t => {
  const m = Float64Array.of(1, 2, 10, 2, 20, 1)      // a value, how often
  front(m, 0, 2, 2)
  t.strictSame([...m], [20, 1, 1, 2, 10, 2])
  makeRoom(m, 0, 2, 3, 1)
  t.strictSame([...m], [20, 1, 1, 2, 10, 2], 'it came once and is replaced')
  m[1] = 0
  makeRoom(m, 0, 2, 3, 1)
  t.strictSame([...m], [20, 0, 1, 2, 10, 2], 'so is what did not come at all')
  m[1] = 2
  makeRoom(m, 0, 2, 3, 1)
  t.strictSame([...m], [10, 2, 20, 2, 1, 2], 'when all recur the oldest is')
})

t.test('rests: a value at which two long spells have ended, for as long as they lasted; short spells make none', async t => {
  const m = Float64Array.from(Object.values(rests.rests)), usual = (value: number) => rests.usual(m, 0, value)
  for (let i = 0; i < 9; i++) rests.learn(m, 0, 5, 99)
  t.equal(usual(5), 0)
  rests.learn(m, 0, 0, 400)
  t.equal(usual(0), 0)
  for (let i = 0; i < 9; i++) rests.learn(m, 0, 10 + i, 500)
  t.equal(usual(0), 0, 'one in between at another value, and it begins anew')
  rests.learn(m, 0, 0, 400)
  rests.learn(m, 0, 0, 400)
  for (let i = 0; i < 9; i++) rests.learn(m, 0, 10 + i, 500)
  t.ok(usual(0) > 590 && usual(0) <= 600 && usual(10) === 0 && usual(1) === 0, `${usual(0)}`)
})
