import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt'
import type { Position } from '#engine'
import { Acks } from './mqtt-acks.ts'

export interface LinkHost {
  /** What to subscribe to. */
  readonly filters: readonly string[]
  readonly qos: 0 | 1
  readonly durableUpTo: Position
  /** ms from dialling until the broker has granted the subscriptions. */
  readonly within: number
  /** Takes a message in and returns its position; undefined when there is no room for it. */
  message (packet: IPublishPacket): Position | undefined
  /** Calls back when there may be room again. */
  room (go: () => void): void
  /** A retained message came instead: no new reading. */
  retained (topic: string): void
  /** Connected; `resumed`: the broker had kept the session. */
  connected (resumed: boolean): void
  /** Subscribed: messages flow. */
  subscribed (): void
  /** The broker has had every PUBACK up to here. */
  confirmed (upTo: Position): void
  /** The broker refuses a subscription. */
  refused (why: string): void
  /** The connection is gone, or never came about. Called once; nothing is called after it. */
  lost (why: string): void
}

/** One connection to a broker, from its first byte to its last: never used again. Sends no PUBACK before durable(). */
export interface Link {
  durable (upTo: Position): void
  /** Ends the connection at once, and whatever it held. */
  drop (): void
  /** Reads nothing more; can still acknowledge. */
  pause (): void
  /** Says goodbye (the broker keeps the session) and lets go of the socket. */
  close (): Promise<void>
}

const FAILURE = 0x80                 // from here on the codes of a SUBACK are refusals
const FAREWELL = 500                 // ms for the DISCONNECT to leave
const BARRIER = 250                  // ms between the pings that find out which PUBACKs have arrived

/** What we need of mqtt.js that is not public. Pinned to 5.16.0 and held by a test against the package itself. */
type Sender = { _sendPacket (packet: { cmd: string, messageId?: number }, done?: () => void, ...rest: unknown[]): void }

/**
 * Dials. mqtt.js hands over one message at a time and reads nothing else until its PUBACK is sent, so the PUBACK is
 * taken from it where it leaves (`_sendPacket`), kept until the message is durable, and mqtt.js told to go on. The answer to a ping
 * proves that the broker has had what was sent before it.
 */
export function openLink (url: string, options: IClientOptions, host: LinkHost): Link {
  const client = connect(url, { ...options, reconnectPeriod: 0, connectTimeout: host.within + 1000, resubscribe: false })
  const send = (client as unknown as Sender)._sendPacket.bind(client)
  const acks = new Acks<{ readonly at: Position, readonly packet: { cmd: string, messageId?: number } }>(host.durableUpTo, ({ at, packet }) => {
    if (!client.connected) return
    send(packet)
    given = at
    barrier ??= setTimeout(() => { barrier = undefined; if (client.connected) client.sendPing() }, BARRIER)
  })
  const asked: Position[] = []       // up to where PUBACKs had been sent when each ping was
  let position = host.durableUpTo, given = 0, told = 0
  let over = false, paused = false
  let why = ''
  let pings: NodeJS.Timeout | undefined, barrier: NodeJS.Timeout | undefined

  ;(client as unknown as Sender)._sendPacket = (packet, done, ...rest) => {
    if (packet.cmd === 'pingreq') asked.push(given)
    if (packet.cmd !== 'puback') return send(packet, done, ...rest)
    acks.hold(position, { at: position, packet })
    done?.()
  }
  client.on('packetreceive', packet => {
    if (packet.cmd !== 'pingresp') return
    const upTo = asked.shift() ?? 0
    if (upTo > told) host.confirmed(told = upTo)
  })
  client.handleMessage = (packet, done) => {
    if (paused) return               // and nothing is read after it
    if (packet.retain) {
      host.retained(packet.topic)
      return done()
    }
    const took = host.message(packet)
    if (took === undefined) {
      pings ??= keepAlive(client)      // goes on however often there is no room
      return host.room(() => { if (!over) client.handleMessage(packet, done) })
    }
    clearInterval(pings)
    pings = undefined
    position = took
    done()
  }

  const watchdog = setTimeout(() => { why ||= `no answer within ${host.within / 1000} s`; client.stream.destroy() }, host.within)
  const end = () => {
    if (over) return
    over = true
    clearTimeout(watchdog)
    clearInterval(pings)
    clearTimeout(barrier)
    host.lost(why || 'the connection was closed')
  }
  client.on('error', error => { why ||= reason(error) })
  client.on('disconnect', packet => { why ||= `the broker disconnected with reason code ${packet.reasonCode}` })
  client.on('close', end)
  client.on('connect', (connack: IConnackPacket) => {
    if (over) return
    host.connected(connack.sessionPresent)
    if (host.filters.some(f => f.startsWith('$share/')) && connack.properties?.sharedSubscriptionAvailable === false) return host.refused('it has no shared subscriptions')
    // rh 2: no retained messages; a broker of 3.1.1 sends them nevertheless, and they are passed over
    client.subscribe(Object.fromEntries(host.filters.map(f => [f, { qos: host.qos, rh: 2 as const }])), error => {
      if (over) return
      clearTimeout(watchdog)
      const granted: number[] | undefined = (error as { packet?: { granted?: number[] } } | null)?.packet?.granted
      const refused = host.filters.filter((_, i) => granted !== undefined && granted[i] >= FAILURE)
      if (refused.length > 0) return host.refused(`${error!.message}: ${refused.join(', ')}`)
      if (!error) return host.subscribed()
      why ||= error.message
      client.stream.destroy()
    })
  })

  return {
    durable (upTo) { if (!over) acks.commit(upTo) },
    drop () {
      acks.drop()
      why ||= 'given up: the log could not keep what had come'
      client.stream.destroy()
    },
    pause () { paused = true },
    close () {
      over = true
      clearTimeout(barrier)
      clearTimeout(watchdog)
      clearInterval(pings)
      return new Promise(resolve => {
        const late = setTimeout(() => client.stream.destroy(), FAREWELL)
        client.once('close', () => { clearTimeout(late); resolve() })
        if (client.connected) client.end(false)
        else client.end(true, () => { clearTimeout(late); resolve() })
      })
    }
  }
}

/** While nothing is read, PINGRESP is not either: pings go on so that the broker keeps us, and mqtt.js is told not to wait for answers. */
function keepAlive (client: MqttClient): NodeJS.Timeout | undefined {
  if (!client.keepalive) return undefined
  return setInterval(() => {
    if (!client.connected) return
    client.reschedulePing(true)
    client.sendPing()
  }, client.keepalive * 500)
}

/** A dial to several addresses fails with an AggregateError, which has no message of its own. */
const reason = (error: Error): string => error.message || (error as AggregateError).errors?.map((e: Error) => e.message).join(', ') || String((error as NodeJS.ErrnoException).code ?? error)
