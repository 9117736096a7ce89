import type { Position } from '#engine'

/**
 * Acknowledgements held back until what they are for is durable: given out in the order they came in.
 * One per connection: what a lost connection held is dropped with it, since the peer sends those messages again.
 */
export class Acks<T> {
  private readonly give: (ack: T) => void
  private positions: Position[] = []
  private acks: T[] = []
  private first = 0
  private committed: Position

  /** `committed`: everything up to here is safe already. */
  constructor (committed: Position, give: (ack: T) => void) {
    this.committed = committed
    this.give = give
  }

  get held (): number { return this.acks.length - this.first }

  /** Holds an acknowledgement of the message at `position`; gives it at once when that is durable and nothing stands before it. */
  hold (position: Position, ack: T): void {
    if (position <= this.committed && this.held === 0) return this.give(ack)
    this.positions.push(position)
    this.acks.push(ack)
  }

  /** Everything up to here is safe. */
  commit (upTo: Position): void {
    if (upTo > this.committed) this.committed = upTo
    while (this.first < this.acks.length && this.positions[this.first] <= this.committed) this.give(this.acks[this.first++])
    if (this.first * 2 > this.acks.length) {
      this.positions = this.positions.slice(this.first)
      this.acks = this.acks.slice(this.first)
      this.first = 0
    }
  }

  /** Forgets what is held. */
  drop (): void {
    this.positions = []
    this.acks = []
    this.first = 0
  }
}
