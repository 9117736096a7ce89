/**
 * A few slots of a memory, `width` numbers each, the one come to last in front. The number at `times` of a slot is at least TWICE when
 * it has recurred. What is new takes the place of what came the fewest times, TWICE being enough, and of those of what has not come for longest:
 * so what comes once, each time another, drives out nothing that recurs.
 */
export const TWICE = 2

/** Brings slot `k` to the front; the others keep their order. */
export function front (m: Float64Array, at: number, width: number, k: number): void {
  for (let j = 0; j < width; j++) {
    const number = m[at + k * width + j]
    for (let i = k; i > 0; i--) m[at + i * width + j] = m[at + (i - 1) * width + j]
    m[at + j] = number
  }
}

/** Brings the slot to the front, of `count`, whose place something new takes. */
export function makeRoom (m: Float64Array, at: number, width: number, count: number, times: number): void {
  let k = count - 1
  const of = (k: number) => Math.min(m[at + k * width + times], TWICE)
  for (let j = k - 1; j >= 0; j--) if (of(j) < of(k)) k = j
  front(m, at, width, k)
}
