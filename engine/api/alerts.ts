import type { FastifyInstance, FastifyRequest } from 'fastify'
import { noticeSchema } from '../notice.ts'
import { Type } from '../options.ts'
import { failures } from './problem.ts'
import { pendingOf } from './pending.ts'
import { cursor, databaseOf, filterText, format, forms, limit, placeOf, range, rangeOf, rowsAs, tenantOf, tenantText } from './query.ts'
import type { Plane } from './server.ts'

interface Given { readonly tenant?: string, readonly pipeline?: string, readonly alert?: string, readonly device?: string, readonly state?: string, readonly severity?: string, readonly open?: boolean, readonly acknowledged?: boolean, readonly from?: string, readonly to?: string, readonly limit: number, readonly cursor?: string, readonly format: 'json' | 'ndjson' | 'csv' }

export const Alert = Type.Object({
  id: Type.String({ description: 'The same whenever the same data is processed again.' }), incident: Type.String({ description: 'The same for firing and resolved.' }), state: Type.String(), tenant: Type.String(), pipeline: Type.String(), alert: Type.String(), severity: Type.String(), device: Type.String(), metric: Type.String(),
  since: Type.String({ format: 'date-time' }), time: Type.String({ format: 'date-time' }), value: Type.Union([Type.Number(), Type.Null()]), evidence: { type: 'object', additionalProperties: true } as never, message: Type.String(),
  details: { type: 'object', additionalProperties: true, description: 'Expected range, p-value, signals, verdict, version of the pipeline, as far as they are known; `reason` of an end that no data made: pipeline deleted.' } as never,
  stale: Type.Boolean({ description: 'Of a backlog: sent to nobody.' }),
  position: Type.Optional(Type.Number({ description: 'Number of the message that made it, in `origin`: `GET /api/v1/pipelines/{name}/origin/{position}`; not of what is pending.' })), origin: Type.Optional(Type.String({ description: 'What position counts in: a log, or a stream.' })),
  deliveries: Type.Array(Type.Object({ receiver: Type.String(), state: Type.String(), attempts: Type.Integer(), error: Type.Union([Type.String(), Type.Null()]) }))
})

const FIRST = '0001-01-01T00:00:00Z'

/** Alerts that pipelines have given, and what has become of them. */
export async function alerts (app: FastifyInstance, plane: Plane): Promise<void> {
  app.get('/api/v1/alert-schema', {
    config: { scope: 'public' }, schema: { summary: 'JSON Schema of what receivers of alerts get.', tags: ['alerts'], response: { 200: { description: 'The schema.', content: { 'application/schema+json': { schema: { type: 'object', additionalProperties: true } } } } } }
  }, async (_, reply) => await reply.type('application/schema+json').send(JSON.stringify(noticeSchema())))
  app.get('/api/v1/alerts', {
    config: { scope: 'alerts:read' },
    schema: {
      summary: 'Alerts, the newest first, each with its deliveries.', tags: ['alerts'],
      querystring: Type.Object({ ...tenantText, pipeline: filterText, alert: filterText, device: filterText, severity: filterText, state: Type.Optional(Type.Union([Type.Literal('firing'), Type.Literal('resolved'), Type.Literal('pending')], { description: 'pending: what holds, not for long enough yet, in the pipelines that run here. Nothing keeps that, and without `state` it is not among them.' })), open: Type.Optional(Type.Boolean({ description: 'true: what fires now: beginnings without an end, without `from` of whatever age; false: all else.' })), acknowledged: Type.Optional(Type.Boolean({ description: 'true: what somebody looks after; false: all else.' })), ...range, limit, cursor, format }), response: { 200: forms(Alert), ...failures(404, 504) }
    }
  }, async (request: FastifyRequest<{ Querystring: Given }>, reply) => {
    const { pipeline, alert, device, state, severity, open, acknowledged, limit, cursor, format } = request.query
    const filter = { tenant: tenantOf(request), pipeline, alert, device, state, severity, open, acknowledged }, range = rangeOf({ ...request.query, ...open === true && request.query.from === undefined ? { from: FIRST } : {} }), page = { limit, after: placeOf(cursor, /^-?\d{1,17}_[\w.:-]{1,200}$/) }
    return rowsAs(reply, format, Object.keys(Alert.properties), state === 'pending' ? pendingOf(plane.runs(), filter, range, page) : await databaseOf(plane, request).alerts(filter, range, page))
  })
}
