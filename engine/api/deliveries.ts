import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { actionsOf, actorOf } from './incidents.ts'
import { failures } from './problem.ts'
import { cursor, filterText, limit, placeOf, tenantOf, tenantText } from './query.ts'
import type { Plane } from './server.ts'

const Moment = Type.String({ format: 'date-time' }), OrNull = Type.Union([Type.String(), Type.Null()])
const states = ['due', 'delivered', 'dead', 'silenced', 'suppressed'] as const
const DeliveryBody = Type.Object({
  event: Type.String(), receiver: Type.String(), pipeline: Type.String(), tenant: Type.String(), notification: Type.String({ description: 'The id under which it goes: its own, or that of its group.' }), state: Type.String(),
  held: Type.Union([Type.String(), Type.Null()], { description: 'Why it waits: escalation, flapping, cooldown or group.' }), posted: Moment, due: Moment, attempts: Type.Integer(), error: OrNull,
  tries: Type.Array(Type.Object({ time: Moment, outcome: Type.String(), error: OrNull }))
})
const Endpoint = Type.Object({ endpoint: Type.String(), name: Type.String(), reason: Type.String(), since: Moment })

interface Given { readonly tenant?: string, readonly pipeline?: string, readonly receiver?: string, readonly state?: string, readonly incident?: string, readonly limit: number, readonly cursor?: string }
type Asked = FastifyRequest<{ Params: { endpoint: string }, Querystring: Given, Body: { event: string, receiver: string } }>

/** What became of alerts with their receivers, sending them again, and endpoints that said they are gone. */
export async function deliveries (app: FastifyInstance, plane: Plane): Promise<void> {
  const tags = ['deliveries'], write = { config: { scope: 'alerts:write' as const } }

  app.get('/api/v1/deliveries', {
    config: { scope: 'alerts:read' },
    schema: {
      summary: 'Deliveries, the newest first, each with its tries.', tags,
      querystring: Type.Object({ ...tenantText, pipeline: filterText, receiver: filterText, incident: filterText, state: Type.Optional(Type.Union(states.map(state => Type.Literal(state)))), limit, cursor }),
      response: { 200: Type.Object({ rows: Type.Array(DeliveryBody), next: Type.Optional(Type.String()) }), ...failures(404, 504) }
    }
  }, async (request: Asked) => {
    const { pipeline, receiver, state, incident, limit, cursor } = request.query
    return await actionsOf(plane).deliveries({ tenant: tenantOf(request), pipeline, receiver, state, incident }, { limit, after: placeOf(cursor, /^-?\d{1,17}_.{1,256}$/) }, actorOf(request))
  })

  app.post('/api/v1/deliveries/replay', {
    ...write,
    schema: {
      summary: 'Sends an alert to a receiver again, under the same id.', description: 'A receiver that knows the id drops it.', tags,
      body: Type.Object({ event: Type.String({ minLength: 1, maxLength: 200 }), receiver: Type.String({ minLength: 1, maxLength: 300 }) }, { additionalProperties: false }), response: { 200: DeliveryBody, ...failures(404, 413, 415, 504) }
    }
  }, async (request: Asked) => {
    const { event, receiver } = request.body, again = await actionsOf(plane).replay(event, receiver, actorOf(request))
    if (again === undefined) throw new MillraceError('api/not-found', `there is no delivery of "${event}" to "${receiver}" that is over`, { help: 'GET /api/v1/deliveries says which there are; what is still due is sent by itself' })
    return again
  })

  app.get('/api/v1/endpoints/disabled', { config: { scope: 'alerts:read' }, schema: { summary: 'Endpoints that said they are gone (410): nothing is sent to them.', tags, response: { 200: Type.Object({ rows: Type.Array(Endpoint) }), ...failures(404, 504) } } }, async (request: Asked) => {
    forAll(request)
    return { rows: await actionsOf(plane).disabled() }
  })

  app.post('/api/v1/endpoints/:endpoint/enable', {
    ...write, schema: { summary: 'Sends to an endpoint again.', description: 'What was for it meanwhile is dead and can be replayed.', tags, params: Type.Object({ endpoint: Type.String({ minLength: 1, maxLength: 200 }) }), response: { 200: Type.Object({ enabled: Type.String() }), ...failures(404, 504) } }
  }, async (request: Asked) => {
    forAll(request)
    const { endpoint } = request.params
    if (!await actionsOf(plane).enable(endpoint, actorOf(request))) throw new MillraceError('api/not-found', `the endpoint "${endpoint}" is not disabled`)
    return { enabled: endpoint }
  })
}

/** Endpoints belong to pipelines, which are of all tenants. */
function forAll ({ actor }: FastifyRequest<any>): void {
  if (actor!.tenant !== null) throw new MillraceError('api/forbidden', `the key ${actor!.id} is of the tenant "${actor!.tenant}", and endpoints are of all`, { help: 'a key that was made without --tenant' })
}
