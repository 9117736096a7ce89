import t from 'tap'
import { loda } from '../../operators/loda.ts'
import { normal } from '../models/random.ts'
import { bench } from './table.ts'

const columns = ['mean', 'std', 'range'] as const
type Options = Partial<Parameters<typeof loda>[0]>
type Row = readonly number[]
/** Features of windows that go together: two that do, one that does not. */
const windows = (n: number, seed: number): Row[] => { const z = normal(seed); return Array.from({ length: n }, () => { const s = Math.exp(0.3 * z()); return [50 + z(), s, 4 * s + 0.2 * z()] }) }

/** Rows of one device, or of two in turn, in batches of these sizes, with a snapshot after each when asked. */
function run (rows: readonly Row[], { snapshots = false, sizes = [97], series = ['pump/temp'], ...options }: Options & { snapshots?: boolean, sizes?: readonly number[], series?: readonly string[] } = {}) {
  const make = () => loda({ columns, samples: 200, ...options })
  let b = bench(make())
  const out: Record<string, number | string>[] = []
  for (let i = 0, k = 0; i < rows.length; k++) {
    const part = rows.slice(i, i + sizes[k % sizes.length]), given = b.batch(part.map((row, j) => [i + j, series[(i + j) % series.length], row[0]]))
    const done = b.stage.process(given.with(Object.fromEntries(columns.map((c, j) => [c, Float64Array.from(part, row => row[j])]))))
    for (let j = 0; j < part.length; j++) out.push({ series: series[(i + j) % series.length], ...Object.fromEntries(['loda', 'loda_p', 'loda_score', 'loda_learned', 'loda_alarm', ...columns.map(c => `loda_${c}_t`)].map(c => [c, done.columns[c][j]])) })
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
  t.strictSame(out.map(r => r.loda_learned), out.map((_, i) => Math.min(i, 200)))
  t.ok(out.slice(0, 200).every(r => ['loda', 'loda_p', 'loda_score', 'loda_alarm'].every(c => Number.isNaN(r[c]))))
  t.ok(out.slice(200).every(r => ['loda', 'loda_p', 'loda_score', 'loda_alarm'].every(c => !Number.isNaN(r[c]))))
})

t.test('a window unlike all before is an alarm that says why', async t => {
  const out = run([...windows(3000, 2), [50, 6, 1], ...windows(20, 3)], { per: '200s' })
  const row = out[3000]
  t.ok(row.loda_alarm === 1 && row.loda_p as number < 1e-3, JSON.stringify(row))
  t.ok(row.loda_std_t as number > 2 && row.loda_std_t as number > (row.loda_mean_t as number), JSON.stringify(row))
  t.ok(out.slice(3001).every(r => r.loda_alarm === 0 && Number.isNaN(r.loda_std_t)))
})

t.test('a new regime is learned: what was strange is usual after as many rows as are remembered', async t => {
  const out = run([...windows(1500, 5), ...windows(2500, 6).map(([a, b, c]) => [a + 10, b + 3, c + 20])], { memory: 500, per: '200s' })
  t.ok(out.slice(1500, 1505).every(r => r.loda_p as number <= 0.02))
  const late = out.slice(3500)
  t.ok(late.filter(r => r.loda_p as number < 0.01).length < late.length * 0.04)
  const before = out.slice(1000, 1500).reduce((sum, r) => sum + (r.loda_score as number), 0) / 500, after = late.reduce((sum, r) => sum + (r.loda_score as number), 0) / 500
  t.ok(Math.abs(before - after) < 0.5, `${before}, ${after}`)
})

t.test('p-values are as often below 1e-2 as they say, within a factor of two', async t => {
  const late = run(windows(12_000, 7)).slice(4000), share = late.filter(r => r.loda_p as number <= 0.01).length / late.length
  t.ok(share > 0.005 && share < 0.02, `${share}`)
})

t.test('in pieces, from snapshots and beside another device it is the same', async t => {
  const rows = [...windows(700, 8), [50, 6, 1]], whole = run(rows)
  t.strictSame(run(rows, { sizes: [1, 50, 7], snapshots: true }), whole)
  const twice = rows.flatMap(row => [row, row]), both = run(twice, { series: ['pump/temp', 'fan/temp'], sizes: [33], snapshots: true })
  t.strictSame(both.filter(r => r.series === 'pump/temp'), whole)
})

t.test('a row with a missing feature is neither judged nor learned', async t => {
  const rows = windows(400, 9), whole = run(rows), gaps = run(rows.flatMap(row => [[NaN, 1, 1], row, [50, Infinity, 1]]))
  t.strictSame(gaps.filter((_, i) => i % 3 === 1).map(r => r.loda_p), whole.map(r => r.loda_p))
  t.ok(gaps.filter((_, i) => i % 3 !== 1).every(r => Number.isNaN(r.loda_p)))
})

t.test('refuses what cannot be', async t => {
  t.throws(() => loda({ columns: [] }), { code: 'config/invalid' })
  t.throws(() => loda({ columns: ['a', 'a'] }), { code: 'config/invalid' })
  t.throws(() => loda({ columns, samples: 50 }), { code: 'config/invalid' })
})
