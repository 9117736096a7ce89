import { writeFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { mosquitto } from '../test/support/mosquitto.ts'
import { round, spread, mustEqual, type Benchmark, type Figures } from './measure.ts'
import { STEP, valueOf, type Order } from './messages.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until, type Service, type Usage } from './services.ts'

const RATE = 5000, ROUNDS = 5, COUNT = 12_000       // messages/s; messages of one round
const TABLES = { engine: 'readings', floor: 'floor' } as const
type Contestant = keyof typeof TABLES

/**
 * One reading per message from mosquitto into PostgreSQL, at 5,000 messages/s: what the engine spends on a message, against
 * the least program that does the same. Both stand side by side and take turns: a round to warm up, then five each.
 * CPU is that of the process alone, user and system, from the first message to the last row; start-up is not in it.
 */
export const ingest: Benchmark = {
  summary: 'one reading per message from mosquitto into PostgreSQL, against mqtt.js + JSON.parse + COPY',
  unit: 'message',
  async run (say) {
    const server = await postgresServer()
    const broker = await mosquitto({ config: 'max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true' })
    try {
      const figures: Figures[] = []
      for (const qos of [0, 1] as const) figures.push(await contest(qos, server, `mqtt://127.0.0.1:${broker.port}`, broker.port, say))
      return figures
    } finally {
      await broker.stop()
      await server.stop()
    }
  }
}

async function contest (qos: 0 | 1, server: Service, broker: string, port: number, say: (line: string) => void): Promise<Figures> {
  const folder = temporary('ingest'), database = await freshDatabase(server.url)
  const start = Date.now() * 1000
  writeFileSync(join(folder, 'pipeline.json'), JSON.stringify({ name: 'ingest', from: { mqtt: { url: broker, qos, topic: 'engine/{device}/{metric}' } }, time: { ahead: '10m' }, to: [{ postgres: { table: TABLES.engine } }] }))
  const publisher = new Measured('bench/publish', [`${port}`, `${start}`])
  const engine = new Measured('engine/main', ['run', join(folder, 'pipeline.json'), '--database', database.url, '--http', 'off', '--folder', folder])
  const floor = new Measured('bench/floor', [broker, 'floor', `${qos}`, database.url])
  try {
    await Promise.all([engine.says('subscribed'), floor.says('subscribed'), new Promise(resolve => publisher.child.once('message', resolve))])
    const contestants = { engine, floor }
    const taken: Record<Contestant, { us: number, rate: number }[]> = { engine: [], floor: [] }
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [name, process] of Object.entries(contestants) as [Contestant, Measured][]) {
        const before = await process.mark(), began = performance.now()
        await publisher.ask({ prefix: name, qos, from: round * COUNT, count: COUNT, rate: RATE } satisfies Order)
        await arrived(database.url, TABLES[name], (round + 1) * COUNT, qos)
        const seconds = (performance.now() - began) / 1000, after = await process.mark()
        if (round > 0) taken[name].push({ us: cpu(before, after) / COUNT, rate: COUNT / seconds })
      }
    }
    const outcome = { engine: await check(database.url, 'engine', start), floor: await check(database.url, 'floor', start) }
    const [engineUs, floorUs, rate] = [taken.engine.map(r => r.us), taken.floor.map(r => r.us), taken.engine.map(r => r.rate)].map(spread)
    const ratio = spread(taken.engine.map((r, i) => r.us / taken.floor[i].us))
    say(`QoS ${qos}: every value and time in the database is right`)
    return {
      qos, messages: ROUNDS * COUNT, cpu_us_per_message: round(engineUs.median), floor_cpu_us_per_message: round(floorUs.median), ratio_to_floor: round(ratio.median),
      messages_per_s: Math.round(rate.median), ...outcome.engine, rss_mb: Math.round((await engine.mark()).rss / 2 ** 20),
      floor_lost: outcome.floor.lost, floor_duplicated: outcome.floor.duplicated, floor_rss_mb: Math.round((await floor.mark()).rss / 2 ** 20),
      rounds: ROUNDS, cpu_us_per_message_spread: [round(engineUs.low), round(engineUs.high)], floor_cpu_us_per_message_spread: [round(floorUs.low), round(floorUs.high)], ratio_to_floor_spread: [round(ratio.low), round(ratio.high)]
    }
  } finally {
    for (const process of [publisher, engine, floor]) await process.stop()
    await database.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const cpu = (before: Usage, after: Usage): number => after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system

/** Waits for the rows: all of them at QoS 1, at QoS 0 until no more come. */
async function arrived (url: string, table: string, count: number, qos: 0 | 1): Promise<void> {
  let seen = -1, since = 0
  await until(`${count} rows are in ${table}`, async () => {
    const [{ n }] = await query(url, `SELECT count(*)::int AS n FROM ${table}`)
    if (n !== seen) { seen = n; since = performance.now() }
    return n >= count || (qos === 0 && performance.now() - since > 3000)
  })
}

/** Every row must say what the message with its time said. */
async function check (url: string, name: Contestant, start: number): Promise<{ lost: number, duplicated: number }> {
  const expected = (ROUNDS + 1) * COUNT
  const rows: { n: number, value: number }[] = await query(url, `SELECT ((extract(epoch FROM time) * 1000000 - $1) / $2)::float8 AS n, value FROM ${TABLES[name]}`, [start, STEP])
  const seen = new Set<number>()
  for (const { n, value } of rows) {
    if (!Number.isInteger(n) || n < 0 || n >= expected) throw new Error(`the answer is wrong: ${name} has a row with the time of message ${n}, and there was none`)
    mustEqual(`the value of message ${n}`, value, valueOf(n))
    seen.add(n)
  }
  return { lost: expected - seen.size, duplicated: rows.length - seen.size }
}
