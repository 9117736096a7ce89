/** What is in the database against the publisher's ledger and against the oracle: SQL of its own, nothing of the engine's. */
import pg from 'pg'
import { same } from '../recompute.ts'
import type { Expected, Truth } from './oracle.ts'
import { ALERT, features, TABLES, type Settings } from './pipeline.ts'
import { messageOf, nameOf, seriesOf, stepOf, valueOf, type Plan } from './readings.ts'

export interface Verdict {
  readonly rows: number
  readonly lost: number              // acknowledged, and no row
  readonly duplicated: number        // rows beyond one for each series and time
  readonly phantom: number           // rows that nobody sent, or with another value
  readonly unknown: number           // attempted, never acknowledged
  readonly feature_rows: number
  readonly alerts: number
  readonly follower_rows: number
  readonly state_mismatches: number  // rows, scores, windows, alerts and counts that are missing, superfluous or different
}

/** A row of readings, `micros` its time in us; null is no value. */
export interface Found { readonly name: string, readonly micros: number, readonly seq: number, readonly value: number | null, readonly ewma: number | null, readonly zscore: number | null }
/** Gives all readings of these series that a follower has, in any order. */
export type Follower = (names: readonly string[]) => Promise<readonly Found[]>

const CHUNK = 100                    // series at a time
const SAID = 20
const MICROS = (column: string) => `(extract(epoch FROM ${column}) * 1000000)::float8`
const NAMED = 'JOIN series s ON s.id = r.series JOIN devices d ON d.id = s.device WHERE d.name || \'/\' || s.metric = ANY ($1)'
const nothing: Expected = { rows: new Map(), windows: new Map(), alerts: new Map() }

/** `ledger`: a byte for each message that was attempted, 1 when it was acknowledged. */
export async function check (url: string, plan: Plan, settings: Settings, ledger: Uint8Array, truth: Truth, follower: Follower | undefined, say: (line: string) => void): Promise<Verdict> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await new Checker(async (sql, values = []) => (await client.query(sql, [...values])).rows, plan, settings, ledger, truth, say).check(follower)
  } finally { await client.end() }
}

type Query = (sql: string, values?: readonly unknown[]) => Promise<any[]>

class Checker {
  private readonly query: Query
  private readonly plan: Plan
  private readonly settings: Settings
  private readonly ledger: Uint8Array
  private readonly truth: Truth
  private readonly say: (line: string) => void
  private readonly observed: Uint8Array
  private rows = 0
  private duplicated = 0
  private phantom = 0
  private windows = 0
  private alerts = 0
  private followed = 0
  private mismatches = 0
  private told = 0

  constructor (query: Query, plan: Plan, settings: Settings, ledger: Uint8Array, truth: Truth, say: (line: string) => void) {
    this.query = query
    this.plan = plan
    this.settings = settings
    this.ledger = ledger
    this.truth = truth
    this.say = say
    this.observed = new Uint8Array(ledger.length)
  }

  async check (follower: Follower | undefined): Promise<Verdict> {
    const there = (await this.query('SELECT d.name || \'/\' || s.metric AS name FROM series s JOIN devices d ON d.id = s.device')).map(r => r.name as string)
    const names = [...new Set([...there, ...this.truth.series.keys()])]
    for (let i = 0; i < names.length; i += CHUNK) {
      const chunk = names.slice(i, i + CHUNK)
      const rows = by(await this.query(`SELECT d.name || '/' || s.metric AS name, ${MICROS('time')} AS micros, seq, value, ewma, zscore FROM ${TABLES.readings} r ${NAMED}`, [chunk]) as Found[])
      const windows = by(await this.query(`SELECT d.name || '/' || s.metric AS name, ${MICROS('time')} AS micros, r.* FROM ${TABLES.windows} r ${NAMED}`, [chunk]))
      const alerts = by(await this.query(`SELECT device || '/' || metric AS name, alert, id, ${MICROS('since')} AS since, ${MICROS('time')} AS time, value FROM alerts WHERE device || '/' || metric = ANY ($1)`, [chunk]))
      const followed = follower === undefined ? undefined : by(await follower(chunk))
      for (const name of chunk) {
        const expected = this.truth.series.get(name) ?? nothing, found = rows.get(name) ?? []
        for (const row of found) this.observe(row)
        this.rows += found.length
        this.checkRows(name, found, expected.rows)
        this.checkWindows(name, windows.get(name) ?? [], expected.windows)
        this.checkAlerts(name, alerts.get(name) ?? [], expected.alerts)
        if (followed === undefined) continue
        this.followed += followed.get(name)?.length ?? 0
        this.checkRows(`the follower's ${name}`, followed.get(name) ?? [], expected.rows)
      }
    }
    await this.checkDead()
    await this.checkCounts()
    const acked = this.ledger.reduce((n, x) => n + x, 0)
    return {
      rows: this.rows, lost: this.ledger.reduce((n, acked, m) => n + (acked & ~this.observed[m]), 0), duplicated: this.duplicated, phantom: this.phantom, unknown: this.ledger.length - acked,
      feature_rows: this.windows, alerts: this.alerts, follower_rows: this.followed, state_mismatches: this.mismatches
    }
  }

  /** Which message made this row? */
  private observe ({ name, micros, value }: Found): void {
    const { plan } = this, n = (micros - plan.start) / stepOf(plan), series = seriesOf(name)
    const message = Number.isInteger(n) && n >= 0 && series >= 0 && series < plan.series ? messageOf(plan, { series, n }) : Infinity
    if (message < this.ledger.length && name === nameOf(series) && value === valueOf(plan, { series, n })) this.observed[message] = 1
    else {
      this.phantom++
      this.tell(`${name}: nobody sent ${value} at ${micros}`)
    }
  }

  private checkRows (name: string, rows: readonly Found[], expected: Expected['rows']): void {
    const seen = new Set<number>()
    for (const { micros, seq, value, ewma, zscore } of rows) {
      const want = expected.get(micros)
      if (seen.has(micros) || seq !== 0) {
        this.duplicated++
        this.differs(`${name}: the row ${micros} with seq ${seq} is one too many`)
      } else if (want === undefined) this.differs(`${name}: the row ${micros} should not be there`)
      else if (!near(value, want.value) || !near(ewma, want.ewma) || !near(zscore, want.zscore)) this.differs(`${name}: the row ${micros} has value ${value}, ewma ${ewma}, zscore ${zscore}, not ${want.value}, ${want.ewma}, ${want.zscore}`)
      seen.add(micros)
    }
    for (const micros of expected.keys()) if (!seen.has(micros)) this.differs(`${name}: the row ${micros} is missing`)
  }

  /** Final rows: exactly the closed windows. Provisional ones: only of windows that are open. */
  private checkWindows (name: string, rows: readonly any[], expected: Expected['windows']): void {
    const seen = new Set<number>()
    for (const row of rows) {
      const want = expected.get(row.micros)
      if (row.provisional) continue          // of a closed window: it is missing
      this.windows++
      seen.add(row.micros)
      const wrong = features.filter(f => want !== undefined && !same(f, row[f], want, this.settings.every))
      if (want === undefined) this.differs(`${name}: the window ${row.micros} should not be there`)
      else if (wrong.length > 0) this.differs(`${name}: the window ${row.micros}: ${wrong.map(f => `${f} is ${row[f]}, not ${want[f]}`).join('; ')}`)
    }
    for (const start of expected.keys()) if (!seen.has(start)) this.differs(`${name}: the window ${start} is missing, or provisional`)
  }

  private checkAlerts (name: string, rows: readonly any[], expected: Expected['alerts']): void {
    const seen = new Set<string>()
    for (const { id, alert, since, time, value } of rows) {
      this.alerts++
      seen.add(id)
      const want = expected.get(id)
      if (want === undefined || alert !== ALERT) this.differs(`${name}: the alert ${id} of ${time} should not be there`)
      else if (since !== want.since || time !== want.time || value !== want.value) this.differs(`${name}: the alert ${id} is of ${since}, ${time} with ${value}, not of ${want.since}, ${want.time} with ${want.value}`)
    }
    for (const { id, time } of expected.values()) if (!seen.has(id)) this.differs(`${name}: the alert ${id} of ${time} is missing`)
  }

  /** A dead letter for each reading on which an operator threw: that is its fate, it is not lost. */
  private async checkDead (): Promise<void> {
    const rows = await this.query("SELECT topic, (convert_from(payload, 'UTF8')::json ->> 'time')::float8 AS time FROM dead_letters WHERE reason = 'operator_failed'")
    const there = new Set(rows.map(({ topic, time }) => `${topic.split('/').slice(1).join('/')} ${Math.round(time * 1000)}`))
    for (const { name, micros } of this.truth.dead) {
      if (there.has(`${name} ${micros}`)) this.observed[messageOf(this.plan, { series: seriesOf(name), n: (micros - this.plan.start) / stepOf(this.plan) })] = 1
      else this.differs(`${name}: no dead letter says that an operator threw on ${micros}`)
    }
  }

  /** Every message is counted once, and nothing has gone where nothing should. */
  private async checkCounts (): Promise<void> {
    const { messages, repeated, late, dead: { length: dead } } = this.truth, kept = messages - repeated - dead
    const want: Readonly<Record<string, Readonly<Record<string, number>>>> = {
      '': { received: messages, deduplicated: repeated, written: kept, filtered: 0, late: 0, dead_lettered: dead },
      windows: { received: kept, late, aggregated: kept - late }
    }
    const rows = await this.query('SELECT branch, received::float8, deduplicated::float8, written::float8, filtered::float8, late::float8, dead_lettered::float8, aggregated::float8 FROM counts')
    for (const [branch, counts] of Object.entries(want)) {
      const got = rows.find(r => r.branch === branch)
      for (const [what, n] of Object.entries(counts)) if (got?.[what] !== n) this.differs(`${got?.[what]} readings are counted as ${what}${branch && ` in ${branch}`}, not ${n}`)
    }
    const [kinds] = await this.query('SELECT (SELECT count(*)::float8 FROM late_readings) AS late, (SELECT count(*)::float8 FROM dead_letters) AS dead')
    if (kinds.late !== late) this.differs(`${kinds.late} late readings are there, not ${late}`)
    if (kinds.dead !== dead) this.differs(`${kinds.dead} dead letters are there, not ${dead}`)
  }

  private differs (what: string): void {
    this.mismatches++
    this.tell(what)
  }

  private tell (what: string): void { if (this.told++ < SAID) this.say(what) }
}

function by<R extends { readonly name: string }> (rows: readonly R[]): Map<string, R[]> {
  const groups = new Map<string, R[]>()
  for (const row of rows) {
    const group = groups.get(row.name)
    if (group === undefined) groups.set(row.name, [row])
    else group.push(row)
  }
  return groups
}

/** Equal up to 1e-9 of the size; NaN is stored as null. */
const near = (got: number | null, want: number): boolean => got === null || Number.isNaN(want) ? got === null && Number.isNaN(want) : Math.abs(got - want) <= 1e-9 * Math.max(Math.abs(got), Math.abs(want))
