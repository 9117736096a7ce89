/** How surprising a number is, -ln of the chance that one is so large: an exponential number of mean 1 when all is usual, which is what a tail begins with (tail.ts). */

/**
 * Of a chi-square number with `df` degrees of freedom, not necessarily whole. By the cube root's normal distribution (Wilson and
 * Hilferty 1931): within 8 % for df from 1 and probabilities from 1e-6; far beyond it says too little, but always more for more.
 */
export function ofChiSquare (x: number, df: number): number {
  const s = 2 / (9 * df)
  return ofNormal((Math.cbrt(x / df) - 1 + s) / Math.sqrt(s))
}

/** Of a standard normal number: within a relative 1e-4 from z = -3 on. */
export function ofNormal (z: number): number {
  if (z > 2) {                       // continued fraction of Laplace
    let tail = z
    for (let k = 40; k > 0; k--) tail = z + k / tail
    return z * z / 2 + Math.log(tail) + HALF_LOG_TURN
  }
  const a = Math.abs(z) / Math.SQRT2, t = 1 / (1 + 0.3275911 * a)      // Abramowitz and Stegun 7.1.26
  const half = 0.5 * t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * Math.exp(-a * a)
  return -Math.log(z > 0 ? half : 1 - half)
}
const HALF_LOG_TURN = Math.log(2 * Math.PI) / 2
