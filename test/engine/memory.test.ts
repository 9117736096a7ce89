import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import { list, note, queue, ring } from '#engine'
import { Memory, remembers } from '../../engine/memory.ts'
import { joined } from '../../engine/saved.ts'

const shapes = { mean: NaN, moments: { n: 0, least: Infinity }, recent: ring(3), seen: list('value'), wanted: note }

t.test('first values are written when an id appears, and never again', async t => {
  const memory = new Memory(shapes, 10), { mean, moments } = memory.held
  memory.appear(2)
  t.strictSame([mean[0], mean[1]], [NaN, NaN])
  t.strictSame([...moments.data.subarray(0, 4)], [0, Infinity, 0, Infinity])
  mean[1] = 5
  moments.data[moments.width + moments.field.least] = 7
  memory.appear(3)
  t.equal(mean[1], 5)
  t.equal(moments.data[moments.width + moments.field.least], 7)
  t.equal(moments.data[2 * moments.width + moments.field.least], Infinity)
  memory.appear(1)
  t.equal(mean[1], 5)
})

t.test('a ring keeps the last numbers of each id', async t => {
  const { recent } = new Memory(shapes, 10).held
  for (const x of [1, 2, 3, 4, 5]) recent.push(1, x)
  recent.push(0, 9)
  t.strictSame([recent.count(0), recent.count(1), recent.count(2)], [1, 3, 0])
  t.strictSame([0, 1, 2].map(age => recent.at(1, age)), [5, 4, 3])
  t.equal(recent.at(0, 0), 9)
})

t.test('a snapshot holds everything but notes, and is a copy', async t => {
  const memory = new Memory(shapes, 10), { mean, moments, recent, seen, wanted } = memory.held
  memory.appear(2)
  mean[1] = 4
  moments.data[moments.field.n] = 3
  for (const x of [1, 2, 3, 4]) recent.push(1, x)
  const node = seen.insert(1, 77)
  seen.page(node)[seen.offset(node) + seen.field.value] = 8
  wanted[1] = 1
  const saved = deserialize(serialize(memory.save()))
  mean[1] = 0

  const again = new Memory(shapes, 20)
  again.load(saved)
  again.appear(3)
  t.strictSame([...again.held.mean.subarray(0, 3)], [NaN, 4, NaN])
  t.equal(again.held.moments.data[0], 3)
  t.strictSame([0, 1, 2].map(age => again.held.recent.at(1, age)), [4, 3, 2])
  const there = again.held.seen.find(1, 77)
  t.equal(again.held.seen.page(there)[again.held.seen.offset(there) + 1], 8)
  t.equal(again.held.wanted[1], 0)
  t.equal(again.held.moments.data[2 * 2 + 1], Infinity, 'an id that appears afterwards begins anew')
})

t.test('a snapshot that is taken up can be taken again at once', async t => {
  for (const [name, shape] of Object.entries(shapes)) {
    const memory = new Memory({ [name]: shape }, 5)
    memory.appear(3)
    const again = new Memory({ [name]: shape }, 5)
    again.load(memory.save())
    t.strictSame(again.save(), memory.save(), name)
  }
})

t.test('who only takes notes remembers nothing', async t => {
  t.equal(remembers({}), false)
  t.equal(remembers({ wanted: note }), false)
  t.equal(remembers({ wanted: note, mean: 0 }), true)
  t.equal(remembers({ recent: ring(2) }), true)
})

t.test('capacity costs nothing until it is used', async t => {
  const before = process.memoryUsage().rss
  const memory = new Memory({ mean: NaN, moments: { a: 0, b: 0, c: 0, d: 0 }, recent: ring(64) }, 1_000_000)
  memory.appear(10)
  t.ok(process.memoryUsage().rss - before < 100e6, 'half a gigabyte is reserved, not taken')
  t.equal(memory.held.recent.data.length, 64e6)
})

t.test('what is held of many is read ahead, of ids with entries and without, and stays as it is', async t => {
  const many = 70_000, memory = new Memory({ seen: list('value'), kept: queue }, many), { seen, kept } = memory.held, some = Int32Array.of(0, 5, many - 1)
  memory.appear(many)
  for (let id = 0; id < many - 1; id++) {
    for (const time of [10, 11]) { seen.insert(id, time); kept.insert(id, time, id) }
  }
  const before = memory.save(some)
  memory.ahead(some)
  t.ok(memory.read > 0, 'something was read, and nothing that is not there')
  t.strictSame(memory.save(some), before)
})

t.test('what is saved of groups of ids, joined, is what is saved of all of them', async t => {
  const memory = new Memory(shapes, 10), { mean, recent, seen } = memory.held
  memory.appear(4)
  for (const id of [3, 0, 2]) {
    mean[id] = id
    for (let x = 0; x <= id; x++) { recent.push(id, x); seen.insert(id, 10 + x) }
  }
  t.strictSame(joined([[3], [1, 0], [2]].map(ids => memory.save(Int32Array.from(ids)))), memory.save(Int32Array.of(3, 1, 0, 2)))
  t.strictSame(joined([memory.save(Int32Array.of(2))]), memory.save(Int32Array.of(2)))
})
