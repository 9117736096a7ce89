import { appendFileSync, existsSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import t, { type Test } from 'tap'
import pg from 'pg'
import { newKey } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { isoMicros } from '../../engine/iso.ts'
import { normalise } from '../../engine/lint.ts'
import { planTables } from '../../engine/plan.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { freshDatabase, quiet, rowsOf, type Kind } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'
import { batchOf, Opened, T0 } from '../support/store.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const file = 'name: p\nfrom: { simulator: {} }\npipe: [ zscore ]\nto: [ postgres: { table: readings } ]\n'

/** The API over a real table, and the real command. */
async function open (t: Test, kind: Kind = 'postgres') {
  const url = (await freshDatabase(t, kind))!, folder = temporary(t), pipeline = normalise(readYaml(file, components, { file: 'p.yaml' }).pipeline!, components)
  const store = await new Opened(url, planTables(pipeline).tables.map(table => ({ ...table, options: { ...table.options, url } }))).open()
  const keys = new PostgresKeys(url), query = new PostgresQuery(url), pages: number[] = [], as = query.as.bind(query)
  query.as = asker => counting(as(asker), pages)
  const app = await plan({ runs: () => [{ pipeline, store: store.store }] as never, stopping: () => false, components, keys, query }, quiet)
  const at = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => { await app.close(); await keys.close(); await query.close(); await store.store.close() })
  const keyOf = async (tenant: string | null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: ['query:read'], expires: null }, 'test')
    return key
  }
  const key = await keyOf(null)
  let written = 0
  const commit = async (rows: number, device = 'pump') => {
    await store.commit(store.write('readings', batchOf(store.series, Array.from({ length: rows }, () => [device, 'temp', 1000 * written, written++, { zscore: 0, seq: 0 }] as const))))
  }
  const run = (...args: string[]) => start(t, ['export', 'readings', '--url', at, ...args], { MILLRACE_KEY: key })
  const done = async (...args: string[]) => { const one = run(...args); const code = await one.ended; return { code, out: one.out, err: one.err } }
  const get = async (search: string, as = key) => await fetch(`${at}/api/v1/tables/readings/export?${search}`, { headers: { authorization: `Bearer ${as}` } })
  return { url, folder, commit, run, done, get, keyOf, store, pages }
}
/** Says how many rows each page of an export has that is asked for. */
function counting (query: PostgresQuery, pages: number[]): PostgresQuery {
  const begin = query.export.bind(query)
  query.export = async asked => {
    const exported = await begin(asked)
    return { ...exported, pages: (async function* () { for await (const page of exported.pages) { pages.push(page.length); yield page } })() }
  }
  return query
}
const ROWS = 60_000
const lines = (path: string) => readFileSync(path, 'utf8').split('\r\n').slice(1, -1)
const values = (path: string) => lines(path).map(line => Number(line.split(',')[4])).sort((a, b) => a - b)
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i)

t.test('a whole table as CSV and as lines of JSON; of a key of one tenant only what is its own; a name with everything in it stays one cell', async t => {
  const { folder, commit, done, get, keyOf } = await open(t), to = join(folder, 'all.csv')
  await commit(3)
  await commit(1, 'odd "na,me\n')
  t.match(await done('--to', to), { code: 0, out: /^4 rows, \d+ bytes in / })
  t.equal(readFileSync(to, 'utf8').split('\r\n')[0], 'time,tenant,device,metric,value,zscore')
  t.match(readFileSync(to, 'utf8'), `${new Date(T0).toISOString().slice(0, -1)}000Z,acme,pump,temp,0,0\r\n`)
  t.match(readFileSync(to, 'utf8'), ',"odd ""na,me\n",temp,3,0\r\n')
  t.match(await done('--to', join(folder, 'all.ndjson')), { code: 0, out: /^4 rows, / })
  t.match(await done('--to', join(folder, 'none', 'all.csv')), { code: 2, err: /there is no folder .*none/ })
  const json = (await (await get('format=ndjson&device=pump&columns=value')).text()).trim().split('\n').map(line => JSON.parse(line) as object)
  t.strictSame(json[2], { time: `${new Date(T0 + 2000).toISOString().slice(0, -1)}000Z`, tenant: 'acme', device: 'pump', metric: 'temp', value: 2 })
  t.equal(json.length, 3)
  t.equal((await (await get(`from=${new Date(T0 + 1000).toISOString()}&to=${new Date(T0 + 2000).toISOString()}`)).text()).split('\r\n').length, 3)
  t.equal(await (await get('', await keyOf('other'))).text(), 'time,tenant,device,metric,value,zscore\r\n')
  const [, system] = /^(\d+\.\d+)\./.exec((await get('')).headers.get('x-export-place')!)!
  for (const odd of ['5:3:', '5:9:99', '0:0:', '5:9:,,,']) {
    const reply = await get(`since=${system}.${odd}`)
    t.match([reply.status, await reply.json()], [400, { code: 'api/invalid', detail: /since is no place of an export/ }], odd)
  }
  for (const [search, status] of [['since=x', 400], ['since=1.1.1:1:', 400], ['columns=none', 400], ['from=2024-01-02T00:00:00Z&to=2024-01-01T00:00:00Z', 400], ['tenant=a', 200]] as const) t.equal((await get(search)).status, status, search)
})

t.test('a whole table as Parquet: the same rows, with types; nothing can be added to it', async t => {
  const { folder, commit, done, get } = await open(t), to = join(folder, 'all.parquet')
  await commit(3000)
  await commit(1, 'odd "na,me\n')
  t.match(await done('--to', to), { code: 0, out: /^3001 rows, \d+ bytes in / })
  const json = (await (await get('format=ndjson')).text()).trim().split('\n').map(line => JSON.parse(line) as { time: string })
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(to), parsers: { timestampFromMicroseconds: (us: bigint) => isoMicros(Number(us) / 1000) } })
  t.strictSame(rows, json)
  t.equal((await get('format=parquet&device=nobody')).headers.get('content-type'), 'application/vnd.apache.parquet')
  t.match(await done('--to', to, '--incremental'), { code: 2, err: /nothing can be added/ })
  t.notOk(existsSync(`${to}.state`))
  await commit(1)
  t.match(await done('--to', join(folder, 'like.this'), '--format', 'parquet', '--device', 'pump', '--json'), { code: 0, out: /"rows":3001,/ })
})

for (const kind of ['postgres', 'timescale'] as const) {
  t.test(`what was committed since the last export, in whatever order it was, on ${kind}`, async t => {
    if (await freshDatabase(t, kind) === undefined) return
    const { url, commit, get } = await open(t, kind)
    await commit(2)
    const series = (await rowsOf(url, 'SELECT id FROM series'))[0].id as number
    const slow = new pg.Client(url), quick = new pg.Client(url)
    for (const client of [slow, quick]) { client.on('error', () => {}); await client.connect() }
    t.teardown(async () => { await slow.end(); await quick.end() })
    const put = (client: pg.Client, value: number) => client.query('INSERT INTO readings (time, series, value, position, ingested_at) VALUES ($1, $2, $3, 1, now())', [new Date(T0 + 1000 * value), series, value])
    let place: string | null = null
    const next = async () => {
      const reply = await get(place === null ? '' : `since=${place}`)
      place = reply.headers.get('x-export-place')
      return (await reply.text()).split('\r\n').slice(1, -1).map(line => Number(line.split(',')[4]))
    }
    t.strictSame(await next(), [0, 1])
    t.strictSame(await next(), [])
    await slow.query('BEGIN')
    await put(slow, 50)
    await put(quick, 51)
    t.strictSame(await next(), [51], 'of one that began later and was committed first')
    await slow.query('COMMIT')
    await put(quick, 10)
    t.strictSame(await next(), [10, 50], 'and of one that began before the last export and was committed after it')
    await slow.query('BEGIN')
    await put(slow, 60)
    await slow.query('ROLLBACK')
    await rowsOf(url, 'VACUUM FREEZE readings')
    t.strictSame(await next(), [], 'rows that were frozen are not new')
    await rowsOf(url, 'UPDATE readings SET value = 61 WHERE value = 51')
    t.strictSame(await next(), [61], 'what was replaced is')
  })

  t.test(`a commit that is open during an export comes with the next one, also when some of its rows are there already or refused, on ${kind}`, async t => {
    if (await freshDatabase(t, kind) === undefined) return
    const { url, get, store } = await open(t, kind)
    const commit = (...values: number[]) => store.commit(store.write('readings', batchOf(store.series, values.map(value => ['pump', 'temp', 1000 * value, value, { zscore: 0, seq: 0 }] as const))))
    const since = async (place: string) => {
      const reply = await get(`since=${place}`)
      return { place: reply.headers.get('x-export-place')!, values: (await reply.text()).split('\r\n').slice(1, -1).map(line => Number(line.split(',')[4])) }
    }
    await rowsOf(url, 'ALTER TABLE readings ADD CONSTRAINT plausible CHECK (value < 1000)')
    await commit(1)
    let place = (await get('')).headers.get('x-export-place')!
    for (const [what, given, expected] of [['a duplicate', [1, 2, 3], [2, 3]], ['a refused row', [4, 5000, 5, 6], [4, 5, 6]], ['both', [6, 7, 6000, 8], [7, 8]]] as const) {
      const holder = new pg.Client(url)
      holder.on('error', () => {})
      await holder.connect()
      await holder.query('BEGIN; LOCK TABLE counts')
      const committed = commit(...given)
      for (const end = Date.now() + 20_000; (await rowsOf(url, "SELECT FROM pg_locks WHERE NOT granted AND relation = 'counts'::regclass")).length === 0 && Date.now() < end;) await new Promise(resolve => { setTimeout(resolve, 20) })
      await rowsOf(url, 'CREATE TABLE beside (); DROP TABLE beside')      // a later transaction is over: the newest of the snapshot is behind those of the commit
      const during = await since(place)
      t.strictSame(during.values, [], `${what}: nothing of it yet`)
      await holder.end()
      await committed
      const after = await since(during.place)
      t.strictSame(after.values, expected, `${what}: all of it`)
      place = after.place
    }
  })
}

t.test('a file that grows: killed at any moment, no line is missing and none is there twice', async t => {
  const { folder, commit, run, done } = await open(t), to = join(folder, 'grows.csv'), state = `${to}.state`
  let rows = 0, killed = 0
  const more = async (n: number) => { await commit(n); rows += n }
  await more(20_000)
  t.match(await done('--to', to, '--incremental', '--json'), { code: 0, out: /"rows":20000/ })
  t.match(await done('--to', to, '--incremental'), { code: 0, out: /^0 rows, 0 bytes/ })
  for (let k = 0; k < 4; k++) {
    await more(20_000)
    const one = run('--to', to, '--incremental'), before = readFileSync(state, 'utf8'), size = readFileSync(to).length
    if (k % 2 === 0) await one.until(() => readFileSync(to).length > size || one.child.exitCode !== null).catch(() => {})
    else await new Promise(resolve => { setTimeout(resolve, 700 + 300 * k) })
    one.child.kill('SIGKILL')
    await one.ended
    if (readFileSync(state, 'utf8') === before) killed++
  }
  t.ok(killed > 0, `${killed} of 4 were killed before their end`)
  appendFileSync(to, 'half a li')
  writeFileSync(`${state}.new`, '{"of":')
  t.equal((await done('--to', to, '--incremental')).code, 0)
  t.strictSame(values(to), upTo(rows))
  t.equal(lines(to).filter(line => line.startsWith('time')).length, 0, 'one header')
  renameSync(to, join(folder, 'away.csv'))
  await more(5)
  t.match(await done('--to', to, '--incremental'), { code: 0, out: /^5 rows/ })
  t.strictSame(values(to), upTo(rows).slice(-5), 'a file that was moved away begins anew, with what is new')
  t.match(readFileSync(to, 'utf8'), /^time,tenant/)
  t.match(await done('--to', to, '--incremental', '--device', 'x'), { code: 2, err: /is of another export/ })
  truncateSync(to, 10)
  t.match(await done('--to', to, '--incremental'), { code: 2, err: /cut off/ })
  writeFileSync(join(folder, 'mine.csv'), 'mine')
  t.match(await done('--to', join(folder, 'mine.csv'), '--incremental'), { code: 2 })
  t.equal(readFileSync(join(folder, 'mine.csv'), 'utf8'), 'mine')
  t.notOk(existsSync(join(folder, 'none.csv')))
})

t.test('of many rows as much is in memory as is read, and two exports at once are enough', async t => {
  const { url, commit, get, pages, keyOf } = await open(t)
  await commit(1, 'pump'.padEnd(1000, '-'))
  await rowsOf(url, `INSERT INTO readings (time, series, value, position, ingested_at) SELECT timestamptz '2024-01-01' + n * interval '1 s', (SELECT id FROM series), n, 1, now() FROM generate_series(1, ${ROWS - 1}) n`)
  const read = async (reply: Response) => { let rows = -1; for await (const bytes of reply.body! as unknown as AsyncIterable<Uint8Array>) for (const byte of bytes) if (byte === 10) rows++; return rows }
  const slow = await get('')
  for (let before = -1; before < pages.length;) {
    before = pages.length
    await new Promise(resolve => { setTimeout(resolve, 500) })
  }
  t.ok(pages.length < ROWS / 2000 / 2, `${pages.length} pages of 2,000 rows while nobody reads`)
  t.match(await rowsOf(url, "SELECT state FROM pg_stat_activity WHERE application_name = 'millrace-export'"), [{ state: 'idle in transaction' }], 'the others are in the database still')
  t.equal(await read(slow), ROWS)
  t.strictSame(pages, Array(ROWS / 2000).fill(2000))
  const [one, two] = [await get(''), await get('')]
  const three = await get('')
  t.equal(three.status, 503)
  t.equal((await get('', await keyOf('other'))).status, 200, 'another tenant does not wait for them')
  await one.body!.cancel()
  t.equal(await read(two), ROWS)
  for (const end = Date.now() + 60_000; (await get('columns=value&device=nobody')).status !== 200 && Date.now() < end;) await new Promise(resolve => { setTimeout(resolve, 50) })
  t.equal((await get('device=nobody')).status, 200, 'one that was broken off makes room')
})
