const SURELY = 1 - 1e-9              // of a bound: by more than rounding, which is 1e-16 in a logarithm
const LEAST = 1e-6                   // that the threshold is for that to hold

/**
 * |ln (a / b)| of two numbers > 0; 0 when it is surely no more than a threshold >= 0, which costs no logarithm: as the logarithmic
 * mean is no less than the geometric one, it is at most |a - b| / sqrt(a b).
 */
export function logRatioAbove (threshold: number, a: number, b: number): number {
  const apart = a - b
  return threshold > LEAST && threshold < Infinity && apart * apart < SURELY * threshold * threshold * a * b ? 0 : Math.abs(Math.log(a / b))
}
