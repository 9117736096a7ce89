import { appendFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Archive, readArchive } from '../bench/kill/archive.ts'
import { work } from '../bench/kill/oracle.ts'
import { settingsOf } from '../bench/kill/pipeline.ts'
import { messageOf, nameOf, payloadOf, readingOf, seriesOf, type Plan } from '../bench/kill/readings.ts'
import { relearnBody } from '../engine/relearn.ts'
import { kinds } from '../engine/wal-segment.ts'
import { Wal } from '../engine/wal.ts'
import { until } from './support/journal.ts'
import { temporary } from './support/program.ts'

const text = (of: string) => { const bytes = Buffer.from(of), length = Buffer.alloc(2); length.writeUInt16LE(bytes.length); return Buffer.concat([length, bytes]) }
/** The body of a message with everything that may stand before its payload. */
const body = (topic: string, flags: number, payload: string) => Buffer.concat([
  text(topic), Buffer.from([flags]), ...flags & 1 ? [text('2024-05-01')] : [], ...flags & 2 ? [text('client'), Buffer.alloc(10, 7)] : [], ...flags & 4 ? [text('too_large'), text('why')] : [], ...flags & 16 ? [text('key')] : [], ...flags & 32 ? [text('id'), text('key'), text('')] : [], Buffer.from(payload)
])

t.test('the archive has every message of a log, in order, also of segments that were dropped; a gap is noticed', async t => {
  const folder = temporary(t), log = join(folder, 'log', 'a'), kept = join(folder, 'kept')
  const wal = await Wal.open(log, { log: { warn () {} }, segment: 2000 }, new AbortController().signal)
  const archive = new Archive(join(folder, 'log'), kept)
  for (let i = 0; i < 200; i++) {
    if (i % 5 === 4) wal.append(i % 10 === 4 ? kinds.tick : kinds.relearn, i, i % 10 === 4 ? new Uint8Array(0) : relearnBody({ tenant: 't', device: `d${i}`, end: i }))
    else wal.append(kinds.message, i, body(`kill/d${i}/m0`, i & 7 | (i & 24) << 1, `payload ${i}`))
    if (i % 20 === 19) await wal.flush()
  }
  await until(() => readdirSync(kept).length >= readdirSync(log).filter(f => f.endsWith('.log')).length - 1)        // the last one may be empty still
  await wal.drop(150)
  archive.finish()
  t.ok(readdirSync(kept).length > readdirSync(log).filter(f => f.endsWith('.log')).length)
  const expected = Array.from({ length: 200 }, (_, i) => ({ position: i + 1, ingest: i, topic: `kill/d${i}/m0`, payload: `payload ${i}` })).filter((_, i) => i % 5 !== 4)
  t.strictSame([...readArchive(kept)], expected)
  await wal.close()
  const segments = readdirSync(kept).toSorted()
  appendFileSync(join(kept, segments.at(-1)!), Buffer.alloc(100, 1))
  t.strictSame([...readArchive(kept)], expected, 'what is torn at the end is not read')
  rmSync(join(kept, segments[2]))
  t.throws(() => [...readArchive(kept)], /ends at position/)
})

t.test('a message and the reading in it know each other', async t => {
  const plan: Plan = { seed: 1, series: 40, rate: 400, start: 1_700_000_000_000_000 }
  const readings = Array.from({ length: 40 * 64 }, (_, m) => readingOf(plan, m))
  t.ok(readings.every((reading, m) => messageOf(plan, reading) === m && seriesOf(nameOf(reading.series)) === reading.series))
  t.equal(new Set(readings.map(r => `${r.series} ${r.n}`)).size, readings.length)
})

t.test('the recomputation has late readings, repetitions, alerts that wait, and windows that are still open', async t => {
  const plan: Plan = { seed: 1, series: 40, rate: 400, start: 1_700_000_000_000_000 }
  const messages = Array.from({ length: 40 * 100 }, (_, m) => ({ position: m + 1, ingest: 0, topic: `kill/${nameOf(readingOf(plan, m).series)}`, payload: payloadOf(plan, readingOf(plan, m)) }))
  const truth = await work([...messages, ...messages.slice(-50)], settingsOf(plan))
  t.equal(truth.messages, 4050)
  t.equal(truth.repeated, 50)
  t.ok(truth.late > 0)
  const { rows, windows, alerts } = truth.series.get('d0/m0')!
  t.equal(rows.size, 100)
  t.equal(windows.size, 7, 'the newest reading is of 9.9 s, the lateness 2 s')
  t.ok(alerts.size > 0 && [...alerts.values()].every(a => a.time > a.since))
})
