import t from 'tap'
import { compare, flows, operators } from '../../bench/operators.ts'

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

t.test('figures of PRED below what is wanted are a fault', async t => {
  const good = { flow: 'PRED', ratio_to_hand_loop: 0.5, ratio_to_rx_copying: 10, ratio_to_rx_in_place: 2, readings_per_s: 2_500_000 }
  t.equal(operators.fault!(good), undefined)
  t.equal(operators.fault!({ flow: 'PRED' }), undefined, 'what was not measured')
  for (const name of ['ratio_to_hand_loop', 'ratio_to_rx_copying', 'ratio_to_rx_in_place', 'readings_per_s'] as const) t.match(operators.fault!({ ...good, [name]: good[name] * 0.99 }), new RegExp(`${name} is`))
  t.equal(operators.fault!({ flow: 'STATS', ratio_to_hand_loop: 0.1 }), undefined)
})
