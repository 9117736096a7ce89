import t from 'tap'
import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate, migrationStatus } from '../../sinks/postgres-migrate.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { Opened, table } from '../support/store.ts'

/** A copy of the migrations that may be changed. */
function folderOf (t: Tap): string {
  const root = mkdtempSync(join(tmpdir(), 'millrace-migrations-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  cpSync('migrations', join(root, 'migrations'), { recursive: true })
  return join(root, 'migrations')
}

t.test('migrations are applied once, also when many start at the same time', async t => {
  const url = (await freshDatabase(t))!
  t.match(await migrationStatus(url), [{ version: 1, name: 'core', file: 'migrations/001.do.core.sql', applied: undefined, changed: false }, { version: 2, applied: undefined }, { version: 3, applied: undefined }])
  const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(url, quiet)))
  t.strictSame(applied.flat(), ['migrations/001.do.core.sql', 'migrations/002.do.recovery.sql', 'migrations/003.do.late-origin.sql'])
  t.match(await migrationStatus(url), [{ version: 1, applied: Date, changed: false }, { version: 2, applied: Date, changed: false }, { version: 3, applied: Date, changed: false }])
  await Promise.all(['p', 'q', 'r'].map(async name => { await (await new Opened(url, [table('readings', 'readings', [name])], undefined, name).open()).store.close() }))
  t.strictSame(await rowsOf(url, `SELECT p, q, r FROM readings_named`), [])
})

t.test('a migration that was changed after it had been applied is named', async t => {
  const url = (await freshDatabase(t))!
  const folder = folderOf(t)
  await migrate(url, quiet, folder)
  appendFileSync(join(folder, '001.do.core.sql'), '-- more\n')
  t.match(await migrationStatus(url, folder), [{ version: 1, changed: true }, { version: 2, changed: false }, { version: 3, changed: false }])
  await t.rejects(migrate(url, quiet, folder), { code: 'store/migration', message: 'migrations/001.do.core.sql was changed after it had been applied' })
})

t.test('a migration that fails leaves nothing behind', async t => {
  const url = (await freshDatabase(t))!
  const folder = folderOf(t)
  writeFileSync(join(folder, '004.do.more.sql'), 'CREATE TABLE more (a int); SELECT 1 / 0;')
  await t.rejects(migrate(url, quiet, folder), { code: 'store/migration', message: /^migrations\/004\.do\.more\.sql: division by zero/ })
  t.strictSame(await rowsOf(url, `SELECT to_regclass('more') AS more, to_regclass('devices') AS devices`), [{ more: null, devices: null }])
  writeFileSync(join(folder, '004.do.more.sql'), 'CREATE TABLE more (a int);')
  t.strictSame(await migrate(url, quiet, folder), ['migrations/001.do.core.sql', 'migrations/002.do.recovery.sql', 'migrations/003.do.late-origin.sql', 'migrations/004.do.more.sql'])
  await t.rejects(migrate(url, quiet), { code: 'store/migration', message: /at migration 4, this program knows 3/ })
})

t.test('a database that is not there is named, without its password', async t => {
  const url = new URL((await freshDatabase(t))!)
  url.pathname = '/nowhere'
  url.password = 'secret'
  await t.rejects(migrate(url.href, quiet), { code: 'store/unreachable', message: /postgres:\*\*\*@.*"nowhere" does not exist/ })
})

type Tap = Pick<typeof t, 'teardown'>
