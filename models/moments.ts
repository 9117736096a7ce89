import { lost, lostOver, lostTimes } from './rounding-errors.ts'

/**
 * Central moments of values, and their line over time, as a mergeable accumulator: numbers side by side in an array.
 *
 * Values are taken relative to the first one of the set, so that a large common offset costs no digits. Adding is Welford's
 * recursion, merging that of Chan, Golub and LeVeque (1983), both to the fourth order after Pebay (2008, SAND2008-6212):
 * sums of powers of differences to the mean, so that a first value far from the others costs none either. A mean or a line that is
 * near 0 is the small difference of large sums, so what rounding takes from those is kept (Neumaier 1974).
 */
const fieldsOf = {
  mean: ['value0', 'sum', 'sumLow'],             // of v = value - value0; what rounding took from it
  square: ['squares'],                           // of v - mean
  higher: ['cubes', 'fourths'],
  trend: ['time0', 'sumT', 'squaresT', 'products', 'productsLow']       // of t = time - time0 in ms; what rounding took from `products`
} as const
export type MomentGroup = keyof typeof fieldsOf
export type MomentField = typeof fieldsOf[MomentGroup][number]

type Numbers = Readonly<Float64Array>

export class Moments {
  readonly fields: readonly MomentField[]
  private readonly at: number            // where value0 stands, from the begin of the accumulator
  private readonly squares: number       // offsets; -1 when not needed
  private readonly cubes: number
  private readonly time0: number
  private readonly block: Float64Array   // what addAll() merges

  /** `higher` needs `square`, and all of them `mean`. */
  constructor (wanted: ReadonlySet<MomentGroup>, at: number) {
    this.fields = (Object.keys(fieldsOf) as MomentGroup[]).filter(g => wanted.has(g)).flatMap(g => [...fieldsOf[g]])
    const offset = (field: MomentField) => this.fields.includes(field) ? at + this.fields.indexOf(field) : -1
    this.at = at
    this.squares = offset('squares')
    this.cubes = offset('cubes')
    this.time0 = offset('time0')
    this.block = new Float64Array(at + this.fields.length)
  }

  /** Adds reading i, which is counted already: n, at the begin of the accumulator. */
  add (a: Float64Array, at: number, times: Numbers, values: Numbers, i: number): void {
    const n = a[at], j = at + this.at
    if (n === 1) {
      a[j] = values[i]
      if (this.time0 >= 0) a[at + this.time0] = times[i]
      return
    }
    const sum = a[j + 1], low = a[j + 2], v = values[i] - a[j], total = sum + v, part = total - sum      // lost() written out: not all calls are inlined here
    a[j + 1] = total
    a[j + 2] = low + ((sum - (total - part)) + (v - part))
    if (this.squares < 0 && this.time0 < 0) return
    const off = v - sum / (n - 1), step = off / n
    if (this.squares >= 0) {
      const s = at + this.squares, square = off * step * (n - 1)
      if (this.cubes >= 0) {
        const c = at + this.cubes
        a[c + 1] += square * step * step * (n * n - 3 * n + 3) + 6 * step * step * a[s] - 4 * step * a[c]
        a[c] += square * step * (n - 2) - 3 * step * a[s]
      }
      a[s] += square
    }
    if (this.time0 >= 0) {
      const k = at + this.time0, t = times[i] - a[k], offT = t - a[k + 1] / (n - 1)
      a[k + 1] += t
      a[k + 2] += offT * (offT / n) * (n - 1)
      this.product(a, k, offT * ((off - low / (n - 1)) / n) * (n - 1))
    }
  }

  /**
   * Adds the first `count` readings, which are not counted yet: worked out by themselves about their own mean, and merged. Two divisions for
   * all of them, where add() has six for each.
   */
  addAll (a: Float64Array, at: number, times: Numbers, values: Numbers, count: number): void {
    const n = a[at], b = n === 0 ? a : this.block, bt = n === 0 ? at : 0, j = bt + this.at, first = values[0]
    let sum = 0
    for (let i = 1; i < count; i++) sum += values[i] - first
    b[j] = first
    b[j + 1] = sum
    b[j + 2] = 0                         // what rounding takes from the sum of a few is not worth keeping
    if (this.squares >= 0) this.powers(b, bt, values, count, first, sum / count)
    if (this.time0 >= 0) this.line(b, bt, times, values, count, first, sum / count)
    if (n > 0) this.merge(a, at, n, b, 0, count)
  }

  private powers (b: Float64Array, bt: number, values: Numbers, count: number, first: number, mean: number): void {
    let squares = 0, cubes = 0, fourths = 0
    for (let i = 0; i < count; i++) {
      const off = values[i] - first - mean, square = off * off
      squares += square
      cubes += square * off
      fourths += square * square
    }
    b[bt + this.squares] = squares
    if (this.cubes < 0) return
    b[bt + this.cubes] = cubes
    b[bt + this.cubes + 1] = fourths
  }

  private line (b: Float64Array, bt: number, times: Numbers, values: Numbers, count: number, first: number, mean: number): void {
    const k = bt + this.time0, time0 = times[0]
    let sumT = 0, squaresT = 0
    for (let i = 1; i < count; i++) sumT += times[i] - time0
    b[k] = time0
    b[k + 1] = sumT
    let products = 0
    for (let i = 0, meanT = sumT / count; i < count; i++) {
      const offT = times[i] - time0 - meanT
      squaresT += offT * offT
      products += offT * (values[i] - first - mean)
    }
    b[k + 3] = products
    b[k + 4] = 0
    b[k + 2] = squaresT
  }

  private product (a: Float64Array, j: number, x: number): void {
    const sum = a[j + 3], total = sum + x, part = total - sum
    a[j + 3] = total
    a[j + 4] += (sum - (total - part)) + (x - part)
  }

  /** Adds nb readings of b to na of a, both at least 1. */
  merge (a: Float64Array, at: number, na: number, b: Numbers, bt: number, nb: number): void {
    const n = na + nb, i = at + this.at, j = bt + this.at
    const apart = b[j] - a[i], apartLow = lost(b[j], -a[i]), sum = a[i + 1], low = a[i + 2], grown = nb * apart, other = b[j + 1] + grown
    const mean = sum / na, shifted = b[j + 1] / nb + apart, off = shifted - mean
    const offLow = lostOver(b[j + 1], b[j + 2], nb) + apartLow + lost(b[j + 1] / nb, apart) + lost(shifted, -mean) - lostOver(sum, low, na)
    a[i + 1] = sum + other
    a[i + 2] = low + b[j + 2] + (nb * apartLow + lostTimes(nb, apart) + lost(b[j + 1], grown) + lost(sum, other))
    if (this.squares >= 0) {
      const s = at + this.squares, r = bt + this.squares, step = off / n, square = off * step * na * nb
      if (this.cubes >= 0) {
        const c = at + this.cubes, d = bt + this.cubes
        a[c + 1] += b[d + 1] + square * step * step * (na * na - na * nb + nb * nb) + 6 * step * step * (na * na * b[r] + nb * nb * a[s]) + 4 * step * (na * b[d] - nb * a[c])
        a[c] += b[d] + square * step * (na - nb) + 3 * step * (na * b[r] - nb * a[s])
      }
      a[s] += b[r] + square
    }
    if (this.time0 >= 0) {
      const t = at + this.time0, u = bt + this.time0, apartT = b[u] - a[t], offT = b[u + 1] / nb + apartT - a[t + 1] / na
      a[t + 1] += b[u + 1] + nb * apartT
      a[t + 2] += b[u + 2] + offT * (offT / n) * na * nb
      this.product(a, t, b[u + 3])
      this.product(a, t, offT * ((off + offLow) / n) * na * nb)
      a[t + 4] += b[u + 4]
    }
  }

  mean (a: Float64Array, at: number): number {
    const j = at + this.at, n = a[at], near = a[j] + a[j + 1] / n, low = this.meanLow(a, at)
    return Number.isNaN(low) ? near : near + low
  }
  /** What rounding takes from the mean as value0 + sum / n; NaN when values are too large for that. */
  private meanLow (a: Float64Array, at: number): number {
    const j = at + this.at, n = a[at], sum = a[j + 1]
    return lost(a[j], sum / n) + lostOver(sum, a[j + 2], n)
  }
  /** Of the population. */
  variance (a: Float64Array, at: number): number { return a[at + this.squares] / a[at] }
  /** m3 / m2^1.5 of the population: NaN when all values are equal. */
  skewness (a: Float64Array, at: number): number {
    const s = a[at + this.squares]
    return s > 0 ? Math.sqrt(a[at] / s) * (a[at + this.cubes] / s) : NaN
  }
  /** m4 / m2^2 of the population, 3 for a normal distribution: NaN when all values are equal. */
  kurtosis (a: Float64Array, at: number): number {
    const s = a[at + this.squares]
    return s > 0 ? a[at] / s * (a[at + this.cubes + 1] / s) : NaN
  }
  /** Of the least-squares line, per second: NaN when all times are equal. */
  slope (a: Float64Array, at: number): number {
    const j = at + this.time0
    return a[j + 2] > 0 ? (a[j + 3] + a[j + 4]) * 1000 / a[j + 2] : NaN
  }
  /** Where the line stands at `time`, in ms. */
  lineAt (a: Float64Array, at: number, time: number): number {
    const j = at + this.time0, i = at + this.at, n = a[at], mean = a[i] + a[i + 1] / n, low = this.meanLow(a, at)
    return mean + this.slope(a, at) * (time - a[j] - a[j + 1] / n) / 1000 + (Number.isNaN(low) ? 0 : low)
  }
  /** The part of the variance that the line explains, 0 to 1: NaN when all times or all values are equal. */
  explained (a: Float64Array, at: number): number {
    const j = at + this.time0, s = a[at + this.squares], products = a[j + 3] + a[j + 4]
    return a[j + 2] > 0 && s > 0 ? products / a[j + 2] * (products / s) : NaN
  }
}
