import { connect, type NatsConnection } from '@nats-io/transport-node'

const EVERY = 20                     // ms between flushes
const PATIENCE = 5000                // ms for the answer to one

/** Publishes over core NATS: acknowledged is what the server has had, as far as a flush tells; nobody keeps it. What is not answered is given up. */
export class CorePublisher {
  left = 0
  private readonly connection: NatsConnection
  private waiting: (() => void)[] = []
  private timer: NodeJS.Timeout | undefined

  private constructor (connection: NatsConnection) { this.connection = connection }

  static async connect (servers: string): Promise<CorePublisher> {
    return new CorePublisher(await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 50, reconnectJitter: 0 }))
  }

  get room (): boolean { return this.left < 1000 }

  publish (subject: string, payload: string, acknowledged: () => void): void {
    this.left++
    this.connection.publish(subject, payload)
    this.waiting.push(acknowledged)
    this.timer ??= setTimeout(() => { this.timer = undefined; void this.flush() }, EVERY)
  }

  close (): void { void this.connection.close() }

  private async flush (): Promise<void> {
    const { waiting } = this
    this.waiting = []
    const late = new Promise<boolean>(resolve => { setTimeout(resolve, PATIENCE, false).unref() })
    const answered = await Promise.race([this.connection.flush().then(() => true, () => false), late])
    this.left -= waiting.length
    if (answered) for (const acknowledged of waiting) acknowledged()
  }
}
