import type { Listener, ListenerHost, Position } from '#engine'
import { Acks } from '../../connectors/mqtt-acks.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

export interface Sent { readonly id: number, readonly topic: string, readonly payload: string, acked: boolean, lost: boolean, tries: number }
type Packet = { readonly type: 'publish', readonly id: number, readonly again: boolean, readonly message: Sent } | { readonly type: 'puback', readonly id: number } | { readonly type: 'pingreq' | 'pingresp' }

/** A connection: packets arrive in order, until it is cut; what is under way then is lost, and both ends learn of it in their time. */
export class Connection {
  open = true
  toEngine: (packet: Packet) => void = () => {}
  toPeer: (packet: Packet) => void = () => {}
  /** Told when the connection is gone. */
  engineLost: () => void = () => {}
  peerLost: () => void = () => {}
  private readonly world: World
  private readonly last = { engine: 0, peer: 0 }
  private readonly way: { readonly [to in 'engine' | 'peer']: Packet[] } = { engine: [], peer: [] }       // what is under way, in order: the world shuffles what happens at one time

  constructor (world: World) { this.world = world }

  send (to: 'engine' | 'peer', packet: Packet): void {
    if (!this.open) return
    const { world, last } = this
    const at = Math.max(last[to], world.now + (world.chance(0.02) ? world.between(50, 2000) : world.between(0.1, 5)))
    last[to] = at
    this.way[to].push(packet)
    world.at(at - world.now, () => {
      const next = this.way[to].shift()!
      if (this.open) (to === 'engine' ? this.toEngine : this.toPeer)(next)
    })
  }

  cut (): void {
    if (!this.open) return
    this.open = false
    this.world.at(this.world.between(0, 3000), () => this.engineLost())
    this.world.at(this.world.between(0, 3000), () => this.peerLost())
  }
}

/** A broker's session, or a gateway: publishes at QoS 1, a few at a time, and sends again what was not acknowledged, in order. */
export class Peer {
  readonly name: string
  readonly window: number
  readonly ids: number               // packet ids that it uses
  /** Its session is lost before the next connection. `keeps`: it has the messages themselves, and sends them as new ones. */
  forgets: { readonly keeps: boolean } | undefined
  private readonly world: World
  private waiting: Sent[] = []
  private readonly inFlight = new Map<number, Sent>()
  private connection: Connection | undefined
  private next = 1

  constructor (world: World, name: string, { window, ids }: { readonly window: number, readonly ids: number }) {
    this.world = world
    this.name = name
    this.window = window
    this.ids = ids
  }

  get idle (): boolean { return this.waiting.length === 0 && this.inFlight.size === 0 }

  publish (message: Sent): void {
    this.waiting.push(message)
    this.pump()
  }

  /** The engine connects: whoever was connected before is no more. Returns whether there is a session. */
  accept (connection: Connection): boolean {
    this.connection?.cut()
    this.connection = connection
    connection.toPeer = packet => { if (this.connection === connection) this.receive(packet) }
    connection.peerLost = () => { if (this.connection === connection) this.connection = undefined }
    const { forgets } = this
    this.forgets = undefined
    const unacked = [...this.inFlight]
    if (forgets !== undefined) {
      this.world.count('sessions lost')
      this.inFlight.clear()
      if (forgets.keeps) this.waiting.unshift(...unacked.map(([, message]) => message))
      else for (const message of [...unacked.map(([, m]) => m), ...this.waiting.splice(0)]) message.lost = true
      return false
    }
    for (const [id, message] of unacked) {
      this.world.count('sent again')
      message.tries++
      connection.send('engine', { type: 'publish', id, again: true, message })
    }
    return true
  }

  subscribed (connection: Connection): void { if (this.connection === connection) this.pump() }
  cut (): void { this.connection?.cut() }

  private receive (packet: Packet): void {
    if (packet.type === 'pingreq') this.connection!.send('engine', { type: 'pingresp' })
    if (packet.type !== 'puback') return
    const message = this.inFlight.get(packet.id)
    if (message === undefined) return this.world.violate(`${this.name} is told of packet ${packet.id}, which is not under way`)
    this.inFlight.delete(packet.id)
    message.acked = true
    this.pump()
  }

  private pump (): void {
    while (this.connection?.open === true && this.inFlight.size < this.window && this.waiting.length > 0) {
      while (this.inFlight.has(this.next)) this.next = this.next % this.ids + 1
      const message = this.waiting.shift()!, id = this.next
      this.next = this.next % this.ids + 1
      this.inFlight.set(id, message)
      message.tries++
      this.connection.send('engine', { type: 'publish', id, again: false, message })
    }
  }
}

/** The listener of a process: a connection to every peer, PUBACKs held back by the engine's own Acks, pings that find out which of them have arrived. */
export class SimulatedListener implements Listener {
  private readonly process: Process
  private readonly host: ListenerHost
  private readonly links: Link[]
  private stopped = false

  constructor (process: Process, host: ListenerHost, peers: readonly Peer[], durable: () => Position) {
    this.process = process
    this.host = host
    this.links = peers.map(peer => new Link(process, host, peer, durable, () => this.changed()))
    process.died.push(() => { for (const link of this.links) link.cut() })
  }

  durable (upTo: Position): void { for (const link of this.links) link.durable(upTo) }
  lost (): void { for (const link of this.links) link.drop() }
  trouble (): string | undefined { return this.links.some(l => l.up) ? undefined : 'not connected' }
  stop (): void {
    this.stopped = true
    for (const link of this.links) link.stop()
  }

  async close (): Promise<void> {
    this.stop()
    await this.process.ask('goodbye', 1, () => {})
    for (const link of this.links) link.cut()
  }

  private changed (): void { if (!this.stopped) this.host.listening(this.links.some(l => l.up)) }
}

const BARRIER = 250                  // ms

class Link {
  up = false
  private readonly process: Process
  private readonly host: ListenerHost
  private readonly peer: Peer
  private readonly durableOnDisk: () => Position
  private readonly changed: () => void
  private connection: Connection | undefined
  private acks: Acks<{ readonly at: Position, readonly id: number }> | undefined
  private queue: Extract<Packet, { type: 'publish' }>[] = []
  private blocked = false
  private asked: Position[] = []
  private given = 0
  private told = 0
  private barrier = false
  private stopped = false

  constructor (process: Process, host: ListenerHost, peer: Peer, durableOnDisk: () => Position, changed: () => void) {
    this.process = process
    this.host = host
    this.peer = peer
    this.durableOnDisk = durableOnDisk
    this.changed = changed
    this.dialLater()
  }

  durable (upTo: Position): void { this.acks?.commit(upTo) }
  stop (): void { this.stopped = true }
  cut (): void { this.connection?.cut() }

  /** What came and was not acknowledged is forgotten; it comes again. */
  drop (): void {
    this.acks?.drop()
    this.cut()
  }

  private dialLater (): void {
    const { process } = this
    process.clock.timeout(() => { if (!this.stopped) this.dial() }, process.world.between(5, 1500))
  }

  private dial (): void {
    const { process, host, peer } = this
    const connection = this.connection = new Connection(process.world)
    const acks = this.acks = new Acks<{ readonly at: Position, readonly id: number }>(host.durableUpTo, ack => this.acknowledge(connection, ack))
    this.queue = []
    this.asked = []
    this.blocked = false
    this.given = this.told = 0
    connection.engineLost = () => process.give(() => this.lost(connection))
    const received: Packet[] = []      // in order, also when it is given on after a pause
    connection.toEngine = packet => {
      received.push(packet)
      process.give(() => this.receive(connection, acks, received.shift()!))
    }
    process.world.at(process.world.between(0.5, 20), () => {
      if (!process.alive || !connection.open) return
      const resumed = peer.accept(connection)
      process.give(() => {
        if (this.connection !== connection) return
        if (!resumed) host.forget(peer.name)
        this.up = true
        this.changed()
        peer.subscribed(connection)
      })
    })
  }

  private receive (connection: Connection, acks: NonNullable<Link['acks']>, packet: Packet): void {
    if (this.connection !== connection || this.stopped && packet.type === 'publish') return
    if (packet.type === 'publish') {
      this.queue.push(packet)
      this.take(connection, acks)
    } else if (packet.type === 'pingresp') {
      const upTo = this.asked.shift() ?? 0
      if (upTo > this.told) this.host.confirm(this.peer.name, this.told = upTo)
    }
  }

  private take (connection: Connection, acks: Acks<{ readonly at: Position, readonly id: number }>): void {
    while (!this.blocked && this.queue.length > 0 && this.connection === connection && !this.stopped) {
      const { id, again, message } = this.queue[0]
      const at = this.host.append({ topic: message.topic, payload: Buffer.from(message.payload), sender: { client: this.peer.name, packet: id, again } })
      if (at === undefined) {
        this.process.world.count('no room')
        this.blocked = true
        return this.host.room(() => {
          if (this.connection !== connection) return
          this.blocked = false
          this.take(connection, acks)
        })
      }
      this.queue.shift()
      acks.hold(at, { at, id })
    }
  }

  private acknowledge (connection: Connection, { at, id }: { readonly at: Position, readonly id: number }): void {
    const { process } = this
    if (!process.alive || !connection.open) return
    const durable = this.durableOnDisk()
    process.world.check(at <= durable, () => `${process.name} acknowledges record ${at}, on the disk are those up to ${durable}`)
    connection.send('peer', { type: 'puback', id })
    this.given = at
    if (this.barrier) return
    this.barrier = true
    process.clock.timeout(() => {
      this.barrier = false
      if (this.connection !== connection) return
      this.asked.push(this.given)
      connection.send('peer', { type: 'pingreq' })
    }, BARRIER)
  }

  private lost (connection: Connection): void {
    if (this.connection !== connection) return
    this.connection = undefined
    if (this.up) {
      this.up = false
      this.changed()
    }
    if (!this.stopped) this.dialLater()
  }
}
