/**
 * Precision matrices of some of the variables of a covariance matrix, in a memory: matrices are `width` by `width`, symmetric ones given by
 * their lower half; `of`: the places of these variables, in ascending order. O(n^3) and O(n^4).
 */
const RIDGE = 1e-6                   // of the variance, so that two metrics that are one can be told apart from noise

/** The inverse by Gauss and Jordan, of a matrix whose diagonal is a little larger; zeros when it has none, and for all other variables. */
export function invert (m: Float64Array, covariances: number, precisions: number, width: number, of: readonly number[]): void {
  const count = of.length, a = of.map((i, row) => Float64Array.from({ length: 2 * count }, (_, j) =>
    j >= count ? Number(j - count === row) : m[covariances + Math.max(i, of[j]) * width + Math.min(i, of[j])] * (row === j ? 1 + RIDGE : 1)))
  m.fill(0, precisions, precisions + width * width)
  for (let k = 0; k < count; k++) {
    const pivot = a[k][k]
    if (!(pivot > 0)) return
    for (let j = 0; j < 2 * count; j++) a[k][j] /= pivot
    for (let i = 0; i < count; i++) {
      const factor = a[i][k]
      if (i !== k && factor !== 0) for (let j = 0; j < 2 * count; j++) a[i][j] -= factor * a[k][j]
    }
  }
  of.forEach((i, row) => { of.forEach((j, column) => { m[precisions + i * width + j] = a[row][count + column] }) })
}

/** How standardised residuals vary together, of vectors with this covariance: that between precisions, scaled. */
export function spread (m: Float64Array, precisions: number, covariances: number, to: number, width: number, of: readonly number[]): void {
  for (const i of of) for (const j of of) {
    if (j > i) break
    let sum = 0
    for (const k of of) for (const l of of) sum += m[precisions + i * width + k] * m[covariances + Math.max(k, l) * width + Math.min(k, l)] * m[precisions + j * width + l]
    m[to + i * width + j] = sum === 0 ? 0 : sum / Math.sqrt(m[precisions + i * width + i] * m[precisions + j * width + j])
  }
}
