import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Change, Changed, Control } from '../control.ts'
import { yamlOf } from '../definition.ts'
import { SENT } from '../environment.ts'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { plainOf } from '../pipeline-file.ts'
import { failures } from './problem.ts'
import { Definition, Format, isYaml, Name, type Formed } from './pipelines.ts'
import type { Plane } from './server.ts'

interface Named { readonly name: string }
interface Loss { readonly acceptLoss: boolean }

const Steps = Type.Array(Type.String())
const Result = Type.Object({
  name: Type.String(), version: Type.Integer({ description: 'The one that is wanted now; 0: none yet.' }), state: Type.Union([Type.Literal('running'), Type.Literal('paused'), Type.Literal('deleted')]),
  memory: Type.Optional(Type.Object({ same: Steps, tuned: Steps, fresh: Steps, changed: Steps, gone: Steps }, { description: 'Steps by what becomes of their memory: goes on (tuned: with other values), begins without, does not fit, is not needed any more.' })),
  source: Type.Optional(Type.Union([Type.Literal('same'), Type.Literal('other')], { description: 'Of the version before: its devices notice nothing when it is the same.' }))
})
const Match = Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'The version that is to be changed, such as "3": the ETag of the pipeline.', pattern: '^(\\*|"\\d{1,9}")$' })) })
const Headers = Type.Object({ ...Match.properties, 'if-none-match': Type.Optional(Type.Literal('*', { description: 'Only if there is no such pipeline.' })) })
const accept = { acceptLoss: Type.Optional(Type.Boolean({ description: 'Memory that does not fit, or a log that is gone, is given up.', default: false })) }
const FAILS = [404, 409, 412, 413, 415, 422, 504] as const

/** Pipelines changed while others run, and while they run. Only keys of every tenant may: a pipeline may be about any. */
export async function changes (app: FastifyInstance, plane: Plane): Promise<void> {
  const write = { config: { scope: 'pipelines:write' as const } }, read = { config: { scope: 'pipelines:read' as const } }, tags = ['pipelines']
  app.addContentTypeParser(['application/yaml', 'text/yaml'], { parseAs: 'string' }, (_, body, done) => { done(null, body) })

  const { limits } = plane, most = limits.process.pipelines
  const control = (): Control => {
    if (plane.control === undefined) throw new MillraceError('api/conflict', 'pipelines cannot be changed here: there is no database in which that would be kept', { help: 'millrace run --database' })
    return plane.control
  }
  const changeOf = (request: FastifyRequest, name: string, more: Partial<Change> = {}): Change => {
    const { tenant, id } = request.actor!, match = request.headers['if-match']
    if (tenant !== null) throw new MillraceError('api/forbidden', `the key ${id} is of the tenant "${tenant}", and pipelines may be about any`, { help: 'a key that was made without --tenant' })
    const there = control().list().filter(w => w.state !== 'deleted').length
    if (request.method === 'PUT' && control().find(name) === undefined && there >= most) throw new MillraceError('api/quota', `${there} pipelines are there, and ${most} may be`, { help: 'delete some, or raise process.pipelines of --limits' })
    if (request.method === 'PUT' && request.headers['if-none-match'] === '*' && control().find(name) !== undefined) throw new MillraceError('api/outdated', `there is a pipeline "${name}"`)
    const expected = match === undefined ? undefined : match === '*' ? control().find(name)?.version : Number(match.slice(1, -1))
    if (match === '*' && expected === undefined) throw new MillraceError('api/outdated', `there is no pipeline "${name}"`)
    return { actor: id, request: request.id, expected, ...more }
  }
  const answer = (reply: FastifyReply, { created, ...changed }: Changed) => {
    if (changed.version > 0) void reply.header('etag', `"${changed.version}"`)
    void reply.code(created && changed.version > 0 ? 201 : 200)
    return changed
  }

  app.put<{ Params: Named, Body: string, Querystring: Loss & { dryRun: boolean } }>('/api/v1/pipelines/:name', {
    ...write, bodyLimit: SENT,
    schema: {
      summary: 'Create a pipeline, or replace it while it runs.', tags, consumes: ['application/yaml'], params: Name, headers: Headers, body: Type.String(),
      description: `It takes effect before it is answered: a version that does not start within 10 s is not kept, and what ran before runs again (422). A replacement goes on where the former version stopped, with the memory of the steps that are the same, and needs If-Match. At most ${SENT / 1024} KiB.`,
      querystring: Type.Object({ dryRun: Type.Optional(Type.Boolean({ description: 'Only say what would become of the memory of its steps.', default: false })), ...accept }),
      response: { 200: Result, 201: Result, ...failures(...FAILS) }
    }
  }, async (request, reply) => {
    const { params: { name }, query: { dryRun, acceptLoss }, body } = request
    return answer(reply, await control().put(name, body, changeOf(request, name, { accept: acceptLoss, dry: dryRun })))
  })

  app.delete<{ Params: Named }>('/api/v1/pipelines/:name', {
    ...write, schema: { summary: 'Delete a pipeline.', description: 'What it has read is committed first. Rows, alerts and versions stay; what it remembers, and how far it had come, does not.', tags, params: Name, headers: Match, response: { 200: Result, ...failures(...FAILS) } }
  }, async (request, reply) => answer(reply, await control().delete(request.params.name, changeOf(request, request.params.name))))

  app.post<{ Params: Named }>('/api/v1/pipelines/:name/pause', {
    ...write, schema: { summary: 'Stop a pipeline and keep its place.', description: 'Its source is still heard, and what comes waits in the log, as long as `--retain` and the budget of the log allow.', tags, params: Name, headers: Match, response: { 200: Result, ...failures(...FAILS) } }
  }, async (request, reply) => answer(reply, await control().pause(request.params.name, changeOf(request, request.params.name))))

  app.post<{ Params: Named, Querystring: Loss }>('/api/v1/pipelines/:name/resume', {
    ...write, schema: { summary: 'Go on with a pipeline that is paused, or that has failed.', tags, params: Name, headers: Match, querystring: Type.Object(accept), response: { 200: Result, ...failures(...FAILS) } }
  }, async (request, reply) => answer(reply, await control().resume(request.params.name, changeOf(request, request.params.name, { accept: request.query.acceptLoss }))))

  app.post<{ Params: Named, Body: { version: number }, Querystring: Loss }>('/api/v1/pipelines/:name/rollback', {
    ...write, schema: {
      summary: 'Replace a pipeline by an older version of it.', description: 'A new version that says what that one did.', tags, params: Name, headers: Match, querystring: Type.Object(accept),
      body: Type.Object({ version: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }) }, { additionalProperties: false }), response: { 200: Result, ...failures(...FAILS) }
    }
  }, async (request, reply) => answer(reply, await control().rollback(request.params.name, request.body.version, changeOf(request, request.params.name, { accept: request.query.acceptLoss }))))

  app.get<{ Params: Named }>('/api/v1/pipelines/:name/versions', {
    ...read, schema: {
      summary: 'All versions of a pipeline that was put, the newest first.', tags, params: Name,
      response: { 200: Type.Object({ versions: Type.Array(Type.Object({ version: Type.Integer(), author: Type.String({ description: 'Id of the key.' }), created: Type.String({ format: 'date-time' }), restores: Type.Union([Type.Integer(), Type.Null()]), failed: Type.Union([Type.String(), Type.Null()], { description: 'Why it did not start.' }) })) }), ...failures(404, 409, 504) }
    }
  }, async ({ params: { name } }) => {
    const versions = await control().versions(name)
    if (versions.length === 0) throw new MillraceError('api/not-found', `no pipeline "${name}" was ever put`)
    return { versions: versions.map(({ created, ...rest }) => ({ ...rest, created: created.toISOString() })) }
  })

  app.get<{ Params: Named & { version: number }, Querystring: Formed }>('/api/v1/pipelines/:name/versions/:version', {
    ...read, schema: {
      summary: 'What a version says: as a file, with all defaults filled in and secrets masked.', tags, params: Type.Object({ ...Name.properties, version: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }) }), querystring: Format, response: { 200: Definition, ...failures(404, 409, 413, 504) }
    }
  }, async (request, reply) => {
    const { name, version } = request.params
    const pipeline = await control().definition(name, version)
    if (pipeline === undefined) throw new MillraceError('api/not-found', `the pipeline "${name}" has no version ${version}`)
    return isYaml(request) ? await reply.type('application/yaml').send(yamlOf(pipeline)) : plainOf(pipeline)
  })
}
