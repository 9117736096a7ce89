/**
 * What is usual at an hour of the day and on a day of the week (UTC), as two parts that add up. An hour has the mean of its
 * readings and their mean absolute deviation from what was expected; a day of the week has what its hours lie above or below
 * those of other days. Both learn when an hour is over, with gain 1 / (days so far + 1) and a 24th of 1 / (weeks so far + 1), at
 * least 1 / 14 and a 24th of 1 / 8. Before an hour of the day has been seen once nothing is usual in it; days of the week come in
 * after the first week. A reading counts as at most CLIP usual deviations from what is usual (Huber 1964). 488 bytes per stream.
 */
import { numbered } from './fields.ts'

const HOUR = 3_600_000, HOURS = 24, WEEK = 7
const DAYS = 14, WEEKS = 8           // how many days and weeks a mean goes back
const CLIP = 10, TINY = 1e-9         // usual deviations; of a value

/** One stream: its first hour, the running hour with its sums, the general size of deviations; then hours' means, hours' deviations, days of the week. */
export const season = { began: NaN, hour: NaN, count: 0, sum: 0, off: 0, size: 0, ...numbered('mean', HOURS, NaN), ...numbered('spread', HOURS), ...numbered('day', WEEK) }
export const SEASON = Object.keys(season).length
const BEGAN = 0, RUNNING = 1, COUNT = 2, SUM = 3, OFF = 4, SIZE = 5, MEAN = 6, SPREAD = MEAN + HOURS, WEEKDAY = SPREAD + HOURS

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

/** By how much readings usually differ from it, or from a level when nothing is usual: of this hour and in general, in equal parts, as an hour alone has little to go by. */
export const spread = (m: Float64Array, at: number, { ofDay }: Hour): number => Number.isNaN(m[at + MEAN + ofDay]) ? m[at + SIZE] : (m[at + SPREAD + ofDay] + m[at + SIZE]) / 2

/** By how much readings usually differ from it at any hour. */
export const size = (m: Float64Array, at: number): number => m[at + SIZE]

/** The size of deviations to begin with. */
export function begin (m: Float64Array, at: number, size: number): void { m[at + SIZE] = size }

/**
 * Takes in a value that was `off` from what was expected; `gain` is its weight in the general size of deviations. A reading that
 * is older than the running hour teaches no season.
 */
export function learn (m: Float64Array, at: number, of: Hour, value: number, off: number, gain: number): void {
  const { number: hour, weekday } = of
  const running = m[at + RUNNING], expected = value - off, least = TINY * Math.min(Math.abs(value), Math.abs(expected)) || Number.MIN_VALUE
  const bound = CLIP * Math.max(spread(m, at, of), least), within = off > bound ? bound : off < -bound ? -bound : off, size = Math.abs(within)
  m[at + SIZE] += (size - m[at + SIZE]) * gain
  if (hour < running) return
  if (hour !== running) {
    if (Number.isNaN(running)) m[at + BEGAN] = hour
    else close(m, at)
    m[at + RUNNING] = hour
  }
  m[at + COUNT]++
  m[at + SUM] += (within === off ? value : expected + within) - m[at + WEEKDAY + weekday]
  m[at + OFF] += size
}

/** The running hour is over. */
function close (m: Float64Array, at: number): void {
  const hour = m[at + RUNNING], days = Math.floor((hour - m[at + BEGAN]) / HOURS), weeks = Math.floor(days / WEEK)
  const mean = at + MEAN + mod(hour, HOURS), deviation = at + SPREAD + mod(hour, HOURS)
  const gain = 1 / Math.min(days + 1, DAYS), count = m[at + COUNT], average = m[at + SUM] / count
  if (Number.isNaN(m[mean])) {
    m[deviation] = m[at + SIZE]
    m[mean] = average
  } else {
    if (weeks > 0) m[at + WEEKDAY + weekdayOf(hour)] += (average - m[mean]) / HOURS / Math.min(weeks + 1, WEEKS)
    m[deviation] += gain * (m[at + OFF] / count - m[deviation])
    m[mean] += gain * (average - m[mean])
  }
  m[at + COUNT] = m[at + SUM] = m[at + OFF] = 0
}
