/**
 * Features of a set of readings as mergeable accumulators: plain numbers side by side in an array, so that a window is a
 * record of memory. merge(a, b) equals adding b's readings after a's: exactly for count, min, max, range, first and last,
 * up to rounding for the others.
 *
 * Sums are taken of differences to the first reading of the set (Chan, Golub, LeVeque 1983: shifted data), so that a
 * large common offset costs no digits: the standard deviation of 1e9 + N(0, 1e-3) comes out right to the resolution of its input.
 */
export const features = ['count', 'mean', 'std', 'min', 'max', 'rms', 'range', 'slope', 'first', 'last'] as const
export type Feature = typeof features[number]

/** What each feature needs to be summed up. */
const groups: Readonly<Record<Feature, readonly Group[]>> = {
  count: [], mean: ['mean'], std: ['mean', 'square'], rms: ['mean', 'square'], slope: ['mean', 'trend'],
  min: ['min'], max: ['max'], range: ['min', 'max'], first: ['first'], last: ['last']
}
const fieldsOf = {
  mean: ['value0', 'sum'],                       // of v = value - value0
  square: ['sumSquare'],                         // of v * v
  trend: ['time0', 'sumT', 'sumTT', 'sumTV'],    // of t = time - time0 in seconds
  min: ['min'],
  max: ['max'],
  first: ['firstTime', 'first'],
  last: ['lastTime', 'last']
} as const
type Group = keyof typeof fieldsOf
export type Field = 'n' | typeof fieldsOf[Group][number]

/** The fields that an accumulator of these features has, in order. All of them zero: no readings. */
export function fields (chosen: readonly Feature[]): Field[] {
  const wanted = new Set(chosen.flatMap(f => groups[f]))
  return ['n', ...(Object.keys(fieldsOf) as Group[]).filter(g => wanted.has(g)).flatMap(g => [...fieldsOf[g]])]
}

/** Adds, merges and reads accumulators of the chosen features. They stand in any array at any offset; n is at `at`. */
export class Accumulator {
  readonly fields: readonly Field[]
  private readonly value0: number        // offsets; -1 when not needed
  private readonly sum: number
  private readonly sumSquare: number
  private readonly time0: number
  private readonly min: number
  private readonly max: number
  private readonly first: number
  private readonly last: number

  constructor (chosen: readonly Feature[]) {
    this.fields = fields(chosen)
    this.value0 = this.fields.indexOf('value0')
    this.sum = this.fields.indexOf('sum')
    this.sumSquare = this.fields.indexOf('sumSquare')
    this.time0 = this.fields.indexOf('time0')
    this.min = this.fields.indexOf('min')
    this.max = this.fields.indexOf('max')
    this.first = this.fields.indexOf('firstTime')
    this.last = this.fields.indexOf('lastTime')
  }

  /** Adds one reading. `time` in ms; `value` must be a number. */
  add (a: Float64Array, at: number, time: number, value: number): void {
    if (a[at]++ === 0) return this.begin(a, at, time, value)
    if (this.sum >= 0) {
      const v = value - a[at + this.value0]
      a[at + this.sum] += v
      if (this.sumSquare >= 0) a[at + this.sumSquare] += v * v
      if (this.time0 >= 0) {
        const i = at + this.time0, t = (time - a[i]) / 1000
        a[i + 1] += t
        a[i + 2] += t * t
        a[i + 3] += t * v
      }
    }
    if (this.min >= 0 && value < a[at + this.min]) a[at + this.min] = value
    if (this.max >= 0 && value > a[at + this.max]) a[at + this.max] = value
    if (this.first >= 0 && time < a[at + this.first]) {
      a[at + this.first] = time
      a[at + this.first + 1] = value
    }
    if (this.last >= 0 && time >= a[at + this.last]) {
      a[at + this.last] = time
      a[at + this.last + 1] = value
    }
  }

  private begin (a: Float64Array, at: number, time: number, value: number): void {
    if (this.value0 >= 0) a[at + this.value0] = value
    if (this.time0 >= 0) a[at + this.time0] = time
    if (this.min >= 0) a[at + this.min] = value
    if (this.max >= 0) a[at + this.max] = value
    if (this.first >= 0) { a[at + this.first] = time; a[at + this.first + 1] = value }
    if (this.last >= 0) { a[at + this.last] = time; a[at + this.last + 1] = value }
  }

  /** Adds to a what b holds, as if b's readings had come after a's. */
  merge (a: Float64Array, at: number, b: Float64Array, bt: number): void {
    const n = b[bt]
    if (n === 0) return
    if (a[at] === 0) {
      for (let k = 0; k < this.fields.length; k++) a[at + k] = b[bt + k]
      return
    }
    a[at] += n
    if (this.sum >= 0) {
      const v = b[bt + this.value0] - a[at + this.value0], sum = b[bt + this.sum]
      a[at + this.sum] += sum + n * v
      if (this.sumSquare >= 0) a[at + this.sumSquare] += b[bt + this.sumSquare] + 2 * v * sum + n * v * v
      if (this.time0 >= 0) {
        const i = at + this.time0, j = bt + this.time0, t = (b[j] - a[i]) / 1000
        a[i + 1] += b[j + 1] + n * t
        a[i + 2] += b[j + 2] + 2 * t * b[j + 1] + n * t * t
        a[i + 3] += b[j + 3] + v * b[j + 1] + t * sum + n * t * v
      }
    }
    if (this.min >= 0) a[at + this.min] = Math.min(a[at + this.min], b[bt + this.min])
    if (this.max >= 0) a[at + this.max] = Math.max(a[at + this.max], b[bt + this.max])
    if (this.first >= 0 && b[bt + this.first] < a[at + this.first]) {
      a[at + this.first] = b[bt + this.first]
      a[at + this.first + 1] = b[bt + this.first + 1]
    }
    if (this.last >= 0 && b[bt + this.last] >= a[at + this.last]) {
      a[at + this.last] = b[bt + this.last]
      a[at + this.last + 1] = b[bt + this.last + 1]
    }
  }

  /**
   * One of the chosen features; NaN when there are no readings. `std` is that of the population (0 for one reading), `slope`
   * the least-squares line in units per second of event time (NaN when all readings have the same time),
   * `first` and `last` go by event time: among equal times the first and the last that were added.
   */
  value (feature: Feature, a: Float64Array, at: number): number {
    const n = a[at]
    if (feature === 'count') return n
    if (n === 0) return NaN
    const mean = a[at + this.sum] / n                            // of v
    switch (feature) {
      case 'mean': return a[at + this.value0] + mean
      case 'std': return Math.sqrt(this.variance(a, at))
      case 'rms': return Math.sqrt((a[at + this.value0] + mean) ** 2 + this.variance(a, at))
      case 'min': return a[at + this.min]
      case 'max': return a[at + this.max]
      case 'range': return a[at + this.max] - a[at + this.min]
      case 'slope': {
        const i = at + this.time0, spread = a[i + 2] - a[i + 1] * a[i + 1] / n
        return spread > 0 ? (a[i + 3] - a[i + 1] * mean) / spread : NaN
      }
      case 'first': return a[at + this.first + 1]
      case 'last': return a[at + this.last + 1]
    }
  }

  private variance (a: Float64Array, at: number): number {
    const n = a[at], mean = a[at + this.sum] / n
    return Math.max(0, a[at + this.sumSquare] / n - mean * mean)
  }
}
