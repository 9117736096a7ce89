/**
 * What operators remember, declared. Because it is declared the engine can reserve, save, restore and measure it.
 * Five kinds, each addressed by the id of a series (or of a device), and notes:
 *
 *   mean: NaN                          a number                     Float64Array, mean[s]
 *   moments: { n: 0, mean: 0 }         a record of k numbers        data[s * width + field.mean]
 *   recent: ring(64)                   the last k numbers           push(s, x), at(s, age)
 *   windows: list('value')             entries ordered by time      insert(s, time), see Lists
 *   seen: queue                        values ordered by time       insert(s, time, x), see Queues: for what comes in order
 *   wanted: note                       what can be worked out again Int32Array, wanted[s]; 0 at first, never saved
 *
 * Room for every series is reserved at the start and never copied: zero-filled pages cost nothing until touched.
 */
import type { Ids } from './batch.ts'
import { Lists } from './lists.ts'
import { Queues } from './queues.ts'
import { Tape, TapeReader, type Form, type Saved } from './saved.ts'

export interface RingShape { readonly ring: number }
export interface ListShape<F extends string = string> { readonly list: readonly F[] }
export interface QueueShape { readonly queue: true }
export interface NoteShape { readonly note: true }
export type Shape = number | Readonly<Record<string, number>> | RingShape | ListShape | QueueShape | NoteShape
export type Shapes = Readonly<Record<string, Shape>>

export const ring = (length: number): RingShape => ({ ring: length })
export const list = <const F extends string> (...fields: F[]): ListShape<F> => ({ list: fields })

export const queue: QueueShape = { queue: true }
export const note: NoteShape = { note: true }

/** The running form of each declared shape. */
export type Held<S extends Shapes> = { readonly [K in keyof S]:
  S[K] extends number ? Float64Array :
    S[K] extends RingShape ? Rings :
      S[K] extends ListShape<infer F> ? Lists<F> :
        S[K] extends QueueShape ? Queues :
        S[K] extends NoteShape ? Int32Array :
          S[K] extends Readonly<Record<infer F extends string, number>> ? Records<F> : never }

export class Records<F extends string = string> {
  readonly width: number
  readonly data: Float64Array
  readonly field: { readonly [K in F]: number }     // offset of each field in a record
  readonly initial: Float64Array
  constructor (shape: Readonly<Record<F, number>>, capacity: number) {
    const fields = Object.keys(shape) as F[]
    this.width = fields.length
    this.data = new Float64Array(capacity * this.width)
    this.field = Object.fromEntries(fields.map((f, i) => [f, i])) as { [K in F]: number }
    this.initial = Float64Array.from(fields, f => shape[f])
  }
}

/** The last `length` numbers of each id. */
export class Rings {
  readonly length: number
  readonly data: Float64Array
  readonly pushed: Float64Array      // how many numbers were ever pushed, per id
  constructor (length: number, capacity: number) {
    this.length = length
    this.data = new Float64Array(capacity * length)
    this.pushed = new Float64Array(capacity)
  }
  push (id: number, x: number): void { this.data[id * this.length + this.pushed[id]++ % this.length] = x }
  forget (id: number): void {
    this.data.fill(0, id * this.length, (id + 1) * this.length)
    this.pushed[id] = 0
  }
  /** How many are held: at most `length`. */
  count (id: number): number { return Math.min(this.pushed[id], this.length) }
  /** The number pushed `age` pushes ago; 0 is the newest. Only for age < count(id). */
  at (id: number, age: number): number { return this.data[id * this.length + (this.pushed[id] - 1 - age) % this.length] }
}

/** Does a step with this memory remember anything? Notes do not count: they can be written again. */
export const remembers = (shapes: Shapes): boolean => Object.values(shapes).some(shape => typeof shape === 'number' || !('note' in shape))

const LARGE = 1 << 18                // numbers: 2 MB

/** The memory of one step for up to `capacity` ids. */
export class Memory<S extends Shapes = Shapes> {
  readonly held: Held<S>
  private readonly shapes: S
  private readonly chained: (Lists | Queues)[]
  private appeared = 0               // ids below have their first values
  read = 0                           // what ahead() has come to: kept, or a compiler would not read

  constructor (shapes: S, capacity: number) {
    this.shapes = shapes
    this.held = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, reserve(shape, capacity)])) as Held<S>
    this.chained = Object.values<unknown>(this.held).filter(cells => cells instanceof Lists || cells instanceof Queues)
  }

  /** Of what is held about the ids so far; notes do not count. */
  get bytes (): number {
    return Object.values<unknown>(this.held).reduce<number>((sum, cells) => sum + 8 * (
      cells instanceof Lists ? 2 * this.appeared + cells.used * (cells.width + 1)
        : cells instanceof Queues ? 2 * this.appeared + cells.used * cells.width
        : cells instanceof Rings ? this.appeared * (cells.length + 1)
          : cells instanceof Records ? this.appeared * cells.width
            : cells instanceof Float64Array ? this.appeared : 0), 0)
  }

  /** Writes the first values of ids that are new since the last call. */
  appear (count: number): void {
    if (count <= this.appeared) return
    for (const [name, shape] of Object.entries(this.shapes)) {
      const cells = this.held[name] as unknown
      if (cells instanceof Float64Array) {
        if (shape !== 0) cells.fill(shape as number, this.appeared, count)
      } else if (cells instanceof Records) {
        for (let id = this.appeared; id < count; id++) cells.data.set(cells.initial, id * cells.width)
      }
    }
    this.appeared = count
  }

  /** Reads what is held of these ids where it would be waited for one by one, see Lists.ahead: when all of it is more than the caches hold. */
  ahead (ids: Ids): void {
    for (const cells of this.chained) if (cells.used * cells.width > LARGE) this.read = cells.ahead(ids)
  }

  /** They have their first values again; notes stay. */
  forget (ids: Ids): void {
    for (const name in this.shapes) {
      const cells = this.held[name] as unknown
      for (const id of ids) {
        if (cells instanceof Float64Array) cells[id] = this.shapes[name] as number
        else if (cells instanceof Records) cells.data.set(cells.initial, id * cells.width)
        else if (cells instanceof Rings) cells.forget(id)
        else if (cells instanceof Lists || cells instanceof Queues) cells.clear(id)
      }
    }
  }

  /** What write() writes. */
  get forms (): Form[] {
    return Object.entries<unknown>(this.held).flatMap(([name, cells]): Form[] =>
      cells instanceof Float64Array ? [[name, 'cells', 1]]
        : cells instanceof Records ? [[name, 'cells', cells.width]]
          : cells instanceof Rings ? [[name, 'ring', cells.length]]
            : cells instanceof Lists || cells instanceof Queues ? [[name, 'list', cells.width]] : [])
  }

  /** What is remembered about these ids, in their order. */
  write (to: Tape, ids: Ids): void {
    for (const name in this.shapes) {
      const cells = this.held[name] as unknown
      if (cells instanceof Float64Array) gather(cells, 1, ids, to)
      else if (cells instanceof Records) gather(cells.data, cells.width, ids, to)
      else if (cells instanceof Rings) { gather(cells.data, cells.length, ids, to); gather(cells.pushed, 1, ids, to) }
      else if (cells instanceof Lists || cells instanceof Queues) cells.write(to, ids)
    }
  }

  /** A copy of what is remembered about these ids, in their order; about all so far when none are given. */
  save (ids: Ids = upTo(this.appeared)): Saved {
    const to = new Tape()
    this.write(to, ids)
    return new TapeReader(to.data).read(this.forms, ids.length)
  }

  /**
   * Takes up what save() gave of memory of the same shapes, for as many ids; what was remembered about them is forgotten. Ids
   * that follow these are forgotten too: they have their first values again.
   */
  load (saved: Saved, all?: Ids): void {
    const count = countOf(saved, this.held)
    const ids = all?.subarray(0, count) ?? upTo(count)
    if (all !== undefined) this.forget(all.subarray(count))
    for (const id of ids) this.appear(id + 1)
    for (const name in this.shapes) {
      const cells = this.held[name] as unknown
      const from = saved[name] as any
      if (cells instanceof Float64Array) scatter(from, cells, 1, ids)
      else if (cells instanceof Records) scatter(from, cells.data, cells.width, ids)
      else if (cells instanceof Rings) { scatter(from.data, cells.data, cells.length, ids); scatter(from.pushed, cells.pushed, 1, ids) }
      else if (cells instanceof Lists || cells instanceof Queues) cells.load(from, ids)
    }
  }
}

const upTo = (count: number): Ids => Int32Array.from({ length: count }, (_, id) => id)

/** The cells of some ids, `width` each, side by side. */
function gather (cells: Float64Array, width: number, ids: Ids, to: Tape): void {
  let at = to.reserve(ids.length * width)
  const { data } = to
  for (let k = 0; k < ids.length; k++) for (let from = ids[k] * width, end = from + width; from < end; from++) data[at++] = cells[from]
}

function scatter (from: Float64Array, cells: Float64Array, width: number, ids: Ids): void {
  if (width === 1) for (let k = 0; k < ids.length; k++) cells[ids[k]] = from[k]
  else for (let k = 0; k < ids.length; k++) cells.set(from.subarray(k * width, (k + 1) * width), ids[k] * width)
}

/** How many ids a copy of everything is about. */
function countOf (saved: Saved, held: Readonly<Record<string, unknown>>): number {
  for (const [name, from] of Object.entries(saved)) {
    const cells = held[name]
    if (from instanceof Float64Array) return from.length / (cells instanceof Records ? cells.width : 1)
    return 'pushed' in from ? from.pushed.length : from.counts.length
  }
  return 0
}

function reserve (shape: Shape, capacity: number): Float64Array | Int32Array | Records | Rings | Lists | Queues {
  if (typeof shape === 'number') return new Float64Array(capacity)
  if ('ring' in shape) return new Rings(shape.ring as number, capacity)
  if ('queue' in shape) return new Queues(capacity)
  if ('note' in shape) return new Int32Array(capacity)
  if ('list' in shape) return new Lists(shape.list as readonly string[], capacity)
  return new Records(shape as Readonly<Record<string, number>>, capacity)
}
