import { ofNormal } from './surprisal.ts'

/**
 * How high a number stands among those before it: -ln of the chance that it had if they were normal, from a mean and a variance
 * that fade. So it is about exponential when all is usual, which is what a tail begins with (tail.ts), whatever the units. 0 until
 * two numbers are known. A number is learned as at most 5 standard deviations from the mean, once 8 are known. 24 bytes.
 */
export const standing = { n: 0, mean: 0, variance: 0 }

const MEMORY = 1000, CLIP = 5, TRUST = 8

export const standingOf = (m: Float64Array, at: number, x: number): number => m[at + 2] > 0 ? ofNormal((x - m[at + 1]) / Math.sqrt(m[at + 2])) : 0

export function learnStanding (m: Float64Array, at: number, x: number): void {
  const n = ++m[at], by = 1 / Math.min(n, MEMORY), bound = n > TRUST && m[at + 2] > 0 ? CLIP * Math.sqrt(m[at + 2]) : Infinity
  const off = Math.max(-bound, Math.min(bound, x - m[at + 1]))
  m[at + 1] += by * off
  m[at + 2] = (1 - by) * (m[at + 2] + by * off * off)
}
