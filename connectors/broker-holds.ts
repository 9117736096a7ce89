import type { Duplex } from 'node:stream'

const LONGEST = 60                   // s until it is asked again
const MOST = 10_000                  // messages of connections that have closed

interface Message { readonly tenant: string, readonly go: () => void }
interface Hold { messages: Message[], readonly readers: (() => void)[], timer: NodeJS.Timeout | undefined, closed: boolean }

/**
 * Connections of tenants that have sent more than their quota: what was read of one waits here, in its order, and nothing more is to be
 * read of it, so that the window of the device fills up and its PUBACKs come late. Nothing is dropped, and no other connection waits. Of a
 * connection that brings messages of several tenants all wait. At most what one read of a socket gave for each connection, and 10,000
 * messages of those that have closed; beyond, the oldest of these go at once.
 */
export class Holds {
  held = 0                           // messages that have waited
  private readonly wait: (tenant: string) => number
  private readonly most: number
  private readonly connections = new Map<Duplex, Hold>()
  private readonly watched = new WeakSet<Duplex>()
  private left = 0                   // messages of connections that have closed

  /** `wait`: seconds until a tenant may send more. */
  constructor (wait: (tenant: string) => number, most = MOST) {
    this.wait = wait
    this.most = most
  }

  has (connection: Duplex): boolean { return this.connections.has(connection) }

  /** Calls back when more may be read of a connection that is held. */
  next (connection: Duplex, go: () => void): void { this.connections.get(connection)!.readers.push(go) }

  /** `go` now, or as soon as its tenant may send more and what came before it on its connection has gone. */
  pass (connection: Duplex, tenant: string, go: () => void): void {
    const known = this.connections.get(connection), wait = known === undefined ? this.wait(tenant) : 0
    if (known === undefined && wait <= 0) return go()
    const hold = known ?? { messages: [], readers: [], timer: undefined, closed: false }
    this.held++
    hold.messages.push({ tenant, go })
    if (hold.closed) this.left++
    if (known !== undefined) return
    this.connections.set(connection, hold)
    this.later(connection, hold, wait)
    if (connection.destroyed) this.parted(connection)
    else if (!this.watched.has(connection)) this.watched.add(connection.once('close', () => { this.parted(connection) }))
  }

  /** What waits is given up: nobody has been told that it was taken. */
  close (): void {
    for (const { timer } of this.connections.values()) clearTimeout(timer)
    this.connections.clear()
  }

  private later (connection: Duplex, hold: Hold, wait: number): void {
    hold.timer = setTimeout(() => { this.drain(connection, hold) }, 1000 * Math.min(wait, LONGEST))
  }

  /** Lets go what may, or all of it. */
  private drain (connection: Duplex, hold: Hold, all = false): void {
    const { messages, readers } = hold
    let next = 0, wait = 0
    for (; next < messages.length; next++) {
      wait = all ? 0 : this.wait(messages[next].tenant)
      if (wait > 0) break
      messages[next].go()
    }
    hold.messages = messages.slice(next)
    if (hold.closed) this.left -= next
    if (wait > 0) return this.later(connection, hold, wait)
    clearTimeout(hold.timer)
    this.connections.delete(connection)
    for (const go of readers) go()
  }

  private parted (connection: Duplex): void {
    const hold = this.connections.get(connection)
    if (hold === undefined) return
    hold.closed = true
    this.left += hold.messages.length
    for (const [at, other] of this.connections) {
      if (this.left <= this.most) return
      if (other.closed) this.drain(at, other, true)
    }
  }
}
