import assert from 'node:assert/strict'
import t from 'tap'
import fc from 'fast-check'
import { Queues, type Room } from '../../engine/queues.ts'

const IDS = Int32Array.of(0, 1, 2)
const entriesOf = (queues: Queues, id: number) => {
  const { entries } = queues.save(Int32Array.of(id))
  return Array.from({ length: entries.length / 2 }, (_, k): [number, number] => [entries[2 * k], entries[2 * k + 1]])
}

type Act = { readonly do: 'insert' | 'expire', readonly id: number, readonly time: number } | { readonly do: 'many', readonly id: number, readonly count: number } | { readonly do: 'clear', readonly id: number } | { readonly do: 'reload' }
const acts = fc.array(fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('insert' as const, 'insert' as const, 'expire' as const), id: fc.nat(2), time: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('many' as const), id: fc.nat(2), count: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), id: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const) }) }), { maxLength: 60, size: 'max' }) satisfies fc.Arbitrary<Act[]>

t.test('behaves like sorted arrays, whatever is done to it and also across a snapshot', async t => {
  fc.assert(fc.property(acts, acts => {
    let queues = new Queues(3), x = 0
    const room: Room = { times: new Float64Array(0), values: new Float64Array(0) }
    const model: [number, number][][] = [[], [], []]
    const insert = (id: number, time: number) => {
      queues.insert(id, time, ++x)
      model[id].splice(model[id].findLastIndex(entry => entry[0] <= time) + 1, 0, [time, x])
    }
    for (const act of acts) {
      if (act.do === 'reload') {
        const saved = queues.save(IDS)
        queues = new Queues(3)
        queues.load(saved, IDS)
      } else if (act.do === 'insert') insert(act.id, act.time)
      else if (act.do === 'many') for (let i = 0, from = model[act.id].at(-1)?.[0] ?? 0; i < act.count; i++) insert(act.id, from + i)
      else if (act.do === 'clear') {
        queues.clear(act.id)
        model[act.id] = []
      } else {
        queues.expire(act.id, act.time)
        model[act.id] = model[act.id].filter(([time]) => time >= act.time)
      }
      model.forEach((entries, id) => {
        const sorted = (of: readonly [number, number][]) => of.toSorted(([t, x], [u, y]) => t - u || x - y)
        assert.deepEqual(sorted(entriesOf(queues, id)), sorted(entries))
        assert.deepEqual(entriesOf(queues, id).map(([time]) => time), entries.map(([time]) => time), 'ordered by time')
        assert.equal(queues.newest(id), entries.at(-1)?.[0] ?? -Infinity)
        for (const [from, to] of [[-Infinity, Infinity], [15, 45], [30, 30.5]]) {
          const n = queues.read(id, from, to, room), part = entries.filter(([time]) => time >= from && time < to)
          assert.deepEqual(Array.from({ length: n }, (_, k) => [room.times[k], room.values[k]]), part, `read from ${from} to ${to}`)
        }
        for (const time of [0, 30, 60, ...entries.slice(-12).map(e => e[0])]) {
          const there = entries.filter(e => e[0] === time)
          assert.equal(queues.count(id, time, -1), there.length)
          for (const [, x] of there) assert.equal(queues.count(id, time, x), -1)
        }
      })
      assert.equal(queues.used, model.flat().length)
    }
  }), { numRuns: 500 })
  t.ok(true)
})

t.test('a ring longer than a page goes on from one to the next, and gives back what it does not need', async t => {
  const queues = new Queues(2), many = 200_000
  for (let i = 0; i < many; i++) queues.insert(0, i, -i)
  for (const i of [0, 1, 65_535, 65_536, 131_072, many - 1]) {
    t.equal(queues.count(0, i, -i), -1)
    t.equal(queues.count(0, i, 1), 1)
  }
  queues.expire(0, many - 3)
  t.strictSame(entriesOf(queues, 0), [3, 2, 1].map(k => [many - k, k - many]))
  for (let i = 0; i < many; i++) queues.expire(0, many - 3)
  for (let i = 0; i < 20; i++) queues.insert(1, i, i)
  t.equal(queues.count(1, 19, 19), -1)
})

t.test('what has no value is the same as what has none', async t => {
  const queues = new Queues(1)
  queues.insert(0, 1, NaN)
  t.equal(queues.count(0, 1, NaN), -1)
  t.equal(queues.count(0, 1, 0), 1)
})
