/**
 * The floor of `ingest`: the least program that brings the same messages into the same table. mqtt.js, JSON.parse, COPY; the
 * same columns, key and batch times. It guarantees nothing: acknowledges at once, judges no value, forgets its series. Columns that
 * the engine works out it fills with the value, those that the engine leaves empty it leaves empty.
 *   node floor.ts <broker url> <topic prefix> <qos> <database url> [<filled columns> <empty columns>]
 * Answers 'written' on the IPC channel with how many rows are committed.
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { connectAsync } from 'mqtt'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { APART } from '../engine/log-source.ts'

const [broker, prefix, qos, database, filled = 0, empty = 0] = process.argv.slice(2)
const more = Array.from({ length: Number(filled) + Number(empty) }, (_, i) => `c${i}`), blank = '\t\\N'.repeat(Number(empty))
const client = new pg.Client(database)
await client.connect()
await client.query(`CREATE TABLE floor (time timestamptz NOT NULL, series integer NOT NULL, seq smallint NOT NULL, value double precision, position bigint NOT NULL, ingested_at timestamptz NOT NULL${more.map(c => `, ${c} double precision`).join('')}, PRIMARY KEY (series, time, seq))`)
await client.query('CREATE INDEX floor_time ON floor USING brin (time)')
const copy = `COPY floor (${['time', 'series', 'seq', 'value', 'position', 'ingested_at', ...more].join(', ')}) FROM STDIN`

const series = new Map<string, number>()
let lines: string[] = []
let timer: NodeJS.Timeout | undefined
let writing = false, began = -Infinity, position = 0, written = 0, now = ''

const flush = async () => {
  timer = undefined
  if (writing || lines.length === 0) return
  writing = true
  began = performance.now()
  const text = lines.join(''), rows = lines.length
  lines = []
  await pipeline(Readable.from([text]), client.query(copyFrom(copy)))
  written += rows
  writing = false
  plan()
}
const plan = () => {
  if (lines.length >= 5000) void flush()
  else if (lines.length > 0) timer ??= setTimeout(() => void flush(), Math.max(0, began + APART - performance.now()))
}

const mqtt = await connectAsync(broker, { clientId: `floor-${process.pid}`, protocolVersion: 5, properties: { receiveMaximum: 2000 } })
mqtt.on('message', (topic, payload) => {
  const { ts, value } = JSON.parse(payload.toString())
  let id = series.get(topic)
  if (id === undefined) series.set(topic, id = series.size + 1)
  if (lines.length === 0) now = new Date().toISOString()
  const time = new Date(ts).toISOString().slice(0, -1)
  lines.push(`${time}${String(1000 + Math.round((ts % 1) * 1000)).slice(1)}Z\t${id}\t0\t${value}\t${++position}\t${now}${more.length === 0 ? '' : `\t${value}`.repeat(Number(filled)) + blank}\n`)
  plan()
})
process.on('message', message => { if (message === 'written') process.send!(written) })
process.once('SIGTERM', () => process.exit())
await mqtt.subscribeAsync(`${prefix}/#`, { qos: Number(qos) as 0 | 1 })
console.log('subscribed')
