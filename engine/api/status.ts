import type { FastifyInstance } from 'fastify'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'
import { Type } from '../options.ts'
import type { Run } from '../run.ts'
import { version } from '../version.ts'

const Count = Type.Integer({ minimum: 0 }), Percentiles = Type.Object({ p50: Type.Number(), p99: Type.Number() }, { description: 'Of the last one to two minutes; 0 when there was nothing.' }), Numbers = Type.Record(Type.String(), Type.Number())
/** The state of one run, as the API declares it. `imbalance` is received less what became of it: 0, or there is a bug. */
export const Status = Type.Object({
  pipeline: Type.String(), state: Type.Optional(Type.Union([Type.Literal('running'), Type.Literal('paused'), Type.Literal('deleted')])), version: Type.Optional(Type.Integer({ description: 'Of a pipeline that was put.' })), file: Type.Optional(Type.String({ description: 'Of a pipeline of the command line: that is what it is, and it cannot be changed here.' })),
  trouble: Type.Record(Type.String(), Type.String()), position: Type.Number(), backfill: Type.Optional(Type.Object({ id: Type.String(), done: Count, total: Count }, { description: 'It works through its past: records.' })), series: Count, devices: Count, readings: Numbers, imbalance: Type.Number(),
  watermark: Type.Optional(Type.String({ format: 'date-time', description: 'Event time up to which every device that is not silent has come.' })), lag: Type.Object({ records: Count, event_ms: Type.Optional(Type.Number()) }, { description: 'Records of the source that wait to be read; and how far the watermark is behind the clock.' }),
  branches: Type.Record(Type.String(), Numbers), dead_letters: Numbers, source: Numbers,
  log: Type.Optional(Type.Object({ bytes: Count, capacity_bytes: Count, waiting_records: Count })),
  alerts: Numbers, receivers: Type.Array(Type.Object({ receiver: Type.String(), delivered: Count, retried: Count, dead: Count, breaker: Type.Union([Type.Literal('closed'), Type.Literal('open')]) })), event_to_row_ms: Percentiles, commit_ms: Percentiles,
  steps: Type.Array(Type.Object({ branch: Type.String(), id: Type.String(), in: Count, out: Count, errors: Count, ns_per_row: Type.Number(), slow_batches: Count, state_bytes: Count,
    watermark: Type.Optional(Type.String({ format: 'date-time', description: 'Of devices that are not silent it is given nothing older any more; behind a window, no window that ended before.' })),
    newest: Type.Optional(Type.String({ format: 'date-time', description: 'Event time of the newest row that it was given: behind a window, the start of that.' })),
    lag_ms: Type.Optional(Type.Integer({ description: 'How far that is behind the clock. It grows also while nothing comes.' }))
  }))
})

/** The state of one run as plain data: GET /status, and what the page shows. */
export const describe = (run: Run) => {
  const counts = run.counts['']
  return {
    pipeline: run.pipeline.name,
    trouble: run.trouble(),
    position: run.position,
    ...run.history === undefined || run.isPast ? {} : { backfill: { id: run.history.past.id, done: run.position, total: run.history.end } },
    series: run.series.size,
    devices: run.series.devices,
    readings: { ...counts, received: run.received, in_flight: run.inFlight },
    imbalance: run.imbalance,
    ...progressOf(run),
    branches: Object.fromEntries(Object.entries(run.counts).filter(([name]) => name !== '')),
    dead_letters: run.observed.reasons,
    source: { ...run.source?.events?.() },
    ...run.journal === undefined ? {} : { log: { bytes: run.journal.needed, capacity_bytes: run.journal.budget, waiting_records: run.source?.behind?.() ?? 0 } },
    alerts: { ...run.observed.alerts, ...run.dispatcher?.counts },
    receivers: run.dispatcher?.receivers ?? [],
    event_to_row_ms: { p50: run.observed.latency.percentile(50) / 1000, p99: run.observed.latency.percentile(99) / 1000 },
    commit_ms: { p50: run.observed.commits.percentile(50) / 1000, p99: run.observed.commits.percentile(99) / 1000 },
    steps: (run.flow?.steps ?? []).map(({ branch, id, in: rowsIn, out, errors, ns, slow, bytes, watermark, newest }) => ({ branch, id, in: rowsIn, out, errors, ns_per_row: rowsIn === 0 ? 0 : Math.round(ns / rowsIn), slow_batches: slow, state_bytes: bytes(), ...timed('watermark', watermark), ...timed('newest', newest), ...lagOf(run, newest, 'lag_ms') }))
  }
}

/** How far its event time has come. */
function progressOf (run: Run) {
  const watermark = run.flow?.watermark ?? NaN
  return { ...timed('watermark', watermark), lag: { records: run.source?.behind?.() ?? 0, ...lagOf(run, watermark, 'event_ms') } }
}

const MAX_DATE = 8.64e15
const isTime = (time: number) => Math.abs(time) <= MAX_DATE
/** Not before the first row, nor after the end. */
const timed = <K extends string>(key: K, time: number): { [key in K]?: string } => isTime(time) ? { [key]: new Date(time).toISOString() } as { [key in K]: string } : {}
/** Event times of the past are behind nothing. */
const lagOf = <K extends string>({ source }: Run, time: number, key: K): { [key in K]?: number } => isTime(time) && source?.past !== true ? { [key]: Math.round(Date.now() - time) } as { [key in K]: number } : {}

/** A plain page for people and its data for programs. Where anybody may ask the page says nothing: a browser has no key. */
export async function status (app: FastifyInstance, { runs, closed = false }: Plane): Promise<void> {
  app.get('/status', { config: { scope: closed ? 'pipelines:read' : 'public' }, schema: { summary: 'All pipelines and how they stand.', tags: ['meta'], response: { 200: Type.Object({ version: Type.String(), pipelines: Type.Array(Status) }), ...closed ? failures() : {} } } }, async () => ({ version, pipelines: runs().map(describe) }))
  app.get('/', { config: { scope: 'public' }, schema: { summary: 'A page for people.', tags: ['meta'], response: { 200: { description: 'HTML.', content: { 'text/html': { schema: { type: 'string' } } } } } } }, async (_, reply) => {
    void reply.type('text/html; charset=utf-8').header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
    return closed ? PLAIN : page(runs().map(describe))
  })
}

export const escape = (text: unknown) => String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`)
const table = (rows: readonly (readonly unknown[])[], head: readonly string[] = []) =>
  `<table>${head.length > 0 ? `<tr>${head.map(h => `<th>${escape(h)}</th>`).join('')}</tr>` : ''}${rows.map(r => `<tr>${r.map(c => `<td>${escape(c)}</td>`).join('')}</tr>`).join('')}</table>`

const PLAIN = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Millrace</title></head><body><p>This is the API of Millrace. What it does is told to those who have a key.</p></body></html>'
const page = (pipelines: readonly ReturnType<typeof describe>[]) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Millrace</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1b2733;background:#fff}h1{font-size:1.3rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .9rem .15rem 0;text-align:left;font-variant-numeric:tabular-nums}th{font-weight:600;border-bottom:1px solid #cbd5df}.well{color:#176a3a}.bad{color:#a8231c}</style></head><body>
<h1>Millrace ${escape(version)}</h1>
${pipelines.map(p => `<h2>${escape(p.pipeline)}</h2>
<p class="${Object.keys(p.trouble).length === 0 ? 'well' : 'bad'}">${Object.keys(p.trouble).length === 0 ? 'working' : Object.entries(p.trouble).map(([what, why]) => `${escape(what)}: ${escape(why)}`).join('<br>')}</p>
${table(Object.entries({ ...p.readings, imbalance: p.imbalance, series: p.series, devices: p.devices, position: p.position }).map(([k, v]) => [k.replaceAll('_', ' '), v.toLocaleString('en')]))}
${table([['event to row', p.event_to_row_ms.p50.toFixed(1), p.event_to_row_ms.p99.toFixed(1)], ['commit', p.commit_ms.p50.toFixed(1), p.commit_ms.p99.toFixed(1)]], ['ms', 'p50', 'p99'])}
${table(p.steps.map(s => [s.branch || 'trunk', s.id, s.in.toLocaleString('en'), s.out.toLocaleString('en'), s.ns_per_row, s.newest ?? '']), ['branch', 'step', 'rows in', 'rows out', 'ns per row', 'newest row in'])}
${table(Object.entries(p.alerts), ['alerts', ''])}
${p.receivers.length > 0 ? table(p.receivers.map(r => [r.receiver, r.delivered, r.retried, r.dead, r.breaker]), ['receiver', 'delivered', 'retried', 'dead', 'breaker']) : ''}
${Object.keys(p.dead_letters).length > 0 ? table(Object.entries(p.dead_letters), ['dead letters', '']) : ''}`).join('\n')}
<p><a href="/metrics">metrics</a> · <a href="/status">status</a> · <a href="/readyz">ready</a></p></body></html>`
