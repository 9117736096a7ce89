import t from 'tap'
import { defineOperator, pipeline, SeriesTable, Type } from '#engine'
import { across, session, tumbling } from '../../operators/index.ts'
import { chain } from '../laws/chain.ts'
import { bench, through } from './table.ts'

const windows = () => chain(tumbling({ every: '10s', features: ['mean', 'count'] }), across({ metrics: ['temp', 'flow'], columns: ['mean', 'count'], metric: 'pump' }))

t.test('a window of a device has the features of its metrics side by side', async t => {
  t.strictSame(through(windows(), [[1, 'a/temp', 20], [2, 'a/flow', 3], [3, 'a/temp', 22], [4, 'a/noise', 9], [5, 'b/flow', 1], [12, 'a/temp', 30]]), [
    { at: 0, series: 'a/pump', value: 21, temp_mean: 21, temp_count: 2, flow_mean: 3, flow_count: 1, revision: 0 },
    { at: 10, series: 'a/pump', value: 30, temp_mean: 30, temp_count: 1, flow_mean: NaN, flow_count: NaN, revision: 0 },
    { at: 0, series: 'b/pump', value: NaN, temp_mean: NaN, temp_count: NaN, flow_mean: 1, flow_count: 1, revision: 0 }
  ])
})

t.test('a session of a device is one row of it, though its metrics begin and end at different times', async t => {
  const sessions = chain(session({ gap: '10s', of: 'device', features: ['mean', 'count'] }), across({ metrics: ['temp', 'flow'], columns: ['mean', 'duration'] }))
  t.strictSame(through(sessions, [[1, 'a/temp', 20], [4, 'a/flow', 3], [12, 'a/flow', 5], [40, 'a/flow', 1], [45, 'a/temp', 30], [46, 'b/temp', 7]]), [
    { at: 1, series: 'a/all', value: 20, temp_mean: 20, temp_duration: 11, flow_mean: 4, flow_duration: 11, revision: 0 },
    { at: 40, series: 'a/all', value: 30, temp_mean: 30, temp_duration: 5, flow_mean: 1, flow_duration: 5, revision: 0 },
    { at: 46, series: 'b/all', value: 7, temp_mean: 7, temp_duration: 0, flow_mean: NaN, flow_duration: NaN, revision: 0 }
  ])
})

t.test('provisional windows of silent devices come as rows too, and what replaces them says so', async t => {
  const b = bench(windows())
  b.give([[1, 'a/temp', 20], [2, 'a/flow', 3]])
  t.strictSame(b.wait(30).provisional.map(r => [r.at, r.temp_mean, r.flow_mean, r.revision]), [[0, 20, 3, 0]])
  t.strictSame(b.give([[3, 'a/temp', 22], [10, 'a/temp', 1]]).map(r => [r.at, r.temp_mean, r.flow_mean, r.revision]), [[0, 21, 3, 1]])
})

t.test('readings of one message and time are one row; those of another message are another', async t => {
  const table = new SeriesTable(10), b = bench(across({ metrics: ['x', 'y', 'z'] }), { table })
  const batch = b.batch([[0, 'a/x', 1], [0, 'b/x', 5], [0, 'a/y', 2], [1, 'a/z', 3], [1, 'a/x', 4], [0, 'a/z', 9]])
  const one = b.stage.process(batch.take(Int32Array.of(0, 1, 2, 3, 4, 5)))
  t.equal(one.length, 6, 'each of these was a message')
  ;(batch.position as Float64Array).fill(7)
  const rows = b.stage.process(batch)
  t.strictSame([...rows.time], [0, 0, 1000])
  t.strictSame([...rows.series].map(s => table.name(s).device), ['a', 'b', 'a'])
  t.strictSame(['x', 'y', 'z'].map(m => [...rows.columns[m]]), [[1, 5, 4], [2, NaN, NaN], [9, NaN, 3]])
})

t.test('nothing is made when the table is full, and a metric is not made from itself', async t => {
  t.strictSame(through(across({ metrics: ['x'] }), [[0, 'a/x', 1]], { capacity: 1 }), [])
  t.throws(() => across({ metrics: ['x', 'all'] }), { code: 'config/invalid', message: /itself/ })
})

t.test('its columns are part of its type', async t => {
  const needs = <N extends string>(column: N) => defineOperator({ name: 'needs', summary: '', options: Type.Object({}), needs: [column], process: batch => batch })()
  const whole = pipeline('p').pipe(tumbling({ every: '1m', features: ['mean'] }), across({ metrics: ['temp'], columns: ['mean'] }))
  whole.pipe(needs('temp_mean'))
  // @ts-expect-error there is no such metric
  whole.pipe(needs('flow_mean'))
  // @ts-expect-error the windows have no maximum
  pipeline('p').pipe(tumbling({ every: '1m', features: ['mean'] }), across({ metrics: ['temp'], columns: ['max'] }))
  t.pass('compiles')
})
