/** Features of values in the order of their times; those that take `off` are given distances to the mean, of `centred`. */

/** How often the signal passes its mean, above or not (number_crossing_m of tsfresh at the mean). */
export function meanCrossings (off: Float64Array): number {
  let crossings = 0
  for (let i = 1; i < off.length; i++) if (off[i] > 0 !== off[i - 1] > 0) crossings++
  return crossings
}

/**
 * Autocorrelation at `lag` readings: mean of the products of distances to the common mean, over the variance of the
 * population (tsfresh). -1 to 1 up to the effect of the ends; NaN when there are not more readings than `lag`, or all are equal.
 */
export function autocorrelation (off: Float64Array, lag: number): number {
  const n = off.length
  let square = 0, product = 0
  for (let i = 0; i < n; i++) square += off[i] * off[i]
  for (let i = lag; i < n; i++) product += off[i] * off[i - lag]
  return n > lag && square > 0 ? product / (n - lag) / (square / n) : NaN
}

/**
 * Permutation entropy (Bandt and Pompe 2002) of patterns of `order` readings that follow one another, 2 to 6; 0: one pattern
 * only, 1: all equally often. Equal values stand in the order of their times. NaN with fewer readings than `order`.
 */
export function permutationEntropy (values: Float64Array, order: number): number {
  const patterns = new Float64Array(factorial(order)), count = values.length - order + 1
  const smaller = new Int32Array(order)  // of each reading of the pattern how many of the later ones are smaller: its Lehmer code
  for (let i = 0; i < values.length; i++) {
    const x = values[i]
    let code = 0
    for (let j = 0; j < order - 1; j++) {
      const before = i - order + 1 + j
      smaller[j] = smaller[j + 1] + Number(x < values[before < 0 ? i : before])
      code = code * (order - j) + smaller[j]
    }
    if (i >= order - 1) patterns[code]++
  }
  let entropy = 0
  for (const times of patterns) if (times > 0) entropy -= times / count * Math.log(times / count)
  return count > 0 ? entropy / Math.log(patterns.length) : NaN
}

const factorial = (n: number): number => n <= 1 ? 1 : n * factorial(n - 1)

/** Distances to the mean, by way of those to the first value, so that a large offset costs no digits. */
export function centred (values: Float64Array): Float64Array {
  const n = values.length, off = new Float64Array(n)
  let sum = 0
  for (let i = 0; i < n; i++) sum += off[i] = values[i] - values[0]
  const mean = sum / n
  for (let i = 0; i < n; i++) off[i] -= mean
  return off
}
