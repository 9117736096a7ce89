/**
 * Additive Holt-Winters with damped trend, in the form of errors: ETS(A,Ad,A) of Hyndman, Koehler, Ord and Snyder 2008,
 * Forecasting with exponential smoothing, chapter 2. Memory: level, trend, then a number for each step of the season.
 * Instead of a first estimate from a whole season, gains begin with 1 / n and fall to their own value: the level begins as
 * the mean so far, and the season as the deviations from it.
 */
export interface Smoothing { readonly level: number, readonly trend: number, readonly season: number }     // gains, 0 to 1

const DAMPING = 0.98
const LEVEL = 0, TREND = 1, SEASON = 2

/** Gains that lie apart by factors of about four, for levels that rest and levels that wander, and two for seasons; the trend's is a fiftieth of the level's. */
export const bank: readonly Smoothing[] = [0.01, 0.05, 0.2, 0.7].flatMap(level => [0.05, 0.3].map(season => ({ level, trend: level / 50, season: season * (1 - level) })))

export const sizeOf = (season: number): number => SEASON + season

/** Takes in the value of the next step, which stands at `phase` of the season. */
export function learn (m: Float64Array, at: number, value: number, phase: number, { level, trend, season }: Smoothing): void {
  const s = at + SEASON + phase, drift = DAMPING * m[at + TREND]
  const error = value - m[at + LEVEL] - drift - m[s]
  m[at + LEVEL] += drift + level * error
  m[at + TREND] = drift + trend * error
  m[s] += season * error
}

/** A step of which nothing is known. */
export function pass (m: Float64Array, at: number): void { m[at + LEVEL] += m[at + TREND] *= DAMPING }

/** How many times its trend a series moves in `ahead` steps. */
export const damped = (ahead: number): number => DAMPING * (1 - DAMPING ** ahead) / (1 - DAMPING)

/** What is expected at a phase of the season, some steps ahead whose trend adds up to `damped` of them. */
export const expected = (m: Float64Array, at: number, damped: number, phase: number): number => m[at + LEVEL] + m[at + TREND] * damped + m[at + SEASON + phase]

/** The gains for value number `n` + 1 of a series, written to `to`. */
export function early (gains: Smoothing, n: number, season: number, to: { -readonly [K in keyof Smoothing]: Smoothing[K] }): Smoothing {
  to.level = Math.max(gains.level, 1 / (n + 1))
  to.trend = gains.trend
  to.season = Math.max(gains.season, (1 - to.level) / (Math.floor(n / season) + 1))
  return to
}
