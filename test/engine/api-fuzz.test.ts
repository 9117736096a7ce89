import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fc from 'fast-check'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { faultOf, operationsOf, requestsOf, type Asked, type Operation } from '../support/openapi-fuzz.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'
import { start, temporary } from '../support/program.ts'

const file = 'name: p\nfrom: { simulator: { devices: 2 } }\npipe: [ anomaly ]\nto: [ postgres: { table: readings } ]\n'
const put = file.replace('name: p', 'name: q')
/** Is it about pipelines that are put over HTTP? */
const changes = ({ method, path }: Operation): boolean => path.startsWith('/api/v1/pipelines/{name}') && (method !== 'GET' || path.includes('versions'))
const EACH = Number(process.env.MILLRACE_FUZZ ?? 60), seed = Number(process.env.MILLRACE_FUZZ_SEED ?? 1)

/** MILLRACE_FUZZ: requests of each route and key, at most 600; MILLRACE_FUZZ_SEED: others. */
t.test('whatever is asked, no route fails for a reason of its own or answers what the document does not say', { timeout: 300_000 }, async t => {
  const database = (await freshDatabase(t))!, folder = temporary(t), keys = new PostgresKeys(database)
  t.teardown(() => keys.close())
  await migrate(database, quiet)
  writeFileSync(join(folder, 'p.yaml'), file)
  const program = start(t, ['run', join(folder, 'p.yaml'), '--database', database, '--http', '127.0.0.1:0', '--folder', join(folder, 'state')])
  await program.until(/http:\/\/127\.0\.0\.1:\d+/)
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(program.err + program.out)!
  const keyOf = async (tenant: string | null): Promise<string> => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'fuzz', tenant, scopes: Object.keys(scopes) as Scope[], expires: null }, 'test')
    return `Bearer ${key}`
  }
  const ask = async ({ url: path, method, headers, payload }: Asked) => {
    const cut = new AbortController(), answer = await fetch(url + path, { method, headers, redirect: 'manual', signal: cut.signal, ...payload === undefined ? {} : { body: payload } })
    const stream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true, body = stream ? '' : await answer.text()
    cut.abort()
    return { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body }
  }
  await program.until(async () => (await ask({ url: '/api/v1/series', method: 'GET', headers: { authorization: await keyOf(null) } })).body.includes('"metric"'))
  const [{ device, metric }] = JSON.parse((await ask({ url: '/api/v1/series', method: 'GET', headers: { authorization: await keyOf(null) } })).body).rows
  const values = { name: ['p'], table: ['readings'], device: [device], metric: [metric], columns: ['value', 'value,anomaly'], column: ['value', 'anomaly'], pipeline: ['p'], tenant: ['default'], version: ['1'], 'if-match': ['*'], from: [new Date(Date.now() - 60_000).toISOString()], to: [new Date(Date.now() + 60_000).toISOString()] }
  const data = { value: Array.from({ length: 30 }, (_, i) => i % 7) }, bodies = { '/api/v1/predict': [{ data, options: { every: '1s', seasons: ['7s'] } }], '/api/v1/detect_anomaly': [{ data }], '/api/v1/check_drift': [{ data, last: 5 }], '/api/v1/pipelines/validate': [file], '/api/v1/pipelines/{name}': [put], '/api/v1/pipelines/{name}/rollback': [{ version: 1 }], '/api/v1/pipelines/try': [{ pipeline: file, given: '00:00:00 d/m 1' }] }
  for (const operation of operationsOf(JSON.parse((await ask({ url: '/openapi.json', method: 'GET', headers: {} })).body))) {
    const statuses: Record<number, number> = {}
    let fault: string | undefined
    if (changes(operation)) await ask({ url: '/api/v1/pipelines/q', method: 'PUT', headers: { authorization: await keyOf(null), 'content-type': 'application/yaml' }, payload: put })      // if the last one has deleted it
    for (const tenant of [null, 'default']) {
      const requests = requestsOf(operation, await keyOf(tenant), { values: changes(operation) ? { ...values, name: ['q'] } : values, bodies })
      await fc.assert(fc.asyncProperty(requests, async asked => {
        const answer = await ask(asked)
        statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1
        fault = faultOf(operation, answer)
        if (fault !== undefined) throw new Error(fault = `${asked.method} ${asked.url} ${asked.payload?.slice(0, 200) ?? ''}: ${fault}`)
      }), { seed, numRuns: EACH, endOnFailure: true }).catch(() => {})
      if (fault !== undefined) break
    }
    const route = `${operation.method} ${operation.path} ${JSON.stringify(statuses)}`
    t.equal(fault, undefined, route)
    t.ok(Object.keys(statuses).some(status => status.startsWith('2')), `${route}: some go through`)
  }
  t.equal(program.child.exitCode, null, 'it still runs')
})
