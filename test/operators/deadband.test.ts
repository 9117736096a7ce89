import t from 'tap'
import { deadband } from '../../operators/deadband.ts'
import { each, through, type Given } from './table.ts'

const kept = (options: Parameters<typeof deadband>[0], readings: readonly Given[]) => through(deadband(options), readings).map(r => r.value)

t.test('keeps the first reading and those that moved by more than the band from the one kept last', async t => {
  t.strictSame(kept({ by: 1 }, each([10, 10.5, 11, 11.1, 10.2, 10, 9.9])), [10, 11.1, 10])
})

t.test('creeping does not escape it', async t => {
  t.strictSame(kept({ by: 1 }, each([0, 0.6, 1.2, 1.8, 2.4])), [0, 1.2, 2.4])
})

t.test('a band in percent grows with the value', async t => {
  t.strictSame(kept({ percent: 10 }, each([100, 109, 111, 1000, 1099, 1101])), [100, 111, 1000, 1101])
  t.strictSame(kept({ percent: 10, by: 50 }, each([100, 111, 151, 1000, 1099, 1101])), [100, 151, 1000, 1101], 'with both, both must be exceeded')
})

t.test('a reading is kept when nothing has been for max', async t => {
  t.strictSame(kept({ by: 1, max: '3s' }, each([5, 5.1, 5.2, 5.3, 5.4])), [5, 5.3])
})

t.test('the first reading without a value is kept, and the first with one', async t => {
  t.strictSame(kept({ by: 1 }, each([NaN, NaN, 5, 5, NaN, NaN, 5])), [NaN, 5, NaN, 5])
})

t.test('series do not mix', async t => {
  t.strictSame(kept({ by: 1 }, [[0, 'a/x', 1], [0, 'b/x', 1.5], [1, 'a/x', 1.5], [1, 'b/x', 3]]), [1, 1.5, 3])
})

t.test('refuses to be told no distance', async t => {
  t.throws(() => deadband({ max: '1m' }), { code: 'config/invalid', message: /by or percent/ })
})
