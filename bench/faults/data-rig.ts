/** What the rows about bad data work with: the whole engine with its embedded broker, in front of a real PostgreSQL. */
import { createHash } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import * as sources from '../../connectors/index.ts'
import { work } from '../../engine/cli/work.ts'
import type { Parts } from '../../engine/components.ts'
import { normalise } from '../../engine/lint.ts'
import type { Run } from '../../engine/run.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as operators from '../../operators/index.ts'
import { fileStore } from '../../sinks/file.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { fixedPort } from '../kill/source.ts'
import { Publisher } from '../publisher.ts'
import { freshDatabase, Measured, postgresServer, query, temporary, until, type Service } from '../services.ts'

const parts = { sources, operators, sinks, fileStore, openActions: url => new PostgresActions(url), openQuery: url => new PostgresQuery(url) } as Partial<Parts> as Parts
const WINDOW = 1000                  // QoS 1 messages under way

export const SECOND = 1000, HOUR = 3_600_000, DAY = 24 * HOUR
/** What the rows about windows work out of each of them. */
export const features = ['count', 'mean', 'std', 'min', 'max', 'rms', 'range', 'slope', 'first', 'last'] as const

/** A pipeline but for its name; `from` is a broker on `port`. */
export interface Given { readonly broker?: Readonly<Record<string, unknown>>, readonly time?: Readonly<Record<string, string>>, readonly pipe?: readonly unknown[], readonly windows?: string }
export interface Message { readonly topic: string, readonly payload: string | Buffer }

/** Readings and, with `windows`, their features over spans of that length. */
const pipelineOf = ({ broker, time, pipe, windows }: Given, port: number): object => ({
  name: 'faults', from: { broker: { port, ...broker } }, ...time === undefined ? {} : { time }, ...pipe === undefined ? {} : { pipe },
  ...windows === undefined ? {} : { branches: { windows: { pipe: [{ tumbling: { every: windows, features } }], to: [{ postgres: { table: 'features' } }] } } },
  to: [{ postgres: { table: 'readings' } }]
})

/** An engine at work. */
export interface Engine { readonly port: number, stop (): Promise<void> }

/** A database and a folder, in which engines live one after the other. */
export class Place {
  readonly url: string
  readonly folder = temporary('faults')
  private readonly services: readonly Service[]
  private readonly engines: Engine[] = []
  readonly port: number
  /** What is to be stopped before the engines and the database, also after an error. */
  readonly closing: (() => Promise<unknown>)[] = []

  private constructor (services: readonly Service[], port: number) {
    this.services = services
    this.url = services[0].url
    this.port = port
  }

  static async open (): Promise<Place> {
    const server = await postgresServer()
    try {
      return new Place([await freshDatabase(server.url), server], await fixedPort())
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** The engine in this process: quick to start, and its run can be looked into. */
  async engine (given: Given): Promise<Engine & { readonly run: Run }> {
    const { pipeline, findings } = readYaml(JSON.stringify(pipelineOf(given, this.port)), parts, { file: 'faults' })
    if (pipeline === undefined) throw new Error(findings.map(f => f.message).join('; '))
    const stop = new AbortController()
    let run: Run | undefined
    const working = work([normalise(pipeline, parts)], { parts, log: pino({ level: 'silent' }), folder: join(this.folder, 'engine'), database: this.url, http: undefined, signal: stop.signal, started: runs => { run = runs[0] } })
    let failed: unknown
    working.catch((error: unknown) => { failed = error })
    await until('the engine listens', () => {
      if (failed !== undefined) throw failed
      return run?.source?.address?.() !== undefined
    })
    return this.keep({ port: this.port, run: run!, stop: async () => { stop.abort(); await working } })
  }

  /** The engine in a process of its own. `http`: port of its HTTP plane. */
  async program (given: Given, { http, env = {} }: { readonly http?: number, readonly env?: NodeJS.ProcessEnv } = {}): Promise<Engine & { readonly process: Measured }> {
    const file = join(this.folder, 'pipeline.json')
    writeFileSync(file, JSON.stringify(pipelineOf(given, this.port)))
    const process = new Measured('engine/main', ['run', file, '--database', this.url, '--http', http === undefined ? 'off' : `127.0.0.1:${http}`, '--folder', join(this.folder, 'engine')], env)
    const engine = this.keep({ port: this.port, process, stop: () => process.stop() })
    await process.says('broker listening')
    await process.says('running')            // the tables are there
    return engine
  }

  query (sql: string, values?: readonly unknown[]): Promise<any[]> { return query(this.url, sql, values) }

  /** Resolves when this many readings have met their fate, ever. Returns the counts of the trunk. */
  async settled (readings: number, within?: number): Promise<Readonly<Record<string, number>>> {
    let counts: Record<string, number> = {}
    await until(`${readings} readings are settled`, async () => {
      const found = await this.query(`SELECT received::float8, written::float8, late::float8, filtered::float8, deduplicated::float8, dead_lettered::float8 FROM counts WHERE branch = ''`).catch(() => [])
      counts = found[0] ?? counts
      return (counts.received ?? 0) >= readings
    }, within)
    return counts
  }

  /** All that `table` says about the devices of a tenant, but for how it came there: in an order of its own, as text. */
  async dump (table: 'readings' | 'features', tenant = 'default', but: readonly string[] = []): Promise<string[]> {
    const rows = await this.query(`SELECT * FROM ${table}_named WHERE tenant = $1`, [tenant])
    const gone = new Set(['tenant', 'unit', 'type', 'site', 'tags', 'series', 'position', 'ingested_at', 'source', ...but])
    return rows.map(row => JSON.stringify(Object.entries(row).filter(([name]) => !gone.has(name)).map(([name, value]) => [name, value]))).toSorted()
  }

  /** Publishes at QoS 1 over one connection, never more than `window` that are not acknowledged; resolves when all is. Returns how many. */
  async publish (messages: Iterable<Message>, window = WINDOW): Promise<number> {
    const publisher = await Publisher.connect(this.port)
    let sent = 0
    for (const { topic, payload } of messages) {
      publisher.publish(topic, payload, 1)
      sent++
      if (publisher.underWay >= window) await publisher.atMost(window / 2)
    }
    await publisher.atMost(0)
    await publisher.close()
    return sent
  }

  async stop (): Promise<void> {
    for (const close of this.closing) await close().catch(() => {})
    for (const engine of this.engines) await engine.stop().catch(() => {})
    for (const service of this.services) await service.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  private keep<E extends Engine> (engine: E): E {
    this.engines.push(engine)
    return engine
  }
}

/** `work` in a place of its own. */
export async function inPlace<T> (work: (place: Place) => Promise<T>): Promise<T> {
  const place = await Place.open()
  try { return await work(place) } finally { await place.stop() }
}

/** Figures with the verdict on them: what is wrong is said, and stands in the row. */
export function judge (figures: Readonly<Record<string, unknown>>, wrong: Readonly<Record<string, boolean>>, say: (line: string) => void): { verdict: 'pass' | 'fail', [figure: string]: unknown } {
  const faults = Object.entries(wrong).filter(([, is]) => is).map(([what]) => what)
  for (const fault of faults) say(fault)
  return { verdict: faults.length === 0 ? 'pass' : 'fail', ...figures, ...faults.length === 0 ? {} : { faults } }
}

export const hash = (rows: readonly string[]): string => createHash('sha256').update(rows.join('\n')).digest('hex')

/** What is in one of two dumps and not in the other. */
export function difference (a: readonly string[], b: readonly string[]): string[] {
  const inA = new Set(a), inB = new Set(b)
  return [...a.filter(row => !inB.has(row)).map(row => `only in the first: ${row}`), ...b.filter(row => !inA.has(row)).map(row => `only in the second: ${row}`)]
}

/** The same of dumps whose numbers may differ in their last digits, since sums of floats depend on their order: rows of which one is off by more than 1e-9 of it. */
export function unlike (a: readonly string[], b: readonly string[]): string[] {
  if (a.length !== b.length) return difference(a, b)
  const close = (x: unknown, y: unknown): boolean => typeof x === 'number' && typeof y === 'number' ? Math.abs(x - y) <= 1e-9 * Math.max(1, Math.abs(x)) : JSON.stringify(x) === JSON.stringify(y)
  return a.filter((row, i) => {
    const others: readonly [string, unknown][] = JSON.parse(b[i])
    return row !== b[i] && !(JSON.parse(row) as [string, unknown][]).every(([name, value], c) => others[c][0] === name && close(value, others[c][1]))
  })
}

export function percentile (of: readonly number[], p: number): number {
  const sorted = [...of].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(p / 100 * sorted.length) - 1)] ?? NaN
}

/** A seeded generator of numbers in [0, 1): mulberry32. */
export function chance (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ state >>> 15, state | 1)
    t ^= t + Math.imul(t ^ t >>> 7, t | 61)
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
}

export function shuffle<T> (of: T[], random: () => number): T[] {
  for (let i = of.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1)); [of[i], of[j]] = [of[j], of[i]]
  }
  return of
}
