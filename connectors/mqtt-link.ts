import type { Duplex, Writable } from 'node:stream'
import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt'
import type { Position } from '#engine'
import { Acks } from './mqtt-acks.ts'
import { readPackets, type Published } from './mqtt-packets.ts'

export interface LinkHost {
  /** What to subscribe to. */
  readonly filters: readonly string[]
  readonly qos: 0 | 1
  readonly durableUpTo: Position
  /** ms from dialling until the broker has granted the subscriptions. */
  readonly within: number
  /** Takes a message in and returns its position; undefined when there is no room for it. */
  message (packet: Published | IPublishPacket): Position | undefined
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

const PUBACK = 0x40020000            // and the packet id
const FAILURE = 0x80                 // from here on the codes of a SUBACK are refusals
const FAREWELL = 500                 // ms for the DISCONNECT to leave
const BARRIER = 250                  // ms between the pings that find out which PUBACKs have arrived

/** What we need of mqtt.js that is not public. Pinned to 5.16.0 and held by a test against the package itself. */
type Inside = { _sendPacket (packet: { cmd: string, messageId?: number }, done?: () => void, ...rest: unknown[]): void, streamBuilder: (client: MqttClient) => Duplex }

/**
 * Dials. Messages are taken from the socket before mqtt.js sees them (readPackets), but for those with something unusual about them. Of these
 * mqtt.js hands over one at a time and reads nothing else until its PUBACK is sent, so the PUBACK is taken from it where it leaves
 * (`_sendPacket`) and mqtt.js told to go on. PUBACKs are kept until their message is durable. The answer to a ping proves that the broker has had
 * what was sent before it.
 */
export function openLink (url: string, options: IClientOptions, host: LinkHost): Link {
  const client = connect(url, { ...options, manualConnect: true, reconnectPeriod: 0, connectTimeout: host.within + 1000, resubscribe: false }), inside = client as unknown as Inside
  const send = inside._sendPacket.bind(client), dial = inside.streamBuilder.bind(client)
  let leaving: number[] = []         // packet ids that are acknowledged with the next write
  const acks = new Acks<{ readonly at: Position, readonly id: number }>(host.durableUpTo, ({ at, id }) => {
    if (!client.connected) return
    given = at
    if (leaving.push(id) > 1) return
    queueMicrotask(acknowledge)
    barrier ??= setTimeout(() => { barrier = undefined; if (client.connected) client.sendPing() }, BARRIER)
  })
  const acknowledge = () => {
    if (leaving.length === 0) return
    const bytes = Buffer.allocUnsafe(4 * leaving.length)
    leaving.forEach((id, i) => bytes.writeUInt32BE(PUBACK + id, 4 * i))
    leaving = []
    if (!client.connected) return
    client.stream.write(bytes)
    client.reschedulePing()
  }
  const asked: Position[] = []       // up to where PUBACKs had been sent when each ping was
  let position = host.durableUpTo, given = 0, told = 0
  let over = false, paused = false
  let why = ''
  let pings: NodeJS.Timeout | undefined, barrier: NodeJS.Timeout | undefined

  /** Takes a message in; false when there is no room for it. */
  const take = (packet: Published | IPublishPacket): boolean => {
    const took = host.message(packet)
    if (took === undefined) {
      pings ??= keepAlive(client)      // goes on however often there is no room
      return false
    }
    clearInterval(pings)
    pings = undefined
    position = took
    return true
  }
  inside.streamBuilder = () => {
    const stream = dial(client)
    stream.pipe = <W extends NodeJS.WritableStream>(others: W) => {
      readPackets(stream, others as unknown as Writable, {
        version: options.protocolVersion === 5 ? 5 : 4,
        take (message) {
          if (over || paused || !take(message)) return false
          if (message.messageId !== undefined) acks.hold(position, { at: position, id: message.messageId })
          return true
        },
        wait: go => { if (!over && !paused) host.room(() => { if (!over) go() }) }
      })
      return others
    }
    return stream
  }
  inside._sendPacket = (packet, done, ...rest) => {
    if (packet.cmd === 'puback') {
      acks.hold(position, { at: position, id: packet.messageId! })
      return done?.()
    }
    acknowledge()                    // before anything else leaves, such as a farewell
    if (packet.cmd === 'pingreq') asked.push(given)
    send(packet, done, ...rest)
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
    if (!take(packet)) return host.room(() => { if (!over) client.handleMessage(packet, done) })
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

  client.connect()

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
  client.reschedulePing(true)
  return setInterval(() => {
    if (!client.connected) return
    client.reschedulePing(true)
    client.sendPing()
  }, client.keepalive * 500)
}

/** A dial to several addresses fails with an AggregateError, which has no message of its own. */
const reason = (error: Error): string => error.message || (error as AggregateError).errors?.map((e: Error) => e.message).join(', ') || String((error as NodeJS.ErrnoException).code ?? error)
