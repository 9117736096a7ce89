/** Evaluations that the API starts: a real database, and the program as a process of its own. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import t, { type Test } from 'tap'
import { device, open, rows, until, type Process } from '../support/control.ts'
import { freePort } from '../support/mosquitto.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

const text = (port: number, above = 50) => `name: p\nfrom: { broker: { port: ${port}, topics: "{tenant}/{device}/{metric}" } }\nalerts: { high: { when: { value: { above: ${above} } } }, low: { when: { value: { below: -1 } } } }\nto: [ postgres: { table: readings } ]\n`
const csv = { 'content-type': 'text/csv' }
const T0 = Date.UTC(2026, 0, 5), at = (s: number) => new Date(T0 + s * 1000).toISOString()
/** A reading a second: above 50 from 100 to 109, and, which nobody labels, at 200. */
const history = (n = 300) => `time,device,m\n${Array.from({ length: n }, (_, i) => `${at(i)},d,${(i >= 100 && i < 110) || i === 200 ? 60 : i % 7}`).join('\n')}\n`
const labels = [{ device: 'd', metric: 'm', from: at(100), to: at(109), kind: 'heat' }]

async function begin (t: Test) {
  const url = (await freshDatabase(t))!, folder = temporary(t), port = await freePort(), process = await open(t, url, folder)
  await process.ask('PUT', '/p', text(port))
  return { url, folder, port, process }
}
/** Asked of the database: the API is for people who have more patience. */
async function ended (process: Process, url: string, id: string, headers = {}): Promise<any> {
  await until('the job has ended', async () => (await rowsOf(url, 'SELECT state FROM jobs WHERE id = $1', [id]))[0].state !== 'running', 240_000)
  return (await process.call('GET', `/jobs/${id}`, undefined, headers)).json
}
const query = (more: object = {}) => new URLSearchParams({ pipeline: 'p', labels: JSON.stringify(labels), ...more }).toString()

t.test('a CSV and labels: what is found, missed and said wrongly, as data and as a page, of the version that is asked for', { timeout: 600_000 }, async t => {
  const { url, folder, port, process } = await begin(t)
  t.equal((await process.ask('PUT', '/p', text(port, 65), { 'if-match': '"1"' })).status, 200)
  const made = await process.call('POST', `/jobs/evaluate?${query({ version: 1 })}`, history(), csv)
  t.match([made.status, made.json], [202, { kind: 'evaluate', target: 'p', state: 'running', tenant: null, asked: { version: 1, labels: 1 } }], made.text)
  t.equal((await process.call('GET', `/jobs/${made.json.id}/result`)).status, 409, 'not yet')
  const now = await process.call('POST', `/jobs/evaluate?${query({ alerts: 'high' })}`, history(), csv)
  const job = await ended(process, url, made.json.id)
  t.match(job, { state: 'done', detail: /result is there/ }, job.detail)
  const { json } = await process.call('GET', `/jobs/${made.json.id}/result`)
  t.match(json, { pipeline: 'p', file: 'pipeline.yaml', data: ['data.csv'], labels_from: 'labels labels.json', readings: { received: 300 }, label_list: [{ verdict: 'found', delay_ms: 0 }] })
  t.strictSame(json.alert_list.map((a: any) => [a.alert, a.about, a.verdict]), [['high', at(100), 'true'], ['high', at(200), 'false']])
  const page = await process.call('GET', `/jobs/${made.json.id}/result?format=html`)
  t.match(page.text, /^<!doctype html>/i)
  t.notMatch(page.text, /<script|https?:\/\/(?!www\.w3\.org)/)
  t.match(page.headers['content-security-policy'], /^default-src 'none'; style-src 'unsafe-inline'; sandbox/)
  const second = await ended(process, url, now.json.id)
  t.match(second, { state: 'done' }, second.detail)
  t.equal((await process.call('GET', `/jobs/${now.json.id}/result`)).json.alert_list.length, 0, 'the newest version says nothing')
  t.strictSame(readdirSync(join(folder, 'evaluations', made.json.id)).toSorted(), ['evaluation.html', 'evaluation.json'], 'what was sent is not kept')
  t.strictSame(existsSync(join(folder, 'uploads')) ? readdirSync(join(folder, 'uploads')) : [], [])
  t.match(await rowsOf(url, "SELECT count(*)::int AS n FROM audit WHERE action = 'job.start'"), [{ n: 2 }])
})

t.test('readings that are stored, of one tenant, in a range', { timeout: 600_000 }, async t => {
  const { url, port, process } = await begin(t), d = await device(t, port)
  await d.send(40)                   // of the tenant t; 15 to 19 and 35 to 39 are above 50
  await until('40 rows', async () => (await rows(url, 'value')).length === 40)
  const [first] = await rows(url, 'time'), from = first.time.toISOString(), to = new Date(first.time.getTime() + 3000).toISOString()
  const asked = { kind: 'evaluate', pipeline: 'p', from, to, healthy: true }
  const key = async (tenant: string) => ({ authorization: `Bearer ${await process.key(['jobs:read', 'jobs:write'], tenant)}` }), own = await key('t'), other = await key('north')
  const [mine, theirs] = [await process.call('POST', '/jobs', asked, own), await process.call('POST', '/jobs', asked, other)]
  t.match(await ended(process, url, mine.json.id, own), { state: 'done', tenant: 't' })
  t.match((await process.call('GET', `/jobs/${mine.json.id}/result`, undefined, own)).json, { readings: { received: 30 }, alert_list: { length: 1 } })
  t.equal((await process.call('GET', `/jobs/${mine.json.id}/result`, undefined, other)).status, 404)
  t.match(await ended(process, url, theirs.json.id, other), { state: 'failed', detail: /no reading/ }, 'nothing of another tenant')
  t.equal((await process.call('POST', '/jobs', { ...asked, tenant: 't' }, other)).status, 404)
  t.match((await process.call('POST', '/jobs', { ...asked, tenant: 't' })).status, 202)
})

t.test('what cannot be meant is said before anything is begun; what a pipeline was sent with reads no file and no environment', { timeout: 600_000 }, async t => {
  const { url, folder, process } = await begin(t)
  const asked = async (more: object, status: number, what: RegExp) => { const { status: found, text } = await process.call('POST', `/jobs/evaluate?${query(more)}`, history(), csv); t.match([found, text], [status, what], JSON.stringify(more)) }
  await asked({ version: 9 }, 404, /version 9/)
  await asked({ pipeline: 'none' }, 404, /no pipeline/)
  await asked({ healthy: true }, 400, /exclude each other/)
  await asked({ labels: 'x' }, 400, /no JSON array/)
  await asked({ labels: '[{"device":"d"}]' }, 400, /no JSON array/)
  await asked({ alerts: 'hgih' }, 400, /no alert.*hgih.*high/)
  await asked({ tolerance: 'soon' }, 400, /no span/)
  await asked({ options: '{"files":"/etc/passwd"}' }, 400, /files is not/)
  await asked({ options: '{"datez":"dmy"}' }, 400, /datez/)
  t.match((await process.call('POST', '/jobs', { kind: 'evaluate', pipeline: 'p', healthy: true })).json, { status: 400, detail: /range/ })
  t.match((await process.call('POST', '/jobs', { kind: 'export', table: 'readings', healthy: true })).json, { status: 400, detail: /healthy is of an evaluation/ })
  t.equal((await process.call('POST', `/jobs/evaluate?${query()}`, '', csv)).status, 400, 'nothing is sent')
  const made = await process.call('POST', `/jobs/evaluate?${new URLSearchParams({ pipeline: 'p', labelColumn: '--to=/tmp' }).toString()}`, history(), csv)
  t.match(await ended(process, url, made.json.id), { state: 'failed', detail: /--to=\/tmp/ }, 'a name is a name')
  t.strictSame(existsSync(join(folder, 'evaluations')) ? readdirSync(join(folder, 'evaluations')) : [], [], 'nothing of it is left')
})

t.test('it is cancelled at once, and the loop of the process is free while it works', { timeout: 600_000 }, async t => {
  const { url, folder, process } = await begin(t)
  const made = await process.call('POST', `/jobs/evaluate?${query()}`, history(400_000), csv)
  await until('it is on its way', async () => (await rowsOf(url, 'SELECT done::float8 FROM jobs WHERE id = $1', [made.json.id]))[0].done > 0, 120_000)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await new Promise(resolve => setTimeout(resolve, 1000))
  delay.disable()
  t.comment(`the longest stall in a second of evaluation: ${(delay.max / 1e6).toFixed(1)} ms, p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms`)
  t.match((await process.call('POST', `/jobs/${made.json.id}/cancel`)).json, { state: 'cancelled' })
  t.strictSame(readdirSync(join(folder, 'evaluations')), [], 'nothing of it is left')
})
