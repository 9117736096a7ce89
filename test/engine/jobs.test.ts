/** Work that takes longer than a request: its files, how long it is kept, what a process leaves of it. */
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import t from 'tap'
import { ExportRows } from '../../engine/export-job.ts'
import { Jobs, Stopped, type JobHost } from '../../engine/jobs.ts'
import type { ExportAsked } from '../../engine/query.ts'
import { PostgresJobs } from '../../sinks/postgres-jobs.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { begin, ended, numbers, stored, text } from '../support/backfill.ts'
import { device, means, open, until } from '../support/control.ts'
import { quiet, rowsOf } from '../support/postgres.ts'

t.test('an export as a job: the file has each row once, and belongs to its tenant', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  const d = await device(t, port)
  await d.send(25)
  await stored(url, 25)
  const made = await process.call('POST', '/jobs', { kind: 'export', table: 'readings', columns: 'value,ewma' })
  t.match(await ended(process, made.json.id), { state: 'done', done: 25, total: 25, detail: '25 rows' })
  const { text: file } = await process.call('GET', `/jobs/${made.json.id}/result`), [head, ...lines] = file.trimEnd().split('\r\n')
  t.equal(head, 'time,tenant,device,metric,value,ewma')
  t.strictSame(lines.map(line => line.split(',').slice(1).join()), numbers(25).map((v, i) => `t,d,m,${v},${means(25)[i]}`))
  const foreign = { authorization: `Bearer ${await process.key(['jobs:read', 'jobs:write'], 'north')}` }
  t.equal((await process.call('GET', `/jobs/${made.json.id}/result`, undefined, foreign)).status, 404)
  const theirs = await process.call('POST', '/jobs', { kind: 'export', table: 'readings', format: 'ndjson' }, foreign)
  t.match(await ended(process, theirs.json.id), { state: 'done', done: 0, tenant: 'north' })
  t.equal((await process.call('GET', `/jobs/${theirs.json.id}/result`, undefined, foreign)).text, '')
  t.equal((await process.call('POST', '/jobs', { kind: 'export', table: 'readings', tenant: 't' }, foreign)).status, 404)
  t.match(await process.call('POST', '/jobs', { kind: 'export', table: 'readings', device: '\ud800' }), { status: 202, json: { asked: { series: { device: '\ufffd' } } } }, 'a name that PostgreSQL cannot hold')
})

t.test('an export as a job can be Parquet, and its file goes with it', async t => {
  const { url, folder, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  const d = await device(t, port)
  await d.send(25)
  await stored(url, 25)
  const made = await process.call('POST', '/jobs', { kind: 'export', table: 'readings', columns: 'value,ewma,position', format: 'parquet' })
  t.match(await ended(process, made.json.id), { state: 'done', detail: '25 rows' })
  t.equal((await process.call('GET', `/jobs/${made.json.id}/result`)).status, 200)
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, 'exports', `${made.json.id}.parquet`)) })
  t.strictSame(rows.map(r => [r.tenant, r.device, r.metric, r.value, r.ewma, typeof r.position]), numbers(25).map((v, i) => ['t', 'd', 'm', v, means(25)[i], 'bigint']))
  t.ok(rows.every(r => r.time instanceof Date))
})

t.test('what is over is kept for so many jobs of each tenant and so many days, with its file; what is older goes, also at a start', async t => {
  const { url, folder, port, process: first } = await begin(t), kept = (tenant: string | null) => ({ most: tenant === 'north' ? 1 : 2, age: 864e5 })
  await first.ask('PUT', '/p', text(port))
  await stored(url, 0)
  await first.end()
  const process = await open(t, url, folder, { kept }), files = () => readdirSync(join(folder, 'exports')).map(name => name.split('.')[0]).toSorted()
  const north = { authorization: `Bearer ${await process.key(['jobs:read', 'jobs:write'], 'north')}` }, ids: string[] = []
  await until('p runs', async () => (await process.call('GET', '/tables')).json.tables.length > 0)
  const made = async (format: string, as?: Record<string, string>) => {
    const { json: { id } } = await process.call('POST', '/jobs', { kind: 'export', table: 'readings', format }, as)
    await ended(process, id)
    ids.push(id)
  }
  const there = async () => ((await process.call('GET', '/jobs')).json.rows ?? []).map((job: { id: string }) => job.id).toSorted()
  await made('csv')
  await made('csv', north)
  for (const format of ['ndjson', 'csv', 'ndjson']) await made(format)
  const [, theirs, , late, last] = ids
  await until('the first two have gone', async () => (await there()).length === 3 && files().length === 3)
  t.strictSame([await there(), files()], [[theirs, late, last].toSorted(), [theirs, late, last].toSorted()])
  t.equal((await process.call('GET', `/jobs/${ids[0]}/result`)).status, 404)
  t.equal((await process.call('GET', `/jobs/${last}/result`)).status, 200)
  await process.end()
  await rowsOf(url, "UPDATE jobs SET ended_at = now() - interval '25 hours' WHERE id = ANY($1)", [[theirs, last]])
  await open(t, url, folder, { kept })
  await until('two more', () => files().length === 1)
  t.strictSame([files(), (await rowsOf(url, 'SELECT id FROM jobs')).map(r => r.id as string)], [[late], [late]])
})

t.test('what a process has left of uploads goes with the next start, apart from that of its jobs', async t => {
  const { url, folder, process } = await begin(t), uploads = join(folder, 'uploads')
  await process.end()
  mkdirSync(uploads, { recursive: true })
  for (const name of ['left.csv', 'left.ndjson', 'new.csv']) writeFileSync(join(uploads, name), 'time,m\n')
  for (const name of ['left.csv', 'left.ndjson']) utimesSync(join(uploads, name), 1, 1)
  await open(t, url, folder)
  await until('it is gone', () => readdirSync(uploads).join() === 'new.csv')
})

t.test('of an export that was cancelled or failed no file stays', async t => {
  const { url, folder, port, process } = await begin(t), dir = join(folder, 'exports'), files = () => existsSync(dir) ? readdirSync(dir) : []
  await process.ask('PUT', '/p', text(port))
  await (await device(t, port)).send(5)
  await stored(url, 5)
  // the real rows, which then have no end
  const query = new PostgresQuery(url)
  let broken = false
  const held: object = { as: () => held, export: async (asked: ExportAsked) => {
    const found = await query.export(asked)
    const pages = async function* () {
      yield* found.pages
      for (;;) {
        await new Promise(resolve => setTimeout(resolve, 20))
        if (broken) throw new Error('the connection is gone')
        yield []
      }
    }
    return { ...found, pages: pages() }
  } }
  const jobs = new Jobs({ store: new PostgresJobs(url), kinds: { export: new ExportRows(folder, held as unknown as PostgresQuery) }, instance: () => 'i', kept: () => ({ most: 10, age: Infinity }), log: quiet })
  t.teardown(async () => { await jobs.close(); await query.close() })
  const asked = (device: string) => ({ table: { table: 'readings', kind: 'readings', columns: ['value'] }, series: { device }, range: { from: 0, to: 1e13 }, format: 'csv' })
  const made = async (device: string) => (await jobs.start('export', { target: 'readings', asked: asked(device), tenant: null, author: 'me' })).id, state = async (id: string) => (await rowsOf(url, 'SELECT state FROM jobs WHERE id = $1', [id]))[0].state
  const cancelled = await made('d'), failed = await made('none')
  await until('both have a file', () => files().length === 2)
  await jobs.cancel(cancelled, { tenant: undefined, id: 'me' })
  broken = true
  await until('both are over', async () => await state(cancelled) === 'cancelled' && await state(failed) === 'failed')
  await until('nothing stays', () => files().length === 0)
})

t.test('jobs that wait for their body count as under way, for their own tenant', async t => {
  const { url } = await begin(t), jobs = new Jobs({ store: new PostgresJobs(url), kinds: { k: { run: async () => 'done' } }, instance: () => 'i', kept: () => ({ most: 10, age: Infinity }), log: quiet })
  t.teardown(() => jobs.close())
  const held: (() => void)[] = [], begun = (tenant: string) => jobs.start('k', { target: 'x', asked: {}, tenant, author: 'me' }, () => new Promise<void>(resolve => { held.push(resolve) }))
  const mine = [begun('a'), begun('a')]
  let taken = false
  await t.rejects(jobs.start('k', { target: 'x', asked: {}, tenant: 'a', author: 'me' }, async () => { taken = true }), { code: 'api/too-many', message: /2 jobs of this tenant/ })
  t.notOk(taken, 'refused before anything is taken')
  const theirs = begun('b')
  for (const go of held) go()
  t.match(await Promise.all([...mine, theirs]), [{ tenant: 'a' }, { tenant: 'a' }, { tenant: 'b' }])
})

t.test('that a job was cancelled, and by whom, is told once, in one transaction with its end; one that fails instead was not', async t => {
  const { url } = await begin(t), until = (error: () => Error) => async (_: unknown, { signal }: JobHost): Promise<string> => await new Promise((_, fail) => { signal.addEventListener('abort', () => { fail(error()) }) })
  const jobs = new Jobs({ store: new PostgresJobs(url), kinds: { stops: { run: until(() => new Stopped('it stopped')) }, breaks: { run: until(() => new Error('it broke')) } }, instance: () => 'i', kept: () => ({ most: 10, age: Infinity }), log: quiet })
  t.teardown(() => jobs.close())
  const made = async (kind: string) => (await jobs.start(kind, { target: 'x', asked: {}, tenant: 'a', author: 'me' })).id, cancel = (id: string, by: string) => jobs.cancel(id, { tenant: 'a', id: by, request: `of ${by}` })
  const [stops, breaks] = [await made('stops'), await made('breaks')]
  t.match(await Promise.all([cancel(stops, 'ada'), cancel(stops, 'bob'), cancel(breaks, 'ada')]), [{ state: 'cancelled' }, { state: 'cancelled' }, { state: 'failed', detail: 'it broke' }])
  const told = await rowsOf(url, "SELECT a.target, a.actor, a.tenant, a.request, a.xmin = j.xmin AS together FROM audit a JOIN jobs j ON j.id = a.target WHERE action = 'job.cancel'")
  const actor = told[0]?.actor === 'bob' ? 'bob' : 'ada'        // of two at the same moment either may come first
  t.strictSame(told, [{ target: stops, actor, tenant: 'a', request: `of ${actor}`, together: true }])
})

t.test('a process that ends before anything was changed leaves no job behind that is running', async t => {
  const { url, folder, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  await process.end()
  const [{ instance }] = await rowsOf(url, 'SELECT instance FROM pipelines')
  for (const kind of ['backfill', 'export']) await rowsOf(url, "INSERT INTO jobs (id, kind, instance, target, asked, author) VALUES ($1, $1, $2, 'p', '{\"pipeline\":\"p\"}', 'x')", [kind, instance])
  await rowsOf(url, "INSERT INTO jobs (id, kind, instance, target, asked, author) VALUES ('other', 'export', 'another', 'p', '{}', 'x')")
  const next = await open(t, url, folder)
  await until('they have ended', async () => (await next.call('GET', '/jobs?state=interrupted')).json.rows.length === 2)
  t.match((await next.call('GET', '/jobs?state=running')).json.rows, [{ id: 'other' }], 'of another process')
})
