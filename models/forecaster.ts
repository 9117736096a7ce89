/**
 * Forecasts of a series that comes in steps, by experts that are combined online (mixture.ts), and how sure they are
 * (conformal.ts). The experts:
 *
 *   naive     as one season ago, for each season; without a season as the last value. A baseline
 *   drift     on along the line from the first value to the last. A baseline
 *   bank      damped Holt-Winters with gains of eight kinds, with the shortest season (holt-winters.ts)
 *   dynamics  autoregression with all seasons, of values and, while they are positive, of their logarithms (seasonal-autoregression.ts)
 *   sparse    for values that are mostly zero: SBA and TSB (intermittent.ts)
 *
 * None leaves the range of all that has been by more than a standard deviation. For each horizon there are weights, errors and
 * intervals of its own, learned from the forecasts that were made for the step that comes. The gate: the combination is
 * given where it has lately erred less than the best baseline, else that.
 *
 * One wild value among many moves none of them far: a value outside all that has been is learned as at most so many usual errors
 * off, until STAYS in a row are outside (before values have varied: in all); of the first FEW what is wild is told by their median
 * (first-readings.ts), and all is learned anew from them (cleaned values as in Gelper, Fried and Croux 2010, Robust forecasting
 * with exponential and Holt-Winters smoothing). Intervals are scored with the value as it came.
 *
 * A step that does not come is bridged: the experts go on as they expected, and nothing is learned. What was longer ago than
 * two of the longest season is taken as the same phase of the season before.
 *
 * Numbers with seasons of 24 and 168 steps: 936, and 65 + 19 h for each horizon h.
 */
import * as conformal from './conformal.ts'
import { tamed } from './first-readings.ts'
import * as smoothing from './holt-winters.ts'
import * as sparse from './intermittent.ts'
import * as mixture from './mixture.ts'
import { SeasonalAutoregression } from './seasonal-autoregression.ts'

const LEAST = 100                    // steps that errors and weights of experts go back, or two of the longest season
const PARTS = 24                     // of a season, at most: hours of a day
const LONGER = 6                     // times that, what is learned by the autoregression goes back
const FEW = 10, STAYS = 3
// Steps so far, the newest and the first of them, the first value; values outside in a row; first values kept and whether some are tamed; these.
const N = 0, NEWEST = 1, BEGAN = 2, FIRST = 3, OUT = 4, KEPT = 5, TAMED = 6, STEPS = 7, VALUES = STEPS + FEW, OWN = VALUES + FEW
const TARGET = 0, COMBINED = 1, GIVEN = 2, HALF = 3, EXPERTS = 4       // of a forecast that waits for its step

const mod = (a: number, b: number) => a - Math.floor(a / b) * b

export class Forecaster {
  readonly width: number
  readonly shape: Readonly<Record<string, number>>       // memory of one series
  readonly point: Float64Array       // by horizon, of the series that came last: what is expected,
  readonly half: Float64Array        // half the width of the interval,
  readonly coverage: Float64Array    // the share of intervals that held,
  readonly relative: Float64Array    // and the error of the combination over that of the best baseline
  private readonly seasons: readonly number[]
  private readonly horizons: readonly number[]
  private readonly level: number
  private readonly memory: number
  private readonly parts: number         // of the shortest season, that errors are told apart by
  private readonly experts: number
  private readonly baselines: number
  private readonly linear: SeasonalAutoregression
  private readonly log: SeasonalAutoregression
  private readonly logAt: number         // offsets of parts in the memory of a series
  private readonly bankAt: number
  private readonly sparseAt: number
  private readonly horizonAt: readonly number[]
  private readonly begin: Float64Array   // what the memory of a series begins as
  private readonly damped: readonly number[]
  private readonly gains = smoothing.bank.map(gains => ({ ...gains }))

  /** Seasons in steps, the shortest first, each a multiple of the one before; may be none. Horizons in steps. */
  constructor (seasons: readonly number[], horizons: readonly number[], level: number) {
    this.seasons = seasons.length > 0 ? seasons : [1]
    this.horizons = horizons
    this.level = level
    this.damped = horizons.map(smoothing.damped)
    this.memory = Math.max(LEAST, 2 * this.seasons.at(-1)!)
    const most = Math.max(...horizons), ar = () => new SeasonalAutoregression(this.seasons, most, LONGER * this.memory)
    this.linear = ar()
    this.log = ar()
    this.baselines = this.seasons.length + 1
    this.parts = Math.min(PARTS, this.seasons[0])
    this.experts = this.baselines + smoothing.bank.length + 4
    this.logAt = OWN + this.linear.width
    this.bankAt = this.logAt + this.log.width
    this.sparseAt = this.bankAt + smoothing.bank.length * smoothing.sizeOf(this.seasons[0])
    let at = this.sparseAt + sparse.INTERMITTENT
    this.horizonAt = horizons.map(h => {
      const from = at
      at += this.waiting + h * (EXPERTS + this.experts)
      return from
    })
    this.width = at
    const waits = (i: number) => this.horizonAt.some((from, k) => i >= from + this.waiting && i < (this.horizonAt[k + 1] ?? at))
    this.shape = Object.fromEntries(Array.from({ length: at }, (_, i) => [`number${i}`, waits(i) ? NaN : 0]))
    this.begin = Float64Array.from(Object.values(this.shape))
    const byHorizon = () => new Float64Array(horizons.length)
    this.point = byHorizon()
    this.half = byHorizon()
    this.coverage = byHorizon()
    this.relative = byHorizon()
  }

  /** Takes in a finite value and forecasts from there; false when the step is not after the last one, which changes nothing. */
  next (m: Float64Array, at: number, step: number, value: number): boolean {
    const kept = m[at + KEPT]
    if (kept > 0 && step <= m[at + NEWEST]) return false
    if (kept === FEW) this.go(m, at, step, value, true)
    else {
      m[at + STEPS + kept] = step
      m[at + VALUES + kept] = value
      m[at + KEPT]++
      this.again(m, at, step, value)
    }
    return true
  }

  /** Learns the first values anew, where some of them are wild or were until now. */
  private again (m: Float64Array, at: number, step: number, value: number): void {
    const kept = m[at + KEPT], given = m.subarray(at + VALUES, at + VALUES + kept), values = tamed(given), wild = values.some((x, i) => x !== given[i])
    if (!wild && m[at + TAMED] === 0) return this.go(m, at, step, value, false)
    m.set(this.begin.subarray(0, KEPT), at)
    m.set(this.begin.subarray(OWN), at + OWN)
    m[at + TAMED] = wild ? 1 : 0
    values.forEach((x, i) => { this.go(m, at, m[at + STEPS + i], x, false) })
  }

  private believed (m: Float64Array, at: number, value: number): number {
    const believable = this.linear.believable(m, at + OWN, value)
    if (believable !== value) return ++m[at + OUT] < STAYS ? believable : value
    if (this.linear.varies(m, at + OWN)) m[at + OUT] = 0
    return value
  }

  private go (m: Float64Array, at: number, step: number, value: number, judged: boolean): void {
    if (m[at + N] > 0) {
      const gap = step - m[at + NEWEST], longest = this.seasons.at(-1)!
      for (let missing = gap <= 2 * longest ? gap : longest + gap % longest; missing > 1; missing--) this.pass(m, at)
    } else {
      m[at + BEGAN] = step
      m[at + FIRST] = value
    }
    const believed = judged ? this.believed(m, at, value) : value
    this.score(m, at, step, value, believed)
    this.learn(m, at, believed)
    m[at + NEWEST] = step
    this.forecast(m, at, step)
  }

  /** Where the conformal part of a horizon stands, and its forecasts that wait. */
  private get interval (): number { return mixture.sizeOf(this.experts, this.baselines) }
  private get waiting (): number { return this.interval + conformal.sizeOf(this.parts) }
  private part (step: number): number { return Math.floor(mod(step, this.seasons[0]) * this.parts / this.seasons[0]) }
  private slot (k: number, at: number, step: number): number { return at + this.horizonAt[k] + this.waiting + mod(step, this.horizons[k]) * (EXPERTS + this.experts) }

  private score (m: Float64Array, at: number, step: number, value: number, believed: number): void {
    for (let k = 0; k < this.horizons.length; k++) {
      const place = at + this.horizonAt[k], slot = this.slot(k, at, step), half = m[slot + HALF]
      if (m[slot + TARGET] !== step) continue
      const given = m[slot + GIVEN]
      conformal.learn(m, place + this.interval, believed - given, half === half ? Math.abs(value - given) <= half : undefined, this.level, this.horizons[k], this.memory, this.part(step), this.parts)
      mixture.learn(m, place, m, slot + EXPERTS, this.experts, this.baselines, m[slot + COMBINED], believed, this.memory)
    }
  }

  private pass (m: Float64Array, at: number): void {
    this.linear.pass(m, at + OWN)
    this.log.pass(m, at + this.logAt)
    for (let b = 0, place = at + this.bankAt; b < smoothing.bank.length; b++, place += smoothing.sizeOf(this.seasons[0])) smoothing.pass(m, place)
    m[at + N]++
  }

  private learn (m: Float64Array, at: number, value: number): void {
    const season = this.seasons[0], n = m[at + N]++
    this.linear.learn(m, at + OWN, value)
    this.log.learn(m, at + this.logAt, Math.log(value))
    for (let b = 0, place = at + this.bankAt; b < smoothing.bank.length; b++, place += smoothing.sizeOf(season)) {
      smoothing.learn(m, place, value, n % season, smoothing.early(smoothing.bank[b], n, season, this.gains[b]))
    }
    sparse.learn(m, at + this.sparseAt, value, n + 1)
  }

  private forecast (m: Float64Array, at: number, step: number): void {
    const { seasons, horizons, linear, log } = this, season = seasons[0], n = m[at + N], length = linear.length, most = linear.path.length - length
    const path = linear.extend(m, at + OWN, most), logPath = log.extend(m, at + this.logAt, most)
    const low = linear.low(m, at + OWN), high = linear.high(m, at + OWN), newest = path[length - 1], slope = step > m[at + BEGAN] ? (newest - m[at + FIRST]) / (step - m[at + BEGAN]) : 0
    for (let k = 0; k < horizons.length; k++) {
      const h = horizons[k], place = at + this.horizonAt[k], slot = this.slot(k, at, step)
      let e = slot + EXPERTS
      for (const s of seasons) m[e++] = path[length - s + (h - 1) % s]
      m[e++] = newest + slope * h
      for (let b = 0, from = at + this.bankAt; b < smoothing.bank.length; b++, from += smoothing.sizeOf(season)) m[e++] = smoothing.expected(m, from, this.damped[k], (n + h - 1) % season)
      m[e++] = path[length + h - 1]
      m[e++] = Math.exp(logPath[length + h - 1])
      m[e++] = sparse.sba(m, at + this.sparseAt)
      m[e++] = sparse.tsb(m, at + this.sparseAt)
      for (let i = slot + EXPERTS; i < e; i++) m[i] = m[i] > high ? high : m[i] < low ? low : m[i]
      const combined = mixture.combine(m, place, m, slot + EXPERTS, this.experts, this.baselines), relative = mixture.relative(m, place, this.baselines)
      m[slot + TARGET] = step + h
      m[slot + COMBINED] = combined
      m[slot + GIVEN] = this.point[k] = relative < 1 ? combined : m[slot + EXPERTS + mixture.best(m, place, this.baselines)]
      m[slot + HALF] = this.half[k] = conformal.half(m, place + this.interval, this.level, this.memory, this.part(step + h), this.parts)
      this.coverage[k] = conformal.coverage(m, place + this.interval)
      this.relative[k] = relative
    }
  }
}
