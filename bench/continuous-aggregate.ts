import { Batch, noCounts, SeriesTable, type Commit } from '#engine'
import pg from 'pg'
import { pino } from 'pino'
import { postgres } from '../sinks/postgres.ts'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { freshDatabase, query } from './services.ts'

const DAY = 864e5, SECOND = 1000
const SERIES = 50, SECONDS = 2 * 86_400, CHUNK = 2000, ROUNDS = 9
const ASKED = 20                     // series of a query

const WHERE = `WHERE series <= ${ASKED} AND time >= $1 AND time < $2`
const RAW = `SELECT time_bucket('1 minute', time) AS time, series, avg(value) AS mean, min(value) AS min, max(value) AS max FROM readings ${WHERE} GROUP BY 1, 2 ORDER BY 2, 1`
const AGGREGATE = `SELECT time, series, mean, min, max FROM readings_by_1m ${WHERE} ORDER BY 2, 1`

/**
 * Mean, minimum and maximum per minute of 20 series over a day: from the continuous aggregate that the store makes, and from
 * the readings, of which there are 8.64 million (50 series, two days, one each second, written by the store), before and
 * after compression. Warm; alternated; what the server says that planning and execution took (EXPLAIN ANALYZE, TIMING OFF)
 * and how long a client waits for the rows. TIMESCALE_URL names a server of the community edition.
 */
export const continuousAggregate: Benchmark = {
  summary: 'a day of 1-minute values of 20 series from the continuous aggregate, against the same from 8.64 million readings (TIMESCALE_URL, community edition)',
  unit: 'query',
  async run (say) {
    const server = process.env.TIMESCALE_URL
    if (server === undefined) throw new Error('continuous-aggregate needs a TimescaleDB, community edition: name it with TIMESCALE_URL')
    const database = await freshDatabase(server)
    const client = new pg.Client(database.url)
    client.on('error', () => {})
    try {
      const from = Math.floor(Date.now() / DAY) * DAY - 3 * DAY
      await fill(database.url, from, say)
      await client.connect()
      await client.query(`SET timezone = 'UTC'`)
      const versions = await prepare(client, from)
      const span = [new Date(from + DAY), new Date(from + 2 * DAY)] as const
      say('the readings are written, the aggregate is refreshed')
      const minutes = await sameAnswer(client, span)
      say(`${minutes} rows, the same from both`)
      const measured = await measure(client, span)
      await client.query(`SELECT compress_chunk(c) FROM show_chunks('readings') c`)
      await client.query('VACUUM ANALYZE readings')
      await sameAnswer(client, span)
      const compressed = await measure(client, span)
      return [{ ...versions, readings: SERIES * SECONDS, series: SERIES, rows_of_answer: minutes, runs: ROUNDS, ...figures('', measured), ...figures('compressed_', compressed) }]
    } finally {
      await client.end()
      await database.stop()
    }
  }
}

/** Writes the readings as a pipeline's store does. Values are eighths: their sums are exact, in any order. */
async function fill (url: string, from: number, say: (line: string) => void): Promise<void> {
  const series = new SeriesTable(SERIES)
  const tables = [{ name: 'readings', kind: 'readings' as const, columns: [], options: postgres({ url, table: 'readings' }).options }]
  const store = postgres.definition.store!(tables.map(t => t.options as never), { pipeline: 'p', tables }, { pipeline: 'p', series, log: pino({ level: 'silent' }), database: undefined, folder: '' })
  const { epoch, version } = await store.open(new AbortController().signal)
  try {
    await query(url, `SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_%' AND job_id >= 1000`)
    const ids = Int32Array.from({ length: SERIES }, (_, i) => series.id('default', `d${i + 1}`, 'm'))
    for (let start = 0; start < SECONDS; start += CHUNK) {
      const count = Math.min(CHUNK, SECONDS - start) * SERIES
      const at = (i: number) => start + Math.floor(i / SERIES)
      const batch = new Batch<any>({
        time: Float64Array.from({ length: count }, (_, i) => from + at(i) * SECOND),
        series: Int32Array.from({ length: count }, (_, i) => ids[i % SERIES]),
        value: Float64Array.from({ length: count }, (_, i) => (at(i) * 7 + i % SERIES * 13) % 1009 / 8),
        position: Float64Array.from({ length: count }, (_, i) => start * SERIES + i + 1),
        columns: {}
      })
      const commit: Commit = { writes: [{ branch: '', table: 'readings', batch }], alerts: [], late: [], deadLetters: [], partitions: [0], marks: [], position: start * SERIES + count, ingest: from, epoch, version: version + start / CHUNK, counts: () => ({ '': noCounts() }) }
      const [{ written }] = await store.commit(commit)
      mustEqual('rows written', written, count)
      if (start % (20 * CHUNK) === 0) say(`${start * SERIES + count} of ${SERIES * SECONDS} readings written`)
    }
  } finally {
    await store.close()
  }
}

/** Everything refreshed, with statistics, as a database that has run for a while. */
async function prepare (client: pg.Client, from: number): Promise<Figures> {
  const { rows: aggregates } = await client.query(`SELECT view_name FROM timescaledb_information.continuous_aggregates WHERE view_name = 'readings_by_1m'`)
  if (aggregates.length === 0) throw new Error('the database that TIMESCALE_URL names makes no continuous aggregate: it is not of the community edition')
  await client.query(`CALL refresh_continuous_aggregate('readings_by_1m', NULL, $1::timestamptz)`, [new Date(from + SECONDS * SECOND)])
  await client.query('VACUUM ANALYZE')
  const { rows: [{ count }] } = await client.query('SELECT count(*)::float8 FROM readings')
  mustEqual('readings in the table', count, SERIES * SECONDS)
  const { rows: [versions] } = await client.query(`
    SELECT split_part(version(), ' ', 2) AS postgres, extversion AS timescaledb, current_setting('timescaledb.license') AS license,
      current_setting('shared_buffers') AS shared_buffers, current_setting('work_mem') AS work_mem, current_setting('max_parallel_workers_per_gather')::int AS parallel_workers
    FROM pg_extension WHERE extname = 'timescaledb'`)
  return versions
}

/** Throws unless both queries give the same rows. Returns how many. */
async function sameAnswer (client: pg.Client, span: readonly Date[]): Promise<number> {
  const [raw, aggregate] = [await client.query(RAW, [...span]), await client.query(AGGREGATE, [...span])]
  mustEqual('rows from the readings', raw.rows.length, ASKED * DAY / 6e4)
  mustEqual('rows from the aggregate', aggregate.rows.length, raw.rows.length)
  raw.rows.forEach((row, i) => {
    for (const column of ['time', 'series', 'mean', 'min', 'max']) mustEqual(`${column} of row ${i}`, Number(aggregate.rows[i][column]), Number(row[column]))
  })
  return raw.rows.length
}

interface Taken { readonly server: number[], readonly client: number[] }

/** ms of each run, after one of each to warm up. */
async function measure (client: pg.Client, span: readonly Date[]): Promise<Record<'raw' | 'aggregate', Taken>> {
  const taken = { raw: { server: [] as number[], client: [] as number[] }, aggregate: { server: [] as number[], client: [] as number[] } }
  for (let run = -1; run < ROUNDS; run++) {
    for (const [name, sql] of [['raw', RAW], ['aggregate', AGGREGATE]] as const) {
      const { rows: [{ 'QUERY PLAN': [plan] }] } = await client.query(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${sql}`, [...span])
      const began = performance.now()
      await client.query(sql, [...span])
      const waited = performance.now() - began
      if (run < 0) continue
      taken[name].server.push(plan['Planning Time'] + plan['Execution Time'])
      taken[name].client.push(waited)
    }
  }
  return taken
}

/** gain: the share of the time that is saved, in percent. */
function figures (prefix: string, { raw, aggregate }: Record<'raw' | 'aggregate', Taken>): Figures {
  const parts = (['server', 'client'] as const).flatMap(side => {
    const slow = spread(raw[side]), fast = spread(aggregate[side])
    return [
      [`${prefix}raw_${side}_ms`, round(slow.median)], [`${prefix}aggregate_${side}_ms`, round(fast.median)], [`${prefix}gain_${side}_percent`, round(100 * (1 - fast.median / slow.median))],
      [`${prefix}raw_${side}_ms_spread`, [round(slow.low), round(slow.high)]], [`${prefix}aggregate_${side}_ms_spread`, [round(fast.low), round(fast.high)]]
    ] as const
  })
  return Object.fromEntries(parts)
}
