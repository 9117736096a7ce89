import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fc from 'fast-check'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { faultOf, operationsOf, requestsOf, type Asked } from '../support/openapi-fuzz.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const file = 'name: p\nfrom: { simulator: { devices: 2 } }\npipe: [ anomaly ]\nalerts: { any: { when: { value: { above: -1e9 } }, to: [ stdout ] } }\nto: [ postgres: { table: readings } ]\n'
const other = 'name: q\nfrom: { http: { path: fuzz } }\npipe: [ ewma ]\nalerts: { high: { when: { value: { above: 1e9 } } } }\nto: [ postgres: { table: posted } ]\n'
const posted = 'name: r\nfrom: { http: {} }\nto: [ postgres: { table: readings } ]\n'
const UNREACHED = ['/api/v1/endpoints/{endpoint}/enable']     // needs an endpoint that has said it is gone
const EACH = Number(process.env.MILLRACE_FUZZ ?? 40), seed = Number(process.env.MILLRACE_FUZZ_SEED ?? 1)

/** MILLRACE_FUZZ: requests of each route and key, at most 600; MILLRACE_FUZZ_SEED: others. */
t.test('whatever is asked, no route fails for a reason of its own or answers what the document does not say', { timeout: 300_000 }, async t => {
  const database = (await freshDatabase(t))!, folder = temporary(t), keys = new PostgresKeys(database)
  t.teardown(() => keys.close())
  await migrate(database, quiet)
  writeFileSync(join(folder, 'p.yaml'), file)
  writeFileSync(join(folder, 'r.yaml'), posted)
  writeFileSync(join(folder, 'limits.yaml'), 'tenant: { keys: 100000 }\n')
  const program = start(t, ['run', join(folder, 'p.yaml'), join(folder, 'r.yaml'), '--database', database, '--http', '127.0.0.1:0', '--folder', join(folder, 'state'), '--limits', join(folder, 'limits.yaml')])
  await program.until(/http:\/\/127\.0\.0\.1:\d+/)
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.err + program.out)!
  const made = async (tenant: string | null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'fuzz', tenant, scopes: Object.keys(scopes) as Scope[], expires: null }, 'test')
    return { key, id }
  }
  const keyOf = async (tenant: string | null): Promise<string> => `Bearer ${(await made(tenant)).key}`
  const ask = async ({ url: path, method, headers, payload }: Asked) => {
    const cut = new AbortController(), answer = await fetch(url + path, { method, headers, redirect: 'manual', signal: cut.signal, ...payload === undefined ? {} : { body: payload } })
    const stream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true, body = stream ? '' : await answer.text()
    cut.abort()
    return { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body }
  }
  await program.until(async () => (await ask({ url: '/api/v1/series', method: 'GET', headers: { authorization: await keyOf(null) } })).body.includes('"metric"'))
  const [{ device, metric }] = JSON.parse((await ask({ url: '/api/v1/series', method: 'GET', headers: { authorization: await keyOf(null) } })).body).rows
  const admin = await keyOf(null), call = async (method: string, url: string, payload?: unknown, more: Record<string, string> = {}) => await ask({ url: `/api/v1/${url}`, method, headers: { authorization: admin, ...payload === undefined ? {} : { 'content-type': typeof payload === 'string' ? 'application/yaml' : 'application/json' }, ...more }, ...payload === undefined ? {} : { payload: typeof payload === 'string' ? payload : JSON.stringify(payload) } })
  await program.until(async () => JSON.parse((await call('GET', 'alerts')).body).rows.length > 0)
  const [alert] = JSON.parse((await call('GET', 'alerts')).body).rows
  const silence = await call('POST', 'silences', { tenant: 'default', device, reason: 'fuzz', to: new Date(Date.now() + 3_600_000).toISOString() })
  t.match(silence.statusCode, /^20/, silence.body)
  const maintenance = await call('POST', 'maintenance', { tenant: 'default', device, reason: 'fuzz', to: new Date(Date.now() + 3_600_000).toISOString() })
  t.match(maintenance.statusCode, /^20/, maintenance.body)
  await call('POST', 'ingest', { odd: [] })
  await program.until(async () => JSON.parse((await call('GET', 'pipelines/r/dead-letters')).body).rows.length > 0)
  const [{ position }] = JSON.parse((await call('GET', 'pipelines/r/dead-letters')).body).rows
  let job = await call('POST', 'jobs', { kind: 'export', table: 'readings' })
  await program.until(async () => job.statusCode !== 503 || (job = await call('POST', 'jobs', { kind: 'export', table: 'readings' })).statusCode !== 503)        // until it has read what is kept
  t.equal(job.statusCode, 202, job.body)
  await program.until(async () => JSON.parse((await call('GET', `jobs/${JSON.parse(job.body).id}`)).body).state === 'done')
  /** No job is under way: as many as may be would take no other. */
  const idle = () => program.until(async () => {
    const { rows } = JSON.parse((await call('GET', 'jobs?state=running')).body)
    for (const { id } of rows) await call('POST', `jobs/${id as string}/cancel`)
    return rows.length === 0
  })
  /** The other pipeline is there and works, or is paused for what resumes it. */
  const prepare = async (path: string): Promise<void> => {
    if (!path.startsWith('/api/v1/pipelines') && !path.startsWith('/api/v1/ingest') && !path.startsWith('/api/v1/jobs') && !path.startsWith('/api/v1/simulate')) return
    if ((await call('PUT', 'pipelines/q', other)).statusCode !== 201) await call('PUT', 'pipelines/q', other, { 'if-match': '*' })
    await call('POST', `pipelines/q/${path.endsWith('/resume') ? 'pause' : 'resume'}`)
    if (path.startsWith('/api/v1/jobs')) await idle()
  }
  const place = (await ask({ url: '/api/v1/tables/readings/export?device=none', method: 'GET', headers: { authorization: admin } })).headers['x-export-place'], [system] = /^\d+\.\d+\./.exec(place)!
  await rowsOf(database, "UPDATE readings SET anomaly = CASE WHEN position % 2 = 0 THEN 'Infinity' ELSE '-Infinity' END::float8")
  const values = { since: [place, ...['5:3:', '5:9:99', '0:0:', '5:9:,,,'].map(odd => `${system}${odd}`)], position: [position], name: ['p', 'q'], table: ['readings'], device: [device], metric: [metric], columns: ['value', 'value,anomaly'], column: ['value', 'anomaly'], pipeline: ['p', 'q'], incident: [alert.incident], id: [maintenance, silence, job].map(({ body }) => String(JSON.parse(body).id)), 'if-match': ['*'], 'if-none-match': ['no'], version: ['1'], source: ['fuzz'], tenant: ['default'], labels: ['[{"device":"d","from":"2026-01-01T00:00:00Z"}]'], labelColumn: ['fault'], tolerance: ['1m'], probation: ['1h'], options: ['{}'], alerts: ['high'], from: [new Date(Date.now() - 60_000).toISOString()], to: [new Date(Date.now() + 60_000).toISOString()] }
  const data = { value: Array.from({ length: 30 }, (_, i) => i % 7) }, bodies = { '/api/v1/simulate/{kind}': [{ pipeline: 'r' }, { pipeline: 'q', healthy: 10 }], '/api/v1/jobs': [{ kind: 'export', table: 'readings' }, { kind: 'backfill', pipeline: 'q' }, { kind: 'evaluate', pipeline: 'q', from: '2020-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z', healthy: true }], '/api/v1/jobs/evaluate': ['time,device,metric,value\n2026-01-01,d,m,1\n'], '/api/v1/jobs/backfill': ['time,device,metric,value\n2026-01-01,d,m,1\n'], '/api/v1/pipelines/{name}/dead-letters/requeue': [{ every: true }], '/api/v1/predict': [{ data, options: { every: '1s', seasons: ['7s'] } }], '/api/v1/detect_anomaly': [{ data }], '/api/v1/check_drift': [{ data, last: 5 }], '/api/v1/pipelines/validate': [file], '/api/v1/pipelines/{name}': [other], '/api/v1/pipelines/{name}/rollback': [{ version: 1 }], '/api/v1/pipelines/try': [{ pipeline: file, given: '00:00:00 a/b 1' }], '/api/v1/deliveries/replay': [{ event: alert.id, receiver: alert.deliveries[0].receiver }], '/api/v1/keys': [{ name: 'fuzz', scopes: ['query:read'] }], '/api/v1/keys/{id}/rotate': [{}, { within: '1h' }] }
  for (const operation of operationsOf(JSON.parse((await ask({ url: '/openapi.json', method: 'GET', headers: {} })).body))) {
    await prepare(operation.path)
    const statuses: Record<number, number> = {}
    let fault: string | undefined, sent = 0
    for (const tenant of [null, 'default']) {
      const requests = requestsOf(operation, await keyOf(tenant), { values: operation.path.endsWith('{position}') ? { ...values, name: ['r'] } : operation.path.startsWith('/api/v1/keys/') ? { ...values, id: [(await made('default')).id] } : values, bodies })
      await fc.assert(fc.asyncProperty(requests, async asked => {
        sent++
        const answer = await ask(asked)
        statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1
        fault = faultOf(operation, answer)
        if (fault !== undefined) throw new Error(fault = `${asked.method} ${asked.url} ${asked.payload?.slice(0, 200) ?? ''}: ${fault}`)
      }), { seed, numRuns: EACH, endOnFailure: true }).catch((error: unknown) => { if (fault === undefined) throw error })
      if (fault !== undefined) break
    }
    const route = `${operation.method} ${operation.path} ${JSON.stringify(statuses)}`
    t.equal(fault, undefined, route)
    t.equal(sent, 2 * EACH, `${route}: all were asked`)
    if (!UNREACHED.includes(operation.path)) t.ok(Object.keys(statuses).some(status => status.startsWith('2')), `${route}: some go through`)
  }
  t.equal(program.child.exitCode, null, 'it still runs')
})
