import t from 'tap'
import { forest } from '../../operators/forest.ts'
import { loda } from '../../operators/loda.ts'
import { columns, judge, windows } from './rows.ts'

interface Options { readonly memory?: number, readonly per?: string }
/** What operators have in common that tell how strange a row is; `near`: scores that are alike. */
const steps = {
  forest: { make: (options: Options = {}) => () => forest({ columns, samples: 200, trees: 30, ...options }), near: 0.05 },
  loda: { make: (options: Options = {}) => () => loda({ columns, samples: 200, ...options }), near: 0.5 }
}

for (const [name, { make, near }] of Object.entries(steps)) {
  const p = `${name}_p`, score = `${name}_score`, findings = [name, p, score, `${name}_alarm`]

  t.test(`${name}: while it learns it says how far it is, and nothing else`, async t => {
    const out = judge(make(), windows(230, 1))
    t.strictSame(out.map(r => r[`${name}_learned`]), out.map((_, i) => Math.min(i, 200)))
    t.ok(out.slice(0, 200).every(r => findings.every(c => Number.isNaN(r[c]))))
    t.ok(out.slice(200).every(r => findings.every(c => !Number.isNaN(r[c]))))
  })

  t.test(`${name}: a new regime is learned: what was strange is usual after as many rows as are remembered`, async t => {
    const out = judge(make({ memory: 500, per: '200s' }), [...windows(1500, 5), ...windows(2500, 6).map(([a, b, c]) => [a + 10, b + 3, c + 20])])
    t.ok(out.slice(1500, 1505).every(r => r[p] as number <= 0.02))
    const late = out.slice(3500), mean = (of: typeof out) => of.reduce((sum, r) => sum + (r[score] as number), 0) / of.length
    t.ok(late.filter(r => r[p] as number < 0.01).length < late.length * 0.04)
    const before = mean(out.slice(1000, 1500)), after = mean(late)
    t.ok(Math.abs(before - after) < near, `${before}, ${after}`)
  })

  t.test(`${name}: p-values are as often below 1e-2 as they say, within a factor of two`, async t => {
    const late = judge(make(), windows(12_000, 7)).slice(4000), share = late.filter(r => r[p] as number <= 0.01).length / late.length
    t.ok(share > 0.005 && share < 0.02, `${share}`)
  })

  t.test(`${name}: in pieces, from snapshots and beside another device it is the same`, async t => {
    const rows = [...windows(700, 8), [50, 6, 1]], whole = judge(make(), rows)
    t.strictSame(judge(make(), rows, { sizes: [1, 50, 7], snapshots: true }), whole)
    const both = judge(make(), rows.flatMap(row => [row, row]), { series: ['pump/temp', 'fan/temp'], sizes: [33], snapshots: true })
    t.strictSame(both.filter(r => r.series === 'pump/temp'), whole)
  })

  t.test(`${name}: a row with a missing feature is neither judged nor learned`, async t => {
    const rows = windows(400, 9), whole = judge(make(), rows), gaps = judge(make(), rows.flatMap(row => [[NaN, 1, 1], row, [50, Infinity, 1]]))
    t.strictSame(gaps.filter((_, i) => i % 3 === 1).map(r => r[p]), whole.map(r => r[p]))
    t.ok(gaps.filter((_, i) => i % 3 !== 1).every(r => Number.isNaN(r[p])))
  })

  t.test(`${name}: a number too large to be squared is none, and a smaller one does not silence it`, async t => {
    const wild = (x: number) => [...windows(700, 10).flatMap((row, i) => i === 3 || i === 300 || i === 301 ? [[row[0], x, row[2]], [-x, row[1], row[2]], row] : [row]), [50, 6, 1], ...windows(50, 11)]
    for (const x of [1e100, 1e160, Number.MAX_VALUE]) t.strictSame(judge(make(), wild(x)), judge(make(), wild(NaN)), `${x}`)
    const out = judge(make({ per: '200s' }), wild(9.9e99))
    t.ok(out.slice(320).every(r => Number.isFinite(r[score]) && Number.isFinite(r[p])) && out.slice(320).some(r => r[p] as number < 1))
  })
}
