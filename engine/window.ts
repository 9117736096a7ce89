import { Batch, type Ids } from './batch.ts'
import type { Lists } from './lists.ts'
import { list } from './memory.ts'
import type { Host } from './operator.ts'
import type { SeriesTable } from './series.ts'

/**
 * Windows of event time: assign, accumulate, close. The only code that knows lateness, with the kinds of windows in windows/.
 *
 * A window [start, end) of a series is open from its first reading until its device's progress reaches its
 * end. A reading is late for its window when that progress had been reached as the reading arrived (batch.arrival),
 * which does not depend on how the stream is cut. Windows come out in the order of the records that closed them,
 * those of one record by start and metric. A silent device's windows come out provisionally and stay open.
 */
export const windowMemory = {
  perSeries: <F extends string>(...fields: F[]) => ({ windows: list<'revision' | F>('revision', ...fields), closed: -Infinity }),
  perDevice: { due: Infinity }       // no open window of the device ends before
}
export interface WindowMemory { readonly windows: Lists<any>, readonly closed: Float64Array, readonly due: Float64Array }

/** One kind of windows at work on its memory. `reached`: up to where windows of the series are closed as a reading arrives. */
export interface Kind {
  /** Is a reading of this time too late for every window that it belongs to? */
  late (series: number, time: number, reached: number): boolean
  /** The node of `memory.windows` that takes in a reading that is not late, new where there is none. */
  take (series: number, time: number, reached: number): number
  /** Was the node last taken a new one? Then `end` is the earliest end of a window that it is part of. */
  readonly opened: boolean
  readonly end: number
  /**
   * Shows the windows of a series that start after `after` and end at or before `reached`, in ascending order, with the
   * first of their nodes. Returns the earliest end of those that stay open. `settled`: nothing older can come any more.
   */
  each (series: number, after: number, reached: number, settled: boolean, show: (start: number, end: number, node: number) => void): number
  /** How often the window has been written provisionally. */
  revision (node: number, start: number, end: number): number
  /** Forgets what belongs only to windows that start at or before `start`. */
  free (series: number, start: number): void
}

/** Windows that are to be written: each has its data in memory.windows, from page(node) at offset(node). */
export interface Closing { readonly series: Ids, readonly node: Ids, readonly start: Float64Array, readonly end: Float64Array, readonly position: Float64Array, readonly revision: Float64Array, readonly final: boolean }

/** What adds rows to nodes. An object, not a function: V8 compiles a loop for one function, and leaves what it has compiled when each batch brings another. */
export interface Adder { add (node: number, row: number): void }

/**
 * Finds the node of each row with a value that is not late, and hands both on one by one, as a kind may join windows. Late rows
 * are reported. O(1) per row for readings in order.
 */
export function assign (batch: Batch, kind: Kind, { closed, due }: WindowMemory, host: Host, to: Adder): void {
  const { time, series, value, arrival } = batch
  const { deviceOf } = host.series
  const late: number[] = []
  for (let i = 0; i < batch.length; i++) {
    const s = series[i], t = time[i], reached = arrival[i] > closed[s] ? arrival[i] : closed[s]
    if (kind.late(s, t, reached)) late.push(i)
    else if (value[i] === value[i]) {
      to.add(kind.take(s, t, reached), i)
      if (kind.opened) due[deviceOf[s]] = Math.min(due[deviceOf[s]], kind.end)
    }
  }
  host.aggregated(batch.length - late.length)
  if (late.length > 0) host.late(batch.take(Int32Array.from(late)))
}

/**
 * Closes what this batch's progress closes. `write` turns windows into a batch of rows (it must read their nodes at once:
 * they are freed when it returns). Call it after the rows of the batch are accumulated.
 */
export function close (batch: Batch, kind: Kind, memory: WindowMemory, host: Host, write: (closing: Closing) => Batch<any>): Batch<any> {
  const { windows, closed, due } = memory
  const { device, time, position, silent, forgotten, tick } = batch.progress
  const final = new Selection(kind, host.series, true)
  for (let k = 0; k < device.length; k++) {
    const d = device[k]
    if (time[k] >= due[d]) due[d] = final.add(d, time[k], position[k])
  }
  for (const d of forgotten) {
    due[d] = final.add(d, Infinity, tick)
    for (let s = host.series.firstOf(d); s >= 0; s = host.series.nextOf(s)) closed[s] = Math.max(closed[s], final.end(s))
  }
  const out = write(final.closing())
  final.free()
  if (silent.length === 0) return out
  const open = new Selection(kind, host.series, false)
  for (const d of silent) open.add(d, Infinity, tick)
  const provisional = write(open.closing())
  for (const d of silent) {
    for (let s = host.series.firstOf(d); s >= 0; s = host.series.nextOf(s)) {
      const end = open.end(s)
      for (let w = windows.oldest(s); w >= 0 && windows.time(w) < end; w = windows.newer(w)) windows.set(w, 'revision', windows.get(w, 'revision') + 1)
    }
  }
  return new Batch({ ...out, provisional })
}

interface Chosen { readonly series: number, readonly node: number, readonly start: number, readonly end: number, readonly position: number }

/** Windows chosen for writing, each at most once, in the order of writing. */
class Selection {
  private readonly kind: Kind
  private readonly table: SeriesTable
  private readonly final: boolean
  private readonly chosen: Chosen[] = []
  private readonly newest = new Map<number, Chosen>()       // of each series
  constructor (kind: Kind, table: SeriesTable, final: boolean) {
    this.kind = kind
    this.table = table
    this.final = final
  }

  /** End of the newest window that was chosen of a series; -Infinity for none. */
  end (series: number): number { return this.newest.get(series)?.end ?? -Infinity }

  /** Chooses every open window of the device that ends at or before `reached`. Returns the earliest end of those that stay open. */
  add (device: number, reached: number, position: number): number {
    const { kind, table, chosen, newest } = this
    const from = chosen.length
    let next = Infinity
    for (let s = table.firstOf(device); s >= 0; s = table.nextOf(s)) {
      const open = kind.each(s, newest.get(s)?.start ?? -Infinity, reached, this.final, (start, end, node) => {
        const window = { series: s, node, start, end, position }
        chosen.push(window)
        newest.set(s, window)
      })
      if (open < next) next = open
    }
    if (chosen.length - from > 1) this.arrange(from)
    return next
  }

  /** By start and metric: the names, because ids are given as series appear, which may depend on how the stream is cut. */
  private arrange (from: number): void {
    const { chosen, table } = this
    const order = chosen.splice(from).sort((a, b) => a.start - b.start || (table.metric(a.series) < table.metric(b.series) ? -1 : 1))
    for (const one of order) chosen.push(one)
  }

  closing (): Closing {
    const { chosen, kind, final } = this, n = chosen.length
    const series = new Int32Array(n), node = new Int32Array(n)
    const start = new Float64Array(n), end = new Float64Array(n), position = new Float64Array(n), revision = new Float64Array(n)
    for (let k = 0; k < n; k++) {
      const w = chosen[k]
      series[k] = w.series
      node[k] = w.node
      start[k] = w.start
      end[k] = w.end
      position[k] = w.position
      revision[k] = kind.revision(w.node, w.start, w.end)
    }
    return { series, node, start, end, position, revision, final }
  }

  /** Forgets the chosen windows. */
  free (): void { for (const [s, { start }] of this.newest) this.kind.free(s, start) }
}
