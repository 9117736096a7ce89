import t from 'tap'
import { Batch, defineOperator, note, SeriesTable, Type } from '#engine'

const host = (series = new SeriesTable(10)) => ({ series, late () {}, aggregated () {} })
const batchOf = (values: readonly number[], provisional?: Batch<any>) => new Batch({ time: Float64Array.from(values), series: new Int32Array(values.length), value: Float64Array.from(values), provisional })

const double = defineOperator({ name: 'double', summary: '', options: Type.Object({}), perSeries: { seen: note }, process: batch => batch.withValue(batch.value.map(x => 2 * x)) })
const large = defineOperator({ name: 'large', summary: '', options: Type.Object({}), drops: 'filtered', process: batch => batch.filter(i => batch.value[i] > 2) })
const total = defineOperator({
  name: 'total', summary: '', options: Type.Object({ from: Type.Number({ default: 0 }) }), adds: ['total'], perSeries: { sum: 0 },
  process: (batch, { from }, { sum }) => batch.with({ total: batch.value.map((x, i) => from + (sum[batch.series[i]] += x)) })
})
const rising = defineOperator({ name: 'rising', summary: '', options: Type.Object({}), drops: 'filtered', perSeries: { last: -Infinity }, process: (batch, _, { last }) => batch.filter(i => batch.value[i] > last[batch.series[i]]) })

t.test('provisional rows go through steps without memory like any rows', async t => {
  const out = double().open(host()).process(batchOf([1], batchOf([5, 6])))
  t.strictSame([[...out.value], [...out.provisional!.value]], [[2], [10, 12]])
  t.strictSame([...large().open(host()).process(batchOf([], batchOf([1, 3]))).provisional!.value], [3])
})

t.test('a step with memory does not see them: it leaves its columns empty, or takes none of them further when it drops rows', async t => {
  const series = new SeriesTable(10)
  series.id('t', 'd', 'm')
  const stage = total().open(host(series))
  const out = stage.process(batchOf([1], batchOf([50])))
  t.strictSame([...out.provisional!.columns.total], [NaN])
  t.strictSame([...stage.process(batchOf([1])).columns.total], [2], 'they were not summed up')
  t.equal(rising().open(host(series)).process(batchOf([1], batchOf([50]))).provisional, undefined)
})

t.test('a step has the id it is given, else its name, and remembers what is not a note', async t => {
  t.strictSame([total().id, total({ id: 'second' }).id], ['total', 'second'])
  t.strictSame([total().remembers, double().remembers], [true, false])
  t.strictSame([total().options, total({ from: 1 }).options, total({ from: 1, id: 'x' }).given], [{ from: 0 }, { from: 1 }, { from: 1 }])
})

t.test('memory appears with its series, and each opened step has its own', async t => {
  const series = new SeriesTable(10), operator = total()
  const first = operator.open(host(series)), second = operator.open(host(series))
  series.id('t', 'd', 'm')
  first.process(batchOf([5]))
  t.strictSame([[...first.process(batchOf([1])).columns.total], [...second.process(batchOf([1])).columns.total]], [[6], [1]])
})

t.test('a snapshot of another operator, or of other options, is refused', async t => {
  const snapshot = total().open(host()).save()
  total().open(host()).load(snapshot)
  t.throws(() => total({ from: 1 }).open(host()).load(snapshot), { code: 'engine/snapshot', message: /step "total"/ })
  t.throws(() => rising().open(host()).load(snapshot), { code: 'engine/snapshot' })
})

t.test('wrong options are named', async t => {
  t.throws(() => total({ form: 1 } as object), { code: 'config/unknown-key', message: /total: unknown option "form"/, help: 'did you mean "from"?' })
})
