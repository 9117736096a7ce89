/**
 * Backpressure between a source and the commit: bytes taken in but not committed, and deliveries under way.
 * A source stops reading while `open` is false and goes on when told; nothing is dropped to make room.
 */
export class Credits {
  readonly limit: number             // bytes
  readonly slots: number             // deliveries
  used = 0
  delivered = 0
  private waiting: (() => void)[] = []

  constructor ({ bytes = 32 * 2 ** 20, deliveries = 2 } = {}) {
    this.limit = bytes
    this.slots = deliveries
  }

  /** May more be read? */
  get open (): boolean { return this.used < this.limit }
  /** May another delivery be handed over? */
  get slot (): boolean { return this.delivered < this.slots }

  take (bytes: number): void { this.used += bytes }
  deliver (): void { this.delivered++ }

  /** A delivery is committed: its bytes and its slot are free again. */
  give (bytes: number): void {
    this.used -= bytes
    this.delivered--
    const waiting = this.waiting
    this.waiting = []
    for (const go of waiting) go()
  }

  /** Calls back once, at the next give(). */
  next (go: () => void): void { this.waiting.push(go) }
}
