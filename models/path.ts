import { lost, lostOver, lostTimes } from './rounding-errors.ts'

/**
 * What lies between readings that follow one another in time, as a mergeable accumulator: areas under the signal, time
 * above a level, crossings. It needs the newest reading (`lastTime`, `last`), kept by whoever holds it beside it.
 *
 * Order counts: merge(a, b) joins a's newest reading and b's oldest one, so it is associative but not commutative. A reading
 * older than the newest is not on the path: the neighbours that it should stand between are gone. So it is with a set that
 * is not newer than a's.
 */
const fieldsOf = {
  begin: ['pathTime', 'pathValue'],      // the oldest reading
  span: ['span'],                        // ms between the readings that were joined
  held: ['held', 'heldLow'],             // area under v = value - pathValue, each value holding until the next; what rounding took from it
  linear: ['linear', 'linearLow'],       // the same with straight lines between them
  above: ['above'],                      // ms that a value above the level held
  crossings: ['crossings']               // changes between above zero and not above
} as const
export type PathGroup = keyof typeof fieldsOf
export type PathField = typeof fieldsOf[PathGroup][number]

type Numbers = Readonly<Float64Array>

export class Path {
  readonly fields: readonly PathField[]
  private readonly level: number
  private readonly first: number          // offsets; -1 when not needed
  private readonly span: number
  private readonly held: number
  private readonly linear: number
  private readonly over: number
  private readonly zero: number

  /** All groups need `begin`; all but `crossings` need `span`. `level`: what `above` compares with. */
  constructor (wanted: ReadonlySet<PathGroup>, at: number, level: number) {
    this.fields = (Object.keys(fieldsOf) as PathGroup[]).filter(g => wanted.has(g)).flatMap(g => [...fieldsOf[g]])
    const offset = (field: PathField) => this.fields.includes(field) ? at + this.fields.indexOf(field) : -1
    this.level = level
    this.first = offset('pathTime')
    this.span = offset('span')
    this.held = offset('held')
    this.linear = offset('linear')
    this.over = offset('above')
    this.zero = offset('crossings')
  }

  /** Goes on from the newest reading, which stands at `newest`, to reading i, which is not older and counted already: n, at the begin of the accumulator. */
  add (a: Float64Array, at: number, newest: number, times: Numbers, values: Numbers, i: number): void {
    if (a[at] > 1) return this.join(a, at, newest, times[i], values[i])
    a[at + this.first] = times[i]
    a[at + this.first + 1] = values[i]
  }

  /** The same to the first `count` readings, which come in the order of their times and are not counted yet. */
  addAll (a: Float64Array, at: number, newest: number, times: Numbers, values: Numbers, count: number): void {
    const isFirst = a[at] === 0, { level } = this
    if (isFirst) {
      a[at + this.first] = times[0]
      a[at + this.first + 1] = values[0]
    }
    const from = a[at + this.first + 1]
    let time = isFirst ? times[0] : a[newest], last = isFirst ? values[0] : a[newest + 1]
    let span = 0, held = 0, linear = 0, above = 0, crossings = 0
    for (let i = isFirst ? 1 : 0; i < count; i++) {
      const ms = times[i] - time, value = values[i], area = (last - from) * ms, slanted = (last - from + (value - last) / 2) * ms
      held += area
      linear += slanted
      span += ms
      if (last > level) above += ms
      if (last > 0 !== value > 0) crossings++
      time = times[i]
      last = value
    }
    if (this.span >= 0) a[at + this.span] += span
    if (this.held >= 0) grow(a, at + this.held, held)
    if (this.linear >= 0) grow(a, at + this.linear, linear)
    if (this.over >= 0) a[at + this.over] += above
    if (this.zero >= 0) a[at + this.zero] += crossings
  }

  private join (a: Float64Array, at: number, newest: number, time: number, value: number): void {
    const last = a[newest + 1]
    if (this.span >= 0) {
      const ms = time - a[newest], v = last - a[at + this.first + 1]
      a[at + this.span] += ms
      if (this.held >= 0) grow(a, at + this.held, v * ms)
      if (this.linear >= 0) grow(a, at + this.linear, (v + (value - last) / 2) * ms)
      if (this.over >= 0) a[at + this.over] += Number(last > this.level) * ms
    }
    if (this.zero >= 0 && last > 0 !== value > 0) a[at + this.zero]++
  }

  /** Adds b's path behind a's, whose newest reading stands at `newest`. */
  merge (a: Float64Array, at: number, newest: number, b: Numbers, bt: number): void {
    const first = bt + this.first
    if (b[first] < a[newest]) return
    this.join(a, at, newest, b[first], b[first + 1])
    if (this.span >= 0) {
      const ms = b[bt + this.span], from = a[at + this.first + 1], apart = b[first + 1] - from, low = lost(b[first + 1], -from) * ms + lostTimes(apart, ms)
      a[at + this.span] += ms
      if (this.held >= 0) this.grow(a, at + this.held, b, bt + this.held, apart * ms, low)
      if (this.linear >= 0) this.grow(a, at + this.linear, b, bt + this.linear, apart * ms, low)
      if (this.over >= 0) a[at + this.over] += b[bt + this.over]
    }
    if (this.zero >= 0) a[at + this.zero] += b[bt + this.zero]
  }

  private grow (a: Float64Array, j: number, b: Numbers, k: number, x: number, low: number): void {
    grow(a, j, x)
    grow(a, j, b[k])
    a[j + 1] += low + b[k + 1]
  }

  /** Mean over time, each value holding until the next; NaN when no time has passed. */
  meanHeld (a: Float64Array, at: number): number { return this.mean(a, at, this.held) }
  /** Mean over time with straight lines between readings. */
  meanLinear (a: Float64Array, at: number): number { return this.mean(a, at, this.linear) }
  private mean (a: Float64Array, at: number, area: number): number {
    const from = a[at + this.first + 1], sum = a[at + area], span = a[at + this.span]
    if (!(span > 0)) return NaN
    const low = lost(from, sum / span) + lostOver(sum, a[at + area + 1], span)
    return from + sum / span + (Number.isNaN(low) ? 0 : low)
  }
  /** Seconds. */
  above (a: Float64Array, at: number): number { return a[at + this.over] / 1000 }
  /** The part of the time, 0 to 1; NaN when none has passed. */
  duty (a: Float64Array, at: number): number { return a[at + this.span] > 0 ? a[at + this.over] / a[at + this.span] : NaN }
  crossings (a: Float64Array, at: number): number { return a[at + this.zero] }
}

/** Adds to an area, behind which stands what rounding took from it. */
function grow (a: Float64Array, j: number, x: number): void {
  const sum = a[j], total = sum + x, part = total - sum      // lost() written out: the call is not inlined here
  a[j] = total
  a[j + 1] += (sum - (total - part)) + (x - part)
}
