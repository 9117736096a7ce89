/**
 * Forecasts of several experts, combined with weights that are learned online: ML-Poly with the gradient trick (Gaillard, Stoltz
 * and van Erven 2014, A second-order bound with excess losses; Gaillard 2015, thesis, on electricity load), which has nothing to
 * tune. An expert's weight is its regret, as far as it is positive, over the sum of squares of its regrets: how much less would
 * have been lost by leaning towards it. It competes with the best convex combination in hindsight, in mean absolute error.
 * What is older fades, so that the best may change. An expert without a forecast (NaN) sleeps: it has no weight and no regret.
 *
 * Beside it stands the account of a gate: the mean absolute error, lately, of the combination and of the baselines, which are
 * the first experts.
 */
const N = 0, MIXED = 1, ACCOUNTS = 2

/** Numbers that a combination takes: scored forecasts, mean absolute error of the combination and of the baselines; each expert's regret and sum of squares. */
export const sizeOf = (experts: number, baselines: number): number => ACCOUNTS + baselines + 2 * experts

/** Combines `experts` forecasts, the first at f[from]; before there is any regret the best baseline's. */
export function combine (m: Float64Array, at: number, f: Float64Array, from: number, experts: number, baselines: number): number {
  const regrets = at + ACCOUNTS + baselines, squares = regrets + experts
  let sum = 0, total = 0
  for (let e = 0; e < experts; e++) {
    const regret = m[regrets + e], x = f[from + e]
    if (!(regret > 0) || x !== x) continue
    const weight = regret / m[squares + e]
    sum += weight * x
    total += weight
  }
  return total > 0 ? sum / total : f[from + best(m, at, baselines)]
}

/** Learns the value for which the experts' forecasts were f[from...] and the combination `mixed`; what is `most` forecasts ago counts 1 / e. */
export function learn (m: Float64Array, at: number, f: Float64Array, from: number, experts: number, baselines: number, mixed: number, value: number, most: number): void {
  const gain = 1 / Math.min(++m[at + N], most), keep = 1 - 1 / most, lean = Math.sign(mixed - value)
  const regrets = at + ACCOUNTS + baselines, squares = regrets + experts
  m[at + MIXED] += (Math.abs(value - mixed) - m[at + MIXED]) * gain
  for (let b = 0; b < baselines; b++) m[at + ACCOUNTS + b] += (Math.abs(value - f[from + b]) - m[at + ACCOUNTS + b]) * gain
  for (let e = 0; e < experts; e++) {
    const x = f[from + e], regret = x === x ? lean * (mixed - x) : 0
    m[regrets + e] = m[regrets + e] * keep + regret
    m[squares + e] = m[squares + e] * keep + regret * regret
  }
}

/** The baseline with the least error lately. */
export function best (m: Float64Array, at: number, baselines: number): number {
  let best = 0
  for (let b = 1; b < baselines; b++) if (m[at + ACCOUNTS + b] < m[at + ACCOUNTS + best]) best = b
  return best
}

/** The error of the combination over that of the best baseline, lately: a relative mean absolute error. 1 when neither errs; NaN before the first score. */
export function relative (m: Float64Array, at: number, baselines: number): number {
  const own = m[at + MIXED], other = m[at + ACCOUNTS + best(m, at, baselines)]
  return m[at + N] === 0 ? NaN : own === other ? 1 : own / other
}
