import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'
import type { Aedes, AuthorizePublishHandler, Client, PublishPacket } from 'aedes'
import { defineSource, File, isLoopback, keyPair, MillraceError, renewing, Type, type Listener, type ListenerHost, type Message, type Position, type TlsFiles, type Values } from '#engine'
import { Clients } from './broker-clients.ts'
import { guard, type Refused } from './broker-guard.ts'
import { Holds } from './broker-holds.ts'
import { Sockets } from './broker-sockets.ts'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { templateFault, tenantsOf, Topics } from './codec/topic.ts'
import { Acks } from './mqtt-acks.ts'

const options = Type.Object({
  host: Type.String({ description: 'Address to listen on; more than this machine (loopback) only with `tls` and `credentials`.', default: '127.0.0.1' }),
  port: Type.Integer({ description: 'Port to listen on; 0 for any free one.', minimum: 0, maximum: 65_535, default: 1883 }),
  topics: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'Topic templates such as "{tenant}/{device}/{metric}" or "site/{site}/{device}".', default: '{tenant}/{device}/{metric}' }),
  maxConnections: Type.Integer({ description: 'Connections from one address.', minimum: 1, default: 1000 }),
  credentials: Type.Optional(File({ description: 'A CSV file with the devices that may connect and the topics of each: millrace devices add. Read anew within a second when it has changed.', minLength: 1 })),
  tls: Type.Optional(Type.Object({
    cert: File({ description: 'PEM file of the certificate of the broker, with what it was signed by.', minLength: 1 }),
    key: File({ description: 'PEM file of its private key.', minLength: 1 }),
    ca: Type.Optional(File({ description: 'PEM file of who signs certificates of devices: one that has such a certificate needs no password.', minLength: 1 }))
  }, { description: 'Speaks TLS, 1.2 or newer.' })),
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
 * there: once. Others may subscribe and watch, except to `#` and `$SYS`; with credentials a device has its own topics only, and what
 * it publishes elsewhere is a dead letter and the end of its connection. Sessions and retained messages are not kept. A packet that declares more than maxPayload and a topic is cut off before it is read.
 */
export const broker = defineSource({
  name: 'broker',
  summary: 'An embedded MQTT broker that devices publish to.',
  options,
  check (o) {
    if (!isLoopback(o.host) && (o.tls === undefined || o.credentials === undefined)) throw new MillraceError('config/exposed', `broker.host is "${o.host}": without ${[...o.tls === undefined ? ['tls'] : [], ...o.credentials === undefined ? ['credentials'] : []].join(' and ')} the broker listens on loopback only`, { help: 'give it tls and credentials; or use 127.0.0.1, ::1 or localhost' })
    if (o.tls?.ca !== undefined && o.credentials === undefined) return 'tls.ca without credentials: nobody would say what a device with a certificate may publish'
    const open = o.credentials === undefined ? undefined : templates(o).find(t => !/\{device\}/.test(t))
    if (open !== undefined) return `with credentials each topic must have {device}: under "${open}" a payload could name any`
    return templates(o).map(t => templateFault(t)).find(f => f !== undefined) ?? codecFault(o)
  },
  tuning: ['maxConnections', 'credentials', 'tls'],
  listen: (o, host) => new BrokerListener(o, host),
  decode: (o, series, intake) => makeDecoder(o, new Topics(templates(o), series, { tenant: o.tenant }), series, intake)
})

/** What we need of aedes that is not public: a DISCONNECT has come. Pinned to 1.2.0 and held by a test. */
interface Parted { readonly _disconnected?: boolean }
/** Nor is this: what handlers hand a message on by once it is acknowledged. */
interface Inside { publish (packet: PublishPacket, client: Client | null, done?: () => void): void }

export class BrokerListener implements Listener {
  private readonly options: Options
  private readonly host: ListenerHost
  private readonly acks: Acks<Held>
  private readonly sockets: Sockets
  private readonly given = new WeakMap<Client, Given>()
  private readonly forgetful = new WeakSet<Client>()           // asked for a clean session
  private readonly holds: Holds | undefined                    // undefined: nobody has a quota
  readonly tenantOf: (topic: string) => string
  private clients: Clients | undefined                         // undefined: everybody may use everything
  private still = () => {}                                      // the certificate is no longer looked at
  private server: Server | undefined
  private aedes: Aedes | undefined
  private problem: string | undefined = 'not listening yet'
  private stopped = false
  private watched = false                                       // somebody has subscribed: before that no message is handed on

  constructor (options: Options, host: ListenerHost) {
    this.options = options
    this.host = host
    this.sockets = new Sockets(options.maxConnections, host.log)
    this.acks = new Acks(host.durableUpTo, held => this.acknowledge(held))
    this.holds = host.wait === undefined ? undefined : new Holds(host.wait)
    this.tenantOf = tenantsOf(templates(options), options.tenant)
    this.listen().catch((cause: NodeJS.ErrnoException) => {
      host.fail(new MillraceError('source/listen', `broker: ${options.host}:${options.port}: ${cause.message}`, { help: cause.code === 'EADDRINUSE' ? 'another program listens there: stop it, or give another port (0 for any)' : undefined, cause }))
    })
  }

  trouble (): string | undefined { return this.problem }
  get events (): Readonly<Record<string, number>> { return this.holds === undefined ? {} : { publish_held: this.holds.held } }

  address (): string | undefined {
    const at = this.server?.address() as AddressInfo | null | undefined
    return at ? `${this.options.tls === undefined ? 'mqtt' : 'mqtts'}://${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}` : undefined
  }

  durable (upTo: Position): void { this.acks.commit(upTo) }

  lost (): void {
    this.acks.drop()
    this.sockets.destroy()
  }

  stop (): void {
    this.stopped = true
    this.clients?.close()
    this.still()
    this.server?.close()
    this.holds?.close()
  }

  async close (): Promise<void> {
    this.stop()
    this.acks.drop()
    this.problem = 'closed'
    await new Promise(setImmediate)          // what was given back last is written
    await this.sockets.flush()
    await new Promise<void>(resolve => this.aedes === undefined ? resolve() : this.aedes.close(resolve))
  }

  private secure (tls: TlsFiles, aedes: Aedes) {
    const { log } = this.host, server = createSecureServer({ ...keyPair(tls), handshakeTimeout: CONNECT_WITHIN }, socket => this.accept(socket, aedes)).on('connection', socket => { this.sockets.counts(socket) })
    this.still = renewing(tls, server, log)
    return server.on('tlsClientError', (error, socket) => log.warn({ from: socket.remoteAddress, err: error.message }, 'a connection was refused'))
  }

  private async listen (): Promise<void> {
    const { log } = this.host, { credentials, tls } = this.options
    const clients = this.clients = credentials === undefined ? undefined : new Clients(credentials, !isLoopback(this.options.host), this.host)
    const aedes = this.aedes = await (await import('aedes')).Aedes.createBroker({
      connectTimeout: CONNECT_WITHIN, drainTimeout: DRAIN_WITHIN, maxTopicLevels: LEVELS, queueLimit: QUEUE, maxInflightInbound: 100,
      preConnect: (client, packet, done) => {
        if (packet.clean) this.forgetful.add(client)
        packet.clean = true
        if (clients !== undefined && packet.clientId !== '') packet.clientId = clients.idOf(client, packet.username, packet.clientId)
        const fits = (packet.clientId ?? '').length <= CLIENT_ID
        done(fits ? null : new Error(`a client id may have ${CLIENT_ID} characters`), fits)
      },
      ...clients === undefined ? {} : { authenticate: clients.authenticate },
      authorizePublish: this.publish,
      authorizeSubscribe: (client, subscription, done) => {
        const may = subscription.topic !== '#' && !subscription.topic.startsWith('$') && this.may(client, subscription.topic)
        this.watched ||= may
        done(null, may ? subscription : null)
      }
    })
    const inside = aedes as unknown as Inside, hand = inside.publish.bind(aedes)
    inside.publish = (packet, client, done) => { if (this.watched || done === undefined) hand(packet, client, done); else done() }
    aedes.on('clientDisconnect', client => { clients?.left(client); this.parted(client) })
    aedes.on('clientError', (client, error) => log.warn({ client: client.id, err: error.message }, 'a client was disconnected'))
    aedes.on('connectionError', (_client, error) => log.warn({ err: error.message }, 'a connection was refused'))
    const server = this.server = tls === undefined
      ? createServer(socket => { if (this.sockets.counts(socket)) this.accept(socket, aedes) })
      : this.secure(tls, aedes)
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
    this.sockets.add(socket)
    socket.setNoDelay(true)
    guard(socket, { connect: CONNECT_BYTES, packet: this.options.maxPayload + TOPIC_BYTES }, packet => this.refused(from, packet), {
      open: () => !this.stopped && this.host.open && this.holds?.has(socket) !== true,
      next: go => { if (!this.stopped) if (this.holds?.has(socket) === true) this.holds.next(socket, go); else this.host.room(go) }
    })
    aedes.handle(socket)
  }

  private may (client: Client | null, topic: string): boolean { return this.clients === undefined || this.clients.may(client, topic) }

  /** aedes sends the PUBACK of a message when this has called back, and only then: see its lib/handlers/publish.js. Runs for wills too. */
  private readonly publish: AuthorizePublishHandler = (client, packet, done) => {
    if (this.stopped) return
    const { topic, qos } = packet
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
    if (topic.startsWith('$') || !this.may(client, topic)) return this.forbidden(client, topic, payload, done)
    packet.retain = false
    const go = () => { this.record(client, packet, payload, () => done(null)) }
    if (this.holds === undefined || client === null) return go()
    const { closed } = client          // it is a will
    this.holds.pass(client.conn, this.tenantOf(topic), () => { if (qos === 0 || client.closed === closed) go() })        // who has left meanwhile was told nothing, and sends it again
  }

  private record (client: Client | null, packet: PublishPacket, payload: Buffer, done: () => void): void {
    const { topic, qos, dup, messageId } = packet as PublishPacket & { messageId?: number }
    this.take({ topic, payload, sender: qos > 0 && client !== null && messageId !== undefined ? { client: client.id, packet: messageId, again: dup } : undefined }, at => {
      if (qos > 0) this.acks.hold(at, { client, at, go: done })
      else done()
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

  /** Topics of the broker itself, or of others, are not for a device: a dead letter, and the end of the connection, as nobody may see it. */
  private forbidden (client: Client | null, topic: string, payload: Uint8Array, done: (error: Error) => void): void {
    const device = this.clients?.deviceOf(client), detail = `${device === undefined ? 'devices' : `the device "${device.username}"`} may not publish to ${topic}`
    this.take({ topic, payload, rejected: { reason: 'not_allowed', detail } }, () => done(new Error(detail)))
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

const templates = ({ topics }: Options): string[] => [topics].flat()
