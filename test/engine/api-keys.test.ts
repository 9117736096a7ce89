/** Keys over HTTP: nobody gets more by making, rotating or revoking them than they have. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { plan, type Plane } from '../../engine/api/server.ts'
import { newKey, readKey, scopes, type Scope } from '../../engine/api-key.ts'
import { Limits } from '../../engine/limits.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const HOUR = 3_600_000, everything = Object.keys(scopes) as Scope[]
const inAnHour = () => new Date(Date.now() + HOUR)

async function open (test: Test, limits = new Limits()) {
  const url = (await freshDatabase(test))!
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), app = await plan({ runs: () => [], stopping: () => false, components, keys, query: undefined, limits }, quiet)
  test.teardown(async () => { await app.close(); await keys.close() })
  const add = async (tenant: string | null, given: readonly Scope[] = everything, expires: Date | null = null) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes: given, expires }, 'test')
    return { key, id }
  }
  const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, key: string, payload?: object) => {
    const { statusCode: status, headers, body } = await app.inject({ method, url: `/api/v1/keys${path}`, headers: { authorization: `Bearer ${key}`, 'x-request-id': 'mine' }, ...payload === undefined ? {} : { payload } })
    return { status, headers, body, json: JSON.parse(body) }
  }
  return { url, keys, add, ask }
}

t.test('a key is made, shown once, used, listed, rotated and revoked, each with a line of the audit log', async t => {
  const { url, keys, add, ask } = await open(t), admin = await add('acme', ['keys:read', 'keys:write', 'query:read'])
  const made = await ask('POST', '', admin.key, { name: 'dashboard', scopes: ['query:read', 'keys:read'], expires: inAnHour().toISOString() }), { key, ...shown } = made.json
  t.match(made, { status: 201, headers: { 'cache-control': 'no-store' }, json: { name: 'dashboard', tenant: 'acme', scopes: ['query:read', 'keys:read'], revoked: null } })
  t.equal(readKey(key)!.id, shown.id)
  const listed = await ask('GET', '', key)
  t.strictSame(listed.json.rows.map((row: any) => row.id), [admin.id, shown.id], 'it works, and is there')
  t.strictSame({ ...listed.json.rows[1], used: null }, shown)
  t.notMatch(listed.body, new RegExp(key.split('_')[2]), 'but for the key itself')
  const { json: { key: second, ...next } } = await ask('POST', `/${shown.id as string}/rotate`, admin.key, { within: '1h' })
  t.match(next, { name: 'dashboard', tenant: 'acme', scopes: ['query:read', 'keys:read'] })
  t.equal((await ask('GET', '', second)).status, 200)
  t.match(await ask('DELETE', `/${shown.id as string}`, admin.key), { status: 200, json: { id: shown.id, revoked: String } })
  t.match(await ask('DELETE', `/${shown.id as string}`, admin.key), { status: 404 })
  t.match(await ask('POST', `/${shown.id as string}/rotate`, admin.key, {}), { status: 404 })
  t.strictSame((await ask('GET', '', admin.key)).json.rows.map((row: any) => row.id), [admin.id, next.id], 'what is over is not shown')
  const page = await ask('GET', '?all=true&limit=2', admin.key), rest = await ask('GET', `?all=true&limit=2&cursor=${page.json.next as string}`, admin.key)
  t.strictSame([...page.json.rows, ...rest.json.rows].map((row: any) => row.id), [admin.id, shown.id, next.id], 'unless it is asked for, a page at a time')
  t.equal(rest.json.next, undefined)
  t.match(await rowsOf(url, "SELECT actor, tenant, action, target, request FROM audit WHERE actor <> 'test' ORDER BY id"), ['create', 'rotate', 'revoke'].map(what => ({ actor: admin.id, tenant: 'acme', action: `key.${what}`, target: shown.id, request: 'mine' })))
  t.notMatch(JSON.stringify([await rowsOf(url, 'SELECT * FROM audit'), await keys.list({ all: true })]), new RegExp(key.split('_')[2]))
})

t.test('when a key was last used is kept beside its requests, once a minute; not for one that is not let in', async t => {
  const { url, keys, add, ask } = await open(t), key = await add('acme'), other = await add('acme', ['query:read']), idle = await add('acme'), since = Date.now()
  const used = async () => Object.fromEntries((await keys.list({ all: true })).rows.map(row => [row.id, row.used]))
  t.strictSame(await used(), { [key.id]: null, [other.id]: null, [idle.id]: null })
  t.equal((await ask('GET', '', key.key)).status, 200)
  t.equal((await ask('GET', '', other.key)).status, 403, 'somebody has it, whatever it may do')
  t.equal((await ask('GET', '', `${idle.key.slice(0, -1)}${idle.key.endsWith('0') ? 1 : 0}`)).status, 401)
  for (const end = Date.now() + 60_000; Object.values(await used()).filter(Boolean).length < 2 && Date.now() < end;) await new Promise(resolve => setTimeout(resolve, 20))
  const first = (await used())[key.id]!
  t.ok(first.getTime() >= since - 1000 && first.getTime() <= Date.now() + 1000)
  const rows = () => rowsOf(url, 'SELECT id, xmin::text FROM api_keys ORDER BY id'), before = await rows()
  for (let i = 0; i < 20; i++) t.equal((await ask('GET', '', key.key)).status, 200)
  await keys.used(key.id)                    // another instance says so too
  await new Promise(resolve => setTimeout(resolve, 200))
  t.strictSame(await rows(), before, 'nothing was written')
  t.equal((await ask('GET', '', key.key)).json.rows.find((row: any) => row.id === key.id).used, first.toISOString())
  await rowsOf(url, "UPDATE api_keys SET used_at = used_at - interval '2 minutes'")
  await keys.used(key.id)
  t.ok((await used())[key.id]! >= first)
  t.equal((await used())[idle.id], null)
})

t.test('a request does not wait until it is kept that its key is used, nor fail with that', async t => {
  const { url, add, ask } = await open(t), key = await add('acme'), locker = new pg.Client(url)
  await locker.connect()
  t.teardown(() => locker.end())
  await locker.query('BEGIN; SELECT FROM api_keys FOR UPDATE')
  t.equal((await ask('GET', '', key.key)).status, 200)
  await locker.query('ROLLBACK')
})

t.test('the audit log only grows', async t => {
  const { url, add } = await open(t)
  await add('acme')
  const refused = { code: '23001', message: /neither changed nor removed/ }
  for (const sql of ["UPDATE audit SET actor = 'nobody'", 'DELETE FROM audit', "DELETE FROM audit WHERE id < 0", 'TRUNCATE audit', "SET session_replication_role = replica; DELETE FROM audit"]) await t.rejects(rowsOf(url, sql), refused, sql)
  await add('acme')
  t.equal((await rowsOf(url, 'SELECT FROM audit')).length, 2)
  await rowsOf(url, 'BEGIN; ALTER TABLE audit DISABLE TRIGGER audit_only_grows; DELETE FROM audit; ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_only_grows; COMMIT')       // as the owner may, see docs/SECURITY.md
  await add('acme')
  await t.rejects(rowsOf(url, 'DELETE FROM audit'), refused)
})

t.test('nobody gives a scope that they have not: neither in a new key nor by rotating another one', async t => {
  const { add, ask } = await open(t), weak = await add('acme', ['keys:read', 'keys:write', 'query:read']), strong = await add('acme')
  const before = (await ask('GET', '?all=true', strong.key)).json.rows.length
  for (const scope of everything.filter(s => !['keys:read', 'keys:write', 'query:read'].includes(s))) {
    t.match(await ask('POST', '', weak.key, { name: 'x', scopes: ['query:read', scope] }), { status: 403, json: { code: 'api/forbidden', detail: new RegExp(`has not the scope ${scope}, and cannot give it`) } }, scope)
  }
  t.match(await ask('POST', `/${strong.id}/rotate`, weak.key, {}), { status: 403, json: { code: 'api/forbidden' } })
  t.match(await ask('POST', '', weak.key, { name: 'x', scopes: ['admin'] }), { status: 400 })
  t.match(await ask('POST', '', weak.key, { name: 'x', scopes: [] }), { status: 400 })
  t.equal((await ask('GET', '?all=true', strong.key)).json.rows.length, before, 'none was made')
  t.equal((await ask('POST', `/${weak.id}/rotate`, strong.key, {})).status, 201)
})

t.test('of a key of one tenant those of others do not exist, nor those of every tenant; one of every tenant has all', async t => {
  const { add, ask, keys } = await open(t), acme = await add('acme'), north = await add('north'), all = await add(null)
  const nobody = await ask('DELETE', '/nobody00', acme.key)
  for (const { id } of [north, all]) {
    for (const [method, path] of [['DELETE', ''], ['POST', '/rotate']] as const) {
      const refused = await ask(method, `/${id}${path}`, acme.key, method === 'POST' ? {} : undefined)
      t.match(refused, { status: 404 }, `${method} ${path}`)
      t.equal(refused.json.detail, nobody.json.detail.replace('nobody00', id), 'as one that is not there')
    }
  }
  t.match(await ask('POST', '', acme.key, { name: 'x', tenant: 'north', scopes: ['query:read'] }), { status: 404, json: { detail: 'there is no tenant "north"' } })
  t.match(await ask('GET', '?tenant=north', acme.key), { status: 404 })
  t.strictSame((await ask('GET', '', acme.key)).json.rows.map((row: any) => row.id), [acme.id])
  t.match(await ask('POST', '', acme.key, { name: 'x', scopes: ['query:read'] }), { status: 201, json: { tenant: 'acme' } }, 'it makes one of its own, also where it names none')
  t.match(await ask('POST', '', all.key, { name: 'x', scopes: ['query:read'] }), { status: 201, json: { tenant: null } })
  t.match(await ask('POST', '', all.key, { name: 'x', tenant: 'north', scopes: ['query:read'] }), { status: 201, json: { tenant: 'north' } })
  t.equal((await ask('GET', '?tenant=north', all.key)).json.rows.length, 2)
  t.equal((await ask('DELETE', `/${north.id}`, all.key)).status, 200)
  t.ok((await keys.find(north.id))!.revoked)
  for (const { id } of [acme, all]) t.equal((await keys.find(id))!.revoked, null)
})

t.test('no key ends later than the one that made it, however it is made', async t => {
  const { add, ask } = await open(t), end = inAnHour(), brief = await add('acme', everything, end), lasting = await add('acme', ['query:read'])
  t.equal((await ask('POST', '', brief.key, { name: 'x', scopes: ['query:read'] })).json.expires, end.toISOString(), 'without a word it ends with it')
  t.match(await ask('POST', '', brief.key, { name: 'x', scopes: ['query:read'], expires: new Date(end.getTime() + 1).toISOString() }), { status: 403, json: { code: 'api/forbidden', detail: /makes none that ends later/ } })
  t.match(await ask('POST', '', brief.key, { name: 'x', scopes: ['query:read'], expires: new Date(Date.now() - 1).toISOString() }), { status: 400, json: { detail: /it is over already/ } })
  t.equal((await ask('POST', '', brief.key, { name: 'x', scopes: ['query:read'], expires: end.toISOString() })).status, 201)
  for (const { id } of [brief, lasting]) t.equal((await ask('POST', `/${id}/rotate`, brief.key, {})).json.expires, end.toISOString(), 'nor by rotating itself or one without an end')
  t.match(await ask('POST', `/${brief.id}/rotate`, brief.key, { within: '31d' }), { status: 400 })
})

t.test('a tenant has as many keys as it may', async t => {
  const { add, ask } = await open(t, new Limits({ tenant: { keys: 2 } })), { key } = await add('acme'), more = async () => await ask('POST', '', key, { name: 'x', scopes: ['query:read'] })
  const { json: { id } } = await more()
  t.match(await more(), { status: 409, json: { code: 'api/quota', detail: /of the tenant "acme" 2 keys are valid/ } })
  await ask('DELETE', `/${id as string}`, key)
  t.equal((await more()).status, 201)
})
