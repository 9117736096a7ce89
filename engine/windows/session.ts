import type { Kind, WindowMemory } from '../window.ts'

/** What a node of such windows needs beside its data: its end, and whether another has taken in its readings. */
export const sessionFields = ['until', 'joined'] as const

/**
 * Windows of readings less than `gap` apart; their end is `gap` after the newest. A reading that stands between two of them
 * joins them, one shortly before begins it anew: `fold(to, from)` adds to one node what the other holds. A row that was
 * written provisionally for a start that is one no longer is replaced by one without readings.
 */
export class Sessions implements Kind {
  end = NaN
  opened = false
  private readonly gap: number
  private readonly memory: WindowMemory
  private readonly fold: (series: number, to: number, from: number) => void
  private before = -1                // of the row: the session that it goes on, and the one that it comes shortly before
  private behind = -1
  constructor (gap: number, memory: WindowMemory, fold: (series: number, to: number, from: number) => void) {
    this.gap = gap
    this.memory = memory
    this.fold = fold
  }

  late (series: number, time: number, reached: number): boolean {
    const { windows, closed } = this.memory
    if (time < closed[series]) return true
    let w = windows.newest(series), behind = -1
    for (; w >= 0 && (windows.time(w) > time || windows.get(w, 'joined') === 1); w = windows.older(w)) if (windows.get(w, 'joined') === 0) behind = w
    this.before = w >= 0 && time < windows.get(w, 'until') ? w : -1
    this.behind = behind >= 0 && time + this.gap > windows.time(behind) ? behind : -1
    if (this.before >= 0) return windows.get(this.before, 'until') <= reached
    if (this.behind >= 0) return windows.get(this.behind, 'until') <= reached
    return time + this.gap <= reached
  }

  take (series: number, time: number): number {
    const { windows } = this.memory
    this.opened = this.before < 0
    const node = this.before >= 0 ? this.before : windows.insert(series, time)
    if (this.behind >= 0) this.join(series, node, this.behind)
    windows.set(node, 'until', Math.max(windows.get(node, 'until'), time + this.gap))
    this.end = windows.get(node, 'until')
    return node
  }

  private join (series: number, node: number, other: number): void {
    const { windows } = this.memory
    windows.set(node, 'until', windows.get(other, 'until'))
    this.fold(series, node, other)
    if (windows.get(other, 'revision') === 0) windows.remove(series, other)
    else windows.set(other, 'joined', 1)
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
