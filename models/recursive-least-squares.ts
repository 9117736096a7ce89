/**
 * Recursive least squares with exponential forgetting, its covariance held as U D U' (Bierman 1977, Factorization methods for
 * discrete sequential estimation, chapter V): U is upper triangular with ones, D a diagonal that is never negative, so the
 * covariance is symmetric and positive whatever the rounding does, with half the digits that P itself would need.
 *
 * Directions in which nothing comes would be forgotten for ever and then jump: no element of D grows above its first value
 * again. Of d weights: d + d (d + 1) / 2 numbers; an update takes about 1.5 d^2 multiplications.
 */

/** Numbers that d weights take: the weights, then U by columns, each with its element of D at the end. */
export const sizeOf = (d: number): number => d + d * (d + 1) / 2

/** Sets the covariance to `variance` times the unit matrix; weights stay as they are, which the first data count as known to that. */
export function begin (m: Float64Array, at: number, d: number, variance: number): void {
  m.fill(0, at + d, at + sizeOf(d))
  for (let j = 0, u = at + d; j < d; j++, u += j) m[u + j] = variance
}

export function expected (m: Float64Array, at: number, x: Float64Array): number {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += m[at + i] * x[i]
  return sum
}

/**
 * Learns that x, d numbers, came with `error` more than expected. The weight of what is older fades by `forget` each time;
 * `most` is the largest element of D, that of begin. `gain` is scratch of d numbers.
 */
export function learn (m: Float64Array, at: number, x: Float64Array, error: number, forget: number, most: number, gain: Float64Array): void {
  const d = x.length
  let before = forget
  for (let j = 0, u = at + d; j < d; j++, u += j) {
    let f = x[j]
    for (let i = 0; i < j; i++) f += m[u + i] * x[i]
    const v = m[u + j] * f, after = before + f * v
    const next = m[u + j] * before / (after * forget)
    m[u + j] = next < most ? next : most
    const by = -f / before
    for (let i = 0; i < j; i++) {
      const old = m[u + i]
      m[u + i] = old + by * gain[i]
      gain[i] += old * v
    }
    gain[j] = v
    before = after
  }
  const by = error / before
  for (let i = 0; i < d; i++) m[at + i] += gain[i] * by
}
