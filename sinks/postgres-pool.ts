import pg from 'pg'
import { masked, MillraceError } from '#engine'
import { sqlstate } from './postgres-session.ts'

const CONNECTIONS = 4, TIMEOUT = 5000          // of a statement, ms: a question that takes longer is not answered

/** A few connections for single statements, each a transaction of its own: what does not answer in time or cannot be reached is said so. */
export class Pool {
  private readonly url: string
  private readonly pool: pg.Pool
  constructor (url: string, { readOnly }: { readonly readOnly: boolean }) {
    this.url = url
    this.pool = new pg.Pool({
      connectionString: url, max: CONNECTIONS, connectionTimeoutMillis: TIMEOUT, statement_timeout: TIMEOUT, query_timeout: TIMEOUT + 1000, idleTimeoutMillis: 30_000,
      fallback_application_name: 'millrace-api', options: `-c default_transaction_read_only=${readOnly ? 'on' : 'off'} -c timezone=UTC`
    })
    this.pool.on('error', () => {})              // a connection that rests was lost: the next question makes another
  }

  async ask<R extends object> (sql: string, values: readonly unknown[] = []): Promise<R[]> {
    try {
      return (await this.pool.query<R & pg.QueryResultRow>(sql, values as unknown[])).rows
    } catch (error) {
      if (sqlstate(error) === '57014') throw new MillraceError('api/too-long', `the database did not answer within ${TIMEOUT / 1000} s`, { help: 'ask for less: a shorter range, fewer series, a smaller limit' })
      if (sqlstate(error) !== undefined && !/^(08|53|57)/.test(sqlstate(error)!)) throw error
      throw new MillraceError('store/unreachable', `the database ${masked(this.url)} cannot be reached: ${(error as Error).message}`, { cause: error })
    }
  }

  async close (): Promise<void> { await this.pool.end() }
}

/** A statement about a table that is not there. */
export const isMissing = (error: unknown): boolean => sqlstate(error) === '42P01'
