/** What the bench `peers` compares: a program that brings messages of mosquitto into PostgreSQL. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Flow, Tables } from '../ingest-flows.ts'
import type { Program } from '../services.ts'

export interface Task {
  readonly flow: Flow
  readonly prefix: string            // first level of its topics, and its client id
  readonly port: number              // of the broker, on 127.0.0.1
  readonly database: string          // URL
  readonly folder: string            // for its files; the same after it was killed
}

export interface Peer {
  readonly name: string
  readonly version: string
  /** What it can do of the flows of `ingest`. */
  readonly flows: readonly Flow[]
  /** Where its rows are found. */
  readonly tables?: Tables
  /** Makes the tables that it does not make itself. */
  prepare (task: Task): Promise<void>
  /** Resolves when it has subscribed, QoS 1, with a session that survives it. Once more after it was killed. */
  start (task: Task): Promise<Program>
}

export interface Places {
  readonly cache: string             // folder in which npm installs what is missing
  readonly bin: string               // folder of programs, looked through before PATH; '' for none
}

/** A peer that may be there: itself, or why it is not. */
export interface Candidate { readonly name: string, find (places: Places): Promise<Peer | string> }

/** The first of these programs that there is, in `bin` or else in PATH, and what it prints as its version; undefined when there is none. */
export function programOf (names: readonly string[], { bin }: Places, ask: readonly string[]): { readonly path: string, readonly version: string } | undefined {
  for (const name of names) {
    const own = join(bin, name), path = bin !== '' && existsSync(own) ? own : name
    const { stdout, status } = spawnSync(path, [...ask], { encoding: 'utf8' })
    if (status === 0) return { path, version: /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] ?? 'unknown' }
  }
  return undefined
}
