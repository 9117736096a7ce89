import { MillraceError, Transient, type Batch, type Logger, type TablePlan } from '#engine'
import { fixedColumns, type Target } from './postgres-copy.ts'
import { Partitions } from './postgres-partitions.ts'
import { Retention } from './postgres-retention.ts'
import { identifier, sqlstate, type Session } from './postgres-session.ts'
import { shut } from './postgres-wall.ts'
import { applyPolicies, makeHypertable, type Edition } from './postgres-timescale.ts'

export interface TableOptions { readonly retention: number | undefined, readonly chunk: number, readonly compress: number | undefined, readonly aggregate: number | undefined }

/** Columns of every table or of its view, and names of what the migrations make: a pipeline cannot use them. */
const OWN_COLUMNS = new Set<string>([...fixedColumns.readings, ...fixedColumns.windows, 'tenant', 'device', 'metric', 'unit', 'type', 'site', 'tags'])
const OWN_TABLES = ['devices', 'series', 'checkpoint', 'counts', 'alerts', 'alert_outbox', 'late_readings', 'dead_letters', 'snapshots', 'snapshot_pages', 'marks', 'api_keys', 'audit', 'pipelines', 'pipeline_versions', 'alert_deliveries', 'alert_endpoints', 'alert_receivers', 'alert_incidents', 'alert_comments', 'silences', 'jobs', 'migrations']
const LOCK = 3                       // s: whoever reads or writes the table waits behind one that waits to change it

/** What is wrong with a plan, in a sentence. */
export function fault ({ name, columns }: TablePlan): string | undefined {
  if (OWN_TABLES.includes(name)) return `the table "${name}" belongs to Millrace itself; choose another name`
  const taken = columns.find(c => OWN_COLUMNS.has(c))
  if (taken !== undefined) return `the column "${taken}" of table "${name}" is one that every table or its view has; give the step's column another name`
  const long = columns.find(c => Buffer.byteLength(c) > 63 || c === '' || c.includes('\0'))
  if (long !== undefined) return `"${long}" cannot be the name of a column: 1 to 63 bytes are`
  return undefined
}

/** One table of a pipeline: made, widened, looked after. */
export class Table implements Target {
  readonly name: string
  readonly kind: TablePlan['kind']
  readonly columns: ReadonlySet<string>
  private readonly options: TableOptions
  private readonly partitions: Partitions
  private readonly retention: Retention
  private edition: Edition = 'none'
  private form: 'partitioned' | 'hypertable' | 'plain' = 'partitioned'

  constructor (plan: TablePlan, options: TableOptions, log: Logger) {
    this.name = plan.name
    this.kind = plan.kind
    this.columns = new Set(plan.columns)
    this.options = options
    this.retention = new Retention(plan.name, log)
    this.partitions = new Partitions(plan.name, options.chunk)
  }

  /** Makes the table and its view, or adds the columns that are missing. Under the migration lock, outside any transaction. */
  async open (session: Session, edition: Edition, now: number): Promise<void> {
    this.edition = edition
    await session.transaction(async () => {
      await session.query(`SET LOCAL lock_timeout = '${LOCK}s'`)
      const known = await this.known(session)
      if (known.size === 0) await this.make(session, now)
      else await this.widen(session, known)
      await session.query(viewOf(this, [...(await this.known(session)).keys()]))
      await shut(session, this.name)
    }).catch((error: unknown) => {
      if (sqlstate((error as Error).cause) !== '55P03') throw error
      throw new Transient(`the table "${this.name}" cannot be changed: others had it in use for ${LOCK} s, such as an export or a query`, { cause: error })
    })
    this.form = await this.formOf(session)
    if (this.form === 'partitioned') await this.partitions.read(session)
    else if (this.form === 'hypertable' && edition === 'community') await this.policies(session)
  }

  /** How often what is too old could not be removed. */
  get putOff (): number { return this.retention.putOff }

  /** The time before which rows are refused. */
  horizon (ingest: number): number { return this.options.retention === undefined ? -Infinity : ingest - this.options.retention }

  /** Before a commit: room for its rows, and once an hour nothing older than the retention. Outside any transaction. */
  async prepare (session: Session, batches: readonly Batch<any>[], ingest: number): Promise<void> {
    if (this.form === 'partitioned') await this.partitions.reach(session, batches, ingest)
    if (this.options.retention === undefined || (this.form === 'hypertable' && this.edition === 'community')) return
    await this.retention.keep(session, this.form, this.partitions, this.horizon(ingest), ingest)
  }

  /** A table keeps the form that it was made in. */
  private async formOf (session: Session): Promise<Table['form']> {
    const { rows: [{ partitioned, timescale }] } = await session.query<{ partitioned: boolean, timescale: boolean }>(
      `SELECT relkind = 'p' AS partitioned, to_regclass('timescaledb_information.hypertables') IS NOT NULL AS timescale FROM pg_class WHERE oid = to_regclass($1)`, [identifier(this.name)])
    if (partitioned) return 'partitioned'
    if (!timescale) return 'plain'
    const { rowCount } = await session.query('SELECT FROM timescaledb_information.hypertables WHERE hypertable_schema = current_schema() AND hypertable_name = $1', [this.name])
    return rowCount === 1 ? 'hypertable' : 'plain'
  }

  private async make (session: Session, now: number): Promise<void> {
    const own = this.kind === 'readings' ? 'seq smallint NOT NULL DEFAULT 0, value double precision' : 'revision integer NOT NULL DEFAULT 0, provisional boolean NOT NULL DEFAULT false'
    const key = this.kind === 'readings' ? 'series, time, seq' : 'series, time'
    const added = [...this.columns].map(c => `, ${identifier(c)} double precision`).join('')
    const name = identifier(this.name)
    await session.query(`CREATE TABLE ${name} (time timestamptz NOT NULL, series integer NOT NULL, ${own}, position bigint NOT NULL, ingested_at timestamptz NOT NULL${added}, PRIMARY KEY (${key}))${this.edition === 'none' ? ' PARTITION BY RANGE (time)' : ''}`)
    await session.query(`CREATE INDEX ${identifier(`${this.name}_time`)} ON ${name} USING brin (time)`)
    await session.query(`COMMENT ON COLUMN ${name}.series IS 'series.id; no foreign key, which would cost a lookup per row: the id is given in the same transaction'`)
    if (this.kind === 'windows') await session.query(`COMMENT ON COLUMN ${name}.time IS 'start of the window'`)
    if (this.edition === 'none') await this.partitions.begin(session, now)
    else await makeHypertable(session, this.name, this.options.chunk)
  }

  private async widen (session: Session, known: ReadonlyMap<string, string>): Promise<void> {
    const missing = fixedColumns[this.kind].find(c => !known.has(c))
    if (missing !== undefined) throw new MillraceError('config/invalid', `postgres: the table "${this.name}" is there and is not a table of ${this.kind}: it has no column "${missing}"`, { help: 'choose another table' })
    const wrong = [...this.columns].find(c => known.has(c) && known.get(c) !== 'double precision')
    if (wrong !== undefined) throw new MillraceError('config/invalid', `postgres: the column "${wrong}" of the table "${this.name}" is ${known.get(wrong)}, not double precision`, { help: 'choose another table, or rename the column' })
    const added = [...this.columns].filter(c => !known.has(c))
    if (added.length > 0) await session.query(`ALTER TABLE ${identifier(this.name)} ${added.map(c => `ADD COLUMN ${identifier(c)} double precision`).join(', ')}`)
  }

  /** Name and type of each column, in order; empty when there is no table. */
  private async known (session: Session): Promise<Map<string, string>> {
    const { rows } = await session.query<{ name: string, type: string }>(`
      SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum`, [identifier(this.name)])
    return new Map(rows.map(r => [r.name, r.type]))
  }

  private async policies (session: Session): Promise<void> {
    const { aggregate, ...options } = this.options
    const name = `${this.name}_by_${short(aggregate ?? 0)}`
    await applyPolicies(session, this.name, { ...options, order: this.kind === 'readings' ? 'time DESC, seq' : 'time DESC', aggregate: this.kind === 'readings' ? aggregate : undefined }, name)
    if (this.kind === 'readings' && aggregate !== undefined) await session.query(`CREATE OR REPLACE VIEW ${identifier(`${name}_named`)} AS ${select(name, ['count', 'mean', 'min', 'max', 'series'])}`)
  }
}

/** `<table>_named`: every row with the names and tags of its series. Columns that come later stand at the end, so that views on it stay valid. */
const viewOf = ({ name, kind }: Target, known: readonly string[]): string => {
  const fixed = fixedColumns[kind]
  const added = known.filter(c => !(fixed as readonly string[]).includes(c))
  return `CREATE OR REPLACE VIEW ${identifier(`${name}_named`)} AS ${select(name, [...fixed.filter(c => c !== 'time').toReversed(), ...added])}`
}

const select = (table: string, columns: readonly string[]): string =>
  `SELECT r.time, n.tenant, n.device, n.metric, n.unit, n.type, n.site, n.tags, ${columns.map(c => `r.${identifier(c)}`).join(', ')} FROM ${identifier(table)} r JOIN series_named n ON n.series = r.series`

const short = (ms: number): string => ms % 864e5 === 0 ? `${ms / 864e5}d` : ms % 36e5 === 0 ? `${ms / 36e5}h` : ms % 6e4 === 0 ? `${ms / 6e4}m` : `${ms / 1000}s`
