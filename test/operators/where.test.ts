import t from 'tap'
import { SeriesTable } from '#engine'
import { where } from '../../operators/where.ts'
import { bench, through, type Given } from './table.ts'

const readings: Given[] = [[0, 'pump-1/temp', 1], [0, 'pump-1/flow', 2], [1, 'pump-2/temp', 3], [1, 'fan/temp', 4]]
const kept = (options: Parameters<typeof where>[0]) => through(where(options), readings).map(r => r.value)

t.test('keeps what matches every option given', async t => {
  t.strictSame(kept({ device: 'pump-1' }), [1, 2])
  t.strictSame(kept({ device: ['fan', 'pump-2'] }), [3, 4])
  t.strictSame(kept({ device: 'pump-*', metric: 'temp' }), [1, 3])
  t.strictSame(kept({ tenant: 't', metric: '*o*' }), [2])
  t.strictSame(kept({ tenant: 'other' }), [])
})

t.test('keeps by tags, and looks again when tags change', async t => {
  const table = new SeriesTable(10)
  const b = bench(where({ tag: { site: ['north', 's*'] } }), { table })
  t.strictSame(b.give(readings), [], 'no device has the tag')
  table.tag(table.device('t', 'pump-1'), { site: 'south' })
  table.tag(table.device('t', 'fan'), { site: 'east' })
  t.strictSame(b.give(readings).map(r => r.value), [1, 2])
  table.tag(table.device('t', 'fan'), { site: 'north', type: 'fan' })
  table.tag(table.device('t', 'pump-1'), { site: 'west' })
  t.strictSame(b.give(readings).map(r => r.value), [4])
})

t.test('a tag named like something that every object has is still absent', async t => {
  t.strictSame(kept({ tag: { constructor: '*' } }), [])
})

t.test('remembers nothing: what it noted can be worked out again', async t => {
  t.equal(where({ device: 'a' }).remembers, false)
  const b = bench(where({ device: 'pump-1' }))
  b.give(readings)
  t.strictSame(b.stage.save().series, {})
})

t.test('refuses to be told nothing', async t => {
  t.throws(() => where({}), { code: 'config/invalid', message: /say what to keep/ })
})
