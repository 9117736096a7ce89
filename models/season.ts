/**
 * What is usual at an hour of the day and on a day of the week, by the clock that it is given. Days are of one kind or of two, such as working days and
 * days off, each with a mean for every hour of the day; which weekday is of which kind, and whether there are two at all, is
 * learned (day-kinds.ts). A weekday may also lie above or below its kind as a whole. An hour has a mean absolute deviation from
 * what was expected, the same for both kinds.
 *
 * Means learn when an hour is over, with gain 1 / (days so far + 1), at least 1 / DAYS with one kind and more with the fewer days
 * of each of two; a weekday's level with a 24th of 1 / (weeks so far + 1), at least a 24th of 1 / WEEKS. Before an hour of the day
 * has been seen once nothing is usual in it. A reading counts as at most CLIP usual deviations from what is usual (Huber 1964).
 *
 * A series begins with one kind. What a second would be is kept beside it, as what the first does not explain of weekdays whose
 * levels are far from those of others, and tried on each day before it is learned; it counts when it foretells better, after four
 * weeks or so. Then a day that is not of the kind of its weekday, a holiday, teaches no mean. A weekday changes its kind after
 * four such days in a row.
 *
 * 488 bytes per stream. Pairs of numbers share a place as float32: deviations, levels, and by how much kinds differ, are known to
 * 7 digits between 1e-38 and 1e38; means of the first kind are float64. So values of 1e9 + x lose nothing of x, but where kinds
 * are 1e9 apart the second is known to 64.
 */
import { countsOf, groupOf, isIn, isSecond, secondWith, shareOf, WEEK } from './day-kinds.ts'
import { numbered } from './fields.ts'

const HOUR = 3_600_000, HOURS = 24
const DAYS = 14, WEEKS = 8           // how many days and weeks a mean goes back
const LATELY = 6, SOON = 2           // how many of its last days tell of which kind a weekday is; and whether kinds foretell it better
const ENOUGH = 0.75                  // of days foretold better, for kinds to begin
const EXPLAINED = 0.25               // of the variance of the kinds of days between weekdays, for kinds to go on
const HABIT = 9                      // usual deviations that what a weekday was lately counts: an hour that is surely of the other kind outweighs it
const CLIP = 10, TINY = 1e-9         // usual deviations; of a value
const LARGEST = 3e38                 // of a float32

/**
 * One stream: the running hour with the sum of its readings, and the general size of deviations. Then pairs: how many readings
 * those are, and the sum of their deviations; what was beyond the bound of them, and by how many deviations today speaks for a
 * second kind; the first hour, and when kinds last changed; for each weekday what is kept of its kind (day-kinds.ts), and its
 * level. Then the means of the first kind, and pairs: by how much the second differs, 0 for alike; the deviation.
 */
export const season = { hour: NaN, sum: 0, size: 0, count_off: 0, beyond_today: 0, began_changed: 0, ...numbered('weekday', WEEK), ...numbered('mean', HOURS, NaN), ...numbered('differs_spread', HOURS) }
export const SEASON = Object.keys(season).length
const RUNNING = 0, SUM = 1, SIZE = 2, MEAN = 6 + WEEK
// In halves of a place, from 2 * at.
const COUNT = 6, OFF = 7, BEYOND = 8, TODAY = 9, BEGAN = 10, CHANGED = 11, SHARE = 12, LEVEL = 13, DIFFERS = 2 * (MEAN + HOURS), SPREAD = DIFFERS + 1

const mod = (a: number, b: number) => a - Math.floor(a / b) * b
const weekdayOf = (hour: number) => mod(Math.floor(hour / HOURS), WEEK)
const limited = (x: number, by: number): number => x > by ? by : x < -by ? -by : x

/** An hour of history: its number since 1970, its place in the day and that of its day in the week (0 is Thursday). */
export class Hour {
  number = NaN
  ofDay = 0
  weekday = 0
  private begin = NaN
  private memory: Float64Array | undefined
  private halves: Float32Array = new Float32Array(0)

  /** Moves to the hour of a time (ms). Mostly it is the same. */
  to (time: number): this {
    if (time >= this.begin && time < this.begin + HOUR) return this
    this.number = Math.floor(time / HOUR)
    this.begin = this.number * HOUR
    this.ofDay = mod(this.number, HOURS) | 0
    this.weekday = weekdayOf(this.number) | 0
    return this
  }

  /** The same memory as halves of its places. Two finite float32 are a finite float64, so whoever copies numbers copies them. */
  pairs (m: Float64Array): Float32Array {
    if (m !== this.memory) {
      this.memory = m
      this.halves = new Float32Array(m.buffer, m.byteOffset, 2 * m.length)
    }
    return this.halves
  }
}

/** What is usual at an hour; NaN when nothing is. */
export function usual (m: Float64Array, at: number, hour: Hour): number {
  const f = hour.pairs(m), weekday = 2 * (at + hour.weekday), first = m[at + MEAN + hour.ofDay] + f[weekday + LEVEL]
  return isSecond(f[weekday + SHARE]) ? first + f[2 * (at + hour.ofDay) + DIFFERS] : first
}

/** By how much readings usually differ from it, or from a level when nothing is usual: of this hour and in general, in equal parts, as an hour alone has little to go by. */
export const spread = (m: Float64Array, at: number, hour: Hour): number =>
  Number.isNaN(m[at + MEAN + hour.ofDay]) ? m[at + SIZE] : (hour.pairs(m)[2 * (at + hour.ofDay) + SPREAD] + m[at + SIZE]) / 2

/** By how much readings usually differ from it at any hour. */
export const size = (m: Float64Array, at: number): number => m[at + SIZE]

/** The size of deviations to begin with. */
export function begin (m: Float64Array, at: number, size: number): void { m[at + SIZE] = size }

/**
 * Takes in a value that was `off` from what was expected; `gain` is its weight in the general size of deviations. A reading that
 * is older than the running hour teaches no season.
 */
export function learn (m: Float64Array, at: number, of: Hour, { value, off, gain }: { readonly value: number, readonly off: number, readonly gain: number }): void {
  const { number: hour } = of, f = of.pairs(m), pairs = 2 * at
  const running = m[at + RUNNING], expected = value - off, least = TINY * Math.min(Math.abs(value), Math.abs(expected)) || Number.MIN_VALUE
  const bound = CLIP * Math.max(spread(m, at, of), least), within = off > bound ? bound : off < -bound ? -bound : off, size = Math.abs(within)
  m[at + SIZE] += (size - m[at + SIZE]) * gain
  if (hour < running) return
  if (hour !== running) {
    if (Number.isNaN(running)) {
      f[pairs + BEGAN] = f[pairs + CHANGED] = hour
      for (let d = 0; d < WEEK; d++) f[pairs + 2 * d + SHARE] = 0.5
    } else {
      close(m, f, at)
      if (Math.floor(hour / HOURS) !== Math.floor(running / HOURS)) {
        closeDay(m, f, at)
        f[pairs + TODAY] = countsOf(f, pairs + SHARE).seconds > 0 ? HABIT * (2 * shareOf(f[pairs + 2 * of.weekday + SHARE]) - 1) : 0
      }
    }
    m[at + RUNNING] = hour
  }
  f[pairs + COUNT]++
  m[at + SUM] += (within === off ? value : expected + within) - f[pairs + 2 * of.weekday + LEVEL]
  f[pairs + OFF] = Math.min(f[pairs + OFF] + size, LARGEST)
  // What is beyond the bound counts at most as much as all of this hour before it and the bound: soon when the hour is so, hardly when a reading is wild.
  if (within !== off) f[pairs + BEYOND] = limited(f[pairs + BEYOND] + limited(off - within, bound + Math.abs(f[pairs + BEYOND])), LARGEST)
}

/** The running hour is over. */
function close (m: Float64Array, f: Float32Array, at: number): void {
  const hour = m[at + RUNNING], pairs = 2 * at, ofDay = mod(hour, HOURS), mean = at + MEAN + ofDay, differs = pairs + 2 * ofDay + DIFFERS, spread = pairs + 2 * ofDay + SPREAD
  const count = f[pairs + COUNT], average = m[at + SUM] / count, deviation = f[pairs + OFF] / count, real = average + f[pairs + BEYOND] / count
  m[at + SUM] = f[pairs + COUNT] = f[pairs + OFF] = f[pairs + BEYOND] = 0
  if (Number.isNaN(m[mean])) {
    f[spread] = Math.min(m[at + SIZE], LARGEST)
    m[mean] = average
    return
  }
  const weekday = pairs + 2 * weekdayOf(hour), level = f[weekday + LEVEL], weeks = weeksUntil(f, at, hour), apart = f[differs] !== 0
  const { seconds, days } = countsOf(f, pairs + SHARE), known = seconds > 0, group = groupOf(f, pairs + LEVEL)
  const second = known ? isSecond(f[weekday + SHARE]) : weeks > 1 && isIn(group, level)
  const scale = Math.max(f[spread], TINY * Math.max(Math.abs(real), Math.abs(m[mean]))) || Number.MIN_VALUE
  const from = (difference: number) => Math.min(Math.abs(real - m[mean] - difference) / scale, CLIP)
  if (apart) f[pairs + TODAY] += from(0) - from(known ? f[differs] : (second ? 1 : -group.odds) * f[differs] - level)

  if (known && second !== f[pairs + TODAY] > 0) return
  const gain = 1 / Math.max(1, Math.min(Math.floor((hour - f[pairs + CHANGED]) / HOURS) + 1, DAYS * (WEEK - seconds) / WEEK))
  if (weeks > 0) f[weekday + LEVEL] = limited(level + (average - m[mean] - (known && second ? f[differs] : 0)) / HOURS / Math.min(weeks + 1, WEEKS), LARGEST)
  f[spread] += gain * (deviation - f[spread])
  const other = second && (apart || !known || from(0) >= 1)
  if (!known || !other) {
    const step = gain * (average - m[mean])
    m[mean] += step
    if (apart) f[differs] = limited(f[differs] - step, LARGEST)
  }
  if (other) {
    const value = known ? average : real + level, n = known ? Math.min(days * LATELY + 1, DAYS) : Math.min(group.count * (weeks - 2) + 1, 2 * group.count)
    const learned = f[differs] + (value - m[mean] - f[differs]) / (apart ? n : 1)
    f[differs] = known && Math.abs(learned) < scale ? 0 : limited(learned, LARGEST)
  }
}

/** The day of the running hour is over. When kinds begin, end, or a weekday changes its own, levels begin anew, and means with what they are as that of a day. */
function closeDay (m: Float64Array, f: Float32Array, at: number): void {
  const hour = m[at + RUNNING], pairs = 2 * at, weekday = pairs + 2 * weekdayOf(hour) + SHARE, known = countsOf(f, pairs + SHARE).seconds > 0, was = isSecond(f[weekday])
  if (f[pairs + TODAY] === 0) return
  const before = shareOf(f[weekday]), share = before + ((f[pairs + TODAY] > 0 ? 1 : 0) - before) / (known ? LATELY : SOON)
  f[weekday] = was ? secondWith(share) : share
  const { seconds, days, explained } = countsOf(f, pairs + SHARE)
  if (!known) {
    if (days < ENOUGH * WEEK) return
    const group = groupOf(f, pairs + LEVEL)
    move(m, f, at, -group.odds)
    for (let d = 0; d < WEEK; d++) f[pairs + 2 * d + SHARE] = isIn(group, f[pairs + 2 * d + LEVEL]) ? secondWith(1) : 0
  } else if (explained < EXPLAINED || seconds === WEEK) {
    if (days > WEEK / 2) move(m, f, at, 1)
    for (let d = 0; d < WEEK; d++) f[pairs + 2 * d + SHARE] = 0.5
  } else if (was === share > 0.5) return
  else f[weekday] = was ? share : secondWith(share)
  for (let d = 0; d < WEEK; d++) f[pairs + 2 * d + LEVEL] = 0
  f[pairs + CHANGED] = hour - HOURS
}

/** Moves the means of the first kind towards those of the second, by this part of what is between them; those of the second stay. */
function move (m: Float64Array, f: Float32Array, at: number, part: number): void {
  for (let h = 0; h < HOURS; h++) {
    const differs = 2 * (at + h) + DIFFERS
    m[at + MEAN + h] += part * f[differs]
    f[differs] = limited((1 - part) * f[differs], LARGEST)
  }
}

/** Weeks from the first hour to this one. */
const weeksUntil = (f: Float32Array, at: number, hour: number): number => Math.floor((hour - f[2 * at + BEGAN]) / (HOURS * WEEK))
