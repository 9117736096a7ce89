import pg from 'pg'
import { masked, MillraceError, type Asker } from '#engine'
import { sqlstate } from './postgres-session.ts'
import { beginFor, hasNoWall } from './postgres-wall.ts'

const CONNECTIONS = 4, TIMEOUT = 5000          // of a statement, ms: a question that takes longer is not answered

/** Asks single statements, each a transaction of its own. */
export interface Asks { ask<R extends object> (sql: string, values?: readonly unknown[]): Promise<R[]> }

/** A few connections for single statements, each a transaction of its own: what does not answer in time or cannot be reached is said so. */
export class Pool implements Asks {
  private readonly url: string
  private readonly pool: pg.Pool
  private readonly readOnly: boolean
  private walled = true              // as far as is known
  constructor (url: string, { readOnly }: { readonly readOnly: boolean }) {
    this.url = url
    this.readOnly = readOnly
    this.pool = new pg.Pool({
      connectionString: url, max: CONNECTIONS, connectionTimeoutMillis: TIMEOUT, statement_timeout: TIMEOUT, query_timeout: TIMEOUT + 1000, idleTimeoutMillis: 30_000,
      fallback_application_name: 'millrace-api', options: `-c default_transaction_read_only=${readOnly ? 'on' : 'off'} -c timezone=UTC`
    })
    this.pool.on('error', () => {})              // a connection that rests was lost: the next question makes another
  }

  /**
   * Asks for somebody: for one tenant behind the wall (see postgres-wall.ts), at the cost of two more round trips, and what is
   * changed carries the id of the request.
   */
  as (asker: Asker): Asks {
    if (asker.tenant === undefined && (this.readOnly || asker.request === undefined)) return this
    return { ask: async <R extends object> (sql: string, values: readonly unknown[] = []) => await this.said(async () => await this.within<R>(asker, sql, values)) }
  }

  async ask<R extends object> (sql: string, values: readonly unknown[] = []): Promise<R[]> {
    return await this.said(async () => (await this.pool.query<R & pg.QueryResultRow>(sql, values as unknown[])).rows)
  }

  async close (): Promise<void> { await this.pool.end() }

  private async within<R extends object> (asker: Asker, sql: string, values: readonly unknown[]): Promise<R[]> {
    const client = await this.pool.connect()
    let broken: Error | undefined
    try {
      if (this.walled) await client.query(beginFor(asker)).catch(async (error: unknown) => {
        if (asker.tenant === undefined || !hasNoWall(error)) throw error
        this.walled = false          // the engine has said so when it began
        await client.query('ROLLBACK')
      })
      if (!this.walled) await client.query(beginFor({ ...asker, tenant: undefined }))
      const { rows } = await client.query<R & pg.QueryResultRow>(sql, values as unknown[])
      await client.query('COMMIT')
      return rows
    } catch (error) {
      await client.query('ROLLBACK').catch((lost: Error) => { broken = lost })
      throw error
    } finally { client.release(broken) }
  }

  private async said<R> (work: () => Promise<R>): Promise<R> {
    try {
      return await work()
    } catch (error) {
      if (sqlstate(error) === '57014') throw new MillraceError('api/too-long', `the database did not answer within ${TIMEOUT / 1000} s`, { help: 'ask for less: a shorter range, fewer series, a smaller limit' })
      if (sqlstate(error) !== undefined && !/^(08|53|57)/.test(sqlstate(error)!)) throw error
      throw new MillraceError('store/unreachable', `the database ${masked(this.url)} cannot be reached: ${(error as Error).message}`, { cause: error })
    }
  }
}

/** A statement about a table that is not there. */
export const isMissing = (error: unknown): boolean => sqlstate(error) === '42P01'
