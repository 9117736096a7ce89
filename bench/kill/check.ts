/** What is in the database against the publisher's ledger and against the oracle: SQL of its own, nothing of the engine's. */
import pg from 'pg'
import { same } from '../recompute.ts'
import type { Truth } from './oracle.ts'
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
  readonly state_mismatches: number  // rows, scores, windows, alerts and numbers that are missing, superfluous or different
}

const CHUNK = 100                    // series at a time
const SAID = 20
const MICROS = (column: string) => `(extract(epoch FROM ${column}) * 1000000)::float8`

/** `ledger`: a byte for each message that was attempted, 1 when it was acknowledged. */
export async function check (url: string, plan: Plan, settings: Settings, ledger: Uint8Array, truth: Truth, say: (line: string) => void): Promise<Verdict> {
  const client = new pg.Client(url)
  await client.connect()
  try { return await new Checker(client, plan, settings, ledger, truth, say).check() } finally { await client.end() }
}

class Checker {
  private readonly client: pg.Client
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
  private mismatches = 0

  constructor (client: pg.Client, plan: Plan, settings: Settings, ledger: Uint8Array, truth: Truth, say: (line: string) => void) {
    this.client = client
    this.plan = plan
    this.settings = settings
    this.ledger = ledger
    this.truth = truth
    this.say = say
    this.observed = new Uint8Array(ledger.length)
  }

  async check (): Promise<Verdict> {
    const known = new Map((await this.query('SELECT s.id, d.name || \'/\' || s.metric AS name FROM series s JOIN devices d ON d.id = s.device')).map(r => [r.id as number, r.name as string]))
    for (let i = 0, ids = [...known.keys()]; i < ids.length; i += CHUNK) {
      const chunk = ids.slice(i, i + CHUNK)
      this.checkRows(known, await this.query(`SELECT series, ${MICROS('time')} AS micros, seq, value, ewma, zscore FROM ${TABLES.readings} WHERE series = ANY ($1) ORDER BY series, time, seq`, [chunk]))
      this.checkWindows(known, await this.query(`SELECT *, ${MICROS('time')} AS micros FROM ${TABLES.windows} WHERE series = ANY ($1)`, [chunk]))
    }
    this.checkAlerts(await this.query(`SELECT id, alert, device || '/' || metric AS name, ${MICROS('since')} AS since, ${MICROS('time')} AS time, value FROM alerts`))
    await this.checkNumbers()
    for (const [name, { rows, windows, alerts }] of this.truth.series) {
      for (const [what, left] of Object.entries({ row: rows, window: windows, alert: alerts })) for (const key of left.keys()) this.differs(`${name}: the ${what} ${key} is missing`)
    }
    const acked = this.ledger.reduce((n, x) => n + x, 0)
    return {
      rows: this.rows, lost: this.ledger.reduce((n, acked, m) => n + (acked & ~this.observed[m]), 0), duplicated: this.duplicated, phantom: this.phantom, unknown: this.ledger.length - acked,
      feature_rows: this.windows, alerts: this.alerts, state_mismatches: this.mismatches
    }
  }

  /** In order of series, time and seq. What was expected and is there is taken out of the truth. */
  private checkRows (names: ReadonlyMap<number, string>, rows: readonly any[]): void {
    let before: { series: number, micros: number } | undefined
    for (const row of rows) {
      const { series, micros, seq, value, ewma, zscore } = row, name = names.get(series)!, expected = this.truth.series.get(name)?.rows
      this.rows++
      const again = before !== undefined && before.series === series && before.micros === micros
      before = row
      if (again || seq > 0) {
        this.duplicated++
        this.differs(`${name}: a second row of the time ${micros}`)
        continue
      }
      this.observe(name, micros, value)
      const want = expected?.get(micros)
      expected?.delete(micros)
      if (want === undefined) this.differs(`${name}: the row ${micros} should not be there`)
      else if (value !== want.value || !near(ewma, want.ewma) || !near(zscore, want.zscore)) this.differs(`${name}: the row ${micros} has value ${value}, ewma ${ewma}, zscore ${zscore}, not ${want.value}, ${want.ewma}, ${want.zscore}`)
    }
  }

  /** Which message made this row? */
  private observe (name: string, micros: number, value: number | null): void {
    const { plan } = this, n = (micros - plan.start) / stepOf(plan), series = seriesOf(name)
    const message = Number.isInteger(n) && n >= 0 && series >= 0 && series < plan.series ? messageOf(plan, { series, n }) : Infinity
    if (message < this.ledger.length && name === nameOf(series) && value === valueOf(plan, { series, n })) this.observed[message] = 1
    else {
      this.phantom++
      this.tell(`${name}: nobody sent ${value} at ${micros}`)
    }
  }

  /** Final rows: exactly the closed windows. Provisional ones: only of windows that are open. */
  private checkWindows (names: ReadonlyMap<number, string>, rows: readonly any[]): void {
    for (const row of rows) {
      const name = names.get(row.series)!, expected = this.truth.series.get(name)?.windows, want = expected?.get(row.micros)
      if (row.provisional) {
        if (want !== undefined) this.differs(`${name}: the closed window ${row.micros} is provisional`)
        continue
      }
      this.windows++
      expected?.delete(row.micros)
      if (want === undefined) { this.differs(`${name}: the window ${row.micros} should not be there`); continue }
      const wrong = features.filter(f => !same(f, row[f], want, this.settings.every))
      if (wrong.length > 0) this.differs(`${name}: the window ${row.micros}: ${wrong.map(f => `${f} is ${row[f]}, not ${want[f]}`).join('; ')}`)
    }
  }

  private checkAlerts (rows: readonly any[]): void {
    for (const { id, alert, name, since, time, value } of rows) {
      this.alerts++
      const expected = this.truth.series.get(name)?.alerts, want = expected?.get(id)
      expected?.delete(id)
      if (want === undefined || alert !== ALERT) this.differs(`${name}: the alert ${id} of ${time} should not be there`)
      else if (since !== want.since || time !== want.time || value !== want.value) this.differs(`${name}: the alert ${id} is of ${since}, ${time} with ${value}, not of ${want.since}, ${want.time} with ${want.value}`)
    }
  }

  /** Nothing has gone where nothing should. */
  private async checkNumbers (): Promise<void> {
    const [{ late, dead }] = await this.query('SELECT (SELECT count(*)::float8 FROM late_readings) AS late, (SELECT count(*)::float8 FROM dead_letters) AS dead')
    if (late !== this.truth.late) this.differs(`${late} readings are late, not ${this.truth.late}`)
    if (dead !== 0) this.differs(`there are ${dead} dead letters`)
  }

  private differs (what: string): void {
    this.mismatches++
    this.tell(what)
  }

  private told = 0
  private tell (what: string): void { if (this.told++ < SAID) this.say(what) }

  private async query (sql: string, values: readonly unknown[] = []): Promise<any[]> { return (await this.client.query(sql, [...values])).rows }
}

/** Equal up to 1e-9 of the size; NaN is stored as null. */
const near = (got: number | null, want: number): boolean => got === null || Number.isNaN(want) ? got === null && Number.isNaN(want) : Math.abs(got - want) <= 1e-9 * Math.max(Math.abs(got), Math.abs(want))
