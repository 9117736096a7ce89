import { readFileSync } from 'node:fs'
import t from 'tap'
import { croston, INTERMITTENT, learn, sba, tsb } from '../../models/intermittent.ts'

const AT = 3
const { intermittent: oracle } = JSON.parse(readFileSync(new URL('../oracles/forecast.json', import.meta.url), 'utf8')) as { intermittent: { readonly x: number[], readonly forecasts: number[][] } }

t.test('gives what the formulas of the papers give, step by step', async t => {
  const m = new Float64Array(AT + INTERMITTENT)
  t.ok(oracle.x.some(x => x === 0) && oracle.x.some(x => x > 0))
  oracle.x.forEach((x, i) => {
    learn(m, AT, x, i + 1)
    const got = [croston, sba, tsb].map(f => f(m, AT))
    got.forEach((y, k) => t.ok(Math.abs(y - oracle.forecasts[i][k]) < 1e-12, `step ${i}: ${y}, not ${oracle.forecasts[i][k]}`))
  })
})

t.test('TSB forgets what has ceased, Croston does not', async t => {
  const m = new Float64Array(AT + INTERMITTENT)
  for (let n = 1; n <= 200; n++) learn(m, AT, n <= 100 && n % 4 === 0 ? 8 : 0, n)
  t.ok(Math.abs(croston(m, AT) - 2) < 0.01)
  t.ok(tsb(m, AT) < 1e-3)
})
