/**
 * Prediction intervals that are right as often as they say, whatever the forecasts and the series do: adaptive conformal
 * inference (Gibbs and Candes 2021, Adaptive conformal inference under distribution shift) in the form of a quantile that is
 * tracked (Angelopoulos, Candes and Tibshirani 2023, Conformal PID control). An interval reaches `scale` x e^width to both
 * sides, where scale is the root of the mean square of recent errors at this part of the season, drawn towards that of all. A miss widens it by gain x level, a hit narrows it by
 * gain x (1 - level): so after n scored intervals the share of hits is off by at most |width now - width first| / (gain x n).
 *
 * Forecasts h steps ahead are scored h steps late, so h of them miss before the first miss has any effect: the gain is
 * divided by the root of h (online learning with delayed feedback, Joulani, Gyorgy and Szepesvari 2013).
 *
 * An error widens the scale as if it were at most FAR scales, so that a wild one does not for weeks; of FAR times as many when more
 * errors are so far than may miss, counted in excess of that share, up to ENOUGH: so a scale
 * multiplies in a few steps, and not in one. Whether an interval held is not touched by that.
 */
const GAIN = 0.05
const FAR = 5, ENOUGH = 2
const BELIEF = 2                     // what the mean square of all parts of the season counts in that of one, in errors

/** One stream: scored errors, mean square of recent ones, width as a logarithm in units of its root; scored intervals and the share that held; how many errors too many were far; then the mean square in each part of the season. */
export const conformal = { errors: 0, square: 0, width: 0, scored: 0, coverage: 0, far: 0 }
const ERRORS = 0, SQUARE = 1, WIDTH = 2, SCORED = 3, COVERAGE = 4, TOO_FAR = 5, PARTS = Object.keys(conformal).length
export const sizeOf = (parts: number): number => PARTS + parts

/** Half the width of the interval for a time in a part of the season, at a level such as 0.95; NaN while fewer errors are known than it takes to miss once. `most`: errors that the scale goes back, in all parts together. */
export function half (m: Float64Array, at: number, level: number, most: number, part: number, parts: number): number {
  if (m[at + ERRORS] * (1 - level) < 1 - 1e-9) return NaN
  return scale(m, at, most, part, parts) * Math.exp(m[at + WIDTH])
}

function scale (m: Float64Array, at: number, most: number, part: number, parts: number): number {
  const known = Math.min(m[at + ERRORS], most) / parts
  return Math.sqrt((known * m[at + PARTS + part] + BELIEF * m[at + SQUARE]) / (known + BELIEF))
}

/** The share of scored intervals that held; NaN before the first. */
export const coverage = (m: Float64Array, at: number): number => m[at + SCORED] > 0 ? m[at + COVERAGE] : NaN

/** Learns the error of a forecast made `ahead` steps before for a time in this part of the season, and whether its interval held; see half for the rest. */
export function learn (m: Float64Array, at: number, error: number, held: boolean | undefined, level: number, ahead: number, most: number, part: number, parts: number): void {
  const size = Math.abs(error), limit = m[at + ERRORS] === 0 ? Infinity : FAR * scale(m, at, most, part, parts), n = ++m[at + ERRORS]
  const many = m[at + TOO_FAR] = Math.max(0, m[at + TOO_FAR] + (size > limit ? 1 : 0) - (1 - level)), square = Math.min(size, many <= ENOUGH ? limit : limit > 0 ? FAR * limit : Infinity) ** 2
  if (n === 1) m[at + WIDTH] = Math.log(normalQuantile(level))
  m[at + SQUARE] += (square - m[at + SQUARE]) / Math.min(n, most)
  m[at + PARTS + part] += (square - m[at + PARTS + part]) / Math.ceil(Math.min(n, most) / parts)
  if (held === undefined) return
  const gain = GAIN / Math.sqrt(ahead), scored = ++m[at + SCORED]
  m[at + WIDTH] += held ? -gain * (1 - level) : gain * level
  m[at + COVERAGE] += ((held ? 1 : 0) - m[at + COVERAGE]) / scored
}

/** What a standard normal number lies within, of both signs, with this probability: Winitzki's inverse error function, to 0.5 %. */
function normalQuantile (level: number): number {
  const a = 0.147, log = Math.log(1 - level * level), b = 2 / (Math.PI * a) + log / 2
  return Math.SQRT2 * Math.sqrt(Math.sqrt(b * b - log / a) - b)
}
