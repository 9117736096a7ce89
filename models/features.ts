/**
 * Features of a set of readings as mergeable accumulators: plain numbers side by side in an array, so that a window is a
 * record of memory. merge(a, b) equals adding b's readings after a's: exactly for counts, extremes, first, last and what
 * follows from them, up to rounding for the others.
 *
 * The moments are in moments.ts, what goes by the order of readings in path.ts. Features that need the readings themselves:
 * samples.ts.
 */
import { Moments, type MomentField, type MomentGroup } from './moments.ts'
import { Path, type PathField, type PathGroup } from './path.ts'

/** What each feature needs to be summed up. */
const groups = {
  count: [], mean: ['mean'], std: ['mean', 'square'], min: ['min'], max: ['max'], rms: ['mean', 'square'], range: ['min', 'max'], slope: ['mean', 'trend'],
  first: ['first'], last: ['last'],
  var: ['mean', 'square'], peak: ['min', 'max'], crest: ['mean', 'square', 'min', 'max'], shape: ['mean', 'square', 'absolute'], impulse: ['min', 'max', 'absolute'],
  skewness: ['mean', 'square', 'higher'], kurtosis: ['mean', 'square', 'higher'],
  intercept: ['mean', 'trend', 'first'], r2: ['mean', 'square', 'trend'], delta: ['first', 'last'], rate: ['first', 'last'],
  mean_held: ['last', 'begin', 'span', 'held'], mean_linear: ['last', 'begin', 'span', 'linear'],
  time_above: ['last', 'begin', 'span', 'above'], duty_cycle: ['last', 'begin', 'span', 'above'], zero_crossings: ['last', 'begin', 'crossings']
} as const satisfies Readonly<Record<string, readonly Group[]>>
export type Feature = keyof typeof groups
export const features = Object.keys(groups) as Feature[]

const ownFields = {
  min: ['min'],
  max: ['max'],
  absolute: ['sumAbsolute'],             // of |value|
  first: ['firstTime', 'first'],
  last: ['lastTime', 'last']
} as const
type OwnGroup = keyof typeof ownFields
type Group = MomentGroup | OwnGroup | PathGroup
export type Field = 'n' | MomentField | typeof ownFields[OwnGroup][number] | PathField

/** The fields that an accumulator of these features has, in order. All of them zero: no readings. */
export const fields = (chosen: readonly Feature[]): readonly Field[] => new Accumulator(chosen).fields

type Numbers = Readonly<Float64Array>

/** Adds, merges and reads accumulators of the chosen features. They stand in any array at any offset; n is at `at`. */
export class Accumulator {
  readonly fields: readonly Field[]
  /** Whether a reading alone costs much more than among several: divisions, and sums that are read and written for each. */
  readonly gathers: boolean
  private readonly moments: Moments | undefined
  private readonly path: Path | undefined
  private readonly min: number           // offsets; -1 when not needed
  private readonly max: number
  private readonly absolute: number
  private readonly first: number
  private readonly last: number

  /** `above`: the level of `time_above` and `duty_cycle`. */
  constructor (chosen: readonly Feature[], { above = 0 }: { readonly above?: number } = {}) {
    const wanted = new Set<Group>(chosen.flatMap(f => [...groups[f]]))
    const moments = new Moments(wanted as ReadonlySet<MomentGroup>, 1)
    const own = (Object.keys(ownFields) as OwnGroup[]).filter(g => wanted.has(g)).flatMap(g => [...ownFields[g]])
    const path = new Path(wanted as ReadonlySet<PathGroup>, 1 + moments.fields.length + own.length, above)
    this.fields = ['n', ...moments.fields, ...own, ...path.fields]
    this.gathers = wanted.has('higher') || wanted.has('begin')
    this.moments = wanted.has('mean') ? moments : undefined
    this.path = wanted.has('begin') ? path : undefined
    this.min = this.fields.indexOf('min')
    this.max = this.fields.indexOf('max')
    this.absolute = this.fields.indexOf('sumAbsolute')
    this.first = this.fields.indexOf('firstTime')
    this.last = this.fields.indexOf('lastTime')
  }

  count (a: Numbers, at: number): number { return a[at] }

  /** Adds reading i of columns, times in ms; its value must be a number. Columns, as numbers handed to a function that is not inlined are copied to the heap. */
  add (a: Float64Array, at: number, times: Numbers, values: Numbers, i: number): void {
    const n = ++a[at], value = values[i], { min, max, absolute } = this
    if (this.moments !== undefined) this.moments.add(a, at, times, values, i)
    if (min >= 0 && (n === 1 || value < a[at + min])) a[at + min] = value
    if (max >= 0 && (n === 1 || value > a[at + max])) a[at + max] = value
    if (absolute >= 0) a[at + absolute] += Math.abs(value)
    this.place(a, at, times, values, i)
  }

  /** Adds the first `count` readings, at least one: what add() gives one after the other, up to rounding, for less. */
  addAll (a: Float64Array, at: number, times: Numbers, values: Numbers, count: number): void {
    const n = a[at], { min, max, absolute } = this
    if (this.moments !== undefined) this.moments.addAll(a, at, times, values, count)
    let least = n === 0 ? values[0] : a[at + min], most = n === 0 ? values[0] : a[at + max], sum = 0
    for (let i = 0; i < count; i++) {
      const value = values[i]
      if (value < least) least = value
      if (value > most) most = value
      sum += Math.abs(value)
    }
    if (min >= 0) a[at + min] = least
    if (max >= 0) a[at + max] = most
    if (absolute >= 0) a[at + absolute] += sum
    this.placeAll(a, at, times, values, count)
    a[at] = n + count
  }

  /** What goes by time, of a reading that is counted. */
  private place (a: Float64Array, at: number, times: Numbers, values: Numbers, i: number): void {
    const n = a[at], time = times[i], { first, last } = this
    if (first >= 0 && (n === 1 || time < a[at + first])) {
      a[at + first] = time
      a[at + first + 1] = values[i]
    }
    if (last >= 0 && (n === 1 || time >= a[at + last])) {
      if (this.path !== undefined) this.path.add(a, at, at + last, times, values, i)
      a[at + last] = time
      a[at + last + 1] = values[i]
    }
  }

  /** The same, of readings that are not counted yet. */
  private placeAll (a: Float64Array, at: number, times: Numbers, values: Numbers, count: number): void {
    const n = a[at], { first, last } = this
    let before = n > 0 && last >= 0 ? a[at + last] : times[0], i = 0
    while (i < count && times[i] >= before) before = times[i++]
    if (i < count) {                     // one of them is older than one before it
      for (let k = 0; k < count; k++) {
        a[at] = n + k + 1
        this.place(a, at, times, values, k)
      }
      return
    }
    if (this.path !== undefined) this.path.addAll(a, at, at + last, times, values, count)
    if (first >= 0 && (n === 0 || times[0] < a[at + first])) {
      a[at + first] = times[0]
      a[at + first + 1] = values[0]
    }
    if (last >= 0) {
      a[at + last] = times[count - 1]
      a[at + last + 1] = values[count - 1]
    }
  }

  /** Adds to a what b holds, as if b's readings had come after a's. */
  merge (a: Float64Array, at: number, b: Numbers, bt: number): void {
    const na = a[at], nb = b[bt]
    if (nb === 0) return
    if (na === 0) {
      for (let k = 0; k < this.fields.length; k++) a[at + k] = b[bt + k]
      return
    }
    this.moments?.merge(a, at, na, b, bt, nb)
    a[at] = na + nb
    if (this.min >= 0) a[at + this.min] = Math.min(a[at + this.min], b[bt + this.min])
    if (this.max >= 0) a[at + this.max] = Math.max(a[at + this.max], b[bt + this.max])
    if (this.absolute >= 0) a[at + this.absolute] += b[bt + this.absolute]
    if (this.first >= 0 && b[bt + this.first] < a[at + this.first]) {
      a[at + this.first] = b[bt + this.first]
      a[at + this.first + 1] = b[bt + this.first + 1]
    }
    if (this.last >= 0) {
      this.path?.merge(a, at, at + this.last, b, bt)
      if (b[bt + this.last] < a[at + this.last]) return
      a[at + this.last] = b[bt + this.last]
      a[at + this.last + 1] = b[bt + this.last + 1]
    }
  }

  /**
   * One of the chosen features; NaN when there are no readings, or as said here. Moments are those of the population (ddof 0
   * of numpy, bias=True of scipy; kurtosis is 3 for a normal distribution).
   *
   * - `rms`, `peak` (largest |value|), `crest` = peak / rms, `shape` = rms / mean |value|, `impulse` = peak / mean |value|: NaN
   *   where that is 0.
   * - `slope` of the least-squares line in units per second of event time, `intercept` its place at the earliest reading, `r2`
   *   the part of the variance that it explains. NaN when all readings have the same time; r2 also when all values are equal.
   * - `first` and `last` go by event time: among equal times the first and the last that were added. `delta` = last - first,
   *   `rate` = delta per second.
   * - Over the time from the first to the last reading: `mean_held` (each value holds until the next) and `mean_linear`
   *   (straight lines between them), `time_above` in seconds and `duty_cycle`, 0 to 1, with values that hold.
   * - `zero_crossings` count changes between above zero and not above.
   */
  value (feature: Feature, a: Float64Array, at: number): number {
    const n = a[at], moments = this.moments!, path = this.path!
    if (feature === 'count') return n
    if (n === 0) return NaN
    switch (feature) {
      case 'mean': return moments.mean(a, at)
      case 'var': return moments.variance(a, at)
      case 'std': return Math.sqrt(moments.variance(a, at))
      case 'rms': return this.rms(a, at)
      case 'skewness': return moments.skewness(a, at)
      case 'kurtosis': return moments.kurtosis(a, at)
      case 'slope': return moments.slope(a, at)
      case 'intercept': return moments.lineAt(a, at, a[at + this.first])
      case 'r2': return moments.explained(a, at)
      case 'min': return a[at + this.min]
      case 'max': return a[at + this.max]
      case 'range': return a[at + this.max] - a[at + this.min]
      case 'peak': return this.peak(a, at)
      case 'crest': return this.peak(a, at) / this.rms(a, at)
      case 'shape': return this.rms(a, at) / (a[at + this.absolute] / n)
      case 'impulse': return this.peak(a, at) / (a[at + this.absolute] / n)
      case 'first': return a[at + this.first + 1]
      case 'last': return a[at + this.last + 1]
      case 'delta': return a[at + this.last + 1] - a[at + this.first + 1]
      case 'rate': {
        const seconds = (a[at + this.last] - a[at + this.first]) / 1000
        return seconds > 0 ? (a[at + this.last + 1] - a[at + this.first + 1]) / seconds : NaN
      }
      case 'mean_held': return path.meanHeld(a, at)
      case 'mean_linear': return path.meanLinear(a, at)
      case 'time_above': return path.above(a, at)
      case 'duty_cycle': return path.duty(a, at)
      case 'zero_crossings': return path.crossings(a, at)
    }
  }

  private rms (a: Float64Array, at: number): number { return Math.sqrt(this.moments!.mean(a, at) ** 2 + this.moments!.variance(a, at)) }
  private peak (a: Float64Array, at: number): number { return Math.max(Math.abs(a[at + this.min]), Math.abs(a[at + this.max])) }
}
