/**
 * Mean, covariance and principal components of vectors of d numbers that come one by one, with exponentially fading weights.
 * Components are those of the correlation matrix, so units do not matter. The first k, which explain 90 % of it, are kept as
 * they are, the others as one variance in all directions: probabilistic principal components (Tipping and Bishop 1999). So
 * there are two distances of a vector: T2 within the plane of the first k (Hotelling 1947) and SPE, the squared distance from
 * it (Jackson and Mudholkar 1979); and their sum in the units of the variances, the distance of the whole.
 *
 * A vector is learned with a weight in (0, 1] by which its deviation is drawn to the mean: so what is far away pulls with no
 * more than what is at the border of the usual (Maronna 1976); nor does any number with more than first-rows.ts says, from the
 * first on. Components are worked out anew each time that a sixteenth of what is remembered is new, not before KEPT vectors. A
 * number that never varied is left out until it does.
 *
 * 8 (5 + (KEPT + 3) d + d (d + 1) / 2 + d d) bytes; O(k d + d^2) per vector and O(d^3) for components.
 */
import { eigen } from './eigen.ts'
import { numbered } from './fields.ts'
import { firstRows, keepFirst, keepLast, KEPT, pull } from './first-rows.ts'

const EXPLAINED = 0.9, RENEW = 16
const ROUNDING = 1e-12               // of the squared length of a vector: what is left of it is nothing
const LEAST = 1e-6                   // of the variance outside of the plane, in units of the numbers' own

const own = { vectors: 0, components: 0, rest: 0, unit: 0, freedom: 0 }
const OWN = Object.keys(own).length

export class Principal {
  readonly d: number
  readonly memory: number
  readonly shape: Readonly<Record<string, number>>     // memory of one stream
  /** After `score`: */
  t2 = 0
  spe = 0
  readonly z: Float64Array           // deviation in units of the standard deviation
  private readonly t: Float64Array   // its components
  private readonly matrix: Float64Array
  private readonly values: Float64Array
  private readonly vectors: Float64Array
  private readonly mean: number      // offsets
  private readonly scale: number     // 1 / standard deviation; 0 of what never varied
  private readonly covariance: number    // upper triangle, row by row
  private readonly variance: number  // of components; after the first k it is not used
  private readonly basis: number     // component by component
  private readonly first: number

  /** `memory`: of so many vectors the oldest counts 1/e. */
  constructor (d: number, memory: number) {
    this.d = d
    this.memory = memory
    this.mean = OWN
    this.scale = this.mean + d
    this.variance = this.scale + d
    this.covariance = this.variance + d
    this.basis = this.covariance + d * (d + 1) / 2
    this.first = this.basis + d * d
    this.shape = { ...own, ...numbered('mean', d), ...numbered('scale', d), ...numbered('variance', d), ...numbered('covariance', d * (d + 1) / 2), ...numbered('basis', d * d), ...firstRows(d) }
    this.z = new Float64Array(d)
    this.t = new Float64Array(d)
    this.matrix = new Float64Array(d * d)
    this.values = new Float64Array(d)
    this.vectors = new Float64Array(d * d)
  }

  /** Deviation of number j from its mean, in standard deviations; 0 when it never varied. */
  standard (m: Float64Array, at: number, j: number, x: number): number { return (x - m[at + this.mean + j]) * m[at + this.scale + j] }
  /** A difference of two values of number j, in standard deviations. */
  difference (m: Float64Array, at: number, j: number, by: number): number { return by * m[at + this.scale + j] }

  /** Works out t2 and spe of what stands in z. */
  score (m: Float64Array, at: number): void {
    const { d, z, t, variance, basis } = this, k = m[at + 1]
    let t2 = 0, spe = 0
    for (let j = 0; j < d; j++) spe += z[j] * z[j]
    const length = spe
    for (let c = 0, from = at + basis; c < k; c++, from += d) {
      let sum = 0
      for (let j = 0; j < d; j++) sum += m[from + j] * z[j]
      t[c] = sum
      t2 += sum * sum / m[at + variance + c]
      spe -= sum * sum
    }
    this.t2 = t2
    this.spe = spe > ROUNDING * length ? spe : 0
  }

  /** Components kept. */
  components (m: Float64Array, at: number): number { return m[at + 1] }
  /** SPE over `unit` is about chi-square with `freedom` degrees of freedom (Box 1954); 0 when nothing is left beside the plane. */
  unit (m: Float64Array, at: number): number { return m[at + 3] }
  freedom (m: Float64Array, at: number): number { return m[at + 4] }
  /** The squared distance of the whole, of what was scored last. */
  whole (m: Float64Array, at: number): number { return this.t2 + this.spe / m[at + 2] }

  /**
   * What each number contributes to T2 (`plane`), SPE (`rest`) or both, of what was scored last: squares of the complete
   * decomposition (Alcala and Qin 2009), which sum to the distance. Written to `into` as shares of 1; all 0 when there is none.
   */
  shares (m: Float64Array, at: number, plane: boolean, rest: boolean, into: Float64Array): void {
    const { d, z, t, variance, basis } = this, k = m[at + 1], outside = rest ? 1 / Math.sqrt(m[at + 2]) : 0
    let sum = 0
    for (let j = 0; j < d; j++) {
      let y = outside * z[j]
      for (let c = 0; c < k; c++) y += m[at + basis + c * d + j] * t[c] * ((plane ? 1 / Math.sqrt(m[at + variance + c]) : 0) - outside)
      into[j] = y * y
      sum += y * y
    }
    for (let j = 0; j < d; j++) into[j] = sum > 0 ? into[j] / sum : 0
  }

  /** Replaces the numbers of z that are missing by those that are most likely beside the others: the least distance of the whole. */
  complete (m: Float64Array, at: number, missing: Uint8Array): void {
    const { d, z, t, variance, basis } = this, k = m[at + 1], rest = 1 / m[at + 2]
    for (let j = 0; j < d; j++) if (missing[j]) z[j] = 0
    for (let round = 0, moved = 1; round < ROUNDS && moved > CLOSE; round++) {
      moved = 0
      for (let j = 0; j < d; j++) {
        if (!missing[j] || m[at + this.scale + j] === 0) continue
        this.score(m, at)
        let slope = rest * z[j], curve = rest
        for (let c = 0; c < k; c++) {
          const p = m[at + basis + c * d + j], by = 1 / m[at + variance + c] - rest
          slope += p * t[c] * by
          curve += p * p * by
        }
        z[j] -= slope / curve
        moved = Math.max(moved, Math.abs(slope / curve))
      }
    }
  }

  /** Takes in a vector whose deviations count `weight`. */
  learn (m: Float64Array, at: number, x: Float64Array, weight: number): void {
    const { d, mean, memory, z } = this, first = at + this.first, n = ++m[at]
    if (n > KEPT) {
      for (let j = 0; j < d; j++) z[j] = this.pull(m, at, j, weight * (x[j] - m[at + mean + j]))
      this.take(m, at, 1 / Math.min(n, memory))
      keepLast(m, first, x)
    } else if (keepFirst(m, first, n, x)) {
      for (let r = 0; r < KEPT; r++) {
        for (let j = 0; j < d; j++) z[j] = m[first + r * d + j] - m[at + mean + j]
        this.take(m, at, 1 / (r + 1))
      }
    }
    if (n >= KEPT && ((n & n - 1) === 0 || n % Math.max(1, Math.floor(Math.min(n, memory) / RENEW)) === 0)) this.renew(m, at)
  }

  meanOf (m: Float64Array, at: number, j: number): number { return m[at + this.mean + j] }
  /** Number j of the next vector, drawn to where it pulls no more than it may. Not before KEPT vectors. */
  tamed (m: Float64Array, at: number, j: number, x: number): number { return this.meanOf(m, at, j) + this.pull(m, at, j, x - this.meanOf(m, at, j)) }

  private pull (m: Float64Array, at: number, j: number, off: number): number {
    return pull(m, at + this.first, j, off, m[at + this.mean + j], m[at + this.covariance + j * this.d - j * (j - 1) / 2])
  }

  /** Takes in a vector whose deviations, as they count, stand in z. */
  private take (m: Float64Array, at: number, by: number): void {
    const { d, mean, covariance, z } = this
    for (let i = 0, to = at + covariance; i < d; i++) {
      const pull = by * z[i]
      m[at + mean + i] += pull
      for (let j = i; j < d; j++, to++) m[to] = (1 - by) * (m[to] + pull * z[j])
    }
  }

  /** Works out components from the covariance. */
  private renew (m: Float64Array, at: number): void {
    const { d, matrix, values, vectors, scale, covariance, variance, basis } = this
    for (let i = 0, from = at + covariance; i < d; from += d - i++) m[at + scale + i] = m[from] > 0 ? 1 / Math.sqrt(m[from]) : 0
    let varied = 0
    for (let i = 0, from = at + covariance; i < d; i++) {
      if (m[at + scale + i] > 0) varied++
      for (let j = i; j < d; j++, from++) matrix[i * d + j] = matrix[j * d + i] = m[from] * m[at + scale + i] * m[at + scale + j]
    }
    eigen(matrix, d, values, vectors)
    let k = 0, left = varied
    while (k < varied && left > (1 - EXPLAINED) * varied) left -= values[k++]
    m[at + 1] = k
    m[at + 2] = Math.max(varied > k ? left / (varied - k) : 0, LEAST)
    let squares = 0
    for (let c = k; c < varied; c++) squares += values[c] * values[c]
    m[at + 3] = left > LEAST * varied ? squares / left : 0
    m[at + 4] = left > LEAST * varied ? left * left / squares : 0
    for (let c = 0; c < k; c++) {
      m[at + variance + c] = values[c]
      for (let j = 0; j < d; j++) m[at + basis + c * d + j] = vectors[c * d + j]
    }
  }
}

const ROUNDS = 50, CLOSE = 1e-9
