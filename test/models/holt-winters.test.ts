import { readFileSync } from 'node:fs'
import t from 'tap'
import { bank, damped, early, expected, learn, pass, sizeOf } from '../../models/holt-winters.ts'

const AT = 1
interface Oracle { readonly x: number[], readonly first: { readonly level: number, readonly trend: number, readonly season: number[] }, readonly gains: { readonly level: number, readonly trend: number, readonly season: number }, readonly fitted: number[], readonly forecast: number[] }
const { holt_winters: oracle } = JSON.parse(readFileSync(new URL('../oracles/forecast.json', import.meta.url), 'utf8')) as { holt_winters: Oracle }
const near = (a: number, b: number) => Math.abs(a - b) < 1e-9 * Math.max(1, Math.abs(b))

t.test('with fixed gains it forecasts what statsmodels does', async t => {
  const { x, first, gains } = oracle, season = first.season.length, m = new Float64Array(AT + sizeOf(season))
  m.set([first.level, first.trend, ...first.season], AT)
  x.forEach((value, i) => {
    const one = expected(m, AT, damped(1), i % season)
    t.ok(near(one, oracle.fitted[i]), `step ${i}: ${one}, not ${oracle.fitted[i]}`)
    learn(m, AT, value, i % season, gains)
  })
  oracle.forecast.forEach((y, h) => t.ok(near(expected(m, AT, damped(h + 1), (x.length + h) % season), y), `${h + 1} ahead`))
})

t.test('a step that is passed over leaves what is expected as it was', async t => {
  const m = new Float64Array(AT + sizeOf(2))
  m.set([10, 1, 2, -2], AT)
  const before = expected(m, AT, damped(5), 0)
  pass(m, AT)
  t.ok(near(expected(m, AT, damped(4), 0), before))
})

t.test('begins as the mean so far and the deviations from it', async t => {
  const m = new Float64Array(AT + sizeOf(4)), x = [8, 12, 9, 11]
  x.forEach((value, i) => { learn(m, AT, value, i, early({ level: 0, trend: 0, season: 0 }, i, 4, { level: 0, trend: 0, season: 0 })) })
  t.ok(near(m[AT], 10))
  t.ok(bank.length === 8 && bank.every(g => g.level > 0 && g.trend < g.level && g.season > 0 && g.season < 1))
})
