import t from 'tap'
import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate, migrationStatus } from '../../sinks/postgres-migrate.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { Opened, table } from '../support/store.ts'

/** The migrations that there are, and one more than these. */
const files = readdirSync('migrations').sort().map(file => `migrations/${file}`), versions = files.map(file => Number(file.slice(11, 14))), last = versions.at(-1)!, more = `${String(last + 1).padStart(3, '0')}.do.more.sql`

/** A copy of the migrations that may be changed. */
function folderOf (t: Tap): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-migrations-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  cpSync('migrations', join(root, 'migrations'), { recursive: true })
  return join(root, 'migrations')
}

t.test('migrations are applied once, also when many start at the same time', async t => {
  const url = (await freshDatabase(t))!
  t.match(await migrationStatus(url), files.map((file, i) => ({ version: versions[i], file, applied: undefined, changed: false })))
  const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(url, quiet)))
  t.strictSame(applied.flat(), files)
  t.match(await migrationStatus(url), files.map((_, i) => ({ version: versions[i], applied: Date, changed: false })))
  await Promise.all(['p', 'q', 'r'].map(async name => { await (await new Opened(url, [table('readings', 'readings', [name])], undefined, name).open()).store.close() }))
  t.strictSame(await rowsOf(url, `SELECT p, q, r FROM readings_named`), [])
})

t.test('a migration that was changed after it had been applied is named', async t => {
  const url = (await freshDatabase(t))!
  const folder = folderOf(t)
  await migrate(url, quiet, folder)
  appendFileSync(join(folder, '001.do.core.sql'), '-- more\n')
  t.match(await migrationStatus(url, folder), files.map((_, i) => ({ version: versions[i], changed: i === 0 })))
  await t.rejects(migrate(url, quiet, folder), { code: 'store/migration', message: 'migrations/001.do.core.sql was changed after it had been applied' })
})

t.test('a migration that fails leaves nothing behind', async t => {
  const url = (await freshDatabase(t))!
  const folder = folderOf(t)
  writeFileSync(join(folder, more), 'CREATE TABLE more (a int); SELECT 1 / 0;')
  await t.rejects(migrate(url, quiet, folder), { code: 'store/migration', message: new RegExp(`^migrations/${more}: division by zero`) })
  t.strictSame(await rowsOf(url, `SELECT to_regclass('more') AS more, to_regclass('devices') AS devices`), [{ more: null, devices: null }])
  writeFileSync(join(folder, more), 'CREATE TABLE more (a int);')
  t.strictSame(await migrate(url, quiet, folder), [...files, `migrations/${more}`])
  await t.rejects(migrate(url, quiet), { code: 'store/migration', message: new RegExp(`at migration ${last + 1}, this program knows ${last}`) })
})

t.test('a database that is not there is named, without its password', async t => {
  const url = new URL((await freshDatabase(t))!)
  url.pathname = '/nowhere'
  url.password = 'secret'
  await t.rejects(migrate(url.href, quiet), { code: 'store/unreachable', message: /postgres:\*\*\*@.*"nowhere" does not exist/ })
})

type Tap = Pick<typeof t, 'teardown'>
