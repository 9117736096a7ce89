import type { Kind, WindowMemory } from '../window.ts'
import { stretchFields, Stretches } from './stretches.ts'

/** What a node of such windows needs beside its data. */
export const sessionFields = stretchFields

/**
 * Windows of readings less than `gap` apart; their end is `gap` after the newest. A reading that stands between two of them
 * joins them, one shortly before begins it anew: `fold(to, from)` adds to one node what the other holds. A row that was
 * written provisionally for a start that is one no longer is replaced by one without readings.
 */
export class Sessions implements Kind {
  end = NaN
  opened = false
  private readonly stretches: Stretches
  private readonly memory: WindowMemory
  private readonly fold: (series: number, to: number, from: number) => void
  constructor (gap: number, memory: WindowMemory, fold: (series: number, to: number, from: number) => void) {
    this.stretches = new Stretches(gap, memory.windows)
    this.memory = memory
    this.fold = fold
  }

  late (series: number, time: number, reached: number): boolean { return time < this.memory.closed[series] || this.stretches.late(series, time, reached) }

  take (series: number, time: number): number {
    const { stretches, memory: { windows } } = this
    this.opened = stretches.before < 0
    const node = stretches.take(series, time, (node, other) => {
      this.fold(series, node, other)
      stretches.leave(series, other, windows.get(other, 'revision') > 0)
    })
    this.end = windows.get(node, 'until')
    return node
  }

  each (series: number, after: number, reached: number, _: boolean, show: (start: number, end: number, node: number) => void): number {
    const { windows } = this.memory
    for (let w = windows.oldest(series); w >= 0; w = windows.newer(w)) {
      if (windows.time(w) <= after) continue
      const end = windows.get(w, 'until')
      if (end > reached) return end
      show(windows.time(w), end, w)
    }
    return Infinity
  }

  revision (node: number): number { return this.memory.windows.get(node, 'revision') }

  free (series: number, start: number): void {
    const { windows, closed } = this.memory
    for (let w = windows.oldest(series); w >= 0 && windows.time(w) <= start; w = windows.oldest(series)) {
      closed[series] = Math.max(closed[series], windows.get(w, 'until'))
      windows.shift(series)
    }
  }
}
