import type { SeriesTable } from '../series.ts'
import type { Kind, WindowMemory } from '../window.ts'
import type { countFields, Filling } from './counted.ts'
import { instants } from './grid.ts'
import { Tumble } from './tumble.ts'

/** What such windows remember of a device: the begin of the one that is open, and up to where they have been written. */
export const deviceCounts = { begun: NaN, written: -Infinity }
export interface DeviceCountMemory extends WindowMemory { readonly begun: Float64Array, readonly written: Float64Array }

interface Waiting { readonly series: number, readonly node: number, readonly time: number }

/**
 * Windows of a whole device, in the order of the times of its readings; those of one time stay together. One ends with the reading
 * that is the last of so many of its series, whichever has them first. Each series that has readings in it has a node of its own at the
 * begin of the window (fields: countFields); a reading waits as an instant, as those of Counted do.
 */
export class DeviceCounted implements Kind {
  private readonly waiting: Tumble
  private readonly filling: Filling
  private readonly memory: DeviceCountMemory
  private readonly table: SeriesTable
  private device = -1                // that was last settled, and up to where
  private reached = NaN
  constructor (filling: Filling, memory: DeviceCountMemory, table: SeriesTable) {
    this.waiting = new Tumble(instants, memory)
    this.filling = filling
    this.memory = memory
    this.table = table
  }

  get opened (): boolean { return this.waiting.opened }
  get end (): number { return this.waiting.end }
  late (series: number, time: number, reached: number): boolean { return this.waiting.late(series, time, reached) || time < this.memory.written[this.table.deviceOf[series]] }
  take (series: number): number { return this.waiting.take(series) }
  revision (node: number): number { return this.memory.windows.get(node, 'revision') }

  each (series: number, after: number, reached: number, settled: boolean, show: (start: number, end: number, node: number) => void): number {
    const { windows, begun } = this.memory, device = this.table.deviceOf[series]
    if (settled && (device !== this.device || reached !== this.reached)) this.settle(device, reached)
    let w = windows.oldest(series)
    for (; w >= 0 && this.get(w, 'settled') === 1; w = windows.newer(w)) {
      const start = windows.time(w)
      if (start > after && (start !== begun[device] || reached === Infinity)) show(start, this.get(w, 'until'), w)
    }
    return w < 0 ? Infinity : instants.end(windows.time(w))
  }

  /** Takes into windows of the device what can be followed by nothing older any more. */
  private settle (device: number, reached: number): void {
    const { memory: { begun }, filling } = this, waiting = this.passed(device, reached)
    this.device = device
    this.reached = reached
    for (let k = 0; k < waiting.length;) {
      const { time } = waiting[k]
      let most = 0
      if (Number.isNaN(begun[device])) begun[device] = time
      for (; k < waiting.length && waiting[k].time === time; k++) most = Math.max(most, filling.count(this.join(waiting[k], begun[device])))
      if (most >= filling.readings) begun[device] = NaN
    }
  }

  /** What waits in all series of a device and has been passed, in the order of time. */
  private passed (device: number, reached: number): Waiting[] {
    const { table, memory: { windows } } = this, found: Waiting[] = []
    for (let series = table.firstOf(device); series >= 0; series = table.nextOf(series)) {
      for (let node = windows.oldest(series); node >= 0 && instants.end(windows.time(node)) <= reached; node = windows.newer(node)) {
        if (this.get(node, 'settled') === 0) found.push({ series, node, time: windows.time(node) })
      }
    }
    return found.sort((a, b) => a.time - b.time)
  }

  /** Takes an instant into the window that begins at `start`: gives the node of its series there. */
  private join ({ series, node, time }: Waiting, start: number): number {
    const { windows } = this.memory, there = time === start ? node : windows.find(series, start), window = there >= 0 ? there : windows.insert(series, start)
    windows.set(window, 'settled', 1)
    windows.set(window, 'until', instants.end(time))
    if (window === node) return window
    this.filling.fold(series, window, node)
    windows.remove(series, node)
    return window
  }

  private get (node: number, field: typeof countFields[number]): number { return this.memory.windows.get(node, field) }

  free (series: number, start: number): void {
    const { windows, begun, written } = this.memory, device = this.table.deviceOf[series]
    if (begun[device] <= start) begun[device] = NaN
    for (let w = windows.oldest(series); w >= 0 && windows.time(w) <= start; w = windows.oldest(series)) {
      written[device] = Math.max(written[device], this.get(w, 'until'))
      windows.shift(series)
    }
  }
}
