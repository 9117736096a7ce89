import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline as pump } from 'node:stream/promises'
import type { FastifyReply } from 'fastify'
import { MillraceError } from '../errors.ts'
import { jobStates, type Job } from '../jobs.ts'
import { Type } from '../options.ts'

export const UPLOAD = 256 * 2 ** 20         // bytes of a CSV
const Count = Type.Number({ minimum: 0 }), Null = Type.Null()
/** A job, as the API declares it. */
export const Shown = Type.Object({
  id: Type.String(), kind: Type.String(), target: Type.String({ description: 'The pipeline or table that it is about.' }), tenant: Type.Union([Type.String(), Null]),
  state: Type.Union(jobStates.map(state => Type.Literal(state)), { description: 'interrupted: its process has ended, and it did not go on.' }),
  done: Type.Number({ minimum: 0, description: 'Records or rows.' }), total: Type.Union([Count, Null]), detail: Type.Union([Type.String(), Null]),
  asked: { type: 'object', additionalProperties: true } as never, author: Type.String(), created: Type.String({ format: 'date-time' }), ended: Type.Union([Type.String({ format: 'date-time' }), Null])
})
export const started = { 202: { description: 'It has begun.', headers: { location: { schema: { type: 'string' }, description: 'Where it is shown.' } }, ...Shown } }

export const begun = (reply: FastifyReply, job: Job) => reply.code(202).header('location', `/api/v1/jobs/${job.id}`).send(job)

export function optionsOf (text: string): Record<string, unknown> {
  let given: unknown
  try { given = JSON.parse(text) } catch { given = undefined }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new MillraceError('api/invalid', 'options is no JSON object', { help: 'such as {"dates":"dmy"}' })
  const { files, speed, ...rest } = given as Record<string, unknown>
  if (files !== undefined || speed !== undefined) throw new MillraceError('api/invalid', `options: ${files === undefined ? 'speed' : 'files'} is not for a CSV that is sent`)
  return rest
}

/** As much as comes, durable; nothing of it stays when it is too much or breaks off. */
export async function store (body: Readable, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  let bytes = 0
  await pump(body, async function* (source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > UPLOAD) throw new MillraceError('api/too-large', `the CSV has more than the ${UPLOAD} bytes that are taken`, { help: 'several backfills are not one: put it on the machine, and millrace replay it into a table first' })
      yield chunk
    }
  }, createWriteStream(file, { mode: 0o600, flush: true }))
  if (bytes === 0) throw new MillraceError('api/invalid', 'the request has no body', { help: 'a CSV' })
}
