import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { coverageOf, scoresOf, shifting } from '../../bench/forecast.ts'
import { HORIZON, intervalScore, mae, naive2, readM4, scaleOf, SEASON, smape } from '../../bench/m4.ts'
import { inspect, unitsOf } from '../../bench/threshold-time.ts'
import { developmentData } from '../support/development-data.ts'

const { naive2: oracle } = JSON.parse(readFileSync(join(import.meta.dirname, '../oracles/forecast.json'), 'utf8')) as { naive2: { readonly x: number[], readonly seasonal: boolean, readonly forecast: number[] }[] }

t.test('Naive2 is that of statsmodels, with a season and without', async t => {
  t.strictSame(new Set(oracle.map(c => c.seasonal)), new Set([true, false]))
  for (const { x, forecast } of oracle) naive2(x).forEach((y, h) => t.ok(Math.abs(y / forecast[h] - 1) < 1e-9, `${h + 1} ahead: ${y}, not ${forecast[h]}`))
})

t.test('the measures, worked out by hand', async t => {
  t.equal(smape([1, 0], [3, 2]), (200 * 2 / 4 + 200 * 2 / 2) / 2)
  t.equal(mae([1, 0], [3, 5]), 3.5)
  t.equal(scaleOf([...Array.from({ length: 24 }, () => 1), 3, 5]), 3)
  t.ok(Math.abs(intervalScore([0, 10, 5], [1, 1, 1], [9, 9, 9], 0.95) - (8 + 2 * 40 / 3)) < 1e-9)
})

t.test('on series that shift as many intervals hold as they say', async t => {
  const coverage = coverageOf(shifting(1001).slice(0, 4), 1)
  t.ok(coverage > 0.93 && coverage < 0.97, `${coverage}`)
})

t.test('the time to the threshold lies between its 10 and 90 % in about 80 % of all cases, and without a trend it is silent', async t => {
  const { spoken, early, late } = inspect(unitsOf(1001, 150, 1)), idle = inspect(unitsOf(1001, 20, 0))
  const coverage = (spoken - early - late) / spoken
  t.ok(spoken > 500 && coverage > 0.74 && coverage < 0.86, `${coverage} of ${spoken}`)
  t.ok(idle.spoken / idle.inspections < 0.1, `${idle.spoken} of ${idle.inspections}`)
})

const { data, skip } = developmentData('m4')
t.test('hourly series of the M4 competition are forecast better than by their seasonal naive forecast', { skip }, async t => {
  const seasonalNaive = (train: readonly number[]) => Array.from({ length: HORIZON }, (_, h) => train[train.length - SEASON + h % SEASON])
  const some = readM4(data).slice(0, 4), { mase } = scoresOf(some) as { mase: number }
  const naive = some.reduce((sum, { train, test }) => sum + mae(test, seasonalNaive(train)) / scaleOf(train) / some.length, 0)
  t.ok(mase < naive, `${mase} against ${naive}`)
})
