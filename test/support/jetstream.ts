/** A real nats-server with a stream, and the source that reads it. */
import { cpSync, rmSync } from 'node:fs'
import { jetstreamManager, StorageType, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { Credits, SeriesTable, sleep, type Delivery } from '#engine'
import { jetstream } from '../../connectors/jetstream.ts'
import { quiet } from './collect.ts'
import { freePort, startNats, type NatsServer } from './nats.ts'

type Options = Partial<NonNullable<Parameters<typeof jetstream>[0]>>
type Test = { teardown (f: () => unknown): void, testdir (): string }

/** A server with JetStream in a folder, which it finds again after a kill. */
export async function serve (t: Test) {
  const folder = t.testdir(), port = await freePort(), args = ['-js', '-sd', `${folder}/js`]
  let server: NatsServer = await startNats({ port, args })
  const connections: NatsConnection[] = []
  t.teardown(async () => {
    await Promise.all(connections.map(c => c.close()))
    await server.stop()
  })
  return {
    url: server.url,
    kill: () => server.stop(),
    async start (at = port) { return server = await startNats({ port: at, args }) },
    signal: (name: NodeJS.Signals) => server.signal(name),
    save: () => cpSync(`${folder}/js`, `${folder}/saved`, { recursive: true }),
    restore () {
      rmSync(`${folder}/js`, { recursive: true })
      cpSync(`${folder}/saved`, `${folder}/js`, { recursive: true })
    },
    /** What it says of itself. */
    async version () {
      const connection = await connect({ servers: server.url })
      connections.push(connection)
      return connection.info!.version
    },
    /** A manager, and publishing that waits for the server's word that it is stored. */
    async client (url = server.url) {
      const connection = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
      connections.push(connection)
      const jsm = await jetstreamManager(connection), js = jsm.jetstream()
      return {
        jsm,
        publish: async (values: readonly unknown[], subject = 't.a.b.c', options = {}) => {
          for (let i = 0; i < values.length; i += 500) await Promise.all(values.slice(i, i + 500).map(v => js.publish(subject, typeof v === 'string' || v instanceof Uint8Array ? v : JSON.stringify(v), options)))
        }
      }
    }
  }
}

export const make = (jsm: JetStreamManager, more: Partial<StreamConfig> = {}) => jsm.streams.add({ name: 'S', subjects: ['t.>'], storage: StorageType.File, ...more })
export const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => from + i)

/** A server with messages 1 to 10, and what it had on its disk when there were 5. */
export async function saved (t: Test) {
  const server = await serve(t), { jsm, publish } = await server.client()
  await make(jsm)
  await publish(upTo(5))
  await server.kill()
  server.save()
  await server.start()
  await (await server.client()).publish(upTo(10, 6))
  return server
}

/** A source at work; every delivery is committed at once unless `hold`. */
export function read (t: Test, options: Options, { from, origin, committed, credits = new Credits(), hold = false }: { from?: number, origin?: string | undefined, committed?: { readonly position: number, readonly at: number }, credits?: Credits, hold?: boolean } = {}) {
  const series = new SeriesTable(), stop = new AbortController(), { log, lines } = quiet()
  const { definition, options: checked } = jetstream({ stream: 'S', subject: 't.{tenant}.{device}.{metric}', ...options })
  const source = definition.open!(checked as never, { pipeline: 'test', series, ahead: 300_000, log, now: () => 1, origin, committed: committed?.position, committedAt: committed?.at })
  const deliveries: Delivery[] = [], held: Delivery[] = []
  let failure: any
  const settle = (delivery: Delivery) => {
    credits.give(delivery.bytes)
    void source.commit(delivery.upTo)
  }
  const subscription = source.open(from, credits, stop.signal).subscribe({
    next (delivery) {
      deliveries.push(delivery)
      if (hold) held.push(delivery)
      else settle(delivery)
    },
    error (error) { failure = error }
  })
  const end = async () => {
    stop.abort()
    subscription.unsubscribe()
    await source.close!()
  }
  t.teardown(end)
  return {
    source, series, deliveries, lines, end, credits,
    get failure () { return failure },
    get values () { return deliveries.flatMap(d => [...d.rows.value]) },
    get positions () { return deliveries.flatMap(d => [...d.rows.position]) },
    get names () { return deliveries.flatMap(d => Array.from(d.rows.series, s => Object.values(series.name(s)).join('/'))) },
    get errors () { return lines.filter(l => l.level === 'error').map(l => l.text) },
    get warnings () { return lines.filter(l => l.level === 'warn').map(l => l.text) },
    hold () { hold = true },
    release () {
      hold = false
      for (const delivery of held.splice(0)) settle(delivery)
    }
  }
}

export async function until (what: string, holds: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  for (let i = 0; i < seconds * 50; i++) {
    if (await holds()) return
    await sleep(20)
  }
  throw new Error(`${seconds} s have passed and still not: ${what}`)
}

/** The value, once it has not changed for 300 ms. */
export async function still (value: () => number): Promise<number> {
  for (let seen = value(); ; seen = value()) {
    await sleep(300)
    if (value() === seen) return seen
  }
}
