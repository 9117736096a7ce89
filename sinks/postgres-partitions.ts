import type { Batch } from '#engine'
import { micros } from './postgres-time.ts'
import { identifier, literal, type Session } from './postgres-session.ts'

const DAY = 864e5
const YEAR = 365 * DAY
const MONDAY = 4 * DAY               // 1970-01-05: weeks begin on Mondays
const LOCK = 0x6d72                  // with the table's name: who makes or drops its partitions

interface Range { readonly name: string, readonly from: number, readonly to: number }     // ms; the oldest begins at -Infinity

/**
 * Partitions by time of a table where TimescaleDB is not: made before they are needed; see Retention for their end.
 * Everything older than a year before the table was made is in one partition, `<table>_old`.
 */
export class Partitions {
  private readonly table: string
  private readonly width: number     // ms of time in one partition
  private ranges: Range[] = []       // in order of time, none overlaps another
  private ahead = -Infinity          // the partition after the current one is there until then

  constructor (table: string, width: number) {
    this.table = table
    this.width = width
  }

  /** In the transaction that makes the table. */
  async begin (session: Session, now: number): Promise<void> {
    await session.query(`CREATE TABLE IF NOT EXISTS ${identifier(`${this.table}_old`)} PARTITION OF ${identifier(this.table)} FOR VALUES FROM (MINVALUE) TO (${at(this.floor(now - YEAR))})`)
  }

  /** Makes what is missing for the rows and for the time from `now` to the end of the next partition. Outside any transaction. */
  async reach (session: Session, batches: readonly Batch<any>[], now: number): Promise<void> {
    for (let time = this.missing(batches, now); time !== undefined; time = this.missing(batches, now)) {
      const from = time
      await session.transaction(async () => {
        await this.lock(session)
        await this.make(session, from)
      })
      await this.read(session)
    }
    if (now >= this.ahead) this.ahead = this.floor(now) + this.width
  }

  /** Those that are wholly older than `horizon`, and the one that takes whatever is oldest, which stays. */
  async before (session: Session, horizon: number): Promise<{ readonly old: readonly string[], readonly oldest: string | undefined }> {
    await this.read(session)
    return { old: this.ranges.filter(r => r.to <= horizon && r.from !== -Infinity).map(r => r.name), oldest: this.ranges.find(r => r.from === -Infinity)?.name }
  }

  /** Until the transaction ends nobody else makes or drops partitions of the table. */
  async lock (session: Session): Promise<void> { await session.query('SELECT pg_advisory_xact_lock($1, hashtext($2))', [LOCK, this.table]) }

  /** Learns which partitions there are. */
  async read (session: Session): Promise<void> {
    const { rows } = await session.query<{ name: string, from: number, to: number }>(`
      SELECT name, coalesce(extract(epoch FROM substring(bound FROM 'FROM \\(''([^'']+)''\\)')::timestamptz)::float8 * 1000, '-Infinity') AS from,
             extract(epoch FROM substring(bound FROM 'TO \\(''([^'']+)''\\)')::timestamptz)::float8 * 1000 AS to
      FROM (SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
            FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = to_regclass($1)) AS partitions ORDER BY 2`, [identifier(this.table)])
    this.ranges = rows
  }

  /** The first time that no partition holds. */
  private missing (batches: readonly Batch<any>[], now: number): number | undefined {
    for (const { time, length } of batches) {
      let range: Range | undefined
      for (let i = 0; i < length; i++) {
        if (range !== undefined && time[i] >= range.from && time[i] < range.to) continue
        range = this.find(time[i])
        if (range === undefined) return time[i]
      }
    }
    return now < this.ahead ? undefined : [now, now + this.width].find(time => this.find(time) === undefined)
  }

  /** A table of its own first, then attached: readers of the others wait for no more than a moment. */
  private async make (session: Session, time: number): Promise<void> {
    await this.read(session)
    if (this.find(time) !== undefined) return
    const from = Math.max(this.floor(time), ...this.ranges.filter(r => r.to <= time).map(r => r.to))
    const to = Math.min(this.floor(time) + this.width, ...this.ranges.filter(r => r.from > time).map(r => r.from))
    const name = `${this.table}_${new Date(from).toISOString().replace(/[-:]|T00:00:00.000Z$|\.\d+Z$/g, '').toLowerCase()}`
    await session.query(`CREATE TABLE ${identifier(name)} (LIKE ${identifier(this.table)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`)
    await session.query(`ALTER TABLE ${identifier(this.table)} ATTACH PARTITION ${identifier(name)} FOR VALUES FROM (${at(from)}) TO (${at(to)})`)
  }

  private find (time: number): Range | undefined { return this.ranges.find(r => time >= r.from && time < r.to) }
  private floor (time: number): number { return Math.floor((time - MONDAY) / this.width) * this.width + MONDAY }
}

/** A moment as SQL, exact to the microsecond. */
export function at (ms: number): string {
  const us = micros(ms)
  const second = Math.floor(us / 1e6)
  return literal(`${new Date(second * 1000).toISOString().slice(0, 19)}.${String(us - second * 1e6).padStart(6, '0')}Z`)
}
