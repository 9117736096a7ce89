import type { Ids } from './batch.ts'
import { Lists } from './lists.ts'
import { Tape, TapeReader, type SavedList } from './saved.ts'

const NEAR = 8                       // entries from the newest that are moved for one that comes between them
const WIDTH = 2, TIME = 0, VALUE = 1 // numbers of an entry
const LEAST = 4                      // entries of the smallest block; the next has 16, then each twice as many
const HEAD = 4, BLOCK = 0, SIZE = 1, FIRST = 2, COUNT = 3      // of each id; BLOCK: where it begins, in entries, + 1
const BITS = 16, PAGE = 1 << BITS    // entries, a MB

/** Where entries are copied to. */
export interface Room { times: Float64Array, values: Float64Array }

/**
 * Values ordered by time, of each id in a ring of its own: for what mostly comes in order and leaves in order. An entry is 16 bytes,
 * its neighbours stand beside it, so that an id of many in random order costs three lines of memory and not one for each link and
 * entry that is looked at. What comes far behind the newest is kept in a list aside: no entry moves more than NEAR others.
 * Rings double when they are full and halve when three quarters of them are empty before entries expire, so that what fills and empties in
 * turn keeps its ring; their blocks are used again. 16 bytes per id, 16 to 64
 * per entry.
 */
export class Queues {
  readonly width = WIDTH
  private readonly heads: Int32Array
  private readonly pages: Float64Array[] = []
  private readonly free = new Int32Array(32)     // by the logarithm of their size: first block that can be used again, + 1, chained
  private fresh = 0                              // entries from here on were never part of a block
  private readonly aside: Lists<'value'>
  private held = 0

  constructor (capacity: number) {
    this.heads = new Int32Array(capacity * HEAD)
    this.aside = new Lists(['value'], capacity)
  }

  /** Entries held now. */
  get used (): number { return this.held + this.aside.used }

  /** Reads what insert() and expire() will want of these ids, all at once: memory then answers many requests in the time of one. Returns a sum that means nothing. */
  ahead (ids: Ids): number {
    const { heads, pages } = this
    let sum = 0
    for (let i = 0; i < ids.length; i++) sum += heads[ids[i] * HEAD]
    for (let i = 0; i < ids.length; i++) {
      const at = ids[i] * HEAD, size = heads[at + SIZE]
      if (size === 0) continue
      const block = heads[at + BLOCK] - 1, oldest = block + heads[at + FIRST], newest = block + (heads[at + FIRST] + heads[at + COUNT] - 1 & size - 1)
      sum += pages[oldest >>> BITS][(oldest & PAGE - 1) * WIDTH] + pages[newest >>> BITS][(newest & PAGE - 1) * WIDTH]
    }
    return sum
  }

  /** The time of the newest entry; -Infinity when there is none. */
  newest (id: number): number {
    const at = id * HEAD, count = this.heads[at + COUNT]
    return count === 0 ? -Infinity : this.time(at, count - 1)
  }

  /** How many entries there are of a time, or -1 when one of them has this value (NaN equals NaN). */
  count (id: number, time: number, value: number): number {
    const at = id * HEAD
    let k = this.behind(at, time), found = 0
    for (; k > 0 && this.time(at, k - 1) === time; k--, found++) if (same(this.value(at, k - 1), value)) return -1
    const { aside } = this
    if (aside.used === 0) return found
    for (let node = aside.find(id, time); node >= 0 && aside.time(node) === time; node = aside.older(node), found++) if (same(aside.get(node, 'value'), value)) return -1
    return found
  }

  /** A new entry behind all that are not newer. */
  insert (id: number, time: number, value: number): void {
    const at = id * HEAD, { heads } = this, count = heads[at + COUNT], size = heads[at + SIZE], entry = heads[at + BLOCK] - 1 + (heads[at + FIRST] + count & size - 1)
    if (count === size || count > 0 && this.time(at, count - 1) > time) return this.between(id, time, value)
    const page = this.pages[entry >>> BITS], cell = (entry & PAGE - 1) * WIDTH
    page[cell + TIME] = time
    page[cell + VALUE] = value
    heads[at + COUNT] = count + 1
    this.held++
  }

  /** The same where there is no room, or others are newer. */
  private between (id: number, time: number, value: number): void {
    const at = id * HEAD, { heads } = this, count = heads[at + COUNT]
    let k = count
    while (k > 0 && this.time(at, k - 1) > time && count - k < NEAR) k--
    if (k > 0 && this.time(at, k - 1) > time) return this.aside.set(this.aside.insert(id, time), 'value', value)
    if (count === heads[at + SIZE]) this.resize(at, count === 0 ? LEAST : count === LEAST ? 4 * LEAST : 2 * count)
    heads[at + COUNT] = count + 1
    this.held++
    for (let i = count; i > k; i--) this.put(at, i, this.time(at, i - 1), this.value(at, i - 1))
    this.put(at, k, time, value)
  }

  /** Copies the entries from `from` up to, without, `to` to the begin of the room, oldest first. Returns how many. */
  read (id: number, from: number, to: number, room: Room): number {
    const at = id * HEAD, { heads, pages, aside } = this, count = heads[at + COUNT], turn = heads[at + SIZE] - 1
    let node = aside.used === 0 ? -1 : aside.oldest(id), n = 0
    while (node >= 0 && aside.time(node) < from) node = aside.newer(node)
    const { times, values } = fit(room, count + (node < 0 ? 0 : aside.used))
    for (let k = 0; k < count; k++) {
      const entry = heads[at + BLOCK] - 1 + (heads[at + FIRST] + k & turn), page = pages[entry >>> BITS], cell = (entry & PAGE - 1) * WIDTH, time = page[cell + TIME]
      if (time < from) continue
      if (time >= to) break
      for (; node >= 0 && aside.time(node) < time; node = aside.newer(node)) {
        times[n] = aside.time(node)
        values[n++] = aside.get(node, 'value')
      }
      times[n] = time
      values[n++] = page[cell + VALUE]
    }
    for (; node >= 0 && aside.time(node) < to; node = aside.newer(node)) {
      times[n] = aside.time(node)
      values[n++] = aside.get(node, 'value')
    }
    return n
  }

  /** Removes every entry older than `time`. */
  expire (id: number, time: number): void {
    const at = id * HEAD, { heads } = this, count = heads[at + COUNT], size = heads[at + SIZE]
    let old = count > 0 && this.time(at, count - 1) < time ? count : 0
    while (old < count && this.time(at, old) < time) old++
    heads[at + FIRST] = heads[at + FIRST] + old & size - 1
    heads[at + COUNT] = count - old
    this.held -= old
    if (count * 4 < size && size > 4 * LEAST) this.resize(at, size / 2)
    if (this.aside.used > 0) this.aside.expire(id, time)
  }

  /** Removes all entries. */
  clear (id: number): void {
    const at = id * HEAD
    this.held -= this.heads[at + COUNT]
    this.heads[at + COUNT] = 0
    this.resize(at, 0)
    this.aside.clear(id)
  }

  /** Of some ids, in their order: how many entries each has, then all entries, each with its time and its value: as Lists does. */
  write (to: Tape, ids: Ids): void {
    const { heads, aside } = this, counts = to.reserve(ids.length)
    for (let k = 0; k < ids.length; k++) {
      const at = ids[k] * HEAD, count = heads[at + COUNT], from = to.length
      let node = aside.used === 0 ? -1 : aside.oldest(ids[k])
      for (let i = 0; i < count || node >= 0;) {
        const into = to.reserve(WIDTH), isAside = node >= 0 && !(i < count && this.time(at, i) <= aside.time(node))
        to.data[into + TIME] = isAside ? aside.time(node) : this.time(at, i)
        to.data[into + VALUE] = isAside ? aside.get(node, 'value') : this.value(at, i)
        if (isAside) node = aside.newer(node)
        else i++
      }
      to.data[counts + k] = (to.length - from) / WIDTH
    }
  }

  /** A copy of that. */
  save (ids: Ids): SavedList {
    const to = new Tape()
    this.write(to, ids)
    return new TapeReader(to.data).list(ids.length, WIDTH)
  }

  /** Takes up what save() gave for as many ids, instead of what they hold. */
  load ({ counts, entries }: SavedList, ids: Ids): void {
    let from = 0
    for (let k = 0; k < ids.length; k++) {
      this.clear(ids[k])
      for (let left = counts[k]; left > 0; left--, from += WIDTH) this.insert(ids[k], entries[from + TIME], entries[from + VALUE])
    }
  }

  /** How many entries of a ring are not newer. */
  private behind (at: number, time: number): number {
    let low = 0, high = this.heads[at + COUNT]
    for (let near = NEAR; near > 0 && high > 0 && this.time(at, high - 1) > time; near--) high--
    if (high === 0 || this.time(at, high - 1) <= time) return high
    while (low < high) {
      const middle = low + high >>> 1
      if (this.time(at, middle) <= time) low = middle + 1
      else high = middle
    }
    return low
  }

  // Entry k of the ring at `at` of heads, 0 the oldest.
  private time (at: number, k: number): number {
    const { heads } = this, entry = heads[at + BLOCK] - 1 + (heads[at + FIRST] + k & heads[at + SIZE] - 1)
    return this.pages[entry >>> BITS][(entry & PAGE - 1) * WIDTH + TIME]
  }
  private value (at: number, k: number): number {
    const { heads } = this, entry = heads[at + BLOCK] - 1 + (heads[at + FIRST] + k & heads[at + SIZE] - 1)
    return this.pages[entry >>> BITS][(entry & PAGE - 1) * WIDTH + VALUE]
  }
  private put (at: number, k: number, time: number, value: number): void {
    const { heads } = this, entry = heads[at + BLOCK] - 1 + (heads[at + FIRST] + k & heads[at + SIZE] - 1)
    const page = this.pages[entry >>> BITS], cell = (entry & PAGE - 1) * WIDTH
    page[cell + TIME] = time
    page[cell + VALUE] = value
  }

  /** Moves a ring to a block of another size, 0 for none. */
  private resize (at: number, size: number): void {
    const { heads, pages } = this, before = heads[at + BLOCK] - 1, room = heads[at + SIZE], block = size === 0 ? -1 : this.take(size)
    for (let k = 0; k < heads[at + COUNT]; k++) {
      const from = before + (heads[at + FIRST] + k & room - 1), to = block + k
      for (let i = 0; i < WIDTH; i++) pages[to >>> BITS][(to & PAGE - 1) * WIDTH + i] = pages[from >>> BITS][(from & PAGE - 1) * WIDTH + i]
    }
    if (room > 0) {
      const kind = Math.log2(room)
      pages[before >>> BITS][(before & PAGE - 1) * WIDTH] = this.free[kind]
      this.free[kind] = before + 1
    }
    heads[at + BLOCK] = block + 1
    heads[at + SIZE] = size
    heads[at + FIRST] = 0
  }

  private take (size: number): number {
    const { pages, free } = this, kind = Math.log2(size), block = free[kind] - 1
    if (block >= 0) {
      free[kind] = pages[block >>> BITS][(block & PAGE - 1) * WIDTH]
      return block
    }
    if (this.fresh % PAGE + size > PAGE || this.fresh === pages.length * PAGE) {
      this.fresh = pages.length * PAGE
      for (let room = 0; room < size; room += PAGE) pages.push(new Float64Array(PAGE * WIDTH))
    }
    this.fresh += size
    return this.fresh - size
  }
}

/** Room for so many entries: a new one where it is too small. */
function fit (room: Room, length: number): Room {
  if (room.times.length < length) {
    room.times = new Float64Array(2 * length)
    room.values = new Float64Array(2 * length)
  }
  return room
}

const same = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b))
