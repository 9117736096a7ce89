/**
 * COPY BINARY and nothing else, into a table with the columns and the key of one of readings: the floor of what stores raw rows.
 * On { from, count } on the IPC channel it encodes that many readings, in batches of 5,000, and says 'encoded'; on 'go' it copies them and
 * says in how many ms.
 *   node copier.ts <database url> <event time of reading 0, us since 1970>
 */
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { Batch } from '#engine'
import { columnList, CopyEncoder, type Target } from '../sinks/postgres-copy.ts'
import { SERIES, timeOf, valueOf } from './messages.ts'

const BATCH = 5000
const [database, start] = process.argv.slice(2)
const target: Target = { name: 'floor', kind: 'readings', columns: new Set() }
const client = new pg.Client(database)
await client.connect()
await client.query('CREATE TABLE floor (time timestamptz NOT NULL, series integer NOT NULL, seq smallint NOT NULL, value double precision, position bigint NOT NULL, ingested_at timestamptz NOT NULL, PRIMARY KEY (series, time, seq))')
await client.query('CREATE INDEX floor_time ON floor USING brin (time)')

const encoder = new CopyEncoder(), ids = Int32Array.from({ length: SERIES }, (_, s) => s + 1)
let batches: Buffer[] = []
const copy = `COPY floor (${columnList(target, batchOf(0, 0))}) FROM STDIN (FORMAT binary)`

function batchOf (from: number, count: number): Batch<any> {
  const numbers = Array.from({ length: count }, (_, i) => from + i)
  return new Batch({
    time: Float64Array.from(numbers, n => timeOf(Number(start), n) / 1000), series: Int32Array.from(numbers, n => n % SERIES), value: Float64Array.from(numbers, valueOf),
    position: Float64Array.from(numbers), columns: { seq: new Float64Array(count) }
  })
}

process.on('message', (message: { from: number, count: number } | 'go' | 'mark') => {
  if (message === 'mark') return
  if (message === 'go') return void go()
  const { from, count } = message
  batches = Array.from({ length: Math.ceil(count / BATCH) }, (_, b) => Buffer.from(encoder.encode(target, batchOf(from + b * BATCH, Math.min(BATCH, count - b * BATCH)), ids, Date.now())))
  process.send!('encoded')
})

async function go (): Promise<void> {
  const began = performance.now()
  for (const bytes of batches) await pipeline([bytes], client.query(copyFrom(copy)))
  process.send!(performance.now() - began)
}
console.log('ready')
