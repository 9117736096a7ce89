import type { Ids } from './batch.ts'
import { Tape, TapeReader, type SavedList } from './saved.ts'

const NEAR = 8                                 // entries from the newest that are looked at first
const LINKS = 2, AFTER = 0, BEFORE = 1, ENDS = 3, HEAD = 0, TAIL = 1, LAST = 2
const MOST = 14, NUMBERS = 1 << 17           // a page has at most 16,384 nodes, and one MB or a single node

/**
 * One list per id, its entries ordered by time, all from one shared arena.
 * An entry is a node of `1 + fields.length` numbers: its time, then the fields (0 when new).
 * Pages of about a MB are added when the arena is full and never copied or moved; freed nodes are used again.
 * Node n stands in page(n) from offset(n). 12 bytes per id, 8 per number and 8 per entry.
 */
export class Lists<F extends string = string> {
  readonly fields: readonly F[]
  readonly field: { readonly [K in F]: number }  // offset of each field in a node; time is at 0
  readonly width: number
  readonly data: Float64Array[] = []
  private readonly bits: number                  // 2 ** bits nodes to a page
  private readonly mask: number
  // Side by side what is needed together: of many ids in random order each of these is a line of memory that is in no cache.
  private readonly links: Int32Array[] = []      // node -> LINKS numbers: AFTER the next newer node + 1, BEFORE the next older one + 1
  private readonly ends: Int32Array              // id -> ENDS numbers: HEAD its oldest node + 1, TAIL its newest, LAST where something far from its newest was last looked for
  private free = 0                               // first free node + 1, chained by AFTER
  private fresh = 0                              // nodes never used so far start here
  used = 0                                       // entries held now

  constructor (fields: readonly F[], capacity: number) {
    this.fields = fields
    this.width = fields.length + 1
    this.bits = Math.min(MOST, Math.max(0, Math.floor(Math.log2(NUMBERS / this.width))))
    this.mask = (1 << this.bits) - 1
    this.field = Object.fromEntries(fields.map((f, i) => [f, i + 1])) as { [K in F]: number }
    this.ends = new Int32Array(capacity * ENDS)
  }

  /** Reads the newest entries of these ids, all at once: memory then answers many requests in the time of one. Returns a sum that means nothing. */
  ahead (ids: Ids): number {
    const { ends, data, links, bits, mask, width } = this
    let sum = 0
    for (let i = 0; i < ids.length; i++) sum += ends[ids[i] * ENDS + TAIL]
    for (let i = 0; i < ids.length; i++) {
      const node = ends[ids[i] * ENDS + TAIL] - 1
      if (node < 0) continue
      const page = data[node >>> bits], at = (node & mask) * width
      sum += page[at] + page[at + width - 1] + links[node >>> bits][(node & mask) * LINKS]
    }
    return sum
  }

  page (node: number): Float64Array { return this.data[node >>> this.bits] }
  offset (node: number): number { return (node & this.mask) * this.width }
  get (node: number, field: F): number { return this.data[node >>> this.bits][(node & this.mask) * this.width + this.field[field]] }
  set (node: number, field: F, x: number): void { this.data[node >>> this.bits][(node & this.mask) * this.width + this.field[field]] = x }
  time (node: number): number { return this.data[node >>> this.bits][(node & this.mask) * this.width] }
  oldest (id: number): number { return this.ends[id * ENDS + HEAD] - 1 }
  newest (id: number): number { return this.ends[id * ENDS + TAIL] - 1 }
  newer (node: number): number { return this.links[node >>> this.bits][(node & this.mask) * LINKS + AFTER] - 1 }
  older (node: number): number { return this.links[node >>> this.bits][(node & this.mask) * LINKS + BEFORE] - 1 }

  /** The newest entry with exactly this time, or -1. Looks from the newest end, and far from it from where it last found one: O(1) for readings in order, also those of long ago that come again. */
  find (id: number, time: number): number {
    const node = this.seek(id, time)
    return node >= 0 && this.time(node) === time ? node : -1
  }

  /** The newest entry that is not newer, or -1. */
  private seek (id: number, time: number): number {
    let node = this.ends[id * ENDS + TAIL] - 1
    for (let near = NEAR; node >= 0 && this.time(node) > time; node = this.older(node)) if (--near === 0) return this.far(id, time, node)
    return node
  }

  /** The same, from the place of the last one of these, or from `node`, which is newer. */
  private far (id: number, time: number, node: number): number {
    const { ends } = this, from = ends[id * ENDS + LAST] - 1
    if (from >= 0 && this.time(from) < this.time(node)) node = from
    for (let newer = this.newer(node); newer >= 0 && this.time(newer) <= time; newer = this.newer(newer)) node = newer
    while (node >= 0 && this.time(node) > time) node = this.older(node)
    ends[id * ENDS + LAST] = node + 1
    return node
  }

  /** A new entry behind all that are not newer. */
  insert (id: number, time: number): number {
    const node = this.take()
    const older = this.seek(id, time)
    const newer = older < 0 ? this.ends[id * ENDS + HEAD] - 1 : this.newer(older)
    this.links[node >>> this.bits][(node & this.mask) * LINKS + BEFORE] = older + 1
    this.links[node >>> this.bits][(node & this.mask) * LINKS + AFTER] = newer + 1
    if (older < 0) this.ends[id * ENDS + HEAD] = node + 1
    else this.links[older >>> this.bits][(older & this.mask) * LINKS + AFTER] = node + 1
    if (newer < 0) this.ends[id * ENDS + TAIL] = node + 1
    else this.links[newer >>> this.bits][(newer & this.mask) * LINKS + BEFORE] = node + 1
    const page = this.page(node), at = this.offset(node)
    page[at] = time
    for (let k = 1; k < this.width; k++) page[at + k] = 0
    return node
  }

  /** Frees the oldest entry. */
  shift (id: number): void {
    const node = this.ends[id * ENDS + HEAD] - 1
    const newer = this.newer(node)
    if (this.ends[id * ENDS + LAST] === node + 1) this.ends[id * ENDS + LAST] = 0
    this.ends[id * ENDS + HEAD] = newer + 1
    if (newer < 0) this.ends[id * ENDS + TAIL] = 0
    else this.links[newer >>> this.bits][(newer & this.mask) * LINKS + BEFORE] = 0
    this.links[node >>> this.bits][(node & this.mask) * LINKS + AFTER] = this.free
    this.free = node + 1
    this.used--
  }

  /** Frees an entry, wherever it stands. */
  remove (id: number, node: number): void {
    const older = this.older(node), newer = this.newer(node)
    if (older < 0) return this.shift(id)
    if (this.ends[id * ENDS + LAST] === node + 1) this.ends[id * ENDS + LAST] = 0
    this.links[older >>> this.bits][(older & this.mask) * LINKS + AFTER] = newer + 1
    if (newer < 0) this.ends[id * ENDS + TAIL] = older + 1
    else this.links[newer >>> this.bits][(newer & this.mask) * LINKS + BEFORE] = older + 1
    this.links[node >>> this.bits][(node & this.mask) * LINKS + AFTER] = this.free
    this.free = node + 1
    this.used--
  }

  /** Frees every entry older than `time`. */
  expire (id: number, time: number): void {
    while (this.ends[id * ENDS + HEAD] !== 0 && this.time(this.ends[id * ENDS + HEAD] - 1) < time) this.shift(id)
  }

  /** Frees all entries. */
  clear (id: number): void { while (this.ends[id * ENDS + HEAD] !== 0) this.shift(id) }

  private take (): number {
    this.used++
    if (this.free !== 0) {
      const node = this.free - 1
      this.free = this.links[node >>> this.bits][(node & this.mask) * LINKS + AFTER]
      return node
    }
    if (this.fresh === this.data.length << this.bits) {
      this.data.push(new Float64Array(this.width << this.bits))
      this.links.push(new Int32Array(LINKS << this.bits))
    }
    return this.fresh++
  }

  /** Of some ids, in their order: how many entries each has, then all entries. */
  write (to: Tape, ids: Ids): void {
    const { data, links, ends, bits, mask, width } = this, counts = to.reserve(ids.length)
    for (let k = 0; k < ids.length; k++) {
      let count = 0
      for (let node = ends[ids[k] * ENDS + HEAD] - 1; node >= 0; node = links[node >>> bits][(node & mask) * LINKS + AFTER] - 1, count++) {
        const page = data[node >>> bits], at = (node & mask) * width, into = to.reserve(width)
        for (let f = 0; f < width; f++) to.data[into + f] = page[at + f]
      }
      to.data[counts + k] = count
    }
  }

  /** A copy of that. */
  save (ids: Ids): SavedList {
    const to = new Tape()
    this.write(to, ids)
    return new TapeReader(to.data).list(ids.length, this.width)
  }

  /** Takes up what save() gave for as many ids, instead of what they hold. */
  load ({ counts, entries }: SavedList, ids: Ids): void {
    let from = 0
    for (let k = 0; k < ids.length; k++) {
      this.clear(ids[k])
      for (let left = counts[k]; left > 0; left--) {
        const node = this.insert(ids[k], entries[from])
        const page = this.page(node), at = this.offset(node)
        for (let f = 0; f < this.width; f++) page[at + f] = entries[from++]
      }
    }
  }
}
