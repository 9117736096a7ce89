/** What the two editions of TimescaleDB do differently. The server that TIMESCALE_URL names has one of them; the tests of the other one say so. */
import pg from 'pg'
import t from 'tap'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { batchOf, INGEST, Opened, table } from '../support/store.ts'

const DAY = 864e5
const jobs = (url: string) => rowsOf(url, `
  SELECT proc_name AS policy, config - 'hypertable_id' - 'mat_hypertable_id' AS config
  FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_%' AND job_id >= 1000 ORDER BY 1, coalesce(config->>'compress_after', config->>'drop_after', config->>'start_offset')::interval`)
const chunks = (url: string, name = 'readings') => rowsOf(url, `SELECT is_compressed AS compressed FROM timescaledb_information.chunks WHERE hypertable_name = $1 ORDER BY range_start`, [name])
/** Runs a policy now, in this session, until it is done. */
const runJob = async (url: string, policy: string) => {
  for (const { id } of await rowsOf(url, 'SELECT job_id AS id FROM timescaledb_information.jobs WHERE proc_name = $1', [policy])) await rowsOf(url, `CALL run_job(${id})`)
}
/** The aggregate and a plain query of the same shape: rows of one that the other does not have. Exact, as long as the sums are. */
const differences = (url: string) => rowsOf(url, `
  WITH plain AS (SELECT time_bucket('1 minute', time) AS time, series, count(value) AS count, avg(value) AS mean, min(value) AS min, max(value) AS max FROM readings GROUP BY 1, 2),
       kept AS (SELECT time, series, count, mean, min, max FROM readings_by_1m)
  (TABLE plain EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE plain)`)

void t.test('on the community edition', async t => {
  if (await edition(t) !== 'timescale') return

  await t.test('compression, the aggregate and, when asked for, retention are policies of the database', async t => {
    const url = await fresh(t)
    await opened(t, url, [table('readings', 'readings', ['zscore'], { retention: '180d' }), table('minutes', 'windows', ['mean'], { compress: '36h' }), table('bare', 'readings', [], { compress: 'off', aggregate: 'off' }), table('brief', 'readings', [], { compress: 'off', aggregate: '1h', retention: '3h' })])
    t.strictSame((await jobs(url)).map(j => [j.policy, j.config]), [
      ['policy_compression', { compress_after: '36:00:00' }],
      ['policy_compression', { compress_after: '168:00:00' }],
      ['policy_refresh_continuous_aggregate', { start_offset: '03:00:00', end_offset: '01:00:00' }],
      ['policy_refresh_continuous_aggregate', { start_offset: '4320:00:00', end_offset: '00:01:00' }],
      ['policy_retention', { drop_after: '03:00:00' }],
      ['policy_retention', { drop_after: '4320:00:00' }]
    ])
    t.strictSame(await rowsOf(url, 'SELECT view_name AS name, materialized_only AS stale FROM timescaledb_information.continuous_aggregates ORDER BY 1'), [{ name: 'brief_by_1h', stale: false }, { name: 'readings_by_1m', stale: false }])
  })

  await t.test('the same options leave the policies as they are, others change them', async t => {
    const url = await fresh(t)
    const ids = () => rowsOf(url, `SELECT proc_name AS policy, job_id AS id FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_%' AND job_id >= 1000 ORDER BY 1`)
    const start = async (given: Parameters<typeof table>[3]) => { await (await opened(t, url, [table('readings', 'readings', [], given)])).store.close() }
    await start({ retention: '30d' })
    const before = await ids()
    await start({ retention: '30d' })
    t.strictSame(await ids(), before)
    await start({ retention: '20d', compress: '2d' })
    t.strictSame((await jobs(url)).map(j => j.config), [{ compress_after: '48:00:00' }, { start_offset: '480:00:00', end_offset: '00:01:00' }, { drop_after: '480:00:00' }])
    const changed = await ids()
    await start({ compress: 'off' })
    t.strictSame(await ids(), changed, 'what the options leave out stays')
    await start({ retention: '300d' })
    t.strictSame((await jobs(url)).slice(1).map(j => j.config), [{ start_offset: '480:00:00', end_offset: '00:01:00' }, { drop_after: '7200:00:00' }], 'what was dropped is not refreshed')
  })

  await t.test('rows for compressed chunks are stored, counted as duplicates, replaced and refused as any others', async t => {
    const url = await fresh(t)
    await rowsOf(url, `ALTER DATABASE ${new URL(url).pathname.slice(1)} SET timescaledb.max_tuples_decompressed_per_dml_transaction = 10`)
    const o = await opened(t, url, [table('readings', 'readings', ['zscore']), table('minutes', 'windows', ['mean'])])
    const old = (n: number, from = 0, value = 1) => batchOf(o.series, Array.from({ length: n }, (_, i) => ['d', 'm', -20 * DAY + from + i * 1000, value, { zscore: i, seq: 0 }] as const))
    const window = (mean: number, revision: number) => batchOf(o.series, [['d', 'm', -20 * DAY, NaN, { mean, revision }]])
    await rowsOf(url, 'ALTER TABLE readings ADD CONSTRAINT plausible CHECK (value < 1000)')
    await o.commit(o.write('readings', old(3000)))
    await o.commit(o.write('minutes', window(1, 0)))
    await runJob(url, 'policy_compression')
    t.strictSame([...await chunks(url), ...await chunks(url, 'minutes')], [{ compressed: true }, { compressed: true }])
    t.strictSame(await o.commit(o.write('readings', old(10, 500))), [{ written: 10, duplicates: 0, refused: 0 }], 'late rows')
    t.strictSame(await o.commit(o.write('readings', old(3010, 0, 2))), [{ written: 10, duplicates: 3000, refused: 0 }], 'rows that are there stay')
    t.strictSame(await o.commit(o.write('minutes', window(2, 1))), [{ written: 1, duplicates: 0, refused: 0 }], 'a later revision')
    t.strictSame(await o.commit(o.write('minutes', window(9, 0))), [{ written: 0, duplicates: 1, refused: 0 }], 'an older revision')
    t.strictSame(await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -20 * DAY + 250, 5000], ['d', 'm', -20 * DAY + 251, 5]]))), [{ written: 1, duplicates: 0, refused: 1 }], 'a row that the table refuses')
    t.strictSame(await rowsOf(url, 'SELECT count(*)::int, sum(value)::float8, count(DISTINCT time)::int AS times FROM readings'), [{ count: 3021, sum: 3035, times: 3021 }])
    t.strictSame(await rowsOf(url, 'SELECT mean, revision FROM minutes'), [{ mean: 2, revision: 1 }])
  })

  await t.test('a table with compressed chunks and an aggregate is widened by several columns', async t => {
    const url = await fresh(t)
    const o = await opened(t, url, [table('readings', 'readings')])
    await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -20 * DAY, 1]])))
    await runJob(url, 'policy_compression')
    await o.store.close()
    const wide = await opened(t, url, [table('readings', 'readings', ['a', 'b'])])
    await wide.commit(wide.write('readings', batchOf(wide.series, [['d', 'm', -20 * DAY + 1, 2, { a: 3, b: 4 }]])))
    t.strictSame(await rowsOf(url, 'SELECT value, a, b FROM readings_named ORDER BY time'), [{ value: 1, a: null, b: null }, { value: 2, a: 3, b: 4 }])
  })

  await t.test('the aggregate has the rows of a plain query, newer and late ones included', async t => {
    const url = await fresh(t)
    const o = await opened(t, url)
    const rows = (from: number, n: number) => Array.from({ length: n }, (_, i) => [`d${i % 3}`, 'm', from + i * 7000, i % 11 === 0 ? NaN : i % 97 / 8] as const)
    await o.commit(o.write('readings', batchOf(o.series, rows(-30 * DAY, 500))))
    t.strictSame(await differences(url), [], 'before the first refresh')
    await runJob(url, 'policy_compression')
    await runJob(url, 'policy_refresh_continuous_aggregate')
    t.equal((await rowsOf(url, `SELECT count(*)::int FROM readings_by_1m`))[0].count, (await rowsOf(url, `SELECT count(DISTINCT (time_bucket('1 minute', time), series))::int FROM readings`))[0].count)
    t.strictSame(await differences(url), [], 'after it')
    await o.commit(o.write('readings', batchOf(o.series, rows(0, 500))))
    t.strictSame(await differences(url), [], 'newer rows are added when it is read')
    await runJob(url, 'policy_refresh_continuous_aggregate')
    await o.commit(o.write('readings', batchOf(o.series, rows(-30 * DAY + 1, 500))))
    await runJob(url, 'policy_refresh_continuous_aggregate')
    t.strictSame(await differences(url), [], 'late rows are there after the next refresh')
    t.strictSame(Object.keys((await rowsOf(url, 'SELECT * FROM readings_by_1m_named LIMIT 1'))[0]), ['time', 'tenant', 'device', 'metric', 'unit', 'type', 'site', 'tags', 'count', 'mean', 'min', 'max', 'series'])
  })

  await t.test('the aggregate outlives the rows that retention drops, also when it was asked for later', async t => {
    const url = await fresh(t)
    const start = (given: Parameters<typeof table>[3]) => opened(t, url, [table('readings', 'readings', [], { chunk: '1d', ...given })])
    const o = await start({})
    await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -40 * DAY, 1], ['d', 'm', -20 * DAY, 2], ['d', 'm', 0, 3]])))
    await runJob(url, 'policy_refresh_continuous_aggregate')
    await o.store.close()
    for (const [retention, left] of [['30d', [2, 3]], ['10d', [3]], ['60d', [3]]] as const) {
      const again = await start({ retention })
      await runJob(url, 'policy_retention')
      await again.commit(again.write('readings', batchOf(again.series, [['d', 'm', 0, 3]])))
      await runJob(url, 'policy_refresh_continuous_aggregate')
      t.strictSame((await rowsOf(url, 'SELECT value FROM readings ORDER BY time')).map(r => r.value), left)
      t.strictSame((await rowsOf(url, 'SELECT max FROM readings_by_1m ORDER BY time')).map(r => r.max), [1, 2, 3])
      await again.store.close()
    }
  })
})

void t.test('on the Apache edition', async t => {
  if (await edition(t) !== 'apache') return

  await t.test('there are hypertables and no policies; the engine drops what is older than the retention', async t => {
    const url = await fresh(t)
    const o = await opened(t, url, [table('readings', 'readings', [], { retention: '30d', chunk: '1d' })])
    t.strictSame(await jobs(url), [])
    await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -29 * DAY, 1], ['d', 'm', 0, 3]])))
    await o.commit({ ingest: INGEST + 5 * DAY })
    t.strictSame(await rowsOf(url, 'SELECT value FROM readings'), [{ value: 3 }])
  })

  await t.test('a long transaction that has read the table puts that off, and delays no commit for as long as a statement may take', async t => {
    const url = await fresh(t), other = new pg.Client(url)
    other.on('error', () => {})
    await other.connect()
    t.teardown(() => other.end())
    const o = await opened(t, url, [table('readings', 'readings', [], { retention: '30d', chunk: '1d' })])
    await o.commit(o.write('readings', batchOf(o.series, [['d', 'm', -29 * DAY, 1], ['d', 'm', 0, 3]])))
    await other.query('BEGIN; SELECT count(*) FROM readings')
    const began = performance.now()
    await o.commit({ ingest: INGEST + 5 * DAY })
    t.ok(performance.now() - began < 4500, `${Math.round(performance.now() - began)} ms`)
    t.strictSame([o.store.events, await rowsOf(url, 'SELECT value FROM readings ORDER BY value')], [{ retention_put_off: 1 }, [{ value: 1 }, { value: 3 }]])
    await other.query('COMMIT')
    await o.commit({ ingest: INGEST + 5 * DAY + 60_000 })
    t.strictSame(await rowsOf(url, 'SELECT value FROM readings'), [{ value: 3 }])
  })
})

type Tap = Pick<typeof t, 'teardown' | 'comment'>

/** Without background workers: policies run when a test says so. */
async function fresh (t: Tap): Promise<string> {
  const url = (await freshDatabase(t, 'timescale'))!
  await rowsOf(url, 'CREATE EXTENSION timescaledb')
  await rowsOf(url, 'SELECT _timescaledb_functions.stop_background_workers()')
  return url
}

async function opened (t: Tap, url: string, tables = [table('readings', 'readings')]): Promise<Opened> {
  const o = await new Opened(url, tables).open()
  t.teardown(() => o.store.close())
  return o
}

async function edition (t: Tap): Promise<string | undefined> {
  const url = await freshDatabase(t, 'timescale')
  if (url === undefined) return undefined
  await rowsOf(url, 'CREATE EXTENSION timescaledb')
  const [{ license }] = await rowsOf(url, `SELECT current_setting('timescaledb.license') AS license`)
  t.comment(`the server that TIMESCALE_URL names has the edition "${license}"`)
  return license
}
