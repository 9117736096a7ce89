/**
 * Readings of an accumulator (features.ts) that wait beside it until there are enough to be added at once: sums then stay in registers
 * from one reading to the next, and divisions are of a block. What comes out depends on the readings and their order alone.
 */
import type { Accumulator, Field } from './features.ts'

type Numbers = Readonly<Float64Array>

const BLOCK = 16                     // readings
const times = new Float64Array(BLOCK), values = new Float64Array(BLOCK)

export class Gathered {
  /** Those of the accumulator, how many readings wait, and these: 16 bytes each. All of them zero: no readings. */
  readonly fields: readonly (Field | 'waiting' | `waiting${number}`)[]
  private readonly accumulator: Accumulator
  private readonly waiting: number       // where the number of them stands, from the begin

  constructor (accumulator: Accumulator) {
    this.accumulator = accumulator
    this.waiting = accumulator.fields.length
    this.fields = [...accumulator.fields, 'waiting', ...Array.from({ length: 2 * BLOCK }, (_, k) => `waiting${k}` as const)]
  }

  /** How many readings there are, added or not. */
  count (a: Numbers, at: number): number { return a[at] + a[at + this.waiting] }

  /** Takes in reading i of columns, times in ms; its value must be a number. */
  add (a: Float64Array, at: number, time: Numbers, value: Numbers, i: number): void {
    const w = at + this.waiting, k = a[w] | 0, next = w + 1 + 2 * k
    a[next] = time[i]
    a[next + 1] = value[i]
    a[w] = k + 1
    if (k + 1 === BLOCK) this.settle(a, at)
  }

  /** Adds to a what b holds, as if b's readings had come after a's. */
  merge (a: Float64Array, at: number, b: Numbers, bt: number): void {
    if (b[bt] > 0) {
      this.settle(a, at)
      this.accumulator.merge(a, at, b, bt)
    }
    for (let w = bt + this.waiting, k = 0; k < b[w]; k++) {
      times[0] = b[w + 1 + 2 * k]
      values[0] = b[w + 2 + 2 * k]
      this.add(a, at, times, values, 0)
    }
  }

  /** Adds what waits. */
  settle (a: Float64Array, at: number): void {
    const w = at + this.waiting, count = a[w] | 0
    if (count === 0) return
    for (let k = 0, from = w + 1; k < count; k++, from += 2) {
      times[k] = a[from]
      values[k] = a[from + 1]
    }
    a[w] = 0
    this.accumulator.addAll(a, at, times, values, count)
  }
}
