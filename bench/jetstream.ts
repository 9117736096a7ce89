import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { mustEqual, round, spread, type Benchmark } from './measure.ts'
import { deviceOf, METRICS, payloadOf, valueOf } from './messages.ts'
import { freshDatabase, Measured, postgresServer, temporary, until } from './services.ts'

const COUNT = 100_000, ROUNDS = 5, BOUND = 0.7, STREAM = 'bench'

/**
 * A stream that is full already, read to its end: from the first committed row to the last, against an ordered consumer that only counts,
 * from its first message to its last. In turns, each with a process of its own; a round to warm the server up.
 */
export const jetstream: Benchmark = {
  summary: 'a JetStream stream into PostgreSQL, against a bare consumer that counts',
  unit: 'stream',
  options: { messages: { type: 'string', default: String(COUNT) }, rounds: { type: 'string', default: String(ROUNDS) } },
  check ({ messages, rounds }) { if (!(Number(messages) >= 10_000 && Number(rounds) >= 1)) throw new Error('--messages must be at least 10,000, --rounds at least 1') },
  async run (say, options) {
    const count = Number(options.messages), rounds = Number(options.rounds), start = Date.now() * 1000, folder = temporary('jetstream')
    const { startNats } = await import('../test/support/nats.ts'), nats = await startNats({ args: ['-js', '-sd', join(folder, 'js')] }), server = await postgresServer()
    try {
      await fill(nats.url, start, count)
      const own: number[] = [], floor: number[] = []
      let lost = 0, duplicated = 0
      for (let k = 0; k <= rounds; k++) {
        const bare = await consume(nats.url, count), rate = await committed(nats.url, server.url, count)
        lost += rate.lost
        duplicated += rate.duplicated
        say(`round ${k}: ${Math.round(rate.rate)} rows/s, ${Math.round(bare)} messages/s bare`)
        if (k === 0) continue
        own.push(rate.rate)
        floor.push(bare)
      }
      const rate = spread(own), bare = spread(floor), ratio = spread(own.map((r, i) => r / floor[i]))
      return [{
        ratio_to_floor: round(ratio.median), lost, duplicated, messages_per_s: Math.round(rate.median), floor_messages_per_s: Math.round(bare.median), messages: count, rounds,
        messages_per_s_spread: [Math.round(rate.low), Math.round(rate.high)], floor_messages_per_s_spread: [Math.round(bare.low), Math.round(bare.high)], ratio_to_floor_spread: [round(ratio.low), round(ratio.high)]
      }]
    } finally {
      await nats.stop()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  fault ({ ratio_to_floor: ratio, lost, duplicated }) {
    return (lost as number) + (duplicated as number) > 0 ? `jetstream: ${lost as number} lost, ${duplicated as number} duplicated` : (ratio as number) < BOUND ? `jetstream: ratio_to_floor is ${ratio as number}, less than ${BOUND}` : undefined
  }
}

async function fill (url: string, start: number, count: number): Promise<void> {
  const [{ connect }, { jetstreamManager }] = await Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]), connection = await connect({ servers: url })
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: STREAM, subjects: ['bench.>'] })
  for (let m = 0; m < count; m++) {
    connection.publish(`bench.device-${deviceOf(m)}.metric-${m % METRICS}`, payloadOf(start, m, 1))
    if (m % 1000 === 999) await connection.flush()
  }
  await until('the stream has all messages', async () => (await manager.streams.info(STREAM)).state.messages === count)
  await connection.close()
}

async function consume (url: string, count: number): Promise<number> {
  const process = new Measured('bench/consumer', [url, STREAM, `${count}`])
  try {
    const { rate, sum } = await new Promise<{ rate: number, sum: number }>((resolve, reject) => {
      process.child.once('message', answer => resolve(answer as { rate: number, sum: number }))
      process.child.once('exit', () => reject(new Error('the consumer ended')))
    })
    mustEqual('the sum of sequences', sum, count * (count + 1) / 2)
    return rate
  } finally { await process.stop() }
}

async function committed (url: string, server: string, count: number): Promise<{ rate: number, lost: number, duplicated: number }> {
  const folder = temporary('jetstream'), database = await freshDatabase(server), client = new pg.Client(database.url)
  writeFileSync(join(folder, 'p.json'), JSON.stringify({ name: 'jetstream', from: { jetstream: { servers: url, stream: STREAM, subject: 'bench.{device}.{metric}' } }, time: { ahead: '1h', idle: '1h' }, to: [{ postgres: { table: 'readings' } }] }))
  await client.connect()
  const engine = new Measured('engine/main', ['run', join(folder, 'p.json'), '--database', database.url, '--http', 'off', '--folder', folder])
  try {
    await engine.says('jetstream: reading')
    let first: { n: number, at: number } | undefined, last = 0
    await until('all rows are committed', async () => {
      const n = Number((await client.query('SELECT received FROM counts WHERE branch = $1', [''])).rows[0]?.received ?? 0)
      last = performance.now()
      if (n > 0) first ??= { n, at: last }
      return n >= count
    }, 60_000, 10)
    const { rows: [{ n, times, sum }] } = await client.query('SELECT count(*)::int AS n, count(DISTINCT (series, time))::int AS times, sum(value) AS sum FROM readings')
    let expected = 0
    for (let m = 0; m < count; m++) expected += valueOf(m)
    if (n === count) mustEqual('the sum of values', sum, expected, 1e-9)
    return { rate: (count - first!.n) / (last - first!.at) * 1000, lost: count - times, duplicated: n - times }
  } finally {
    await engine.stop()
    await client.end()
    await database.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
