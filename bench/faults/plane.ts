/** What the rows about security work with: the whole command with its HTTP plane, an embedded broker that knows its devices, and keys. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newKey, scopes, type Scope } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { freePort } from '../../test/support/mosquitto.ts'
import { freshDatabase, Measured, query, temporary, until } from '../services.ts'
import type { Bench } from './row.ts'

export interface Answer { readonly status: number, readonly body: string, readonly headers: Headers }

/** One engine with a pipeline `p` from its broker, one `h` from requests; both alert above 100, to a webhook that nobody answers. */
export class Plane {
  readonly url: string
  readonly port: number              // of the broker
  readonly database: string
  readonly process: Measured
  private readonly keys: PostgresKeys

  private constructor (url: string, port: number, database: string, process: Measured, keys: PostgresKeys) {
    this.url = url
    this.port = port
    this.database = database
    this.process = process
    this.keys = keys
  }

  /** `devices`: lines of a file of credentials; without, whoever comes may publish. `args`: more of `millrace run`; `more`: sinks of `p`. */
  static async open ({ server, closing }: Bench, { devices, args = [], more = [] }: { readonly devices?: string, readonly args?: readonly string[], readonly more?: readonly unknown[] } = {}): Promise<Plane> {
    const folder = temporary('plane'), database = await freshDatabase((await server()).url), port = await freePort()
    const alerts = { high: { when: { value: { above: 100 } }, to: [{ webhook: { url: 'http://127.0.0.1:9/nobody' } }] } }, to = [{ postgres: { table: 'readings' } }]
    if (devices !== undefined) writeFileSync(join(folder, 'devices.csv'), devices)
    writeFileSync(join(folder, 'p.json'), JSON.stringify({ name: 'p', from: { broker: { port, ...devices === undefined ? {} : { topics: '{tenant}/{device}/{metric}', credentials: join(folder, 'devices.csv') } } }, pipe: ['ewma'], alerts, to: [...to, ...more] }))
    writeFileSync(join(folder, 'h.json'), JSON.stringify({ name: 'h', from: { http: {} }, alerts, to: [{ postgres: { table: 'posted' } }] }))
    const engine = new Measured('engine/main', ['run', join(folder, 'p.json'), join(folder, 'h.json'), '--database', database.url, '--http', '127.0.0.1:0', '--egress', '127.0.0.0/8', '--folder', join(folder, 'state'), ...args]), keys = new PostgresKeys(database.url)
    closing.push(async () => { await engine.stop(); await keys.close(); await database.stop(); rmSync(folder, { recursive: true, force: true }) })
    await engine.says('broker listening')
    const url = await engine.found(/http:\/\/127\.0\.0\.1:\d+/)
    await until('the tables are there', () => query(database.url, 'SELECT FROM readings, posted, api_keys LIMIT 1').then(() => true, () => false))
    return new Plane(url, port, database.url, engine, keys)
  }

  /** A new key, of one tenant or of all, by default with every scope. */
  async key (tenant: string | null, of: readonly Scope[] = Object.keys(scopes) as Scope[], expires: Date | null = null): Promise<{ readonly key: string, readonly id: string }> {
    const { key, id, digest } = newKey()
    await this.keys.add({ id, digest, name: 'faults', tenant, scopes: [...of], expires }, 'faults')
    return { key, id }
  }

  async revoke (id: string): Promise<void> { await this.keys.revoke(id, 'faults') }

  /** A request; its body is whole unless it is a stream, of which nothing is read. */
  async ask (method: string, path: string, { key, body, headers = {} }: { readonly key?: string | undefined, readonly body?: unknown, readonly headers?: Readonly<Record<string, string>> } = {}): Promise<Answer> {
    const cut = new AbortController()
    const reply = await fetch(this.url + path, {
      method, redirect: 'manual', signal: AbortSignal.any([cut.signal, AbortSignal.timeout(20_000)]),
      headers: { ...key === undefined ? {} : { authorization: `Bearer ${key}` }, ...body === undefined ? {} : { 'content-type': 'application/json' }, ...headers }, ...body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
    })
    const text = reply.headers.get('content-type')?.startsWith('text/event-stream') === true ? '' : await reply.text()
    cut.abort()
    return { status: reply.status, body: text, headers: reply.headers }
  }

  rows (sql: string, values?: readonly unknown[]): Promise<any[]> { return query(this.database, sql, values) }
}
