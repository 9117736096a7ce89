import { connect, type Socket } from 'node:net'
import { generate, parser, type Packet } from 'mqtt-packet'

/** Publishes over MQTT 3.1.1 by writing the packets itself: a few microseconds per message, so that it is never what is measured. */
export class Publisher {
  underWay = 0                       // QoS 1 messages not acknowledged yet
  sent = 0                           // messages published
  private readonly socket: Socket
  private number = 0
  private moved = () => {}
  private failed: Error | undefined

  private constructor (port: number) {
    this.socket = connect(port, '127.0.0.1').setNoDelay()
    const incoming = parser().on('packet', ({ cmd }: Packet) => {
      if (cmd === 'puback') this.underWay--
      this.moved()
    })
    this.socket.on('data', data => { incoming.parse(data) }).on('error', error => { this.failed = error; this.moved() }).on('close', () => { this.failed ??= new Error('the connection was closed'); this.moved() })
    this.send({ cmd: 'connect', clientId: `publisher-${process.pid}-${performance.now()}`, protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 0 })
  }

  static async connect (port: number): Promise<Publisher> {
    const publisher = new Publisher(port)
    await publisher.change()
    return publisher
  }

  publish (topic: string, payload: string | Buffer, qos: 0 | 1): void { this.put([this.prepare(topic, payload, qos)], qos) }

  /** A message as it is sent. To be put in the order in which they were prepared. */
  prepare (topic: string, payload: string | Buffer, qos: 0 | 1): Buffer {
    this.number = this.number % 65_535 + 1
    return generate({ cmd: 'publish', topic, payload, qos, dup: false, retain: false, ...qos === 1 ? { messageId: this.number } : {} })
  }

  put (packets: readonly Buffer[], qos: 0 | 1): void {
    if (qos === 1) this.underWay += packets.length
    this.sent += packets.length
    this.socket.write(packets.length === 1 ? packets[0] : Buffer.concat(packets))
  }

  /** Resolves when the socket has taken what was published, or the broker has acknowledged some of it. */
  async drained (): Promise<void> {
    if (this.socket.writableLength > 0) await new Promise<void>((resolve, reject) => { this.socket.write('', error => { if (error) reject(error); else resolve() }) })
    else await new Promise(setImmediate)
  }

  /** Resolves when at most this many messages are under way. */
  async atMost (underWay: number): Promise<void> { while (this.underWay > underWay) await this.change() }

  async close (): Promise<void> {
    this.send({ cmd: 'disconnect' })
    await new Promise<void>(resolve => { this.socket.end(resolve) })
  }

  private send (packet: Packet): void { this.socket.write(generate(packet)) }
  private change (): Promise<void> {
    return new Promise((resolve, reject) => { this.moved = () => { if (this.failed) reject(this.failed); else resolve() } })
  }
}
