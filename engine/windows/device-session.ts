import type { Lists } from '../lists.ts'
import { list } from '../memory.ts'
import type { SeriesTable } from '../series.ts'
import type { Kind, WindowMemory } from '../window.ts'
import { stretchFields, Stretches } from './stretches.ts'

/** What such windows remember of a device: its sessions, and up to where they have been written. */
export const deviceSessions = { sessions: list(...stretchFields), written: -Infinity }
export interface DeviceSessionMemory extends WindowMemory { readonly sessions: Lists<any>, readonly written: Float64Array }

/**
 * Sessions of a whole device: readings of any of its series less than `gap` apart. Each series that has readings in one has a
 * node of its own, at the begin of the session, so that the windows of all of them stand at one time. Joined, begun anew and replaced
 * as those of a series are.
 */
export class DeviceSessions implements Kind {
  end = NaN
  opened = false
  private readonly stretches: Stretches
  private readonly memory: DeviceSessionMemory
  private readonly table: SeriesTable
  private readonly fold: (series: number, to: number, from: number) => void
  constructor (gap: number, memory: DeviceSessionMemory, table: SeriesTable, fold: (series: number, to: number, from: number) => void) {
    this.stretches = new Stretches(gap, memory.sessions)
    this.memory = memory
    this.table = table
    this.fold = fold
  }

  late (series: number, time: number, reached: number): boolean {
    const device = this.table.deviceOf[series]
    return time < this.memory.written[device] || this.stretches.late(device, time, reached)
  }

  take (series: number, time: number): number {
    const { stretches, memory: { sessions }, table } = this, device = table.deviceOf[series]
    this.opened = stretches.before < 0
    const session = stretches.take(device, time, (session, other) => { this.join(device, session, other) })
    this.end = sessions.get(session, 'until')
    return this.nodeAt(series, sessions.time(session))
  }

  private nodeAt (series: number, start: number): number {
    const { windows } = this.memory, there = windows.find(series, start)
    return there >= 0 ? there : windows.insert(series, start)
  }

  private join (device: number, session: number, other: number): void {
    const { memory: { windows, sessions }, table } = this, start = sessions.time(session), old = sessions.time(other)
    let written = false
    for (let s = table.firstOf(device); s >= 0; s = table.nextOf(s)) {
      const from = windows.find(s, old)
      if (from < 0) continue
      this.fold(s, this.nodeAt(s, start), from)
      if (windows.get(from, 'revision') === 0) windows.remove(s, from)
      else written = true
    }
    this.stretches.leave(device, other, written)
  }

  each (series: number, after: number, reached: number, _: boolean, show: (start: number, end: number, node: number) => void): number {
    const { windows, sessions } = this.memory, device = this.table.deviceOf[series]
    for (let w = windows.oldest(series); w >= 0; w = windows.newer(w)) {
      const start = windows.time(w)
      if (start <= after) continue
      const end = sessions.get(sessions.find(device, start), 'until')
      if (end > reached) return end
      show(start, end, w)
    }
    return Infinity
  }

  revision (node: number): number { return this.memory.windows.get(node, 'revision') }

  free (series: number, start: number): void {
    const { windows, sessions, written } = this.memory, device = this.table.deviceOf[series]
    for (let k = sessions.oldest(device); k >= 0 && sessions.time(k) <= start; k = sessions.oldest(device)) {
      written[device] = Math.max(written[device], sessions.get(k, 'until'))
      sessions.shift(device)
    }
    while (windows.oldest(series) >= 0 && windows.time(windows.oldest(series)) <= start) windows.shift(series)
  }
}
