/**
 * What a series was when it was last this hour of the week (seasonal naive), and how far its readings usually are from what is
 * expected then. An hour is learned when it is over: its mean, and half of what is new of the distance. Hours are those of UTC.
 *
 * 1,384 bytes. Two numbers share a place as float32: means are kept as they differ from the first value, to 7 digits of that.
 * Where these do not reach down to what matters, as the first value was wild, all begins anew.
 */
import { numbered } from './fields.ts'
import { first, pair, second } from './halves.ts'

const HOUR = 3_600_000, HOURS = 168
const LEAST = 1e-37                  // a distance of 0: an hour with 0 has not been
const ROUNDING = 2 ** -24, MATTERS = 1e-6      // of a value, and no less than it usually is off

/** One series: the running hour, the first value; how many readings are in this hour, the sum of their values; how many had a distance, the sum of these. For each hour of the week its mean and its distance. */
export const weekly = { running: NaN, origin: 0, count: 0, sum: 0, distances: 0, distance: 0, ...numbered('hour', HOURS) }
export const WEEKLY = Object.keys(weekly).length
const RUNNING = 0, ORIGIN = 1, COUNT = 2, SUM = 3, DISTANCES = 4, DISTANCE = 5, MEANS = 6

const placeOf = (at: number, hour: number): number => at + MEANS + hour - Math.floor(hour / HOURS) * HOURS

/** The mean of the last such hour before the one of `time` (ms); NaN when there was none. */
export function usual (m: Float64Array, at: number, time: number): number {
  const both = m[placeOf(at, Math.floor(time / HOUR))]
  return both === 0 ? NaN : m[at + ORIGIN] + first(both)
}

/** How far readings usually are from what is expected at such an hour; 0 when that is not known. */
export function distance (m: Float64Array, at: number, time: number): number {
  const far = second(m[placeOf(at, Math.floor(time / HOUR))])
  return far > LEAST ? far : 0
}

/** Takes in a value, and its distance unless that is NaN. One that is older than the running hour teaches nothing. */
export function learn (m: Float64Array, at: number, time: number, value: number, away: number): void {
  const hour = Math.floor(time / HOUR), running = m[at + RUNNING]
  if (hour < running) return
  if (Number.isNaN(running)) m[at + ORIGIN] = value
  else if (hour > running) {
    if (isLost(m, at)) {
      m[at + ORIGIN] += m[at + SUM] / m[at + COUNT]
      m.fill(0, at + COUNT, at + WEEKLY)
    } else close(m, at, placeOf(at, running))
  }
  m[at + RUNNING] = hour
  m[at + COUNT]++
  m[at + SUM] += value - m[at + ORIGIN]
  if (Number.isNaN(away)) return
  m[at + DISTANCES]++
  m[at + DISTANCE] += away
}

/** Whether the first value is so far from the mean of the running hour that what rounding takes of that matters. Then it is 17 times as large or more, so this comes to an end. */
function isLost (m: Float64Array, at: number): boolean {
  const off = m[at + SUM] / m[at + COUNT], far = m[at + DISTANCES] > 0 ? m[at + DISTANCE] / m[at + DISTANCES] : 0
  return Math.abs(off) * ROUNDING > Math.max(far, MATTERS * Math.abs(m[at + ORIGIN] + off))
}

function close (m: Float64Array, at: number, place: number): void {
  const n = m[at + DISTANCES], before = second(m[place]), now = m[at + DISTANCE] / n
  m[place] = pair(m[at + SUM] / m[at + COUNT], Math.max(LEAST, n === 0 ? before : before > LEAST ? (before + now) / 2 : now))
  m.fill(0, at + COUNT, at + MEANS)
}
