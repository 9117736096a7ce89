/**
 * Location and scale of a series, robust against outliers and O(1) per reading: Huber's proposal 2 (Huber 1964, Robust
 * estimation of a location parameter) as a recursion with exponentially decaying weights. A reading pulls with at most
 * CLIP scales, so a spike cannot move what is normal; when the level really shifts, the scale grows by up to a constant
 * factor per reading until the new level is inside. It begins at the median of the first `samples` readings, with their
 * MAD as the scale, so that a wild one among them does no harm either.
 *
 * Weights decay with event time, exp(-age / over), so irregular sampling needs no special care; but never so far that
 * fewer than about the newest `samples` readings count, so that a slow series has a memory too.
 * At 5 % gross outliers the scale comes out about 1.3 times too large, at 11 % it no longer holds.
 */
import { middle } from './first-readings.ts'

export const CLIP = 3
const CONSISTENT = 1 / 0.9950073      // E[min(z^2, 9)] of a normal z, so that the scale of normal readings is their standard deviation
const LIMIT = 1000

/** One series: `weight` is the sum of weights; until it has begun, the number of readings seen. */
export const robust = { location: 0, variance: 0, weight: 0, newest: -Infinity }

export class Robust {
  private readonly over: number
  private readonly samples: number
  private readonly floor: number
  private span = 0                     // decay(span) is kept: most readings are equally far apart
  private kept = 1

  /** `over`: ms after which a reading weighs 1/e; `samples`: learned before anything is scored; `floor`: the least scale. */
  constructor ({ over, samples, floor }: { readonly over: number, readonly samples: number, readonly floor: number }) {
    this.over = over
    this.samples = samples
    this.floor = floor
  }

  /**
   * Begins with the first readings, in ascending order: median, and MAD or, when more than half of them are equal, mean absolute
   * deviation, each made consistent with the standard deviation of normal readings (Iglewicz and Hoaglin 1993).
   */
  begin (m: Float64Array, at: number, sorted: Float64Array): void {
    const location = middle(sorted)
    const off = sorted.map(x => Math.abs(x - location)).sort()
    const scale = 1.482602 * middle(off) || 1.253314 * off.reduce((a, b) => a + b) / off.length
    m[at] = location
    m[at + 1] = scale * scale
    m[at + 2] = sorted.length
  }

  /** How many scales the value is off: 0 at the location, within +-1000; NaN for NaN. */
  score (m: Float64Array, at: number, value: number): number {
    const off = value - m[at]
    if (off === 0) return 0
    const z = off / Math.max(Math.sqrt(m[at + 1]), this.floor)
    return z > LIMIT ? LIMIT : z < -LIMIT ? -LIMIT : z
  }

  /** Takes in a value; NaN is none. A time older than the newest counts as the newest. */
  learn (m: Float64Array, at: number, value: number, time: number): void {
    if (Number.isNaN(value)) return
    const before = m[at + 2], span = time - m[at + 3]
    let weight = before
    if (span > 0) {
      m[at + 3] = time
      weight = Math.max(before * this.decay(span), this.samples)
    }
    const after = weight + 1, variance = m[at + 1]
    let off = value - m[at]
    const bound = CLIP * Math.max(Math.sqrt(variance), this.floor)
    if (bound > 0) off = off > bound ? bound : off < -bound ? -bound : off
    m[at] += off / after
    m[at + 1] = (weight * variance + CONSISTENT * off * off * (weight / after)) / after
    m[at + 2] = after
  }

  private decay (span: number): number {
    if (span !== this.span) {
      this.span = span
      this.kept = Math.exp(-span / this.over)
    }
    return this.kept
  }
}
