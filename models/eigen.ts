/**
 * Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan 2013, Matrix computations,
 * 8.5): accurate also for small eigenvalues, and the same on every machine. O(d^3) per sweep, 5 to 10 sweeps.
 */
const SWEEPS = 30, SMALL = 1e-30

/**
 * `a` (d x d, symmetric) becomes diagonal; row c of `vectors` (d x d) becomes the eigenvector of the c-th largest eigenvalue,
 * which stands in values[c].
 */
export function eigen (a: Float64Array, d: number, values: Float64Array, vectors: Float64Array): void {
  vectors.fill(0)
  let trace = 0
  for (let i = 0; i < d; i++) {
    vectors[i * d + i] = 1
    trace += Math.abs(a[i * d + i])
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let off = 0
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) off += a[p * d + q] * a[p * d + q]
    if (off <= SMALL * trace * trace) break
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) if (a[p * d + q] !== 0) rotate(a, d, p, q, vectors)
  }
  for (let i = 0; i < d; i++) values[i] = a[i * d + i]
  for (let i = 0; i < d; i++) {
    let largest = i
    for (let j = i + 1; j < d; j++) if (values[j] > values[largest]) largest = j
    if (largest === i) continue
    const value = values[i]
    values[i] = values[largest]
    values[largest] = value
    for (let k = 0; k < d; k++) {
      const x = vectors[i * d + k]
      vectors[i * d + k] = vectors[largest * d + k]
      vectors[largest * d + k] = x
    }
  }
}

/** Makes a[p, q] zero. */
function rotate (a: Float64Array, d: number, p: number, q: number, vectors: Float64Array): void {
  const apq = a[p * d + q], theta = (a[q * d + q] - a[p * d + p]) / (2 * apq)
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1))
  const c = 1 / Math.sqrt(t * t + 1), s = t * c
  for (let k = 0; k < d; k++) {
    const x = a[k * d + p], y = a[k * d + q]
    a[k * d + p] = c * x - s * y
    a[k * d + q] = s * x + c * y
  }
  for (let k = 0; k < d; k++) {
    const x = a[p * d + k], y = a[q * d + k]
    a[p * d + k] = c * x - s * y
    a[q * d + k] = s * x + c * y
    const u = vectors[p * d + k], v = vectors[q * d + k]
    vectors[p * d + k] = c * u - s * v
    vectors[q * d + k] = s * u + c * v
  }
}
