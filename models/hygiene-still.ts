/**
 * How unlikely a long spell is in a series that stands still by nature: a battery level, a set point, a door, a counter. Long is
 * what its short spells make as unlikely as an alarm (hygiene-spell.ts). What is stuck is a series that was seen to move and stops;
 * so two things speak for nature:
 *
 *   it stood still before    more than half of what it did lately, in readings of long spells and in moves, some 50, was to stand; so it is taken to be from its birth
 *   it stops now and then    OFTEN times, for STAY readings or more, it has come from moving to a stop at a value that did not recur (those that do are rests, hygiene-rests.ts)
 *
 * Then a spell is compared with the long spells before it. Logarithms of their lengths are taken as normal with unknown mean and
 * variance, of which one observation is known beforehand, that of exponential lengths: Student's t (Geisser 1993, Predictive inference).
 * So one spell says next to nothing of how long the next may be, and many equal ones say it well. It is the probability that such a
 * spell begins with a reading: from a stop one begins as often as they are long, from moving as often as it did. 48 bytes per series.
 */
import { ofNormal } from './surprisal.ts'
import { normalOf } from './significance.ts'
import { STAY } from './hygiene-levels.ts'
import { MEMORY } from './runs.ts'

/** Long spells; of the logarithm of their lengths, in readings, mean and variance; their share lately; readings of others; stops from moving. */
export const still = { spells: 0, mean: 0, variance: 0, share: 1, moved: 0, stops: 0 }
export const STILL = Object.keys(still).length
const SPELLS = 0, MEAN = 1, VARIANCE = 2, SHARE = 3, MOVED = 4, STOPS = 5

const HALF = 0.5
const KEEP = 1 - 1 / 50              // of the share, in a reading
const OFTEN = 3                      // stops that are told
const PRIOR = Math.PI ** 2 / 6       // variance of the logarithm of an exponential number
const LENGTHS = 20                   // long spells that mean and variance go back, so that one three times as usual never is an alarm: a change may lead to what was there

/** -log10 of the probability that a spell begins here by nature and has at least so many repeats; Infinity where none does. */
export function unlikely (m: Float64Array, at: number, repeats: number): number {
  const n = m[at + SPELLS], stood = m[at + SHARE] > HALF
  if (n === 0) return stood ? 0 : Infinity
  if (!stood && m[at + STOPS] < OFTEN) return Infinity
  const begins = stood ? m[at + MEAN] : Math.log(Math.max(1, m[at + MOVED] / m[at + STOPS]))
  const t = (Math.log(repeats + 1) - m[at + MEAN]) / Math.sqrt((PRIOR / n + m[at + VARIANCE]) * (1 + 1 / n))
  return (begins + ofNormal(normalOf(Math.max(0, t), n))) / Math.LN10
}

/** A spell of so many repeats, 0 for none, that is not long has ended. */
export function move (m: Float64Array, at: number, repeats: number): void {
  m[at + SHARE] *= KEEP
  m[at + MOVED] += repeats + 1
  if (m[at + MOVED] < MEMORY) return
  m[at + MOVED] /= 2
  m[at + STOPS] /= 2
}

/** A long one has ended, at a value at which such have ended so many times before. */
export function stand (m: Float64Array, at: number, repeats: number, before: number): void {
  if (repeats >= STAY && m[at + SHARE] <= HALF) {
    if (before === 0) m[at + STOPS]++
    else if (before === 1) m[at + STOPS] = Math.max(0, m[at + STOPS] - 1)
  }
  const n = Math.min(++m[at + SPELLS], LENGTHS), off = Math.log(repeats + 1) - m[at + MEAN]
  m[at + SPELLS] = n
  m[at + MEAN] += off / n
  m[at + VARIANCE] = (1 - 1 / n) * (m[at + VARIANCE] + off * off / n)
  m[at + SHARE] = 1 - (1 - m[at + SHARE]) * KEEP ** (repeats + 1)
}
