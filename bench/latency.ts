import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mosquitto } from '../test/support/mosquitto.ts'
import { mustEqual, round, spread, type Benchmark, type Spread } from './measure.ts'
import { HIGH, topicOf } from './messages.ts'
import { Publisher } from './publisher.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until } from './services.ts'

const RATE = 5000, SECONDS = 8, ROUNDS = 5, WARM = 2, RARE = 1003      // messages/s; every so many readings one is an incident
const BOUND = { publish_to_row_ms: 100, publish_to_webhook_ms: 150 } as const      // p99, ms

interface Round { readonly row: { readonly p50: number, readonly p99: number }, readonly webhook: { readonly p50: number, readonly p99: number } }

/**
 * 5,000 messages/s at QoS 1 through mosquitto, each with the time at which it was published: how long it takes to its committed row, by the
 * time stamps that PostgreSQL gives its commits (the commit is on the disk a sync later, a millisecond or so), and, of those that begin an
 * incident, until a webhook on this machine has received the alert.
 */
export const latency: Benchmark = {
  summary: 'from publishing to the committed row, and to the webhook, at 5,000 messages/s',
  unit: 'rate',
  options: { rate: { type: 'string', default: String(RATE) }, seconds: { type: 'string', default: String(SECONDS) }, rounds: { type: 'string', default: String(ROUNDS) } },
  check ({ rate, seconds, rounds }) { if (!(Number(rate) >= 100 && Number(seconds) >= 1 && Number(rounds) >= 1)) throw new Error('--rate must be at least 100, --seconds and --rounds at least 1') },
  async run (say, options) {
    const rate = Number(options.rate), seconds = Number(options.seconds), rounds = Number(options.rounds), folder = temporary('latency')
    const broker = await mosquitto({ config: 'max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true' }), server = await postgresServer(['track_commit_timestamp = on'])
    const database = await freshDatabase(server.url), received = new Map<string, number>(), hook = await receiver(received)
    const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}`
    writeFileSync(join(folder, 'p.json'), JSON.stringify({
      name: 'latency', from: { mqtt: { url: `mqtt://127.0.0.1:${broker.port}`, topic: 'latency/{device}/{metric}' } }, time: { ahead: '10m' }, pipe: [{ validate: { min: -100, max: 1000 } }],
      alerts: { high: { when: { value: { above: HIGH } }, to: [{ webhook: { url } }] } }, to: [{ postgres: { table: 'readings' } }]
    }))
    const engine = new Measured('engine/main', ['run', join(folder, 'p.json'), '--database', database.url, '--http', 'off', '--egress', '127.0.0.0/8', '--folder', folder])
    try {
      await engine.says('subscribed')
      const publisher = await Publisher.connect(broker.port), all: Round[] = []
      await publishFor(publisher, rate, WARM)
      for (let k = 0; k < rounds; k++) {
        const first = publisher.sent, from = Date.now()
        await publishFor(publisher, rate, seconds)
        const firing = incidents(first, publisher.sent)
        await until('all rows are committed', async () => (await query(database.url, 'SELECT received::int FROM counts WHERE branch = $1', ['']))[0]?.received >= publisher.sent)
        await until('all alerts have arrived', () => received.size >= incidents(0, publisher.sent))
        const rows: { ms: number }[] = await query(database.url, 'SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin) - time) * 1000)::float8 AS ms FROM readings WHERE time >= $1', [new Date(from)])
        mustEqual('rows of the round', rows.length, publisher.sent - first)
        const hooks: { id: string, ms: number }[] = await query(database.url, "SELECT id, (extract(epoch FROM time) * 1000)::float8 AS ms FROM alerts WHERE state = 'firing' AND time >= $1", [new Date(from)])
        mustEqual('alerts of the round', hooks.length, firing)
        all.push({ row: percentiles(rows.map(r => r.ms)), webhook: percentiles(hooks.map(({ id, ms }) => (received.get(id) ?? Infinity) - ms)) })
        say(`round ${k + 1}: rows p99 ${all[k].row.p99} ms, webhooks p99 ${all[k].webhook.p99} ms`)
        await query(database.url, 'CHECKPOINT')
      }
      await publisher.close()
      const of = (what: keyof Round, p: 'p50' | 'p99'): Spread => spread(all.map(r => r[what][p])), range = (s: Spread) => [s.low, s.high]
      const told = (what: keyof Round) => ({ p50: of(what, 'p50').median, p99: of(what, 'p99').median, p50_spread: range(of(what, 'p50')), p99_spread: range(of(what, 'p99')) })
      return [{
        rate, publish_to_row_ms: told('row'), publish_to_webhook_ms: told('webhook'),
        messages: publisher.sent, alerts: incidents(0, publisher.sent), rounds
      }]
    } finally {
      await engine.stop()
      hook.close()
      await database.stop()
      await broker.stop()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  fault (figures) {
    const over = Object.entries(BOUND).filter(([name, bound]) => (figures[name] as { p99: number }).p99 > bound)
    return over.length === 0 ? undefined : `latency: ${over.map(([name, bound]) => `${name}: p99 is ${(figures[name] as { p99: number }).p99}, more than ${bound}`).join('; ')}`
  }
}

const isHigh = (n: number) => n % RARE === RARE - 1
const incidents = (from: number, to: number) => Math.floor(to / RARE) - Math.floor(from / RARE)

function percentiles (of: readonly number[]): { p50: number, p99: number } {
  const sorted = [...of].sort((a, b) => a - b), at = (p: number) => round(sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)])
  return { p50: at(0.5), p99: at(0.99) }
}

async function publishFor (publisher: Publisher, rate: number, seconds: number): Promise<void> {
  const began = performance.now()
  for (let n = 0; n < rate * seconds;) {
    for (const due = Math.min(rate * seconds, Math.ceil((performance.now() - began) / 1000 * rate)); n < due; n++) {
      const at = publisher.sent
      publisher.publish(topicOf('latency', at), `{"ts":${performance.timeOrigin + performance.now()},"value":${isHigh(at) ? 900 : at % 64 / 8}}`, 1)
    }
    await sleep(5)
  }
  await publisher.atMost(0)
}

/** Notes when each event that fires was received: ms since 1970. */
async function receiver (received: Map<string, number>): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk)).on('end', () => {
      const at = performance.timeOrigin + performance.now(), { type, data } = JSON.parse(Buffer.concat(chunks).toString())
      if (type === 'alert.firing' && !received.has(data.id)) received.set(data.id, at)
      response.writeHead(204).end()
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return server
}
