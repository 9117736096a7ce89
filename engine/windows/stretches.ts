import type { Lists } from '../lists.ts'

/** What an entry needs beside its time: its end, and whether another has taken in its readings. */
export const stretchFields = ['until', 'joined'] as const

/** Stretches of readings less than `gap` apart, as entries of a list; each ends `gap` after its newest reading. */
export class Stretches {
  before = -1                        // of the reading that was last looked at: the stretch that it goes on, and the one that it comes shortly before
  behind = -1
  readonly gap: number
  readonly lists: Lists<any>
  constructor (gap: number, lists: Lists<any>) {
    this.gap = gap
    this.lists = lists
  }

  /** Finds where a reading of this time belongs. Is that over as it arrives? */
  late (id: number, time: number, reached: number): boolean {
    const { lists } = this
    let w = lists.newest(id), behind = -1
    for (; w >= 0 && (lists.time(w) > time || lists.get(w, 'joined') === 1); w = lists.older(w)) if (lists.get(w, 'joined') === 0) behind = w
    this.before = w >= 0 && time < lists.get(w, 'until') ? w : -1
    this.behind = behind >= 0 && time + this.gap > lists.time(behind) ? behind : -1
    if (this.before >= 0) return lists.get(this.before, 'until') <= reached
    if (this.behind >= 0) return lists.get(this.behind, 'until') <= reached
    return time + this.gap <= reached
  }

  /** The entry of that reading, new where there is none. It ends as late as the one that it reaches, if any, which `join` is to fold into it. */
  take (id: number, time: number, join: (entry: number, other: number) => void): number {
    const { lists, before, behind } = this, entry = before >= 0 ? before : lists.insert(id, time)
    if (behind >= 0) {
      lists.set(entry, 'until', lists.get(behind, 'until'))
      join(entry, behind)
    }
    lists.set(entry, 'until', Math.max(lists.get(entry, 'until'), time + this.gap))
    return entry
  }

  /** The readings of an entry are another's now. It stays as long as its row has been written provisionally. */
  leave (id: number, entry: number, written: boolean): void {
    if (written) this.lists.set(entry, 'joined', 1)
    else this.lists.remove(id, entry)
  }
}
