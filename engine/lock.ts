import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { clock as real, sleep, type Clock } from './clock.ts'
import { MillraceError, type Code } from './errors.ts'
import { disk, type FileSystem } from './files.ts'
import { span } from './options.ts'

/** For whom a lock is taken: what its errors begin with, their code, and what would be right. */
export interface LockOwner { readonly name: string, readonly code: Code, readonly help: string }

export interface Holder { readonly pid: number, readonly started: string | undefined, readonly host: string, readonly token: string }
/** The process that takes a lock, and what it can tell of another one on its host. */
export interface Self { readonly pid: number, readonly started: string | undefined, readonly host: string, alive (holder: Holder): boolean }
export interface LockOptions { readonly fs?: FileSystem, readonly clock?: Clock, readonly self?: Self }

const BEAT = 10_000                  // ms between signs of life
const DEAD = 30_000                  // ms without one after which a holder on another host counts as dead
const held = new Set<string>()       // tokens of this process

/**
 * One process per folder. The lock of a process that is dead is taken over, of one that lives is not: on the same host by
 * its pid and start time, on another (a container on the same volume) by the age of its last sign of life.
 * Who has lost the lock learns it from `mine` or `mineNow`, which must be asked after each write and before its acknowledgement.
 */
export class Lock {
  private readonly file: string
  private readonly text: string
  private readonly token: string
  private readonly fs: FileSystem
  private readonly stopBeat: () => void

  private constructor (file: string, holder: Holder, fs: FileSystem, clock: Clock) {
    this.fs = fs
    this.file = file
    this.token = holder.token
    this.text = JSON.stringify(holder)
    this.stopBeat = clock.interval(() => { const now = new Date(clock.now()); fs.utimes(file, now, now).catch(() => {}) }, BEAT, true)
    held.add(holder.token)
  }

  /** Throws the owner's code when a living process of this host has it; waits for a silent one on another host. */
  static async take (file: string, { name, code, help }: LockOwner, signal: AbortSignal, { fs = disk, clock = real, self = { pid: process.pid, started: startOf(process.pid), host: hostname(), alive } }: LockOptions = {}): Promise<Lock> {
    const me: Holder = { pid: self.pid, started: self.started, host: self.host, token: clock.id() }
    for (;;) {
      const holder = await read(fs, file)
      if (holder === undefined) break
      if (holder.host === me.host) {
        if (self.alive(holder)) throw new MillraceError(code, `${name}: process ${holder.pid} uses ${dirname(file)}`, { help })
        break
      }
      const silent = clock.now() - (await fs.stat(file)).mtimeMs
      if (silent >= DEAD) break
      if (signal.aborted) throw new MillraceError(code, `${name}: process ${holder.pid} on ${holder.host} used ${dirname(file)} ${span(Math.round(silent / 1000) * 1000)} ago`)
      await sleep(Math.min(1000, DEAD - silent), signal, clock)
    }
    const fresh = `${file}.${me.token}`
    try {
      await fs.writeFile(fresh, JSON.stringify(me), { mode: 0o600, flush: true })
      await fs.rename(fresh, file)
    } catch (error) {
      await fs.unlink(fresh).catch(() => {})
      throw error
    }
    const lock = new Lock(file, me, fs, clock)
    if (await lock.mine()) return lock
    await lock.release()
    throw new MillraceError(code, `${name}: another process took ${dirname(file)} at the same moment`)
  }

  /** `mine` at once, about 10 us on a local disk. */
  mineNow (): boolean { try { return this.fs.readFileSync(this.file, 'utf8') === this.text } catch { return false } }

  async mine (): Promise<boolean> { return await this.fs.readFile(this.file, 'utf8').catch(() => '') === this.text }

  async release (): Promise<void> {
    this.stopBeat()
    if (await this.mine()) await this.fs.unlink(this.file)
    held.delete(this.token)
  }
}

/** Who has the lock. A lock that cannot be read is nobody's: it is renamed into place whole. */
async function read (fs: FileSystem, file: string): Promise<Holder | undefined> {
  try { return JSON.parse(await fs.readFile(file, 'utf8')) } catch { return undefined }
}

function alive ({ pid, started, token }: Holder): boolean {
  if (pid === process.pid && started === startOf(pid)) return held.has(token)
  try { process.kill(pid, 0) } catch (error) { if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false }
  return started === startOf(pid)
}

/** When a process started, in a form that only says whether two are the same; undefined where the system does not tell. */
function startOf (pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch { return undefined }
}
