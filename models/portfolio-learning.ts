/** How a portfolio (portfolio.ts) learns a reading that it has judged. */
import * as autoregressive from './autoregression.ts'
import * as doubts from './doubt.ts'
import { barAfter, weightAt } from './news.ts'
import { begin, changeLevel } from './portfolio-levels.ts'
import type { Portfolio } from './portfolio.ts'
import { places } from './portfolio-memory.ts'
import * as regimes from './regime.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

const { AR, BAR, CHANGE, CHANGES, CLIP, DOUBT, DRIFT, DYNAMICS, ERROR, ERRORS, FAST, FAST_MEAN, INTERVAL, JUMP, K, KNOWN, LAST, LEVEL, MIDDLE, MIDDLE_MEAN, N, NEWEST, NOISE, REGIME, SEASON, SEASONAL, SHIFT, SLOW, SLOW_MEAN, START, TAILS, TINY } = places
const { TAIL, FIRST, MEMORY, EXCESSES, MOST, stay } = tails

/** Takes in the reading that was scored last, or the first of a series. A time older than the newest counts as the newest. */
export function learn (m: Float64Array, at: number, r: Portfolio): void {
  const { value, time, doubted, predicted } = r, n = ++m[at + N], newest = m[at + NEWEST], bySlow = n < SLOW ? 1 / n : 1 / SLOW
  if (n > 1) m[at + INTERVAL] += (pause(time > newest ? time - newest : 0, m[at + INTERVAL]) - m[at + INTERVAL]) * (n === 2 ? 1 : bySlow)
  if (time > newest) m[at + NEWEST] = time
  if (n <= START) return begin(m, at, value, n)
  calibrate(m, at, r)
  const byMiddle = n < MIDDLE ? 1 / n : 1 / MIDDLE, slow = m[at + SLOW_MEAN], tiny = TINY * Math.min(Math.abs(slow), Math.abs(value)) || Number.MIN_VALUE
  const most = CLIP * Math.max((m[at + ERROR] + m[at + ERRORS]) / 2, tiny), error = Math.abs(value - predicted)
  const believed = doubted ? predicted : value, size = doubted ? most : error, change = doubted ? CLIP * Math.max(m[at + CHANGES], tiny) : r.x[JUMP]
  const { step } = r
  step.value = believed
  step.level = slow
  step.scale = seasonal.size(m, at + SEASON)
  step.clip = most
  autoregressive.learn(m, at + AR, step)
  r.gain = bySlow
  seasonal.learn(m, at + SEASON, r.hour, r)
  if (!doubted || m[at + CHANGES] > 0) {
    const slower = doubted ? 1 / SLOW : bySlow
    m[at + CHANGE] = doubted ? m[at + CHANGE] + (change - m[at + CHANGE]) / FAST : r.change
    m[at + CHANGES] += (change - m[at + CHANGES]) * slower
    m[at + ERROR] += (size - m[at + ERROR]) * (doubted ? 1 / MIDDLE : byMiddle)
    m[at + ERRORS] += (size - m[at + ERRORS]) * slower
  }
  m[at + FAST_MEAN] = doubted ? m[at + FAST_MEAN] + (believed - m[at + FAST_MEAN]) / FAST : r.fast
  m[at + MIDDLE_MEAN] += (believed - m[at + MIDDLE_MEAN]) * byMiddle
  m[at + SLOW_MEAN] += (believed - slow) * bySlow
  doubt(m, at, r)
}

/** A pause counts as at most CLIP usual intervals: a device that was off for months is no slow one. */
const pause = (span: number, usual: number): number => usual > 0 && span > CLIP * usual ? CLIP * usual : span

/** What is in doubt, and goes on. */
function doubt (m: Float64Array, at: number, r: Portfolio): void {
  if (!r.doubted) {
    if (doubts.isInDoubt(m, at + DOUBT)) regimes.meet(m, at + REGIME, doubts.mean(m, at + DOUBT), m[at + CHANGES])
    return doubts.pass(m, at + DOUBT, r.x[JUMP] === 0)
  }
  doubts.take(m, at + DOUBT, r.value, r.predicted, m[at + CHANGES])
  if (!doubts.isOver(m, at + DOUBT)) return
  const level = doubts.mean(m, at + DOUBT)
  doubts.end(m, at + DOUBT)
  changeLevel(m, at, level, doubts.scatter(m, at + DOUBT))
}

/**
 * The tails take in what was scored, those but the season's as number n - START of each. Mostly nothing of it is beyond a threshold: that
 * is written out, without a loop, in each turn of which V8 reads all again, and without a call that is given a number, which it copies to the heap.
 */
function calibrate (m: Float64Array, at: number, r: Portfolio): void {
  const n = m[at + N] - START, bar = m[at + BAR], t = at + TAILS
  const known = r.seasonal ? ++m[at + KNOWN] : MEMORY
  m[at + BAR] = barAfter(bar, r.evidence)
  if (r.unusual || r.doubted || n <= FIRST || known <= FIRST) return learnTails(m, at, r, bar)
  const first = weightAt(bar), gain = n < MEMORY ? first / n : first / MEMORY
  stay(m, t, gain)
  stay(m, t + LEVEL * TAIL, gain)
  stay(m, t + SHIFT * TAIL, gain)
  stay(m, t + DRIFT * TAIL, gain)
  stay(m, t + DYNAMICS * TAIL, gain)
  stay(m, t + NOISE * TAIL, gain)
  stay(m, at + LAST, gain)
  if (r.seasonal) stay(m, t + SEASONAL * TAIL, first / Math.min(known, MEMORY))
}

/** The same whatever was scored; `bar` is what the reading before has left. */
function learnTails (m: Float64Array, at: number, { x, seasonal, doubted, onTheWay, largest }: Portfolio, bar: number): void {
  const n = m[at + N] - START, known = m[at + KNOWN], t = at + TAILS, season = t + SEASONAL * TAIL
  const first = weightAt(bar), weight = weightAt(m[at + BAR]), gain = first / Math.min(n, MEMORY)
  const again = doubted && (onTheWay || doubts.isInDoubt(m, at + DOUBT) || m[at + CHANGES] === 0)
  if (n <= FIRST) beginEach(m, t, x, n)
  else if (!again) for (let k = 0; k < K; k++) if (k !== SEASONAL) tails.learn(m, t + k * TAIL, x[k], gain, weight, EXCESSES)
  if (seasonal && known <= FIRST) tails.begin(m, season, x[SEASONAL], known)
  else if (seasonal && !again) tails.learn(m, season, x[SEASONAL], first / Math.min(known, MEMORY), weight, EXCESSES)
  if (n === FIRST) tails.start(m, at + LAST, 0, tails.DECADE, EXCESSES)
  else if (n > FIRST && !again) tails.learn(m, at + LAST, largest, gain, first, MOST)
}

function beginEach (m: Float64Array, t: number, x: Float64Array, n: number): void {
  for (let k = 0; k < K; k++) if (k !== SEASONAL) tails.begin(m, t + k * TAIL, x[k], n)
}
