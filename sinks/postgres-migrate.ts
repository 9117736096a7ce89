import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { masked, MillraceError, Transient, type Logger } from '#engine'
import { Session, sqlstate } from './postgres-session.ts'
import { raiseWall } from './postgres-wall.ts'

/** Only one process at a time migrates or makes tables in a database. */
const LOCK = 0x6d696c6c
const TABLE = 'migrations'
/** Beside the sources, or one up when this is the built program. */
const FOLDER = ['../migrations', '../../migrations'].map(up => fileURLToPath(new URL(up, import.meta.url))).find(existsSync)!

export interface Migration { readonly version: number, readonly name: string, readonly file: string, readonly applied: Date | undefined, readonly changed: boolean }

/** Applies what is missing, all or nothing. Returns the files applied. */
export async function migrate (url: string, log: Pick<Logger, 'info'> & Partial<Pick<Logger, 'warn'>>, folder = FOLDER): Promise<string[]> {
  return await connected(url, session => locked(session, () => migrateWith(session, log, folder)))
}

/** Every migration there is, whether it is applied, and whether its file was changed since. */
export async function migrationStatus (url: string, folder = FOLDER): Promise<Migration[]> {
  return await connected(url, async session => {
    const files = (await (await postgrator(session, folder, 'public')).getMigrations()).filter(m => m.action === 'do')
    const { rows: [{ there }] } = await session.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [TABLE])
    const { rows } = there ? await session.query<{ version: string, md5: string, run_at: Date }>(`SELECT version, md5, run_at FROM ${TABLE}`) : { rows: [] }
    return files.map(({ version, name, filename, md5 }) => {
      const row = rows.find(r => Number(r.version) === version)
      return { version, name, file: shown(folder, filename), applied: row?.run_at, changed: row !== undefined && row.md5 !== md5 }
    })
  })
}

/** `work` while no other process migrates. */
export async function locked<T> (session: Session, work: () => Promise<T>): Promise<T> {
  await session.query('SELECT pg_advisory_lock($1)', [LOCK])
  try {
    return await work()
  } finally {
    if (session.lost === undefined) await session.query('SELECT pg_advisory_unlock($1)', [LOCK])
  }
}

/** Under the lock. */
export async function migrateWith (session: Session, log: Pick<Logger, 'info'> & Partial<Pick<Logger, 'warn'>>, folder = FOLDER): Promise<string[]> {
  const applied = await isCurrent(session, folder) ? [] : await apply(session, log, folder)
  if (folder === FOLDER) await raiseWall(session, log)
  return applied
}

async function apply (session: Session, log: Pick<Logger, 'info'>, folder: string): Promise<string[]> {
  const { rows: [{ schema }] } = await session.query<{ schema: string }>('SELECT current_schema() AS schema')
  const migrations = await postgrator(session, folder, schema)
  let current = ''
  migrations.on('validation-started', m => { current = shown(folder, m.filename) })
  migrations.on('migration-started', m => { current = shown(folder, m.filename) })
  try {
    return await session.transaction(async () => {
      const [newest, there] = [await migrations.getMaxVersion(), await migrations.getDatabaseVersion()]
      if (there > newest) throw new MillraceError('store/migration', `the database is at migration ${there}, this program knows ${newest}`, { help: 'run the newer program, or use another database' })
      const applied = (await migrations.migrate()).map(m => shown(folder, m.filename))
      if (applied.length > 0) log.info({ applied }, 'database migrated')
      return applied
    })
  } catch (error) {
    if (/MD5 checksum/.test((error as Error).message)) throw new MillraceError('store/migration', `${current} was changed after it had been applied`, { help: 'restore the file and put the change into a new migration', cause: error })
    if (sqlstate(error) !== undefined) throw new MillraceError('store/migration', `${current}: ${(error as Error).message}`, { cause: error })
    throw error
  }
}

/** Whether exactly the migrations that there are have been applied, as they are. Most starts find it so, and need nothing else. */
async function isCurrent (session: Session, folder: string): Promise<boolean> {
  const { rows: [{ there }] } = await session.query<{ there: boolean }>('SELECT to_regclass(quote_ident(current_schema()) || $1) IS NOT NULL AS there', [`.${TABLE}`])
  if (!there) return false
  const { rows } = await session.query<{ applied: string }>(`SELECT version || ' ' || md5 AS applied FROM ${TABLE} WHERE md5 <> '' ORDER BY version`)
  const files = (await readdir(folder)).filter(file => /^\d+\.do\..*\.sql$/.test(file)).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
  const known = await Promise.all(files.map(async file => `${Number.parseInt(file, 10)} ${createHash('md5').update((await readFile(join(folder, file), 'utf8')).replace(/\r\n?/g, '\n')).digest('hex')}`))
  return known.length > 0 && known.join() === rows.map(({ applied }) => applied).join()
}

const postgrator = async (session: Session, folder: string, currentSchema: string) => new (await import('postgrator')).default({
  driver: 'pg',
  schemaTable: TABLE,
  currentSchema,
  migrationPattern: join(folder, '*.sql'),
  newline: 'LF',
  execQuery: async sql => await session.query(sql)
})

const shown = (folder: string, file: string): string => relative(join(folder, '..'), file) || basename(file)

async function connected<T> (url: string, work: (session: Session) => Promise<T>): Promise<T> {
  const unreachable = (error: unknown) => { throw error instanceof Transient ? new MillraceError('store/unreachable', `the database ${masked(url)} cannot be reached: ${error.message}`, { cause: error }) : error }
  const session = await Session.connect(url, 30_000).catch(unreachable)
  try {
    return await work(session).catch(unreachable)
  } finally {
    await session.close()
  }
}
