import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { check, TABLE, type Flow, type Outcome } from '../ingest-flows.ts'
import type { Order } from '../messages.ts'
import { cpuOfTree, freshDatabase, temporary, type Measured, type Program, type Service } from '../services.ts'
import type { Peer, Task } from './peer.ts'

const SETTLE = 300, QUIET = 6000, EVERY = 250    // ms: after the last row; without a new row, so that no more are awaited; between looks
const INTO = 1500                    // ms from the first message of an order to a kill
const LONGEST = 180_000              // ms
const UNDEFINED_TABLE = '42P01'

/** What all contestants share. */
export interface Ring {
  readonly server: Service
  /** CPU of the database so far, us. */
  readonly cpu: () => number
  readonly port: number              // of the broker
  readonly publisher: Measured
  readonly start: number             // event time of reading 0, us since 1970
}
export interface Turn { readonly us: number, readonly withDatabase: number, readonly rate: number }

/** A peer that runs one flow, with a database of its own. */
export class Contestant {
  readonly peer: Peer
  private readonly ring: Ring
  private readonly task: Task
  private readonly database: Service
  private readonly client: pg.Client
  private program: Program | undefined

  private constructor (ring: Ring, peer: Peer, task: Task, database: Service) {
    this.ring = ring
    this.peer = peer
    this.task = task
    this.database = database
    this.client = new pg.Client(task.database)
    this.client.on('error', () => {})
  }

  static async open (ring: Ring, peer: Peer, flow: Flow, prefix: string): Promise<Contestant> {
    const database = await freshDatabase(ring.server.url)
    const opened = new Contestant(ring, peer, { flow, prefix, port: ring.port, database: database.url, folder: temporary('peer') }, database)
    try {
      await opened.client.connect()
      await peer.prepare(opened.task)
      opened.program = await peer.start(opened.task)
      return opened
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  /** Publishes, at QoS 1, and waits until all is in the database, or no more comes. */
  async turn (from: number, count: number, rate: number): Promise<Turn> {
    const { ring: { publisher, cpu }, task: { prefix } } = this, pid = this.program!.child.pid!
    await publisher.ask({ prefix, qos: 1, from, count, rate, readings: 1 } satisfies Order)
    const before = cpuOfTree(pid), database = cpu(), began = performance.now()
    await publisher.ask('go')
    const last = await this.arrived(from + count)
    await sleep(SETTLE)
    const us = cpuOfTree(pid) - before
    return { us: us / count, withDatabase: (us + cpu() - database) / count, rate: count / (last - began) * 1000 }
  }

  /** The same, and kills it with SIGKILL while they come. It is started again at once. */
  async killed (from: number, count: number, rate: number): Promise<void> {
    const { ring: { publisher }, task: { prefix } } = this
    await publisher.ask({ prefix, qos: 1, from, count, rate, readings: 1 } satisfies Order)
    const published = publisher.ask('go')
    await sleep(INTO)
    await this.program!.stop('SIGKILL')
    this.program = await this.peer.start(this.task)
    await published
    await this.arrived(Infinity)
  }

  /** Throws when a row or window is wrong, and counts those that are missing or there twice. */
  async check (count: number): Promise<Outcome> {
    const { flow, database } = this.task
    return await check(flow, database, this.ring.start, count, this.peer.tables)
  }

  async close (): Promise<void> {
    await this.program?.stop()
    await this.client.end()
    await this.database.stop()
    rmSync(this.task.folder, { recursive: true, force: true })
  }

  /** Resolves when so many rows are there, or no new one has come for a while; with when the last one came. */
  private async arrived (expected: number): Promise<number> {
    const begun = performance.now()
    let seen = -1, since = begun
    while (seen < expected && performance.now() - since < QUIET) {
      if (performance.now() - begun > LONGEST) throw new Error(`${this.peer.name} is still not done after ${LONGEST / 1000} s, with ${seen} of ${expected} rows`)
      if (this.program!.over) throw new Error(`${this.peer.name} ended: ${this.program!.log.slice(-2000)}`)
      const n = await this.rows()
      if (n !== seen) { seen = n; since = performance.now() }
      if (seen < expected) await sleep(EVERY)
    }
    return since
  }

  private async rows (): Promise<number> {
    try {
      return Number((await this.client.query(`SELECT count(*) AS n FROM ${TABLE}`)).rows[0].n)
    } catch (error) {
      if ((error as { code?: string }).code === UNDEFINED_TABLE) return 0          // some make it with their first row
      throw error
    }
  }
}
