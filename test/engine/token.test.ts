/** Tokens of an issuer in the place of API keys: real ones, made and signed here. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type JWK } from 'jose'
import { plan, type Plane } from '../../engine/api/server.ts'
import { readTokens, Tokens, type TokenParts } from '../../engine/token.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { getJson } from '../../sinks/http/get.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { alertEvent, Opened, table } from '../support/store.ts'
import { temporary } from '../support/program.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const issuer = 'https://idp.example.com', audience = 'millrace'
const parts: TokenParts = { log: quiet, get: async () => { throw new Error('nothing is fetched here') } }

const pairOf = async (alg: string, kid: string) => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { privateKey, publicKey, jwk: { ...await exportJWK(publicKey), kid, alg } as JWK }
}
type Pair = Awaited<ReturnType<typeof pairOf>>
interface Said { alg?: string, kid?: string, claims?: Record<string, unknown>, iss?: string, aud?: string | string[], exp?: number | null, nbf?: number }
const now = () => Math.floor(Date.now() / 1000)
async function signed (key: Pair['privateKey'] | Uint8Array, { alg = 'ES256', kid = 'a', claims = {}, iss = issuer, aud = audience, exp = now() + 300, nbf }: Said = {}): Promise<string> {
  const made = new SignJWT({ sub: 'ada', tenant: 'acme', scope: 'openid query:read alerts:read', ...claims }).setProtectedHeader({ alg, kid }).setIssuer(iss).setAudience(aud)
  if (exp !== null) made.setExpirationTime(exp)
  if (nbf !== undefined) made.setNotBefore(nbf)
  return await made.sign(key)
}
const folderWith = (t: Test, name: string, text: string) => { const folder = temporary(t); writeFileSync(join(folder, name), text); return folder }
const withKeys = (t: Test, keys: readonly JWK[], more: object = {}) => new Tokens({ issuer, audience, keys: 'jwks.json', ...more }, { ...parts, folder: folderWith(t, 'jwks.json', JSON.stringify({ keys })) })

t.test('a token that is signed by a key of the issuer says who, for whom and what for', async t => {
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const pair = await pairOf(alg, 'a'), tokens = withKeys(t, [pair.jwk], { allTenants: '*' })
    const record = await tokens.verify(await signed(pair.privateKey, { alg }))
    t.match(record, { id: 'jwt:ada', tenant: 'acme', scopes: ['query:read', 'alerts:read'], token: true, revoked: null }, alg)
    t.match(await tokens.verify(await signed(pair.privateKey, { alg, aud: ['other', audience], claims: { tenant: '*', scope: ['query:read', 7, 'root'] } })), { tenant: null, scopes: ['query:read'] })
  }
})

t.test('what is not signed, not by it, not for us, not now, or for nobody is no token', async t => {
  const pair = await pairOf('ES256', 'a'), rsa = await pairOf('RS256', 'r'), other = await pairOf('ES256', 'a'), tokens = withKeys(t, [pair.jwk, rsa.jwk])
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url'), good = await signed(pair.privateKey)
  const claims = { sub: 'ada', tenant: 'acme', scope: 'query:read', iss: issuer, aud: audience, exp: now() + 300 }
  const wrong: [string, string, RegExp][] = [
    ['alg none', `${part({ alg: 'none' })}.${part(claims)}.`, /no token|not taken/],
    ['alg none with its signature', `${part({ alg: 'none', kid: 'a' })}.${good.split('.').slice(1).join('.')}`, /not taken/],
    ['the public key as a secret', await signed(Buffer.from(await exportSPKI(rsa.publicKey)), { alg: 'HS256', kid: 'r' }), /not taken/],
    ['another key under the same name', await signed(other.privateKey), /not signed by a key/],
    ['an unknown key', await signed(other.privateKey, { kid: '../../../../etc/passwd' }), /not signed by a key/],
    ['other claims under its signature', [good.split('.')[0], part({ ...claims, tenant: 'umbra' }), good.split('.')[2]].join('.'), /not signed/],
    ['another issuer', await signed(pair.privateKey, { iss: 'https://evil.example.com' }), /claim iss/],
    ['another audience', await signed(pair.privateKey, { aud: 'billing' }), /claim aud/],
    ['without an end', await signed(pair.privateKey, { exp: null }), /claim exp is missing/],
    ['over', await signed(pair.privateKey, { exp: now() - 60 }), /expired/],
    ['for years', await signed(pair.privateKey, { exp: now() + 1e8 }), /lifetime/],
    ['for 16 minutes', await signed(pair.privateKey, { exp: now() + 960 }), /further ahead than 900 s/],
    ['not yet', await signed(pair.privateKey, { nbf: now() + 600 }), /claim nbf/],
    ['without a tenant', await signed(pair.privateKey, { claims: { tenant: undefined } }), /tenant/],
    ['of no tenant', await signed(pair.privateKey, { claims: { tenant: '' } }), /tenant/],
    ['of a tenant that no text holds', await signed(pair.privateKey, { claims: { tenant: 'a\0b' } }), /tenant/],
    ['of a list of tenants', await signed(pair.privateKey, { claims: { tenant: ['acme'] } }), /tenant/],
    ['of nobody', await signed(pair.privateKey, { claims: { sub: undefined } }), /claim sub is missing/],
    ['of somebody with a line end', await signed(pair.privateKey, { claims: { sub: 'a\nb' } }), /sub/],
    ['junk', 'a.b.c', /no token/]
  ]
  for (const [what, text, why] of wrong) t.match(await tokens.verify(text), { wrong: why }, what)
  t.match(await tokens.verify(await signed(pair.privateKey, { claims: { tenant: '*' } })), { tenant: '*' }, 'a tenant of that name, without allTenants')
})

t.test('a shared secret has to be long, and then stands for HS256 only', async t => {
  const pair = await pairOf('ES256', 'a'), at = (text: string) => ({ ...parts, folder: folderWith(t, 'secret', text) }), given = { issuer, audience, secretFile: 'secret' }
  t.throws(() => new Tokens(given, at('secret\n')), { code: 'config/invalid', message: /has 6 bytes/, help: /32/ })
  t.throws(() => new Tokens(given, at(`${'x'.repeat(31)}\n`)), { code: 'config/invalid' })
  const secret = 'k3u9-0a7vQ2n5r8s1t4w6y9z2b5c8d1e', tokens = new Tokens(given, at(`${secret}\n`))
  t.match(await tokens.verify(await signed(Buffer.from(secret), { alg: 'HS256' })), { id: 'jwt:ada', tenant: 'acme' })
  t.match(await tokens.verify(await signed(Buffer.from(`${secret}x`), { alg: 'HS256' })), { wrong: /not signed/ })
  t.match(await tokens.verify(await signed(pair.privateKey)), { wrong: /not taken/ })
})

t.test('settings that cannot be meant are refused', async t => {
  const folder = folderWith(t, 'jwks.json', '{ "keys": 1 }'), all = { ...parts, folder }
  for (const [given, what] of [[{}, /issuer/], [{ issuer, audience }, /keys and secretFile/], [{ issuer, audience, keys: 'jwks.json', secretFile: 'x' }, /keys and secretFile/], [{ issuer, audience, keys: 'jwks.json' }, /no JWKS/], [{ issuer, audience, key: 'jwks.json' }, /key/]] as const) t.throws(() => new Tokens(given, all), { code: /^config\//, message: what })
  t.throws(() => new Tokens({ issuer, audience, keys: 'none.json' }, all), { code: 'usage/file' })
  writeFileSync(join(folder, 'jwt.yaml'), `issuer: ${issuer}\naudience: ${audience}\nkeys: jwks.json\n`)
  t.throws(() => readTokens(join(folder, 'jwt.yaml'), parts), { code: 'config/invalid', message: /jwks.json is no JWKS/ })
})

t.test('keys at a URL: fetched where that is allowed, anew for a key that is not known, and kept while they cannot be', async t => {
  const first = await pairOf('ES256', 'a'), second = await pairOf('ES256', 'b')
  let body = JSON.stringify({ keys: [first.jwk] }), status = 200, asked = 0
  const server = createServer((_, response) => { asked++; response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end(body) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const keys = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks?secret=1`, said: string[] = []
  const from = (egress: readonly string[], cool = 0) => new Tokens({ issuer, audience, keys }, { log: { warn: (o: { err: string }) => { said.push(o.err) } } as never, get: url => getJson(url, egress), cool })
  const token = await signed(first.privateKey), other = await signed(second.privateKey, { kid: 'b' })
  await t.rejects(from([]).verify(token), { code: 'api/busy' })
  t.equal(asked, 0, 'an own network, and --egress does not say it')
  t.match(said.join(), /not public/)
  t.notMatch(said.join(), /secret/)
  const tokens = from(['127.0.0.0/8'])
  t.match(await tokens.verify(token), { id: 'jwt:ada' })
  t.match(await tokens.verify(token), { id: 'jwt:ada' })
  t.equal(asked, 1, 'kept')
  t.match(await tokens.verify(other), { wrong: /not signed/ })
  body = JSON.stringify({ keys: [first.jwk, second.jwk] })
  t.match(await tokens.verify(other), { id: 'jwt:ada' }, 'the issuer has changed its keys')
  for (const bad of [500, 302]) {
    status = bad
    t.match(await tokens.verify(await signed(second.privateKey, { kid: `new-${bad}` })), { wrong: /not signed/ })
    t.match(await tokens.verify(token), { id: 'jwt:ada' }, `while it answers ${bad}`)
    await t.rejects(from(['127.0.0.0/8']).verify(token), { code: 'api/busy' })
  }
  const without = asked, down = from(['127.0.0.0/8'], 60_000)
  for (let k = 0; k < 20; k++) await t.rejects(down.verify(token), { code: 'api/busy' })
  t.equal(asked - without, 1, 'nor does each token, of an issuer that has never answered')
  status = 200
  body = `{"keys":[],"more":"${'x'.repeat(70_000)}"}`
  await t.rejects(from(['127.0.0.0/8']).verify(token), { code: 'api/busy' })
  const before = asked, slow = from(['127.0.0.0/8'], 60_000)
  body = JSON.stringify({ keys: [first.jwk] })
  for (let k = 0; k < 20; k++) await slow.verify(await signed(second.privateKey, { kid: `flood-${k}` }))
  t.equal(asked - before, 1, 'who makes up names of keys does not make us ask for each')
})

t.test('over HTTP a token is a key: its tenant, its scopes, its name in the audit log; and no key is needed beside it', async t => {
  const pair = await pairOf('EdDSA', 'a'), url = (await freshDatabase(t))!, opened = await new Opened(url, [table('readings', 'readings')]).open()
  await opened.commit({ alerts: ['acme', 'umbra'].map(tenant => ({ event: alertEvent(`of-${tenant}`, { tenant }), receivers: [] })) })
  const query = new PostgresQuery(url), actions = new PostgresActions(url)
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: undefined, query, actions, tokens: withKeys(t, [pair.jwk]) }, quiet)
  t.teardown(async () => { await app.close(); await query.close(); await actions.close(); await opened.store.close() })
  const ask = async (token: string, path: string, payload?: object) => { const reply = await app.inject({ method: payload === undefined ? 'GET' : 'POST', url: `/api/v1/${path}`, headers: { authorization: `Bearer ${token}` }, ...payload === undefined ? {} : { payload } }); return { status: reply.statusCode, json: reply.json() as any, headers: reply.headers } }
  const made = (claims: Record<string, unknown> = {}) => signed(pair.privateKey, { alg: 'EdDSA', claims: { scope: 'alerts:read alerts:write', ...claims } }), token = await made()
  t.match(await ask(token, 'alerts/of-acme'), { status: 200 })
  t.match(await ask(token, 'alerts/of-umbra'), { status: 404 })
  t.match(await ask(token, 'alerts?tenant=umbra'), { status: 404 })
  t.match(await ask(token, 'series'), { status: 403, json: { detail: /token of jwt:ada has not the scope query:read/ } })
  t.match(await ask(await made({ scope: undefined }), 'alerts'), { status: 403 })
  t.match(await ask(`${token}x`, 'alerts'), { status: 401, json: { code: 'api/unauthorised', detail: /not signed/ }, headers: { 'www-authenticate': /Bearer/ } })
  t.match(await ask('mr_none', 'alerts'), { status: 401 })
  t.equal((await ask(token, 'alerts/of-acme/comments', { text: 'seen' })).status, 200)
  t.match(await rowsOf(url, 'SELECT actor, tenant, action FROM audit'), [{ actor: 'jwt:ada', tenant: 'acme', action: 'alert.comment' }])
  t.equal(await app.isValid({ id: 'jwt:ada', token: true, expires: new Date(Date.now() - 1), revoked: null } as never), false, 'a stream ends with its token')
  t.equal(await app.isValid({ id: 'jwt:ada', token: true, expires: new Date(Date.now() + 1000), revoked: null } as never), true)
})

t.test('after twenty wrong tokens from an address others are put off, and a good one is not', async t => {
  const pair = await pairOf('ES256', 'a'), app = await plan({ runs: () => [], stopping: () => false, components, keys: undefined, query: undefined, tokens: withKeys(t, [pair.jwk]) }, quiet)
  t.teardown(() => app.close())
  const ask = async (token: string) => (await app.inject({ url: '/api/v1/tables', headers: { authorization: `Bearer ${token}` } })).statusCode
  const bad = await signed(pair.privateKey, { aud: 'billing' })
  for (let k = 0; k < 20; k++) t.equal(await ask(bad), 401)
  t.strictSame([await ask(bad), await ask(await signed(pair.privateKey))], [429, 200])
})
