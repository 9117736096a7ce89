import { connect, type IClientOptions } from 'mqtt'
import { Duration, MillraceError, options as checked, sleep, Type, type Given, type Logger } from '#engine'
import { roomFor } from '../models/fleet.ts'
import { checkFleet, fleetOptions, planFleet, type Label, type PlannedFleet } from './fleet/plan.ts'

const publisherOptions = Type.Object({
  ...fleetOptions,
  url: Type.String({ description: 'The broker, such as mqtt://localhost:1883 or mqtts://user:password@host.', pattern: '^(mqtts?|tcp|tls|wss?)://' }),
  topic: Type.String({ description: 'Topic of a reading, from {tenant}, {device} and {metric}.', minLength: 1, default: '{tenant}/{device}/{metric}' }),
  qos: Type.Union([Type.Literal(0), Type.Literal(1)], { description: 'Quality of service.', default: 1 }),
  speed: Type.Union([Type.Literal('max'), Type.Number({ exclusiveMinimum: 0 })], { description: 'Multiple of real time, or max: as fast as the broker takes it.', default: 1 }),
  for: Type.Optional(Duration({ description: 'Event time after which the fleet ends; absent: never.' })),
  window: Type.Integer({ description: 'How many messages may be under way, unacknowledged.', minimum: 1, maximum: 65_535, default: 500 })
})

export type PublisherGiven = Given<(typeof publisherOptions)['properties']>
export interface PublisherSetting {
  readonly signal?: AbortSignal
  readonly log?: Logger
  /** For every acknowledged reading, its event time in ms. */
  readonly onAcked?: (time: number) => void
  /** Certificates and the like, as mqtt.js takes them. */
  readonly client?: IClientOptions
}

/** A fleet at work; the counters go up while it is. */
export interface Publishing {
  readonly published: number
  readonly acknowledged: number
  readonly connected: boolean
  /** Faults that have begun so far. */
  labels (): Label[]
  /** Resolves when the fleet has ended or was told to stop, and what was under way is acknowledged, or 5 s later. */
  readonly done: Promise<{ readonly published: number, readonly acknowledged: number }>
}

const PUMP = 10, LAST_ACKS = 5000    // ms
const CHUNK = 512

/**
 * Publishes a simulated fleet over MQTT, one reading per message: `{"ts": 1767225600000.125, "value": 21.5}`, ts in epoch ms.
 * The fleet's time begins when the broker is there for the first time. While it is away the readings wait, as in a device with
 * memory, and come afterwards with their own times. Connects again for ever; QoS 1 messages under way are sent again.
 */
export function publishFleet ({ signal, log, onAcked, client: settings, ...given }: PublisherGiven & PublisherSetting): Publishing {
  const options = checked('publisher', publisherOptions, given, checkFleet)
  const { qos, speed, topic, window } = options
  const out = roomFor(Math.max(CHUNK, options.metrics.length))
  const client = connect(options.url, { clientId: `millrace-fleet-${process.pid}-${Math.random().toString(36).slice(2, 8)}`, reconnectPeriod: 500, connectTimeout: 5000, queueQoSZero: false, ...settings })
  let published = 0, acknowledged = 0, under = 0, next = 0, ready = 0
  let plan: PlannedFleet | undefined, topics: string[] = []
  let start = 0, opened = 0, end = Infinity

  const begin = () => {
    if (plan !== undefined) return
    start = Date.now()
    opened = performance.now()
    end = options.for === undefined ? Infinity : start + options.for - 0.001
    plan = planFleet('publisher', options, start)
    topics = plan.names.map(name => topic.replace(/\{(tenant|device|metric)\}/g, (_, part: 'tenant' | 'device' | 'metric') => name[part]))
  }
  const send = (i: number) => {
    const time = out.time[i]
    published++
    under++
    client.publish(topics[out.series[i]], `{"ts":${time},"value":${out.value[i]}}`, { qos }, error => {
      under--
      if (error) return
      acknowledged++
      onAcked?.(time)
    })
  }
  /** Publishes what is due, as far as there is room. False when the fleet has ended. */
  const pump = (): boolean => {
    while (plan !== undefined && client.connected && under < window) {
      if (next === ready) {
        const due = speed === 'max' ? end : Math.min(end, start + (performance.now() - opened) * speed)
        next = 0
        ready = plan.fleet.fill(out, due)
        if (ready === 0) return plan.fleet.due <= end
      }
      send(next++)
    }
    return true
  }

  client.on('connect', () => { log?.info(`publisher: connected to ${hidden(options.url)}`); begin() })
  client.on('error', error => log?.warn(`publisher: ${hidden(options.url)}: ${error.message}`))
  client.on('offline', () => log?.warn(`publisher: ${hidden(options.url)} is away, trying again`))

  const done = (async () => {
    while (!signal?.aborted && pump()) await sleep(PUMP, signal)
    for (const until = performance.now() + LAST_ACKS; under > 0 && client.connected && performance.now() < until;) await sleep(PUMP)
    await client.endAsync(under > 0 || !client.connected)
    if (under > 0) log?.warn(`publisher: stopped with ${under} messages not acknowledged`)
    return { published, acknowledged }
  })()
  return {
    get published () { return published },
    get acknowledged () { return acknowledged },
    get connected () { return client.connected },
    labels: () => plan?.labels(Math.min(end, plan.fleet.due)) ?? [],
    done
  }
}

/** A URL without its password. */
function hidden (url: string): string {
  if (!URL.canParse(url)) throw new MillraceError('config/invalid', `publisher.url "${url}" is not a URL`, { help: 'write it as mqtt://host:1883' })
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}
