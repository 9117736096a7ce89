import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey, type Scope } from '../engine/api-key.ts'
import { PostgresKeys } from '../sinks/postgres-keys.ts'
import { freePort } from '../test/support/mosquitto.ts'
import { routesOf, type Route, type There } from './api-routes.ts'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { Publisher } from './publisher.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until, type Service } from './services.ts'

const CLIENTS = 50, PER_SECOND = 2, READINGS = 2000, SERIES = 500, ROUNDS = 3, TENANT = 'default'
const READ: readonly Scope[] = ['pipelines:read', 'query:read', 'alerts:read', 'jobs:read', 'keys:read']
const BOUND = { p95_ms: 50, error_rate: 0.001, ratio_to_alone: 2 } as const

interface Outcome { readonly taken: Map<string, { ms: number, failed: boolean }[]>, readonly rate: number, readonly lost: number, readonly duplicated: number, readonly p50: number, readonly p99: number }

/**
 * All of the API that reads (api-routes.ts) under 50 clients, each with a key of its own, every other one of one tenant, and two requests a second, open loop: latency counts from when a request was
 * to be sent. Beside it 2,000 readings/s come in over MQTT at QoS 1; how long one takes to its committed row is compared with
 * rounds without clients, in turns, each with an engine and a database of its own, by the time stamps that PostgreSQL gives its commits, once code and tables are warm. All on loopback.
 */
export const api: Benchmark = {
  summary: 'the HTTP API under 50 clients beside 2,000 readings/s, and what that costs ingestion',
  unit: 'route',
  options: { seconds: { type: 'string', default: '20' }, rounds: { type: 'string', default: String(ROUNDS) } },
  check ({ seconds, rounds }) { if (!(Number(seconds) >= 2 && Number(rounds) >= 1)) throw new Error('--seconds must be at least 2, --rounds at least 1') },
  async run (say, options) {
    const seconds = Number(options.seconds), server = await postgresServer(['track_commit_timestamp = on']), alone: Outcome[] = [], beside: Outcome[] = []
    try {
      for (let k = 0; k < Number(options.rounds); k++) {
        for (const [to, clients] of [[alone, 0], [beside, CLIENTS]] as const) {
          to.push(await roundOf(server, seconds, clients))
          say(`round ${k + 1}, ${clients} clients: publish to row p99 ${round(to.at(-1)!.p99)} ms`)
        }
      }
    } finally { await server.stop() }
    const figures: Figures[] = [...beside[0].taken.keys()].map(name => {
      const all = beside.flatMap(o => o.taken.get(name)!), sorted = all.map(r => r.ms).sort((a, b) => a - b), at = (p: number) => round(sorted[Math.ceil(p * sorted.length) - 1])
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
  const engine = new Measured('engine/main', ['run', '--database', database.url, '--http', '127.0.0.1:0', '--folder', folder])
  try {
    const url = await engine.found(/http:\/\/127\.0\.0\.1:\d+/)
    await until('there is a table of keys', () => query(database.url, 'SELECT FROM api_keys LIMIT 1').then(() => true, () => false))
    const keyOf = async (scopes: readonly Scope[], tenant: string | null = null) => {
      const { key, id, digest } = newKey()
      await keys.add({ id, digest, name: 'bench', tenant, scopes, expires: null }, 'bench')
      return `Bearer ${key}`
    }
    const owner = await keyOf(['pipelines:write', ...READ]), ask = async (method: string, path: string, body?: object, authorization = owner) => {
      const answer = await fetch(`${url}/api/v1/${path}`, { method, headers: { authorization, ...body === undefined ? {} : { 'content-type': method === 'PUT' ? 'application/yaml' : 'application/json' } }, ...body === undefined ? {} : { body: JSON.stringify(body) } })
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}${answer.status === 503 ? `; in trouble: ${await (await fetch(`${url}/readyz`)).text()}` : ''}`)
      return await answer.json() as any
    }
    await ask('PUT', 'pipelines/api', pipelineOf(port))
    const publisher = await Publisher.connect(port)
    publisher.publish('default/d0/m', 'no number', 1)
    await publishFor(publisher, 2)               // tables are there, code is warm
    const routes = routesOf(await (await fetch(`${url}/openapi.json`)).json() as any, await thereOf(ask, await keyOf(['jobs:write'], TENANT)))
    for (const route of routes) mustEqual(`failures of ${route.name}`, Number((await request(url, owner, route, performance.now())).failed), 0)
    const theirs = await routesFor(url, await keyOf(READ, TENANT), routes)
    const askers = await Promise.all(Array.from({ length: clients }, async (_, k) => k % 2 === 0 ? { authorization: await keyOf(READ), routes } : { authorization: await keyOf(READ, TENANT), routes: theirs }))
    const taken = new Map<string, { ms: number, failed: boolean }[]>(routes.map(r => [r.name, []])), began = performance.now(), first = publisher.sent
    const [sent] = await Promise.all([publishFor(publisher, seconds), ...askers.map(({ authorization, routes }, k) => client(url, authorization, routes, k, seconds, taken))])
    const rate = sent / ((performance.now() - began) / 1000)
    await publisher.close()
    const { pipelines: [{ imbalance }] } = await (await fetch(`${url}/status`)).json() as any
    mustEqual('the imbalance of the accounts', imbalance, 0)
    await until('all rows are there', async () => (await query(database.url, 'SELECT count(*)::int AS n FROM readings'))[0].n >= publisher.sent - 1)
    const [{ n, distinct }] = await query(database.url, 'SELECT count(*)::int AS n, count(DISTINCT value)::int AS distinct FROM readings')
    const [{ p50, p99 }] = await query(database.url, `SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_disc(0.99) WITHIN GROUP (ORDER BY ms) AS p99
      FROM (SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin) - time) * 1000)::float8 AS ms FROM readings WHERE value >= $1) AS taken`, [valueOf(first)])
    return { taken, rate, lost: publisher.sent - 1 - distinct, duplicated: n - distinct, p50, p99 }
  } catch (error) {
    throw new Error(`${(error as Error).message}; the engine said: ${engine.log.slice(-3000)}`, { cause: error })
  } finally {
    await engine.stop()
    await keys.close()
    await database.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a key of one tenant may ask: all but what is of every tenant at once, which it is told with 403. */
async function routesFor (url: string, authorization: string, routes: readonly Route[]): Promise<readonly Route[]> {
  const answers = await Promise.all(routes.map(async route => ({ route, ...await request(url, authorization, route, performance.now()) })))
  const wrong = answers.find(({ failed, status }) => failed && status !== 403)
  if (wrong !== undefined) throw new Error(`${wrong.route.name} with a key of one tenant: ${wrong.status}`)
  return answers.filter(({ failed }) => !failed).map(({ route }) => route)
}

/** One pipeline: an alert that each series begins within the first seconds, and goes on. */
const pipelineOf = (port: number) => ({ name: 'api', from: { broker: { port } }, pipe: ['ewma'], alerts: { high: { when: { value: { above: 1.001 } }, to: ['stdout'] } }, to: [{ postgres: { table: 'readings' } }] })

/** What routes are asked about: the dead letter, one of the alerts, an export of the tenant that is done. */
async function thereOf (ask: (method: string, path: string, body?: object, authorization?: string) => Promise<any>, tenant: string): Promise<There> {
  const some = async (path: string) => {
    let rows: any[] = []
    const later = (error: Error) => {            // 503: come back later
      if (!error.message.includes(': 503 ')) throw error
      process.stderr.write(`${error.message}\n`)
      return { rows: [] }
    }
    await until(`there is something at ${path}`, async () => (rows = (await ask('GET', path).catch(later)).rows).length > 0)
    return rows[0]
  }
  const { id: job } = await ask('POST', 'jobs', { kind: 'export', table: 'readings', device: 'd7' }, tenant)
  await until('the export is done', async () => (await ask('GET', `jobs/${job as string}`)).state === 'done')
  return { position: (await some('pipelines/api/dead-letters')).position, incident: (await some('alerts')).incident, job }
}

const valueOf = (n: number): number => 1 + n * 1e-6

/** Publishes at READINGS a second, with the time of now and a value that no other has. Resolves with how many when all are acknowledged. */
async function publishFor (publisher: Publisher, seconds: number): Promise<number> {
  const began = performance.now(), first = publisher.sent
  for (let n = 0; performance.now() - began < seconds * 1000;) {
    for (const due = Math.ceil((performance.now() - began) / 1000 * READINGS); n < due; n++) publisher.publish(`default/d${publisher.sent % SERIES}/m`, `{"value":${valueOf(publisher.sent)},"ts":${performance.timeOrigin + performance.now()}}`, 1)
    await sleep(5)
  }
  await publisher.atMost(0)
  return publisher.sent - first
}

/** One client: its requests are due PER_SECOND a second, whatever became of those before. */
async function client (url: string, authorization: string, routes: readonly Route[], k: number, seconds: number, taken: Map<string, { ms: number, failed: boolean }[]>): Promise<void> {
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

async function request (url: string, authorization: string, { url: path, body }: Route, due: number): Promise<{ ms: number, failed: boolean, status: number }> {
  try {
    const answer = await fetch(url + path(Date.now()), { headers: { authorization, ...body === undefined ? {} : { 'content-type': 'application/json' } }, ...body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) } })
    await answer.arrayBuffer()
    return { ms: performance.now() - due, failed: !answer.ok, status: answer.status }
  } catch { return { ms: performance.now() - due, failed: true, status: 0 } }
}
