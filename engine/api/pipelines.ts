import type { FastifyInstance } from 'fastify'
import { yamlOf } from '../definition.ts'
import { SENT, sent } from '../environment.ts'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { plainOf } from '../pipeline-file.ts'
import { isError, plainFinding } from '../report.ts'
import type { Run } from '../run.ts'
import { readYaml } from '../yaml.ts'
import { failures } from './problem.ts'
import { describe, Status } from './status.ts'
import type { Plane } from './server.ts'

export const Name = Type.Object({ name: Type.String({ description: 'Name of the pipeline.', maxLength: 200 }) })
const Findings = Type.Object({
  valid: Type.Boolean(),
  findings: Type.Array(Type.Object({
    code: Type.String(), level: Type.Union([Type.Literal('error'), Type.Literal('warning')]), message: Type.String(), help: Type.Optional(Type.String()), path: Type.Optional(Type.String()),
    file: Type.Optional(Type.String()), line: Type.Optional(Type.Integer()), column: Type.Optional(Type.Integer()), length: Type.Optional(Type.Integer())
  }))
})

export const Format = Type.Object({ format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('yaml')], { description: 'Without it what Accept says; else json.' })) })
export interface Formed { readonly format?: 'json' | 'yaml' }
/** Is YAML asked for? Of what Accept names the first counts. */
export const isYaml = ({ query: { format }, headers: { accept = '' } }: { readonly query: Formed, readonly headers: { readonly accept?: string | undefined } }): boolean => (format ?? /\b(json|yaml)\b/i.exec(accept)?.[0].toLowerCase()) === 'yaml'
export const Definition = { description: 'The pipeline.', content: { 'application/json': { schema: { type: 'object', additionalProperties: true } }, 'application/yaml': { schema: { type: 'string' } } } }

/** How a pipeline stands, and what is wanted of it. */
const standing = ({ control }: Plane, run: Run) => {
  const { name } = run.pipeline, wanted = control?.find(name), file = control?.fileOf(name)
  return { ...describe(run), ...wanted?.state === 'paused' ? { trouble: {} } : {}, ...wanted === undefined ? {} : { version: wanted.version }, state: wanted?.state ?? 'running' as const, ...file === undefined ? {} : { file } }
}
const pausedOf = ({ control }: Plane): Run[] => control?.list().filter(w => w.state === 'paused').flatMap(({ name }) => control.runOf(name) ?? []) ?? []

/** The run of a pipeline that is not paused, by its name. */
export function runOf ({ runs, control }: Plane, name: string): Run {
  if (control?.find(name)?.state === 'paused') throw new MillraceError('api/conflict', `the pipeline "${name}" is paused`)
  const run = runs().find(r => r.pipeline.name === name)
  if (run === undefined) throw new MillraceError('api/not-found', `there is no pipeline "${name}"`, { help: runs().map(r => r.pipeline.name).join(', ') })
  return run
}

/** Pipelines that run here: which, how they stand, what they are; and whether one would be right. */
export async function pipelines (app: FastifyInstance, plane: Plane): Promise<void> {
  const { runs, components } = plane, find = (name: string): Run => pausedOf(plane).find(r => r.pipeline.name === name) ?? runOf(plane, name)
  const read = { config: { scope: 'pipelines:read' as const } }
  const tags = ['pipelines']

  app.get('/api/v1/pipelines', { ...read, schema: { summary: 'All pipelines and how they stand.', tags, response: { 200: Type.Object({ pipelines: Type.Array(Status) }), ...failures() } } },
    async () => ({ pipelines: [...runs(), ...pausedOf(plane)].map(run => standing(plane, run)) }))

  app.get<{ Params: { name: string } }>('/api/v1/pipelines/:name', { ...read, schema: { summary: 'How a pipeline stands: counts, lag, trouble, each step.', tags, params: Name, response: { 200: Status, ...failures(404) } } },
    async ({ params }, reply) => {
      const shown = standing(plane, find(params.name))
      if (shown.version !== undefined) void reply.header('etag', `"${shown.version}"`)
      return shown
    })

  app.get<{ Params: { name: string }, Querystring: Formed }>('/api/v1/pipelines/:name/definition', {
    ...read,
    schema: {
      summary: 'What a pipeline is: as its file, with all defaults filled in and secrets masked.', tags, params: Name,
      querystring: Format, response: { 200: Definition, ...failures(404) }
    }
  }, async (request, reply) => {
    const { pipeline } = find(request.params.name)
    return isYaml(request) ? await reply.type('application/yaml').send(yamlOf(pipeline)) : plainOf(pipeline)
  })

  app.addContentTypeParser(['application/yaml', 'text/yaml'], { parseAs: 'string' }, (_, body, done) => { done(null, body) })
  app.post<{ Body: string }>('/api/v1/pipelines/validate', {
    config: { scope: 'pipelines:write' }, bodyLimit: SENT,
    schema: { summary: 'Everything that is wrong with a pipeline file, without running it.', description: `The environment of the server is not looked into, nor its files. At most ${SENT / 1024} KiB.`, tags, consumes: ['application/yaml'], body: Type.String(), response: { 200: Findings, ...failures(413, 415) } }
  }, async ({ body }) => {
    const { findings } = readYaml(body, components, { file: 'pipeline.yaml', environment: { ...sent, unset: 'unset' } })
    return { valid: !findings.some(isError), findings: findings.map(plainFinding) }
  })
}
