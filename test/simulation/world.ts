import { Random } from '../../models/random.ts'

interface Event { readonly at: number, readonly tie: number, act: (() => void) | undefined }

/** Something that must never be. */
export class Violation extends Error {}

export const EPOCH = Date.UTC(2026, 0, 5)      // wall clock at the beginning

/**
 * Time, chance and what happens when. Events run one after the other, each until nothing of it is left to run; those of one moment in
 * an order drawn by the seed. All that happens goes into a hash: the same seed gives the same hash.
 */
export class World {
  now = 0                            // ms since the beginning
  events = 0
  readonly random: Random
  readonly counts: Record<string, number> = {}
  violation: Error | undefined
  readonly lines: string[] = []
  private readonly keep: number
  private readonly heap: Event[] = []
  private a = 0x811c9dc5
  private b = 0x1234567

  /** `keep`: how many of the last things that happened are kept as text. */
  constructor (seed: number, keep = 0) {
    this.random = new Random(seed)
    this.keep = keep
  }

  get hash (): string { return (this.a >>> 0).toString(16).padStart(8, '0') + (this.b >>> 0).toString(16).padStart(8, '0') }

  chance (p: number): boolean { return p > 0 && this.random.next() < p }
  between (from: number, to: number): number { return this.random.between(from, to) }
  pick<T> (of: readonly T[]): T { return of[this.random.below(of.length)] }

  /** Runs `act` in `after` ms. Returns how to prevent it. */
  at (after: number, act: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, after), tie: this.random.next(), act }
    this.push(event)
    return () => { event.act = undefined }
  }

  /** It has happened. */
  note (what: string): void {
    let { a, b } = this
    for (let i = 0; i < what.length; i++) {
      const c = what.charCodeAt(i)
      a = Math.imul(a ^ c, 0x01000193)
      b = Math.imul(b + c ^ b >>> 13, 0x5bd1e995)
    }
    const time = Math.floor(this.now * 1000)
    this.a = Math.imul(a ^ time, 0x01000193)
    this.b = Math.imul(b ^ time ^ b >>> 15, 0x85ebca6b)
    if (this.keep === 0) return
    if (this.lines.length >= 2 * this.keep) this.lines.splice(0, this.keep)
    this.lines.push(`${(this.now / 1000).toFixed(4).padStart(9)} ${what}`)
  }

  count (what: string): void { this.counts[what] = (this.counts[what] ?? 0) + 1 }

  /** Says that something must not be; the run ends with it. */
  violate (what: string | Error): void {
    const error = typeof what === 'string' ? new Violation(what) : what
    this.note(`VIOLATION ${error.message}`)
    this.violation ??= error
  }

  check (holds: boolean, what: () => string): void { if (!holds) this.violate(what()) }

  /** Runs until `until` holds, nothing is left, the time has come or something is wrong. Returns whether `until` holds. */
  async run (to: number, until: () => boolean = () => false): Promise<boolean> {
    await turn()
    while (this.violation === undefined) {
      if (until()) return true
      const next = this.heap[0]
      if (next === undefined || next.at > to) { this.now = Math.max(this.now, to); return until() }
      this.pop()
      if (next.act === undefined) continue
      this.now = next.at
      this.events++
      next.act()
      await turn()
    }
    return false
  }

  private push (event: Event): void {
    const { heap } = this
    let i = heap.push(event) - 1
    while (i > 0) {
      const up = (i - 1) >> 1
      if (!before(event, heap[up])) break
      heap[i] = heap[up]
      i = up
    }
    heap[i] = event
  }

  private pop (): void {
    const { heap } = this
    const last = heap.pop()!
    const n = heap.length
    if (n === 0) return
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      if (down >= n) break
      if (down + 1 < n && before(heap[down + 1], heap[down])) down++
      if (!before(heap[down], last)) break
      heap[i] = heap[down]
      i = down
    }
    heap[i] = last
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || a.at === b.at && a.tie < b.tie

/** Everything that is ready has run when this resolves. */
export const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })
