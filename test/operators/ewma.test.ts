import t from 'tap'
import { ewma } from '../../operators/ewma.ts'
import { each, through } from './table.ts'

t.test('begins at the first value and moves by alpha of the difference', async t => {
  t.strictSame(through(ewma({ alpha: 0.5 }), each([10, 20, 20, 0])).map(r => r.ewma), [10, 15, 17.5, 8.75])
})

t.test('a missing value repeats the mean', async t => {
  t.strictSame(through(ewma({ alpha: 0.5 }), each([NaN, 10, NaN, 20])).map(r => r.ewma), [NaN, 10, 10, 15])
})
