/**
 * The readings of a series as standard normal numbers, independent of each other, as long as nothing changes: recursive
 * residuals (Brown, Durbin and Evans 1975, Techniques for testing the constancy of regression relationships over time) of an
 * autoregression of order 1. Each reading is predicted from all before it, and its error divided by the error to be expected
 * then, so what is not yet known well is allowed for from the begin (self-starting: Hawkins 1987). That makes it Student's t;
 * its normal equivalent is that of Wallace (1959), within 0.01 from 30 readings on. A reading is learned as at most CLIP
 * errors off, so that one wild reading does not change what is normal. 56 bytes per series.
 */
import { normalOf } from './significance.ts'

const CLIP = 3, FAR = 4              // errors of a reading; deviations of the one before it, beyond which it explains no more
const FIRST = 30                     // readings from which on that holds
const CONSISTENT = 1 / 0.9950073     // E[min(z^2, 9)] of a normal z
const LIMIT = 1000

/** One series: `n` pairs of a reading and the one before it, `last` the newest reading; means, squares and products of the pairs. */
export const residuals = { n: 0, last: NaN, before: 0, mean: 0, befores: 0, products: 0, squares: 0 }
const N = 0, LAST = 1, BEFORE = 2, MEAN = 3, BEFORES = 4, PRODUCTS = 5, SQUARES = 6

/** Takes in a finite value; its residual, within +-1000, is known from the fourth pair on, else 0. */
export function residual (m: Float64Array, at: number, x: number): number {
  const last = m[at + LAST], n = m[at + N]
  m[at + LAST] = x
  if (last !== last) return 0
  const mean = m[at + MEAN], befores = m[at + BEFORES], far = n < FIRST ? Infinity : FAR * Math.sqrt(befores / n)
  const off = Math.max(-far, Math.min(last - m[at + BEFORE], far))
  const slope = befores > 0 ? unbiased(m[at + PRODUCTS] / befores, n) : 0, freedom = n - 2
  const error = x - mean - slope * off, left = m[at + SQUARES] - (befores > 0 ? m[at + PRODUCTS] ** 2 / befores : 0)
  const scale = n < 4 || !(left > 0) ? 0 : Math.sqrt(left * (n < FIRST ? 1 : CONSISTENT) / freedom * (1 + 1 / n + (befores > 0 ? off * off / befores : 0)))
  const bound = n < FIRST ? Infinity : CLIP * scale, y = n >= FIRST && scale > 0 ? Math.max(-bound, Math.min(error, bound)) + mean + slope * off : x
  const a = off, b = y - mean, count = m[at + N] = n + 1
  m[at + BEFORE] += a / count
  m[at + MEAN] += b / count
  const rest = 1 - 1 / count
  m[at + BEFORES] += a * a * rest
  m[at + PRODUCTS] += a * b * rest
  m[at + SQUARES] += b * b * rest
  if (n < 4 || error === 0) return 0
  return scale > 0 ? Math.sign(error) * Math.min(normalOf(Math.abs(error) / scale, freedom), LIMIT) : Math.sign(error) * LIMIT
}

/** Few readings make an autoregression look too weak (Kendall 1954). */
const unbiased = (slope: number, n: number): number => Math.min(slope + (1 + 3 * slope) / n, Math.max(slope, 1))

/** By how many deviations of the series its level has moved when residuals have this mean: an autoregression follows most of a shift. */
export function levelOf (m: Float64Array, at: number, mean: number): number {
  const square = m[at + BEFORES] * m[at + SQUARES], r = square > 0 ? m[at + PRODUCTS] / Math.sqrt(square) : 0
  return mean * Math.sqrt((1 + r) / (1 - r))
}
