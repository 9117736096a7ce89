/**
 * Levels that a series returns to, such as on and off: its regimes. A level that jumps have led to USUAL times is usual, and that
 * one more leads there is no news; so is the one that a series begins with. The one that it is in, and PLACES others, are remembered: the level, the size of
 * changes in it and of the errors of a prediction, and how often jumps have led to it. For a level that is not among them the one
 * that was met least loses a time, and gives way to it when none is left: so levels that make more than 1 / (PLACES + 1) of the jumps
 * stay, whatever else comes (frequent items, Misra and Gries 1982). Times count as at most MOST, so that what is over is forgotten.
 *
 * Series that switch also have readings on the way, in which the old and the new level are mixed: whether that is usual is
 * remembered too. 56 bytes per stream; nothing of it is read as long as nothing jumps.
 */
import { numbered } from './fields.ts'
import { first, pair, second } from './halves.ts'

const PLACES = 3
const USUAL = 3
const MOST = 16, BASE = 32           // times are digits of one number
export const WIDTH = 10              // usual changes: how far from its level a regime reaches
const PART = 1 / 4                   // of the way to it: so far it reaches too where a series has stayed, as its level may vary with the load
const FLOOR = 1e-3                   // of the larger of two sizes: the smaller counts as no less, so that a series may be at rest in one of its regimes

/** One stream: how often jumps have led to where it is, to the places, and there over values on the way, as digits; levels; sizes, as pairs, below 0 where it has not stayed yet. */
export const regime: Readonly<Record<string, number>> = { times: USUAL, ...numbered('level', PLACES), ...numbered('sizes', PLACES) }
export const REGIME = Object.keys(regime).length
const LEVEL = 1, SIZES = LEVEL + PLACES
const HERE = 0, WAY = PLACES + 1, STAYED = WAY + 1       // digits; that of place k is k + 1; STAYED: 1 when it has been where it is before

/** Where a series is: the level, and the usual sizes of changes and errors; `size` below 0 when they are not known. */
export interface Regime {
  readonly level: number
  readonly size: number
  readonly error: number
}

const times = (m: Float64Array, at: number, digit: number): number => Math.floor(m[at] / BASE ** digit) % BASE
function count (m: Float64Array, at: number, digit: number, times_: number): void { m[at] += (Math.min(times_, MOST) - times(m, at, digit)) * BASE ** digit }

/** Whether the series has stayed at other levels than the one where it is. */
export function hasSeveral (m: Float64Array, at: number): boolean {
  for (let k = 0; k < PLACES; k++) if (hasStayed(m, at, k)) return true
  return false
}

/** Whether the series had stayed where it is before it came there. */
export const isKnown = (m: Float64Array, at: number): boolean => times(m, at, STAYED) > 0

/** The place of the regime that a value belongs to, -1 for none; `size` is the least that changes have there, `way` how far the series has come to it. */
export function find (m: Float64Array, at: number, value: number, size: number, way = 0): number {
  let found = -1, least = Infinity
  for (let k = 0; k < PLACES; k++) {
    const off = Math.abs(value - m[at + LEVEL + k]), reach = Math.max(WIDTH * Math.max(first(m[at + SIZES + k]), size), hasStayed(m, at, k) ? PART * way : 0)
    if (times(m, at, k + 1) > 0 && off < least && off <= reach) { found = k; least = off }
  }
  return found
}

/** Whether it is usual that the series goes to place k. */
export const isUsual = (m: Float64Array, at: number, k: number): boolean => times(m, at, k + 1) >= USUAL

/** Whether the series has stayed at place k. */
export const hasStayed = (m: Float64Array, at: number, k: number): boolean => times(m, at, k + 1) > 0 && first(m[at + SIZES + k]) >= 0

/** Whether a value may be one on the way: it is usual that there are such, and it lies between `level` and a usual regime. */
export function isOnTheWay (m: Float64Array, at: number, value: number, level: number): boolean {
  if (times(m, at, WAY) < USUAL) return false
  for (let k = 0; k < PLACES; k++) if (isUsual(m, at, k) && (value - level) * (value - m[at + LEVEL + k]) < 0) return true
  return false
}

/** A jump has led to a value, and back. */
export function meet (m: Float64Array, at: number, value: number, size: number): void {
  const k = find(m, at, value, size), place = k >= 0 ? k : leastMet(m, at), met = times(m, at, place + 1)
  if (k >= 0) return count(m, at, place + 1, met + 1)
  count(m, at, place + 1, Math.max(met - 1, 0))
  if (met <= 1) remember(m, at, place, { level: value, size: -1, error: 0 }, 1)
}

/** The series has gone over values on the way to where it is. */
export function cross (m: Float64Array, at: number): void { count(m, at, WAY, times(m, at, WAY) + 1) }

/** The series has gone from `here` to the regime at place k, or to one that has no place: -1. Says what is known of where it is now. What it leaves first, and `early`, was no regime yet, and is met for the first time: a series that always switches as soon begins anew no more. */
export function leave (m: Float64Array, at: number, k: number, here: Regime, early: boolean): Regime | undefined {
  const place = k >= 0 ? k : leastMet(m, at), met = k >= 0 ? times(m, at, place + 1) : 0
  const there = k >= 0 ? { level: m[at + LEVEL + k], size: first(m[at + SIZES + k]), error: second(m[at + SIZES + k]) } : undefined
  remember(m, at, place, here, early && !isAnyMet(m, at) ? 1 : times(m, at, HERE))
  count(m, at, HERE, met + 1)
  count(m, at, STAYED, there !== undefined && there.size >= 0 ? 1 : 0)
  return there
}

/** How many times as large as another a size is. */
export function ratio (size: number, other: number): number {
  const least = FLOOR * Math.max(size, other)
  return least > 0 ? Math.max(size, least) / Math.max(other, least) : 1
}

function isAnyMet (m: Float64Array, at: number): boolean {
  for (let k = 0; k < PLACES; k++) if (times(m, at, k + 1) > 0) return true
  return false
}

function leastMet (m: Float64Array, at: number): number {
  let least = 0
  for (let k = 1; k < PLACES; k++) if (times(m, at, k + 1) < times(m, at, least + 1)) least = k
  return least
}

function remember (m: Float64Array, at: number, k: number, { level, size, error }: Regime, times_: number): void {
  m[at + LEVEL + k] = level
  m[at + SIZES + k] = pair(size, error)
  count(m, at, k + 1, times_)
}
