import { readFileSync } from 'node:fs'
import type { IClientOptions } from 'mqtt'
import { backoff, defineSource, Duration, File, MillraceError, Type, type Listener, type ListenerHost, type Position, type Values } from '#engine'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { filtersOf, templateFault, Topics } from './codec/topic.ts'
import type { Link } from './mqtt-link.ts'

const options = Type.Object({
  url: Type.String({ description: 'Broker: mqtt://, mqtts://, ws:// or wss://, with a port if it is not 1883, 8883, 80 or 443.', pattern: '^(mqtt|mqtts|ws|wss)://.+', default: 'mqtt://localhost:1883' }),
  topics: Type.Optional(Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'Topic templates such as "{tenant}/{device}/{metric}" or "site/{site}/{device}".' })),
  topic: Type.Optional(Type.String({ description: 'The same, when there is one.', minLength: 1 })),
  qos: Type.Unsafe<0 | 1>({ type: 'integer', enum: [0, 1], description: 'Quality of service of the subscription: 1 loses nothing that the broker has acknowledged.', default: 1 }),
  protocolVersion: Type.Unsafe<4 | 5>({ type: 'integer', enum: [4, 5], description: '5 for MQTT 5, 4 for MQTT 3.1.1.', default: 5 }),
  clientId: Type.Optional(Type.String({ description: 'Must be the same at every start, since the broker keeps the session under it. Default: millrace-<pipeline>, of the pipeline that was the first to read this source.', minLength: 1, maxLength: 128 })),
  username: Type.Optional(Type.String({ description: 'User name.' })),
  password: Type.Optional(Type.String({ description: 'Password; better ${NAME} than written out.' })),
  ca: Type.Optional(File({ description: 'File with the certificates to trust, PEM.' })),
  cert: Type.Optional(File({ description: 'File with the client certificate, PEM.' })),
  key: Type.Optional(File({ description: 'File with the key of the client certificate, PEM.' })),
  rejectUnauthorized: Type.Boolean({ description: 'Whether the certificate of the broker must be valid.', default: true }),
  share: Type.Optional(Type.String({ description: 'Group of a shared subscription: its members divide the messages among them.', pattern: '^[^/+#]+$' })),
  persistent: Type.Boolean({ description: 'Whether the broker keeps messages while Millrace is away.', default: true }),
  sessionExpiry: Duration({ description: 'How long the broker keeps them (MQTT 5); longer than the longest outage.', default: '24h' }),
  receiveMaximum: Type.Integer({ description: 'Messages that the broker may have under way before they are durable (MQTT 5): about twice rate times the time of a sync.', minimum: 1, maximum: 65_535, default: 2000 }),
  keepalive: Duration({ description: 'How often to ping; a dead connection is noticed after 1.5 times this.', default: '30s' }),
  connectTimeout: Duration({ description: 'How long dialling and subscribing may take together before it is tried anew.', default: '15s' }),
  ...codecOptions
})
type Options = Values<typeof options.properties>

const STEADY = 10_000                // ms that a connection must last for the next wait to be short again

/**
 * Readings from an MQTT broker. A PUBACK goes out when the message is durable in the log, in the order received and only on the
 * connection it came on. A message whose PUBACK was lost comes again, marked as such, and is found in the log: once. Retained
 * messages that a subscription brings up are no new readings and are passed over. Not connected: says so in trouble(), and keeps
 * trying. While the log has no room nothing is read from the broker.
 */
export const mqtt = defineSource({
  name: 'mqtt',
  summary: 'Readings from an MQTT broker, 3.1.1 or 5.',
  options,
  check (o) {
    if ((o.topics === undefined) === (o.topic === undefined)) return 'topics (or topic) must be given, one of them'
    if ((o.cert === undefined) !== (o.key === undefined)) return 'cert and key belong together'
    return templates(o).map(t => templateFault(t)).find(f => f !== undefined) ?? codecFault(o)
  },
  reaches: ({ url }) => [url],
  shares: o => o.share !== undefined,
  tuning: ['username', 'password', 'ca', 'cert', 'key', 'rejectUnauthorized', 'sessionExpiry', 'receiveMaximum', 'keepalive', 'connectTimeout', 'protocolVersion'],
  listen: (o, host) => new MqttListener(o, host),
  decode: (o, series, intake) => makeDecoder(o, new Topics(templates(o), series, { tenant: o.tenant }), series, intake)
})

export class MqttListener implements Listener {
  /** session_lost: the broker had lost the session, messages may be missing. */
  readonly events = { session_lost: 0 }
  private readonly options: Options
  private readonly host: ListenerHost
  private readonly where: string
  private readonly client: string
  private readonly filters: readonly string[]
  private link: Link | undefined
  private problem: string | undefined = 'not connected yet'
  private known: boolean             // the broker should have a session of ours
  private waits = backoff(250)
  private timer: NodeJS.Timeout | undefined
  private stopped = false

  constructor (options: Options, host: ListenerHost) {
    this.options = options
    this.host = host
    const { protocol, host: address } = new URL(options.url)
    this.where = `${protocol}//${address}`
    this.client = options.clientId ?? host.name
    const filters = filtersOf(templates(options))
    this.filters = options.share === undefined ? filters : filters.map(f => `$share/${options.share}/${f}`)
    this.known = host.heard
    this.dial()
  }

  trouble (): string | undefined { return this.problem }
  durable (upTo: Position): void { this.link?.durable(upTo) }

  /** The broker sends what it has no PUBACK of again on the next connection. */
  lost (): void { this.link?.drop() }

  stop (): void {
    this.stopped = true
    clearTimeout(this.timer)
    this.link?.pause()
  }

  async close (): Promise<void> {
    this.stop()
    await this.link?.close()
    this.link = undefined
  }

  private dial (): void { this.connect().catch(error => { this.host.fail(error) }) }

  private async connect (): Promise<void> {
    const { openLink } = await import('./mqtt-link.ts')
    if (this.stopped) return
    const { options: o, host, where, client } = this
    let since = Infinity, retained = false
    this.link = openLink(o.url, this.clientOptions(), {
      filters: this.filters, qos: o.qos, within: o.connectTimeout, durableUpTo: host.durableUpTo,
      message: packet => host.append({
        topic: packet.topic, payload: packet.payload as Buffer, stamp: 'properties' in packet ? stampOf(packet.properties?.userProperties?.[o.timeProperty]) : undefined,
        sender: packet.qos > 0 && o.persistent ? { client, packet: packet.messageId!, again: packet.dup } : undefined
      }),
      room: go => host.room(() => { if (!this.stopped) go() }),
      retained: topic => {
        if (!retained) host.log.info({ topic }, 'retained messages are passed over: they are no new readings')
        retained = true
      },
      connected: resumed => {
        if (!resumed && o.persistent) {
          host.forget(client)
          if (this.known) {
            this.events.session_lost++
            host.log.warn({ broker: where, sessionsLost: this.events.session_lost }, 'the broker has no session of ours: what it held for us is lost')
          }
        }
        this.known = true
      },
      subscribed: () => {
        since = performance.now()
        this.problem = undefined
        host.listening(true)
        host.log.info({ broker: where, topics: this.filters }, 'subscribed')
      },
      confirmed: upTo => host.confirm(client, upTo),
      refused: why => host.fail(new MillraceError('source/refused', `mqtt: ${where} refuses the subscription: ${why}`, { help: 'check the topics, the permissions of the user, and "share"' })),
      lost: why => {
        this.link = undefined
        host.listening(false)
        if (this.stopped) return
        if (this.problem !== `${where}: ${why}`) host.log.warn({ broker: where, why }, 'not connected to the broker, trying again')
        this.problem = `${where}: ${why}`
        if (performance.now() - since > STEADY) this.waits = backoff(250)
        this.timer = setTimeout(() => this.dial(), this.waits.next().value)
      }
    })
  }

  private clientOptions (): IClientOptions {
    const { options: o, client } = this
    return {
      clientId: client, protocolVersion: o.protocolVersion, clean: !o.persistent, keepalive: Math.max(1, Math.round(o.keepalive / 1000)), rejectUnauthorized: o.rejectUnauthorized,
      ...o.protocolVersion === 5 ? { properties: { receiveMaximum: o.receiveMaximum, ...o.persistent ? { sessionExpiryInterval: Math.round(o.sessionExpiry / 1000) } : {} } } : {},
      ...o.username === undefined ? {} : { username: o.username },
      ...o.password === undefined ? {} : { password: o.password },
      ...o.ca === undefined ? {} : { ca: file('ca', o.ca) },
      ...o.cert === undefined ? {} : { cert: file('cert', o.cert) },
      ...o.key === undefined ? {} : { key: file('key', o.key) }
    }
  }
}

const templates = ({ topics, topic }: Options): string[] => [topics ?? topic ?? []].flat()

/** Of several user properties of the name, the first. */
const stampOf = (property: string | string[] | undefined): string | undefined => Array.isArray(property) ? property[0] : property

/** Read at every dial, so that a certificate can be renewed without a restart. */
function file (option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new MillraceError('usage/file', `mqtt.${option}: ${(cause as Error).message}`, { cause })
  }
}
