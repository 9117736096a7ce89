import t from 'tap'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import type { Exported, SeriesTable } from '#engine'
import { openExport } from '../../sinks/postgres-export.ts'
import { Session } from '../../sinks/postgres-session.ts'
import { postgres } from '../../sinks/postgres.ts'
import { supported } from '../../sinks/postgres-timescale.ts'
import { pagesOf, snapshot } from '../fixtures/bench.ts'
import { quiet } from '../support/collect.ts'
import { freshDatabase, rowsOf, type Kind } from '../support/postgres.ts'
import { alertEvent, batchOf, deadLetter, INGEST, Opened, T0, table } from '../support/store.ts'

const DAY = 864e5
/** Name of the partition that begins so many days after T0. */
const partition = (days: number) => `readings_${new Date(T0 + days * DAY).toISOString().slice(0, 10).replaceAll('-', '')}`
const code = (code: string) => ({ code })
const readings = (url: string, order = 'metric, time, seq') => rowsOf(url, `SELECT device, metric, (extract(epoch FROM time) * 1000000)::bigint::text AS us, seq, value FROM readings_named ORDER BY ${order}`)

void suite('postgres')
void suite('timescale')

function suite (kind: Kind) {
  return t.test(`the postgres store on ${kind}`, async t => {
    if (await freshDatabase(t, kind) === undefined) return
    const fresh = async (t: Tap): Promise<string> => (await freshDatabase(t, kind))!
    const opened = async (t: Tap, url: string, tables = [table('readings', 'readings', ['zscore'])], series?: SeriesTable, pipeline?: string) => {
      const o = await new Opened(url, tables, series, pipeline).open()
      t.teardown(() => o.store.close())
      return o
    }

    await t.test('a commit leaves rows, position, counts, tags and names, exact to the microsecond', async t => {
      const url = await fresh(t)
      const o = await opened(t, url)
      t.strictSame({ ...o.recovered }, { position: undefined, origin: undefined, ingest: undefined, version: 0, epoch: 1, counts: {}, marks: [], snapshots: [] })
      const batch = batchOf(o.series, [['d1', 'temp', 0.001, 20.5, { zscore: 1.5 }], ['d1', 'temp', 0.002, NaN], ['d1', 'press', 1234.567, -0, { zscore: Infinity, seq: 0 }], ['d2', 'temp', -1e9, 1e300, { seq: 3 }]].map(r => [r[0], r[1], r[2], r[3], { seq: 0, ...r[4] as object }] as any))
      o.series.tag(o.series.device('acme', 'd1'), { unit: '°C', 'unit.press': 'bar', type: 'boiler', site: 'north', floor: '3' })
      t.strictSame(await o.commit({ ...o.write('readings', batch), position: 42, origin: 'log:a' }), [{ written: 4, duplicates: 0, refused: 0 }])
      t.strictSame(await readings(url), [
        { device: 'd1', metric: 'press', us: `${T0 * 1000 + 1234567}`, seq: 0, value: -0 },
        { device: 'd2', metric: 'temp', us: `${T0 * 1000 - 1e12}`, seq: 3, value: 1e300 },
        { device: 'd1', metric: 'temp', us: `${T0 * 1000 + 1}`, seq: 0, value: 20.5 },
        { device: 'd1', metric: 'temp', us: `${T0 * 1000 + 2}`, seq: 0, value: null }
      ])
      t.strictSame(await rowsOf(url, `SELECT metric, unit, type, site, tags, zscore, position::int FROM readings_named WHERE device = 'd1' ORDER BY position`), [
        { metric: 'temp', unit: '°C', type: 'boiler', site: 'north', tags: { floor: '3' }, zscore: 1.5, position: 1 },
        { metric: 'temp', unit: '°C', type: 'boiler', site: 'north', tags: { floor: '3' }, zscore: null, position: 2 },
        { metric: 'press', unit: 'bar', type: 'boiler', site: 'north', tags: { floor: '3' }, zscore: Infinity, position: 3 }
      ])
      const again = await opened(t, url)
      t.match(again.recovered, { position: 42, version: 1, epoch: 2, origin: 'log:a', counts: { '': { written: 4, received: 0, rows: 0 } } })
    })

    await t.test('a commit with a stale epoch or a stale version is fenced and leaves nothing', async t => {
      const url = await fresh(t)
      const zombie = await opened(t, url)
      const owner = await opened(t, url)
      const row = (o: Opened) => o.write('readings', batchOf(o.series, [['d', 'm', 0, 1]]))
      await t.rejects(zombie.commit(row(zombie)), { code: 'store/fenced' })
      await owner.commit(row(owner))
      await t.rejects(owner.store.commit({ ...owner.commitOf(row(owner)), version: 0 }), { code: 'store/fenced' })
      t.equal((await readings(url)).length, 1)
      await rowsOf(url, 'UPDATE checkpoint SET version = version + 1 WHERE partition = 0')      // as if this commit were there already
      await t.rejects(owner.commit(row(owner)), { code: 'store/fenced' })
    })

    await t.test('rows alone, of series that are known, are fenced too and leave nothing', async t => {
      const url = await fresh(t)
      const zombie = await opened(t, url), rows = (o: Opened, after: number) => o.write('readings', batchOf(o.series, Array.from({ length: 2500 }, (_, i) => ['d', 'm', after + i, i])))
      await zombie.commit(rows(zombie, 0))
      await zombie.commit(rows(zombie, 10_000))
      t.equal((await readings(url)).length, 5000)
      const owner = await opened(t, url)
      await t.rejects(zombie.commit(rows(zombie, 20_000)), { code: 'store/fenced' })
      t.equal((await readings(url)).length, 5000)
      await owner.commit(rows(owner, 20_000))
      t.equal((await readings(url)).length, 7500)
    })

    await t.test('rows that are there already are counted as duplicates and stored once, together with the new ones', async t => {
      const url = await fresh(t)
      const o = await opened(t, url)
      await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', 0, 1], ['d', 'm', 1, 2]])))
      const outcomes = await o.commit({ ...o.write('readings', batchOf(o.series, [['d', 'm', 0, 1], ['d', 'm', 1, 2], ['d', 'm', 2, 3], ['new', 'm', 2, 3], ['new', 'm', 2, 3]])), position: 9 })
      t.strictSame(outcomes, [{ written: 2, duplicates: 3, refused: 0 }])
      t.strictSame(o.outcomes, outcomes, 'the counts are asked with the final outcomes')
      t.strictSame((await readings(url)).map(r => r.value), [1, 2, 3, 3])
      t.strictSame(await rowsOf(url, 'SELECT position::int, version::int FROM checkpoint WHERE version > 0'), [{ position: 9, version: 2 }])
    })

    await t.test('rows that the database refuses become dead letters, all others are stored', async t => {
      const url = await fresh(t)
      const o = await opened(t, url)
      await rowsOf(url, 'ALTER TABLE readings ADD CONSTRAINT plausible CHECK (value < 1000)')
      const rows = Array.from({ length: 200 }, (_, i) => [i === 20 ? 'nul\0' : i === 30 ? 'lone\ud800' : 'd', 'm', i === 40 ? -3e14 : i === 50 ? 1e16 : i, i === 60 || i === 199 ? 5000 : i, { seq: i === 70 ? 40000 : 0, zscore: i }] as const)
      const letters = [deadLetter(61, 0, 'x')]
      const outcomes = await o.commit({ ...o.write('readings', batchOf(o.series, rows)), deadLetters: letters, position: 200 })
      t.strictSame(outcomes, [{ written: 193, duplicates: 0, refused: 7 }])
      t.equal((await readings(url)).length, 193)
      const dead = await rowsOf(url, `SELECT position::int, part, reason, detail, convert_from(payload, 'UTF8') AS payload FROM dead_letters ORDER BY position, part`)
      t.strictSame(dead.map(d => [d.position, d.part, d.reason]), [[21, 0], [31, 0], [41, 0], [51, 0], [61, 0, 'unparseable'], [61, 1], [71, 0], [200, 0]].map(([p, n, r]) => [p, n, r ?? 'rejected_by_store']))
      t.match(dead[5].detail, /plausible/)
      t.strictSame(JSON.parse(dead[5].payload), { table: 'readings', tenant: 'acme', device: 'd', metric: 'm', time: T0 + 60, value: 5000, seq: 0, zscore: 60 })
      t.match(dead[2].detail, /out of range/)
      t.equal(dead[4].payload, 'x')
      t.equal(dead[4].detail, 'not JSON\ufffd')
    })

    await t.test('a table in use is not widened before that is over, and who reads it meanwhile does not wait for long', async t => {
      const url = await fresh(t), { log } = quiet(), said = /the table "readings" cannot be changed: others had it in use for 3 s/
      await opened(t, url)
      const reader = await Session.connect(url, 30_000)
      t.teardown(() => reader.close())
      await reader.query('BEGIN')
      await reader.query('SELECT FROM readings')
      const wider = new Opened(url, [table('readings', 'readings', ['zscore', 'ewma'])], undefined, 'q', log), opening = wider.open()
      t.teardown(() => wider.store.close())
      for (const end = Date.now() + 60_000; !said.test(wider.store.trouble() ?? '') && Date.now() < end;) await wait(20)
      t.strictSame(await rowsOf(url, 'SELECT FROM readings'), [])
      t.match(wider.store.trouble(), said)
      await reader.query('COMMIT')
      await opening
      t.strictSame(await rowsOf(url, 'SELECT ewma FROM readings'), [])
    })

    await t.test('an export that is not read, or goes on for too long, is ended', async t => {
      const url = await fresh(t), one = await opened(t, url)
      await one.commit(one.write('readings', batchOf(one.series, Array.from({ length: 5000 }, (_, i) => ['d', 'm', i, i] as const))))
      const asked = { table: { table: 'readings', kind: 'readings', columns: ['value'] } as const, series: { tenant: undefined }, range: { from: T0 - DAY, to: T0 + DAY } }
      const read = async ({ pages }: Exported, pause = 0) => {
        let rows = 0
        for await (const page of pages) { rows += page.length; await wait(pause) }
        return rows
      }
      t.equal(await read(await openExport(url, asked, { idle: 500 }), 50), 5000)
      await t.rejects(openExport(url, asked, { idle: 100 }).then(exported => read(exported, 400)), { code: 'api/too-long', message: /no 2000 rows were read for 0.1 s/ })
      await t.rejects(openExport(url, asked, { longest: 200 }).then(exported => read(exported, 150)), { code: 'api/too-long', message: /not over within 0.2 s/ })
      t.strictSame(await rowsOf(url, "SELECT state FROM pg_stat_activity WHERE application_name = 'millrace-export' AND datname = current_database() AND state LIKE 'idle in%'"), [])
    })

    await t.test('a later pipeline with more columns widens the table and its view; views built on it stay', async t => {
      const url = await fresh(t)
      const o = await opened(t, url, [table('readings', 'readings', ['a'])])
      await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', 0, 1, { a: 1 }]])))
      await o.store.close()
      await rowsOf(url, 'CREATE VIEW mine AS SELECT * FROM readings_named')
      const wide = await opened(t, url, [table('readings', 'readings', ['b', 'Strange "Column"'])])
      await wide.commit({ ...wide.write('readings', batchOf(wide.series, [['d', 'm', 1, 2, { b: 2, 'Strange "Column"': 3, unplanned: 4 }]])) })
      t.strictSame(await rowsOf(url, 'SELECT a, b, "Strange ""Column""" FROM readings_named ORDER BY time'), [{ a: 1, b: null, 'Strange "Column"': null }, { a: null, b: 2, 'Strange "Column"': 3 }])
      await rowsOf(url, 'ALTER TABLE readings ADD COLUMN note text')
      await t.rejects(new Opened(url, [table('readings', 'readings', ['note'])]).open(), { code: 'config/invalid', message: /"note".*text, not double precision/ })
      await t.rejects(new Opened(url, [table('readings', 'windows')]).open(), { code: 'config/invalid', message: /no column "revision"/ })
    })

    await t.test('a provisional window is replaced by the final one, never the other way round', async t => {
      const url = await fresh(t)
      const o = await opened(t, url, [table('minutes', 'windows', ['mean'])])
      const window = (mean: number, revision: number, device = 'd') => batchOf(o.series, [[device, 'm', 0, NaN, { mean, revision }]])
      const provisional = (mean: number, revision: number) => batchOf(o.series, [], window(mean, revision))
      const stored = () => rowsOf(url, 'SELECT device, mean, revision, provisional FROM minutes_named ORDER BY device')
      t.strictSame(await o.commit(o.write('minutes', provisional(1, 0))), [{ written: 0, duplicates: 0, refused: 0 }])
      await o.commit(o.write('minutes', provisional(2, 1)))
      t.strictSame(await stored(), [{ device: 'd', mean: 2, revision: 1, provisional: true }])
      t.strictSame(await o.commit(o.write('minutes', window(3, 2))), [{ written: 1, duplicates: 0, refused: 0 }])
      await o.commit(o.write('minutes', provisional(4, 2)))
      t.strictSame(await stored(), [{ device: 'd', mean: 3, revision: 2, provisional: false }])
      t.strictSame(await o.commit(o.write('minutes', window(5, 1))), [{ written: 0, duplicates: 1, refused: 0 }], 'an older revision changes nothing')
      t.strictSame(await o.commit(o.write('minutes', window(7, 0, 'other'))), [{ written: 1, duplicates: 0, refused: 0 }])
      t.strictSame(await o.commit(o.write('minutes', window(6, 0, 'other'))), [{ written: 0, duplicates: 1, refused: 0 }], 'a final row stays')
      t.strictSame(await stored(), [{ device: 'd', mean: 3, revision: 2, provisional: false }, { device: 'other', mean: 7, revision: 0, provisional: false }])
    })

    await t.test('rows older than the retention are refused, and what is wholly older is dropped', async t => {
      const url = await fresh(t)
      const tables = [table('readings', 'readings', [], { retention: '30d', chunk: '1d' })]
      const o = await opened(t, url, tables)
      const outcomes = await o.commit({ ...o.write('readings', batchOf(o.series, [['d', 'm', -29 * DAY, 1], ['d', 'm', -31 * DAY, 2], ['d', 'm', 0, 3]])), position: 3 })
      t.strictSame(outcomes, [{ written: 2, duplicates: 0, refused: 1 }])
      t.strictSame(await rowsOf(url, 'SELECT position::int, reason FROM dead_letters'), [{ position: 2, reason: 'beyond_retention' }])
      if (kind === 'timescale') return       // who drops depends on its edition: postgres-editions.test.ts
      await o.commit({ ingest: INGEST + 5 * DAY })
      t.strictSame((await readings(url)).map(r => r.value), [3])
    })

    await t.test('durable ids survive a restart in which names appear in another order', async t => {
      const url = await fresh(t)
      const first = await opened(t, url)
      await first.commit(first.write('readings', batchOf(first.series, [['a', 'm', 0, 1], ['b', 'm', 0, 2], ['b', 'n', 0, 3]])))
      const ids = await rowsOf(url, 'SELECT * FROM series_named ORDER BY series')
      const second = await opened(t, url)
      await second.commit(second.write('readings', batchOf(second.series, [['c', 'm', 1, 4], ['b', 'n', 1, 5], ['a', 'm', 1, 6]])))
      t.strictSame((await rowsOf(url, 'SELECT * FROM series_named ORDER BY series')).slice(0, 3), ids)
      t.strictSame((await readings(url, 'value')).map(r => [r.device, r.metric, r.value]), [['a', 'm', 1], ['b', 'm', 2], ['b', 'n', 3], ['c', 'm', 4], ['b', 'n', 5], ['a', 'm', 6]])
    })

    await t.test('a series named in a transaction that failed is named again in the next', async t => {
      const url = await fresh(t)
      const o = await opened(t, url)
      await rowsOf(url, 'ALTER TABLE readings RENAME COLUMN value TO gone')
      await t.rejects(o.commit(o.write('readings', batchOf(o.series, [['d', 'm', 0, 1]]))), { code: 'store/failed' })
      await rowsOf(url, 'ALTER TABLE readings RENAME COLUMN gone TO value')
      await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', 0, 1]])))
      t.equal((await readings(url))[0].device, 'd')
    })

    await t.test('tags of a device are merged; two pipelines give one series one id', async t => {
      const url = await fresh(t)
      const one = await opened(t, url), two = await opened(t, url, [table('other', 'readings')], undefined, 'q')
      const d = one.series.device('acme', 'd')
      one.series.tag(d, { floor: '1', bad: 'x\0' })
      await one.commit(one.write('readings', batchOf(one.series, [['d', 'm', 0, 1]])))
      two.series.tag(two.series.device('acme', 'd'), { site: 'north', wing: 'w' })
      await two.commit(two.write('other', batchOf(two.series, [['d', 'm', 0, 1]])))
      one.series.tag(d, { floor: '2', unit: 'K' })
      await one.commit(one.write('readings', batchOf(one.series, [['d', 'm', 1, 1]])))
      t.strictSame(await rowsOf(url, 'SELECT device, metric, unit, site, tags FROM series_named'), [{ device: 'd', metric: 'm', unit: 'K', site: 'north', tags: { floor: '2', bad: 'x\ufffd', wing: 'w' } }])
    })

    await t.test('late rows, dead letters and a snapshot are part of the commit', async t => {
      const url = await fresh(t)
      const o = await opened(t, url)
      const late = batchOf(o.series, [['d', 'm', 0.5, 1], ['d', 'm', 1, NaN], ['bad\0', 'm', 1, 2]])
      await o.commit({ late: [{ branch: 'minutes', step: 'tumbling', batch: late }], deadLetters: [deadLetter(1, 0, '\0\xff'), deadLetter(1, 1, '{')], ...snapshot(1, { '0/0': 'memory' }, { pages: 1, position: 0, version: 0 }) })
      t.strictSame(await rowsOf(url, 'SELECT device, branch, step, value, (extract(epoch FROM time) * 1000)::float8 AS ms FROM late_readings_named ORDER BY time'), [
        { device: 'd', branch: 'minutes', step: 'tumbling', value: 1, ms: T0 + 0.5 }, { device: 'd', branch: 'minutes', step: 'tumbling', value: null, ms: T0 + 1 }])
      t.strictSame((await rowsOf(url, 'SELECT part, reason, payload, detail FROM dead_letters ORDER BY position, part')).map(d => [d.part, d.reason, Buffer.from(d.payload).toString()]),
        [[0, 'unparseable', '\0\xff'], [1, 'unparseable', '{'], [0, 'rejected_by_store', JSON.stringify({ table: 'late_readings', tenant: 'acme', device: 'bad\0', metric: 'm', time: T0 + 1, value: 2 })]])
      await o.commit()
      t.strictSame(await pagesOf((await opened(t, url)).recovered.snapshots[0]), { '0/0': 'memory' }, 'a commit without a snapshot keeps the last one')
    })

    await t.test('the outbox leases each alert once, remembers tries, and comes back after a minute', async t => {
      const url = await fresh(t)
      const o = await opened(t, url)
      const event = alertEvent('A')
      await o.commit({ alerts: [{ event, receivers: ['hook', 'mail'] }, { event: alertEvent('S'), receivers: [], stale: true }] })
      await o.commit({ alerts: [{ event, receivers: ['hook', 'mail'] }] })
      const now = 1e12
      const due = await o.store.due(10, now)
      t.strictSame(due.map(d => `${d.receiver} ${d.attempts}`).toSorted(), ['hook 0', 'mail 0'])
      t.strictSame(due[0].events[0], event)
      t.strictSame(await o.store.due(10, now + 59_000), [])
      t.strictSame((await o.store.due(10, now + 60_000, ['mail'])).map(d => d.receiver), ['hook'])
      await o.store.settle({ ...due[0], receiver: 'mail' }, { state: 'delivered' })
      await o.store.settle({ ...due[0], receiver: 'mail' }, { state: 'retry', after: now + 1, error: 'of another process, too late' })
      for (let again = 0; again < 3; again++) await o.store.settle({ ...due[0], receiver: 'hook' }, { state: 'retry', after: now + 70_000, error: 'no\0' })        // where it was not known whether it had been recorded
      t.strictSame((await o.store.due(10, now + 70_000)).map(d => [d.receiver, d.attempts]), [['hook', 1]])
      await o.store.settle({ ...due[0], receiver: 'hook', attempts: 1 }, { state: 'dead', error: 'gone' })
      t.strictSame(await o.store.due(10, now + 1e9), [])
      t.strictSame(await rowsOf(url, 'SELECT receiver, state, attempts, error FROM alert_outbox ORDER BY 1'), [{ receiver: 'hook', state: 'dead', attempts: 2, error: 'gone' }, { receiver: 'mail', state: 'delivered', attempts: 1, error: null }])
      t.strictSame(await rowsOf(url, 'SELECT receiver, outcome FROM alert_deliveries ORDER BY 1, id'), [{ receiver: 'hook', outcome: 'retry' }, { receiver: 'hook', outcome: 'dead' }, { receiver: 'mail', outcome: 'delivered' }])
      t.strictSame((await rowsOf(url, 'SELECT id, stale FROM alerts ORDER BY id')), [{ id: 'A.firing', stale: false }, { id: 'S.firing', stale: true }])
    })

    await t.test('old times share one partition, others get one by week, and so does what comes next', async t => {
      if (kind !== 'postgres') return
      const url = await fresh(t)
      const o = await opened(t, url, [table('readings', 'readings')])
      await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -50 * 365 * DAY, 1], ['d', 'm', -10 * 365 * DAY, 2], ['d', 'm', -20 * DAY, 3], ['d', 'm', 0, 4], ['d', 'm', -20 * DAY + 1, 5]])))
      t.strictSame((await rowsOf(url, `SELECT value, tableoid::regclass::text AS partition FROM readings ORDER BY value`)).map(r => r.partition), ['readings_old', 'readings_old', partition(-21), partition(0), partition(-21)])
      t.strictSame((await rowsOf(url, `SELECT to_regclass('${partition(7)}') IS NOT NULL AS there`)), [{ there: true }])
      const narrow = await opened(t, url, [table('readings', 'readings', [], { chunk: '1d' })], undefined, 'q')
      t.strictSame(await narrow.commit(narrow.write('readings', batchOf(narrow.series, [['e', 'm', -13 * DAY, 1], ['e', 'm', -14 * DAY, 1], ['e', 'm', -9 * DAY, 1]]))), [{ written: 3, duplicates: 0, refused: 0 }])
      const wide = await opened(t, url, [table('readings', 'readings', [], { chunk: '30d' })], undefined, 'r')
      t.strictSame(await wide.commit(wide.write('readings', batchOf(wide.series, [-12, -9, -10, 3, 14, 40].map(days => ['f', 'm', days * DAY, days])))), [{ written: 6, duplicates: 0, refused: 0 }])
    })

    await t.test('a table of TimescaleDB is a hypertable', async t => {
      if (kind !== 'timescale') return
      const url = await fresh(t)
      const o = await opened(t, url)
      await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', 0, 4], ['d', 'm', -50 * 365 * DAY, 1]])))
      t.strictSame(await rowsOf(url, 'SELECT hypertable_name, num_chunks::int FROM timescaledb_information.hypertables'), [{ hypertable_name: 'readings', num_chunks: 2 }])
      await o.store.close()
      const off = await opened(t, url, [table('readings', 'readings', [], { timescale: 'off' }), table('plain', 'readings', [], { timescale: 'off' })])
      await off.commit(off.write('readings', batchOf(off.series, [['d', 'm', 20 * DAY, 4]])))
      t.strictSame(await rowsOf(url, `SELECT relname, relkind FROM pg_class WHERE relname IN ('readings', 'plain') ORDER BY 1`), [{ relname: 'plain', relkind: 'p' }, { relname: 'readings', relkind: 'r' }])
    })
  })
}

t.test('a TimescaleDB that loses rows is too old', async t => {
  t.strictSame(['2.18.0', '2.17.9', '1.99.9', '2.9.1'].map(supported), [false, false, false, false])
  t.strictSame(['2.18.1', '2.18.1-dev', '2.19.0', '3.0.0', '2.20.3'].map(supported), [true, true, true, true, true])
})

t.test('wrong options are refused before anything is opened', async t => {
  t.throws(() => new Opened(undefined, [table('readings', 'readings')]), { code: 'config/missing', help: /postgres:\/\// })
  for (const file of readdirSync('migrations')) {
    for (const [, name] of readFileSync(`migrations/${file}`, 'utf8').matchAll(/CREATE TABLE (\w+)/g)) t.throws(() => new Opened('postgres://x', [table(name, 'readings')]), { message: /belongs to Millrace/ }, name)
  }
  t.throws(() => new Opened('postgres://x', [table('series', 'readings')]), { code: 'config/invalid', message: /belongs to Millrace/ })
  t.throws(() => new Opened('postgres://x', [table('readings', 'readings', ['site'])]), { code: 'config/invalid', message: /"site"/ })
  t.throws(() => new Opened('postgres://x', [table('readings', 'readings', ['x'.repeat(64)])]), { code: 'config/invalid' })
  t.throws(() => postgres({ table: 'DROP TABLE' }), code('config/invalid'))
  t.throws(() => postgres({ table: 'a', compress: 'never' }), code('config/invalid'))
  t.throws(() => postgres({ table: 'a', chunk: '1m' }), code('config/invalid'))
  t.throws(() => postgres({ table: 'a', retention: '1s' }), code('config/invalid'))
  t.throws(() => postgres({ table: 'a', aggregate: '0m' }), code('config/invalid'))
  t.throws(() => postgres({ table: 'a', aggregate: '61m', retention: '3h' }), code('config/invalid'))
  t.equal(postgres({ table: 'a', aggregate: '1h', retention: '3h' }).options.aggregate, '1h')
  t.equal(postgres.definition.storeKey!({ url: 'x' } as any), 'x')
})

type Tap = Pick<typeof t, 'teardown' | 'comment'>
