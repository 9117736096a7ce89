/**
 * How many readings of a series count as one independent reading, when the mean of many is to be judged: the integrated
 * autocorrelation time, 1 + 2 * sum of autocorrelations; (1 + r) / (1 - r) for an autoregression of order 1. Autocorrelations are
 * summed in pairs while a pair is positive (Geyer 1992, Practical Markov chain Monte Carlo, initial positive sequence). That the
 * mean of the sample stands for the true one makes each of them too small by the variance of that mean: this is undone, to
 * first order. Takes the values in the order they came, at least 2. The time is 1 at least, also for values that are all equal, and
 * their number at most; its standard error is that of Madras and Sokal (1988). Linear in their number for each lag summed.
 */
export function correlationTime (values: Float64Array): { readonly time: number, readonly error: number } {
  const n = values.length, mean = values.reduce((a, b) => a + b) / n, off = values.map(x => x - mean)
  const power = at(off, 0)
  if (!(power > 0)) return { time: 1, error: 0 }
  let sum = 0, lags = 0
  for (; lags + 1 < n; lags += 2) {
    const pair = (at(off, lags) + at(off, lags + 1)) / power
    // what a pair of no correlation at all is expected to be, by the time found so far
    if (pair + 2 * Math.max(1, 2 * sum - 1) / n <= 0) break
    sum += pair
  }
  const raw = 2 * sum - 1, window = (2 * lags - 1) / n
  const time = Math.min(Math.max(raw / (Math.max(1 - window, LEAST) + raw / n), 1), n)
  return { time, error: time * Math.sqrt(2 * window) }
}

const LEAST = 0.25                   // part of the readings that lags may leave, or the correction would know more than they do

/** Sum of products of deviations that are so many readings apart. */
function at (off: Float64Array, lag: number): number {
  let sum = 0
  for (let i = lag; i < off.length; i++) sum += off[i] * off[i - lag]
  return sum
}
