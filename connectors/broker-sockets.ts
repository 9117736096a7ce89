import type { Socket } from 'node:net'
import type { Logger } from '#engine'

const FLUSH_WITHIN = 500             // ms for what was written to leave

/** The connections of the broker, `most` from one address. */
export class Sockets {
  private readonly most: number
  private readonly log: Logger
  private readonly addresses = new Map<string, number>()       // address -> its connections
  private readonly open = new Set<Socket>()

  constructor (most: number, log: Logger) {
    this.most = most
    this.log = log
  }

  /** Whether its address may have one more connection; before TLS, as one that never shakes hands holds a socket too. Destroys one that is too many. */
  counts (socket: Socket): boolean {
    const from = socket.remoteAddress ?? '', open = (this.addresses.get(from) ?? 0) + 1
    if (open > this.most) {
      this.log.warn({ from, maxConnections: this.most }, 'a connection was refused: too many from one address')
      socket.destroy()
      return false
    }
    this.addresses.set(from, open)
    socket.once('close', () => {
      const left = this.addresses.get(from)! - 1
      if (left === 0) this.addresses.delete(from)
      else this.addresses.set(from, left)
    })
    return true
  }

  /** One that is listened to. */
  add (socket: Socket): void {
    this.open.add(socket)
    socket.once('close', () => { this.open.delete(socket) })
  }

  destroy (): void {
    for (const socket of this.open) socket.destroy()
  }

  /** Ends each when what was written to it has left, or after FLUSH_WITHIN. */
  async flush (): Promise<void> { await Promise.all(Array.from(this.open, flushed)) }
}

const flushed = (socket: Socket): Promise<void> => new Promise(resolve => {
  const late = setTimeout(() => socket.destroy(), FLUSH_WITHIN)
  socket.once('close', () => { clearTimeout(late); resolve() })
  socket.destroySoon()
})
