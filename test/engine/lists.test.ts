import assert from 'node:assert/strict'
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import fc from 'fast-check'
import { Lists } from '#engine'

const entries = (lists: Lists<'x'>, id: number) => {
  const out: [number, number][] = []
  for (let node = lists.oldest(id); node >= 0; node = lists.newer(node)) out.push([lists.time(node), lists.page(node)[lists.offset(node) + lists.field.x]])
  return out
}
const backwards = (lists: Lists<'x'>, id: number) => {
  const out: number[] = []
  for (let node = lists.newest(id); node >= 0; node = lists.older(node)) out.push(lists.time(node))
  return out
}

type Act = { readonly do: 'insert' | 'find' | 'expire', readonly id: number, readonly time: number } | { readonly do: 'shift', readonly id: number } | { readonly do: 'reload' }
const acts = fc.array(fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('insert' as const, 'insert' as const, 'find' as const, 'expire' as const), id: fc.nat(2), time: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('shift' as const), id: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const) }) }), { maxLength: 200, size: 'max' }) satisfies fc.Arbitrary<Act[]>

t.test('behaves like sorted arrays, whatever is done to it and also across a snapshot', async t => {
  fc.assert(fc.property(acts, acts => {
    let lists = new Lists(['x'], 3)
    const model: [number, number][][] = [[], [], []]
    let x = 0
    for (const act of acts) {
      if (act.do === 'reload') {
        const saved = deserialize(serialize(lists.save(Int32Array.of(0, 1, 2))))
        lists = new Lists(['x'], 3)
        lists.load(saved, Int32Array.of(0, 1, 2))
        continue
      }
      const { id } = act
      if (act.do === 'insert') {
        const node = lists.insert(id, act.time)
        assert.equal(lists.page(node)[lists.offset(node) + lists.field.x], 0, 'a used node is clean')
        lists.page(node)[lists.offset(node) + lists.field.x] = ++x
        const behind = model[id].findLastIndex(([time]) => time <= act.time)
        model[id].splice(behind + 1, 0, [act.time, x])
      } else if (act.do === 'find') {
        const node = lists.find(id, act.time)
        assert.deepEqual(node < 0 ? undefined : lists.page(node)[lists.offset(node) + lists.field.x], model[id].findLast(([time]) => time === act.time)?.[1])
      } else if (act.do === 'expire') {
        lists.expire(id, act.time)
        model[id] = model[id].filter(([time]) => time >= act.time)
      } else if (model[id].length > 0) {
        lists.shift(id)
        model[id].shift()
      }
      model.forEach((list, id) => {
        assert.deepEqual(entries(lists, id), list)
        assert.deepEqual(backwards(lists, id), list.map(e => e[0]).reverse())
      })
      assert.equal(lists.used, model.flat().length)
    }
  }), { numRuns: 500 })
  t.ok(true)
})

t.test('freed nodes are used again: a queue of bounded length needs no more pages', async t => {
  const lists = new Lists([], 2)
  for (let i = 0; i < 100_000; i++) {
    lists.insert(i & 1, i)
    lists.expire(i & 1, i - 1000)
  }
  t.equal(lists.data.length, 1)
  t.ok(lists.used <= 1002, `${lists.used}`)
})

t.test('pages are added without moving what is there', async t => {
  const lists = new Lists(['x'], 1)
  const first = lists.insert(0, 0), page = lists.page(first)
  for (let i = 1; i < 40_000; i++) lists.insert(0, i)
  t.equal(lists.page(first), page)
  t.ok(lists.data.length > 2)
})

t.test('a page takes a MB at most, or one entry: a wide memory of one series is no larger than itself', async t => {
  for (const [fields, nodes] of [[0, 16_384], [7, 16_384], [8, 8192], [2033, 64], [200_000, 1]]) {
    const lists = new Lists(Array.from({ length: fields }, (_, i) => `f${i}`), 1), last = `f${fields - 1}`
    for (let i = 0; i < nodes + 1; i++) {
      const node = lists.insert(0, i)
      if (fields > 0) lists.set(node, last, -i)
    }
    t.strictSame(lists.data.map(page => page.length), [nodes * (fields + 1), nodes * (fields + 1)])
    for (let node = lists.oldest(0), i = 0; node >= 0; node = lists.newer(node), i++) if (lists.time(node) !== i || (fields > 0 && lists.get(node, last) !== -i)) t.fail(`entry ${i} of ${fields} fields`)
  }
})

t.test('an entry is removed wherever it stands, and its room is used again', async t => {
  fc.assert(fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 30 }), fc.infiniteStream(fc.nat(1000)).map(s => [...s.take(30)]), (times, which) => {
    const lists = new Lists(['x'], 1), left = [...times].sort((a, b) => a - b)
    for (const time of times) lists.insert(0, time)
    for (let k = 0; left.length > 0; k++) {
      const at = which[k] % left.length
      let node = lists.oldest(0)
      for (let i = 0; i < at; i++) node = lists.newer(node)
      lists.remove(0, node)
      left.splice(at, 1)
      assert.deepEqual(entries(lists, 0).map(([time]) => time), left)
      assert.deepEqual(backwards(lists, 0).reverse(), left)
      assert.equal(lists.used, left.length)
    }
    assert.ok(lists.insert(0, 1) < times.length, 'no new room')
  }))
  t.ok(true)
})
