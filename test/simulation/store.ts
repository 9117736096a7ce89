import { backoff, MillraceError, sleep, Transient, type Commit, type Letter, type Outcome, type OutboxEntry, type Recovered, type SeriesTable, type Settled, type Store } from '#engine'
import { Transaction, type Database } from './database.ts'
import type { Process } from './process.ts'

/** How the way to the database behaves: chances per commit, and ms. */
export interface StoreTemper { readonly slow: number, readonly before: number, readonly unknown: number, readonly aside: number, readonly whole: boolean }

const LEASE = 60_000, HELD = 15_000  // ms; after HELD the server gives up a transaction of which it hears nothing

/** What a plant may leave out. */
export interface Omissions { version?: boolean, unknown?: boolean }

/**
 * A process's store, as sinks/postgres-store.ts is one: a transaction guarded by epoch and versions; when the connection is lost during
 * COMMIT nobody knows what became of it, until the version of the checkpoint, read behind its lock, says so.
 */
export class SimulatedStore implements Store {
  readonly whole: boolean
  private readonly process: Process
  private readonly database: Database
  private readonly series: SeriesTable
  private readonly temper: () => StoreTemper
  private readonly omit: Omissions
  private versions: Float64Array
  private version = 0
  private closed = false
  private down: () => boolean

  constructor (process: Process, database: Database, series: SeriesTable, { temper, down, omit = {} }: { readonly temper: () => StoreTemper, readonly down: () => boolean, readonly omit?: Omissions }) {
    this.process = process
    this.database = database
    this.series = series
    this.temper = temper
    this.down = down
    this.omit = omit
    this.whole = temper().whole
    this.versions = database.versions.slice()
  }

  async open (signal: AbortSignal): Promise<Recovered> {
    const { process, database } = this
    for (const wait of backoff(undefined, undefined, () => process.clock.random())) {
      try {
        const taken = await this.alone(() => {
          database.damage()
          database.epoch++
          database.owners.push(process.name)
          database.world.note(`${process.name} takes over with epoch ${database.epoch}`)
          this.versions = database.versions.slice()
          this.version = database.version
          database.pages = database.pages.filter(p => p.generation <= (database.snapshots[0]?.generation ?? 0))
          const { position, version, epoch, origin } = database
          return { position, version, epoch, origin, counts: structuredClone(database.counts), marks: [...database.marks], snapshots: [...database.snapshots] }
        })
        return { ...taken, snapshots: taken.snapshots.map(header => ({ ...header, content: () => this.ask('pages', () => database.content(header.generation, this.whole)) })) }
      } catch (error) {
        if (!(error instanceof Transient)) throw error
        await sleep(wait, signal, process.clock)
        if (signal.aborted) throw new MillraceError('store/unreachable', 'the database cannot be reached')
      }
    }
    throw new Error('unreachable')
  }

  async commit (commit: Commit): Promise<readonly Outcome[]> {
    const { process, database, omit } = this, { world } = database
    if (commit.version !== this.version && !omit.version) throw this.fenced()
    if (this.closed) throw new Transient('the store is closed')
    const { before, unknown } = this.temper()
    const partitions = commit.partitions.length === 0 ? [0] : commit.partitions
    const transaction = new Transaction(database)
    this.watch(transaction)
    let counts: ReturnType<Commit['counts']>, outcomes: readonly Outcome[]
    try {
      await this.locked(transaction)
      await this.ask('update', () => {
        this.alive(transaction)
        if (database.epoch !== commit.epoch) throw this.fenced()
        if (!omit.version && partitions.some(p => database.versions[p] !== this.versions[p])) throw this.fenced()
        if (world.chance(before)) throw new Transient('the connection was lost')
      })
      outcomes = await this.ask('rows', () => {
        this.alive(transaction)
        if (world.chance(before)) throw new Transient('the connection was lost')
        return database.outcomes(commit, this.series)
      })
      counts = commit.counts(outcomes)
    } catch (error) {
      world.at(world.chance(0.5) ? 0 : world.between(0, 2000), () => transaction.end())
      throw error
    }
    const lost = world.chance(unknown) || this.down()
    const arrives = !lost || world.chance(0.5)
    const end = () => {
      if (transaction.ended) return
      if (arrives) database.apply(commit, counts, this.series, process.name)
      transaction.end()
    }
    if (!lost) {
      const known = await this.ask('commit', () => { const { ended } = transaction; end(); return !ended }, true)
      if (known) return this.done(commit, outcomes)
    } else {
      world.at(world.between(0, 4000), end)
      await this.ask('commit, of which no answer comes', () => {}, true)
    }
    world.count('commits unknown')
    if (omit.unknown) throw new Transient('the connection was lost')
    return await this.settleUnknown(commit, outcomes)
  }

  async due (limit: number, now: number, except: readonly string[] = []): Promise<readonly OutboxEntry[]> {
    return await this.ask('lease', () => {
      this.mayFail()
      const due = [...this.database.outbox.values()].filter(e => e.state === 'due' && e.due <= now && !except.includes(e.receiver)).slice(0, limit)
      for (const entry of due) entry.due = now + LEASE
      return due.map(({ event, receiver, attempts }) => ({ id: event.id, events: [event], receiver, attempts }))
    }, true)
  }

  async settle ({ id, receiver, attempts }: OutboxEntry, { state, after }: Settled): Promise<void> {
    await this.ask('settle', () => {
      const entry = this.database.outbox.get(`${id} ${receiver}`)!
      const late = this.database.world.chance(0.5)
      if (!late) this.mayFail()
      if (entry.state === 'due' && (entry.attempts <= attempts || state === 'delivered')) {
        entry.attempts++
        if (state === 'retry') entry.due = after ?? 0
        else entry.state = state
      }
      if (late) this.mayFail()
    }, true)
  }

  async letters (): Promise<readonly Letter[]> { return [] }
  async requeued (): Promise<void> {}
  async close (): Promise<void> { this.closed = true }
  async forget () {}
  trouble (): undefined { return undefined }

  private async settleUnknown (commit: Commit, outcomes: readonly Outcome[]): Promise<readonly Outcome[]> {
    const { process, database } = this, [partition = 0] = commit.partitions
    for (const wait of backoff(undefined, undefined, () => process.clock.random())) {
      try {
        const { epoch, version } = await this.alone(() => ({ epoch: database.epoch, version: database.versions[partition] }))
        if (epoch !== commit.epoch) throw this.fenced()
        if (version === commit.version + 1) return this.done(commit, outcomes)
        throw new Undone('the connection was lost before the commit')
      } catch (error) {
        if (!(error instanceof Transient) || error instanceof Undone || this.closed) throw error
        await sleep(wait, undefined, process.clock)
      }
    }
    throw new Error('unreachable')
  }

  private done ({ partitions, version }: Commit, outcomes: readonly Outcome[]): readonly Outcome[] {
    for (const p of partitions.length === 0 ? [0] : partitions) this.versions[p] = version + 1
    this.version = version + 1
    return outcomes
  }

  /** One statement behind the lock of the checkpoint, committed at once. */
  private async alone<T> (act: () => T): Promise<T> {
    const transaction = new Transaction(this.database)
    this.watch(transaction)
    try {
      await this.locked(transaction)
      return await this.ask('checkpoint', () => { this.alive(transaction); const answer = act(); transaction.end(); return answer }, true)
    } finally { transaction.end() }
  }

  private async locked (transaction: Transaction): Promise<void> {
    await this.ask('begin', () => { this.mayFail() }, true)
    await new Promise<void>((resolve, reject) => {
      this.database.world.at(HELD, () => this.process.give(() => { if (transaction.ended) reject(new Transient('the connection was lost')) }))
      transaction.lock(() => this.process.give(resolve))
    })
  }

  /** The server ends a transaction whose process is gone, or of which it has not heard for long. */
  private watch (transaction: Transaction): void {
    const { world } = this.database
    this.process.died.push(() => world.at(world.between(0, 3000), () => transaction.end()))
    world.at(HELD, () => transaction.end())
  }

  private alive (transaction: Transaction): void { if (transaction.ended || this.down()) throw new Transient('the connection was lost') }
  private mayFail (): void { if (this.down() || this.database.world.chance(this.temper().aside)) throw new Transient('the database cannot be reached') }
  private ask<T> (what: string, effect: () => T, remote = false): Promise<T> { return this.process.ask(`store: ${what}`, this.database.world.between(0.2, 2 * this.temper().slow), effect, remote) }
  private fenced (): MillraceError { return new MillraceError('store/fenced', 'another process has taken over the pipeline') }
}

/** Known: not committed. */
class Undone extends Transient {}
