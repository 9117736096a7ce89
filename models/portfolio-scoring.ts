/** How a portfolio (portfolio.ts) judges a reading. */
import * as autoregressive from './autoregression.ts'
import * as doubts from './doubt.ts'
import { logRatioAbove } from './log-ratio.ts'
import { isEvent, isNews } from './news.ts'
import { go } from './portfolio-levels.ts'
import type { Portfolio } from './portfolio.ts'
import { places } from './portfolio-memory.ts'
import * as regimes from './regime.ts'
import * as seasonal from './season.ts'
import * as tails from './tail.ts'

const { AR, BAR, CHANGE, CHANGES, CLIP, DOUBT, DRIFT, DYNAMICS, ERROR, ERRORS, FAST, FAST_MEAN, JUMP, K, LAST, LEVEL, MIDDLE_MEAN, N, NOISE, REGIME, SEASON, SEASONAL, SHIFT, SLOW_MEAN, START, TAILS, TINY } = places
const { TAIL, FIRST } = tails

const LEAST = 0.01                   // of the usual size of changes: smaller ones are all alike
const HOUR = 3_600_000

/** Judges a reading of a series that has had START. Leaves its findings in r. */
export function score (m: Float64Array, at: number, r: Portfolio): void {
  const { x } = r, t = at + TAILS
  r.hour.to(r.clock)
  compare(m, at, r)
  r.onTheWay = false
  if (r.far) place(m, at, r)
  if (doubts.isNew(m, at + DOUBT)) {
    r.seasonal = false
    x[SEASONAL] = 0
  } else if (x[SEASONAL] > m[t + SEASONAL * TAIL] && regimes.hasSeveral(m, at + REGIME)) {
    x[SEASONAL] = Math.min(x[SEASONAL], offSeason(m, at, r, -HOUR), offSeason(m, at, r, HOUR))
  }
  judge(m, at, r)
  expect(m, at, r)
}

/** Puts into x how a value differs, and says whether it is in doubt. */
function compare (m: Float64Array, at: number, r: Portfolio): void {
  const { x, value, hour } = r
  const slow = m[at + SLOW_MEAN], middle = m[at + MIDDLE_MEAN], before = autoregressive.last(m, at + AR), changes = m[at + CHANGES]
  const fast = m[at + FAST_MEAN] + (value - m[at + FAST_MEAN]) / FAST
  const tiny = TINY * Math.max(Math.abs(slow), Math.abs(value)) || Number.MIN_VALUE
  const usual = seasonal.usual(m, at + SEASON, hour), known = usual === usual
  const spread = Math.max(seasonal.spread(m, at + SEASON, hour), tiny), volatility = Math.max((m[at + ERROR] + m[at + ERRORS]) / 2, tiny)
  const predicted = slow + autoregressive.expected(m, at + AR, slow), off = value - (known ? usual : slow), jump = Math.abs(value - before), dynamics = Math.abs(value - predicted) / volatility
  const change = m[at + CHANGE] + (jump - m[at + CHANGE]) / FAST, least = LEAST * changes
  r.seasonal = known
  r.usual = usual
  r.spread = spread
  r.volatility = volatility
  r.predicted = predicted
  r.off = off
  r.fast = fast
  r.change = change
  x[JUMP] = jump
  x[LEVEL] = Math.abs(value - middle)
  x[SHIFT] = Math.abs(fast - middle)
  x[DRIFT] = Math.abs(fast - slow)
  x[SEASONAL] = known ? Math.abs(off) / spread : 0
  x[DYNAMICS] = dynamics
  x[NOISE] = least > 0 ? logRatioAbove(m[at + TAILS + NOISE * TAIL], change + least, changes + least) : 0
  r.far = dynamics > CLIP && jump > CLIP * Math.max(changes, tiny)
  r.doubted = r.far && isInDoubt(m, at, r)
}

/** A value that is far from where the series is may belong to another of its regimes: if that is usual, the series is there. */
function place (m: Float64Array, at: number, r: Portfolio): void {
  const { value } = r, middle = m[at + MIDDLE_MEAN], size = m[at + CHANGES], near = regimes.find(m, at + REGIME, value, size)
  const onTheWay = near < 0 && doubts.mayBeOnTheWay(m, at + DOUBT) && regimes.isOnTheWay(m, at + REGIME, value, middle)
  const k = near >= 0 || onTheWay ? near : regimes.find(m, at + REGIME, value, size, Math.abs(value - middle))
  if (k >= 0 && regimes.hasStayed(m, at + REGIME, k)) r.doubted = true
  if (r.doubted && k >= 0 && regimes.isUsual(m, at + REGIME, k)) {
    if (doubts.isInDoubt(m, at + DOUBT)) regimes.cross(m, at + REGIME)
    go(m, at, k, value)
    doubts.arrive(m, at + DOUBT)
    compare(m, at, r)
  } else if (onTheWay) r.doubted = r.onTheWay = true
}

/** How far a value is from what is usual so many ms later, in units of its spread; Infinity when nothing is. */
function offSeason (m: Float64Array, at: number, { value, clock, beside }: Portfolio, later: number): number {
  const hour = beside.to(clock + later), usual = seasonal.usual(m, at + SEASON, hour), tiny = TINY * Math.abs(value) || Number.MIN_VALUE
  return usual === usual ? Math.abs(value - usual) / Math.max(seasonal.spread(m, at + SEASON, hour), tiny) : Infinity
}

const isInDoubt = (m: Float64Array, at: number, r: Portfolio): boolean =>
  doubts.isInDoubt(m, at + DOUBT) || m[at + N] < START + FIRST || isUnlikely(m, at, r, JUMP) && isUnlikely(m, at, r, DYNAMICS)

const isUnlikely = (m: Float64Array, at: number, { x }: Portfolio, k: number): boolean => isEvent(tails.unlikely(m, at + TAILS + k * TAIL, x[k]), m[at + N])

/** How unusual the signals are. Mostly none is: that is written out, as V8 reads all again in each turn of a loop. */
function judge (m: Float64Array, at: number, r: Portfolio): void {
  const { x } = r, t = at + TAILS
  r.largest = r.evidence = 0
  r.signal = -1
  r.news = false
  r.unusual = x[JUMP] > m[t] || x[LEVEL] > m[t + LEVEL * TAIL] || x[SHIFT] > m[t + SHIFT * TAIL] || x[DRIFT] > m[t + DRIFT * TAIL] ||
    x[SEASONAL] > m[t + SEASONAL * TAIL] || x[DYNAMICS] > m[t + DYNAMICS * TAIL] || x[NOISE] > m[t + NOISE * TAIL]
  if (r.unusual) weigh(m, at, r)
}

/** Which signal is the most unlikely, and how unlikely it is that one is so unlikely. */
function weigh (m: Float64Array, at: number, r: Portfolio): void {
  const { x } = r
  for (let k = 0, t = at + TAILS; k < K; k++, t += TAIL) {
    if (!(x[k] > m[t])) continue
    const evidence = tails.unlikely(m, t, x[k])
    if (evidence > r.largest) { r.largest = evidence; r.signal = k }
  }
  r.evidence = r.largest > m[at + LAST] && !r.onTheWay ? tails.unlikely(m, at + LAST, r.largest) : 0
  r.news = isNews(m[at + BAR], r.evidence)
}

/** Where values are expected. */
function expect (m: Float64Array, at: number, r: Portfolio): void {
  const t = at + TAILS, level = m[t + LEVEL * TAIL], dynamics = m[t + DYNAMICS * TAIL] * r.volatility
  let center = autoregressive.last(m, at + AR), half = m[t]
  if (level < half) { center = m[at + MIDDLE_MEAN]; half = level }
  if (dynamics < half) { center = r.predicted; half = dynamics }
  if (r.seasonal) {
    const season = m[t + SEASONAL * TAIL] * r.spread
    if (season < half) { center = r.usual; half = season }
  }
  r.low = center - half
  r.high = center + half
}
