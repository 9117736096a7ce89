import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { uploadOf, type BackfillAsked } from '../backfill.ts'
import { clock } from '../clock.ts'
import { MillraceError } from '../errors.ts'
import { evaluationFile, type EvaluationFormat } from '../evaluate-job.ts'
import { exportFormats, mediaTypes, type ExportFormat } from '../export-format.ts'
import { exportFile } from '../export-job.ts'
import { jobStates, type Job, type Jobs, type JobState } from '../jobs.ts'
import { Type } from '../options.ts'
import { evaluation, evaluations, startStored, type EvaluationGiven } from './evaluations.ts'
import { begun, optionsOf, Shown, started, store, UPLOAD } from './job.ts'
import { failures } from './problem.ts'
import { filterText, Moment, rangeOf, tableOf, tenantFor, Text } from './query.ts'
import type { Plane } from './server.ts'

const name = Text
const span = { from: Moment('Only from this event time on.'), to: Moment('Only before this event time.') }
const past = { ...span, table: name('A table of readings; without it the one that the pipeline writes.') }

const RESULTS = { json: 'application/json; charset=utf-8', html: 'text/html; charset=utf-8' } as const

type Given = { readonly kind: string, readonly pipeline?: string, readonly table?: string, readonly from?: string, readonly to?: string, readonly tenant?: string, readonly device?: string, readonly metric?: string, readonly columns?: string, readonly format?: ExportFormat, readonly log?: boolean } & EvaluationGiven

/** Work that takes longer than a request: started, followed, cancelled, and what it has made. */
export async function jobs (app: FastifyInstance, plane: Plane): Promise<void> {
  const read = { config: { scope: 'jobs:read' as const } }, write = { config: { scope: 'jobs:write' as const } }, tags = ['jobs'], Id = Type.Object({ id: Type.String({ maxLength: 100 }) })
  const those = (): Jobs => {
    if (plane.jobs === undefined) throw new MillraceError('api/conflict', 'there are no jobs here: there is no database in which they would be kept', { help: 'millrace run --database' })
    return plane.jobs.all
  }
  const own = ({ actor }: FastifyRequest): string | undefined => actor!.tenant ?? undefined
  const find = async (request: FastifyRequest<{ Params: { id: string } }>): Promise<Job> => {
    const job = await those().store.find(request.params.id, own(request))
    if (job === undefined) throw new MillraceError('api/not-found', `there is no job "${request.params.id}"`)
    return job
  }
  /** @throws api/forbidden for a key of one tenant: a pipeline may be about any */
  const backfill = (request: FastifyRequest, asked: BackfillAsked): BackfillAsked => {
    const { actor } = request
    those()
    if (actor!.tenant !== null) throw new MillraceError('api/forbidden', `the key ${actor!.id} is of the tenant "${actor!.tenant}", and a pipeline may be about any`, { help: 'a key that was made without --tenant' })
    plane.jobs!.backfill.check(asked)
    return asked
  }
  const timesOf = ({ from, to }: { readonly from?: string | undefined, readonly to?: string | undefined }) => ({ ...from === undefined ? {} : { from: Date.parse(from) }, ...to === undefined ? {} : { to: Date.parse(to) } })

  app.get<{ Querystring: { kind?: string, state?: JobState, limit: number } }>('/api/v1/jobs', {
    ...read,
    schema: {
      summary: 'Jobs, the newest first.', tags, response: { 200: Type.Object({ rows: Type.Array(Shown) }), ...failures(409, 504) },
      querystring: Type.Object({ kind: filterText, state: Type.Optional(Type.Union(jobStates.map(state => Type.Literal(state)))), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })) })
    }
  }, async request => ({ rows: await those().store.list({ tenant: own(request), kind: request.query.kind, state: request.query.state }, request.query.limit) }))

  app.post<{ Body: Given }>('/api/v1/jobs', {
    ...write,
    schema: {
      summary: 'Start a job: a backfill of a pipeline from a table, an evaluation of a pipeline on readings of a table, or an export of a table into a file.', tags, consumes: ['application/json'],
      description: 'backfill: the pipeline stands still, works through readings from before, and goes on with its own source without a gap or an overlap; nobody is told of alerts of that time. evaluate: what the alerts of a version of a pipeline find, miss and say wrongly in a range of which it is known when something was wrong, as JSON and as a page. At most two jobs of a tenant, and four in all, are under way.',
      body: Type.Object({
        kind: Type.Union([Type.Literal('backfill'), Type.Literal('evaluate'), Type.Literal('export')]), pipeline: name('Of a backfill or an evaluation.'), ...past, tenant: name('Of an export or an evaluation: only of this tenant.'), device: name('Of an export: only of this device.'), metric: name('Of an export: only of this metric.'),
        columns: Text('Of an export: columns, with commas between.'), log: Type.Optional(Type.Boolean({ description: 'Of a backfill: what the log of the source of the pipeline still has, instead of a table.' })), format: Type.Optional(Type.Union(exportFormats.map(format => Type.Literal(format)), { description: 'Of an export.' })), ...evaluation
      }, { additionalProperties: false }),
      response: { ...started, ...failures(404, 409, 413, 415, 504) }
    }
  }, async (request, reply) => {
    const { body: { kind, pipeline, table, device, metric, columns, log, format = 'csv', from, to, tenant: asked, ...evaluated }, actor } = request, { tenant, id: author } = actor!, given = { from, to, tenant: asked }
    if (log !== undefined && kind !== 'backfill') throw new MillraceError('api/invalid', 'log is of a backfill')
    if (kind === 'evaluate') {
      if (pipeline === undefined) throw new MillraceError('api/invalid', 'an evaluation is of a pipeline: pipeline is not there')
      if (device !== undefined || metric !== undefined || columns !== undefined) throw new MillraceError('api/invalid', 'device, metric and columns are of an export')
      return await begun(reply, await startStored(plane, request, { ...evaluated, ...given, pipeline, table }))
    }
    const [strange] = Object.keys(evaluated)
    if (strange !== undefined) throw new MillraceError('api/invalid', `${strange} is of an evaluation`)
    if (kind === 'backfill') {
      if (pipeline === undefined) throw new MillraceError('api/invalid', 'a backfill is of a pipeline: pipeline is not there')
      if (device !== undefined || metric !== undefined || columns !== undefined || given.tenant !== undefined) throw new MillraceError('api/invalid', 'device, metric, columns and tenant are of an export: a backfill is of all that a pipeline reads')
      const asked = backfill(request, { pipeline, ...table === undefined ? {} : { table }, ...log === true ? { log } : {}, ...timesOf(given) })
      return await begun(reply, await those().start('backfill', { target: pipeline, tenant, author, asked: { ...asked }, request: request.id }))
    }
    if (table === undefined) throw new MillraceError('api/invalid', 'an export is of a table: table is not there')
    if (pipeline !== undefined) throw new MillraceError('api/invalid', 'pipeline is of a backfill')
    const columnsOf = tableOf(plane).table(table, { columns }), of = tenantFor(request, given.tenant)
    const range = rangeOf({ from: given.from ?? new Date(0).toISOString(), to: given.to ?? '9999-12-31T23:59:59.999Z' })
    return await begun(reply, await those().start('export', { target: table, tenant, author, request: request.id, asked: { table: columnsOf, series: { ...of === undefined ? {} : { tenant: of }, ...device === undefined ? {} : { device }, ...metric === undefined ? {} : { metric } }, range, format } }))
  })

  app.addContentTypeParser('text/csv', (_, __, done) => { done(null, undefined) })       // read below, as it comes
  app.post<{ Querystring: { pipeline: string, table?: string, from?: string, to?: string, options?: string } }>('/api/v1/jobs/backfill', {
    ...write,
    schema: {
      summary: 'Start a backfill from a CSV, which is the body, and from a table.', tags, consumes: ['text/csv'], body: { description: `A CSV of up to ${UPLOAD / 2 ** 20} MiB, in the order of time.` },
      description: 'The CSV and the table that the pipeline writes, or the one that is named, are read side by side, in the order of arrival.',
      querystring: Type.Object({ pipeline: Type.String({ minLength: 1, maxLength: 200 }), ...past, options: Type.Optional(Type.String({ description: 'How the CSV is to be read: options of the source replay, as JSON, such as {"dates":"dmy"}.', maxLength: 4000 })) }),
      response: { ...started, ...failures(404, 409, 413, 415, 504) }
    }
  }, async (request, reply) => {
    const { query: { pipeline, table, options, ...given }, actor } = request, id = clock.id(), { folder } = plane.jobs ?? { folder: '' }
    const asked = backfill(request, { pipeline, ...table === undefined ? {} : { table }, ...timesOf(given), csv: true, ...options === undefined ? {} : { options: optionsOf(options) } })
    const file = uploadOf(folder, id)
    try {
      return await begun(reply, await those().start('backfill', { id, target: pipeline, tenant: null, author: actor!.id, asked: { ...asked }, request: request.id }, () => store(request.raw, file)))
    } catch (error) {
      await rm(file, { force: true })
      throw error
    }
  })

  app.get<{ Params: { id: string } }>('/api/v1/jobs/:id', { ...read, schema: { summary: 'One job, and how far it is.', tags, params: Id, response: { 200: Shown, ...failures(404, 409, 504) } } }, async request => await find(request))

  app.post<{ Params: { id: string } }>('/api/v1/jobs/:id/cancel', {
    ...write,
    schema: { summary: 'End a job; one that has ended stays what it is.', description: 'A pipeline whose backfill is cancelled goes on with its own source, and remembers what it has read so far. While that pipeline is paused the job is still running: it ends when the pipeline is resumed.', tags, params: Id, response: { 200: Shown, ...failures(404, 409, 504) } }
  }, async request => {
    const { actor, params: { id } } = request, job = await find(request)
    if (job.kind === 'backfill' && actor!.tenant !== null) throw new MillraceError('api/not-found', `there is no job "${id}"`)
    return await those().cancel(id, { tenant: own(request), id: actor!.id, request: request.id }) ?? job
  })

  app.get<{ Params: { id: string }, Querystring: { format: EvaluationFormat } }>('/api/v1/jobs/:id/result', {
    ...read,
    schema: {
      summary: 'The file that an export has made, or what an evaluation has found.', tags, params: Id,
      querystring: Type.Object({ format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('html')], { description: 'Of an evaluation: data, or a page that needs nothing else.', default: 'json' })) }),
      response: { 200: { description: 'Rows; or the evaluation.', content: { 'text/csv': { schema: { type: 'string' } }, 'application/x-ndjson': { schema: { type: 'string' } }, [mediaTypes.parquet]: { schema: { type: 'string' } }, 'application/json': { schema: { type: 'object', additionalProperties: true } }, 'text/html': { schema: { type: 'string' } } } }, ...failures(404, 409, 504) }
    }
  }, async (request, reply) => {
    const job = await find(request), { folder } = plane.jobs!, { format = 'csv' } = job.asked as { format?: ExportFormat }
    if (job.kind === 'backfill' || job.state !== 'done') throw new MillraceError('api/conflict', `the job ${job.id} ${job.kind === 'backfill' ? 'makes no file' : `is ${job.state}`}`, { help: 'the result of an export or an evaluation is there when it is done' })
    const [file, type] = job.kind === 'evaluate' ? [evaluationFile(folder, job.id, request.query.format), RESULTS[request.query.format]] : [exportFile(folder, job.id, format), mediaTypes[format]]
    const size = await stat(file).then(s => s.size, () => undefined)
    if (size === undefined) throw new MillraceError('api/not-found', 'its file is not there any more')
    if (type === RESULTS.html) void reply.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; sandbox")
    return await reply.type(type).header('content-length', size).send(createReadStream(file))
  })
  await app.register(evaluations, plane)
}
