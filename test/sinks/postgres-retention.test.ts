/** Retention beside others who use the table: it waits for nobody long, so commits go on, and what is too old goes later. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { batchOf, INGEST, Opened, T0, table } from '../support/store.ts'

const DAY = 864e5, HOUR = 36e5, MINUTE = 60_000
const PLAIN = 'CREATE TABLE readings (time timestamptz NOT NULL, series integer NOT NULL, seq smallint NOT NULL DEFAULT 0, value double precision, position bigint NOT NULL, ingested_at timestamptz NOT NULL, PRIMARY KEY (series, time, seq))'

async function opened (t: Test, { plain = false, retention = '30d' } = {}) {
  const url = (await freshDatabase(t))!, lines: string[] = []
  if (plain) await rowsOf(url, PLAIN)
  const log = { level: 'warn', info () {}, error () {}, debug () {}, warn: (fields: object, text: string) => { lines.push(`${text} ${JSON.stringify(fields)}`) } } as never
  const o = await new Opened(url, [table('readings', 'readings', [], { retention, chunk: '1d' })], undefined, 'p', log).open()
  const other = new pg.Client(url)
  other.on('error', () => {})
  await other.connect()
  t.teardown(async () => { await other.end(); await o.store.close() })
  let value = 10
  /** Seconds that a commit with a row takes. */
  const commit = async (after: number) => {
    const began = performance.now()
    await o.commit({ ...o.write('readings', batchOf(o.series, [['d', 'm', after, value++]])), ingest: INGEST + after })
    return (performance.now() - began) / 1000
  }
  const values = async () => (await rowsOf(url, 'SELECT value FROM readings ORDER BY value')).map(r => r.value as number)
  return { o, url, other, lines, commit, values, putOff: () => o.store.events!.retention_put_off }
}

t.test('a long transaction that has read the table delays a commit now and then, and not for as long as a statement may take; what is too old goes when it has ended', async t => {
  const { o, other, lines, commit, values, putOff } = await opened(t)
  await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -29 * DAY, 1], ['d', 'm', -28 * DAY, 2], ['d', 'm', 0, 3]])))
  await other.query('BEGIN; SELECT count(*) FROM readings')
  const tries: { readonly k: number, readonly took: number }[] = []
  for (let k = 0; k < 20; k++) {
    const before = putOff(), took = await commit(5 * DAY + k * MINUTE / 2)
    if (putOff() > before) tries.push({ k, took })
  }
  t.strictSame(tries.map(({ k }) => k), [0, 2, 6, 14], 'now, after 1, 3 and 7 minutes')
  const quickest = Math.min(...tries.map(({ took }) => took))
  t.ok(quickest < 4.5, `${quickest} s: it waits 0.2 s for a lock, not the 5 s that a statement may take`)
  t.match(lines[0], /retention: what is too old is still there.*lock timeout/)
  t.strictSame((await values()).slice(0, 3), [1, 2, 3])
  await other.query('COMMIT')
  await commit(5 * DAY + 16 * MINUTE)
  t.strictSame((await values()).slice(0, 2), [3, 10], 'the fifth try')
  t.equal(putOff(), 4)
})

t.test('nor does anybody wait for so long who comes for the table meanwhile', async t => {
  const { o, url, other, commit } = await opened(t)
  await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -29 * DAY, 1]])))
  await other.query('BEGIN; SELECT count(*) FROM readings')
  const third = new pg.Client(url), times: number[] = []
  await third.connect()
  t.teardown(() => third.end())
  let over = false
  const reading = (async () => { while (!over) { const began = performance.now(); await third.query('SELECT count(*) FROM readings'); times.push(performance.now() - began) } })()
  await commit(5 * DAY)
  over = true
  await reading
  t.ok(Math.max(...times) < 4500, `the longest took ${Math.round(Math.max(...times))} ms`)
})

t.test('of a table of another maker rows go ten thousand at a time, and those that somebody has locked later', async t => {
  const { o, url, other, commit, putOff } = await opened(t, { plain: true, retention: '1h' })
  await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', 20 * HOUR, 1]])))
  await rowsOf(url, `INSERT INTO readings (time, series, value, position, ingested_at) SELECT to_timestamp($1::float8 / 1000) - n * interval '1 s', (SELECT id FROM series), 0, n, now() FROM generate_series(1, 25000) n`, [T0])
  const old = async () => (await rowsOf(url, "SELECT count(*)::int AS n FROM readings WHERE time < to_timestamp($1::float8 / 1000)", [T0]))[0].n as number
  await other.query('BEGIN; SELECT FROM readings WHERE position = 20000 FOR UPDATE')
  const left: number[] = []
  for (let k = 0; k < 3; k++) {
    await commit(3 * HOUR + k)
    left.push(await old())
  }
  t.strictSame(left, [15_000, 5000, 1])
  await other.query('COMMIT')
  await commit(4 * HOUR + 3)
  t.equal(await old(), 0, 'an hour later')
  await other.query('BEGIN; LOCK TABLE readings IN SHARE ROW EXCLUSIVE MODE')
  const blocked = commit(5 * HOUR + 10)
  await new Promise(resolve => { setTimeout(resolve, 500) })
  await other.query('COMMIT')
  await blocked
  t.equal(putOff(), 1, 'what nobody can write to anyway is put off too')
})
