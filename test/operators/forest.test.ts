import t from 'tap'
import { grow, path, score } from '../../models/forest.ts'
import { rankOf } from '../../models/reservoir.ts'
import { meanPath } from '../../models/tree-shap.ts'
import { forest } from '../../operators/forest.ts'
import { normal } from '../models/random.ts'
import { bench } from './table.ts'

const columns = ['mean', 'std', 'range'] as const
type Options = Partial<Parameters<typeof forest>[0]>
type Row = readonly number[]
/** Features of windows that go together: two that do, one that does not. */
const windows = (n: number, seed: number): Row[] => { const z = normal(seed); return Array.from({ length: n }, () => { const s = Math.exp(0.3 * z()); return [50 + z(), s, 4 * s + 0.2 * z()] }) }

/** Rows of one device, or of two in turn, in batches of these sizes, with a snapshot after each when asked. */
function run (rows: readonly Row[], { snapshots = false, sizes = [97], series = ['pump/temp'], ...options }: Options & { snapshots?: boolean, sizes?: readonly number[], series?: readonly string[] } = {}) {
  const make = () => forest({ columns, samples: 200, trees: 30, ...options })
  let b = bench(make())
  const out: Record<string, number | string>[] = []
  for (let i = 0, k = 0; i < rows.length; k++) {
    const part = rows.slice(i, i + sizes[k % sizes.length]), given = b.batch(part.map((row, j) => [i + j, series[(i + j) % series.length], row[0]]))
    const done = b.stage.process(given.with(Object.fromEntries(columns.map((c, j) => [c, Float64Array.from(part, row => row[j])]))))
    for (let j = 0; j < part.length; j++) out.push({ series: series[(i + j) % series.length], ...Object.fromEntries(['forest', 'forest_p', 'forest_score', 'forest_learned', 'forest_alarm', ...columns.map(c => `forest_${c}_shap`)].map(c => [c, done.columns[c][j]])) })
    i += part.length
    if (!snapshots) continue
    const saved = structuredClone(b.stage.save())
    b = bench(make(), { table: b.table })
    b.stage.load(saved)
  }
  return out
}

t.test('while it learns it says how far it is, and nothing else', async t => {
  const out = run(windows(230, 1))
  t.strictSame(out.map(r => r.forest_learned), out.map((_, i) => Math.min(i, 200)))
  t.ok(out.slice(0, 200).every(r => ['forest', 'forest_p', 'forest_score', 'forest_alarm'].every(c => Number.isNaN(r[c]))))
  t.ok(out.slice(200).every(r => ['forest', 'forest_p', 'forest_score', 'forest_alarm'].every(c => !Number.isNaN(r[c]))))
})

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

t.test('a new regime is learned: what was strange is usual after as many rows as are remembered', async t => {
  const out = run([...windows(1500, 5), ...windows(2500, 6).map(([a, b, c]) => [a + 10, b + 3, c + 20])], { memory: 500, per: '200s' })
  t.ok(out.slice(1500, 1505).every(r => r.forest_p as number <= 0.02))
  const late = out.slice(3500)
  t.ok(late.filter(r => r.forest_p as number < 0.01).length < late.length * 0.04)
  const before = out.slice(1000, 1500).reduce((sum, r) => sum + (r.forest_score as number), 0) / 500, after = late.reduce((sum, r) => sum + (r.forest_score as number), 0) / 500
  t.ok(Math.abs(before - after) < 0.05, `${before}, ${after}`)
})

t.test('p-values are as often below 1e-2 as they say, within a factor of two', async t => {
  const late = run(windows(12_000, 7)).slice(4000), share = late.filter(r => r.forest_p as number <= 0.01).length / late.length
  t.ok(share > 0.005 && share < 0.02, `${share}`)
})

t.test('in pieces, from snapshots and beside another device it is the same', async t => {
  const rows = [...windows(700, 8), [50, 6, 1]], whole = run(rows)
  t.strictSame(run(rows, { sizes: [1, 50, 7], snapshots: true }), whole)
  const twice = rows.flatMap(row => [row, row]), both = run(twice, { series: ['pump/temp', 'fan/temp'], sizes: [33], snapshots: true })
  t.strictSame(both.filter(r => r.series === 'pump/temp'), whole)
})

t.test('a snapshot of another stream that has come as far is taken up in the same running step', async t => {
  const make = () => forest({ columns, samples: 200, trees: 30 }), b = bench(make()), c = bench(make(), { table: b.table })
  const give = (of: typeof b, rows: readonly Row[]) => [...of.stage.process(of.batch(rows.map((row, i) => [i, 'pump/temp', row[0]])).with(Object.fromEntries(columns.map((name, j) => [name, Float64Array.from(rows, row => row[j])])))).columns.forest_score]
  give(b, windows(400, 10))
  give(c, windows(400, 11).map(row => row.map(x => 3 * x)))
  b.stage.load(structuredClone(c.stage.save()))
  t.strictSame(give(b, windows(50, 12)), give(c, windows(50, 12)))
})

t.test('a row with a missing feature is neither judged nor learned', async t => {
  const rows = windows(400, 9), whole = run(rows), gaps = run(rows.flatMap(row => [[NaN, 1, 1], row, [50, Infinity, 1]]))
  t.strictSame(gaps.filter((_, i) => i % 3 === 1).map(r => r.forest_p), whole.map(r => r.forest_p))
  t.ok(gaps.filter((_, i) => i % 3 !== 1).every(r => Number.isNaN(r.forest_p)))
})

t.test('refuses trees that are larger than what is kept', async t => {
  t.throws(() => forest({ columns, sample: 1024 }), { message: /1024 rows, but only 512 are kept/ })
  t.throws(() => forest({ columns: [] }), { code: 'config/invalid' })
})
