import { backoff, Batch, masked, MillraceError, PARTITIONS, sleep, Transient, type Commit, type Disabled, type Letter, type LetterQuery, type Logger, type Outcome, type OutboxEntry, type Policy, type Recovered, type Settled, type SinkHost, type Store, type StorePlan } from '#engine'
import { commitOnce, fenced, type Content, type Written } from './postgres-commit.ts'
import { CopyEncoder, type Target } from './postgres-copy.ts'
import { Refusals, admit } from './postgres-admit.ts'
import { followReceivers } from './postgres-receivers.ts'
import { locked, migrateWith } from './postgres-migrate.ts'
import { decide } from './postgres-decide.ts'
import { lettersOf, markRequeued } from './postgres-letters.ts'
import { disabledEndpoints, disableEndpoint, endAlerts, lease, settleEntry, waitingIn } from './postgres-outbox.ts'
import type { Care } from './postgres-rows.ts'
import { DurableSeries } from './postgres-series.ts'
import { isBadData, isDuplicate, Session, sqlstate } from './postgres-session.ts'
import { movedBy, snapshotsOf } from './postgres-snapshots.ts'
import { fault, Table, type TableOptions } from './postgres-tables.ts'
import { millis } from './postgres-time.ts'
import { detect } from './postgres-timescale.ts'

export interface PostgresOptions { readonly url: string | undefined, readonly timescale: 'auto' | 'off', readonly statementTimeout: number }

const WARN_EVERY = 60_000            // ms of ingest time
const GIVE_UP = 10_000               // ms after a stop
const REPEATS = 2                    // after so many the next is taken to be of that kind too, and goes through staging at once
const LATE: Target = { name: 'late_readings', kind: 'readings', columns: new Set() }

/** A pipeline's results in PostgreSQL. One connection commits, a second one serves the outbox, so that it never waits behind a COPY. */
export class PostgresStore implements Store {
  private readonly url: string
  private readonly options: PostgresOptions
  private readonly pipeline: string
  private readonly receivers: NonNullable<StorePlan['receivers']>
  private readonly host: SinkHost
  private readonly log: Logger
  private readonly tables: Map<string, Table>
  private readonly encoder = new CopyEncoder()
  private readonly series: DurableSeries
  private readonly versions = new Float64Array(PARTITIONS)     // of the partitions of the checkpoint
  private version = 0                // of the last commit that is known to be done
  private epoch = 0                  // in which the store is ours
  private repeats = 0                // commits one after the other with rows that were there already
  private session: Session | undefined
  private side: Promise<Session> | undefined
  private sideWork: Promise<unknown> = Promise.resolve()
  private signal: AbortSignal | undefined
  private failing: string | undefined = 'not connected yet'
  private warned = -Infinity
  private closed = false

  constructor (options: PostgresOptions, plan: StorePlan, host: SinkHost, tableOptions: (given: Readonly<Record<string, unknown>>) => TableOptions) {
    if (options.url === undefined) throw new MillraceError('config/missing', 'postgres.url is not set, nor is MILLRACE_DATABASE', { help: 'set one of them, such as postgres://user:password@localhost/millrace' })
    const wrong = plan.tables.map(fault).find(f => f !== undefined)
    if (wrong !== undefined) throw new MillraceError('config/invalid', `postgres: ${wrong}`)
    this.url = options.url
    this.options = options
    this.pipeline = plan.pipeline
    this.receivers = plan.receivers ?? []
    this.host = host
    this.log = host.log
    this.series = new DurableSeries(host.series)
    this.tables = new Map(plan.tables.map(t => [t.name, new Table(t, tableOptions(t.options), host.log)]))
  }

  async open (signal: AbortSignal, epoch?: number): Promise<Recovered> {
    this.signal = signal
    for (const wait of backoff()) {
      try {
        const session = await this.connected()
        const edition = await detect(session, this.options.timescale)
        await locked(session, async () => {
          await migrateWith(session, this.log)
          for (const table of this.tables.values()) await table.open(session, edition, Date.now())
        })
        const recovered = await this.takeOver(session, epoch)
        await followReceivers(session, this.pipeline, this.receivers)
        return recovered
      } catch (error) {
        if (!(error instanceof Transient)) { await this.close(); throw explained(error) }
        this.fail(error)
        this.log.warn({ database: masked(this.url), err: error.message }, 'the database cannot be reached, trying again')
        await sleep(wait, signal)
        if (signal.aborted) throw new MillraceError('store/unreachable', `the database ${masked(this.url)} cannot be reached: ${error.message}`, { cause: error })
      }
    }
    throw new Error('unreachable')
  }

  async commit (commit: Commit): Promise<readonly Outcome[]> {
    if (commit.version !== this.version) throw fenced(this.pipeline)
    try {
      const session = await this.connected()
      const content = this.content(commit)
      for (const table of this.tables.values()) await table.prepare(session, content.writes.filter(w => w.table === table).flatMap(w => w.batch.provisional === undefined ? [w.batch] : [w.batch, w.batch.provisional]), commit.ingest)
      const written = await this.attempt(session, content, this.repeats >= REPEATS ? 'repeats' : 'none')
      if (written.known) return this.done(written, commit)
      return await this.settleUnknown(written, commit)
    } catch (error) {
      if (!(error instanceof Transient)) throw explained(error)
      this.fail(error)
      throw error
    }
  }

  readonly decides = true

  async due (limit: number, now: number, except: readonly string[] = [], policies?: ReadonlyMap<string, Policy>): Promise<readonly OutboxEntry[]> {
    return await this.aside(async session => {
      if (!await decide(session, this.pipeline, this.epoch, now, policies)) throw fenced(this.pipeline)
      return await lease(session, this.pipeline, this.epoch, limit, now, except)
    })
  }

  readonly endpoints = {
    disabled: () => this.aside(disabledEndpoints),
    disable: (endpoint: Disabled) => this.aside(session => disableEndpoint(session, endpoint))
  }

  async settle (entry: OutboxEntry, how: Settled): Promise<void> {
    await this.aside(session => settleEntry(session, entry, how))
  }

  async waiting (until?: number): Promise<number> {
    return await this.aside(session => waitingIn(session, this.pipeline, until))
  }

  async letters (query: LetterQuery): Promise<readonly Letter[]> {
    return await this.aside(session => lettersOf(session, this.pipeline, query))
  }

  async requeued (letters: readonly Letter[], by: string, request?: string): Promise<void> {
    await this.aside(session => session.transaction(() => markRequeued(session, this.pipeline, letters, by, request)))
  }

  async restart (origin: string): Promise<void> {
    const session = await this.connected()
    await session.transaction(async () => {
      const { rowCount } = await session.query('UPDATE checkpoint SET position = 0, origin = $2 WHERE pipeline = $1 AND epoch = (SELECT max(epoch) FROM checkpoint WHERE pipeline = $1)', [this.pipeline, origin])
      if (rowCount !== PARTITIONS) throw fenced(this.pipeline)
      for (const table of ['snapshots', 'snapshot_pages', 'marks']) await session.query(`DELETE FROM ${table} WHERE pipeline = $1`, [this.pipeline])
    })
  }

  async forget (): Promise<void> {
    await this.aside(session => session.transaction(async () => {
      for (const table of ['checkpoint', 'counts', 'snapshots', 'snapshot_pages', 'marks']) await session.query(`DELETE FROM ${table} WHERE pipeline = $1`, [this.pipeline])
      await endAlerts(session, this.pipeline, 'pipeline deleted')
    }))
  }

  async close (): Promise<void> {
    this.closed = true
    await this.sideWork.catch(() => {})
    await this.session?.close()
    await (await this.side?.catch(() => undefined))?.close()
    this.session = this.side = undefined
  }

  get events (): Readonly<Record<string, number>> { return { retention_put_off: [...this.tables.values()].reduce((sum, table) => sum + table.putOff, 0) } }

  trouble (): string | undefined {
    if (this.session?.lost !== undefined) this.fail(this.session.lost)
    return this.failing
  }

  private get parts () { return { pipeline: this.pipeline, encoder: this.encoder, series: this.series, versions: this.versions } }

  /** With more care when rows ask for it. */
  private async attempt (session: Session, content: Content, care: Care): Promise<Written> {
    try {
      return await commitOnce(session, this.parts, content, care)
    } catch (error) {
      const next = isDuplicate(error) && care === 'none' ? 'repeats' : isBadData(error) && care !== 'refusals' ? 'refusals' : undefined
      if (next === undefined) throw error
      return await this.attempt(session, this.content(content.commit), next)
    }
  }

  /** Connected again if need be. */
  private async connected (): Promise<Session> {
    if (this.closed) throw new Transient('the store is closed')
    if (this.session === undefined || this.session.lost !== undefined) {
      const session = await Session.connect(this.url, this.options.statementTimeout)
      if (this.closed) {
        session.destroy()
        throw new Transient('the store is closed')
      }
      if (this.session !== undefined) await session.succeed(this.session)
      this.session = session
    }
    this.failing = undefined
    return this.session
  }

  /** All partitions are ours from here on: a commit of whoever had them before finds another epoch. */
  private async takeOver (session: Session, only: number | undefined): Promise<Recovered> {
    const { rows } = await this.unblocked(session, session.query<{ partition: number, epoch: number, version: number, position: number | null, origin: string | null, ingest: number | null }>(`
      INSERT INTO checkpoint (pipeline, partition) SELECT $1, p FROM generate_series(0, $2) AS p ON CONFLICT (pipeline, partition) DO UPDATE SET epoch = checkpoint.epoch + 1 WHERE $3::bigint IS NULL OR checkpoint.epoch = $3
      RETURNING partition, epoch::float8, version::float8, position::float8, origin, ${millis('ingested_at')} AS ingest`, [this.pipeline, PARTITIONS - 1, only ?? null]))
    if (rows.length === 0) throw fenced(this.pipeline)
    for (const { partition, version } of rows) this.versions[partition] = version
    const newest = rows.reduce((a, b) => b.version > a.version ? b : a)
    this.version = newest.version
    this.epoch = Math.max(...rows.map(row => row.epoch))
    if (rows.some(row => row.epoch !== newest.epoch)) await session.query('UPDATE checkpoint SET epoch = $2 WHERE pipeline = $1', [this.pipeline, this.epoch])
    const { rows: counts } = await session.query(`
      SELECT branch, received::float8, derived::float8, written::float8, late::float8, filtered::float8, deduplicated::float8, dead_lettered::float8, aggregated::float8, rows::float8
      FROM counts WHERE pipeline = $1`, [this.pipeline])
    return {
      position: newest.position ?? undefined, origin: newest.origin ?? undefined, ingest: newest.ingest ?? undefined, version: newest.version, epoch: this.epoch,
      counts: Object.fromEntries(counts.map(({ branch, ...rest }) => [branch, rest])),
      ...await snapshotsOf(session, this.pipeline)
    }
  }

  /**
   * Whoever holds what `work` waits for and has not said a word for half the timeout is frozen, or out of reach: in the middle of
   * a COPY the server would wait for it without end. Its connection is ended.
   */
  private async unblocked<T> (session: Session, work: Promise<T>): Promise<T> {
    const silence = this.options.statementTimeout / 2
    const timer = setInterval(() => { this.aside(side => side.query(FROZEN, [session.backend!.pid, silence])).catch(() => {}) }, silence / 2)
    try { return await work } finally { clearInterval(timer) }
  }

  /** What of the commit may be sent to the database, and what is refused before that. */
  private content (commit: Commit): Content {
    const refusals = new Refusals(this.host.series, commit.ingest, commit.deadLetters)
    const writes = commit.writes.map(({ table: name, batch }) => {
      const table = this.tables.get(name)
      if (table === undefined) throw new MillraceError('store/failed', `postgres: the pipeline has no table "${name}"`)
      const horizon = table.horizon(commit.ingest)
      const before = refusals.letters.length
      const rows = admit(table, batch, this.host.series, horizon, (row, reason, why) => refusals.add(name, batch, row, reason, why, commit.position))
      const provisional = batch.provisional && admit(table, batch.provisional, this.host.series, horizon, () => {})
      return { table, batch: provisional === batch.provisional ? rows : new Batch<any>({ ...rows, provisional }), refused: refusals.letters.length - before }
    })
    const late = commit.late.map(l => ({ ...l, batch: admit(LATE, l.batch, this.host.series, -Infinity, (row, reason, why) => refusals.add(LATE.name, l.batch, row, reason, why, commit.position)) }))
    const old = refusals.letters.filter(l => l.reason === 'beyond_retention').length
    if (old > 0 && commit.ingest >= this.warned + WARN_EVERY) {
      this.warned = commit.ingest
      this.log.warn({ rows: old }, 'rows older than the retention of their table were refused')
    }
    return { commit, writes, late, refusals }
  }

  private done ({ named, outcomes }: Written, { partitions, version }: Commit): readonly Outcome[] {
    this.series.keep(named)
    this.repeats = outcomes.some(o => o.duplicates > 0) ? this.repeats + 1 : 0
    for (const partition of movedBy(partitions)) this.versions[partition] = version + 1
    this.version = version + 1
    return outcomes
  }

  /** The connection was lost while COMMIT was under way: the version of the checkpoint says what became of it. */
  private async settleUnknown (written: Written, commit: Commit): Promise<readonly Outcome[]> {
    const { epoch, version, partitions: [partition = 0] } = commit
    let stopping: number | undefined
    for (const wait of backoff()) {
      try {
        const session = await this.connected()
        const { rows: [row] } = await session.query<{ epoch: string, version: string }>('SELECT epoch, version FROM checkpoint WHERE pipeline = $1 AND partition = $2 FOR UPDATE', [this.pipeline, partition])
        if (Number(row?.epoch) !== epoch) throw fenced(this.pipeline)
        const committed = Number(row.version) === version + 1
        this.log.info({ committed }, 'the outcome of a commit was unknown and is settled')
        if (committed) return this.done(written, commit)
        this.series.forget(written.named)
        throw new Undone('the connection was lost before the commit')
      } catch (error) {
        if (!(error instanceof Transient) || error instanceof Undone) throw error
        this.fail(error)
        if (this.closed || (this.signal?.aborted && performance.now() > (stopping ??= performance.now() + GIVE_UP))) {
          this.series.forget(written.named)
          throw error
        }
        await sleep(wait)
      }
    }
    throw new Error('unreachable')
  }

  /** On the second connection, one after the other. */
  private async aside<T> (work: (session: Session) => Promise<T>): Promise<T> {
    const result = this.sideWork.catch(() => {}).then(async () => {
      if (this.closed) throw new Transient('the store is closed')
      if (this.side === undefined || (await this.side.catch(() => undefined))?.lost !== undefined) this.side = undefined
      this.side ??= Session.connect(this.url, this.options.statementTimeout)
      const side = this.side
      try {
        return await work(await side)
      } catch (error) {
        if (error instanceof Transient && this.side === side) this.side = undefined
        throw explained(error)
      }
    })
    this.sideWork = result
    return await result
  }

  private fail (error: Error): void {
    this.failing = `${masked(this.url)}: ${error.message}`
  }
}

const FROZEN = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE pid = ANY (pg_blocking_pids($1)) AND usename = current_user AND wait_event_type = 'Client' AND state_change < now() - $2 * interval '1 millisecond'`

/** Known: not committed. */
class Undone extends Transient {}

const explained = (error: unknown): unknown => sqlstate(error) === undefined ? error : new MillraceError('store/failed', `postgres: ${(error as Error).message} (${sqlstate(error)})`, { cause: error })
