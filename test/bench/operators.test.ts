import t from 'tap'
import { compare, flows } from '../../bench/operators.ts'

t.test('the operators, a loop written by hand and two RxJS programs give the same readings, windows and alerts, cell for cell', async t => {
  const stats = compare({ ...flows.STATS, series: 200 }, 80)
  t.equal(stats.window.length, 200 * 8)
  t.ok(stats.reading.length > 200 * 78 && stats.reading.some(([, , , seq]) => seq > 0))
  t.equal(stats.alert.length, 4, 'two series rise and fall')

  const pred = compare({ ...flows.PRED, series: 200 }, 265)
  const scored = pred.reading.filter(([, , , , evidence]) => evidence === evidence)
  t.ok(scored.length > 200 * 50 && scored.some(([, , , , evidence]) => evidence > 0))
  t.ok(pred.alert.length > 0)
})
