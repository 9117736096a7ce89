import t from 'tap'
import { compare, large, readings } from '../bench/operators.ts'

t.test('the operators and a loop written by hand give the same windows, scores and numbers of duplicates', async t => {
  const settings = { ...large, series: 200 }
  const answer = compare(settings, readings(settings, 120))
  t.equal(answer.rows, 200 * 12)
  t.ok(answer.seq > 50 && answer.readings > 200 * 115)
})
