/**
 * The test of Page and Hinkley, two-sided (Page 1954; Hinkley 1971, Inference about the change-point from cumulative sum tests;
 * in this form Gama et al. 2014, A survey on concept drift adaptation): the sum of deviations from the running mean, less
 * `allowance`, against its least so far, and upside down. It began at that least value. `forget`: what the sum keeps at
 * each number. 80 bytes per series.
 */
import type { Detector } from './detector.ts'

/** One series: n numbers with their mean; for either side the sum, its extreme, and how many numbers came since and their sum. */
const pageHinkley = { n: 0, mean: 0, rise: 0, least: Infinity, rises: 0, riseTotal: 0, fall: 0, most: -Infinity, falls: 0, fallTotal: 0 }
const RISE = 2, FALL = 6

export class PageHinkley implements Detector {
  readonly state = pageHinkley
  readonly allowance: number
  readonly threshold: number
  readonly forget: number
  readonly samples: number
  readonly clip: number
  size = 0
  after = 1

  /** `samples`: numbers before which it says nothing. `clip`: what a deviation counts as at most. */
  constructor (allowance: number, threshold: number, { forget = 1, samples = 30, clip = Infinity } = {}) {
    this.allowance = allowance
    this.threshold = threshold
    this.forget = forget
    this.samples = samples
    this.clip = clip
  }

  update (m: Float64Array, at: number, x: number, whole = x): boolean {
    const n = ++m[at]
    m[at + 1] += (x - m[at + 1]) / n
    const off = Math.max(-this.clip, Math.min(x - m[at + 1], this.clip))
    const up = this.side(m, at + RISE, whole, off - this.allowance, 1), down = this.side(m, at + FALL, whole, off + this.allowance, -1)
    const found = up > this.threshold ? at + RISE : down > this.threshold ? at + FALL : -1
    if (found < 0 || n < this.samples) return false
    this.after = m[found + 2]
    this.size = m[found + 3] / this.after - m[at + 1]
    return true
  }

  /** How far the sum is from its extreme. */
  private side (m: Float64Array, at: number, whole: number, by: number, sign: number): number {
    m[at] = this.forget * m[at] + by
    m[at + 2]++
    m[at + 3] += whole
    const beyond = sign * (m[at] - m[at + 1])
    if (beyond >= 0) return beyond
    m[at + 1] = m[at]
    m[at + 2] = m[at + 3] = 0
    return 0
  }
}
