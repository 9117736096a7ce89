/**
 * Cumulative sums, two-sided (Page 1954, Continuous inspection schemes), of standard normal numbers: what they exceed
 * +-`allowance` by adds up, never below 0, and a sum above `threshold` is a change (cusum-limits.ts). Best for a shift of twice the
 * allowance. It began when the sum was last 0 (Page), and the mean since then says how large it is. 48 bytes per series.
 */
import type { Detector } from './detector.ts'

/** One series: sums upward and downward, and for both how many numbers they are of and what these add up to. */
const cusum = { up: 0, ups: 0, upTotal: 0, down: 0, downs: 0, downTotal: 0 }

export class Cusum implements Detector {
  readonly state = cusum
  readonly allowance: number
  readonly threshold: number
  size = 0
  after = 0
  constructor (allowance: number, threshold: number) {
    this.allowance = allowance
    this.threshold = threshold
  }

  update (m: Float64Array, at: number, x: number, whole = x): boolean {
    return this.side(m, at, x, whole) || this.side(m, at + 3, -x, whole)
  }

  private side (m: Float64Array, at: number, toward: number, whole: number): boolean {
    const sum = m[at] + toward - this.allowance
    if (sum <= 0) {
      m[at] = m[at + 1] = m[at + 2] = 0
      return false
    }
    m[at] = sum
    this.after = ++m[at + 1]
    this.size = (m[at + 2] += whole) / this.after
    return sum > this.threshold
  }
}
