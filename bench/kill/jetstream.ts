/** A JetStream stream: published to, and read from its beginning. The packages are asked for only when a run needs them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type NatsConnection } from '@nats-io/transport-node'

export const STREAM = 'kill'
const AGAIN = 50                     // ms

/** What we use of @nats-io/jetstream. */
interface Library {
  readonly jetstream: (connection: NatsConnection) => {
    publish (subject: string, payload: string, options: { msgID: string }): Promise<{ seq: number }>
    readonly consumers: { get (stream: string): Promise<{ fetch (options: { max_messages: number, expires: number }): Promise<AsyncIterable<Stored>> }> }
  }
  readonly jetstreamManager: (connection: NatsConnection) => Promise<{
    readonly streams: { add (config: unknown): Promise<unknown>, info (stream: string): Promise<{ state: { last_seq: number } }> }
  }>
}
export interface Stored { readonly seq: number, readonly subject: string, readonly data: Uint8Array }

const library = '@nats-io/jetstream'
const load = async (): Promise<Library> => await import(library) as Library

/** Makes the stream: on disk, nothing is ever removed from it. */
export async function makeStream (url: string): Promise<void> {
  const connection = await connect({ servers: url })
  try {
    const manager = await (await load()).jetstreamManager(connection)
    await manager.streams.add({ name: STREAM, subjects: ['kill.>'], storage: 'file', retention: 'limits', duplicate_window: 600 * 1e9, deny_delete: true })
  } finally { await connection.close() }
}

/** Everything that the stream holds, in its order. */
export async function* readStream (url: string): AsyncGenerator<Stored> {
  const connection = await connect({ servers: url })
  try {
    const { jetstream, jetstreamManager } = await load()
    const { state } = await (await jetstreamManager(connection)).streams.info(STREAM)
    const consumer = await jetstream(connection).consumers.get(STREAM)
    for (let seq = 0; seq < state.last_seq;) {
      for await (const message of await consumer.fetch({ max_messages: Math.min(5000, state.last_seq - seq), expires: 5000 })) {
        if (message.seq !== seq + 1) throw new Error(`the stream has no message ${seq + 1}: the next one is ${message.seq}`)
        seq = message.seq
        yield message
      }
    }
  } finally { await connection.close() }
}

/** Publishes with message ids and sends again until the stream has answered. */
export class StreamPublisher {
  left = 0
  private readonly connection: NatsConnection
  private readonly stream: ReturnType<Library['jetstream']>

  private constructor (connection: NatsConnection, { jetstream }: Library) {
    this.connection = connection
    this.stream = jetstream(connection)
  }

  static async connect (url: string): Promise<StreamPublisher> { return new StreamPublisher(await connect({ servers: url, maxReconnectAttempts: -1 }), await load()) }

  get room (): boolean { return this.left < 1000 }

  publish (subject: string, payload: string, acknowledged: () => void, msgID: string): void {
    this.left++
    const attempt = (): Promise<void> => this.stream.publish(subject, payload, { msgID }).then(() => { this.left--; acknowledged() }, () => sleep(AGAIN).then(attempt))
    void attempt()
  }

  close (): void { void this.connection.close() }
}
