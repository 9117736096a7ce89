/**
 * The readings of a series as standard normal numbers, independent of each other, as long as nothing changes: recursive
 * residuals (Brown, Durbin and Evans 1975, Techniques for testing the constancy of regression relationships over time) of an
 * autoregression of order 1. Each reading is predicted from all before it, and its error divided by the error to be expected
 * then, so what is not yet known well is allowed for from the begin (self-starting: Hawkins 1987). That makes it Student's t;
 * its normal equivalent is that of Wallace (1959), within 0.01 from 30 readings on. A reading is learned as at most CLIP of these
 * off, so that one wild reading does not change what is normal; of the first KEPT what is wild is told by their median
 * (first-readings.ts). Where nothing has varied yet, one other reading is no spread; two in a row are. 184 bytes per series.
 */
import { numbered } from './fields.ts'
import { tamed } from './first-readings.ts'
import { normalOf, studentOf } from './significance.ts'

const CLIP = 3, FAR = 4              // errors of a reading; deviations of the one before it, beyond which it explains no more
const KEPT = 16                      // first readings
const CONSISTENT = 1 / 0.9950073     // E[min(z^2, 9)] of a normal z
const LIMIT = 1000

/** One series: `n` pairs of a reading and the one before it, `last` the newest reading; means, squares and products of the pairs; the first readings. */
export const residuals = { n: 0, last: NaN, before: 0, mean: 0, befores: 0, products: 0, squares: 0, ...numbered('first', KEPT) }
const N = 0, LAST = 1, BEFORE = 2, MEAN = 3, BEFORES = 4, PRODUCTS = 5, SQUARES = 6, FIRST = 7

/** Takes in a finite value; its residual, within +-1000, is known from the fourth pair on, else 0. */
export function residual (m: Float64Array, at: number, x: number): number {
  const last = m[at + LAST], n = last === last ? m[at + N] : -1
  m[at + LAST] = x
  if (n < 0) { m[at + FIRST] = x; return 0 }
  const mean = m[at + MEAN], befores = m[at + BEFORES], far = FAR * Math.sqrt(befores / n)
  const off = befores > 0 ? Math.max(-far, Math.min(last - m[at + BEFORE], far)) : x === mean ? 0 : last - m[at + BEFORE]
  const slope = befores > 0 ? unbiased(m[at + PRODUCTS] / befores, n) : 0, freedom = n - 2, early = n < KEPT - 1
  const expected = mean + slope * off, error = x - expected, left = m[at + SQUARES] - (befores > 0 ? m[at + PRODUCTS] * (m[at + PRODUCTS] / befores) : 0)
  const scale = n < 4 || !(left > 0) ? 0 : Math.sqrt(left * (early ? 1 : CONSISTENT) / freedom * (1 + 1 / n + (befores > 0 ? off * off / befores : 0)))
  const z = scale > 0 ? normalOf(Math.abs(error) / scale, freedom) : error === 0 ? 0 : LIMIT
  if (early) again(m, at, n + 1, x)
  else if (z <= CLIP || scale === 0 && last !== m[at + BEFORE]) pair(m, at, off, x)
  else pair(m, at, off, expected + Math.sign(error) * studentOf(CLIP, freedom) * scale)
  return n < 4 ? 0 : Math.sign(error) * Math.min(z, LIMIT)
}

/** Learns the first readings anew, of which x is number `n`, counted from 0. */
function again (m: Float64Array, at: number, n: number, x: number): void {
  m[at + FIRST + n] = x
  const values = tamed(m.subarray(at + FIRST, at + FIRST + n + 1))
  m.fill(0, at + BEFORE, at + FIRST)
  m[at + N] = 0
  for (let i = 1; i <= n; i++) pair(m, at, values[i - 1] - m[at + BEFORE], values[i])
}

/** Learns a reading behind one that was so far off the mean of those before. */
function pair (m: Float64Array, at: number, off: number, x: number): void {
  const by = x - m[at + MEAN], count = ++m[at + N], rest = 1 - 1 / count
  m[at + BEFORE] += off / count
  m[at + MEAN] += by / count
  m[at + BEFORES] += off * off * rest
  m[at + PRODUCTS] += off * by * rest
  m[at + SQUARES] += by * by * rest
}

/** Few readings make an autoregression look too weak (Kendall 1954). */
const unbiased = (slope: number, n: number): number => Math.min(slope + (1 + 3 * slope) / n, Math.max(slope, 1))

/** By how many deviations of the series its level has moved when residuals have this mean: an autoregression follows most of a shift. */
export function levelOf (m: Float64Array, at: number, mean: number): number {
  const root = Math.sqrt(m[at + BEFORES]) * Math.sqrt(m[at + SQUARES]), r = root > 0 ? m[at + PRODUCTS] / root : 0
  return mean * Math.sqrt((1 + r) / (1 - r))
}
