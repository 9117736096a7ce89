import type { SeriesTable } from '../series.ts'
import type { Kind, WindowMemory } from '../window.ts'
import { instants } from './grid.ts'
import { Tumble } from './tumble.ts'

/** What such windows remember of a device: up to where they have been written. */
export const deviceInstants = { written: -Infinity }
export interface DeviceInstantMemory extends WindowMemory { readonly written: Float64Array }

/** Instants of series as windows, of which none comes any more before one that has been written of another series of its device. */
export class DeviceInstants implements Kind {
  private readonly own: Tumble
  private readonly written: Float64Array
  private readonly deviceOf: Readonly<Int32Array>
  constructor (memory: DeviceInstantMemory, { deviceOf }: SeriesTable) {
    this.own = new Tumble(instants, memory)
    this.written = memory.written
    this.deviceOf = deviceOf
  }

  get opened (): boolean { return this.own.opened }
  get end (): number { return this.own.end }
  late (series: number, time: number, reached: number): boolean { return this.own.late(series, time, reached) || time < this.written[this.deviceOf[series]] }
  take (series: number): number { return this.own.take(series) }
  each (series: number, after: number, reached: number, settled: boolean, show: (start: number, end: number, node: number) => void): number { return this.own.each(series, after, reached, settled, show) }
  revision (node: number): number { return this.own.revision(node) }
  free (series: number, start: number): void {
    this.own.free(series, start)
    const device = this.deviceOf[series]
    this.written[device] = Math.max(this.written[device], instants.end(start))
  }
}
