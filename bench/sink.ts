import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { pino } from 'pino'
import { Batch, noCounts, SeriesTable, type TablePlan } from '#engine'
import { postgres } from '../sinks/postgres.ts'
import { columnList, CopyEncoder } from '../sinks/postgres-copy.ts'
import { deviceOf, METRICS, SERIES, timeOf, valueOf } from './messages.ts'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'
import { freshDatabase, postgresServer, query, type Service } from './services.ts'

const SIZES = [1000, 5000], ROWS = 100_000, ROUNDS = 5, TABLE = 'readings'
const BOUND = { guarded: 0.9, staged: 0.5 } as const         // of raw COPY
const paths = ['copy', 'guarded', 'staged'] as const
type Path = typeof paths[number]
interface Contestant { ready (rows: Batch<any>, encoded: Uint8Array): () => Promise<void>, check (rows: number, batches: number): Promise<void>, close (): Promise<void> }

/**
 * Batches of readings into PostgreSQL: raw COPY BINARY of bytes that are encoded already, each batch a transaction; the store's commit,
 * guarded by the position; and the same when one row of every batch is there already, so that each has to go through staging (the first two after a vain COPY, the others at once, as the store then expects it). All three into a
 * table that the store has made, in turns, batch by batch, each on one connection, in time on the clock.
 */
export const sink: Benchmark = {
  summary: 'the PostgreSQL store, position-guarded and through staging, against raw COPY BINARY into the same table',
  unit: 'path',
  options: { rows: { type: 'string', default: String(ROWS) }, rounds: { type: 'string', default: String(ROUNDS) } },
  check ({ rows, rounds }) { if (!(Number(rows) >= 5000 && Number(rows) % 5000 === 0 && Number(rounds) >= 1)) throw new Error('--rows must be a multiple of 5,000, --rounds at least 1') },
  async run (say, options) {
    const server = await postgresServer(), lines: Figures[] = []
    try {
      for (const size of SIZES) lines.push(...await contest(server, size, Number(options.rows), Number(options.rounds)))
      say('every row is there once, and their values add up')
      return lines
    } finally { await server.stop() }
  },
  fault (figures) {
    const { path, ratio_to_copy: ratio, rows_per_batch: size } = figures as { path: keyof typeof BOUND, ratio_to_copy: number, rows_per_batch: number }
    return ratio < BOUND[path] ? `${path}, ${size} rows: ratio_to_copy is ${ratio}, less than ${BOUND[path]}` : undefined
  }
}

async function contest (server: Service, size: number, total: number, rounds: number): Promise<Figures[]> {
  const start = Date.now() * 1000, series = new SeriesTable(SERIES), batches = total / size
  for (let s = 0; s < SERIES; s++) series.id('plant', `device-${deviceOf(s)}`, `metric-${s % METRICS}`)
  const contestants: Record<Path, Contestant> = { copy: await openCopy(server, series, batchOf(start, 0, size)), guarded: await openStore(server, series, 0), staged: await openStore(server, series, 1) }
  const encoder = new CopyEncoder(), ids = Int32Array.from({ length: SERIES }, (_, s) => s + 1), taken: Record<Path, number[]> = { copy: [], guarded: [], staged: [] }
  try {
    for (let k = 0; k <= rounds; k++) {
      const ms: Record<Path, number> = { copy: 0, guarded: 0, staged: 0 }
      for (let b = 0; b < batches; b++) {
        const rows = batchOf(start, (k * batches + b) * size, size), encoded = Uint8Array.from(encoder.encode({ name: TABLE, kind: 'readings', columns: new Set<string>() }, rows, ids, start / 1000))
        for (const path of paths) {
          const write = contestants[path].ready(rows, encoded), began = performance.now()
          await write()
          ms[path] += performance.now() - began
        }
      }
      if (k > 0) for (const path of paths) taken[path].push(total / ms[path] * 1000)
    }
    for (const path of paths) await contestants[path].check((rounds + 1) * total, (rounds + 1) * batches)
  } finally { for (const path of paths) await contestants[path].close() }
  const copy = spread(taken.copy)
  return paths.slice(1).map(path => {
    const own = spread(taken[path]), ratio = spread(taken[path].map((rate, i) => rate / taken.copy[i]))
    return {
      path, rows_per_batch: size, rows_per_s: Math.round(own.median), copy_rows_per_s: Math.round(copy.median), ratio_to_copy: round(ratio.median), rows: rounds * total, rounds,
      rows_per_s_spread: [Math.round(own.low), Math.round(own.high)], copy_rows_per_s_spread: [Math.round(copy.low), Math.round(copy.high)], ratio_to_copy_spread: [round(ratio.low), round(ratio.high)]
    }
  })
}

const plan: TablePlan = { name: TABLE, kind: 'readings', columns: [], options: postgres({ table: TABLE }).options }
const log = pino({ level: 'silent' })

function batchOf (start: number, from: number, size: number): Batch<any> {
  const numbers = Array.from({ length: size }, (_, i) => from + i)
  return new Batch({
    time: Float64Array.from(numbers, n => timeOf(start, n) / 1000), series: Int32Array.from(numbers, n => n % SERIES), value: Float64Array.from(numbers, valueOf),
    position: Float64Array.from(numbers, n => n + 1), columns: { seq: new Float64Array(size) }
  })
}

const answer = async ({ url }: Service, rows: number): Promise<void> => {
  const [found] = await query(url, `SELECT count(*)::int AS n, sum(value) AS sum FROM ${TABLE}`)
  let sum = 0
  for (let n = 0; n < rows; n++) sum += valueOf(n)
  mustEqual('the number of rows', found.n, rows)
  mustEqual('the sum of values', found.sum, sum, 1e-9)
}

async function openCopy (server: Service, series: SeriesTable, first: Batch<any>): Promise<Contestant> {
  const database = await freshDatabase(server.url), maker = await storeOf(database, series, 0)
  await maker.ready(first)()         // makes the table, and the partition for these times
  await maker.close()
  await query(database.url, `TRUNCATE ${TABLE}`)
  const client = new pg.Client(database.url)
  await client.connect()
  const sql = `COPY ${TABLE} (${columnList({ name: TABLE, kind: 'readings', columns: new Set<string>() }, batchOf(0, 0, 0))}) FROM STDIN (FORMAT binary)`
  return {
    ready: (_, encoded) => async () => { await pipeline([encoded], client.query(copyFrom(sql))) },
    check: rows => answer(database, rows),
    async close () { await client.end(); await database.stop() }
  }
}

async function openStore (server: Service, series: SeriesTable, again: number): Promise<Contestant> {
  const database = await freshDatabase(server.url), store = await storeOf(database, series, again)
  return {
    ready: rows => store.ready(rows),
    async check (rows, batches) {
      mustEqual('duplicates', store.duplicates(), again * (batches - 1))
      await answer(database, rows)
    },
    async close () { await store.close(); await database.stop() }
  }
}

/** A store at work. `again`: so many rows of the batch before stand in each once more. */
async function storeOf (database: Service, series: SeriesTable, again: number) {
  const store = postgres.definition.store!([{ ...plan.options, url: database.url } as any], { pipeline: 'bench', tables: [plan] }, { pipeline: 'bench', series, log, database: undefined, folder: '' })
  const { epoch } = await store.open(new AbortController().signal)
  const partitions = [...new Set(series.partitionOf.subarray(0, series.devices))]
  let version = 0, duplicates = 0, last: Batch<any> | undefined
  return {
    ready (rows: Batch<any>) {
      const batch = last === undefined || again === 0 ? rows : joined(rows, last, again, version)
      last = rows
      return async () => {
        const [outcome] = await store.commit({
          writes: [{ branch: '', table: TABLE, batch }], alerts: [], late: [], deadLetters: [], partitions, marks: [], position: rows.position[rows.length - 1], ingest: rows.time[0], epoch, version: version++,
          counts: of => ({ '': { ...noCounts(), written: of[0].written } })
        })
        duplicates += outcome.duplicates
        mustEqual('rows written', outcome.written, rows.length)
      }
    },
    duplicates: () => duplicates,
    close: () => store.close()
  }
}

/** The rows, with some of another batch among them: where, changes from batch to batch. */
function joined (rows: Batch<any>, others: Batch<any>, again: number, k: number): Batch<any> {
  const at = k * 7919 % rows.length, mix = (column: 'time' | 'value' | 'position') => Float64Array.from([...rows[column].subarray(0, at), ...others[column].subarray(0, again), ...rows[column].subarray(at)])
  const series = Int32Array.from([...rows.series.subarray(0, at), ...others.series.subarray(0, again), ...rows.series.subarray(at)])
  return new Batch({ time: mix('time'), series, value: mix('value'), position: mix('position'), columns: { seq: new Float64Array(rows.length + again) } })
}
