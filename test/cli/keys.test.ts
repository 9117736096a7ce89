import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Parts } from '../../engine/components.ts'
import { keys } from '../../engine/cli/keys.ts'
import { main } from '../../engine/cli/program.ts'
import { readKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freshDatabase } from '../support/postgres.ts'
import { temporary } from '../support/program.ts'

async function setUp (t: Test) {
  const url = (await freshDatabase(t))!
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
  t.match(await list(), { id, name: 'dashboard', tenant: 'north', scopes: 'query:read,alerts:read', state: /^valid until 20/ })
  t.notMatch((await ask('list')).out, out.slice(12, 55))
  t.equal((await ask('revoke', id)).code, 0)
  t.match(await list(), { state: /^revoked 20/ })
  t.match(await ask('revoke', id), { code: 2, err: /no valid key/ })
  t.match((await ask('create', 'forever', '--scope', 'query:read', '--json')).out, /^\{"key":"mr_/)
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
