import t from 'tap'
import { begin, Hour, learn, season, SEASON, spread, usual } from '../../models/season.ts'

const HOUR = 3_600_000, DAY = 24 * HOUR, MONDAY = Date.UTC(2026, 0, 5)
const AT = 3
/** A reading every ten minutes for so many days; what it is off from what is usual, or from 0. */
function learned (days: number, value: (time: number) => number, size = 1000): Float64Array {
  const m = new Float64Array(AT + SEASON)
  m.set(Object.values(season), AT)
  begin(m, AT, size)
  const hour = new Hour()
  for (let i = 0; i <= days * 144; i++) give(m, hour, MONDAY + i * DAY / 144, value)
  return m
}
function give (m: Float64Array, hour: Hour, time: number, value: (time: number) => number): void {
  const before = usual(m, AT, hour.to(time)), x = value(time)
  learn(m, AT, hour, { value: x, off: x - (Number.isNaN(before) ? 0 : before), gain: 0.001 })
}
const at = (m: Float64Array, time: number) => usual(m, AT, new Hour().to(time))
const ofDay = (time: number) => 10 * Math.floor(time % DAY / HOUR)

t.test('an hour is known when it has been seen once', async t => {
  const m = learned(0.5, ofDay)
  t.equal(at(m, MONDAY + DAY + 11 * HOUR), 110)
  t.ok(Number.isNaN(at(m, MONDAY + DAY + 13 * HOUR)))
})

t.test('hours have means of their own, also before 1970', async t => {
  const m = learned(5, ofDay)
  for (const h of [0, 7, 23]) t.equal(at(m, MONDAY + h * HOUR + 1), 10 * h)
  t.equal(at(m, -1), 230)
})

t.test('days of the week differ once there are weeks', async t => {
  const weekend = (time: number) => (time - MONDAY) % (7 * DAY) >= 5 * DAY ? 30 : 100
  const m = learned(70, weekend)
  t.ok(Math.abs(at(m, MONDAY + 71 * DAY) - 100) < 5, `${at(m, MONDAY + 71 * DAY)}`)
  t.ok(Math.abs(at(m, MONDAY + 75.5 * DAY) - 30) < 15, `${at(m, MONDAY + 75.5 * DAY)}`)
})

t.test('an hour that varies more is wider', async t => {
  const m = learned(20, time => (time % DAY < 12 * HOUR ? 1 : 9) * (Math.floor(time / DAY * 144) % 2 * 2 - 1), 5)
  const wide = spread(m, AT, new Hour().to(MONDAY + 20 * HOUR)), narrow = spread(m, AT, new Hour().to(MONDAY + 2 * HOUR))
  t.ok(wide > 2 * narrow && narrow > 0, `${wide} ${narrow}`)
})

t.test('one wild reading moves its hour by no more than ten usual deviations do', async t => {
  const noisy = (time: number) => ofDay(time) + Math.sin(time), calm = learned(20, noisy, 10), wild = learned(20, time => time === MONDAY + 10 * DAY + 5 * HOUR ? 65_535 : noisy(time), 10)
  for (let h = 0; h < 24; h++) t.ok(Math.abs(at(wild, MONDAY + 21 * DAY + h * HOUR) - at(calm, MONDAY + 21 * DAY + h * HOUR)) < 1, `${h}`)
  t.ok(spread(wild, AT, new Hour().to(MONDAY + 5 * HOUR)) < 1.5 * spread(calm, AT, new Hour().to(MONDAY + 5 * HOUR)))
})

t.test('a reading from an hour that is over teaches nothing', async t => {
  const m = learned(3, ofDay)
  const hour = new Hour()
  for (let i = 0; i < 50; i++) give(m, hour, MONDAY + DAY, () => 1e6)
  give(m, hour, MONDAY + 3 * DAY + HOUR, ofDay)
  for (const h of [0, 1, 23]) t.equal(at(m, MONDAY + h * HOUR), 10 * h)
})
