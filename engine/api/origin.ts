import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { originOf } from '../origin.ts'
import { runOf } from './pipelines.ts'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'

/** Which message made a row, and which request brought it. It may be of any tenant: a key of one tenant sees none of it. */
export async function origin (app: FastifyInstance, plane: Plane): Promise<void> {
  app.get('/api/v1/pipelines/:name/origin/:position', {
    config: { scope: 'pipelines:read' },
    schema: {
      summary: 'Which message made the rows and alerts of a position, and which request brought it.', tags: ['pipelines'],
      description: 'Rows, alerts, dead letters and late rows say their `position`. The log says the rest, as long as it is kept: 410 after that. Positions of rows that a backfill has written are not of the log. Only for keys of every tenant.',
      params: Type.Object({ name: Type.String({ description: 'Name of the pipeline.', maxLength: 200 }), position: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) }),
      response: {
        200: Type.Object({
          origin: Type.String({ description: 'What positions count in: as with alerts and dead letters.' }), position: Type.Integer(), kind: Type.String({ description: 'message; or tick or start, when time went on or the process began to listen.' }), ingest: Type.String({ format: 'date-time', description: 'When it arrived.' }),
          topic: Type.Optional(Type.String({ description: 'Of the message; over HTTP tenant, device and metric, as far as the request named them.' })), bytes: Type.Optional(Type.Integer({ description: 'Of its payload.' })),
          request: Type.Optional(Type.Object({ id: Type.String({ description: 'As in X-Request-Id of the answer, and in the log.' }), key: Type.String({ description: 'Id of the API key.' }) })),
          client: Type.Optional(Type.String({ description: 'The device or broker that sent it, by its client id.' })), packet: Type.Optional(Type.Integer()), idempotencyKey: Type.Optional(Type.String())
        }),
        ...failures(404, 409, 410)
      }
    }
  }, async ({ params: { name, position }, actor }: FastifyRequest<{ Params: { name: string, position: number } }>) => {
    const { journal } = runOf(plane, name)
    if (actor!.tenant !== null) throw new MillraceError('api/forbidden', `the key ${actor!.id} is of the tenant "${actor!.tenant}", and messages may be of any`, { help: 'a key that was made without --tenant' })
    if (journal === undefined) throw new MillraceError('api/conflict', `the source of the pipeline "${name}" keeps its messages itself`, { help: 'ask the stream or the files that it reads' })
    const { ingest, ...found } = await originOf(journal.wal, position)
    return { origin: journal.origin, position, ...found, ingest: new Date(ingest).toISOString() }
  })
}
