import t from 'tap'
import { ofChiSquare, ofNormal } from '../../models/surprisal.ts'

t.test('of a normal number it is right: z and -ln p from tables', async t => {
  for (const [z, p] of [[-3, 0.998650102], [0, 0.5], [1, 0.158655254], [1.9, 0.028716560], [2.1, 0.017864421], [3, 0.00134989803], [6, 9.86587645e-10]]) t.ok(Math.abs(ofNormal(z) / -Math.log(p) - 1) < 1e-4, `${z}: ${ofNormal(z)}`)
})

t.test('of a chi-square number it is right within 8 %: quantiles of scipy.stats.chi2.isf', async t => {
  const quantiles: [df: number, p: number, x: number][] = [[1, 0.05, 3.841459], [1, 1e-3, 10.827566], [2, 1e-3, 13.815511], [2, 1e-6, 27.631021], [5, 0.02, 13.388223], [5, 1e-6, 35.888187], [8, 1e-3, 26.124482], [28, 0.02, 45.418847], [28, 1e-4, 64.662446]]
  for (const [df, p, x] of quantiles) t.ok(Math.abs(ofChiSquare(x, df) / -Math.log(p) - 1) < 0.08, `${df}, ${p}: ${ofChiSquare(x, df)}, not ${-Math.log(p)}`)
})

t.test('more is always rarer', async t => {
  for (const df of [0.5, 1, 3, 30]) for (let x = 0, last = -1; x < 1e6; x = 1.3 * x + 0.1) { const s = ofChiSquare(x, df); if (s < last) t.fail(`${df}, ${x}`); last = s }
})
