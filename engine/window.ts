import { Batch, type Ids } from './batch.ts'
import { list } from './memory.ts'
import type { Lists } from './lists.ts'
import type { Host } from './operator.ts'
import type { SeriesTable } from './series.ts'

/**
 * Windows of event time: assign, accumulate, close. The only code that knows lateness.
 *
 * A window [start, start + every) of a series is open from its first reading until its device's progress reaches its
 * end. A reading is late for its window when that progress had been reached as the reading arrived (batch.arrival),
 * which does not depend on how the stream is cut. Windows come out in the order of the records that closed them,
 * those of one record by start and metric. A silent device's windows come out provisionally and stay open.
 */
export const windowMemory = {
  perSeries: <F extends string>(...fields: F[]) => ({ windows: list<'revision' | F>('revision', ...fields), closed: -Infinity }),
  perDevice: { due: Infinity }       // the earliest end of any open window of the device
}
interface Memory { readonly windows: Lists<any>, readonly closed: Float64Array, readonly due: Float64Array }

/** A window that is to be written: `at` stands in windows.page(node) from windows.offset(node). */
export interface Closing { readonly series: Ids, readonly node: Ids, readonly start: Float64Array, readonly position: Float64Array, readonly revision: Float64Array }

/** Start of the tumbling window that holds `time`. Exact for any span and for times before 1970: doubles are nowhere denser than their quotients. */
export const startOf = (time: number, every: number, offset = 0): number => Math.floor((time - offset) / every) * every + offset

/**
 * The open window of each row as a node of `memory.windows`, new where there was none; -1 for a row without a value
 * and for a late one, which is reported. O(1) per row for readings in order.
 */
export function assign (batch: Batch, every: number, memory: Memory, host: Host, offset = 0): Ids {
  const { windows, closed, due } = memory
  const { time, series, value, arrival } = batch
  const { deviceOf } = host.series
  const node = new Int32Array(batch.length)
  const late: number[] = []
  let start = NaN, end = NaN         // of the row before: most rows lie in the same window
  for (let i = 0; i < batch.length; i++) {
    const s = series[i], t = time[i]
    if (!(t >= start && t < end)) {
      start = startOf(t, every, offset)
      end = start + every
    }
    if (end <= arrival[i] || end <= closed[s]) { late.push(i); node[i] = -1; continue }
    if (Number.isNaN(value[i])) { node[i] = -1; continue }
    let w = windows.newest(s)
    if (w < 0 || windows.time(w) !== start) {
      w = windows.find(s, start)
      if (w < 0) {
        w = windows.insert(s, start)
        const d = deviceOf[s]
        if (end < due[d]) due[d] = end
      }
    }
    node[i] = w
  }
  host.aggregated(batch.length - late.length)
  if (late.length > 0) host.late(batch.take(Int32Array.from(late)))
  return node
}

/**
 * Closes what this batch's progress closes. `write` turns windows into a batch of rows (it must read their nodes at once:
 * they are freed when it returns). Call it after the rows of the batch are accumulated.
 */
export function close (batch: Batch, every: number, memory: Memory, host: Host, write: (closing: Closing) => Batch<any>): Batch<any> {
  const { windows, closed, due } = memory
  const { device, time, position, silent, forgotten, tick } = batch.progress
  const final = new Selection(windows, every, host.series)
  for (let k = 0; k < device.length; k++) {
    const d = device[k]
    if (time[k] >= due[d]) due[d] = final.add(d, time[k], position[k])
  }
  for (const d of forgotten) {
    due[d] = final.add(d, Infinity, tick)
    for (let s = host.series.firstOf(d); s >= 0; s = host.series.nextOf(s)) if (windows.newest(s) >= 0) closed[s] = windows.time(windows.newest(s)) + every
  }
  const out = write(final.closing())
  final.free()
  if (silent.length === 0) return out
  const open = new Selection(windows, every, host.series)
  for (const d of silent) open.add(d, Infinity, tick)
  const closing = open.closing()
  const provisional = write(closing)
  for (const w of closing.node) windows.page(w)[windows.offset(w) + windows.field.revision]++
  return new Batch({ ...out, provisional })
}

/** Windows chosen for writing, each at most once, in the order of writing. */
class Selection {
  private readonly windows: Lists<any>
  private readonly every: number
  private readonly table: SeriesTable
  private readonly upTo = new Map<number, number>()       // series -> start of its newest chosen window
  private readonly series: number[] = []
  private readonly node: number[] = []
  private readonly position: number[] = []
  constructor (windows: Lists<any>, every: number, table: SeriesTable) {
    this.windows = windows
    this.every = every
    this.table = table
  }

  /** Chooses every open window of the device that ends at or before `reached`. Returns the earliest end of those that stay open. */
  add (device: number, reached: number, position: number): number {
    const { windows, every, table } = this
    const from = this.node.length
    let next = Infinity
    for (let s = table.firstOf(device); s >= 0; s = table.nextOf(s)) {
      const after = this.upTo.get(s) ?? -Infinity
      for (let w = windows.oldest(s); w >= 0; w = windows.newer(w)) {
        const start = windows.time(w)
        if (start <= after) continue
        if (start + every > reached) { next = Math.min(next, start + every); break }
        this.series.push(s)
        this.node.push(w)
        this.position.push(position)
        this.upTo.set(s, start)
      }
    }
    if (this.node.length - from > 1) this.arrange(from)
    return next
  }

  /** By start and metric: the names, because ids are given as series appear, which may depend on how the stream is cut. */
  private arrange (from: number): void {
    const { windows, table } = this
    const order = this.node.slice(from).map((node, i) => ({ node, series: this.series[from + i], start: windows.time(node) }))
    order.sort((a, b) => a.start - b.start || (table.metric(a.series) < table.metric(b.series) ? -1 : 1))
    for (let i = 0; i < order.length; i++) {
      this.series[from + i] = order[i].series
      this.node[from + i] = order[i].node
    }
  }

  closing (): Closing {
    const { windows, node } = this
    const start = new Float64Array(node.length), revision = new Float64Array(node.length)
    for (let k = 0; k < node.length; k++) {
      start[k] = windows.time(node[k])
      revision[k] = windows.page(node[k])[windows.offset(node[k]) + windows.field.revision]
    }
    return { series: new Int32Array(this.series), node: new Int32Array(node), start, position: new Float64Array(this.position), revision }
  }

  /** Forgets the chosen windows. */
  free (): void {
    for (const [s, start] of this.upTo) while (this.windows.oldest(s) >= 0 && this.windows.time(this.windows.oldest(s)) <= start) this.windows.shift(s)
  }
}
