/**
 * How unusual a number >= 0 is in its own stream, as a probability: peaks over a threshold (Pickands 1975, Statistical
 * inference using extreme order statistics; on streams Siffer et al. 2017, SPOT) in O(1) memory. The threshold is the quantile
 * that one number in 50 exceeds, tracked by stochastic approximation (Robbins and Monro 1951) with the step that is
 * asymptotically best for an exponential tail. What exceeds it follows, by the first two moments of the excesses, a generalised
 * Pareto distribution when it is heavier than exponential (Hosking and Wallis 1987), and a Weibull distribution when it is
 * lighter: that has no end point, beyond which everything would be impossible. Few excesses say little about far ones:
 * 1 / (count + 1) is added to the shape, as in the predictive distribution after so many exponential excesses. The shape is at
 * most 1/2, where moments end. An excess is learned as at most REACH mean excesses, so that a fault is not at once the norm.
 * 32 bytes per stream; logarithms for one number in 50 only.
 */
import { first, pair, second as largestOf } from './halves.ts'
import { LARGEST } from './largest.ts'

export const SHARE = 0.02
export const FIRST = 32              // numbers whose mean gives the first threshold and mean excess, as if exponential: rather too large than too small
export const MEMORY = 10_000         // numbers that threshold and rate go back
export const EXCESSES = MEMORY * SHARE     // so many of these exceed the threshold: what moments go back
const REACH = 10
const BELIEF = 4                     // what the first mean excess counts, in excesses

/** -log10 of a probability never exceeds this. */
export const LIMIT = 16

/** Of a tail on the largest of several -log10 p: its slope is that of uniform p, and has only to be refined. */
export const DECADE = 1 / Math.LN10, MOST = 5 * EXCESSES      // the mean excess; what moments go back

/** One stream: `mean` and `square` are the first two moments of excesses. `count_rate` has before the point how many excesses they rest on, in tenths, and behind it the share of numbers above the threshold. */
export const tail = { threshold: 0, count_rate: SHARE, mean: 0, square: 0 }
const TENTHS = 10
export const TAIL = Object.keys(tail).length
/** One that nothing is unlikely to before it has begun. */
export const unheard = { ...tail, threshold: Infinity }

/** -log10 of the probability that a number is at least x: 0 up to the threshold, -log10(rate) or more above. */
export function unlikely (m: Float64Array, at: number, x: number): number {
  const excess = x - m[at]
  if (!(excess > 0)) return 0
  const shape = shapeOf(m, at), ratio = excess / m[at + 2]
  const folds = shape > 0 ? Math.log1p(ratio * shape / (1 - shape)) / shape : weibull(ratio, Math.sqrt(1 - 2 * shape))
  const evidence = (folds - Math.log(rate(m, at))) / Math.LN10
  return evidence < LIMIT ? evidence : LIMIT
}

/** What SHARE of the numbers exceed. */
export const threshold = (m: Float64Array, at: number): number => m[at]

/** How many excesses it rests on, as they count. */
export const excesses = (m: Float64Array, at: number): number => Math.floor(m[at + 1]) / TENTHS

/** The share of numbers above the threshold. */
export const rate = (m: Float64Array, at: number): number => m[at + 1] - Math.floor(m[at + 1])

/** Of the generalised Pareto distribution, by moments, with what uncertainty adds: above 0 heavier than exponential, below lighter. */
function shapeOf (m: Float64Array, at: number): number {
  const mean = m[at + 2], variance = m[at + 3] - mean * mean
  const shape = (variance > 0 ? 0.5 * (1 - mean * mean / variance) : -0.5) + 1 / (excesses(m, at) + 1)
  return shape > 0.5 ? 0.5 : shape < -0.5 ? -0.5 : shape
}

/**
 * -log of the survival of a Weibull distribution at a multiple of its mean. Its exponent is, to 2 %, the reciprocal of its
 * coefficient of variation; its mean is gamma(1 + 1 / exponent) scales (to 5e-5, Abramowitz and Stegun 6.1.35).
 */
function weibull (ratio: number, exponent: number): number {
  const r = 1 / exponent
  const mean = 1 + r * (-0.5748646 + r * (0.9512363 + r * (-0.6998588 + r * (0.4245549 - r * 0.1010678))))
  return (ratio * mean) ** exponent
}

/** Takes in number `n` of the stream while n <= FIRST; nothing is unlikely yet. Until then `count_rate` holds the third largest and the largest as a pair, `square` the second, and `mean` the sum of the others. For the mean the two largest count as the third: of exponential numbers together two means less. */
export function begin (m: Float64Array, at: number, x: number, n: number): void {
  const given = Math.min(x, LARGEST), third = n === 1 ? 0 : first(m[at + 1]), second = n === 1 ? 0 : m[at + 3], largest = n === 1 ? 0 : largestOf(m[at + 1])
  m[at] = Infinity
  m[at + 2] += Math.min(given, third)
  m[at + 3] = given > second ? Math.min(given, largest) : second
  m[at + 1] = pair(given > third ? Math.min(given, second) : third, Math.max(given, largest))
  if (n < FIRST) return
  const apart = m[at + 3], most = largestOf(m[at + 1]), mean = (m[at + 2] + 3 * first(m[at + 1])) / (FIRST - 2)
  m[at + 1] = SHARE
  start(m, at, mean * Math.log(1 / SHARE), mean, mean > 0 ? BELIEF : 0)
  learn(m, at, apart, 1 / FIRST, 1, EXCESSES)
  learn(m, at, most, 1 / FIRST, 1, EXCESSES)
}

/** Begins with a threshold and a mean excess, as if it had been seen `count` times. */
export function start (m: Float64Array, at: number, threshold: number, mean: number, count: number): void {
  m[at] = threshold
  m[at + 2] = mean
  m[at + 3] = 2 * mean * mean
  m[at + 1] = TENTHS * count + rate(m, at)
}

/** Numbers are `by` times as large from now on. */
export function rescale (m: Float64Array, at: number, by: number): void {
  m[at] *= by
  m[at + 2] *= by
  m[at + 3] *= by * by
}

/** Takes in a later number. `gain` is the weight of the newest number in threshold and rate; in the moments, which rest on the last `most` excesses, it counts `weight`, in tenths. */
export function learn (m: Float64Array, at: number, x: number, gain: number, weight: number, most: number): void {
  if (x > m[at]) exceed(m, at, x, gain, weight, most)
  else stay(m, at, gain)
}

/** Takes in a later number that does not exceed the threshold. */
export function stay (m: Float64Array, at: number, gain: number): void {
  const threshold = m[at] - m[at + 2] * gain, kept = m[at + 1]
  m[at] = threshold < 0 ? 0 : threshold
  m[at + 1] = kept - (kept - Math.floor(kept)) * gain
}

/** Takes in number `n` of the stream, from 1 on; behind the first ones it counts `weight`. */
export function take (m: Float64Array, at: number, x: number, n: number, weight: number): void {
  if (n <= FIRST) begin(m, at, x, n)
  else learn(m, at, x, 1 / Math.min(n, MEMORY), weight, EXCESSES)
}

function exceed (m: Float64Array, at: number, x: number, gain: number, weight: number, most: number): void {
  const mean = m[at + 2], excess = x - m[at]
  const y = Math.min(excess, mean > 0 ? REACH * mean : LARGEST)
  const above = rate(m, at), tenths = Math.min(Math.floor(m[at + 1]) + Math.round(TENTHS * weight), TENTHS * most), by = TENTHS * weight / tenths
  m[at] += mean * (gain / SHARE - gain)
  m[at + 1] = tenths + above + gain * (1 - above)
  m[at + 2] += (y - mean) * by
  m[at + 3] += (y * y - m[at + 3]) * by
}
