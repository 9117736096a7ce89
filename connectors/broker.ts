import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Aedes, type AedesPublishPacket, type AuthorizePublishHandler, type Client } from 'aedes'
import { defineSource, gather, Intake, isLoopback, MillraceError, Type, type Credits, type Delivery, type Gathering, type Observable, type Position, type Source, type SourceHost, type Values } from '#engine'
import { guard, type Refused } from './broker-guard.ts'
import { codecFault, codecOptions, makeDecoder, type Decode } from './codec/json.ts'
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

type Held = { readonly client: Client | null, readonly go: () => void }

/**
 * An MQTT 3.1.1 broker of its own, for devices to publish to with nothing else installed. A PUBACK (PUBREC at QoS 2)
 * goes out when the reading is committed. Others may subscribe and watch, except to `#` and `$SYS`; sessions and
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
  open: (o, host) => new BrokerSource(o, host)
})

export class BrokerSource implements Source {
  private readonly options: Options
  private readonly host: SourceHost
  private readonly acks = new Acks<Held>(0, ({ client, go }) => { if (client?.closed !== true) go() })
  private readonly sockets = new Set<Socket>()
  private readonly addresses = new Map<string, number>()       // address -> its connections
  private server: Server | undefined
  private aedes: Aedes | undefined
  private problem: string | undefined = 'not listening yet'
  private decode!: Decode
  private intake!: Intake
  private gathering!: Gathering
  private credits!: Credits
  private stopped = false

  constructor (options: Options, host: SourceHost) {
    this.options = options
    this.host = host
  }

  trouble (): string | undefined { return this.problem }

  address (): string | undefined {
    const at = this.server?.address() as AddressInfo | null | undefined
    return at ? `mqtt://${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}` : undefined
  }

  async commit (upTo: Position): Promise<void> { this.acks.commit(upTo) }

  async close (): Promise<void> {
    this.stopped = true
    this.acks.drop()
    this.problem = 'closed'
    this.server?.close()
    await new Promise(setImmediate)          // what the last commit gave back is written
    await Promise.all(Array.from(this.sockets, flushed))
    await new Promise<void>(resolve => this.aedes === undefined ? resolve() : this.aedes.close(resolve))
  }

  open (from: Position | undefined, credits: Credits, signal: AbortSignal): Observable<Delivery> {
    const { options: o, host } = this
    this.credits = credits
    this.intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
    this.decode = makeDecoder(o, new Topics(templates(o), host.series, { tenant: o.tenant }), host.series, this.intake)
    this.acks.commit(from ?? 0)
    return gather(this.intake, credits, signal, host.now, gathering => {
      this.gathering = gathering
      this.listen().catch((cause: NodeJS.ErrnoException) => {
        gathering.fail(new MillraceError('source/listen', `broker: ${o.host}:${o.port}: ${cause.message}`, { help: cause.code === 'EADDRINUSE' ? 'another program listens there: stop it, or give another port (0 for any)' : undefined, cause }))
      })
      return () => { this.stopped = true }
    })
  }

  private async listen (): Promise<void> {
    const { log } = this.host
    const aedes = this.aedes = await Aedes.createBroker({
      connectTimeout: CONNECT_WITHIN, drainTimeout: DRAIN_WITHIN, maxTopicLevels: LEVELS, queueLimit: QUEUE, maxInflightInbound: 100,
      preConnect: (_client, packet, done) => {
        packet.clean = true
        const fits = (packet.clientId ?? '').length <= CLIENT_ID
        done(fits ? null : new Error(`a client id may have ${CLIENT_ID} characters`), fits)
      },
      authorizePublish: this.publish,
      authorizeSubscribe: (_client, subscription, done) => done(null, subscription.topic === '#' || subscription.topic.startsWith('$') ? null : subscription)
    })
    aedes.on('clientError', (client, error) => log.warn({ client: client.id, err: error.message }, 'a client was disconnected'))
    aedes.on('connectionError', (_client, error) => log.warn({ err: error.message }, 'a connection was refused'))
    const server = this.server = createServer(socket => this.accept(socket, aedes))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.options.port, this.options.host, () => { server.off('error', reject); resolve() })
    })
    server.on('error', error => { this.problem = error.message })
    this.problem = undefined
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
    guard(socket, { connect: CONNECT_BYTES, packet: this.options.maxPayload + TOPIC_BYTES }, packet => this.refused(from, packet), { open: () => this.stopped || this.credits.open, next: go => this.whenOpen(go) })
    aedes.handle(socket)
  }

  /** aedes sends the PUBACK of a message when this has called back, and only then: see its lib/handlers/publish.js. Runs for wills too. */
  private readonly publish: AuthorizePublishHandler = (client, packet, done) => {
    if (this.stopped) return
    if (packet.topic.startsWith('$')) return done(this.forbidden(packet.topic, packet.payload))
    const position = this.take(packet.topic, packet.payload)
    packet.retain = false
    if (packet.qos > 0) this.acks.hold(position, { client, go: () => done(null) })
    else this.whenOpen(() => done(null))
  }

  private take (topic: string, payload: AedesPublishPacket['payload']): Position {
    const position = this.decode(topic, typeof payload === 'string' ? Buffer.from(payload) : payload, this.host.now())
    this.gathering.pushed()
    return position
  }

  /** Topics of the broker itself are not for devices: a dead letter, and the end of the connection, as nobody may see it. */
  private forbidden (topic: string, payload: AedesPublishPacket['payload']): Error {
    const detail = `devices may not publish to ${topic}`
    this.intake.message(topic, Buffer.from(payload), this.host.now())
    this.intake.reject('topic_mismatch', detail)
    this.gathering.pushed()
    return new Error(detail)
  }

  private whenOpen (go: () => void): void {
    if (this.stopped) return
    if (this.credits.open) go()
    else this.credits.next(() => this.whenOpen(go))
  }

  /** A connection was cut at a packet. What a connected client tried to publish with it is a dead letter; the rest is noise on the port. */
  private refused (from: string, { declared, limit, type, connected, head }: Refused): void {
    this.host.log.warn({ from, declared, limit }, connected ? 'a connection was cut: the packet is too large' : 'a connection was cut: not an MQTT CONNECT, or one that is too large')
    if (!connected || type !== PUBLISH || this.stopped) return
    const end = head.length < 2 ? 0 : 2 + head.readUInt16BE(0)
    this.intake.message(head.subarray(2, end).toString('utf8'), head.subarray(Math.min(end, head.length)), this.host.now())
    this.intake.reject('too_large', `a packet of ${declared} bytes was declared, ${limit} are allowed (maxPayload and a topic); the connection was cut`)
    this.gathering.pushed()
  }
}

/** Ends a socket when what was written to it has left, or after half a second. */
const flushed = (socket: Socket): Promise<void> => new Promise(resolve => {
  const late = setTimeout(() => socket.destroy(), 500)
  socket.once('close', () => { clearTimeout(late); resolve() })
  socket.destroySoon()
})
const templates = ({ topics }: Options): string[] => [topics].flat()
