import t from 'tap'
import { threshold } from '../../operators/threshold.ts'
import { each, through } from './table.ts'

const states = (options: Parameters<typeof threshold>[0], values: number[]) => through(threshold(options), each(values)).map(r => r.threshold)

t.test('without clear it is a plain comparison', async t => {
  t.strictSame(states({ above: 10 }, [9, 10, 11, 10, 9]), [0, 0, 1, 0, 0])
  t.strictSame(states({ below: 10 }, [11, 10, 9, 10, 11]), [0, 0, 1, 0, 0])
})

t.test('with clear it holds its state between the two', async t => {
  t.strictSame(states({ above: 10, clear: 8 }, [9, 11, 9, 8.1, 8, 9, 10.1]), [0, 1, 1, 1, 0, 0, 1])
  t.strictSame(states({ below: 10, clear: 12 }, [11, 9, 11, 12, 11]), [0, 1, 1, 0, 0])
})

t.test('a missing value repeats the state; before the first value there is none', async t => {
  t.strictSame(states({ above: 10, clear: 8 }, [NaN, 11, NaN, 7, NaN]), [NaN, 1, 1, 0, 0])
})

t.test('refuses limits that do not fit together', async t => {
  t.throws(() => threshold({}), { message: /either above or below/ })
  t.throws(() => threshold({ above: 1, below: 0 }), { message: /either above or below/ })
  t.throws(() => threshold({ above: 1, clear: 2 }), { message: /clear 2 must not be greater than above 1/ })
  t.throws(() => threshold({ below: 1, clear: 0 }), { message: /clear 0 must not be less than below 1/ })
})
