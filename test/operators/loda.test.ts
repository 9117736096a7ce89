import t from 'tap'
import { loda } from '../../operators/loda.ts'
import { columns, judge, windows, type Row } from './rows.ts'

const run = (rows: readonly Row[], options: Partial<Parameters<typeof loda>[0]>) => judge(() => loda({ columns, samples: 200, ...options }), rows)

t.test('a window unlike all before is an alarm that says why', async t => {
  const out = run([...windows(3000, 2), [50, 6, 1], ...windows(20, 3)], { per: '200s' })
  const row = out[3000]
  t.ok(row.loda_alarm === 1 && row.loda_p as number < 1e-3, JSON.stringify(row))
  t.ok(row.loda_std_t as number > 2 && row.loda_std_t as number > (row.loda_mean_t as number), JSON.stringify(row))
  t.ok(out.slice(3001).every(r => r.loda_alarm === 0 && Number.isNaN(r.loda_std_t)))
})

t.test('refuses what cannot be', async t => {
  t.throws(() => loda({ columns: [] }), { code: 'config/invalid' })
  t.throws(() => loda({ columns: ['a', 'a'] }), { code: 'config/invalid' })
  t.throws(() => loda({ columns, samples: 50 }), { code: 'config/invalid' })
})
