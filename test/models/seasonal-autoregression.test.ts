import t from 'tap'
import { lagsOf, SeasonalAutoregression } from '../../models/seasonal-autoregression.ts'
import { normal } from './random.ts'

const AT = 3
function after (seasons: readonly number[], values: readonly number[], ahead: number): Float64Array {
  const model = new SeasonalAutoregression(seasons, ahead, 2000), m = new Float64Array(AT + model.width)
  for (const x of values) model.learn(m, AT, x)
  return model.extend(m, AT, ahead).slice(model.length)
}

t.test('lags: the last three, around each season, and the days of a week', async t => {
  t.strictSame(lagsOf([24, 168]), [1, 2, 3, 23, 24, 25, 26, 48, 72, 96, 120, 144, 167, 168, 169, 170])
  t.strictSame(lagsOf([1]), [1, 2, 3])
  t.strictSame(lagsOf([2]), [1, 2, 3, 4])
})

t.test('of a series that follows such a rule it forecasts what the rule gives', async t => {
  const z = normal(1), x = Array.from({ length: 30 }, () => z())
  const rule = (n: number) => 3 + 0.6 * x[n - 1] - 0.2 * x[n - 2] + 0.3 * x[n - 12]
  while (x.length < 4000) x.push(rule(x.length) + z() * 0.1)
  const got = after([12], x, 5)
  for (let h = 0; h < 5; h++) x.push(rule(x.length))
  got.forEach((y, h) => t.ok(Math.abs(y - x[4000 + h]) < 0.05, `${h + 1} ahead: ${y}, not ${x[4000 + h]}`))
})

t.test('a series shorter than its seasons is forecast as what is known of it goes on', async t => {
  const day = [1, 5, 9, 4, 2, 3]
  t.strictSame(after([6, 42], [7], 3), Float64Array.of(7, 7, 7))
  const two = after([6, 42], [...day, ...day], 6)
  two.forEach((y, h) => t.ok(Math.abs(y - day[h]) < 1e-6, `${h + 1} ahead: ${y}`))
})

t.test('what lies before the first value repeats the season, or the first value where there was none yet', async t => {
  const model = new SeasonalAutoregression([6, 42], 1, 2000), m = new Float64Array(AT + model.width), past = () => model.extend(m, AT, 1).slice(0, model.length)
  for (const x of [5, 8]) model.learn(m, AT, x)
  t.strictSame(past().slice(-8), Float64Array.of(5, 8, 5, 5, 5, 5, 5, 8))
  for (const x of [1, 2, 3, 4, 6]) model.learn(m, AT, x)
  t.strictSame(past().slice(-15), Float64Array.of(3, 4, 5, 8, 1, 2, 3, 4, 5, 8, 1, 2, 3, 4, 6))
})

t.test('never leaves what has been by more than a standard deviation, not even where the series explodes', async t => {
  const x = Array.from({ length: 200 }, (_, i) => 1.05 ** i), sd = Math.sqrt(x.reduce((s, y) => s + y * y, 0) / 200 - (x.reduce((s, y) => s + y, 0) / 200) ** 2)
  const got = after([10], x, 500)
  t.ok(got.every(y => Number.isFinite(y) && y <= x[199] + sd + 1e-6 && y >= 1 - sd - 1e-6))
})

t.test('without a logarithm there is no forecast; the next value begins a past, with weights that are kept', async t => {
  const z = normal(2), x = Array.from({ length: 300 }, (_, i) => Math.sin(i / 2) + z() / 10)
  t.ok(after([4], [...x, -Infinity], 3).every(Number.isNaN))
  t.ok(after([4], [...x, NaN, 0.5], 3).every(Number.isFinite))
})

t.test('a step that is passed goes on as expected', async t => {
  const model = new SeasonalAutoregression([6], 4, 2000), m = new Float64Array(AT + model.width)
  for (let i = 0; i < 120; i++) model.learn(m, AT, [1, 5, 9, 4, 2, 3][i % 6])
  const before = model.extend(m, AT, 4).slice(model.length)
  model.pass(m, AT)
  const now = model.extend(m, AT, 3).slice(model.length, model.length + 3)
  now.forEach((y, h) => t.ok(Math.abs(y - before[h + 1]) < 1e-9))
})
