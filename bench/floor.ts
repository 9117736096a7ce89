/**
 * The floor of `ingest`: the least program that brings the same messages into the same table. mqtt.js, JSON.parse, COPY; the
 * same columns, key and batch times. It guarantees nothing: acknowledges at once, judges no value, forgets its series.
 *   node floor.ts <broker url> <topic prefix> <qos> <database url>
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { connectAsync } from 'mqtt'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'

const [broker, prefix, qos, database] = process.argv.slice(2)
const client = new pg.Client(database)
await client.connect()
await client.query('CREATE TABLE IF NOT EXISTS floor (time timestamptz NOT NULL, series integer NOT NULL, seq smallint NOT NULL, value double precision, position bigint NOT NULL, ingested_at timestamptz NOT NULL, PRIMARY KEY (series, time, seq))')
await client.query('CREATE INDEX IF NOT EXISTS floor_time ON floor USING brin (time)')

const series = new Map<string, number>()
let lines: string[] = []
let timer: NodeJS.Timeout | undefined
let writing = false, position = 0, now = ''

const flush = async () => {
  timer = undefined
  if (writing || lines.length === 0) return
  writing = true
  const text = lines.join('')
  lines = []
  await pipeline(Readable.from([text]), client.query(copyFrom('COPY floor (time, series, seq, value, position, ingested_at) FROM STDIN')))
  writing = false
  if (lines.length > 0) await flush()
}

const mqtt = await connectAsync(broker, { clientId: `floor-${process.pid}`, protocolVersion: 5, properties: { receiveMaximum: 2000 } })
mqtt.on('message', (topic, payload) => {
  const { ts, value } = JSON.parse(payload.toString())
  let id = series.get(topic)
  if (id === undefined) series.set(topic, id = series.size + 1)
  if (lines.length === 0) now = new Date().toISOString()
  const time = new Date(ts).toISOString().slice(0, -1)
  lines.push(`${time}${String(1000 + Math.round((ts % 1) * 1000)).slice(1)}Z\t${id}\t0\t${value}\t${++position}\t${now}\n`)
  if (lines.length >= 5000) void flush()
  else timer ??= setTimeout(() => void flush(), 20)
})
await mqtt.subscribeAsync(`${prefix}/#`, { qos: Number(qos) as 0 | 1 })
console.log('subscribed')
