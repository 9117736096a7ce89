import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey } from '../engine/api-key.ts'
import { PostgresKeys } from '../sinks/postgres-keys.ts'
import { freePort } from '../test/support/mosquitto.ts'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { Publisher } from './publisher.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until, type Service } from './services.ts'

const CLIENTS = 50, PER_SECOND = 2, READINGS = 2000, SERIES = 500, ROUNDS = 3
const BOUND = { p95_ms: 50, error_rate: 0.001, ratio_to_alone: 2 } as const

interface Route { readonly name: string, readonly url: (now: number) => string, readonly body?: object, readonly every?: number }      // every: seconds between two of a client, when it may not take its turn
const iso = (ms: number) => encodeURIComponent(new Date(ms).toISOString())
const wave = (n: number) => Array.from({ length: n }, (_, i) => Math.sin(i / 12) + (i * 7919 % 101) / 300), one = 'device=d7&metric=m'
const routes: readonly Route[] = [
  { name: 'GET /api/v1/pipelines', url: () => '/api/v1/pipelines' },
  { name: 'GET /api/v1/series', url: () => '/api/v1/series?limit=100' },
  { name: 'GET /api/v1/tables/{table}/latest', url: () => '/api/v1/tables/readings/latest?limit=50' },
  { name: 'GET /api/v1/tables/{table}/rows', url: now => `/api/v1/tables/readings/rows?${one}&from=${iso(now - 60_000)}&to=${iso(now)}&limit=500` },
  { name: 'GET /api/v1/tables/{table}/buckets', url: now => `/api/v1/tables/readings/buckets?${one}&from=${iso(now - 60_000)}&to=${iso(now)}&buckets=60` },
  { name: 'GET /api/v1/alerts', url: () => '/api/v1/alerts?limit=50' },
  { name: 'POST /api/v1/predict', url: () => '/api/v1/predict', body: { data: { value: wave(200) }, options: { every: '1s', seasons: ['75s'] } } },
  { name: 'POST /api/v1/detect_anomaly', url: () => '/api/v1/detect_anomaly', body: { data: { value: wave(500) } } },
  { name: 'POST /api/v1/check_drift', url: () => '/api/v1/check_drift', body: { data: { value: wave(1500) } }, every: 7.5 }      // 500 are the reference, the others are compared
]

interface Outcome { readonly taken: Map<string, { ms: number, failed: boolean }[]>, readonly rate: number, readonly lost: number, readonly duplicated: number, readonly p50: number, readonly p99: number }

/**
 * The API under 50 clients, each with a key of its own and two requests a second, open loop: latency counts from when a request was
 * to be sent. Beside it 2,000 readings/s come in over MQTT at QoS 1; how long one takes to its committed row is compared with
 * rounds without clients, in turns, each with an engine and a database of its own. All on loopback.
 */
export const api: Benchmark = {
  summary: 'the HTTP API under 50 clients beside 2,000 readings/s, and what that costs ingestion',
  unit: 'route',
  options: { seconds: { type: 'string', default: '20' }, rounds: { type: 'string', default: String(ROUNDS) } },
  check ({ seconds, rounds }) { if (!(Number(seconds) >= 2 && Number(rounds) >= 1)) throw new Error('--seconds must be at least 2, --rounds at least 1') },
  async run (say, options) {
    const seconds = Number(options.seconds), server = await postgresServer(), alone: Outcome[] = [], beside: Outcome[] = []
    try {
      for (let k = 0; k < Number(options.rounds); k++) {
        for (const [to, clients] of [[alone, 0], [beside, CLIENTS]] as const) {
          to.push(await roundOf(server, seconds, clients))
          say(`round ${k + 1}, ${clients} clients: publish to row p99 ${round(to.at(-1)!.p99)} ms`)
        }
      }
    } finally { await server.stop() }
    const figures: Figures[] = routes.map(({ name }) => {
      const all = beside.flatMap(o => o.taken.get(name) ?? []), sorted = all.map(r => r.ms).sort((a, b) => a - b), at = (p: number) => round(sorted[Math.ceil(p * sorted.length) - 1])
      return { route: name, clients: CLIENTS, requests: all.length, p50_ms: at(0.5), p95_ms: at(0.95), p99_ms: at(0.99), error_rate: all.filter(r => r.failed).length / all.length }
    })
    const [with50, without] = [beside, alone].map(o => spread(o.map(r => r.p99)))
    return [...figures, {
      route: 'ingestion', clients: CLIENTS, readings_per_s: Math.round(spread(beside.map(o => o.rate)).median), publish_to_row_p50_ms: round(spread(beside.map(o => o.p50)).median), publish_to_row_p99_ms: round(with50.median), publish_to_row_p99_ms_alone: round(without.median),
      ratio_to_alone: round(with50.median / without.median), p99_spread: [round(with50.low), round(with50.high)], p99_alone_spread: [round(without.low), round(without.high)],
      lost: beside.reduce((n, o) => n + o.lost, 0), duplicated: beside.reduce((n, o) => n + o.duplicated, 0)
    }]
  },
  fault: figures => {
    const over = Object.entries(BOUND).find(([name, bound]) => (figures[name] as number) > bound)
    return over === undefined ? undefined : `${figures.route as string}: ${over[0]} is ${figures[over[0]] as number}, more than ${over[1]}`
  }
}

async function roundOf (server: Service, seconds: number, clients: number): Promise<Outcome> {
  const folder = temporary('api'), database = await freshDatabase(server.url), port = await freePort(), keys = new PostgresKeys(database.url)
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ name: 'api', from: { broker: { port } }, pipe: ['ewma'], alerts: { high: { when: { value: { above: 1.98 } }, to: ['stdout'] } }, to: [{ postgres: { table: 'readings' } }] }))
  const engine = new Measured('engine/main', ['run', join(folder, 'p.json'), '--database', database.url, '--http', '127.0.0.1:0', '--folder', folder])
  try {
    await engine.says('broker listening')
    const url = await engine.found(/http:\/\/127\.0\.0\.1:\d+/)
    const publisher = await Publisher.connect(port)
    await publishFor(publisher, 2)               // tables are there, code is warm
    await until('there is a table of keys', () => query(database.url, 'SELECT FROM api_keys LIMIT 1').then(() => true, () => false))
    const authorizations = await Promise.all(Array.from({ length: clients }, async () => {
      const { key, id, digest } = newKey()
      await keys.add({ id, digest, name: 'bench', tenant: null, scopes: ['pipelines:read', 'query:read', 'alerts:read'], expires: null }, 'bench')
      return `Bearer ${key}`
    }))
    const taken = new Map<string, { ms: number, failed: boolean }[]>(routes.map(r => [r.name, []])), began = performance.now()
    const [sent] = await Promise.all([publishFor(publisher, seconds), ...authorizations.map((authorization, k) => client(url, authorization, k, seconds, taken))])
    const rate = sent / ((performance.now() - began) / 1000)
    await publisher.close()
    const { pipelines: [{ event_to_row_ms: { p50, p99 }, imbalance }] } = await (await fetch(`${url}/status`)).json() as any
    mustEqual('the imbalance of the accounts', imbalance, 0)
    await until('all rows are there', async () => (await query(database.url, 'SELECT count(*)::int AS n FROM readings'))[0].n >= publisher.sent)
    const [{ n, distinct }] = await query(database.url, 'SELECT count(*)::int AS n, count(DISTINCT value)::int AS distinct FROM readings')
    return { taken, rate, lost: publisher.sent - distinct, duplicated: n - distinct, p50, p99 }
  } finally {
    await engine.stop()
    await keys.close()
    await database.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Publishes at READINGS a second, with the time of now and a value that no other has. Resolves with how many when all are acknowledged. */
async function publishFor (publisher: Publisher, seconds: number): Promise<number> {
  const began = performance.now(), first = publisher.sent
  for (let n = 0; performance.now() - began < seconds * 1000;) {
    for (const due = Math.ceil((performance.now() - began) / 1000 * READINGS); n < due; n++) publisher.publish(`default/d${publisher.sent % SERIES}/m`, `{"value":${1 + publisher.sent * 1e-6},"ts":${Date.now()}}`, 1)
    await sleep(5)
  }
  await publisher.atMost(0)
  return publisher.sent - first
}

/** One client: its requests are due PER_SECOND a second, whatever became of those before. */
async function client (url: string, authorization: string, k: number, seconds: number, taken: Map<string, { ms: number, failed: boolean }[]>): Promise<void> {
  const began = performance.now() + k * 1000 / PER_SECOND / CLIENTS, turns = routes.filter(r => r.every === undefined), rare = routes.filter(r => r.every !== undefined), under: Promise<void>[] = []
  let next = began + k * 1000 * (rare[0]?.every ?? 0) / CLIENTS         // not all at once
  for (let n = 0; n < seconds * PER_SECOND; n++) {
    const due = began + n * 1000 / PER_SECOND
    await sleep(Math.max(0, due - performance.now()))
    const special = rare.find(r => due >= next && r.every !== undefined), route = special ?? turns[(n + k) % turns.length]
    if (special !== undefined) next = due + 1000 * special.every!
    under.push(request(url, authorization, route, due).then(outcome => { taken.get(route.name)!.push(outcome) }))
  }
  await Promise.all(under)
}

async function request (url: string, authorization: string, { url: path, body }: Route, due: number): Promise<{ ms: number, failed: boolean }> {
  try {
    const answer = await fetch(url + path(Date.now()), { headers: { authorization, ...body === undefined ? {} : { 'content-type': 'application/json' } }, ...body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) } })
    await answer.arrayBuffer()
    return { ms: performance.now() - due, failed: !answer.ok }
  } catch { return { ms: performance.now() - due, failed: true } }
}
