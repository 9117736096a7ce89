import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { span, Transient } from '#engine'

/** Codes for which the same may work later: connection, read-only after a failover, a session that was silent for too long (this process was stopped), rollback, resources, locks, operator, system. */
const TRANSIENT = /^(08|25006|25P0[34]|40|53|55|57|58)/

/** A query of our own that returns no rows, as pg.Client drives it: https://github.com/brianc/node-postgres, packages/pg/lib/client.js. */
interface Submittable {
  callback (): void
  submit (connection: Wire): void
  handleCommandComplete (message: { readonly text: string }): void
  handleCopyInResponse (connection: Wire): void
  handleError (error: Error): void
  handleReadyForQuery (): void
}
interface Wire { query (sql: string): void, sendCopyFromChunk (bytes: Uint8Array): void, endCopyFrom (): void, sendCopyFail (why: string): void }

/**
 * One connection with a watchdog. A statement that is not answered within `timeout` ms costs the connection: a dead
 * network gives no error of its own. What may work later comes out as Transient, all else as pg.DatabaseError.
 * One statement at a time.
 */
export class Session {
  lost: Error | undefined            // why this connection cannot be used any more
  backend: { readonly pid: number, readonly since: string } | undefined      // of the server
  private readonly client: pg.Client
  private readonly timeout: number
  private abandon: ((error: Error) => void) | undefined     // of the statement under way

  private constructor (client: pg.Client, timeout: number) {
    this.client = client
    this.timeout = timeout
    const leave = (error: Error) => { this.lost ??= error; this.abandon?.(this.lost) }
    client.on('error', leave)
    client.on('end', () => leave(new Error('the connection ended')))
  }

  static async connect (url: string, timeout: number): Promise<Session> {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: timeout, keepAlive: true, fallback_application_name: 'millrace' })
    const session = new Session(client, timeout)
    try {
      await session.guard('connecting', client.connect())
      // The server is to notice within a minute that this process has gone without a word: its locks are in others' way.
      await session.query(`SET timezone = 'UTC'; SET client_min_messages = warning; SET idle_in_transaction_session_timeout = ${Math.ceil(timeout)};
        SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
        SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0`)      // late rows may go to compressed chunks; means nothing without TimescaleDB
      session.backend = (await session.query<{ pid: number, since: string }>('SELECT pid, backend_start::text AS since FROM pg_stat_activity WHERE pid = pg_backend_pid()')).rows[0]
    } catch (error) {
      session.destroy()
      throw error instanceof Transient ? error : new Transient((error as Error).message, { cause: error })     // a database or role may still be made
    }
    return session
  }

  query<R extends pg.QueryResultRow = any> (sql: string, values?: readonly unknown[]): Promise<pg.QueryResult<R>> {
    return this.guard(sql, this.client.query<R>(sql, values as unknown[] | undefined))
  }

  /** Several statements in one round trip, without parameters. The first that fails ends it. */
  async script (sql: string): Promise<pg.QueryResult[]> {
    const results: unknown = await this.query(sql)
    return Array.isArray(results) ? results : [results as pg.QueryResult]
  }

  /** Ends what the server still does for a connection that was lost on the way: it may hold locks. Where that is not allowed, it ends by itself in a minute. */
  async succeed ({ backend }: Session): Promise<void> {
    if (backend === undefined) return
    try {
      await this.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2', [backend.pid, backend.since])
    } catch (error) {
      if (sqlstate(error) !== undefined) return
      this.destroy()
      throw error
    }
  }

  /** Sends `bytes` (COPY BINARY) and waits until the server has taken them: then they may be overwritten. */
  copy (sql: string, bytes: Uint8Array): Promise<void> {
    return this.guard(sql, pipeline([bytes], this.client.query(copyFrom(sql))))
  }

  /**
   * Several statements in one round trip, of which each COPY ... FROM STDIN takes the next of `copies` (COPY BINARY, in slices that are sent as they are made). `may` sees the tags
   * of the statements before the first of them, such as "UPDATE 1": when it says no the script fails there, and this resolves to false.
   */
  copyScript (sql: string, copies: readonly (() => Iterable<Uint8Array>)[], may: (tags: readonly string[]) => boolean): Promise<boolean> {
    const tags: string[] = []
    let next = 0, refused = false, failure: Error | undefined
    const work = new Promise<boolean>((resolve, reject) => {
      const script: Submittable = {
        callback () {},              // pg puts its own there when it has a timeout
        submit (connection) { connection.query(sql) },
        handleCommandComplete ({ text }) { tags.push(text) },
        handleCopyInResponse (connection) {
          refused ||= next === 0 && !may(tags)
          if (refused) return connection.sendCopyFail('not now')
          try {
            for (const slice of copies[next++]()) connection.sendCopyFromChunk(slice)
            connection.endCopyFrom()
          } catch (error) {          // here it would end the process
            failure = error as Error
            connection.sendCopyFail('rows that cannot be encoded')
          }
        },
        handleError (error) { if (refused) resolve(false); else reject(failure ?? error) },
        handleReadyForQuery () { resolve(true) }
      }
      this.client.query(script as unknown as pg.Submittable)
    })
    return this.guard(sql, work)
  }

  /** `work` in a transaction; rolled back when it throws. */
  async transaction<T> (work: () => Promise<T>): Promise<T> {
    await this.query('BEGIN')
    try {
      const result = await work()
      await this.query('COMMIT')
      return result
    } catch (error) {
      await this.rollback()
      throw error
    }
  }

  async rollback (): Promise<void> {
    if (this.lost === undefined) await this.query('ROLLBACK').catch(() => this.destroy())
  }

  async close (): Promise<void> {
    if (this.lost === undefined) await this.guard('ending', this.client.end(), Math.min(this.timeout, 5000)).catch(() => {})
    this.destroy()
  }

  destroy (why = new Error('the connection was given up')): void {
    this.lost ??= why
    const { stream } = (this.client as unknown as { connection: { stream: { destroy (): void } } }).connection
    stream.destroy()
  }

  private async guard<T> (what: string, work: Promise<T>, within = this.timeout): Promise<T> {
    const timer = setTimeout(() => this.destroy(new Error(`no answer within ${span(within)} to: ${what.slice(0, 80)}`)), within)
    try {
      return await new Promise<T>((resolve, reject) => { this.abandon = reject; work.then(resolve, reject) })
    } catch (error) {
      const code = sqlstate(error)
      if (code !== undefined ? !TRANSIENT.test(code) : error instanceof RangeError || error instanceof TypeError) throw error      // the latter are bugs of ours, and stay so however often they are tried
      const reason = this.lost !== undefined && code === undefined ? this.lost : error as Error
      throw new Transient(reason.message === '' ? (reason as NodeJS.ErrnoException).code ?? reason.name : reason.message, { cause: error })
    } finally {
      this.abandon = undefined
      clearTimeout(timer)
    }
  }
}

export const sqlstate = (error: unknown): string | undefined => error instanceof pg.DatabaseError ? error.code : undefined
/** Two rows with one key: never a bad row, the rows are there already. */
export const isDuplicate = (error: unknown): boolean => sqlstate(error) === '23505'
/** A row that the table cannot hold: out of range, a failed CHECK, a missing value. */
export const isBadData = (error: unknown): boolean => /^2[23]/.test(sqlstate(error) ?? '') && !isDuplicate(error)

export const identifier = pg.escapeIdentifier
export const literal = pg.escapeLiteral
