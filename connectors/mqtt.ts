import { readFileSync } from 'node:fs'
import type { IClientOptions } from 'mqtt'
import { backoff, defineSource, Duration, gather, Intake, MillraceError, Type, type Credits, type Delivery, type Observable, type Position, type Source, type SourceHost, type Values } from '#engine'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { templateFault, Topics } from './codec/topic.ts'
import { openLink, type Link } from './mqtt-link.ts'

const options = Type.Object({
  url: Type.String({ description: 'Broker: mqtt://, mqtts://, ws:// or wss://, with a port if it is not 1883, 8883, 80 or 443.', pattern: '^(mqtt|mqtts|ws|wss)://.+', default: 'mqtt://localhost:1883' }),
  topics: Type.Optional(Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'Topic templates such as "{tenant}/{device}/{metric}" or "site/{site}/{device}".' })),
  topic: Type.Optional(Type.String({ description: 'The same, when there is one.', minLength: 1 })),
  qos: Type.Unsafe<0 | 1>({ type: 'integer', enum: [0, 1], description: 'Quality of service of the subscription: 1 loses nothing that the broker has acknowledged.', default: 1 }),
  protocolVersion: Type.Unsafe<4 | 5>({ type: 'integer', enum: [4, 5], description: '5 for MQTT 5, 4 for MQTT 3.1.1.', default: 5 }),
  clientId: Type.Optional(Type.String({ description: 'Must be the same at every start, since the broker keeps the session under it. Default: millrace-<pipeline>.', minLength: 1, maxLength: 128 })),
  username: Type.Optional(Type.String({ description: 'User name.' })),
  password: Type.Optional(Type.String({ description: 'Password; better ${NAME} than written out.' })),
  ca: Type.Optional(Type.String({ description: 'File with the certificates to trust, PEM.' })),
  cert: Type.Optional(Type.String({ description: 'File with the client certificate, PEM.' })),
  key: Type.Optional(Type.String({ description: 'File with the key of the client certificate, PEM.' })),
  rejectUnauthorized: Type.Boolean({ description: 'Whether the certificate of the broker must be valid.', default: true }),
  share: Type.Optional(Type.String({ description: 'Group of a shared subscription: its members divide the messages among them.', pattern: '^[^/+#]+$' })),
  persistent: Type.Boolean({ description: 'Whether the broker keeps messages while Millrace is away.', default: true }),
  sessionExpiry: Duration({ description: 'How long the broker keeps them (MQTT 5); longer than the longest outage.', default: '24h' }),
  receiveMaximum: Type.Integer({ description: 'Messages that the broker may have under way before they are committed (MQTT 5): about twice rate times commit latency.', minimum: 1, maximum: 65_535, default: 2000 }),
  keepalive: Duration({ description: 'How often to ping; a dead connection is noticed after 1.5 times this.', default: '30s' }),
  connectTimeout: Duration({ description: 'How long dialling and subscribing may take together before it is tried anew.', default: '15s' }),
  ...codecOptions
})
type Options = Values<typeof options.properties>

const STEADY = 10_000                // ms that a connection must last for the next wait to be short again

/**
 * Readings from an MQTT broker. A PUBACK goes out when the reading is committed, in the order received and only on the
 * connection it came on; a message whose PUBACK was lost comes again (at least once). Retained messages that a
 * subscription brings up are no new readings and are passed over. Not connected: says so in trouble(), and keeps trying.
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
  shares: o => o.share !== undefined,
  open: (o, host) => new MqttSource(o, host)
})

export class MqttSource implements Source {
  /** How often the broker had lost the session: messages may be missing. */
  sessionsLost = 0
  private readonly options: Options
  private readonly host: SourceHost
  private readonly where: string
  private link: Link | undefined
  private problem: string | undefined = 'not connected yet'
  private committed: Position = 0

  constructor (options: Options, host: SourceHost) {
    this.options = options
    this.host = host
    const { protocol, host: address } = new URL(options.url)
    this.where = `${protocol}//${address}`
  }

  trouble (): string | undefined { return this.problem }

  async commit (upTo: Position): Promise<void> {
    this.committed = upTo
    this.link?.commit(upTo)
  }

  async close (): Promise<void> {
    await this.link?.close()
    this.link = undefined
  }

  open (from: Position | undefined, credits: Credits, signal: AbortSignal): Observable<Delivery> {
    const { options: o, host, where } = this
    const { log, series, now } = host
    const intake = new Intake(series, credits, { ahead: host.ahead, after: from ?? 0 })
    const topics = new Topics(templates(o), series, { tenant: o.tenant })
    const decode = makeDecoder(o, topics, series, intake)
    const filters = o.share === undefined ? topics.filters : topics.filters.map(f => `$share/${o.share}/${f}`)
    this.committed = from ?? 0
    let known = from !== undefined           // the broker should have a session of ours
    let waits = backoff(250)
    let timer: NodeJS.Timeout | undefined
    let stopped = false

    return gather(intake, credits, signal, now, gathering => {
      const lost = (why: string, since: number) => {
        this.link = undefined
        if (stopped) return
        if (this.problem === undefined || this.problem !== `${where}: ${why}`) log.warn({ broker: where, why }, 'not connected to the broker, trying again')
        this.problem = `${where}: ${why}`
        if (performance.now() - since > STEADY) waits = backoff(250)
        timer = setTimeout(dial, waits.next().value)
      }
      const dial = () => {
        let since = Infinity
        let retained = false
        let clientOptions
        try {
          clientOptions = this.clientOptions()
        } catch (error) {
          return gathering.fail(error)
        }
        this.link = openLink(o.url, clientOptions, {
          filters, qos: o.qos, within: o.connectTimeout, committed: this.committed,
          message: packet => {
            const position = decode(packet.topic, packet.payload as Buffer, now(), packet.properties?.userProperties?.[o.timeProperty])
            gathering.pushed()
            return position
          },
          retained: topic => {
            if (!retained) log.info({ topic }, 'retained messages are passed over: they are no new readings')
            retained = true
          },
          ready: go => {
            const look = () => { if (!stopped) { if (credits.open) go(); else credits.next(look) } }
            look()
          },
          connected: resumed => {
            if (!resumed && known && o.persistent) {
              this.sessionsLost++
              log.warn({ broker: where, sessionsLost: this.sessionsLost }, 'the broker has no session of ours: what it held for us is lost')
            }
            known = true
          },
          subscribed: () => {
            since = performance.now()
            this.problem = undefined
            log.info({ broker: where, topics: filters }, 'subscribed')
          },
          refused: why => gathering.fail(new MillraceError('source/refused', `mqtt: ${where} refuses the subscription: ${why}`, { help: 'check the topics, the permissions of the user, and "share"' })),
          lost: why => lost(why, since)
        })
      }
      dial()
      return () => { stopped = true; clearTimeout(timer) }
    })
  }

  private clientOptions (): IClientOptions {
    const { options: o, host } = this
    const clientId = o.clientId ?? `millrace-${host.pipeline}`
    return {
      clientId, protocolVersion: o.protocolVersion, clean: !o.persistent, keepalive: Math.max(1, Math.round(o.keepalive / 1000)), rejectUnauthorized: o.rejectUnauthorized,
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

/** Read at every dial, so that a certificate can be renewed without a restart. */
function file (option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new MillraceError('usage/file', `mqtt.${option}: ${(cause as Error).message}`, { cause })
  }
}
