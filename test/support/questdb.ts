import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../engine/version.ts'
import { freePort } from './nats.ts'

/** The jar, or why there is none. With CI=true none is an error. */
function find (): { readonly jar: string, readonly why: false } | { readonly jar: undefined, readonly why: string } {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' })
  const fetched = java.error === undefined ? spawnSync(join(packageRoot, 'test/support/questdb.sh'), { encoding: 'utf8' }) : undefined
  if (fetched?.status === 0) return { jar: fetched.stdout.trim(), why: false }
  const why = fetched === undefined ? 'QuestDB needs Java 17; on Debian: apt install default-jre-headless' : `QuestDB is not here: ${fetched.stderr.trim().slice(-500)}`
  if (process.env.CI === 'true') throw new Error(why)
  return { jar: undefined, why }
}
const { jar, why } = find()

/** For the option `skip` of a suite: why it cannot run, or false. */
export const withoutQuestdb = why

export interface Questdb {
  readonly url: string
  /** kill -9. */
  kill (): Promise<void>
  /** Brings it back on the same port, with what it had; `env` as in its documentation (QDB_...). */
  start (env?: Record<string, string>): Promise<void>
  /** Rows of a query, one object each. */
  query (sql: string): Promise<Record<string, unknown>[]>
  stop (): Promise<void>
}

/** A real QuestDB on a free port of loopback with a folder of its own; HTTP only, and no telemetry. */
export async function startQuestdb (settings: Record<string, string> = {}): Promise<Questdb> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-questdb-')), port = await freePort(), url = `http://127.0.0.1:${port}`
  let server: ChildProcess | undefined
  const kill = async () => {
    const running = server
    server = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    running.kill('SIGKILL')
    await once(running, 'exit')
  }
  const die = () => { server?.kill('SIGKILL') }          // also when the tests are cut short
  process.once('exit', die)
  const start = async (env: Record<string, string> = settings) => {
    const child = server = spawn('java', ['-Xmx256m', '-XX:+UseSerialGC', '-p', jar!, '-m', 'io.questdb/io.questdb.ServerMain', '-d', folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH, LC_ALL: 'C.UTF-8', QDB_HTTP_BIND_TO: `127.0.0.1:${port}`, QDB_PG_ENABLED: 'false', QDB_LINE_TCP_ENABLED: 'false', QDB_HTTP_MIN_ENABLED: 'false',
        QDB_TELEMETRY_ENABLED: 'false', QDB_SHARED_WORKER_COUNT: '2', ...env
      }
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => { said = (said + chunk).slice(-2000) })
    for (const deadline = Date.now() + 60_000; !await fetch(`${url}/settings`).then(r => r.ok, () => false);) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`QuestDB did not start: ${said}`)
      await new Promise(resolve => { setTimeout(resolve, 50) })
    }
  }
  const query = async (sql: string) => {
    const response = await fetch(`${url}/exec?${new URLSearchParams({ query: sql }).toString()}`)
    const body = await response.json() as { columns?: { name: string }[], dataset?: unknown[][], error?: string }
    if (body.error !== undefined) throw new Error(`${sql}: ${body.error}`)
    return (body.dataset ?? []).map(row => Object.fromEntries(row.map((cell, i) => [body.columns![i].name, cell])))
  }
  await start()
  return {
    url, kill, start, query,
    async stop () {
      process.off('exit', die)
      await kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}
