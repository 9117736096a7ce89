/** How a series of a portfolio (portfolio.ts) begins, and goes from one level to another. Seldom. */
import * as autoregressive from './autoregression.ts'
import * as doubts from './doubt.ts'
import { places } from './portfolio-memory.ts'
import * as regimes from './regime.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

const { AR, CHANGE, CHANGES, DOUBT, DRIFT, ERROR, ERRORS, FAST_MEAN, JUMP, K, KNOWN, MIDDLE_MEAN, N, REGIME, SEASON, SLOW_MEAN, START, TAILS } = places
const { TAIL, FIRST } = tails

const ALIKE = 3                      // sizes that differ by less may be the same: of so few readings
const NO_TAIL = Object.values(tails.tail)
const median = (sorted: Float64Array): number => (sorted[START / 2 - 1] + sorted[START / 2]) / 2

/** Keeps value n of the first START; of all of them level and scale begin. The scale is the median distance from the median, or when that is 0 the mean of all changes but the two largest. */
export function begin (m: Float64Array, at: number, value: number, n: number): void {
  m[at + TAILS + n - 1] = value
  if (n < START) return
  const first = m.slice(at + TAILS, at + TAILS + START), changes = first.subarray(1).map((x, i) => Math.abs(x - first[i])).sort(), level = median(first.sort())
  const distance = median(first.map(x => Math.abs(x - level)).sort()), scale = distance || changes.subarray(0, START - 3).reduce((a, b) => a + b) / (START - 3)
  start(m, at, level, scale)
  doubts.begin(m, at + DOUBT, distance === 0)
}

/** All begins with a level and a scale, but what is known of hours and of other levels. */
function start (m: Float64Array, at: number, level: number, scale: number): void {
  m[at + N] = START
  m[at + KNOWN] = 0
  m.fill(0, at + AR, at + AR + autoregressive.AUTOREGRESSION)
  m[at + CHANGE] = m[at + CHANGES] = m[at + ERROR] = m[at + ERRORS] = scale
  seasonal.begin(m, at + SEASON, scale)
  settle(m, at, level)
  for (let k = 0; k <= K; k++) {
    m.set(NO_TAIL, at + TAILS + k * TAIL)
    m[at + TAILS + k * TAIL] = Infinity
  }
}

/**
 * The level has changed for good. If the series has not been there it may have another size of changes too: that of the readings in
 * doubt, when it differs by more than theirs may by chance. What never varied, or has just begun, had nothing to learn from: it begins anew.
 *
 * Where the series stood still in most readings before, the few in doubt may all be alike and yet it moves on, as a counter does: that
 * they differ by less says nothing, and when all before were alike too, what has moved is a step, and no begin.
 */
export function changeLevel (m: Float64Array, at: number, level: number, scatter: number): void {
  const size = m[at + CHANGES], stood = doubts.stood(m, at + DOUBT), isStep = stood && scatter === 0, ratio = scatter / size, n = m[at + N], before = m[at + SLOW_MEAN]
  const anew = n < START + FIRST + doubts.PATIENCE && !isStep || size === 0 && scatter > 0
  if (go(m, at, regimes.find(m, at + REGIME, level, Math.max(size, scatter), Math.abs(level - m[at + MIDDLE_MEAN])), level, anew) && !anew) return
  if (anew) return start(m, at, level, scatter)
  settle(m, at, level)
  if (isStep && size === 0) return measure(m, at, Math.abs(level - before) / n, Math.abs(level - before) / n)
  if (ratio > ALIKE || ratio < 1 / ALIKE && !stood) resize(m, at, scatter, m[at + ERRORS] * ratio)
}

/** The series goes with a value to the regime at place k, and is there as it was there; its level may be another, and where the series stood still its changes are no smaller than they were. False if it has not stayed there before, or has no place: then nothing is known but the level, if that. */
export function go (m: Float64Array, at: number, k: number, value: number, early = false): boolean {
  const there = regimes.leave(m, at + REGIME, k, { level: m[at + SLOW_MEAN], size: doubts.isNew(m, at + DOUBT) && !regimes.isKnown(m, at + REGIME) ? -1 : m[at + CHANGES], error: m[at + ERRORS] }, early)
  if (there === undefined) return false
  settle(m, at, Math.abs(value - there.level) > regimes.WIDTH * Math.max(there.size, m[at + CHANGES]) ? value : there.level)
  if (there.size < 0) return false
  if (there.size > m[at + CHANGES] || !doubts.stood(m, at + DOUBT)) resize(m, at, there.size, there.error)
  return true
}

/** Changes and errors are of another size from now on, and what counts in their unit is as large. */
function resize (m: Float64Array, at: number, size: number, error: number): void {
  const by = regimes.ratio(size, m[at + CHANGES])
  measure(m, at, size, error)
  if (by === 1) return
  autoregressive.rescale(m, at + AR, by)
  for (let k = JUMP; k <= DRIFT; k++) tails.rescale(m, at + TAILS + k * TAIL, by)
}

/** Changes and errors are of a size from now on. */
function measure (m: Float64Array, at: number, size: number, error: number): void {
  m[at + CHANGE] = m[at + CHANGES] = size
  m[at + ERROR] = m[at + ERRORS] = error
}

function settle (m: Float64Array, at: number, level: number): void {
  m[at + FAST_MEAN] = m[at + MIDDLE_MEAN] = m[at + SLOW_MEAN] = level
  autoregressive.begin(m, at + AR, level)
}
