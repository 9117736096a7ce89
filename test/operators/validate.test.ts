import t from 'tap'
import { validate } from '../../operators/validate.ts'
import { bench, each, through, type Given } from './table.ts'

const kept = (options: Parameters<typeof validate>[0], readings: readonly Given[]) => through(validate(options), readings).map(r => r.value)

t.test('keeps what lies in the range, both ends included', async t => {
  t.strictSame(kept({ min: -40, max: 120 }, each([-40.1, -40, 0, 120, 120.1])), [-40, 0, 120])
})

t.test('infinity is never valid, no value is, unless missing readings are unwanted', async t => {
  t.strictSame(kept({}, each([Infinity, -Infinity, NaN, 1])), [NaN, 1])
  t.strictSame(kept({ missing: false }, each([NaN, 1])), [1])
  t.strictSame(kept({ missing: false, rate: 1 }, each([NaN, 1])), [1])
  t.strictSame(kept({ rate: 1 }, each([NaN, 1])), [NaN, 1])
})

t.test('drops what changes faster than it can, compared with the last valid reading', async t => {
  t.strictSame(kept({ rate: 2 }, each([10, 12, 90, 14, 16.5, 18])), [10, 12, 14, 18])
})

t.test('after a real jump readings become valid again once there was time for it', async t => {
  t.strictSame(kept({ rate: 10 }, each([0, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100])), [0, 100, 100])
})

t.test('a straggler is judged by its distance in time and does not become the reading to compare with', async t => {
  t.strictSame(kept({ rate: 1 }, [[0, 'a/x', 0], [10, 'a/x', 10], [8, 'a/x', 9], [9, 'a/x', 20], [10.5, 'a/x', 11.4], [10.5, 'a/x', 10.4]]), [0, 10, 9, 10.4])
  t.strictSame(kept({ rate: 1 }, [[10, 'a/x', 10], [10, 'a/x', 11], [10, 'a/x', 10]]), [10, 10], 'at the same time nothing can have changed')
})

t.test('has memory only for the rate', async t => {
  t.equal(validate({ min: 0 }).remembers, false)
  t.equal(validate({ rate: 1 }).remembers, true)
  const b = bench(validate({ min: 0 }))
  const batch = b.batch(each([1, 2]))
  t.equal(b.stage.process(batch), batch, 'a valid batch is handed on as it is')
})

t.test('refuses an empty range', async t => {
  t.throws(() => validate({ min: 2, max: 1 }), { code: 'config/invalid', message: /min 2 is above max 1/ })
})
