import type { Numbers } from '../batch.ts'
import type { Grid } from './grid.ts'

const DAY = 86_400_000
const FAR = 400                        // days, after which a stretch without a change of the clocks is taken in two

/** Times [from, to) with one offset of local time from UTC, in ms. `back`: by how much clocks went back at its begin, at least 0. */
interface Stretch { readonly from: number, readonly to: number, readonly offset: number, readonly back: number }

/** The local time of an IANA zone, as far as Intl knows it. Stretches are kept: a change of the clocks is looked for once. */
class Zone {
  private readonly format: Intl.DateTimeFormat
  private readonly known: Stretch[] = []
  private recent: Stretch = { from: 0, to: 0, offset: 0, back: 0 }
  constructor (zone: string) {
    this.format = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' })
  }

  at (time: number): Stretch {
    if (time >= this.recent.from && time < this.recent.to) return this.recent
    let found = this.known.find(s => time >= s.from && time < s.to)
    if (found === undefined) this.known.push(found = this.explore(time))
    return this.recent = found
  }

  private offset (time: number): number {
    const second = Math.floor(time / 1000) * 1000, part: Record<string, number> = {}
    for (const { type, value } of this.format.formatToParts(second)) part[type] = Number(value)
    return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - second
  }

  private explore (time: number): Stretch {
    const whole = Math.floor(time / 1000) * 1000, offset = this.offset(whole)
    let from = whole, to = whole
    while (whole - from < FAR * DAY && this.offset(from - DAY) === offset) from -= DAY
    while (to - whole < FAR * DAY && this.offset(to + DAY) === offset) to += DAY
    const before = this.offset(from - DAY)
    return {
      from: before === offset ? from : this.change(from - DAY, from), to: this.offset(to + DAY) === offset ? to + DAY : this.change(to, to + DAY),
      offset, back: Math.max(0, before - offset)
    }
  }

  /** The second at which the offset changes: once between these. */
  private change (before: number, after: number): number {
    const old = this.offset(before)
    while (after - before > 1000) {
      const middle = before + Math.floor((after - before) / 2000) * 1000
      if (this.offset(middle) === old) before = middle
      else after = middle
    }
    return after
  }
}

const zones = new Map<string, Zone>()
function zoneOf (name: string): Zone {
  let zone = zones.get(name)
  if (zone === undefined) zones.set(name, zone = new Zone(name))
  return zone
}

/** Does Intl know such a zone? */
export function isZone (name: string): boolean {
  try { return zoneOf(name) instanceof Zone } catch { return false }
}

/** What the clocks of a zone read at these times, as ms since 1970; of UTC when there is none. Cost: two comparisons a time as long as clocks do not change. */
export function clocksAt (time: Numbers, name: string | undefined): Numbers {
  if (name === undefined) return time
  const zone = zoneOf(name)
  return Float64Array.from(time, at => at + zone.at(at).offset)
}

/**
 * Windows that begin when local clocks read a multiple of `every` (and `offset`), so that those of a day have 23 or 25 hours
 * when clocks change. A begin that is skipped is where the clocks jump. Where clocks go back, the window goes on; by no less
 * than `every`, begins come again, from the first on that leaves the window before it whole. `plus`: when clocks read so much
 * more, or, where they go back by no less than that, when so much time has passed; for a begin that comes again no later than
 * for the first that does, so that what begins later does not end earlier.
 */
export function zonedGrid (every: number, offset: number, name: string): Grid {
  const zone = zoneOf(name)
  const label = (local: number) => Math.floor((local - offset) / every) * every + offset
  const begin = (read: number, s: Stretch): number => {
    const at = read - s.offset
    if (at >= s.from + s.back) return at
    if (every <= s.back) return at >= again(s) ? at : start(s.from - 0.001)
    const before = zone.at(s.from - 1)
    return read - before.offset >= s.from ? s.from : begin(read, before)
  }
  const start = (time: number): number => {
    const s = zone.at(time)
    let read = label(time + s.offset)
    if (every > s.back && time < s.from + s.back) read = Math.max(read, label(s.from - 1 + s.offset + s.back))
    return begin(read, s)
  }
  /** The first begin that comes again. */
  const again = (s: Stretch): number => Math.ceil((start(s.from - 0.001) + every + s.offset - offset) / every) * every + offset - s.offset
  const later = (from: number, span: number, repeated: (s: Stretch) => number): number => {
    let read = label(from + zone.at(from).offset) + span
    for (let s = zone.at(from); ;s = zone.at(s.to)) {
      if (s.from > from && every <= s.back) {
        if (span <= s.back) return repeated(s)
        read = Math.min(read, again(s) + s.offset + span)
      }
      if (s.from > from && s.from + s.offset >= read) return s.from
      if (read - s.offset < s.to) return read - s.offset
    }
  }
  return { start, end: from => later(from, every, again), plus: (from, span) => later(from, span, () => from + span) }
}
