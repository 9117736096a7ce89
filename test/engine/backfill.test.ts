/** Pipelines that work through their past and then go on with their own source: a real database, a real broker, real devices. */
import t, { type Test } from 'tap'
import { device, means, open, rows, until, valueOf, type Process } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

interface Given { readonly name?: string, readonly table?: string, readonly more?: string, readonly alpha?: number, readonly topics?: string }
const text = (port: number, { name = 'p', table = 'readings', more = '', alpha = 0.5, topics = '{tenant}/{device}/{metric}' }: Given = {}) =>
  `name: ${name}\nfrom: { broker: { port: ${port}, topics: "${topics}" } }\npipe: [ ewma: { alpha: ${alpha} }${more} ]\nalerts: { high: { when: { value: { above: 50 } }, to: [ stdout ] } }\nto: [ postgres: { table: ${table} } ]\nbranches: { tens: { pipe: [ tumbling: { every: 1s, features: [ count, mean ] } ], to: [ postgres: { table: ${table}_tens } ] } }\n`
const csv = { 'content-type': 'text/csv' }
const numbers = (n: number) => Array.from({ length: n }, (_, i) => valueOf(i))

async function begin (t: Test) {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort()
  return { url, folder, port, process: await open(t, url, folder) }
}
/** A job that has ended. */
async function ended (process: Process, id: string): Promise<any> {
  let job: any
  await until('the job has ended', async () => (job = (await process.call('GET', `/jobs/${id}`)).json).state !== 'running', 30_000)
  return job
}
const stored = (url: string, n: number, table?: string) => until(`${n} rows`, async () => (await rows(url, 'value', table)).length === n)
const windows = async (url: string, table = 'readings_tens') => await rowsOf(url, `SELECT time, count, mean, provisional FROM ${table}_named WHERE NOT provisional ORDER BY device, time`)

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
  let going = true
  const sending = (async () => { while (going) await d.send(1) })()
  const made = await process.call('POST', '/jobs', { kind: 'backfill', pipeline: 'p' })
  t.match([made.status, made.json], [202, { kind: 'backfill', target: 'p', state: 'running', tenant: null, author: /^\w{8}$/ }])
  const job = await ended(process, made.json.id)
  t.match(job, { state: 'done', detail: /goes on with its own source/ })
  t.equal(job.done, job.total)
  const enough = d.sent + 20
  await until('it goes on', () => d.sent >= enough)
  going = false
  await sending
  await stored(url, d.sent)
  t.equal(d.lost, 0, 'its connection')
  t.strictSame((await rows(url, 'value')).map(r => r.value), numbers(d.sent))
  t.strictSame((await rows(url, 'ewma')).map(r => r.ewma), means(d.sent), 'bit for bit that of one pipeline')
  const { json } = await process.ask('GET', '/p')
  t.match(json, { imbalance: 0, trouble: {} })
  t.match(await rowsOf(url, "SELECT action, target FROM audit WHERE action LIKE 'job%'"), [{ action: 'job.start', target: made.json.id }])
})

t.test('a CSV and what the pipeline has had since are one past; what cannot be read is a dead letter; nobody is told', async t => {
  const { url, port, process } = await begin(t)
  await process.ask('PUT', '/p', text(port))
  const d = await device(t, port)
  await d.send(30)
  await stored(url, 30)
  const begin = Date.now() - 3_600_000, line = (i: number) => `${new Date(begin + i * 100).toISOString()},d,m,${valueOf(i + 7)}`
  const made = await process.call('POST', '/jobs/backfill?pipeline=p&options={"tenant":"t"}', `time,device,metric,value\n${Array.from({ length: 40 }, (_, i) => line(i)).join('\n')}\nyesterday,d,m,1\n`, csv)
  t.equal(made.status, 202, made.text)
  t.match(await ended(process, made.json.id), { state: 'done', total: 71 })
  await d.send(20)
  await stored(url, 90)
  const values = [...Array.from({ length: 40 }, (_, i) => valueOf(i + 7)), ...numbers(50)]
  let mean = NaN
  t.strictSame(await rows(url, 'value, ewma'), values.map(value => ({ value, ewma: mean = Number.isNaN(mean) ? value : mean + 0.5 * (value - mean) })))
  t.match(await rowsOf(url, 'SELECT reason, convert_from(payload, \'UTF8\') AS payload, origin FROM dead_letters'), [{ reason: 'bad_time', payload: 'yesterday,d,m,1', origin: `history:${made.json.id}` }])
  const old = await rowsOf(url, 'SELECT stale, (SELECT count(*)::int FROM alert_outbox o WHERE o.event = a.id) AS told FROM alerts a WHERE time < $1', [new Date(begin + 1_800_000)])
  t.ok(old.length > 0)
  t.ok(old.every(({ stale, told }) => stale === true && told === 0), 'told to nobody')
  t.match((await process.ask('GET', '/p')).json, { imbalance: 0 })
})
