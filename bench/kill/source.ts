import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { pino } from 'pino'
import { newKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { mosquitto, type Broker } from '../../test/support/mosquitto.ts'
import { startNats, type NatsServer } from '../../test/support/nats.ts'
import { temporary } from '../services.ts'
import type { Message } from './archive.ts'
import { makeStream, readStream, STREAM } from './jetstream.ts'
import type { Task } from './publish.ts'

export const sources = ['mqtt', 'broker', 'http', 'jetstream', 'nats'] as const

/** Where messages come from while the engine is being killed. */
export interface Origin {
  readonly port: number              // of the broker or server
  /** Of the pipeline, that is to find the broker at a port of loopback. */
  from (port: number): unknown
  readonly to: Task['to']            // where the publisher publishes
  readonly connected: RegExp         // what the engine logs when a message would now reach it or be kept for it
  /** The messages in the order of their log, when that is not the engine's. */
  readonly messages?: () => AsyncIterable<Message>
  /** The broker, when it is a process of its own that can be ended and started again. */
  readonly broker?: Pick<Broker, 'pid' | 'halt' | 'start'>
  /** Port of the engine's HTTP, where it matters before it is started. */
  readonly http?: number
  /** What the database needs before anybody can publish. */
  readonly prepare?: (database: string) => Promise<void>
  stop (): Promise<void>
}

/** Opens a real mosquitto, a port for the engine's own broker, or a real nats-server with a stream on disk. `protocol`: of MQTT. */
export async function openOrigin (source: typeof sources[number], protocol: 4 | 5): Promise<Origin> {
  if (source === 'broker') {
    const port = await fixedPort()
    return { port, from: port => ({ broker: { port, topics: 'kill/{device}/{metric}' } }), to: { mqtt: port }, connected: /"msg":"broker listening"/, stop: async () => {} }
  }
  if (source === 'http') {
    const port = await fixedPort(), { key, id, digest } = newKey()
    const prepare = async (database: string) => {
      await migrate(database, pino({ level: 'silent' }))
      const keys = new PostgresKeys(database)
      await keys.add({ id, digest, name: 'kill', tenant: null, scopes: ['ingest:write'], expires: null }, 'bench')
      await keys.close()
    }
    return { port, http: port, prepare, from: () => ({ http: {} }), to: { http: port, key }, connected: /"msg":"running"/, stop: async () => {} }
  }
  if (source === 'mqtt') {
    const broker = await mosquitto({ port: await fixedPort(), config: 'max_inflight_messages 1000\nmax_queued_messages 0\nset_tcp_nodelay true' })
    return { port: broker.port, broker, from: port => ({ mqtt: { url: `mqtt://127.0.0.1:${port}`, topic: 'kill/{device}/{metric}', protocolVersion: protocol } }), to: { mqtt: broker.port }, connected: /"msg":"subscribed"/, stop: () => broker.stop() }
  }
  if (source === 'nats') {
    const port = await fixedPort()
    let server: NatsServer | undefined = await startNats({ port })
    const halt = async () => {
      await server?.stop()
      server = undefined
    }
    return {
      port, from: port => ({ nats: { servers: `nats://127.0.0.1:${port}`, subject: 'kill.{device}.{metric}' } }), to: { core: server.url }, connected: /"msg":"nats: connected"/,
      broker: { pid: undefined, halt, start: async () => { server = await startNats({ port }) } }, stop: halt
    }
  }
  const folder = temporary('jetstream')
  const server = await startNats({ port: await fixedPort(), args: ['-js', '-sd', folder] })
  const stop = async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await makeStream(server.url)
  } catch (error) {
    await stop()
    throw error
  }
  const messages = async function* () {
    for await (const { seq, subject, data } of readStream(server.url)) yield { position: seq, ingest: 0, topic: subject, payload: Buffer.from(data).toString() }
  }
  return { port: server.port, from: port => ({ jetstream: { servers: `nats://127.0.0.1:${port}`, stream: STREAM, subject: 'kill.{device}.{metric}' } }), to: { nats: server.url }, connected: /"msg":"jetstream: reading"/, messages, stop }
}

/**
 * A port of loopback that nobody listens on, from below those that the system gives to outgoing connections: so nothing takes it while
 * the engine is dead, and a device that dials it meanwhile cannot meet itself.
 */
export async function fixedPort (): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const free = await new Promise<boolean>(resolve => {
      const server = createServer().once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (free) return port
  }
}
