import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Silence } from '../alert-actions.ts'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { DEFAULT_TENANT } from '../trial/given.ts'
import { actionsOf, actorOf } from './incidents.ts'
import { failures } from './problem.ts'
import { cursor, limit, Named, placeOf, tenantText } from './query.ts'
import type { Plane } from './server.ts'

const Moment = (description: string) => Type.String({ format: 'date-time', description })
const OrNull = Type.Union([Type.String(), Type.Null()])
const SilenceBody = Type.Object({
  id: Type.String(), kind: Type.String(), tenant: OrNull, device: OrNull, pipeline: OrNull, alert: OrNull, from: Moment('When it begins.'), to: Moment('When it ends.'), reason: Type.String(), author: Type.String(),
  active: Type.Boolean({ description: 'It is in force now.' })
})
const MaintenanceBody = Type.Object({
  ...SilenceBody.properties, relearn: Type.Boolean({ description: 'When it is over, detectors learn the device anew.' }),
  relearned: Type.Record(Type.String(), Moment('Since when.'), { description: 'Since when they do, by pipeline; empty before.' })
})
const Span = {
  from: Type.Optional(Moment('When it begins, by the wall clock; without it, now.')), to: Moment('When it ends, by the wall clock.'), reason: Type.String({ description: 'Why, for those who ask.', minLength: 1, maxLength: 1000 })
}
const Of = { pipeline: Type.Optional(Named('Only of this pipeline.')), alert: Type.Optional(Named('Only of this alert.')) }

interface Given { readonly tenant?: string, readonly device?: string, readonly pipeline?: string, readonly alert?: string, readonly from?: string, readonly to: string, readonly reason: string, readonly relearn?: boolean }
type Asked = FastifyRequest<{ Params: { id: string }, Querystring: { readonly all: boolean, readonly limit: number, readonly cursor?: string }, Body: Given }>

/** Spans of the wall clock in which nobody is told of what fires: silences by pattern, and maintenance windows of a device. What fires is stored and marked; an end is told to whoever was told of the beginning. */
export async function silences (app: FastifyInstance, plane: Plane): Promise<void> {
  const { limits } = plane
  of('silences', 'silence', SilenceBody, { ...tenantText, device: Type.Optional(Named('Only of devices with such a name; * stands for anything.')), ...Of, ...Span })
  of('maintenance', 'maintenance', MaintenanceBody, {
    ...tenantText, device: Named('The device.'), ...Span,
    relearn: Type.Optional(Type.Boolean({ description: 'When it is over, what detectors have learned of the device is void, and they learn it anew: what was mended is not what it was. It is not when the window is ended before it has begun.', default: true }))
  })

  function of (path: string, kind: 'silence' | 'maintenance', shown: typeof SilenceBody, body: Record<string, any>): void {
    const what = kind === 'silence' ? 'silence' : 'maintenance window', tags = [path], write = { config: { scope: 'alerts:write' as const } }
    app.get(`/api/v1/${path}`, {
      config: { scope: 'alerts:read' },
      schema: {
        summary: `Every ${what} that is not over, the newest first.`, tags, querystring: Type.Object({ all: Type.Optional(Type.Boolean({ description: 'Those too that are over.', default: false })), limit, cursor }),
        response: { 200: Type.Object({ rows: Type.Array(shown), next: Type.Optional(Type.String()) }), ...failures(404, 504) }
      }
    }, async (request: Asked) => await actionsOf(plane).silences(kind, request.query.all, { limit: request.query.limit, after: placeOf(request.query.cursor, /^\d{1,18}$/) }, actorOf(request)))

    app.post(`/api/v1/${path}`, { ...write, schema: { summary: `Makes a ${what}.`, tags, body: Type.Object(body, { additionalProperties: false }), response: { 201: shown, ...failures(404, 409, 413, 415, 504) } } }, async (request: Asked, reply) => {
      const { device, pipeline, alert, from, to, reason, relearn } = request.body, now = Date.now(), begin = from === undefined ? now : Date.parse(from), end = Date.parse(to)
      if (!(begin < end)) throw new MillraceError('api/invalid', `it ends before it begins: from ${new Date(begin).toISOString()} to ${new Date(end).toISOString()}`)
      if (end <= now) throw new MillraceError('api/invalid', `it is over already: ${new Date(end).toISOString()}`, { help: 'what was told cannot be taken back' })
      const tenant = ownTenant(request) ?? (kind === 'maintenance' ? DEFAULT_TENANT : undefined), most = limits.ofTenant(tenant).silences
      const made = await actionsOf(plane).silence({ kind, tenant, device, pipeline, alert, from: begin, to: end, reason, ...relearn === undefined ? {} : { relearn } }, most, actorOf(request))
      if (made === undefined) throw new MillraceError('api/quota', `${most} silences and maintenance windows are not over yet`, { help: 'end some, or one with a pattern instead of many' })
      return await reply.code(201).send(made)
    })

    app.delete(`/api/v1/${path}/:id`, {
      ...write, schema: { summary: `Ends a ${what} now.`, tags, params: Type.Object({ id: Type.String({ pattern: '^\\d{1,18}$' }) }), response: { 200: shown, ...failures(404, 504) } }
    }, async (request: Asked): Promise<Silence> => {
      const ended = await actionsOf(plane).endSilence(request.params.id, kind, actorOf(request))
      if (ended === undefined) throw new MillraceError('api/not-found', `there is no ${what} "${request.params.id}" that is not over`)
      return ended
    })
  }
}

/** A key of one tenant silences that tenant only. */
function ownTenant ({ actor, body: { tenant } }: Asked): string | undefined {
  const own = actor!.tenant
  if (own !== null && tenant !== undefined && tenant !== own) throw new MillraceError('api/not-found', `there is no tenant "${tenant}"`)
  return own ?? tenant
}
