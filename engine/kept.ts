import type { Tape } from './saved.ts'

const BLOCK = 64, HEAD = 2             // numbers; of the first block of an id, behind its link, how many it has
const CHUNK = 2048                     // blocks, a MB

/**
 * Numbers that are kept for a while, of many ids and of any length, in blocks that are used again: to the collector of garbage a few
 * large arrays, however many ids there are. What is kept of an id takes up to 0.5 KB more than its numbers.
 */
export class Kept {
  private readonly first = new Map<number, number>()         // id -> its first block
  private chunks: Float64Array[] = []
  private free = -1                    // first free block, chained
  private fresh = 0                    // blocks never used so far start here

  get size (): number { return this.first.size }
  has (id: number): boolean { return this.first.has(id) }

  /** The numbers of a tape, under an id that has none. */
  keep (id: number, { data, length }: Tape): void {
    let block = this.take(), page = this.chunks[block >>> 11], at = (block & CHUNK - 1) * BLOCK
    this.first.set(id, block)
    page[at + 1] = length
    for (let from = 0, i = HEAD; ; i = 1) {
      for (; i < BLOCK && from < length; i++) page[at + i] = data[from++]
      if (from === length) break
      block = this.take()
      page[at] = block
      page = this.chunks[block >>> 11]
      at = (block & CHUNK - 1) * BLOCK
    }
  }

  /** Appends what is kept under an id to a tape, and lets it go. */
  move (id: number, to: Tape): void {
    let block = this.first.get(id)!
    this.first.delete(id)
    let page = this.chunks[block >>> 11], at = (block & CHUNK - 1) * BLOCK
    let left = page[at + 1], into = to.reserve(left)
    for (let i = HEAD; ; i = 1) {
      for (; i < BLOCK && left > 0; i++, left--) to.data[into++] = page[at + i]
      const next = page[at]
      page[at] = this.free
      this.free = block
      if (left === 0) break
      block = next
      page = this.chunks[block >>> 11]
      at = (block & CHUNK - 1) * BLOCK
    }
  }

  /** Lets go of everything, the room as well. */
  clear (): void {
    this.first.clear()
    this.chunks = []
    this.free = -1
    this.fresh = 0
  }

  private take (): number {
    const block = this.free
    if (block >= 0) {
      this.free = this.chunks[block >>> 11][(block & CHUNK - 1) * BLOCK]
      return block
    }
    if (this.fresh === this.chunks.length * CHUNK) this.chunks.push(new Float64Array(CHUNK * BLOCK))
    return this.fresh++
  }
}
