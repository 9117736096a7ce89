import t from 'tap'
import { readFileSync } from 'node:fs'
import { generate } from '../../docs/db/generate.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'

t.test('the documented schema is that of a real database', async t => {
  for (const [name, text] of Object.entries(await generate((await freshDatabase(t))!))) {
    t.equal(readFileSync(new URL(`../../docs/db/${name}`, import.meta.url), 'utf8'), text, `docs/db/${name}; if it is meant to change: node --import tsx docs/db/generate.ts`)
  }
})

t.test('the documented schema can be run, and the README names every table, view and index', async t => {
  const url = (await freshDatabase(t))!
  await rowsOf(url, readFileSync(new URL('../../docs/db/schema.sql', import.meta.url), 'utf8'))
  const readme = readFileSync(new URL('../../docs/db/README.md', import.meta.url), 'utf8')
  const names = await rowsOf(url, `SELECT relname AS name FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'i', 'I')`)
  t.ok(names.length > 20)
  t.strictSame(names.map(r => r.name.replace(/^(readings|features_1m)(_named|_time|_pkey)?$/, '<table>$2')).filter(name => !readme.includes(`\`${name}\``)), [])
})
