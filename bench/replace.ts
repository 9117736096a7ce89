/**
 * A pipeline replaced again and again under load: a real process, PostgreSQL, devices over MQTT at QoS 1 and a receiver of alerts.
 * Then every reading that was acknowledged must be one row with the mean that one uninterrupted pipeline would have given it, every
 * window full, and every alert with its end at the receiver.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newKey } from '../engine/api-key.ts'
import { PostgresKeys } from '../sinks/postgres-keys.ts'
import { migrate } from '../sinks/postgres-migrate.ts'
import { mustEqual, percentiles, type Benchmark, type Figures } from './measure.ts'
import { Publisher } from './publisher.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until } from './services.ts'

const DEVICES = 20, EVERY = 40       // ms between readings of a device
const WINDOW = 2000, CYCLE = 50, HIGH = 40             // of CYCLE readings of a device those from HIGH on are an incident

const ALPHA = 0.5
const valueOf = (device: number, k: number): number => k % CYCLE >= HIGH ? 120 + k % 7 : 20 + (k * 37 + device) % 11 + k / 1000

/** `database`: url of an empty one. `failing`: every so-manieth version cannot start. `wrong`: definitions that are put between, to be refused; `names`: of metrics that are published too, and that a step drops whose patterns are `patterns`. */
export interface Given { readonly database: string, readonly count: number, readonly failing?: number, readonly wrong?: readonly string[], readonly names?: readonly string[], readonly patterns?: readonly string[], readonly say?: (line: string) => void }

export async function replacements ({ database, count, failing = 10, wrong = [], names = [], patterns = [], say = () => {} }: Given): Promise<Figures> {
  const folder = temporary('replace'), receiver = await receive(), keys = new PostgresKeys(database), broker = await freePort(), http = await freePort()
  let engine: Measured | undefined
  try {
    await migrate(database, { info () {} })
    await query(database, 'CREATE TABLE alien (x integer)')
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'bench', tenant: null, scopes: ['pipelines:read', 'pipelines:write'], expires: null }, 'bench')
    writeFileSync(join(folder, 'limits.yaml'), 'key: { requests: 60000 }\n')          // more than a key has
    engine = new Measured('engine/main', ['run', '--database', database, '--limits', join(folder, 'limits.yaml'), '--folder', folder, '--egress', '127.0.0.0/8', '--http', `127.0.0.1:${http}`, '--log-format', 'json', '--log-level', 'info'])
    await engine.says('status page')
    const put = async (v: number, expected: number | undefined, fails = false, body = pipeline(v, broker, receiver.url, fails, patterns)) => await fetch(`http://127.0.0.1:${http}/api/v1/pipelines/plant`, {
      method: 'PUT', body, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/yaml', ...expected === undefined ? {} : { 'if-match': `"${expected}"` } }
    })
    let said = ''
    await until('the first version runs', async () => { const reply = await put(0, undefined); said = await reply.text(); return reply.status < 300 }, 10_000).catch(error => { throw new Error(`${(error as Error).message}: ${said}`) })
    let version = 1
    const load = new Load(await Publisher.connect(broker), names), publishing = load.run()
    const times: number[] = [], before = await commits(database)
    let refused = 0, bad = 0
    for (let v = 1; v <= count; v++) {
      const fails = v % failing === 0, started = performance.now(), reply = await put(v, version, fails)
      times.push(performance.now() - started)
      if (reply.status !== (fails ? 422 : 200)) throw new Error(`replacement ${v}: ${reply.status} ${await reply.text()}`)
      const { version: now } = fails ? { version } : await reply.json() as { version: number }
      if (fails) refused++
      version = now
      if (wrong.length > 0) {
        const given = wrong[v % wrong.length], answer = await put(v, version, false, given)
        if (answer.status !== 400 && answer.status !== 413) throw new Error(`${given.slice(0, 200)}: ${answer.status} ${await answer.text()}`)
        await answer.body?.cancel()
        bad++
      }
      if (v % 50 === 0) say(`${v} replacements, ${load.sent} readings`)
      await sleep(20 + 7 * (v % 13))           // not always at the same moment of a commit
    }
    load.stop()
    await publishing
    const { sent, incidents } = load
    await until('everything is a row', async () => Number((await query(database, 'SELECT count(*)::int AS n FROM readings'))[0].n) >= sent, 60_000)
    await query(database, "UPDATE alert_outbox SET due = timestamptz 'epoch' WHERE state = 'due'")       // what a version had in hand when it was replaced is leased for a minute
    for (let n = -1; receiver.ids.size < incidents && receiver.ids.size > n;) {          // as long as they come
      n = receiver.ids.size
      await until('another alert is there', () => receiver.ids.size > n, 60_000).catch(() => {})
    }
    const found = await check(database, load)
    const alerts = await query(database, 'SELECT id FROM alerts'), told = alerts.filter(a => receiver.ids.has(a.id as string)).length
    const status = await (await fetch(`http://127.0.0.1:${http}/status`)).json() as { pipelines: { imbalance: number, readings: { received: number, filtered: number }, steps: { in: number, slow_batches: number }[] }[] }
    mustEqual('the accounting identity', status.pipelines[0].imbalance, 0)
    mustEqual('readings of other names', status.pipelines[0].readings.filtered, load.others)
    const { p50, p99 } = percentiles(times)
    return {
      replacements: count, went_back: refused, refused: bad, other_names: load.others, slow_batches: status.pipelines[0].steps.reduce((sum, s) => sum + s.slow_batches, 0), acknowledged: sent, ...found, incidents_and_ends: incidents, alerts_lost: incidents - told, alerts_invented: alerts.length - incidents, deliveries_repeated: receiver.repeats,
      replacement_ms_p50: p50, replacement_ms_p99: p99, commits_per_replacement: Math.round((await commits(database) - before) / count * 10) / 10, readings_per_replacement: Math.round(sent / count), rss_mb: Math.round((await engine.rest()).rss / 2 ** 20)
    }
  } finally {
    await engine?.stop()
    await keys.close()
    await receiver.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A step that comes and goes, one that is tuned, and the message of an alert; or a table of somebody else, so that it cannot start. */
const pipeline = (v: number, broker: number, receiver: string, fails: boolean, patterns: readonly string[]): string => `# ${v}
name: plant
from: { broker: { port: ${broker}, topics: "{tenant}/{device}/{metric}" } }
time: { lateness: 1s, idle: 1m }
pipe:
${patterns.length === 0 ? '' : `  - where: { metric: ${JSON.stringify(['load', ...patterns])} }\n`}  - dedupe: { within: 1m }
  - ewma: { alpha: ${ALPHA} }
${v % 2 === 0 ? '' : '  - zscore: { over: 10s }\n'}alerts:
  high: { when: { value: { above: ${100 + v % 9} } }, message: "version ${v}: {device} {value}", to: [ webhook: { url: "${receiver}" } ] }
branches:
  windows: { pipe: [ tumbling: { every: ${WINDOW}ms, features: [ count, mean ] } ], to: [ postgres: { table: windows } ] }
to: [ postgres: { table: ${fails ? 'alien' : 'readings'} } ]
`

/** Devices on one connection, whose loss ends the run: a replacement is not to be noticed by them. */
class Load {
  sent = 0
  others = 0                         // of other names
  readonly start = Math.ceil(Date.now() / WINDOW) * WINDOW
  private readonly publisher: Publisher
  private readonly names: readonly string[]
  private stopping = false
  constructor (publisher: Publisher, names: readonly string[] = []) {
    this.publisher = publisher
    this.names = names
  }

  stop (): void { this.stopping = true }
  /** Whole rounds of all devices, as their time comes; a whole number of cycles, four or more. */
  async run (): Promise<void> {
    for (let k = 0; !this.stopping || k < 4 * CYCLE || k % CYCLE !== 0; k++) {
      const wait = this.start + k * EVERY - Date.now()
      if (wait > 0) await sleep(wait)
      for (let d = 0; d < DEVICES; d++) this.publisher.publish(`plant/pump-${d}/load`, JSON.stringify({ ts: this.start + k * EVERY, value: valueOf(d, k) }), 1)
      if (this.names.length > 0) {
        this.publisher.publish(`plant/pump-${k % DEVICES}/${this.names[k % this.names.length]}`, JSON.stringify({ ts: this.start + k * EVERY, value: k }), 1)
        this.others++
      }
      this.sent += DEVICES
      await this.publisher.atMost(500)
    }
    for (let d = 0; d < DEVICES; d++) this.publisher.publish(`plant/pump-${d}/load`, JSON.stringify({ ts: this.start + this.rounds * EVERY, value: valueOf(d, this.rounds) }), 1)      // resolves the last incidents
    this.sent += DEVICES
    await this.publisher.atMost(0)
    await this.publisher.close()
  }

  get rounds (): number { return Math.floor(this.sent / DEVICES) }
  /** Of every whole cycle of a device one incident and its end. */
  get incidents (): number { return 2 * DEVICES * Math.floor(this.rounds / CYCLE) }
}

/** Readings against rows, means against those of one pipeline, windows against what is in them. */
async function check (url: string, { start, rounds }: Load): Promise<{ lost: number, doubled: number, means_different: number, windows: number, windows_not_full: number }> {
  const rows = await query(url, 'SELECT device, extract(epoch FROM time)::float8 * 1000 AS ms, value, ewma FROM readings_named ORDER BY device, time, position')
  const byDevice = group(rows)
  let lost = 0, doubled = 0, different = 0
  for (let d = 0; d < DEVICES; d++) {
    const mine = byDevice.get(`pump-${d}`) ?? [], seen = new Map<number, number>()
    for (const { ms } of mine) seen.set(Math.round(ms), (seen.get(Math.round(ms)) ?? 0) + 1)
    let mean = NaN
    for (let k = 0; k < rounds; k++) {
      const times = seen.get(start + k * EVERY) ?? 0, x = valueOf(d, k)
      if (times === 0) lost++
      if (times > 1) doubled += times - 1
      if (Number.isNaN(mean)) mean = x
      else mean += ALPHA * (x - mean)
      if (mine[k]?.ewma !== mean || mine[k]?.value !== x) different++
    }
  }
  const windows = await query(url, 'SELECT count FROM windows_named WHERE NOT provisional')
  const full = Math.floor(((rounds - 1) * EVERY - 1000) / WINDOW)
  return { lost, doubled, means_different: different, windows: windows.length, windows_not_full: windows.filter(w => w.count !== WINDOW / EVERY).length + Math.max(0, DEVICES * full - windows.length) }
}

function group (rows: readonly any[]): Map<string, any[]> {
  const groups = new Map<string, any[]>()
  for (const row of rows) {
    const known = groups.get(row.device as string)
    if (known === undefined) groups.set(row.device as string, [row])
    else known.push(row)
  }
  return groups
}

const commits = async (url: string): Promise<number> => Number((await query(url, "SELECT coalesce(max(version), 0)::int AS n FROM checkpoint WHERE pipeline = 'plant'"))[0].n)

async function receive (): Promise<{ url: string, ids: Set<string>, readonly repeats: number, close (): Promise<void> }> {
  const ids = new Set<string>()
  let repeats = 0
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const id = String(request.headers['webhook-id'])
      if (ids.has(id)) repeats++
      ids.add(id)
      response.end()
    })
  })
  const port = await listen(server)
  return { url: `http://127.0.0.1:${port}/`, ids, get repeats () { return repeats }, close: () => new Promise<void>(resolve => { server.close(() => resolve()); server.closeAllConnections() }) }
}

const listen = (server: Server): Promise<number> => new Promise(resolve => { server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)) })
async function freePort (): Promise<number> {
  const server = createServer(), port = await listen(server)
  await new Promise(resolve => server.close(resolve))
  return port
}

export const replace: Benchmark = {
  summary: 'a pipeline that is replaced over HTTP again and again under load: readings, means, windows and alerts lost or doubled',
  unit: 'run',
  options: { count: { type: 'string', default: '100' } },
  check ({ count }) { if (!/^[1-9]\d*$/.test(count)) throw new Error(`--count ${count}: must be a whole number`) },
  async run (say, { count }) {
    const server = await postgresServer(), database = await freshDatabase(server.url)
    try {
      return [await replacements({ database: database.url, count: Number(count), say })]
    } finally {
      await database.stop()
      await server.stop()
    }
  },
  fault: figures => ['lost', 'doubled', 'means_different', 'windows_not_full', 'alerts_lost', 'alerts_invented'].filter(what => figures[what] !== 0).map(what => `${what}: ${JSON.stringify(figures[what])}`).join(', ') || undefined
}
