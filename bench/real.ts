/**
 * npm run real: real measurements as devices over a real mosquitto at QoS 1 into real PostgreSQL and real TimescaleDB, and
 * then everything in the database against a plain recomputation from the files (recompute.ts).
 *
 * The files are in ../shared/data, or in the folder that MILLRACE_DATA names. TimescaleDB is where TIMESCALE_URL says, else
 * test/support/timescale.sh starts one. After its own messages every device sends one more, two hours later, so that all its
 * windows close; windows that end later than that one less the lateness are open, and must not be there as final rows.
 *
 * One line of JSON per database. `missing` and `extra` are rows of readings (series, time to the microsecond, seq, value to
 * the last bit); a feature must be right up to 1e-9 of its size. Exits with 1 unless all differences are 0.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { features } from '../models/features.ts'
import { mosquitto } from '../test/support/mosquitto.ts'
import { Publisher } from './publisher.ts'
import { readDevices, type Device } from './real-data.ts'
import { same, stored, transitions, windows, type Stored } from './recompute.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until, type Service } from './services.ts'

const TABLES = { features_10s: 10, features_1m: 60, features_1h: 3600 } as const      // seconds
const HOUR = 3_600_000_000, LATENESS = 5_000_000      // us
const ABOVE = 230                    // fires for the voltage of SKAB, among others
const LEAST = 200_000, WINDOW = 2000
const MICROS = '(extract(epoch FROM time) * 1000000)::bigint'

const top = fileURLToPath(new URL('..', import.meta.url))
const folder = resolve(process.env.MILLRACE_DATA ?? join(top, '../shared/data'))
const say = (line: string) => { process.stderr.write(`${line}\n`) }

if (!existsSync(join(folder, 'skab'))) {
  say(`there are no measurements in ${folder}: name their folder with MILLRACE_DATA`)
  process.exit(2)
}
const devices = readDevices(folder).map(closing)
const readings = devices.reduce((n, d) => n + d.metrics.length * d.micros.length, 0)
if (readings < LEAST) throw new Error(`${folder} has ${readings} readings, at least ${LEAST} are needed`)
say(`${devices.length} devices, ${readings} readings`)

for (const open of [postgresServer, timescaleServer]) {
  const server = await open()
  try {
    const result = await replay(server)
    process.stdout.write(`${JSON.stringify(result)}\n`)
    const { missing, extra, feature_mismatches, alert_mismatches, count_mismatches } = result
    if (missing + extra + feature_mismatches + alert_mismatches + count_mismatches > 0) process.exitCode = 1
  } finally {
    await server.stop()
  }
}

/** The device with its last message: that of two hours later. */
function closing (device: Device): Device {
  const last = Math.max(...device.micros)
  return { ...device, micros: [...device.micros, last - last % HOUR + 2 * HOUR], values: [...device.values, device.metrics.map(() => 0)] }
}

async function replay (server: Service) {
  const database = await freshDatabase(server.url), files = temporary('real')
  const broker = await mosquitto({ config: 'max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true' })
  const pipeline = {
    name: 'real',
    from: { mqtt: { url: `mqtt://127.0.0.1:${broker.port}`, topics: ['real/{device}', 'real/{device}/{metric}'] } },
    time: { lateness: `${LATENESS / 1e6}s` },
    pipe: [{ dedupe: { within: '10m' } }],
    branches: Object.fromEntries(Object.entries(TABLES).map(([table, seconds]) => [table, { pipe: [{ tumbling: { every: `${seconds}s`, features } }], to: [{ postgres: { table } }] }])),
    alerts: { high: { when: { value: { above: ABOVE } }, to: ['stdout'] } },
    to: [{ postgres: { table: 'readings' } }]
  }
  writeFileSync(join(files, 'pipeline.json'), JSON.stringify(pipeline))
  const engine = new Measured('engine/main', ['run', join(files, 'pipeline.json'), '--database', database.url, '--http', 'off', '--folder', files])
  try {
    await engine.says('subscribed')
    const began = performance.now()
    const messages = await publish(broker.port)
    await until('everything is committed', async () => Number((await query(database.url, 'SELECT position FROM checkpoint'))[0].position) >= messages, 300_000, 200)
    const seconds = Math.round((performance.now() - began) / 100) / 10
    await engine.stop()
    return { ...await compare(database.url), messages, seconds }
  } finally {
    await engine.stop()
    await broker.stop()
    await database.stop()
    rmSync(files, { recursive: true, force: true })
  }
}

/** All devices side by side, each in its own order; `{ts, values: {...}}`, or `{ts, value}` under the name of the metric. Returns how many messages. */
async function publish (port: number): Promise<number> {
  const publisher = await Publisher.connect(port)
  let sent = 0
  for (let i = 0, more = true; more; i++) {
    more = false
    for (const { name, metrics, micros, values } of devices) {
      if (i >= micros.length) continue
      more = true
      const ts = micros[i] / 1000
      if (metrics.length === 1) publisher.publish(`real/${name}/${metrics[0]}`, JSON.stringify({ ts, value: values[i][0] }), 1)
      else publisher.publish(`real/${name}`, JSON.stringify({ ts, values: Object.fromEntries(metrics.map((m, k) => [m, values[i][k]])) }), 1)
      sent++
      if (publisher.underWay > WINDOW) await publisher.atMost(WINDOW / 2)
    }
  }
  await publisher.atMost(0)
  await publisher.close()
  return sent
}

async function compare (url: string) {
  const [{ edition }] = await query(url, `SELECT coalesce((SELECT 'timescaledb ' || extversion || ' (' || current_setting('timescaledb.license') || ')' FROM pg_extension WHERE extname = 'timescaledb'), 'none') AS edition`)
  const [{ version }] = await query(url, `SELECT 'postgres ' || split_part(version(), ' ', 2) AS version`)
  const result = { database: edition === 'none' ? version as string : `${edition}, ${version}`, readings, rows: 0, missing: 0, extra: 0, duplicates: 0, feature_rows: 0, feature_mismatches: 0, alerts: 0, alert_mismatches: 0, count_mismatches: 0 }
  const wrong = (what: string) => { if (result.missing + result.extra + result.feature_mismatches + result.alert_mismatches + result.count_mismatches <= 20) say(what) }

  for (const device of devices) {
    const last = device.micros[device.micros.length - 1]
    const rows = by('metric', await query(url, `SELECT s.metric, ${MICROS} AS micros, r.seq, r.value FROM readings r JOIN series s ON s.id = r.series JOIN devices d ON d.id = s.device WHERE d.name = $1`, [device.name]))
    const alerts = by('metric', await query(url, `SELECT metric, ${MICROS} AS micros, state FROM alerts WHERE device = $1`, [device.name]))
    const expected = device.metrics.map((_, metric) => stored(device, metric))
    device.metrics.forEach((metric, m) => {
      const where = `${device.name}/${metric}`
      const want = new Map(expected[m].map(r => [`${r.micros} ${r.seq}`, r.value]))
      const got = rows.get(metric) ?? []
      result.rows += got.length
      result.duplicates += device.micros.length - expected[m].length
      for (const { micros, seq, value } of got) {
        const key = `${micros} ${seq}`
        if (want.get(key) === value) want.delete(key)
        else { result.extra++; wrong(`${where}: the row ${key} with ${value} should not be there`) }
      }
      for (const [key, value] of want) { result.missing++; wrong(`${where}: the row ${key} with ${value} is missing`) }

      const changes = transitions(expected[m], ABOVE).map(t => `${t.micros} ${t.state}`), there = (alerts.get(metric) ?? []).map(a => `${a.micros} ${a.state}`)
      result.alerts += there.length
      const difference = [...changes.filter(c => !there.includes(c)), ...there.filter(c => !changes.includes(c))]
      if (difference.length > 0) wrong(`${where}: alerts differ: ${difference.join(', ')}`)
      result.alert_mismatches += difference.length + Math.abs(new Set(there).size - there.length)
    })
    for (const [table, seconds] of Object.entries(TABLES)) {
      const found = by('metric', await query(url, `SELECT s.metric, ${MICROS} AS micros, r.* FROM ${table} r JOIN series s ON s.id = r.series JOIN devices d ON d.id = s.device WHERE d.name = $1`, [device.name]))
      device.metrics.forEach((metric, m) => { compareWindows(`${table} of ${device.name}/${metric}`, found.get(metric) ?? [], expected[m], seconds * 1e6, last - LATENESS) })
    }
  }

  /** Final rows: exactly the closed windows. Provisional ones: of open windows only. */
  function compareWindows (where: string, rows: readonly any[], kept: readonly Stored[], every: number, closed: number): void {
    const want = windows(kept, every, closed)
    for (const row of rows) {
      const start = Number(row.micros), expected = want.get(start)
      if (row.provisional) {
        if (start + every > closed) continue
        result.feature_mismatches++
        wrong(`${where}: the closed window ${start} is provisional`)
        continue
      }
      result.feature_rows++
      want.delete(start)
      const fault = expected === undefined ? 'should not be there' : features.filter(f => !same(f, row[f], expected, every)).map(f => `${f} is ${row[f]}, not ${expected[f]}`).join('; ')
      if (fault === '') continue
      result.feature_mismatches++
      wrong(`${where}: the window ${start}: ${fault}`)
    }
    for (const start of want.keys()) { result.feature_mismatches++; wrong(`${where}: the window ${start} is missing`) }
  }

  const [counts] = await query(url, `SELECT received::float8, written::float8, deduplicated::float8, late::float8, dead_lettered::float8 FROM counts WHERE branch = ''`)
  for (const [name, want] of Object.entries({ received: readings, written: readings - result.duplicates, deduplicated: result.duplicates, late: 0, dead_lettered: 0 })) {
    if (counts[name] === want) continue
    result.count_mismatches++
    wrong(`the engine has counted ${counts[name]} ${name}, not ${want}`)
  }
  return result
}

function by (key: string, rows: readonly any[]): Map<string, any[]> {
  const groups = new Map<string, any[]>()
  for (const row of rows) {
    const group = groups.get(row[key])
    if (group === undefined) groups.set(row[key], [row])
    else group.push(row)
  }
  return groups
}

/** The TimescaleDB that TIMESCALE_URL names, else one of our own; stopped at the end when it was not running before. */
async function timescaleServer (): Promise<Service> {
  if (process.env.TIMESCALE_URL !== undefined) return { url: process.env.TIMESCALE_URL, stop: async () => {} }
  const script = join(top, 'test/support/timescale.sh')
  const before = await new Promise<boolean>(resolve => { const socket = connect(Number(process.env.MILLRACE_TIMESCALE_PORT ?? 54317), '127.0.0.1', () => { socket.destroy(); resolve(true) }).on('error', () => resolve(false)) })
  const url = execFileSync(script, ['start'], { encoding: 'utf8' }).trim()
  return { url, stop: async () => { if (!before) execFileSync(script, ['stop'], { stdio: 'ignore' }) } }
}
