/** What operators that make windows of features share: their memory and their rows. */
import { assign, Batch, close, list, queue, windowMemory, type Adder, type Closing, type Host, type Ids, type Kind, type Lists, type Numbers, type Queues, type Room, type Shapes, type WindowMemory } from '#engine'
import { Accumulator, type Feature as Running } from '../../models/features.ts'
import { Gathered } from '../../models/gathered.ts'
import { columnsOf, EXACT, isRank, isSequence, LONGEST, ranked, rankedFrom, sequenced, sketchOf as sketched, type RankFeature, type SampleOptions, type Samples, type SequenceFeature } from '../../models/samples.ts'
import * as sketch from '../../models/sketch.ts'
import { once } from '../shared/once.ts'
import type { Feature, FeatureValues } from './options.ts'

export const featuresOf = once((options: FeatureValues) => new Features(options))

/** `samples`: readings that are held, and where windows overlap `since`, of each the begin of the first window that it is part of: entries of one stand at the places of the other. */
export interface FeatureMemory extends WindowMemory { readonly samples?: Queues, readonly since?: Queues, readonly sketches?: Lists<any> }

/**
 * Features of windows. Each window has a record of sums in `memory.windows`. Features by rank also hold up to EXACT readings
 * of a window, and a sketch beyond; those by order and frequency up to LONGEST readings: 16 to 64 bytes each, mostly below 32, and twice that where windows overlap.
 */
class Features {
  readonly columns: readonly string[]
  readonly accumulator: Accumulator
  private readonly gathered: Gathered | undefined
  private readonly record: Accumulator | Gathered      // of a window: one of the two
  private readonly running: readonly (readonly [Running, column: number])[]
  private readonly ranks: readonly RankFeature[]
  private readonly rankColumns: readonly number[]
  private readonly sequences: readonly SequenceFeature[]
  private readonly sequenceColumns: readonly number[]
  readonly held: number                  // most readings of a window that are held
  private readonly options: SampleOptions
  private readonly scratch: Float64Array
  private readonly none: Readonly<Record<string, Numbers>>      // columns without rows: most batches close no window

  constructor ({ features: chosen, above, lag = 1, order = 3, bands = [], carrier = [0, 1e300], envelope = [] }: FeatureValues) {
    this.options = { lag, order, bands, carrier, envelope } as unknown as SampleOptions
    this.columns = chosen.flatMap(f => columnsOf(f, this.options))
    const columns = (of: readonly Feature[]) => of.flatMap(f => columnsOf(f, this.options)).map(name => this.columns.indexOf(name))
    const sums = chosen.filter(f => !isRank(f) && !isSequence(f)) as Running[]
    this.running = sums.map(f => [f, this.columns.indexOf(f)])
    this.accumulator = new Accumulator(sums, above === undefined ? {} : { above })
    this.gathered = this.accumulator.gathers ? new Gathered(this.accumulator) : undefined
    this.record = this.gathered ?? this.accumulator
    this.ranks = chosen.filter(isRank)
    this.rankColumns = columns(this.ranks)
    this.sequences = chosen.filter(isSequence)
    this.sequenceColumns = columns(this.sequences)
    this.held = this.sequences.length > 0 ? LONGEST : this.ranks.length > 0 ? EXACT : 0
    this.scratch = new Float64Array(this.record.fields.length)
    this.none = Object.fromEntries([...this.columns, 'revision'].map(name => [name, NOTHING.values]))
  }

  /** Memory, with fields that the kind of window needs. */
  perSeries (...more: readonly string[]): Shapes {
    return {
      ...windowMemory.perSeries(...more, ...this.record.fields),
      ...this.held > 0 && { samples: queue, ...more.includes('since') ? { since: queue } : {} },
      ...this.ranks.length > 0 && { sketches: list('since', ...Array.from({ length: sketch.WIDTH }, (_, k) => `bin${k}`)) }
    }
  }

  count ({ windows }: WindowMemory, node: number): number { return this.record.count(windows.page(node), windows.offset(node) + windows.field.n) }

  /** Takes in the rows of a batch and gives those of the windows that its progress closes. `needed`: see rows(). */
  through (batch: Batch<any>, kind: Kind, memory: FeatureMemory, host: Host, needed?: (start: number) => number, more?: (closing: Closing) => Record<string, Float64Array>): Batch<any> {
    assign(batch, kind, memory, host, new Rows(this, memory, batch))
    return close(batch, kind, memory, host, closing => {
      const rows = this.rows(batch, closing, memory, needed)
      return more === undefined ? rows : rows.with(more(closing))
    })
  }

  /** Adds reading i to a node. */
  add (memory: FeatureMemory, time: Numbers, value: Numbers, series: Ids, node: number, i: number): void {
    const { windows } = memory
    const page = windows.page(node), at = windows.offset(node) + windows.field.n
    if (this.gathered === undefined) this.accumulator.add(page, at, time, value, i)
    else this.gathered.add(page, at, time, value, i)
    if (this.held > 0) this.hold(memory, time, value, series[i], node, i, this.record.count(page, at))
  }

  /** Keeps reading i, the nth of a node, or adds it to the sketch. */
  private hold (memory: FeatureMemory, time: Numbers, value: Numbers, series: number, node: number, i: number, n: number): void {
    const { windows } = memory, samples = memory.samples!
    if (this.ranks.length > 0 && n > EXACT) {
      const k = this.sketchFor(memory, series, node)
      sketch.add(memory.sketches!.page(k), memory.sketches!.offset(k) + BINS, value[i])
    }
    if (n > this.held) return
    samples.insert(series, time[i], value[i])
    memory.since?.insert(series, time[i], windows.get(node, 'since'))
  }

  /** Adds to a node what a later one of its series holds, and leaves that one empty. */
  fold (memory: FeatureMemory, series: number, to: number, from: number): void {
    const { windows, sketches } = memory
    const n = this.count(memory, to) + this.count(memory, from)
    if (sketches !== undefined && n > EXACT) {
      const empty = this.count(memory, to) === 0, k = this.sketchFor(memory, series, empty ? from : to)
      if (empty) sketches.page(k)[sketches.offset(k)] = windows.time(to)
      else this.include(memory, series, from, sketches.page(k), sketches.offset(k) + BINS)
      const other = empty ? -1 : sketchOf(memory, series, from)
      if (other >= 0) sketches.remove(series, other)
    }
    const page = windows.page(from), at = windows.offset(from) + windows.field.n
    this.record.merge(windows.page(to), windows.offset(to) + windows.field.n, page, at)
    page.fill(0, at, at + this.record.fields.length)
  }

  /** The sketch of a node; when there is none yet, one of the readings that are held. */
  private sketchFor (memory: FeatureMemory, series: number, node: number): number {
    const sketches = memory.sketches!, known = sketchOf(memory, series, node)
    if (known >= 0) return known
    const k = sketches.insert(series, memory.windows.time(node)), at = sketches.offset(k)
    sketches.set(k, 'since', sinceOf(memory.windows, node))
    sketched(this.ofNode(memory, series, node).values, sketches.page(k), at + BINS)
    return k
  }

  /** The readings that are held of one node: up to where the next one begins. */
  private ofNode (memory: FeatureMemory, series: number, node: number): Samples {
    const { windows } = memory, start = windows.time(node), since = sinceOf(windows, node)
    let next = windows.newer(node)
    while (next >= 0 && (windows.time(next) === start || this.count(memory, next) === 0)) next = windows.newer(next)
    return readings(memory, series, start, next < 0 ? Infinity : windows.time(next), since, since)
  }

  /** Adds the readings of a node to a sketch. */
  private include (memory: FeatureMemory, series: number, node: number, a: Float64Array, at: number): void {
    const { sketches } = memory, k = sketchOf(memory, series, node)
    if (k >= 0) sketch.merge(a, at, sketches!.page(k), sketches!.offset(k) + BINS)
    else for (const x of this.ofNode(memory, series, node).values) sketch.add(a, at, x)
  }

  /** Rows of windows. What is held for final ones is let go, up to where `needed` says that a later window begins. */
  rows (batch: Batch<any>, closing: Closing, memory: FeatureMemory, needed?: (start: number) => number): Batch<any> {
    const { series, start, end, position, final } = closing
    if (series.length === 0) return new Batch({ time: start, series, value: start, columns: this.none, arrival: start, position, progress: batch.progress, watermark: batch.watermark })
    const cells = this.columns.map(() => new Float64Array(series.length))
    for (let k = 0; k < series.length; k++) {
      this.row(memory, closing, k, cells)
      const before = needed === undefined ? end[k] : needed(start[k])
      if (final) {
        for (const held of [memory.samples, memory.since, memory.sketches]) held?.expire(series[k], before)
      }
    }
    return this.written(batch, closing, cells)
  }

  /** A batch of rows with these cells, an array for each column. */
  written (batch: Batch<any>, { series, start, position, revision }: Pick<Closing, 'series' | 'start' | 'position' | 'revision'>, cells: readonly Float64Array[]): Batch<any> {
    const columns = Object.fromEntries(this.columns.map((name, c) => [name, cells[c]]))
    return new Batch({ time: start, series, value: cells[0], columns: { ...columns, revision }, arrival: start, position, progress: batch.progress, watermark: batch.watermark })
  }

  private row (memory: FeatureMemory, closing: Closing, k: number, cells: readonly Float64Array[]): void {
    const { windows } = memory, node = closing.node[k], parts = windows.field.since === undefined ? undefined : partsOf(memory, closing, k)
    let page = windows.page(node), at = windows.offset(node) + windows.field.n
    if (parts !== undefined || this.gathered !== undefined && !closing.final) {      // what is provisional goes on as it was
      this.scratch.fill(0)
      for (const part of parts ?? [node]) this.record.merge(this.scratch, 0, windows.page(part), windows.offset(part) + windows.field.n)
      page = this.scratch
      at = 0
    }
    this.gathered?.settle(page, at)
    this.fromSums(page, at, k, cells)
    if (this.held > 0) this.fromSamples(memory, closing, k, page[at], parts ?? [node], cells)
  }

  /** Fills row k with the features that are sums, of an accumulator. */
  fromSums (a: Float64Array, at: number, k: number, cells: readonly Float64Array[]): void {
    for (const [feature, column] of this.running) cells[column][k] = this.accumulator.value(feature, a, at)
  }

  /** Fills row k with the others, of all readings of a window, at most LONGEST: exactly. Without readings with NaN. */
  fromReadings (held: Samples, k: number, cells: readonly Float64Array[]): void {
    if (this.ranks.length > 0) put(cells, k, this.rankColumns, ranked(this.ranks, held.values, LONGEST))
    if (this.sequences.length > 0) put(cells, k, this.sequenceColumns, held.values.length === 0 ? [] : sequenced(this.sequences, held, this.options))
  }

  private fromSamples (memory: FeatureMemory, { series, start, end }: Closing, k: number, n: number, parts: readonly number[], cells: readonly Float64Array[]): void {
    const held = n === 0 || n > this.held ? NOTHING : readings(memory, series[k], start[k], end[k], -Infinity, start[k])
    if (this.ranks.length > 0) put(cells, k, this.rankColumns, n <= EXACT ? ranked(this.ranks, held.values) : this.rankedFrom(memory, series[k], parts))
    if (this.sequences.length > 0) put(cells, k, this.sequenceColumns, n > LONGEST ? [] : sequenced(this.sequences, held, this.options))
  }

  private rankedFrom (memory: FeatureMemory, series: number, parts: readonly number[]): number[] {
    const [first] = parts
    const known = sketchOf(memory, series, first)
    if (parts.length === 1) return rankedFrom(this.ranks, memory.sketches!.page(known), memory.sketches!.offset(known) + BINS)
    const a = known >= 0 ? memory.sketches!.page(known).slice(memory.sketches!.offset(known) + BINS, memory.sketches!.offset(known) + BINS + sketch.WIDTH) : sketched(this.ofNode(memory, series, first).values)
    for (const part of parts.slice(1)) this.include(memory, series, part, a, 0)
    return rankedFrom(this.ranks, a, 0)
  }
}

/** What adds reading i of columns to a node of its series. */
interface Sums { add (memory: FeatureMemory, time: Numbers, value: Numbers, series: Ids, node: number, i: number): void }

/** The rows of a batch, on their way into windows. */
export class Rows implements Adder {
  private readonly sums: Sums
  private readonly memory: FeatureMemory
  private readonly batch: Batch<any>
  constructor (sums: Sums, memory: FeatureMemory, batch: Batch<any>) {
    this.sums = sums
    this.memory = memory
    this.batch = batch
  }

  add (node: number, row: number): void {
    const { time, value, series } = this.batch
    this.sums.add(this.memory, time, value, series, node, row)
  }
}

/** Fills the cells of row k in these columns; with NaN where there is no value. */
function put (cells: readonly Float64Array[], k: number, columns: readonly number[], values: readonly number[]): void {
  for (let j = 0; j < columns.length; j++) cells[columns[j]][k] = values[j] ?? NaN
}

const BINS = 2                         // where the sketch begins in a node: behind time and `since`
export const NOTHING: Samples = { times: new Float64Array(0), values: new Float64Array(0) }

/** Where windows overlap: the first of them that a node is part of. */
const sinceOf = (windows: Lists<any>, node: number): number => windows.field.since === undefined ? -Infinity : windows.get(node, 'since')

/** The nodes of a window that is made of several, in the order of time. */
function partsOf ({ windows }: FeatureMemory, { node, start, end }: Closing, k: number): number[] {
  const parts: number[] = []
  for (let w = node[k]; w >= 0 && windows.time(w) < end[k]; w = windows.newer(w)) if (sinceOf(windows, w) <= start[k]) parts.push(w)
  return parts
}

function sketchOf ({ windows, sketches }: FeatureMemory, series: number, node: number): number {
  const start = windows.time(node), since = sinceOf(windows, node)
  let k = sketches!.newest(series)
  while (k >= 0 && !(sketches!.time(k) === start && sketches!.get(k, 'since') === since)) k = sketches!.older(k)
  return k
}

/** The readings that are held of a time, oldest first, which are part of windows that begin from `least` to `most`. Good until it is called again. */
export function readings ({ samples, since }: Pick<FeatureMemory, 'samples' | 'since'>, series: number, start: number, end: number, least = -Infinity, most = Infinity): Samples {
  let n = samples!.read(series, start, end, room)
  if (since !== undefined) {
    const { times, values } = room, all = n
    since.read(series, start, end, begins)
    n = 0
    for (let k = 0; k < all; k++) {
      if (begins.values[k] < least || begins.values[k] > most) continue
      times[n] = times[k]
      values[n++] = values[k]
    }
  }
  return { times: room.times.subarray(0, n), values: room.values.subarray(0, n) }
}
const room: Room = { times: new Float64Array(EXACT), values: new Float64Array(EXACT) }, begins: Room = { times: new Float64Array(EXACT), values: new Float64Array(EXACT) }
