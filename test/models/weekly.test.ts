import assert from 'node:assert/strict'
import t from 'tap'
import { distance, learn, usual, weekly, WEEKLY } from '../../models/weekly.ts'

const HOUR = 3_600_000, WEEK = 168 * HOUR, AT = 2

/** Two weeks of these values, four an hour. */
function weeks (values: (i: number) => number, away = 0.1) {
  const m = Float64Array.of(...Array.from({ length: AT }, () => NaN), ...Object.values(weekly), NaN), last = AT + WEEKLY
  for (let i = 0; i < 2 * 168 * 4; i++) learn(m, AT, i * HOUR / 4, values(i), away)
  assert.ok(Number.isNaN(m[0]) && Number.isNaN(m[last]), 'what stands beside it was touched')
  return (hour: number) => [usual(m, AT, 2 * WEEK + hour * HOUR), distance(m, AT, 2 * WEEK + hour * HOUR)]
}
const value = (i: number) => 20 + Math.floor(i / 4) % 24

t.test('what was usual at an hour of the week is the mean of the last such hour, and how far off readings were', async t => {
  const of = weeks(value)
  for (const hour of [1, 30, 100]) {
    const [usually, far] = of(hour)
    t.ok(Math.abs(usually - 20 - hour % 24) < 1e-5 && Math.abs(far - 0.1) < 1e-6, `${hour}: ${usually}, ${far}`)
  }
})

t.test('a first value that is wild costs no digits for long', async t => {
  for (const wild of [65_535, 1e12, 1e38, -1e99]) {
    const of = weeks(i => i === 0 ? wild : value(i))
    for (const hour of [1, 30, 100]) t.ok(Math.abs(of(hour)[0] - 20 - hour % 24) < 0.1, `${wild}, ${hour}: ${of(hour)[0]}`)
  }
})

t.test('a series that is far from its first value by nature is learned all the same', async t => {
  for (const [low, high, away] of [[0, 1e6, 0.01], [1e6, 0, 0.01], [5, 0, 0], [0, 5, 0]]) {
    const of = weeks(i => Math.floor(i / 4) % 24 < 12 ? low : high, away)
    t.ok(Math.abs(of(30)[0] - low) < 0.1 && Math.abs(of(90)[0] - high) < 0.1, `${low}, ${high}: ${of(30)[0]}, ${of(90)[0]}`)
  }
})
