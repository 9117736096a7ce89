import { MillraceError, type Logger } from '#engine'
import type { Server } from './server.ts'

export type Kind = 'readings' | 'windows'

const KEY = ['ts', 'tenant', 'device', 'metric'] as const
const FIXED: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  readings: { ts: 'TIMESTAMP', tenant: 'SYMBOL', device: 'SYMBOL', metric: 'SYMBOL', seq: 'LONG', value: 'DOUBLE' },
  windows: { ts: 'TIMESTAMP', tenant: 'SYMBOL', device: 'SYMBOL', metric: 'SYMBOL', value: 'DOUBLE', revision: 'LONG', provisional: 'BOOLEAN' }
}
export const keyOf = (kind: Kind): string[] => kind === 'readings' ? [...KEY, 'seq'] : [...KEY]
/** Columns of a batch that are written as they are, not as DOUBLE. */
export const own = (kind: Kind): string => kind === 'readings' ? 'seq' : 'revision'

// what QuestDB and its client refuse in the name of a column
// eslint-disable-next-line no-control-regex
const UNFIT = /[?.,'"\\/:()+\-*%~\0-\x1f\x7f\ufeff]/

/** What is wrong with the columns of a batch, in a sentence. QuestDB does not tell upper from lower case in their names. */
export function columnFault (kind: Kind, names: readonly string[]): string | undefined {
  const taken = new Map(Object.keys(FIXED[kind]).map(name => [name, name]))
  for (const name of names.filter(name => name !== own(kind))) {
    if (name === '' || name.length > 127 || UNFIT.test(name)) return `"${name}" cannot be the name of a column in QuestDB: 1 to 127 characters can, and none of ? . , ' " \\ / : ( ) + - * % ~ or control characters`
    const other = taken.get(name.toLowerCase())
    if (other !== undefined) return `the column "${name}" would be the column "${other}": QuestDB does not tell upper from lower case`
    taken.set(name.toLowerCase(), name)
  }
  return undefined
}

/**
 * One table: made, widened, looked at. It must deduplicate by its key, or the same rows
 * written again would be there twice.
 */
export class Table {
  private readonly server: Server
  private readonly name: string
  private readonly log: Logger
  /** The server has stopped applying what it accepts: rows are safe in its log, and no query sees them. */
  suspended: string | undefined

  constructor (server: Server, name: string, log: Logger) {
    this.server = server
    this.name = name
    this.log = log
  }

  /** Makes the table or adds what is missing, and checks what is there. */
  async prepare (kind: Kind, columns: readonly string[]): Promise<void> {
    const fixed = FIXED[kind], added = columns.filter(name => name !== own(kind)), key = keyOf(kind)
    const table = `"${this.name}"`
    await this.server.sql(`CREATE TABLE IF NOT EXISTS ${table} (${[...Object.entries(fixed), ...added.map(name => [`"${name}"`, 'DOUBLE'])].map(c => c.join(' ')).join(', ')}) TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(${key.join(', ')})`)
    const known = new Map((await this.server.sql(`SHOW COLUMNS FROM ${table}`)).map(({ column, type, upsertKey }) => [String(column).toLowerCase(), { type, key: upsertKey === true }]))
    for (const [name, type] of [...Object.entries(fixed), ...added.map(name => [name, 'DOUBLE'] as const)]) {
      const found = known.get(name.toLowerCase())
      if (found === undefined) {
        if (name in fixed) throw this.unfit(`it has no column "${name}", so it is not a table of ${kind}`)
        await this.server.sql(`ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS "${name}" ${type}`)
      } else if (found.type !== type) throw this.unfit(`its column "${name}" is ${String(found.type)}, not ${type}`)
    }
    const keys = [...known].filter(([, column]) => column.key).map(([name]) => name)
    if ([...keys].sort().join() !== [...key].sort().join()) throw this.unfit(`its rows are deduplicated by ${keys.join(', ') || 'nothing'}, not by ${key.join(', ')}`, `choose another table, or: ALTER TABLE ${table} DEDUP ENABLE UPSERT KEYS(${key.join(', ')})`)
    await this.look()
  }

  private async look (): Promise<void> {
    const [state] = await this.server.sql(`SELECT suspended, errorMessage FROM wal_tables() WHERE name = '${this.name}'`)
    const before = this.suspended, why = (state?.errorMessage ?? '') as string
    this.suspended = state?.suspended === true ? `the table "${this.name}" is suspended: rows are kept but no query sees them until ALTER TABLE "${this.name}" RESUME WAL${why === '' ? '' : ` (${why})`}` : undefined
    if (this.suspended !== undefined && before === undefined) this.log.error(`questdb: ${this.suspended}`)
    if (this.suspended === undefined && before !== undefined) this.log.info(`questdb: the table "${this.name}" is not suspended any more`)
  }

  private unfit (why: string, help = 'choose another table'): MillraceError {
    return new MillraceError('sink/failed', `questdb: the table "${this.name}" does not fit: ${why}`, { help })
  }
}
