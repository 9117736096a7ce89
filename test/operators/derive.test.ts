import t from 'tap'
import { derive } from '../../operators/derive.ts'
import { bench, through, type Given } from './table.ts'

const power = (readings: readonly Given[], options: object = {}) =>
  through(derive({ metric: 'power', from: ['voltage', 'current'], by: 'product', within: '10s', ...options }), readings).map(r => `${r.at} ${r.series} ${r.value}`)
const made = (readings: readonly Given[], options: object = {}) => power(readings, options).filter(r => r.includes('/power'))

t.test('the new reading stands directly behind the one that completed it', async t => {
  t.strictSame(power([[0, 'a/voltage', 230], [0, 'a/current', 2], [0, 'a/other', 1]]), ['0 a/voltage 230', '0 a/current 2', '0 a/power 460', '0 a/other 1'])
})

t.test('there is one reading for each complete set, at the newest of its times', async t => {
  t.strictSame(made([[0, 'a/voltage', 1], [1, 'a/voltage', 2], [2, 'a/current', 10], [3, 'a/current', 20], [4, 'a/voltage', 3]]), ['2 a/power 20', '4 a/power 60'])
})

t.test('devices do not mix', async t => {
  t.strictSame(made([[0, 'a/voltage', 1], [0, 'b/current', 1], [1, 'b/voltage', 5]]), ['1 b/power 5'])
})

t.test('a source older than `within` waits for a newer one', async t => {
  t.strictSame(made([[0, 'a/voltage', 1], [11, 'a/current', 1], [12, 'a/voltage', 7]]), ['12 a/power 7'])
  t.strictSame(made([[0, 'a/voltage', 1], [10, 'a/current', 1]]), ['10 a/power 1'])
})

t.test('missing values and readings older than their metric make nothing; no time is made twice', async t => {
  t.strictSame(made([[5, 'a/voltage', 1], [5, 'a/current', NaN], [4, 'a/voltage', 9], [5, 'a/current', 3]]), ['5 a/power 3'])
  t.strictSame(made([[5, 'a/voltage', 1], [4, 'a/current', 1], [5, 'a/voltage', 2], [4.5, 'a/current', 1]]), ['5 a/power 1'])
})

t.test('knows seven ways to combine, in the order of the sources', async t => {
  const of = (by: string) => made([[0, 'a/x', 12], [0, 'a/y', 3], [0, 'a/z', 2]], { by, from: ['x', 'y', 'z'] })[0].split(' ')[2]
  t.strictSame(['product', 'sum', 'difference', 'ratio', 'mean', 'min', 'max'].map(of), ['72', '17', '7', '2', String(17 / 3), '2', '12'])
})

t.test('a result that is not finite has no value', async t => {
  t.strictSame(made([[0, 'a/voltage', 1], [0, 'a/current', 0]], { by: 'ratio' }), ['0 a/power NaN'])
})

t.test('the new row has seq 0 and no value in other columns; position and arrival are those of the completing one', async t => {
  const b = bench(derive({ metric: 'p', from: ['x', 'y'], by: 'sum' }))
  const out = b.stage.process(b.batch([[0, 'a/x', 1], [1, 'a/y', 1]]).with({ ewma: Float64Array.of(7, 8), seq: Float64Array.of(0, 1) }))
  t.strictSame([...out.columns.ewma], [7, 8, NaN])
  t.strictSame([...out.columns.seq], [0, 1, 0])
  t.strictSame([...out.position], [1, 2, 2])
  t.strictSame([...out.arrival], [-Infinity, 0, 0])
})

t.test('when the series table is full nothing is made and nothing is lost', async t => {
  const b = bench(derive({ metric: 'p', from: ['x', 'y'], by: 'sum' }), { capacity: 2 })
  t.equal(b.give([[0, 'a/x', 1], [0, 'a/y', 1], [1, 'a/x', 1]]).length, 3)
})

t.test('refuses a metric made from itself', async t => {
  t.throws(() => derive({ metric: 'x', from: ['x', 'y'], by: 'sum' }), { message: /made from itself/ })
  t.throws(() => derive({ metric: 'x', from: ['y'], by: 'sum' }), { code: 'config/invalid' })
  t.throws(() => derive({ metric: 'x', from: ['y', 'z'], by: 'prod' as 'product' }), { code: 'config/invalid' })
})
