import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Parts } from '../../engine/components.ts'
import { keys } from '../../engine/cli/keys.ts'
import { main } from '../../engine/cli/program.ts'
import { readKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freshDatabase, rowsOf } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

async function setUp (t: Test, given?: string) {
  const url = given ?? (await freshDatabase(t))!
  return async (...args: string[]): Promise<{ code: number, out: string, err: string }> => {
    let out = '', err = ''
    const code = await main(['keys', ...args, '--database', url], { migrate, openKeys: (at: string) => new PostgresKeys(at) } as unknown as Parts, [keys], { writeOut: text => { out += text }, writeErr: text => { err += text }, getOutHasColors: () => false, getErrHasColors: () => false })
    return { code, out, err }
  }
}

t.test('a key is made, listed and revoked, in a database that is empty at first', async t => {
  const ask = await setUp(t)
  const { code, out } = await ask('create', 'dashboard', '--scope', 'query:read', 'alerts:read', '--tenant', 'north', '--expires', '1h')
  t.equal(code, 0)
  const { id } = readKey(out.trim())!
  const list = async () => JSON.parse((await ask('list', '--json')).out)
  t.match(await list(), { id, name: 'dashboard', tenant: 'north', scopes: 'query:read,alerts:read', state: /^valid until 20/, used: 'never used' })
  t.notMatch((await ask('list')).out, out.slice(12, 55))
  t.equal((await ask('revoke', id)).code, 0)
  t.match(await list(), { state: /^revoked 20/ })
  t.match(await ask('revoke', id), { code: 2, err: /no valid key/ })
  t.match((await ask('create', 'forever', '--scope', 'query:read', '--json')).out, /^\{"key":"mr_/)
})

t.test('a key for a tenant that none can be is not made', async t => {
  const ask = await setUp(t)
  for (const tenant of ['a+b', 'a#', '', 'a'.repeat(257), '__proto__']) t.match(await ask('create', 'x', '--scope', 'ingest:write', '--tenant', tenant), { code: 1, out: '', err: /the tenant/ }, tenant)
  t.equal((await ask('list', '--json')).out, '')
})

t.test('a key is rotated: both are valid for a while, with the same rights; then the former one is not', async t => {
  const url = (await freshDatabase(t))!, ask = await setUp(t, url), store = new PostgresKeys(url)
  t.teardown(() => store.close())
  const made = async (...args: string[]) => readKey((await ask(...args)).out.trim())!.id, record = async (id: string) => (await store.find(id))!
  const first = await made('create', 'dashboard', '--scope', 'query:read', '--tenant', 'north', '--expires', '30d')
  const next = await made('rotate', first, '--within', '1h'), [old, young] = [await record(first), await record(next)], hours = (date: Date | null) => Math.round((date!.getTime() - Date.now()) / 36e5)
  t.not(next, first)
  t.match(young, { name: 'dashboard', tenant: 'north', scopes: ['query:read'], revoked: null })
  t.notSame(young.digest, old.digest)
  t.strictSame([hours(old.expires), hours(young.expires)], [1, 720])
  t.equal(hours((await record(await made('rotate', first))).expires), 1, 'as long in all as that has now')
  t.equal(hours((await record(first)).expires), 1, 'what ends before does not end later')
  const forever = await made('create', 'x', '--scope', 'query:read'), last = await made('rotate', forever, '--within', '0s')
  t.strictSame([(await record(last)).expires, (await record(forever)).expires!.getTime() <= Date.now()], [null, true])
  for (const odd of [forever, 'none']) t.match(await ask('rotate', odd), { code: 2, out: '', err: /no valid key/ })
  t.match(await rowsOf(url, "SELECT target, tenant, change FROM audit WHERE action = 'key.rotate' ORDER BY id"), [{ target: first, tenant: 'north', change: { next } }, { target: first }, { target: forever, tenant: null, change: { next: last } }])
})

t.test('a tenant has as many keys that are valid as it may, by default a hundred', async t => {
  const ask = await setUp(t), file = join(temporary(t), 'limits.yaml'), create = (...more: string[]) => ask('create', 'x', '--scope', 'query:read', '--limits', file, ...more)
  writeFileSync(file, 'tenant: { keys: 1 }\ntenants: { north: { keys: 2 } }\n')
  const [first] = [await create('--tenant', 'north'), await create('--tenant', 'north', '--expires', '1ms'), await create('--tenant', 'north')]
  t.match(await create('--tenant', 'north'), { code: 1, out: '', err: /api\/quota[^]*of the tenant "north" 2 keys are valid/ })
  t.equal((await ask('revoke', readKey(first.out.trim())!.id)).code, 0)
  t.equal((await create('--tenant', 'north')).code, 0, 'what has ended makes room')
  t.strictSame([(await create('--tenant', 'south')).code, (await create()).code, (await create()).code], [0, 0, 1], 'another tenant, and those of all')
  t.equal((await ask('create', 'x', '--scope', 'query:read')).code, 0, 'by default more')
})

t.test('what cannot be meant is said, and nothing is made', async t => {
  const ask = await setUp(t)
  t.match(await ask('create', 'x', '--scope', 'query:reed'), { code: 2, err: /did you mean "query:read"/ })
  t.match(await ask('create', 'x'), { code: 2, err: /--scope/ })
  t.match(await ask('create', 'x', '--scope', 'query:read', '--expires', 'soon'), { code: /78|2/, err: /soon/ })
  t.equal((await ask('list')).out, '')
})
