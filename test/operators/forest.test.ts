import t from 'tap'
import { grow, path, score } from '../../models/forest.ts'
import { rankOf } from '../../models/reservoir.ts'
import { meanPath } from '../../models/tree-shap.ts'
import { forest } from '../../operators/forest.ts'
import { batchOf, columns, judge, windows, type Row } from './rows.ts'
import { bench } from './table.ts'

const run = (rows: readonly Row[], options: Partial<Parameters<typeof forest>[0]>) => judge(() => forest({ columns, samples: 200, trees: 30, ...options }), rows)

t.test('a window unlike all before is an alarm that says why', async t => {
  const out = run([...windows(3000, 2), [50, 6, 1], ...windows(20, 3)], { per: '200s' })
  const row = out[3000]
  t.ok(row.forest_alarm === 1 && row.forest_p as number < 5e-3 && row.forest_score as number > 0.6, JSON.stringify(row))
  t.ok(row.forest_std_shap as number > Math.abs(row.forest_mean_shap as number), JSON.stringify(row))
  t.ok(out.slice(3001).every(r => r.forest_alarm === 0 && Number.isNaN(r.forest_std_shap)))
})

t.test('the reasons sum to the mean path of the forest less that of the row, and the forest is the one grown from what was kept', async t => {
  const before = windows(512, 4), odd = [50, 9, 0.1], out = run([...before, odd], { samples: 300, alarms: 1e9 })[512] as Record<string, number>
  const grown = 406, kept = before.slice(0, grown).map((row, i) => ({ row, rank: rankOf(1, i + 1, 2000) })).sort((a, b) => a.rank - b.rank)      // 64, 96, 128, 171, 228, 304, 406
  const expected = grow(Float64Array.from(kept.flatMap(({ row }) => row)), 3, grown, { trees: 30, sample: 256, seed: 1 })
  t.equal(out.forest_alarm, 1)
  t.equal(out.forest_score, score(expected, Float64Array.from(odd)))
  t.ok(Math.abs(columns.reduce((sum, c) => sum + out[`forest_${c}_shap`], 0) - (meanPath(expected) - path(expected, Float64Array.from(odd)))) < 1e-9)
})

t.test('a snapshot of another stream that has come as far is taken up in the same running step', async t => {
  const make = () => forest({ columns, samples: 200, trees: 30 }), b = bench(make()), c = bench(make(), { table: b.table })
  const give = (of: typeof b, rows: readonly Row[]) => [...of.stage.process(batchOf(of, rows, 0, ['pump/temp'])).columns.forest_score]
  give(b, windows(400, 10))
  give(c, windows(400, 11).map(row => row.map(x => 3 * x)))
  b.stage.load(structuredClone(c.stage.save()))
  t.strictSame(give(b, windows(50, 12)), give(c, windows(50, 12)))
})

t.test('refuses trees that are larger than what is kept', async t => {
  t.throws(() => forest({ columns, sample: 1024 }), { message: /1024 rows, but only 512 are kept/ })
  t.throws(() => forest({ columns: [] }), { code: 'config/invalid' })
})
