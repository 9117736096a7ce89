import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import fc from 'fast-check'
import assert from 'node:assert/strict'
import { SeriesTable, Watermarks, type Batch } from '#engine'

function start ({ lateness = 5, idle = 30, forget = 100, capacity = 20 } = {}) {
  const table = new SeriesTable(capacity)
  const watermarks = new Watermarks(table, { lateness, idle, forget })
  let position = 0
  const arrive = (rows: readonly (readonly [device: string, time: number])[], ingest = 0): Batch => watermarks.arrive({
    time: Float64Array.from(rows, r => r[1]), series: Int32Array.from(rows, r => table.id('t', r[0], 'x')),
    value: new Float64Array(rows.length), position: Float64Array.from(rows, () => ++position), ingest: new Float64Array(rows.length).fill(ingest)
  })
  return { table, watermarks, arrive }
}
const moves = ({ progress: { device, time, position } }: Batch) => [...device].map((d, k) => [d, time[k], position[k]])

t.test('a device\'s progress is its newest event time less the lateness; entries name the record that moved it', async t => {
  const { arrive } = start()
  t.strictSame(moves(arrive([['a', 10], ['b', 100], ['a', 8], ['a', 12]])), [[0, 5, 1], [1, 95, 2], [0, 7, 4]])
  t.strictSame(moves(arrive([['a', 12]])), [])
})

t.test('each row is given the progress of its own device as it was just before it', async t => {
  const { arrive } = start()
  t.strictSame([...arrive([['a', 10], ['b', 100], ['a', 20], ['a', 8], ['b', 1]]).arrival], [-Infinity, -Infinity, 5, 15, 95])
})

t.test('a silent device is named once, until it is heard again', async t => {
  const { arrive, watermarks } = start()
  arrive([['a', 10], ['b', 10]], 0)
  arrive([['b', 11]], 20)
  t.equal(watermarks.tick(watermarks.gone(29), 3), undefined)
  const tick = watermarks.tick(watermarks.gone(30), 3)!
  t.strictSame([[...tick.progress.silent], tick.progress.tick, tick.length], [[0], 3, 0])
  t.equal(watermarks.tick(watermarks.gone(31), 3), undefined)
  arrive([['a', 12]], 40)
  t.strictSame([...watermarks.tick(watermarks.gone(70), 4)!.progress.silent], [0, 1])
})

t.test('after `forget` a silent device is forgotten, once', async t => {
  const { arrive, watermarks } = start()
  arrive([['a', 10]], 0)
  watermarks.tick(watermarks.gone(30), 1)
  const { silent, forgotten } = watermarks.tick(watermarks.gone(99), 1)!.progress
  t.strictSame([[...silent], [...forgotten]], [[], []])
  t.strictSame([...watermarks.tick(watermarks.gone(100), 1)!.progress.forgotten], [0])
  t.equal(watermarks.tick(watermarks.gone(1000), 1), undefined)
  arrive([['a', 11]], 2000)
  const both = watermarks.tick(watermarks.gone(2100), 2)!.progress
  t.strictSame([[...both.silent], [...both.forgotten]], [[0], [0]])
})

t.test('for how long a device has been quiet is told at idle, and whenever that has doubled, until it is heard', async t => {
  const { arrive, watermarks } = start({ forget: 1000 })
  arrive([['a', 10], ['b', 10]], 0)
  arrive([['b', 11]], 50)
  const told = (ingest: number) => { const tick = watermarks.tick(watermarks.gone(ingest), 3); return tick === undefined ? [] : [...tick.progress.quiet].map((d, k) => [d, tick.progress.silence[k]]) }
  t.strictSame([29, 30, 31, 59, 60, 85, 119].map(told), [[], [[0, 30]], [], [], [[0, 60]], [[1, 35]], []])
  t.strictSame(told(120), [[0, 120], [1, 70]])
  arrive([['a', 12]], 130)
  t.strictSame([told(159), told(160)], [[], [[0, 30]]])
})

t.test('a snapshot of before there was that number is taken up', async t => {
  const { arrive, watermarks } = start()
  arrive([['a', 10]], 0)
  const { told: _, ...older } = watermarks.save()
  watermarks.load(older)
  t.strictSame([...watermarks.tick(watermarks.gone(30), 1)!.progress.quiet], [0])
})

t.test('an engine that was not listening counts nobody as silent', async t => {
  const { arrive, watermarks } = start()
  arrive([['a', 10]], 0)
  t.equal(watermarks.listen(1000).progress.resumed, true)
  t.equal(watermarks.tick(watermarks.gone(1029), 1), undefined)
  t.strictSame([...watermarks.tick(watermarks.gone(1030), 1)!.progress.silent], [0])
})

t.test('at the end every device has reached the end of time', async t => {
  const { arrive, watermarks } = start()
  arrive([['a', 10], ['b', 10]])
  const end = watermarks.end(2)
  t.strictSame(moves(end), [[0, Infinity, 2], [1, Infinity, 2]])
  t.equal(end.watermark, Infinity)
})

t.test('the watermark is the least progress of the devices that are not silent, however many there are, also after a snapshot', async t => {
  const unheard = Array.from({ length: 1500 }, (_, i) => `never heard ${i}`)
  const act = fc.oneof(
    { weight: 5, arbitrary: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat(100)), { maxLength: 5 }) },
    { weight: 1, arbitrary: fc.constantFrom('tick' as const, 'reload' as const) })
  fc.assert(fc.property(fc.array(act, { maxLength: 40 }), acts => {
    const { table, watermarks: first, arrive } = start({ forget: 60, capacity: 2000 })
    for (const device of ['a', 'b', ...unheard, 'c', 'd']) table.device('t', device)
    let watermarks = first, clock = 0
    const reached = new Map<string, number>(), heard = new Map<string, number>(), silent = new Set<string>()
    for (const act of acts) {
      let batch: Batch | undefined
      if (act === 'tick') {
        batch = watermarks.tick(watermarks.gone(clock += 20), 0)
        for (const [d, when] of heard) if (clock - when >= 30) silent.add(d)
      } else if (act === 'reload') {
        const again = new Watermarks(table, { lateness: 5, idle: 30, forget: 60 })
        again.load(deserialize(serialize(watermarks.save())))
        watermarks = again
      } else {
        batch = watermarks === first ? arrive(act, clock) : watermarks.arrive({ time: Float64Array.from(act, r => r[1]), series: Int32Array.from(act, r => table.id('t', r[0], 'x')), value: new Float64Array(act.length), position: new Float64Array(act.length), ingest: new Float64Array(act.length).fill(clock) })
        for (const [d, time] of act) {
          reached.set(d, Math.max(reached.get(d) ?? -Infinity, time - 5))
          heard.set(d, clock)
          silent.delete(d)
        }
      }
      const awake = [...reached].filter(([d]) => !silent.has(d)).map(([, time]) => time)
      if (batch !== undefined) assert.equal(batch.watermark, awake.length === 0 ? -Infinity : Math.min(...awake))
    }
  }), { numRuns: 500 })
  t.ok(true)
})
