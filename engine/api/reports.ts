import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError } from '../errors.ts'
import { duration, span, Type } from '../options.ts'
import type { TableColumns } from '../query.ts'
import { databaseOf, filterText, rangeOf, tableOf, tenantOf, tenantText } from './query.ts'
import { failures } from './problem.ts'
import { reportPage } from './report-page.ts'
import type { Plane } from './server.ts'

const DAY = 864e5, LONGEST = 31 * DAY, SLOTS = 10_000
const Counts = Type.Record(Type.String(), Type.Number()), OrNull = Type.Union([Type.String(), Type.Null()]), Moment = Type.String({ format: 'date-time' })
const Body = Type.Object({
  from: Moment, to: Type.String({ format: 'date-time', description: 'The end of the range, or now.' }), every: Type.Number({ description: 'Length of a part, s.' }), table: Type.String(), truncated: Type.Boolean({ description: 'There are more devices than `limit`.' }),
  devices: Type.Array(Type.Object({
    tenant: Type.String(), device: Type.String(), site: OrNull, type: OrNull, series: Type.Integer(), readings: Type.Number(), missing: Type.Number({ description: 'Of them without a value.' }), late: Type.Number({ description: 'That came after a window of theirs had closed, each once.' }),
    availability: Type.Union([Type.Number(), Type.Null()], { description: 'Share of parts of the range in which it was heard, 0 to 1.' }), longestGap: Type.Number({ description: 's, in whole parts.' }),
    anomalies: Type.Record(Type.String(), Type.Number(), { description: 'Readings that are alarms, by column.' }), suspect: Type.Record(Type.String(), Type.Number(), { description: 'Readings of a sensor that seems ill, by column.' }),
    alerts: Type.Array(Type.Object({ pipeline: Type.String(), alert: Type.String(), severity: Type.String(), fired: Type.Integer({ description: 'Incidents that fired at some time in the range, also those that began before.' }), open: Type.Integer({ description: 'That are not over.' }), seconds: Type.Number({ description: 'That they fired, within the range.' }), real: Type.Integer({ description: 'As people say.' }), falseAlarm: Type.Integer(), notJudged: Type.Integer(), verdicts: Counts }))
  }))
})

interface Given { readonly tenant?: string, readonly device?: string, readonly site?: string, readonly type?: string, readonly table?: string, readonly from?: string, readonly to?: string, readonly every: string, readonly limit: number, readonly format: 'json' | 'html' }

/** How devices did in a range of event time: whether they were heard, what was unusual, what alerts there were and what people said of them, and how good the data are. */
export async function reports (app: FastifyInstance, plane: Plane): Promise<void> {
  app.get('/api/v1/reports', {
    config: { scope: 'query:read' },
    schema: {
      summary: 'How devices did: availability, anomalies, alerts by verdict, data quality.', tags: ['query'],
      description: 'Of a device, of a site, or of all, as JSON or as a page to print. At most 31 days, 10,000 parts and 500 devices.',
      querystring: Type.Object({
        ...tenantText, device: filterText, site: filterText, type: filterText, table: Type.Optional(Type.String({ description: 'A table of readings; without it the first there is.', maxLength: 200 })),
        from: Type.Optional(Type.String({ format: 'date-time', description: 'From this event time on; without it a day before `to`.' })), to: Type.Optional(Type.String({ format: 'date-time', description: 'Before this event time; without it now.' })),
        every: Type.Optional(Type.String({ description: 'Length of the parts in which a device is heard or not, such as 15m; at least 1 s.', pattern: '^\\d{1,6}(s|m|h|d)$', default: '15m' })),
        limit: Type.Optional(Type.Integer({ description: 'Devices at the most.', minimum: 1, maximum: 500, default: 100 })), format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('html')], { default: 'json' }))
      }),
      response: { 200: { description: 'The report.', content: { 'application/json': { schema: Body }, 'text/html': { schema: { type: 'string' } } } }, ...failures(404, 504) }
    }
  }, async (request: FastifyRequest<{ Querystring: Given }>, reply) => {
    const { device, site, type, from, to, format, limit } = request.query, every = duration(request.query.every), until = to === undefined ? Date.now() : Date.parse(to)
    const range = rangeOf({ from: from ?? new Date(until - DAY).toISOString(), to: new Date(until).toISOString() })
    if (range.to - range.from > LONGEST) throw new MillraceError('api/invalid', `the range has ${span(range.to - range.from)}, at most 31d are reported`)
    if (!(every >= 1000) || (range.to - range.from) / every > SLOTS) throw new MillraceError('api/invalid', `every: the range has more than ${SLOTS} parts of ${request.query.every}`, { help: 'longer parts' })
    const found = await databaseOf(plane, request).report({ table: readingsOf(plane, request.query.table), devices: { tenant: tenantOf(request), device, site, type }, range, every, limit })
    if (format === 'json') return found
    return await reply.type('text/html; charset=utf-8').header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'").send(reportPage(found, { tenant: tenantOf(request), device, site, type }))
  })
}

/** A table of readings, which have a value. */
function readingsOf (plane: Plane, name: string | undefined): TableColumns {
  const { table, all } = tableOf(plane), readings = all().filter(t => t.kind === 'readings')
  if (name === undefined && readings.length > 0) return readings[0]
  const found = table(name ?? '')
  if (found.kind !== 'readings') throw new MillraceError('api/invalid', `the table "${found.table}" is one of windows`, { help: `of readings are: ${readings.map(t => t.table).join(', ')}` })
  return found
}
