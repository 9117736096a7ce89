import t from 'tap'
import * as runs from '../../models/runs.ts'
import * as spells from '../../models/hygiene-spell.ts'
import { Stuck, stuck } from '../../models/hygiene-stuck.ts'
import * as tails from '../../models/tail.ts'
import { uniform } from './random.ts'

/** Numbers: 0, and in one of 20 places a spell with a heavy tail. */
function learned (places: number) {
  const m = Float64Array.from(Object.values(spells.spell)), chain = new Float64Array(runs.RUNS), tail = Float64Array.from(Object.values(tails.unheard)), u = uniform(2)
  for (let n = 1; n <= places; n++) {
    const length = u() < 0.05 ? Math.floor(u() ** (-1 / 2)) : 0
    spells.learn(m, 0, length)
    spells.learnTail(m, 0, length, n, 0)
    runs.learn(chain, 0, length)
    tails.take(tail, 0, length, n, 1)
  }
  const of = (length: number) => ({ said: spells.unlikely(m, 0, length), chain: runs.unlikely(chain, 0, length), tail: tails.unlikely(tail, 0, length) })
  return { m, of, excesses: tails.excesses(tail, 0) }
}

t.test('while few spells are known the chain says how unlikely one is', async t => {
  const { of, excesses } = learned(150)
  t.ok(excesses < 20)
  for (const length of [1, 5, 20]) t.equal(of(length).said, Math.min(of(length).chain, 16))
})

t.test('when some are known the tail of their lengths is asked too, and the lesser counts', async t => {
  const { of, m, excesses } = learned(20_000)
  t.ok(excesses >= 20)
  for (const length of [0, 1, 2, 5, 20, 60]) t.equal(of(length).said, Math.min(of(length).chain, of(length).tail, 16))
  t.ok(of(40).tail < of(40).chain / 2, 'a heavy tail')
  t.equal(spells.longest(m, 0, 5), runs.longest(m, 0, 5))
})

t.test('a spell that belongs to an event teaches the tail a tenth', async t => {
  const rests = (m: Float64Array) => tails.excesses(m, runs.RUNS)
  const count = (evidence: number) => { const { m } = learned(20_000), before = rests(m); spells.learnTail(m, 0, 1000, 20_001, evidence); return rests(m) - before }
  const few = learned(400), before = rests(few.m)
  spells.learnTail(few.m, 0, 1000, 401, 5.1)
  t.ok(Math.abs(rests(few.m) - before - 0.1) < 1e-9, `${rests(few.m) - before}`)
  t.equal(count(5.1), 0, 'it rests on 200 already')
})

t.test('stuck: readings alike, as evidence of their repeats, until another comes', async t => {
  const m = Float64Array.from(Object.values(stuck)), model = new Stuck(), chain = new Float64Array(runs.RUNS)
  let value = 0
  const give = (changes: readonly number[]) => changes.map(change => { model.take(m, 0, value += change, value - change, 6); return [model.finding.evidence, model.finding.size] })
  give(Array.from({ length: 500 }, () => 1))
  for (let i = 0; i < 500; i++) runs.calm(chain, 0, false)
  t.strictSame(give([0, 0, 0, 1]), [[runs.unlikely(chain, 0, 1), 2], [runs.unlikely(chain, 0, 2), 3], [runs.unlikely(chain, 0, 3), 4], [0, 1]])
  runs.learn(chain, 0, 3)
  t.equal(give([0])[0][0], runs.unlikely(chain, 0, 1), 'three repeats are believed')
  t.ok(give(Array.from({ length: 40 }, () => 0)).at(-1)![0] > 6)
  give([1])
  t.equal(give([0])[0][0], runs.unlikely(chain, 0, 1), 'forty are not')
})
