/** A process that runs pipelines and lets them be changed, with a real database and devices that publish; in this process, so that it can be looked into. */
import { connectAsync, type MqttClient } from 'mqtt'
import { plan } from '../../engine/api/server.ts'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { Backfill } from '../../engine/backfill.ts'
import type { Components } from '../../engine/components.ts'
import { Control } from '../../engine/control.ts'
import { Evaluate } from '../../engine/evaluate-job.ts'
import { ExportRows } from '../../engine/export-job.ts'
import { Jobs, type Kept } from '../../engine/jobs.ts'
import { Limits } from '../../engine/limits.ts'
import { normalise } from '../../engine/lint.ts'
import { Pipelines } from '../../engine/pipelines.ts'
import { forget } from '../../engine/plan.ts'
import { Reach } from '../../engine/reach.ts'
import { Relearning } from '../../engine/relearning.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import { plantFault } from '../../connectors/planted.ts'
import * as operators from '../../operators/index.ts'
import { fileStore } from '../../sinks/file.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { PostgresJobs } from '../../sinks/postgres-jobs.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { PostgresRegistry } from '../../sinks/postgres-registry.ts'
import { quiet, rowsOf } from './postgres.ts'

export const components = { sources, operators, sinks } as unknown as Components
type T = { teardown (f: () => unknown): void }

export async function until (what: string, holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; !await holds();) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

export interface Process {
  readonly control: Control
  readonly pipelines: Pipelines
  readonly failures: unknown[]
  /** A request with a key for everything; the body of a PUT is YAML. */
  ask (method: string, path: string, body?: string | object, headers?: Record<string, string>): Promise<{ status: number, json: any, text: string, etag: string | undefined, headers: Readonly<Record<string, unknown>> }>
  /** The same, from /api/v1 on. */
  call (method: string, path: string, body?: string | object, headers?: Record<string, string>): Promise<{ status: number, json: any, text: string, etag: string | undefined, headers: Readonly<Record<string, unknown>> }>
  /** Status of a reading that is posted. */
  post (): Promise<number>
  key (scopes: readonly Scope[], tenant?: string): Promise<string>
  end (): Promise<void>
}

export async function open (t: T, url: string, folder: string, { files = [], within = 5000, egress, limits, hosts = [], settled = true, kept = () => ({ most: 100, age: Infinity }) }: { readonly files?: readonly string[], readonly within?: number, readonly egress?: readonly string[], readonly limits?: Limits, readonly hosts?: readonly string[], readonly settled?: boolean, readonly kept?: (tenant: string | null) => Kept } = {}): Promise<Process> {
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), failures: unknown[] = []
  const pipelines = new Pipelines({ log: quiet, folder, database: url, fallback: fileStore, within, egress, maxSeries: 1000, failed: error => { failures.push(error) } })
  const registry = new PostgresRegistry(url)
  const control = new Control({
    pipelines, registry, components, log: quiet, folder, reach: new Reach(hosts), files: new Map(files.map(text => [/name: (\S+)/.exec(text)![1], 'plant.yaml'])),
    forget: pipeline => forget(pipeline, { log: quiet, folder, database: url }, fileStore)
  })
  await pipelines.open(files.map(text => normalise(readYaml(text, components, { file: 'plant.yaml' }).pipeline!, components)), new AbortController().signal)
  const query = new PostgresQuery(url), actions = new PostgresActions(url), backfill = new Backfill({ pipelines, query, log: quiet, folder, database: url, fallback: fileStore, maxSeries: 1000, replay: options => sources.replay(options as { files: string }) })
  const jobs = { backfill, pipelines, folder, all: new Jobs({ store: new PostgresJobs(url), kinds: { backfill, evaluate: new Evaluate({ folder, query, registry }), export: new ExportRows(folder, query) }, instance: () => control.owner, kept, log: quiet }) }
  const app = await plan({ runs: () => pipelines.runs, pipelines: () => pipelines.all, stopping: () => false, components, keys, query, actions, control, jobs, limits, plant: plantFault, inlets: () => pipelines.inlets }, quiet)
  const relearning = new Relearning({ maintenance: actions, pipelines, log: quiet })
  pipelines.begin()
  relearning.open()
  control.open()
  jobs.all.open()
  const key = async (given: readonly Scope[], tenant: string | null = null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: given, expires: null }, 'test')
    return key
  }
  const all = await key(Object.keys(scopes) as Scope[])
  let ended = false
  const end = async () => {
    if (ended) return
    ended = true
    await relearning.close()
    await jobs.all.close()
    await pipelines.stop()
    await control.close()
    await pipelines.close()
    await app.close()
    await keys.close()
    await query.close()
    await actions.close()
  }
  t.teardown(end)
  const ask: Process['ask'] = async (method, path, body, headers = {}) => await call(method, `/pipelines${path}`, body, headers)
  const call: Process['call'] = async (method, path, body, headers = {}) => {
    const reply = await app.inject({ method: method as 'GET', url: `/api/v1${path}`, headers: { authorization: `Bearer ${all}`, ...typeof body === 'string' ? { 'content-type': 'application/yaml' } : {}, ...headers }, ...body === undefined ? {} : { payload: body } })
    let json: any
    try { json = reply.json() } catch { json = undefined }
    return { status: reply.statusCode, json, text: reply.body, etag: reply.headers.etag as string | undefined, headers: reply.headers }
  }
  const post = async () => (await app.inject({ method: 'POST', url: '/api/v1/ingest', payload: '{"device":"d","metric":"m","value":1}', headers: { authorization: `Bearer ${all}`, 'content-type': 'application/json' } })).statusCode
  if (settled) await until('what is kept has been read', () => control.trouble() === undefined)
  return { control, pipelines, failures, ask, call, post, key, end }
}

/** A device that publishes 0, 1, 2, ...: each acknowledged before it counts. Its connection must live to the end. */
export async function device (t: T, port: number, name = 'd'): Promise<{ readonly client: MqttClient, sent: number, lost: number, send (n: number): Promise<void> }> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 })
  const it = {
    client, sent: 0, lost: 0,
    async send (n: number) {
      for (let i = 0; i < n; i++) {
        await client.publishAsync(`t/${name}/m`, JSON.stringify({ ts: START + 100 * it.sent, value: valueOf(it.sent) }), { qos: 1 })
        it.sent++
      }
    }
  }
  client.on('close', () => { it.lost++ })
  t.teardown(() => { client.end(true) })
  return it
}
const START = Date.now() - 60_000
export const valueOf = (n: number): number => n % 20 >= 15 ? 100 + n / 1000 : (n * 37) % 11 + n / 1000

/** The mean of one pipeline that was never interrupted. */
export function means (count: number, alpha = 0.5): number[] {
  let mean = NaN
  return Array.from({ length: count }, (_, n) => mean = Number.isNaN(mean) ? valueOf(n) : mean + alpha * (valueOf(n) - mean))
}
export const rows = async (url: string, columns: string, table = 'readings', device = 'd'): Promise<any[]> => await rowsOf(url, `SELECT ${columns} FROM ${table}_named WHERE device = $1 ORDER BY time, position`, [device])
