/**
 * What is usual at an hour of the day and on a day of the week (UTC), as two parts that add up. An hour has the mean of its
 * readings and their mean absolute deviation from what was expected; a day of the week has what its readings lie above or below
 * their hours. Both learn when the hour or the day is over, with gain 1 / (days or weeks so far + 1), at least 1 / 14 and
 * 1 / 8. Before an hour of the day has been seen once nothing is usual in it; days of the week come in after the first week.
 * 504 bytes per stream.
 */
import { numbered } from './fields.ts'

const HOUR = 3_600_000, HOURS = 24, WEEK = 7
const DAYS = 14, WEEKS = 8           // how many days and weeks a mean goes back

/** One stream: its first hour, the running hour with its sums, the running day likewise, the general size of deviations; then hours' means, hours' deviations, days of the week. */
export const season = { began: NaN, hour: NaN, count: 0, sum: 0, off: 0, dayCount: 0, dayOff: 0, size: 0, ...numbered('mean', HOURS, NaN), ...numbered('spread', HOURS), ...numbered('day', WEEK) }
export const SEASON = Object.keys(season).length
const BEGAN = 0, RUNNING = 1, COUNT = 2, SUM = 3, OFF = 4, DAY_COUNT = 5, DAY_OFF = 6, SIZE = 7, MEAN = 8, SPREAD = MEAN + HOURS, WEEKDAY = SPREAD + HOURS

const mod = (a: number, b: number) => a - Math.floor(a / b) * b
const weekdayOf = (hour: number) => mod(Math.floor(hour / HOURS), WEEK)

/** An hour of history: its number since 1970, its place in the day and that of its day in the week (0 is Thursday). */
export class Hour {
  number = NaN
  ofDay = 0
  weekday = 0
  private begin = NaN

  /** Moves to the hour of a time (ms). Mostly it is the same. */
  to (time: number): this {
    if (time >= this.begin && time < this.begin + HOUR) return this
    this.number = Math.floor(time / HOUR)
    this.begin = this.number * HOUR
    this.ofDay = mod(this.number, HOURS)
    this.weekday = weekdayOf(this.number)
    return this
  }
}

/** What is usual at an hour; NaN when nothing is. */
export const usual = (m: Float64Array, at: number, { ofDay, weekday }: Hour): number => m[at + MEAN + ofDay] + m[at + WEEKDAY + weekday]

/** By how much readings usually differ from it: of this hour and in general, in equal parts, as an hour alone has little to go by. */
export const spread = (m: Float64Array, at: number, { ofDay }: Hour): number => (m[at + SPREAD + ofDay] + m[at + SIZE]) / 2

/** By how much readings usually differ from it at any hour. */
export const size = (m: Float64Array, at: number): number => m[at + SIZE]

/** Takes in a value that was `off` from what was expected; `gain` is its weight in the general size of deviations. A reading that is older than the running hour teaches no season. */
export function learn (m: Float64Array, at: number, { number: hour, weekday }: Hour, value: number, off: number, gain: number): void {
  const running = m[at + RUNNING], size = Math.abs(off)
  m[at + SIZE] += (size - m[at + SIZE]) * gain
  if (hour < running) return
  if (hour !== running) {
    if (Number.isNaN(running)) m[at + BEGAN] = hour
    else close(m, at, hour)
    m[at + RUNNING] = hour
  }
  m[at + COUNT]++
  m[at + SUM] += value - m[at + WEEKDAY + weekday]
  m[at + OFF] += size
  m[at + DAY_COUNT]++
  m[at + DAY_OFF] += off
}

/** The running hour is over, and with it the day, when `next` is in another. */
function close (m: Float64Array, at: number, next: number): void {
  const hour = m[at + RUNNING], days = Math.floor((hour - m[at + BEGAN]) / HOURS)
  const mean = at + MEAN + mod(hour, HOURS), deviation = at + SPREAD + mod(hour, HOURS)
  const gain = 1 / Math.min(days + 1, DAYS), count = m[at + COUNT], first = Number.isNaN(m[mean])
  m[deviation] = first ? m[at + SIZE] : m[deviation] + gain * (m[at + OFF] / count - m[deviation])
  m[mean] = first ? m[at + SUM] / count : m[mean] + gain * (m[at + SUM] / count - m[mean])
  m[at + COUNT] = m[at + SUM] = m[at + OFF] = 0
  if (Math.floor(next / HOURS) === Math.floor(hour / HOURS)) return
  const weeks = Math.floor(days / WEEK)
  if (weeks > 0) m[at + WEEKDAY + weekdayOf(hour)] += m[at + DAY_OFF] / m[at + DAY_COUNT] / Math.min(weeks + 1, WEEKS)
  m[at + DAY_COUNT] = m[at + DAY_OFF] = 0
}
