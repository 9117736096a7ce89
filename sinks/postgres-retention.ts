import { Transient, type Logger } from '#engine'
import { at, type Partitions } from './postgres-partitions.ts'
import { identifier, type Session } from './postgres-session.ts'
import { dropChunks } from './postgres-timescale.ts'

const EVERY = 36e5                   // ms of ingest time
const AGAIN = 60_000                 // ms of ingest time until what was put off is tried again, then twice as long, up to EVERY
const LOCK = 200                     // ms: whoever comes for the table waits behind one that waits to change it
const STATEMENT = 5000               // ms
const ROWS = 10_000                  // deleted at once

/**
 * Removes what is wholly older than the retention, between two commits of the pipeline. Commits wait for it, and so does whoever else uses the table, so
 * it waits 0.2 s for a lock at most, as of a reader with a long transaction, and then tries again a minute later; rows go 10,000 at a time.
 */
export class Retention {
  putOff = 0                         // times that it could not be done
  private readonly table: string
  private readonly log: Logger
  private next = -Infinity           // ingest time, ms
  private wait = AGAIN

  constructor (table: string, log: Logger) {
    this.table = table
    this.log = log
  }

  /** Of the table in the form it has. Outside any transaction; throws only what has cost the connection. */
  async keep (session: Session, form: 'partitioned' | 'hypertable' | 'plain', partitions: Partitions, horizon: number, ingest: number): Promise<void> {
    if (ingest < this.next) return
    try {
      const more = form === 'hypertable' ? await this.chunks(session, horizon) : await this.rows(session, form === 'plain' ? this.table : await this.dropped(session, partitions, horizon), horizon)
      this.next = more ? ingest : ingest + EVERY
      this.wait = AGAIN
    } catch (error) {
      if (!(error instanceof Transient) || session.lost !== undefined) throw error
      this.putOff++
      this.next = ingest + this.wait
      this.log.warn({ table: this.table, err: error.message, again: this.wait / 1000 }, 'retention: what is too old is still there, as others use the table, such as an export or a long query')
      this.wait = Math.min(2 * this.wait, EVERY)
    }
  }

  /** Drops partitions; returns the name of the one that takes what is oldest, of which rows are deleted. */
  private async dropped (session: Session, partitions: Partitions, horizon: number): Promise<string | undefined> {
    const { old, oldest } = await partitions.before(session, horizon)
    for (const name of old) {
      await briefly(session, async () => {
        await partitions.lock(session)
        await session.query(`DROP TABLE IF EXISTS ${identifier(name)}`)
      })
      this.log.info({ table: this.table, dropped: name }, 'retention: a partition was dropped')
    }
    if (old.length > 0) await partitions.read(session)
    return oldest
  }

  private async chunks (session: Session, horizon: number): Promise<boolean> {
    const dropped = await briefly(session, () => dropChunks(session, this.table, horizon))
    if (dropped.length > 0) this.log.info({ table: this.table, dropped }, 'retention: chunks were dropped')
    return false
  }

  /** Whether there may be more. Rows that somebody else has locked stay for now. */
  private async rows (session: Session, table: string | undefined, horizon: number): Promise<boolean> {
    if (table === undefined) return false
    const name = identifier(table)
    const { rowCount } = await briefly(session, () => session.query(`DELETE FROM ${name} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${name} WHERE time < ${at(horizon)} LIMIT ${ROWS} FOR UPDATE SKIP LOCKED))`))
    return rowCount === ROWS
  }
}

const briefly = <T>(session: Session, work: () => Promise<T>): Promise<T> => session.transaction(async () => {
  await session.query(`SET LOCAL lock_timeout = ${LOCK}; SET LOCAL statement_timeout = ${STATEMENT}`)
  return await work()
})
