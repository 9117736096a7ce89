import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Aedes, type AedesPublishPacket, type AuthorizePublishHandler, type Client } from 'aedes'
import { defineSource, isLoopback, MillraceError, Type, type Listener, type ListenerHost, type Message, type Position, type Values } from '#engine'
import { guard, type Refused } from './broker-guard.ts'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { templateFault, Topics } from './codec/topic.ts'
import { Acks } from './mqtt-acks.ts'

const options = Type.Object({
  host: Type.String({ description: 'Address to listen on; only this machine (loopback) until there are credentials.', default: '127.0.0.1' }),
  port: Type.Integer({ description: 'Port to listen on; 0 for any free one.', minimum: 0, maximum: 65_535, default: 1883 }),
  topics: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'Topic templates such as "{tenant}/{device}/{metric}" or "site/{site}/{device}".', default: '{tenant}/{device}/{metric}' }),
  maxConnections: Type.Integer({ description: 'Connections from one address.', minimum: 1, default: 1000 }),
  ...codecOptions
})
type Options = Values<typeof options.properties>

const CONNECT_BYTES = 8192           // of a CONNECT
const TOPIC_BYTES = 65_535 + 4       // beside the payload of a PUBLISH
const CONNECT_WITHIN = 5_000         // ms
const DRAIN_WITHIN = 10_000          // ms for a subscriber that does not read
const CLIENT_ID = 128                // characters
const LEVELS = 1000                  // of a topic: what no template matches is a dead letter
const QUEUE = 1000                   // packets of a client before its CONNACK
const PUBLISH = 3
const HEARD = 10_000                 // ms after which a client that still talks has had a PUBACK

interface Held { readonly client: Client | null, readonly at: Position, readonly go: () => void }
/** What a client has been given, and what it had been given HEARD ms ago. */
interface Given { position: Position, marked: Position, at: number }

/**
 * An MQTT 3.1.1 broker of its own, for devices to publish to with nothing else installed. A PUBACK (PUBREC at QoS 2)
 * goes out when the message is durable in the log; one that a device sends again because it never had the PUBACK is found
 * there: once. Others may subscribe and watch, except to `#` and `$SYS`; sessions and
 * retained messages are not kept. A packet that declares more than maxPayload and a topic is cut off before it is read.
 */
export const broker = defineSource({
  name: 'broker',
  summary: 'An embedded MQTT broker that devices publish to.',
  options,
  check (o) {
    if (!isLoopback(o.host)) throw new MillraceError('config/exposed', `broker.host is "${o.host}": without credentials the broker listens on loopback only`, { help: 'use 127.0.0.1, ::1 or localhost; for devices on a network run a broker with credentials and read it with "mqtt"' })
    return templates(o).map(t => templateFault(t)).find(f => f !== undefined) ?? codecFault(o)
  },
  tuning: ['maxConnections'],
  listen: (o, host) => new BrokerListener(o, host),
  decode: (o, series, intake) => makeDecoder(o, new Topics(templates(o), series, { tenant: o.tenant }), series, intake)
})

/** What we need of aedes that is not public: a DISCONNECT has come. Pinned to 1.2.0 and held by a test. */
interface Parted { readonly _disconnected?: boolean }

export class BrokerListener implements Listener {
  private readonly options: Options
  private readonly host: ListenerHost
  private readonly acks: Acks<Held>
  private readonly sockets = new Set<Socket>()
  private readonly addresses = new Map<string, number>()       // address -> its connections
  private readonly given = new WeakMap<Client, Given>()
  private readonly forgetful = new WeakSet<Client>()           // asked for a clean session
  private server: Server | undefined
  private aedes: Aedes | undefined
  private problem: string | undefined = 'not listening yet'
  private stopped = false

  constructor (options: Options, host: ListenerHost) {
    this.options = options
    this.host = host
    this.acks = new Acks(host.durableUpTo, held => this.acknowledge(held))
    this.listen().catch((cause: NodeJS.ErrnoException) => {
      host.fail(new MillraceError('source/listen', `broker: ${options.host}:${options.port}: ${cause.message}`, { help: cause.code === 'EADDRINUSE' ? 'another program listens there: stop it, or give another port (0 for any)' : undefined, cause }))
    })
  }

  trouble (): string | undefined { return this.problem }

  address (): string | undefined {
    const at = this.server?.address() as AddressInfo | null | undefined
    return at ? `mqtt://${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}` : undefined
  }

  durable (upTo: Position): void { this.acks.commit(upTo) }

  lost (): void {
    this.acks.drop()
    for (const socket of this.sockets) socket.destroy()
  }

  stop (): void {
    this.stopped = true
    this.server?.close()
  }

  async close (): Promise<void> {
    this.stop()
    this.acks.drop()
    this.problem = 'closed'
    await new Promise(setImmediate)          // what was given back last is written
    await Promise.all(Array.from(this.sockets, flushed))
    await new Promise<void>(resolve => this.aedes === undefined ? resolve() : this.aedes.close(resolve))
  }

  private async listen (): Promise<void> {
    const { log } = this.host
    const aedes = this.aedes = await Aedes.createBroker({
      connectTimeout: CONNECT_WITHIN, drainTimeout: DRAIN_WITHIN, maxTopicLevels: LEVELS, queueLimit: QUEUE, maxInflightInbound: 100,
      preConnect: (client, packet, done) => {
        if (packet.clean) this.forgetful.add(client)
        packet.clean = true
        const fits = (packet.clientId ?? '').length <= CLIENT_ID
        done(fits ? null : new Error(`a client id may have ${CLIENT_ID} characters`), fits)
      },
      authorizePublish: this.publish,
      authorizeSubscribe: (_client, subscription, done) => done(null, subscription.topic === '#' || subscription.topic.startsWith('$') ? null : subscription)
    })
    aedes.on('clientDisconnect', client => this.parted(client))
    aedes.on('clientError', (client, error) => log.warn({ client: client.id, err: error.message }, 'a client was disconnected'))
    aedes.on('connectionError', (_client, error) => log.warn({ err: error.message }, 'a connection was refused'))
    const server = this.server = createServer(socket => this.accept(socket, aedes))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.options.port, this.options.host, () => { server.off('error', reject); resolve() })
    })
    server.on('error', error => { this.problem = error.message })
    this.problem = undefined
    this.host.listening(true)
    log.info({ url: this.address() }, 'broker listening')
  }

  private accept (socket: Socket, aedes: Aedes): void {
    const from = socket.remoteAddress ?? ''
    const open = (this.addresses.get(from) ?? 0) + 1
    if (open > this.options.maxConnections) {
      this.host.log.warn({ from, maxConnections: this.options.maxConnections }, 'a connection was refused: too many from one address')
      return void socket.destroy()
    }
    this.addresses.set(from, open)
    this.sockets.add(socket)
    socket.once('close', () => {
      this.sockets.delete(socket)
      const left = this.addresses.get(from)! - 1
      if (left === 0) this.addresses.delete(from)
      else this.addresses.set(from, left)
    })
    socket.setNoDelay(true)
    guard(socket, { connect: CONNECT_BYTES, packet: this.options.maxPayload + TOPIC_BYTES }, packet => this.refused(from, packet), { open: () => !this.stopped && this.host.open, next: go => { if (!this.stopped) this.host.room(go) } })
    aedes.handle(socket)
  }

  /** aedes sends the PUBACK of a message when this has called back, and only then: see its lib/handlers/publish.js. Runs for wills too. */
  private readonly publish: AuthorizePublishHandler = (client, packet, done) => {
    if (this.stopped) return
    const { topic, qos, dup, messageId } = packet as AedesPublishPacket & { messageId?: number }
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
    if (topic.startsWith('$')) return this.forbidden(topic, payload, done)
    packet.retain = false
    this.take({ topic, payload, sender: qos > 0 && client !== null && messageId !== undefined ? { client: client.id, packet: messageId, again: dup } : undefined }, at => {
      if (qos > 0) this.acks.hold(at, { client, at, go: () => done(null) })
      else done(null)
    })
  }

  /** Now, or as soon as there is room. */
  private take (message: Message, then: (at: Position) => void): void {
    if (this.stopped) return
    const position = this.host.append(message)
    if (position === undefined) this.host.room(() => this.take(message, then))
    else then(position)
  }

  private acknowledge ({ client, at, go }: Held): void {
    if (client?.closed === true) return
    go()
    if (client === null) return
    const now = performance.now()
    let given = this.given.get(client)
    if (given === undefined) this.given.set(client, given = { position: 0, marked: 0, at: now })
    if (now - given.at >= HEARD) {
      if (given.marked > 0) this.host.confirm(client.id, given.marked, false)
      given.marked = given.position
      given.at = now
    }
    given.position = Math.max(given.position, at)
  }

  /** Who takes leave of a clean session sends nothing of it again: what it publishes next under the same packet ids is something new. */
  private parted (client: Client): void {
    const given = this.given.get(client)
    if (given !== undefined && this.forgetful.has(client) && (client as Client & Parted)._disconnected) this.host.confirm(client.id, given.position)
  }

  /** Topics of the broker itself are not for devices: a dead letter, and the end of the connection, as nobody may see it. */
  private forbidden (topic: string, payload: Uint8Array, done: (error: Error) => void): void {
    const detail = `devices may not publish to ${topic}`
    this.take({ topic, payload, rejected: { reason: 'topic_mismatch', detail } }, () => done(new Error(detail)))
  }

  /** A connection was cut at a packet. What a connected client tried to publish with it is a dead letter; the rest is noise on the port. */
  private refused (from: string, { declared, limit, type, connected, head }: Refused): void {
    this.host.log.warn({ from, declared, limit }, connected ? 'a connection was cut: the packet is too large' : 'a connection was cut: not an MQTT CONNECT, or one that is too large')
    if (!connected || type !== PUBLISH || this.stopped) return
    const end = head.length < 2 ? 0 : 2 + head.readUInt16BE(0)
    this.take({
      topic: head.subarray(2, end).toString('utf8'), payload: head.subarray(Math.min(end, head.length)),
      rejected: { reason: 'too_large', detail: `a packet of ${declared} bytes was declared, ${limit} are allowed (maxPayload and a topic); the connection was cut` }
    }, () => {})
  }
}

/** Ends a socket when what was written to it has left, or after half a second. */
const flushed = (socket: Socket): Promise<void> => new Promise(resolve => {
  const late = setTimeout(() => socket.destroy(), 500)
  socket.once('close', () => { clearTimeout(late); resolve() })
  socket.destroySoon()
})
const templates = ({ topics }: Options): string[] => [topics].flat()
