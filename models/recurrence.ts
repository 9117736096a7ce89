/**
 * What recurs is usual: a size that has come twice is. The largest two are kept, and fade with every smaller one; what is at most
 * MARGIN times the second is usual. 16 bytes.
 */
export const recurrence = { largest: 0, second: 0 }

const MARGIN = 1.5
const FADE = 0.99

/** So large is usual; 0 before anything has come twice. */
export const usual = (m: Float64Array, at: number): number => MARGIN * m[at + 1]

export function learn (m: Float64Array, at: number, size: number): void {
  m[at] *= FADE
  m[at + 1] = Math.max(FADE * m[at + 1], Math.min(m[at], size))
  m[at] = Math.max(m[at], size)
}
