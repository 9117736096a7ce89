import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { newKey, scopes, type Scope } from '../api-key.ts'
import { MillraceError } from '../errors.ts'
import { isValid, type KeyRecord, type Keys } from '../keys.ts'
import { duration, Type } from '../options.ts'
import { failures } from './problem.ts'
import { cursor, limit, placeOf, tenantFor, tenantText, Text } from './query.ts'
import type { Plane } from './server.ts'

const DAY = 864e5                    // ms
const LONGEST = 30 * DAY             // that two keys of a rotation are valid side by side
const Moment = Type.String({ format: 'date-time' })
const AnyScope = Type.Unsafe<Scope>({ type: 'string', enum: Object.keys(scopes) })
const Shown = Type.Object({
  id: Type.String({ description: 'The part of the key behind mr_, which is no secret.' }), name: Type.String(), tenant: Type.Union([Type.String(), Type.Null()], { description: 'null: every tenant.' }), scopes: Type.Array(Type.String()),
  created: Moment, expires: Type.Union([Moment, Type.Null()], { description: 'null: never.' }), revoked: Type.Union([Moment, Type.Null()]), used: Type.Union([Moment, Type.Null()], { description: 'When a request last came with it, to a minute; null: none has.' })
})
const Made = Type.Object({ key: Type.String({ description: 'The key itself. It is kept nowhere, and never shown again.' }), ...Shown.properties })
const Params = Type.Object({ id: Type.String({ description: 'The part of the key behind mr_.', pattern: '^[0-9A-Za-z]{8}$' }) })

interface Given { readonly name: string, readonly scopes: readonly Scope[], readonly tenant?: string, readonly expires?: string, readonly within: string }
type Asked = FastifyRequest<{ Params: { id: string }, Querystring: { readonly tenant?: string, readonly all: boolean, readonly limit: number, readonly cursor?: string }, Body: Given }>

/**
 * API keys: made, rotated, listed, revoked. Nobody gets more by it than they have: a key makes and rotates only such as have no scope that
 * it has not, are of its own tenant, and end no later than itself.
 */
export async function keys (app: FastifyInstance, plane: Plane): Promise<void> {
  const { limits } = plane, write = { config: { scope: 'keys:write' as const } }, tags = ['keys']
  const store = (): Keys => {
    if (plane.keys === undefined) throw new MillraceError('api/not-found', 'there is no database that keeps keys', { help: 'start with --database, or set MILLRACE_DATABASE' })
    return plane.keys
  }
  const find = async ({ params: { id }, actor }: Asked): Promise<KeyRecord> => {
    const found = await store().find(id)
    if (found === undefined || !isValid(found, Date.now()) || actor!.tenant !== null && found.tenant !== actor!.tenant) throw nothing(id)
    return found
  }
  /** The key itself goes out here, once; nothing on its way may keep it. */
  const handOver = async (reply: FastifyReply, key: string, id: string) => await reply.code(201).header('cache-control', 'no-store').send({ key, ...shown((await store().find(id))!) })

  app.get('/api/v1/keys', {
    config: { scope: 'keys:read' },
    schema: {
      summary: 'Keys that are valid, in the order in which they were made.', description: 'Of each what is no secret: the key itself is kept nowhere.', tags,
      querystring: Type.Object({ ...tenantText, all: Type.Optional(Type.Boolean({ description: 'Those too that were revoked or have expired.', default: false })), limit, cursor }),
      response: { 200: Type.Object({ rows: Type.Array(Shown), next: Type.Optional(Type.String()) }), ...failures(404, 504) }
    }
  }, async (request: Asked) => {
    const { tenant: asked, all, limit, cursor } = request.query
    const { rows, next } = await store().list({ tenant: tenantFor(request, asked), all }, { limit, after: placeOf(cursor, /^\d{1,17}_[0-9A-Za-z]{8}$/) })
    return { rows: rows.map(shown), next }
  })

  app.post('/api/v1/keys', {
    ...write,
    schema: {
      summary: 'Makes a key and shows it, this once.', description: 'With scopes that the key of the request has too, of its tenant, and ending no later than it.', tags,
      body: Type.Object({
        name: Type.String({ description: 'Whose it is, or what for.', minLength: 1, maxLength: 200 }), scopes: Type.Array(AnyScope, { description: 'What it may be used for.', minItems: 1, uniqueItems: true }),
        tenant: Text('Only for what belongs to this tenant. Without it that of the key of the request: one of every tenant makes one of every tenant.'),
        expires: Type.Optional(Type.String({ description: 'When it ends to be valid; without it when the key of the request does.', format: 'date-time' }))
      }, { additionalProperties: false }),
      response: { 201: Made, ...failures(404, 409, 413, 415, 504) }
    }
  }, async (request: Asked, reply) => {
    const { body: { name, scopes, tenant: asked, expires: end }, actor } = request, tenant = tenantFor(request, asked), most = limits.ofTenant(tenant).keys
    const expires = end === undefined ? actor!.expires : new Date(end)
    own(actor!, scopes)
    if (expires !== null && expires.getTime() <= Date.now()) throw new MillraceError('api/invalid', `it is over already: ${expires.toISOString()}`)
    if (actor!.expires !== null && expires! > actor!.expires) throw new MillraceError('api/forbidden', `the key ${actor!.id} ends at ${actor!.expires.toISOString()}, and makes none that ends later`)
    const { key, id, digest } = newKey()
    if (!await store().add({ id, digest, name, tenant: tenant ?? null, scopes, expires }, actor!.id, most, request.id)) throw new MillraceError('api/quota', `${tenant === undefined ? 'of all tenants' : `of the tenant "${tenant}"`} ${most} keys are valid, and no more may be`, { help: 'revoke some; or raise tenant.keys of --limits' })
    return await handOver(reply, key, id)
  })

  app.post('/api/v1/keys/:id/rotate', {
    ...write,
    schema: {
      summary: 'Makes a key with the name, tenant and scopes of another one and shows it, this once; both are valid for a while, then the other one ends.', description: 'It is valid for as long as the other one is in all, but ends no later than the key of the request.', tags, params: Params,
      body: Type.Object({ within: Type.Optional(Type.String({ description: 'How long both are valid, at most 30d.', pattern: '^\\d{1,6}(s|m|h|d)$', default: '24h' })) }, { additionalProperties: false }),
      response: { 201: Made, ...failures(404, 413, 415, 504) }
    }
  }, async (request: Asked, reply) => {
    const { actor, body } = request, within = duration(body.within)
    if (within > LONGEST) throw new MillraceError('api/invalid', `within: ${body.within} is longer than 30d`)
    const old = await find(request)
    own(actor!, old.scopes)
    const { key, id, digest } = newKey()
    if (!await store().rotate(old.id, { id, digest }, new Date(Date.now() + within), actor!.id, { most: actor!.expires, request: request.id })) throw nothing(old.id)
    return await handOver(reply, key, id)
  })

  app.delete('/api/v1/keys/:id', {
    ...write, schema: { summary: 'Revokes a key, whatever its scopes: no request with it is answered a second later.', tags, params: Params, response: { 200: Shown, ...failures(404, 504) } }
  }, async (request: Asked) => {
    const { id } = await find(request)
    if (!await store().revoke(id, request.actor!.id, request.id)) throw nothing(id)
    return shown((await store().find(id))!)
  })
}

/** @throws api/forbidden when one of the scopes is none of this key */
function own ({ id, scopes: has, token }: KeyRecord, wanted: readonly Scope[]): void {
  const more = wanted.filter(scope => !has.includes(scope))
  if (more.length > 0) throw new MillraceError('api/forbidden', `the ${token === true ? 'token of' : 'key'} ${id} has not the scope ${more.join(', ')}, and cannot give it`, { help: `it has ${has.join(', ')}` })
}

const nothing = (id: string) => new MillraceError('api/not-found', `there is no valid key "${id}"`)
const shown = ({ id, name, tenant, scopes, created, expires, revoked, used }: KeyRecord) => ({ id, name, tenant, scopes, created: created.toISOString(), expires: expires?.toISOString() ?? null, revoked: revoked?.toISOString() ?? null, used: used?.toISOString() ?? null })
