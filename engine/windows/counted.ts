import type { Kind, WindowMemory } from '../window.ts'
import { instants } from './grid.ts'
import { Tumble } from './tumble.ts'

/** What a node of such windows needs beside its data: its end, and whether nothing older can come any more. */
export const countFields = ['until', 'settled'] as const

/** How windows of so many readings are filled: `count` says how many a node holds, `fold` adds to one what another of its series holds. */
export interface Filling { readonly readings: number, count (node: number): number, fold (series: number, to: number, from: number): void }

/**
 * Windows of so many readings in the order of their times; those of one time stay together. A reading waits as an instant of
 * its own until the progress of its device has passed it; then it is folded into the window. What is there at the end of the
 * stream, or when a device is forgotten, is the last window.
 */
export class Counted implements Kind {
  private readonly waiting: Tumble
  private readonly filling: Filling
  private readonly memory: WindowMemory
  constructor (filling: Filling, memory: WindowMemory) {
    this.waiting = new Tumble(instants, memory)
    this.filling = filling
    this.memory = memory
  }

  get opened (): boolean { return this.waiting.opened }
  get end (): number { return this.waiting.end }
  late (series: number, time: number, reached: number): boolean { return this.waiting.late(series, time, reached) }
  take (series: number): number { return this.waiting.take(series) }
  revision (node: number): number { return this.memory.windows.get(node, 'revision') }
  free (series: number, start: number): void { this.waiting.free(series, start) }

  each (series: number, after: number, reached: number, settled: boolean, show: (start: number, end: number, node: number) => void): number {
    const { memory: { windows }, filling } = this
    let w = windows.oldest(series)
    while (w >= 0 && windows.time(w) <= after) w = windows.newer(w)
    for (; w >= 0; w = windows.newer(w)) {
      if (settled && !this.settle(series, w, reached)) return instants.end(windows.time(w))
      if (windows.get(w, 'settled') === 0) return Infinity
      if (filling.count(w) < filling.readings && reached < Infinity) break
      show(windows.time(w), windows.get(w, 'until'), w)
    }
    const waiting = w < 0 ? -1 : windows.newer(w)
    return waiting < 0 ? Infinity : instants.end(windows.time(waiting))
  }

  /** Takes into the window what can be followed by nothing older any more. False: not even its first reading. */
  private settle (series: number, node: number, reached: number): boolean {
    const { memory: { windows }, filling } = this
    if (windows.get(node, 'settled') === 0) {
      const end = instants.end(windows.time(node))
      if (end > reached) return false
      windows.set(node, 'settled', 1)
      windows.set(node, 'until', end)
    }
    for (let next = windows.newer(node); next >= 0 && filling.count(node) < filling.readings; next = windows.newer(node)) {
      const end = instants.end(windows.time(next))
      if (end > reached) break
      windows.set(node, 'until', end)
      filling.fold(series, node, next)
      windows.remove(series, next)
    }
    return true
  }
}
