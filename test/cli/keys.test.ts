import t, { type Test } from 'tap'
import type { Parts } from '../../engine/components.ts'
import { keys } from '../../engine/cli/keys.ts'
import { main } from '../../engine/cli/program.ts'
import { readKey } from '../../engine/api-key.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freshDatabase } from '../support/postgres.ts'

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

t.test('what cannot be meant is said, and nothing is made', async t => {
  const ask = await setUp(t)
  t.match(await ask('create', 'x', '--scope', 'query:reed'), { code: 2, err: /did you mean "query:read"/ })
  t.match(await ask('create', 'x'), { code: 2, err: /--scope/ })
  t.match(await ask('create', 'x', '--scope', 'query:read', '--expires', 'soon'), { code: /78|2/, err: /soon/ })
  t.equal((await ask('list')).out, '')
})
