/** Pipelines that are changed while devices publish: a real database, a real broker, real clients. */
import t from 'tap'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PostgresRegistry } from '../../sinks/postgres-registry.ts'
import { device, means, open, rows, until, valueOf } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { begin, match, put, stored, text } from '../support/one-pipeline.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'
import { openProxy } from '../support/proxy.ts'

/** Names of the pipelines for which a log is kept. */
const placesIn = (folder: string): string[] => readdirSync(join(folder, 'log')).flatMap(log => { const file = join(folder, 'log', log, 'places.json'); return existsSync(file) ? Object.keys(JSON.parse(readFileSync(file, 'utf8'))) : [] })
const numbers = (n: number) => Array.from({ length: n }, (_, i) => valueOf(i))

t.test('readings that are posted while their source changes, or before it is back, are put off; where none is to be, nobody waits', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), process = await open(t, url, folder)
  t.equal(await process.post(), 404)
  const of = (kept: string) => `name: p\nfrom: { http: { tenant: ${kept} } }\nto: [ postgres: { table: readings } ]\n`
  t.equal((await put(process, of('a'))).status, 201)
  let going = true
  const seen = new Set<number>(), posting = (async () => { while (going) { seen.add(await process.post()); await new Promise(resolve => setTimeout(resolve, 1)) } })()
  for (let v = 1; v <= 3; v++) t.match((await put(process, of('abcd'[v]), match(v))).json, { source: 'other' })
  going = false
  await posting
  t.strictSame([...seen].filter(status => status !== 202 && status !== 503), [])
  await process.end()
  const next = await open(t, url, folder), first: number[] = []
  await until('it is back', async () => { first.push(await next.post()); return first.at(-1) === 202 })
  t.notOk(first.includes(404))
})

t.test('replaced while a device publishes: it notices nothing, each reading is one row, the mean goes on bit for bit, each alert comes once', async t => {
  const { url, port, process } = await begin(t)
  const made = await put(process, text(port))
  t.match([made.status, made.json, made.etag], [201, { name: 'p', version: 1, state: 'running' }, '"1"'])
  const d = await device(t, port)
  let going = true
  const sending = (async () => { while (going) await d.send(1) })()
  for (let v = 1; v <= 6; v++) {
    const enough = d.sent + 30
    await until('readings come in between', () => d.sent >= enough)
    const { status, json, etag } = await put(process, text(port, { high: 50 + v, more: v % 2 === 1 ? ', zscore: { over: 1m }' : '' }), match(v))
    t.match([status, etag, json], [200, `"${v + 1}"`, { version: v + 1, source: 'same', memory: { same: ['time', '/dedupe', '/ewma'], tuned: ['/alert:high'], fresh: v % 2 === 1 ? ['/zscore'] : [], changed: [], gone: v % 2 === 1 ? [] : ['/zscore'] } }], `version ${v + 1}`)
  }
  going = false
  await sending
  await d.send((20 - d.sent % 20) + 5)       // the last incident is over
  await stored(url, d.sent)
  t.equal(d.lost, 0, 'its connection')
  t.strictSame((await rows(url, 'value')).map(r => r.value), numbers(d.sent))
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(d.sent))
  const cycles = Math.floor(d.sent / 20)
  t.strictSame(await rowsOf(url, 'SELECT state, count(*)::int AS n, count(DISTINCT incident)::int AS incidents FROM alerts GROUP BY state ORDER BY state'), [{ state: 'firing', n: cycles, incidents: cycles }, { state: 'resolved', n: cycles, incidents: cycles }])
  const { json } = await process.ask('GET', '/p')
  t.match(json, { version: 7, state: 'running', imbalance: 0, readings: { received: d.sent }, trouble: {}, lag: { records: Number } })
  const [step] = json.steps.filter((s: any) => s.id === 'ewma')
  t.match(step, { errors: 0, state_bytes: 8, in: Number, out: Number })
  t.match(json.watermark, /^\d{4}-/)
  t.strictSame((await rowsOf(url, 'SELECT action, target FROM audit WHERE action LIKE $1 ORDER BY id', ['pipeline.%'])).map(r => `${r.action} ${r.target}`), ['pipeline.create p', ...Array(6).fill('pipeline.replace p')])
})

t.test('what would become of memory is said before; what does not fit is refused, and nothing was stopped; given up when asked', async t => {
  const { url, port, process } = await begin(t)
  const windows = (every: string) => text(port, { table: 'w', more: `, tumbling: { every: ${every}, features: [ count ] }` }).replace(/alerts.*\n/, '')
  await put(process, windows('1m'))
  const run = process.pipelines.runOf('p'), other = windows('2m')
  const dry = await put(process, other, match(1), '?dryRun=true')
  t.match([dry.status, dry.json], [200, { version: 1, memory: { changed: ['/tumbling'], same: ['time', '/dedupe', '/ewma'] } }])
  const refused = await put(process, other, match(1))
  t.match([refused.status, refused.json], [409, { code: 'engine/changed', detail: /"\/tumbling"/ }])
  t.equal(process.pipelines.runOf('p'), run, 'the same run as before')
  t.equal((await process.ask('GET', '/p/versions')).json.versions.length, 1)
  t.equal((await put(process, other, match(1), '?acceptLoss=true')).json.version, 2)
  t.equal((await put(process, other)).json.version, 2, 'said again: no new version')
  t.match((await put(process, 'name: new\n' + other.slice(8), {}, '?dryRun=true', 'new')).json, { version: 0 })
  t.equal((await rowsOf(url, 'SELECT FROM pipelines')).length, 1, 'nothing is kept of a dry run')
})

t.test('a version that does not start is not kept: the one before goes on, and no reading is lost', async t => {
  const { url, port, process } = await begin(t)
  await put(process, text(port))
  const d = await device(t, port)
  await d.send(10)
  await process.ask('PUT', '/w', text(port, { name: 'w', table: 'w', more: ', tumbling: { every: 10s, features: [ count ] }' }).replace(/alerts.*\n/, ''))
  const failed = await put(process, text(port, { table: 'w' }), match(1))
  t.match([failed.status, failed.json], [422, { code: 'pipeline/not-started', detail: /^version 2 of "p" could not be started: .*"w".*\(config\/invalid\)\. Version 1 runs as before$/ }])
  await d.send(10)
  await stored(url, 20)
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(20))
  t.equal(d.lost, 0)
  const { versions } = (await process.ask('GET', '/p/versions')).json
  t.match(versions, [{ version: 2, failed: /"w"/ }, { version: 1, failed: null, author: /^\w{8}$/ }])
  t.match((await process.ask('GET', '/p')).etag, '"1"')
  t.equal((await put(process, text(port, { high: 60 }), match(1))).json.version, 3, 'numbers are not used twice')
  t.match(await rowsOf(url, "SELECT change->>'failed' AS failed, request FROM audit WHERE action = 'pipeline.revert'"), [{ failed: '2', request: /^\w{16}$/ }])
  // a new one that cannot start
  const none = await process.ask('PUT', '/q', text(port, { name: 'q', table: 'w' }))
  t.match([none.status, none.json.detail], [422, /It is not kept$/])
  t.equal((await process.ask('GET', '/q')).status, 404)
  t.strictSame(process.failures, [], 'the process is well')
})

t.test('one that was stopped by itself is started again by what it is', async t => {
  const { url, port, process } = await begin(t)
  await put(process, text(port))
  const d = await device(t, port)
  await d.send(5)
  await stored(url, 5)
  await rowsOf(url, "UPDATE checkpoint SET epoch = epoch + 1 WHERE pipeline = 'p'")         // as if another process had taken it over
  await d.send(5)
  await until('it has stopped', () => !process.pipelines.isWorking('p'))
  t.match((await put(process, text(port), match(1), '?dryRun=true')).json, { version: 1, state: 'running' })
  t.notOk(process.pipelines.isWorking('p'), 'nothing was asked for')
  const again = await put(process, text(port), match(1))
  t.match([again.status, again.json], [200, { version: 1, state: 'running' }])
  t.ok(process.pipelines.isWorking('p'))
  await d.send(5)
  await stored(url, 15)
  t.strictSame((await rows(url, 'value')).map(r => r.value), numbers(15))
  await put(process, text(port), match(1))
  t.match(await rowsOf(url, "SELECT action FROM audit WHERE target = 'p' ORDER BY id"), [{ action: 'pipeline.create' }, { action: 'pipeline.resume' }], 'one that works is left alone')
  t.equal((await rowsOf(url, "SELECT count(*)::int AS n FROM audit WHERE target = 'p'"))[0].n, 2)
})

t.test('of two writers one is told that he is late', async t => {
  const { url, port, process } = await begin(t)
  await put(process, text(port), { 'if-none-match': '*' })
  t.match(await put(process, text(port, { high: 60 }), { 'if-none-match': '*' }), { status: 412, json: { code: 'api/outdated' } })
  t.match(await put(process, text(port, { high: 60 })), { status: 409, json: { code: 'api/conflict', help: /If-Match: "1"/ } })
  const both = await Promise.all([put(process, text(port, { high: 60 }), match(1)), put(process, text(port, { high: 70 }), match(1))])
  t.strictSame(both.map(r => r.status).sort((a, b) => a - b), [200, 412])
  t.match(both.find(r => r.status === 412)!.json, { code: 'api/outdated', detail: 'the pipeline "p" is in version 2, not 1' })
  t.equal((await put(process, text(port, { high: 80 }), { 'if-match': 'W/"2"' })).status, 400)
  t.equal((await put(process, text(port, { high: 80 }), { 'if-match': '*' })).json.version, 3)
  t.equal((await process.ask('DELETE', '/p', undefined, match(1))).status, 412)
  t.equal((await put(process, text(port, { name: 'n' }), match(1), '', 'n')).status, 412, 'none is there')
  // another process, which does not stand in the same queue
  const registry = new PostgresRegistry(url), { instance } = (await registry.find('p'))!, audit = async () => (await rowsOf(url, "SELECT FROM audit WHERE action LIKE 'pipeline.%'")).length
  const before = await audit()
  for (const expected of [2, undefined]) t.equal(await registry.put({ name: 'p', instance, definition: 'x' }, expected, 'late'), undefined)
  t.equal(await registry.put({ name: 'p', instance: 'another', definition: 'x' }, 3, 'late'), undefined)
  t.equal(await registry.set('p', 'paused', 2, 'late'), false)
  t.equal(await audit(), before, 'and no line says that anything was changed')
  await registry.close()
})

t.test('rolled back: a new version that says what the old one did, and the memory goes on', async t => {
  const { url, port, process } = await begin(t)
  await put(process, text(port))
  const d = await device(t, port)
  await d.send(10)
  await stored(url, 10)
  await put(process, text(port, { high: 200 }), match(1))
  t.ok((await rowsOf(url, 'SELECT FROM snapshots WHERE position >= 10')).length > 0, 'it leaves what it remembers')
  await d.send(10)
  t.match((await process.ask('POST', '/p/rollback', { version: 1 })).json, { version: 3, memory: { tuned: ['/alert:high'], same: ['time', '/dedupe', '/ewma'] } })
  await d.send(20)
  await stored(url, 40)
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(40))
  t.match((await process.ask('GET', '/p/versions')).json.versions, [{ version: 3, restores: 1 }, { version: 2, restores: null }, { version: 1 }])
  t.match((await process.ask('GET', '/p/versions/2')).json, { name: 'p', alerts: { high: { when: { value: { above: 200 } } } } })
  t.match((await process.ask('GET', '/p/versions/2?format=yaml')).text, /^name: p\n/)
  t.equal((await process.ask('POST', '/p/rollback', { version: 9 })).status, 404)
  t.strictSame((await rowsOf(url, "SELECT action FROM audit WHERE action LIKE 'pipeline.%' ORDER BY id")).map(r => r.action), ['pipeline.create', 'pipeline.replace', 'pipeline.rollback'])
  const [kept] = await rowsOf(url, 'SELECT definition FROM pipeline_versions WHERE version = 3')
  t.equal(kept.definition, text(port), 'as it was sent')
})

t.test('paused: devices go on and what they send waits; a change waits too; then nothing is missing', async t => {
  const { url, port, process } = await begin(t)
  await put(process, text(port))
  const d = await device(t, port)
  await d.send(10)
  t.match((await process.ask('POST', '/p/pause')).json, { state: 'paused', version: 1 })
  t.match((await process.ask('POST', '/p/pause')).json, { state: 'paused' }, 'once more')
  await d.send(10)
  await stored(url, 10)
  const stands = async () => {
    const { json: { pipelines: [p] } } = await process.ask('GET', '')
    t.match(p, { pipeline: 'p', state: 'paused', trouble: {}, series: 1, readings: { received: 10, written: 10 }, imbalance: 0 })
    t.ok(p.lag.records >= 10, 'and what waits')
  }
  await stands()
  t.match((await process.ask('PUT', '/p', text(port, { high: 60 }), match(1))).json, { state: 'paused', version: 2 })
  await stands()
  const shown = await process.ask('GET', '/p/definition')
  t.strictSame(shown.json.alerts.high.when, { value: { above: 60 } }, 'what is shown is what goes by that version')
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal((await rows(url, 'value')).length, 10)
  t.match((await process.ask('POST', '/p/resume')).json, { state: 'running', version: 2 })
  await d.send(5)
  await stored(url, 25)
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(25))
  t.equal(d.lost, 0)
  t.equal((await process.ask('POST', '/none/pause')).status, 404)
  t.strictSame((await rowsOf(url, "SELECT action FROM audit WHERE action LIKE 'pipeline.%' ORDER BY id")).map(r => r.action), ['pipeline.create', 'pipeline.pause', 'pipeline.replace', 'pipeline.resume'])
})

t.test('deleted: its rows stay, its memory does not, its port is free; put again it begins anew, with what its log still has', async t => {
  const { url, folder, port, process } = await begin(t)
  await put(process, text(port))
  await until('its log is kept', () => placesIn(folder).includes('p'))
  const d = await device(t, port)
  await d.send(10)
  t.match((await process.ask('DELETE', '/p', undefined, match(1))).json, { state: 'deleted' })
  t.equal((await process.ask('GET', '/p')).status, 404)
  t.equal((await rows(url, 'value')).length, 10, 'what was acknowledged is there')
  await until('the broker has gone', () => d.lost === 1)
  for (const table of ['checkpoint', 'counts', 'snapshots', 'snapshot_pages', 'marks']) t.equal((await rowsOf(url, `SELECT FROM ${table}`)).length, 0, table)
  t.strictSame(placesIn(folder), [], 'no log is kept for it')
  t.match((await put(process, text(port))).json, { version: 2 })
  const again = await device(t, port, 'e')
  await again.send(3)
  await until('it reads', async () => (await rows(url, 'ewma', 'readings', 'e')).length === 3)
  t.match((await process.ask('GET', '/p')).json, { readings: { received: 13, written: 3, deduplicated: 10 }, imbalance: 0 })
})

t.test('the next process brings back what is wanted: running, paused, deleted, and what was under way when the last one died', async t => {
  const { url, folder, port, process } = await begin(t)
  const other = await freePort()
  await put(process, text(port))
  await process.ask('PUT', '/q', text(other, { name: 'q', table: 'q' }))
  const d = await device(t, port), e = await device(t, other)
  await d.send(10)
  await e.send(10)
  await process.ask('POST', '/q/pause')
  await e.send(10)
  await process.end()
  // killed between the database and the effect: version 2 is wanted, and version 1 is what ran
  const registry = new PostgresRegistry(url), { instance } = (await registry.find('p'))!
  t.match(await registry.put({ name: 'p', instance, definition: text(port, { more: ', zscore: { over: 1m }' }) }, 1, 'somebody'), { version: 2, settled: false, previous: 1 })
  const second = await open(t, url, folder)
  await until('version 2 runs', async () => (await registry.find('p'))!.settled)
  t.match((await second.ask('GET', '')).json.pipelines.map((p: any) => [p.pipeline, p.state, p.version]).sort(), [['p', 'running', 2], ['q', 'paused', 1]])
  const f = await device(t, port)
  f.sent = 10
  await f.send(10)
  await stored(url, 20)
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(20))
  t.ok((await rows(url, 'zscore')).at(-1).zscore !== undefined)
  await second.ask('POST', '/q/resume')
  await until('what waited', async () => (await rows(url, 'value', 'q')).length === 20)
  await second.end()
  // a version that cannot start, and one that was to go
  await registry.put({ name: 'p', instance, definition: text(port, { table: 'devices' }) }, 2, 'somebody')
  await registry.set('q', 'deleted', 1, 'somebody')
  const third = await open(t, url, folder)
  await until('version 2 runs again', async () => { const p = (await registry.find('p'))!; return p.settled && p.version === 2 })
  await until('the other is gone', async () => (await registry.find('q'))!.settled)
  t.match((await third.ask('GET', '')).json.pipelines.map((p: any) => [p.pipeline, p.version]), [['p', 2]])
  t.equal((await rowsOf(url, "SELECT FROM checkpoint WHERE pipeline = 'q'")).length, 0)
  await registry.close()
})

t.test('a pipeline of the command line is what its file says; one of another folder belongs to another process', async t => {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort()
  const process = await open(t, url, folder, { files: [text(port)] })
  for (const [method, path, body] of [['PUT', '', text(port)], ['DELETE', '', undefined], ['POST', '/pause', undefined], ['POST', '/resume', undefined], ['POST', '/rollback', { version: 1 }]] as const) {
    const reply = await process.ask(method, `/p${path}`, body)
    t.match([reply.status, reply.json.code], [path === '/rollback' ? 404 : 409, path === '/rollback' ? 'api/not-found' : 'api/conflict'], `${method} ${path}`)
    if (path !== '/rollback') t.match(reply.json.detail, /plant\.yaml/)
  }
  t.match((await process.ask('GET', '/p')).json, { file: 'plant.yaml', state: 'running' })
  const q = await freePort()
  t.equal((await process.ask('PUT', '/q', text(q, { name: 'q' }))).status, 201)
  const elsewhere = await open(t, url, temporary(t))
  t.match(await elsewhere.ask('PUT', '/q', text(q, { name: 'q', high: 70 }), match(1)), { status: 409, json: { detail: /belongs to another instance/ } })
  t.equal((await elsewhere.ask('GET', '/q')).status, 404)
})

t.test('what is sent sees neither files nor the environment, and a key of one tenant changes nothing', async t => {
  const { port, process } = await begin(t)
  for (const [source, what] of [['replay: { files: /etc/passwd }', 'replay.files'], ['mqtt: { topic: "{device}/{metric}", tls: x, ca: /etc/ssl/x }', 'tls'], ['nats: { subject: "{tenant}.{device}.{metric}", tls: { ca: /etc/x } }', 'nats.tls.ca']]) {
    const reply = await put(process, `name: p\nfrom: { ${source} }\nto: [ stdout ]\n`)
    t.match([reply.status, reply.json.detail], [400, new RegExp(what.replaceAll('.', '\\.'))], source)
  }
  t.match(await put(process, text(port).replace('postgres: { table: readings }', 'file: { table: r, folder: /tmp/x }')), { status: 400, json: { detail: /file\.folder names a file/ } })
  t.match(await put(process, text(port).replace('above: 50', 'above: "${HOME}"')), { status: 400, json: { code: 'config/environment' } })
  t.match(await put(process, text(port), {}, '', 'another'), { status: 400, json: { detail: 'the pipeline is called "p", and was sent as "another"' } })
  t.match(await put(process, 'name: p\n'), { status: 400, json: { code: 'config/missing' } })
  const key = await process.key(['pipelines:write'], 'north')
  t.match(await put(process, text(port), { authorization: `Bearer ${key}` }), { status: 403, json: { detail: /of the tenant "north"/ } })
})

t.test('tried out on some readings: rows, scores and alerts come back, and nothing is kept', async t => {
  const { url, port, process } = await begin(t)
  const given = '00:00:00 d/m 10\n00:00:01 d/m 80\n00:00:02 d/m -\n00:00:03 d/m 20\n'
  const tried = async (pipeline: string, lines: string) => await process.ask('POST', '/try', { pipeline, given: lines })
  const { status, json } = await tried(text(port), given)
  t.equal(status, 200)
  t.match(json, {
    rows: { trunk: [{ series: 'd/m', value: 10, ewma: 10 }, { value: 80, ewma: 45 }, { value: null, ewma: 45 }, { value: 20, ewma: 32.5 }] },
    alerts: { high: [{ state: 'firing', time: '2000-01-01T00:00:01.000Z', value: 80 }, { state: 'resolved', value: 20 }] }, counts: { received: 4, late: 0 }, truncated: false
  })
  t.match(await tried('name: x\n', given), { status: 400, json: { code: 'config/missing' } })
  t.match(await tried(text(port), '00:00:00 d/m x\n'), { status: 400, json: { detail: /^given, line 1: "x" is not a number/ } })
  t.match(await tried(text(port), '00:00:00 d/m 1\n'.repeat(5001)), { status: 400, json: { detail: /at most 5000/ } })
  t.strictSame(await rowsOf(url, 'SELECT name FROM pipelines'), [])
  t.strictSame(await rowsOf(url, "SELECT to_regclass('readings') AS made"), [{ made: null }])
})

t.test('deleted while its own database is away: nothing of it runs, and what it remembers is given up when the database is back', async t => {
  const { url, port, process } = await begin(t), its = new URL((await freshDatabase(t))!), proxy = await openProxy(its.hostname, Number(its.port))
  t.teardown(() => proxy.close())
  const direct = its.href
  its.port = String(proxy.port)
  const body = text(port).replace('table: readings', `table: readings, url: "${its.href}"`)
  t.equal((await put(process, body)).status, 201)
  const d = await device(t, port)
  await d.send(5)
  await until('it writes there', async () => (await rowsOf(direct, 'SELECT FROM readings')).length === 5)
  proxy.fate = () => 'cut'
  const deleted = await process.ask('DELETE', '/p')
  t.match([deleted.status, deleted.json], [200, { state: 'deleted' }], deleted.text)
  t.equal((await process.ask('GET', '/p')).status, 404)
  t.match(await put(process, body), { status: 503, json: { code: 'store/unreachable' } }, 'none can be put in its place yet')
  t.strictSame(await rowsOf(url, 'SELECT state, settled FROM pipelines'), [{ state: 'deleted', settled: false }])
  proxy.fate = () => 'pass'
  await until('it is given up', async () => (await rowsOf(url, 'SELECT settled FROM pipelines'))[0].settled === true)
  t.strictSame(await rowsOf(direct, 'SELECT FROM checkpoint'), [])
  t.match(await put(process, body), { status: 201, json: { version: 2 } })
  // put again at once, without waiting for that
  proxy.fate = () => 'cut'
  t.equal((await process.ask('DELETE', '/p')).status, 200)
  proxy.fate = () => 'pass'
  t.match(await put(process, body), { status: 201, json: { version: 3 } })
})
