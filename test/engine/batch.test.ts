import t from 'tap'
import { Batch, noProgress } from '#engine'

const progress = { ...noProgress, device: Int32Array.of(0), time: Float64Array.of(5), position: Float64Array.of(1) }
const provisional = new Batch({ time: Float64Array.of(0), series: Int32Array.of(0), value: Float64Array.of(0) })
const batch = new Batch({
  time: Float64Array.of(1, 2, 3), series: Int32Array.of(0, 1, 0), value: Float64Array.of(10, 20, 30), columns: { x: Float64Array.of(7, 8, 9) },
  arrival: Float64Array.of(0, -Infinity, 1), position: Float64Array.of(1, 1, 2), progress, watermark: 4, provisional
})

t.test('with adds columns and copies nothing', async t => {
  const more = batch.with({ y: Float64Array.of(1, 1, 1) })
  t.strictSame(Object.keys(more.columns), ['x', 'y'])
  t.equal(more.columns.x, batch.columns.x)
  t.equal(more.value, batch.value)
  t.strictSame(Object.keys(batch.columns), ['x'], 'the old batch is as it was')
  t.equal(more.progress, progress)
})

t.test('a column is found by its name, the value like those that were added', async t => {
  t.equal(batch.column('value'), batch.value)
  t.equal(batch.column('x'), batch.columns.x)
})

t.test('withValue keeps everything else', async t => {
  const other = batch.withValue(Float64Array.of(0, 0, 0))
  t.strictSame([...other.value], [0, 0, 0])
  t.equal(other.columns.x, batch.columns.x)
  t.equal(other.provisional, provisional)
})

t.test('take picks rows in the order given, with all that belongs to them', async t => {
  const two = batch.take(Int32Array.of(2, 0))
  t.strictSame([[...two.time], [...two.series], [...two.value], [...two.columns.x], [...two.arrival], [...two.position]], [[3, 1], [0, 0], [30, 10], [9, 7], [1, 0], [2, 1]])
})

t.test('a batch that loses its rows keeps its progress, watermark and provisional rows', async t => {
  const none = batch.filter(() => false)
  t.equal(none.length, 0)
  t.equal(none.progress, progress)
  t.equal(none.watermark, 4)
  t.equal(none.provisional, provisional)
  t.strictSame(Object.keys(none.columns), ['x'])
})

t.test('filter packs what it keeps, and is the same batch when that is everything', async t => {
  t.strictSame([...batch.filter(i => i !== 1).value], [10, 30])
  t.equal(batch.filter(() => true), batch)
})

t.test('what is not given means: nothing is late, nothing moves', async t => {
  const plain = new Batch({ time: Float64Array.of(1), series: Int32Array.of(0), value: Float64Array.of(1) })
  t.equal(plain.arrival[0], -Infinity)
  t.equal(plain.progress.device.length, 0)
  t.equal(plain.watermark, -Infinity)
})
