import { connect, type Socket } from 'node:net'
import { generate, parser, type Packet } from 'mqtt-packet'

const WINDOW = 250                   // messages sent and not acknowledged
const AGAIN = 20                     // ms from a lost connection to the next try

interface Sent { readonly topic: string, readonly payload: string, readonly acknowledged: () => void }

/**
 * Publishes at QoS 1 over MQTT 3.1.1 as a device does: keeps what is not acknowledged and, once connected again, sends that
 * first, in order, with DUP and the packet ids it had. Writes the packets itself: mqtt.js resends one message at a time.
 */
export class Device {
  private readonly port: number
  private readonly clientId: string
  private readonly sent = new Map<number, Sent>()     // by packet id, in the order they were sent
  private socket: Socket | undefined
  private connected = false
  private closed = false
  private id = 0

  constructor (port: number, clientId: string) {
    this.port = port
    this.clientId = clientId
    this.dial()
  }

  /** May a message be published now? */
  get room (): boolean { return this.connected && this.sent.size < WINDOW }
  /** Messages that are not acknowledged. */
  get left (): number { return this.sent.size }

  publish (topic: string, payload: string, acknowledged: () => void): void {
    do this.id = this.id % 65_535 + 1
    while (this.sent.has(this.id))
    this.sent.set(this.id, { topic, payload, acknowledged })
    this.write({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId: this.id })
  }

  close (): void {
    this.closed = true
    this.socket?.destroy()
  }

  private dial (): void {
    const socket = this.socket = connect(this.port, '127.0.0.1').setNoDelay()
    const incoming = parser().on('packet', packet => this.take(packet))
    socket.on('data', data => { incoming.parse(data) }).on('error', () => {})
    socket.on('close', () => {
      this.connected = false
      if (!this.closed) setTimeout(() => this.dial(), AGAIN)
    })
    this.write({ cmd: 'connect', clientId: this.clientId, protocolId: 'MQTT', protocolVersion: 4, clean: false, keepalive: 0 })
  }

  private take (packet: Packet): void {
    if (packet.cmd === 'puback') {
      const { acknowledged } = this.sent.get(packet.messageId!) ?? {}
      this.sent.delete(packet.messageId!)
      acknowledged?.()
    } else if (packet.cmd === 'connack') {
      for (const [messageId, { topic, payload }] of this.sent) this.write({ cmd: 'publish', topic, payload, qos: 1, dup: true, retain: false, messageId })
      this.connected = true
    }
  }

  private write (packet: Packet): void { this.socket!.write(generate(packet)) }
}
