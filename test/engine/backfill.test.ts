/** Pipelines that work through their past and then go on with their own source: a real database, a real broker, real devices. */
import t, { type Test } from 'tap'
import { newKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { begin, csv, ended, numbers, sending, stored, text } from '../support/backfill.ts'
import { device, means, rows, until, valueOf } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const closed = async (url: string, table: string, upTo: number) => await rowsOf(url, `SELECT device, time, count, mean FROM ${table}_named WHERE NOT provisional AND time < to_timestamp($1::float8 / 1000) ORDER BY device, time`, [upTo])

t.test('a new step learns from all that there was, while a device publishes: every row is what one uninterrupted pipeline would have written', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port, { alpha: 0.25 }))
  const d = await device(t, port)
  await d.send(60)
  await stored(url, 60)
  t.equal((await process.ask('PUT', '/p', text(port), { 'if-match': '"1"' })).status, 200)
  await d.send(5)
  await stored(url, 65)
  t.notSame((await rows(url, 'ewma')).map(r => r.ewma), means(65), 'the mean of two weights')
  const stop = sending(d)
  const made = await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p' })
  t.match([made.status, made.json], [202, { kind: 'backfill', target: 'p', state: 'running', tenant: null, author: /^\w{8}$/ }])
  const job = await ended(process, made.json.id)
  t.match(job, { state: 'done', detail: /goes on with its own source/ })
  t.equal(job.done, job.total)
  await stop(20)
  await stored(url, d.sent)
  t.equal(d.lost, 0, 'its connection')
  t.strictSame((await rows(url, 'value')).map(r => r.value), numbers(d.sent))
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(d.sent), 'bit for bit that of one pipeline')
  const { json } = await process.ask('GET', '/p')
  t.match(json, { imbalance: 0, trouble: {} })
  t.match(await rowsOf(url, "SELECT action, target, request FROM audit WHERE action LIKE 'job%'"), [{ action: 'job.start', target: made.json.id, request: /^\w{16}$/ }])
})

t.test('what the log still has is a past too, as it came, also where the table has not what came', async t => {
  const { url, port, process } = await begin(t), doubled = (alpha: number) => text(port, { alpha, more: ', scale: { factor: 2 }' })
  await process.ask('PUT', '/p', doubled(0.25))
  t.equal((await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p', log: true, table: 'readings' })).status, 400)
  const d = await device(t, port)
  await d.send(60)
  await d.client.publishAsync('t/d/m', 'nonsense', { qos: 1 })
  await stored(url, 60)
  t.equal((await process.ask('PUT', '/p', doubled(0.5), { 'if-match': '"1"' })).status, 200)
  t.match((await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p' })).json, { status: 400, detail: /gives them other values/ })
  const stop = sending(d)
  const made = await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p', log: true })
  t.equal(made.status, 202, made.text)
  const job = await ended(process, made.json.id)
  t.match(job, { state: 'done', detail: /goes on with its own source/ })
  t.ok(job.total >= 60)
  await stop(20)
  await stored(url, d.sent)
  t.equal(d.lost, 0, 'its connection')
  t.strictSame((await rows(url, 'value, ewma')).map(r => [r.value, r.ewma]), numbers(d.sent).map((v, i) => [2 * v, means(d.sent)[i]]), 'bit for bit that of one pipeline')
  t.strictSame(await rowsOf(url, 'SELECT reason FROM dead_letters'), [{ reason: 'unparseable' }], 'a dead letter stays one')
  t.match((await process.ask('GET', '/p')).json, { imbalance: 0, trouble: {} })
})

t.test('a CSV and what the pipeline has had since are one past; what cannot be read is a dead letter; nobody is told', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port, { to: ', to: [ stdout ]' }))
  const d = await device(t, port)
  await d.send(30)
  await stored(url, 30)
  const first = Date.now() - 3_600_000, line = (i: number) => `${new Date(first + i * 100).toISOString()},d,m,${valueOf(i + 7)}`
  const made = await process.call('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t"}', `time,device,metric,value\n${Array.from({ length: 40 }, (_, i) => line(i)).join('\n')}\nyesterday,d,m,1\n`, csv)
  t.equal(made.status, 202, made.text)
  t.match(await ended(process, made.json.id), { state: 'done', total: 71 })
  await d.send(20)
  await stored(url, 90)
  const values = [...Array.from({ length: 40 }, (_, i) => valueOf(i + 7)), ...numbers(50)]
  let mean = NaN
  t.strictSame(await rows(url, 'value, ewma'), values.map(value => ({ value, ewma: mean = Number.isNaN(mean) ? value : mean + 0.5 * (value - mean) })))
  t.match(await rowsOf(url, 'SELECT reason, convert_from(payload, \'UTF8\') AS payload, origin FROM dead_letters'), [{ reason: 'bad_time', payload: 'yesterday,d,m,1', origin: `history:${made.json.id}` }])
  const old = await rowsOf(url, 'SELECT stale, (SELECT count(*)::int FROM alert_outbox o WHERE o.event = a.id) AS told FROM alerts a WHERE time < $1', [new Date(first + 1_800_000)])
  t.ok(old.length > 0)
  t.ok(old.every(({ stale, told }) => stale === true && told === 0), 'told to nobody')
  t.match((await process.ask('GET', '/p')).json, { imbalance: 0 })
})

t.test('from the table of another pipeline on the same log: they meet at a position, so nothing is missing and nothing counts twice', async t => {
  const { url, port, process } = await begin(t)
  const raw = (name: string) => `name: ${name}\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\ntime: { lateness: 0s }\ndedupe: false\n`       // what comes twice is seen
  await process.ask('PUT', '/store', `${raw('store')}to: [ postgres: { table: readings } ]\n`)
  const d = await device(t, port)
  let going = true
  const others = await Promise.all(['e', 'f', 'g'].map(name => device(t, port, name)))
  const sending = Promise.all([d, ...others].map(async one => { while (going) await one.send(1) }))
  await until('there is a past', () => d.sent > 100)
  const body = (name: string) => `${raw(name)}pipe: [ ewma ]\nto: [ postgres: { table: ${name} } ]\nbranches: { sums: { pipe: [ tumbling: { every: 1s, features: [ count, mean ] } ], to: [ postgres: { table: ${name}_sums } ] } }\n`
  for (const name of ['late', 'never']) t.equal((await process.ask('PUT', `/${name}`, body(name))).status, 201)
  const made = await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'late', table: 'readings' })
  t.match(await ended(process, made.json.id), { state: 'done' }, made.text)
  const enough = d.sent + 30
  await until('it goes on', () => d.sent >= enough)
  going = false
  await sending
  for (const table of ['readings', 'late', 'never']) await stored(url, d.sent, table)
  // both have read the log from its beginning, one of them through a backfill in between
  for (const { sent, name } of [{ ...d, name: 'd' }, ...others.map((one, k) => ({ ...one, name: 'efg'[k] }))]) {
    await until(`all of ${name}`, async () => (await rows(url, 'value', 'never', name)).length === sent && (await rows(url, 'value', 'late', name)).length === sent)
    t.strictSame(await rows(url, 'value, ewma', 'late', name), await rows(url, 'value, ewma', 'never', name))
  }
  const upTo = Date.now() - 60_000 + 100 * (d.sent - 20)
  const sums = await closed(url, 'late_sums', upTo)
  t.ok(sums.length > 5)
  t.strictSame(sums, await closed(url, 'never_sums', upTo))
  t.match((await process.ask('GET', '/late')).json, { imbalance: 0 })
})

t.test('rows outside the range stay what they were, and memory has all that came after it', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port, { alpha: 0.25 }))
  const d = await device(t, port)
  await d.send(40)
  await stored(url, 40)
  const times = (await rows(url, 'time')).map(r => r.time as Date)
  await process.ask('PUT', '/p', text(port), { 'if-match': '"1"' })
  const made = await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p', to: times[20].toISOString() })
  t.match(await ended(process, made.json.id), { state: 'done', total: 40 })
  await d.send(5)
  await stored(url, 45)
  const now = (await rows(url, 'ewma')).map(r => r.ewma), half = means(45), quarter = means(45, 0.25)
  t.strictSame(now, [...half.slice(0, 20), ...quarter.slice(20, 40), ...half.slice(40)])
})

t.test('what cannot be meant is refused, and nothing has stopped', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  await process.ask('PUT', '/w', text(port, { name: 'w', table: 'w', more: ', scale: { factor: 2 }' }))
  await process.ask('PUT', '/f', `name: f\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nto: [ file: { table: x } ]\n`)
  const before = process.pipelines.runOf('p'), start = async (body: object) => { const { status, json } = await process.call('POST', '/jobs', body); return `${status} ${json.code} ${json.detail}` }
  t.match(await start({ kind: 'backfill' }), /^400 api\/invalid/)
  t.match(await start({ kind: 'backfill', pipeline: 'none' }), /^404 .*"none"/)
  t.match(await start({ kind: 'backfill', pipeline: 'f' }), /^409 .*local files/)
  t.match(await start({ kind: 'backfill', pipeline: 'w' }), /^400 .*"scale" of "w" gives them other values/)
  t.match(await start({ kind: 'backfill', pipeline: 'p', table: 'w' }), /^400 .*not those that came/)
  t.match(await start({ kind: 'backfill', pipeline: 'p', table: 'readings_tens' }), /^400 .*no readings as they come/)
  t.match(await start({ kind: 'backfill', pipeline: 'p', table: 'none' }), /^404 .*"none"/)
  t.match(await start({ kind: 'backfill', pipeline: 'p', from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }), /^400 .*range is empty/)
  t.match(await start({ kind: 'export' }), /^400/)
  t.match(await start({ kind: 'bake', pipeline: 'p' }), /^400/)
  const upload = async (query: string, body = 'time,m\n2026-01-01,1\n') => { const { status, json } = await process.call('POST', `/jobs/backfill?pipeline=p${query}`, body, csv); return `${status} ${json.code}` }
  t.equal(await upload('&options={"files":"/etc/passwd"}'), '400 api/invalid')
  t.equal(await upload('&options={"dates":"never"}'), '400 config/invalid')
  t.equal(await upload('&options=x'), '400 api/invalid')
  t.equal(await upload('', ''), '400 api/invalid')
  t.equal(process.pipelines.runOf('p'), before, 'the same run as before')
  t.strictSame(await rowsOf(url, 'SELECT FROM jobs'), [])
  // a CSV that cannot be read is found before the pipeline stops
  const odd = await process.call('POST', '/jobs/backfill?pipeline=p', 'a,b\n1,2\n', csv)
  t.match(await ended(process, odd.json.id), { state: 'failed', detail: /timestamp/ })
  t.equal(process.pipelines.runOf('p'), before)
  const key = await process.key(['jobs:write', 'jobs:read'], 'north')
  const foreign = async (method: string, path: string, body?: object) => await process.call(method, path, body, { authorization: `Bearer ${key}` })
  t.match(await foreign('POST', '/jobs', { kind: 'backfill', pipeline: 'p' }), { status: 403 })
  t.match((await foreign('GET', '/jobs')).json, { rows: [] })
  t.match(await foreign('GET', `/jobs/${odd.json.id}`), { status: 404 })
  t.match(await foreign('POST', `/jobs/${odd.json.id}/cancel`), { status: 404 })
})

t.test('cancelled while its pipeline is paused: who asks is answered, and it ends when the pipeline is resumed', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  const d = await device(t, port), first = Date.now() - 3_600_000
  await d.send(5)
  await stored(url, 5)
  const made = await process.call('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t"}', `time,device,metric,value\n${Array.from({ length: 40_000 }, (_, k) => `${new Date(first + k * 50).toISOString()},old,m,1\n`).join('')}`, csv)
  await until('it is in its past', () => process.pipelines.runOf('p')?.history !== undefined)
  t.equal((await process.ask('POST', '/p/pause')).status, 200)
  t.match(await process.call('POST', `/jobs/${made.json.id}/cancel`), { status: 200, json: { state: 'running', detail: /resume it/ } })
  t.equal((await process.ask('POST', '/p/resume')).status, 200)
  t.match(await ended(process, made.json.id), { state: 'cancelled' })
  await d.send(5)
  await stored(url, 10)
})

t.test('cancelled: it goes on with its own source at once, with all that came meanwhile', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  const d = await device(t, port)
  await d.send(10)
  await stored(url, 10)
  const first = Date.now() - 86_400_000, lines = Array.from({ length: 300_000 }, (_, i) => `${first + i * 100},m,1`)
  const made = await process.call('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t","device":"old"}', `time,metric,value\n${lines.join('\n')}\n`, csv)
  t.equal(made.status, 202, made.text)
  await until('it works', async () => ((await process.call('GET', `/jobs/${made.json.id}`)).json.done) > 0)
  t.match((await process.ask('GET', '/p')).json, { backfill: { id: made.json.id, total: 300_010 } })
  t.match((await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p' })).json, { code: 'api/conflict', detail: /another backfill/ })
  t.equal((await process.ask('PUT', '/q', text(port, { name: 'q', table: 'q' }))).status, 201)
  const second = await process.call('POST', '/jobs/backfill?pipeline=q&options={"tenant":"t","device":"old"}', `time,metric,value\n${lines.join('\n')}\n`, csv)
  t.equal(second.status, 202)
  t.match((await process.call('POST', '/jobs', { kind: 'export', table: 'readings' })).json, { code: 'api/too-many', detail: /2 jobs/ })
  await d.send(10)
  t.match((await process.call('POST', `/jobs/${second.json.id}/cancel`)).json, { state: 'cancelled' }, 'before it has begun, or after')
  const job = (await process.call('POST', `/jobs/${made.json.id}/cancel`)).json
  t.match(job, { state: 'cancelled' })
  t.ok(job.done < 300_000, `${job.done} records`)
  await stored(url, 20)
  t.strictSame(await rowsOf(url, "SELECT action, request ~ '^\\w{16}$' AS request FROM audit WHERE action LIKE 'job%' AND target = $1 ORDER BY id", [job.id]), [{ action: 'job.start', request: true }, { action: 'job.cancel', request: true }])
  t.match((await process.call('POST', `/jobs/${made.json.id}/cancel`)).json, { state: 'cancelled' }, 'once more')
  t.match((await process.call('GET', '/jobs?state=cancelled')).json.rows.map((r: any) => r.id), [second.json.id, job.id], 'the newest first')
})

t.test('an alert that still holds when the past is over is told then, once', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port, { to: ', to: [ stdout ]' }))
  const first = Date.now() - 3_600_000
  const made = await process.call('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t"}', `time,device,metric,value\n${[10, 90, 10, 90, 90].map((v, i) => `${new Date(first + 60_000 * i).toISOString()},d,m,${v}`).join('\n')}\n`, csv)
  t.match(await ended(process, made.json.id), { state: 'done' })
  const told = () => rowsOf(url, 'SELECT a.state, a.stale, a.time > now() - interval \'10 minutes\' AS now, count(o.*)::int AS receivers FROM alerts a LEFT JOIN alert_outbox o ON o.event = a.id GROUP BY a.id ORDER BY a.since, a.state')
  t.strictSame(await told(), [{ state: 'firing', stale: true, now: false, receivers: 0 }, { state: 'resolved', stale: true, now: false, receivers: 0 }, { state: 'firing', stale: true, now: false, receivers: 0 }])
  const d = await device(t, port)
  await d.client.publishAsync('t/d/m', JSON.stringify({ ts: Date.now(), value: 95 }), { qos: 1 })
  await until('it is told', async () => (await told())[2].receivers === 1)
  t.strictSame((await told())[2], { state: 'firing', stale: false, now: true, receivers: 1 })
})

t.test('a new pipeline on a source that others have begins at the oldest record that its log keeps, without a gap to what comes', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  const d = await device(t, port)
  await d.send(40)
  await stored(url, 40)
  let going = true
  const sending = (async () => { while (going) await d.send(1) })()
  t.equal((await process.ask('PUT', '/q', text(port, { name: 'q', table: 'again' }))).status, 201)
  const enough = d.sent + 20
  await until('it goes on', () => d.sent >= enough)
  going = false
  await sending
  await stored(url, d.sent, 'again')
  t.strictSame((await rows(url, 'value, ewma', 'again')).map(r => [r.value, r.ewma]), numbers(d.sent).map((v, i) => [v, means(d.sent)[i]]), 'each once, from the first one on')
  t.match((await process.ask('GET', '/q')).json, { imbalance: 0, trouble: {} })
})

/** The real program, on a database and a folder of its own: `run` starts it once more. */
async function killable (t: Test) {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), keys = new PostgresKeys(url), { key, id: keyId, digest } = newKey()
  t.teardown(() => keys.close())
  await migrate(url, quiet)
  await keys.add({ id: keyId, digest, name: 'test', tenant: null, scopes: ['jobs:read', 'jobs:write', 'pipelines:read', 'pipelines:write'], expires: null }, 'test')
  const run = async () => {
    const program = start(t, ['run', '--database', url, '--folder', folder, '--http', '127.0.0.1:0'])
    await program.until(/http:\/\/127\.0\.0\.1:\d+/)
    const [at] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.err + program.out)!
    const ask = async (method: string, path: string, body?: string, type = 'application/yaml') => {
      const reply = await fetch(`${at}/api/v1${path}`, { method, headers: { authorization: `Bearer ${key}`, ...body === undefined ? {} : { 'content-type': type } }, ...body === undefined ? {} : { body } })
      return { status: reply.status, json: await reply.json() as any }
    }
    return { program, ask, kill: async () => { program.child.kill('SIGKILL'); await program.ended } }
  }
  return { url, port, keyId, run }
}

t.test('asked to end, and killed before it could: the next process ends it, and says who asked', { timeout: 120_000 }, async t => {
  const { url, port, keyId, run } = await killable(t)
  let process = await run()
  await until('pipelines may be put', async () => (await process.ask('PUT', '/pipelines/p', text(port))).status === 201)
  const first = Date.now() - 3_600_000
  const made = await process.ask('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t"}', `time,device,metric,value\n${Array.from({ length: 40_000 }, (_, k) => `${new Date(first + k * 50).toISOString()},old,m,1\n`).join('')}`, 'text/csv')
  const job = async () => (await process.ask('GET', `/jobs/${made.json.id}`).catch(() => ({ json: {} }))).json
  await until('it is in its past', async () => (await process.ask('GET', '/pipelines/p')).json.backfill !== undefined)
  t.equal((await process.ask('POST', '/pipelines/p/pause')).status, 200)
  t.match(await process.ask('POST', `/jobs/${made.json.id}/cancel`), { status: 200, json: { state: 'running' } })
  await process.kill()
  process = await run()
  await until('it goes on', async () => (await process.ask('POST', '/pipelines/p/resume').catch(() => ({ status: 0 }))).status === 200)
  await until('the job has ended', async () => !['running', undefined].includes((await job()).state))
  t.match(await job(), { state: 'cancelled' })
  t.strictSame(await rowsOf(url, "SELECT actor, request ~ '^\\w{16}$' AS request FROM audit WHERE action = 'job.cancel'"), [{ actor: keyId, request: true }])
  const d = await device(t, port)
  await d.send(5)
  await stored(url, 5)
})

t.test('killed again and again in the middle: the next process goes on, and ends in the rows of one that nobody killed', { timeout: 180_000 }, async t => {
  const { url, port, run } = await killable(t)
  let process = await run()
  await until('pipelines may be put', async () => (await process.ask('PUT', '/pipelines/p', text(port))).status === 201)
  let sent = 0
  const send = async (n: number) => {
    const d = await device(t, port)
    d.sent = sent
    await d.send(n)
    sent = d.sent
    d.client.end(true)
  }
  await send(30)
  await stored(url, 30)
  const first = Date.now() - 86_400_000, N = 60_000, old = (i: number) => ((i * 37) % 101) / 8
  const made = await process.ask('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t","device":"d"}', `time,m\n${Array.from({ length: N }, (_, i) => `${first + i * 1000},${old(i)}`).join('\n')}\n`, 'text/csv')
  t.equal(made.status, 202, JSON.stringify(made.json))
  const seen: number[] = []
  for (let kill = 0; kill < 4; kill++) {
    const position = async () => Number((await rowsOf(url, "SELECT max(position)::float8 AS p FROM checkpoint WHERE pipeline = 'p' AND origin LIKE 'history:%'"))[0].p)
    const before = await position()
    await until('it has gone on', async () => await position() > before + (kill === 0 ? 0 : 1000))
    seen.push(await position())
    await process.kill()
    process = await run()
    if (kill === 1) {
      await until('the broker is there', async () => await send(10).then(() => true, () => false))
    }
  }
  t.ok(seen.every(p => p > 0 && p < N), `killed at ${seen.join(', ')} of ${N}`)
  await until('the job has ended', async () => (await process.ask('GET', `/jobs/${made.json.id}`).catch(() => ({ json: {} }))).json.state !== 'running', 90_000)
  t.match((await process.ask('GET', `/jobs/${made.json.id}`)).json, { state: 'done', total: N + 30 })
  await send(10)
  await stored(url, N + 50)
  const values = [...Array.from({ length: N }, (_, i) => old(i)), ...numbers(50)]
  let mean = NaN
  const expected = values.map(value => ({ value, ewma: mean = Number.isNaN(mean) ? value : mean + 0.5 * (value - mean) }))
  const found = await rows(url, 'value, ewma')
  t.equal(found.length, expected.length)
  t.equal(found.findIndex((row, i) => row.value !== expected[i].value || row.ewma !== expected[i].ewma), -1, 'each bit for bit')
  t.strictSame(await rowsOf(url, 'SELECT count(*)::int AS n, sum(count)::int AS readings FROM readings_tens WHERE time < $1 AND NOT provisional', [new Date(first + N * 1000)]), [{ n: N, readings: N }])
  t.match((await process.ask('GET', '/pipelines/p')).json, { imbalance: 0 })
})

