import type { Kind, WindowMemory } from '../window.ts'
import type { Grid } from './grid.ts'

/** Windows that follow one another: one node each. */
export class Tumble implements Kind {
  end = NaN
  opened = false
  private start = NaN                // of the row before: most rows lie in the same window
  private readonly grid: Grid
  private readonly memory: WindowMemory
  constructor (grid: Grid, memory: WindowMemory) {
    this.grid = grid
    this.memory = memory
  }

  late (_: number, time: number, reached: number): boolean {
    if (!(time >= this.start && time < this.end)) {
      this.start = this.grid.start(time)
      this.end = this.grid.end(this.start)
    }
    return this.end <= reached
  }

  take (series: number): number {
    const { windows } = this.memory, w = windows.newest(series)
    this.opened = false
    if (w >= 0 && windows.time(w) === this.start) return w
    const there = windows.find(series, this.start)
    if (there >= 0) return there
    this.opened = true
    return windows.insert(series, this.start)
  }

  each (series: number, after: number, reached: number, _: boolean, show: (start: number, end: number, node: number) => void): number {
    const { windows } = this.memory
    for (let w = windows.oldest(series); w >= 0; w = windows.newer(w)) {
      const start = windows.time(w)
      if (start <= after) continue
      const end = this.grid.end(start)
      if (end > reached) return end
      show(start, end, w)
    }
    return Infinity
  }

  revision (node: number): number { return this.memory.windows.get(node, 'revision') }

  free (series: number, start: number): void {
    const { windows } = this.memory
    while (windows.oldest(series) >= 0 && windows.time(windows.oldest(series)) <= start) windows.shift(series)
  }
}
