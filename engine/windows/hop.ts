import type { Kind, WindowMemory } from '../window.ts'
import type { Grid } from './grid.ts'

export interface Hops {
  readonly starts: Grid                  // of windows
  readonly panes: Grid                   // of which every window is made
  readonly endOf: (start: number) => number
}

/** What a node of such windows needs beside its data: the first window that it is part of. */
export const hopFields = ['since'] as const

/**
 * Windows that overlap, from panes: a reading is taken in once, and panes are merged when a window is written. A straggler
 * that some windows of its pane have been closed for stands in a node of its own, so that it counts in the later ones
 * only, wherever the stream is cut.
 */
export class Hop implements Kind {
  end = NaN
  opened = false
  private pane = NaN                 // of the row before
  private paneEnd = NaN
  private first = NaN                // the first window that has this pane, and its end
  private firstEnd = NaN
  private last = NaN                 // end of the last one
  private readonly hops: Hops
  private readonly memory: WindowMemory
  constructor (hops: Hops, memory: WindowMemory) {
    this.hops = hops
    this.memory = memory
  }

  late (_: number, time: number, reached: number): boolean {
    const { starts, panes, endOf } = this.hops
    if (!(time >= this.pane && time < this.paneEnd)) {
      this.pane = panes.start(time)
      this.paneEnd = panes.end(this.pane)
      this.first = this.firstWith(this.pane)
      this.firstEnd = endOf(this.first)
      this.last = endOf(starts.start(time))
    }
    return this.last <= reached
  }

  private firstWith (time: number): number {
    const { starts, endOf } = this.hops
    let start = starts.start(time)
    for (let before = starts.start(start - 0.001); endOf(before) > time; before = starts.start(start - 0.001)) start = before
    return start
  }

  take (series: number, _: number, reached: number): number {
    const { windows } = this.memory
    let since = this.first
    this.opened = false
    this.end = this.firstEnd
    while (this.end <= reached) {
      since = this.hops.starts.end(since)
      this.end = this.hops.endOf(since)
    }
    for (let w = windows.newest(series); w >= 0 && windows.time(w) >= this.pane; w = windows.older(w)) {
      if (windows.time(w) === this.pane && windows.get(w, 'since') === since) return w
    }
    this.opened = true
    const w = windows.insert(series, this.pane)
    windows.set(w, 'since', since)
    return w
  }

  each (series: number, after: number, reached: number, _: boolean, show: (start: number, end: number, node: number) => void): number {
    const { windows, closed } = this.memory, { starts, endOf } = this.hops
    let w = windows.oldest(series)
    if (w < 0) return Infinity
    for (let start = after === -Infinity ? this.firstWith(windows.time(w)) : starts.end(after);;) {
      while (w >= 0 && windows.time(w) < start) w = windows.newer(w)
      if (w < 0) return Infinity
      const end = endOf(start)
      if (windows.time(w) >= end) { start = this.firstWith(windows.time(w)); continue }
      if (end > closed[series] && this.part(w, start, end) >= 0) {
        if (end > reached) return end
        show(start, end, w)
      }
      start = starts.end(start)
    }
  }

  /** The first node from `node` on that is part of the window; -1 when none is. */
  private part (node: number, start: number, end: number): number {
    const { windows } = this.memory
    for (let w = node; w >= 0 && windows.time(w) < end; w = windows.newer(w)) if (windows.get(w, 'since') <= start) return w
    return -1
  }

  /** Each part has been there when it was written, or has not. */
  revision (node: number, start: number, end: number): number {
    const { windows } = this.memory
    let most = 0
    for (let w = this.part(node, start, end); w >= 0; w = this.part(windows.newer(w), start, end)) most = Math.max(most, windows.get(w, 'revision'))
    return most
  }

  free (series: number, start: number): void {
    const { windows, closed } = this.memory
    closed[series] = Math.max(closed[series], this.hops.endOf(start))
    while (windows.oldest(series) >= 0 && this.hops.starts.start(windows.time(windows.oldest(series))) <= start) windows.shift(series)
  }
}
