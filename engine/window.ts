import { Batch, type Ids } from './batch.ts'
import { list, type Held, type ListShape } from './memory.ts'
import type { Lists } from './lists.ts'
import type { Host } from './operator.ts'

/**
 * Windows of event time: assign, accumulate, close. The only code that knows lateness.
 *
 * A window [start, start + every) of a series is open from its first reading until its device's progress reaches its
 * end. A reading is late for its window when that progress had been reached as the reading arrived (batch.arrival),
 * which does not depend on how the stream is cut. Windows come out in the order of the records that closed them,
 * those of one record by start and series. A silent device's windows come out provisionally and stay open.
 */
export const windowMemory = {
  perSeries: <F extends string>(...fields: F[]) => ({ windows: list<'revision' | F>('revision', ...fields), closed: -Infinity }),
  perDevice: { due: Infinity }       // the earliest end of any open window of the device
}
type Memory = Held<{ windows: ListShape<'revision'>, closed: number, due: number }>

/** A window that is to be written: `at` stands in windows.page(node) from windows.offset(node). */
export interface Closing { readonly series: Ids, readonly node: Ids, readonly start: Float64Array, readonly position: Float64Array, readonly revision: Float64Array }

/** Start of the tumbling window that holds `time`. Exact for any span and for times before 1970. */
export const startOf = (time: number, every: number): number => Math.floor(time / every) * every

/**
 * The open window of each row as a node of `memory.windows`, new where there was none; -1 for a row without a value
 * and for a late one, which is reported. O(1) per row for readings in order.
 */
export function assign (batch: Batch, every: number, memory: Memory, host: Host): Ids {
  const { windows, closed, due } = memory
  const node = new Int32Array(batch.length)
  const late: number[] = []
  let taken = 0
  for (let i = 0; i < batch.length; i++) {
    const s = batch.series[i]
    const start = startOf(batch.time[i], every)
    const end = start + every
    if (end <= batch.arrival[i] || end <= closed[s]) { late.push(i); node[i] = -1; continue }
    taken++
    if (Number.isNaN(batch.value[i])) { node[i] = -1; continue }
    let w = windows.newest(s)
    if (w < 0 || windows.time(w) !== start) {
      w = windows.find(s, start)
      if (w < 0) {
        w = windows.insert(s, start)
        const d = host.series.deviceOf[s]
        if (end < due[d]) due[d] = end
      }
    }
    node[i] = w
  }
  host.aggregated(taken)
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
  const final = new Selection(windows, every)
  for (let k = 0; k < device.length; k++) if (time[k] >= due[device[k]]) final.add(device[k], time[k], position[k], host)
  for (const d of forgotten) {
    final.add(d, Infinity, tick, host)
    for (let s = host.series.firstOf(d); s >= 0; s = host.series.nextOf(s)) if (windows.newest(s) >= 0) closed[s] = windows.time(windows.newest(s)) + every
  }
  const out = write(final.closing())
  for (const [s, upTo] of final.closed) while (windows.oldest(s) >= 0 && windows.time(windows.oldest(s)) <= upTo) windows.shift(s)
  for (const d of final.devices) {
    due[d] = Infinity
    for (let s = host.series.firstOf(d); s >= 0; s = host.series.nextOf(s)) if (windows.oldest(s) >= 0) due[d] = Math.min(due[d], windows.time(windows.oldest(s)) + every)
  }
  if (silent.length === 0) return out
  const open = new Selection(windows, every)
  for (const d of silent) open.add(d, Infinity, tick, host)
  const closing = open.closing()
  const provisional = write(closing)
  for (const w of closing.node) windows.page(w)[windows.offset(w) + windows.field.revision]++
  return new Batch({ ...out, provisional })
}

/** Windows chosen for writing, each at most once, in the order of writing. */
class Selection {
  readonly closed = new Map<number, number>()       // series -> start of its newest chosen window
  readonly devices = new Set<number>()
  private readonly windows: Lists<'revision'>
  private readonly every: number
  private readonly series: number[] = []
  private readonly node: number[] = []
  private readonly position: number[] = []
  constructor (windows: Lists<'revision'>, every: number) { this.windows = windows; this.every = every }

  /** Every open window of the device that ends at or before `reached`. */
  add (device: number, reached: number, position: number, host: Host): void {
    const found: { start: number, series: number, node: number }[] = []
    for (let s = host.series.firstOf(device); s >= 0; s = host.series.nextOf(s)) {
      const after = this.closed.get(s) ?? -Infinity
      for (let w = this.windows.oldest(s); w >= 0 && this.windows.time(w) + this.every <= reached; w = this.windows.newer(w)) {
        const start = this.windows.time(w)
        if (start > after) found.push({ start, series: s, node: w })
      }
    }
    found.sort((a, b) => a.start - b.start || a.series - b.series)
    for (const { start, series, node } of found) {
      this.series.push(series)
      this.node.push(node)
      this.position.push(position)
      this.closed.set(series, start)
    }
    this.devices.add(device)
  }

  closing (): Closing {
    const { windows } = this
    return {
      series: Int32Array.from(this.series),
      node: Int32Array.from(this.node),
      start: Float64Array.from(this.node, w => windows.time(w)),
      position: Float64Array.from(this.position),
      revision: Float64Array.from(this.node, w => windows.page(w)[windows.offset(w) + windows.field.revision])
    }
  }
}
