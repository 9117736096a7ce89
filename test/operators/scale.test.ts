import t from 'tap'
import { scale } from '../../operators/scale.ts'
import { each, through } from './table.ts'

t.test('multiplies, then adds', async t => {
  t.strictSame(through(scale({ factor: 1.8, offset: 32 }), each([0, 100, NaN])).map(r => r.value), [32, 212, NaN])
})

t.test('leaves other metrics alone', async t => {
  t.strictSame(through(scale({ factor: 1000, metric: ['k*', 'bar'] }), [[0, 'a/kw', 2], [0, 'a/w', 2], [0, 'a/bar', 3], [1, 'a/kw', 4]]).map(r => r.value), [2000, 2, 3000, 4000])
})

t.test('what is too large for a double has no value', async t => {
  t.strictSame(through(scale({ factor: 1e10 }), each([1e300, -1e300])).map(r => r.value), [NaN, NaN])
})
