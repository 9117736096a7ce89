import { rm } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { tableOf, uploadOf } from '../backfill.ts'
import { clock } from '../clock.ts'
import { dropEvaluation, keepLabels, type EvaluateAsked, type SentLabel } from '../evaluate-job.ts'
import { MillraceError } from '../errors.ts'
import type { Job } from '../jobs.ts'
import { duration, suggest, Type } from '../options.ts'
import { routesOf } from '../plan.ts'
import type { Pipeline } from '../pipeline.ts'
import { DEFAULT_TENANT } from '../trial/given.ts'
import { begun, optionsOf, started, store, UPLOAD } from './job.ts'
import { failures } from './problem.ts'
import { Named, tenantFor, Text } from './query.ts'
import type { Plane } from './server.ts'

const LABELS = 10_000
const text = (description: string, maxLength = 200) => Type.Optional(Type.String({ description, minLength: 1, maxLength }))
const Label = Type.Object({ device: Named(), metric: Text('Without it the whole device.'), from: Type.String({ format: 'date-time' }), to: Type.Optional(Type.String({ format: 'date-time', description: 'Without it it is a moment.' })), kind: text('Such as drift or leak.') }, { additionalProperties: false })
const rules = {
  version: Type.Optional(Type.Integer({ description: 'Of the pipeline; without it the present one.', minimum: 1 })), healthy: Type.Optional(Type.Boolean({ description: 'Nothing was wrong in all of this time: every alert is false.' })),
  tolerance: text('So long after its end an alert still finds a label, such as 1h.', 20), probation: text('So much at the beginning of each device does not count, such as 3d or 15%.', 20),
  by: Type.Optional(Type.Union([Type.Literal('metric'), Type.Literal('device')], { description: 'device: an alert of any metric finds a label that names one.' }))
}
/** Of a job that is asked for as JSON, besides the pipeline, the table and the range. */
export const evaluation = {
  ...rules, labels: Type.Optional(Type.Array(Label, { description: 'When something was wrong.', maxItems: LABELS })),
  alerts: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { description: 'These alerts only.', minItems: 1, maxItems: 100 }))
}

export interface EvaluationGiven {
  readonly version?: number, readonly healthy?: boolean, readonly labels?: readonly SentLabel[], readonly labelColumn?: string, readonly tolerance?: string, readonly probation?: string, readonly by?: string, readonly alerts?: readonly string[]
}

/** Of readings that are stored: of one tenant, in a range that has both ends. */
export async function startStored (plane: Plane, request: FastifyRequest, given: EvaluationGiven & { readonly pipeline: string, readonly table?: string | undefined, readonly from?: string | undefined, readonly to?: string | undefined, readonly tenant?: string | undefined }): Promise<Job> {
  const { pipeline, table, from, to, tenant: wanted, ...rest } = given, tenant = tenantFor(request, wanted) ?? DEFAULT_TENANT
  if (from === undefined || to === undefined || !(Date.parse(from) < Date.parse(to))) throw new MillraceError('api/invalid', 'an evaluation of what is stored has a range: from, and after it to')
  const { asked, definition } = await check(plane, pipeline, rest), found = tableOf(plane.jobs!.pipelines, definition, table)!
  return await start(plane, clock.id(), request, { ...asked, table: { ...found, from: Date.parse(from), to: Date.parse(to), tenant } }, rest.labels)
}

/** `prepare`: what is to be there besides its labels. Nothing of them stays when it does not begin. */
async function start ({ jobs }: Plane, id: string, { id: request, actor }: FastifyRequest<any>, asked: EvaluateAsked, labels: readonly SentLabel[] | undefined, prepare?: () => Promise<void>): Promise<Job> {
  const { all, folder } = jobs!, { id: author, tenant } = actor!
  try {
    return await all.start('evaluate', { id, target: asked.pipeline, tenant, author, request, asked: { ...asked } }, async () => {
      await prepare?.()
      if (labels !== undefined) await keepLabels(folder, id, labels)
    })
  } catch (error) {
    await rm(uploadOf(folder, id), { force: true })
    await dropEvaluation(folder, id)
    throw error
  }
}

/** Pipelines judged on history of which it is known when something was wrong, sent as CSV. */
export async function evaluations (app: FastifyInstance, plane: Plane): Promise<void> {
  app.post<{ Querystring: Omit<EvaluationGiven, 'labels' | 'alerts'> & { readonly pipeline: string, readonly labels?: string, readonly alerts?: string, readonly options?: string } }>('/api/v1/jobs/evaluate', {
    config: { scope: 'jobs:write' },
    schema: {
      summary: 'Start an evaluation of a pipeline on a CSV, which is the body.', tags: ['jobs'], consumes: ['text/csv'], body: { description: `A CSV of up to ${UPLOAD / 2 ** 20} MiB, in the order of time.` },
      description: 'What its alerts find, miss and say wrongly, as `millrace evaluate` says it. One of labels, labelColumn and healthy says when something was wrong.',
      querystring: Type.Object({
        pipeline: Type.String({ minLength: 1, maxLength: 200 }), ...rules, labels: text('When something was wrong, as JSON: [{"device":"pump-1","from":"2026-01-05T10:00:00Z","to":"2026-01-05T12:00:00Z"}]. Longer ones as a column.', 8000),
        labelColumn: text('Column of the CSV that is true, or not 0, when something was wrong.'), alerts: text('These alerts only, with commas between.', 2000),
        options: text('How the CSV is to be read: options of the source replay, as JSON, such as {"dates":"dmy"}.', 4000)
      }),
      response: { ...started, ...failures(404, 409, 413, 415, 504) }
    }
  }, async (request, reply: FastifyReply): Promise<Job> => {
    const { query: { pipeline, labels: given, alerts, options, ...rest } } = request, id = clock.id(), read = options === undefined ? {} : optionsOf(options), labels = given === undefined ? undefined : labelsOf(given)
    const { asked } = await check(plane, pipeline, { ...rest, ...labels === undefined ? {} : { labels }, ...alerts === undefined ? {} : { alerts: alerts.split(',') } })
    plane.components.sources.replay({ ...read, files: 'x.csv' })
    return await begun(reply, await start(plane, id, request, { ...asked, options: read }, labels, () => store(request.raw, uploadOf(plane.jobs!.folder, id))))
  })
}

/** @throws what is wrong with it, before anything is begun */
async function check ({ jobs, control }: Plane, name: string, { version, healthy, labels, labelColumn, alerts, tolerance, probation, by }: EvaluationGiven): Promise<{ readonly asked: EvaluateAsked, readonly definition: Pipeline }> {
  if (jobs === undefined || control === undefined) throw new MillraceError('api/conflict', 'there are no jobs here: there is no database in which they would be kept', { help: 'millrace run --database' })
  const wanted = version ?? control.find(name)?.version, definition = wanted === undefined ? undefined : await control.definition(name, wanted)
  if (definition === undefined) throw new MillraceError('api/not-found', `there is no pipeline "${name}"${version === undefined ? '' : ` in version ${version}`} that was put here`, { help: control.list().map(p => p.name).join(', ') })
  const ways = [labels !== undefined, labelColumn !== undefined, healthy === true].filter(Boolean).length
  if (ways !== 1) throw new MillraceError('api/invalid', ways === 0 ? 'nothing says when something was wrong' : 'labels, labelColumn and healthy exclude each other', { help: 'one of labels, labelColumn and healthy' })
  const names = routesOf(definition).flatMap(([, route]) => route.alerts.map(a => a.name)), strange = alerts?.find(alert => !names.includes(alert))
  if (names.length === 0) throw new MillraceError('api/invalid', `the pipeline "${name}" has no alert, so that there is nothing to evaluate`)
  if (strange !== undefined) throw new MillraceError('api/invalid', `the pipeline "${name}" has no alert "${strange}"`, { help: suggest(strange, names) })
  for (const [what, span] of Object.entries({ tolerance, probation })) if (span !== undefined && !(what === 'probation' && /^\d{1,2}(\.\d+)?%$/.test(span))) spanOf(what, span)
  return { definition, asked: { pipeline: name, version: wanted!, ...Object.fromEntries(Object.entries({ labels: labels?.length, labelColumn, alerts, tolerance, probation, by }).filter(([, value]) => value !== undefined)) } }
}

function spanOf (what: string, text: string): void {
  try { duration(text) } catch { throw new MillraceError('api/invalid', `${what}: "${text}" is no span`, { help: 'such as 30s, 1h or 3d' }) }
}

const isLabel = (one: any): one is SentLabel => one !== null && typeof one === 'object' && [one.device, one.from].every(x => typeof x === 'string') && [one.metric, one.to, one.kind].every(x => x === undefined || typeof x === 'string') && !Number.isNaN(Date.parse(one.from)) && (one.to === undefined || !Number.isNaN(Date.parse(one.to)))

function labelsOf (text: string): readonly SentLabel[] {
  let given: unknown
  try { given = JSON.parse(text) } catch { given = undefined }
  if (!Array.isArray(given) || !given.every(isLabel)) throw new MillraceError('api/invalid', 'labels is no JSON array of labels', { help: 'such as [{"device":"pump-1","from":"2026-01-05T10:00:00Z"}]' })
  return given.map(({ device, metric, from, to, kind }) => ({ device, from, ...metric === undefined ? {} : { metric }, ...to === undefined ? {} : { to }, ...kind === undefined ? {} : { kind } }))
}
