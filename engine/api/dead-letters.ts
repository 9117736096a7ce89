import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError, reasons, type Reason } from '../errors.ts'
import { Type } from '../options.ts'
import type { Letter } from '../store.ts'
import { failures } from './problem.ts'
import { runOf } from './pipelines.ts'
import type { Plane } from './server.ts'

interface Given { readonly late: boolean, readonly reason?: Reason, readonly position?: number, readonly requeued: boolean, readonly limit: number }

/** A dead letter or late row as programs read it: its bytes as text when they are UTF-8, else as base64. */
export const plainLetter = ({ payload, ingest, ...rest }: Letter) => {
  const bytes = Buffer.from(payload), text = bytes.toString()
  return { ...rest, ingest: new Date(ingest).toISOString(), ...text.includes('\ufffd') ? { base64: bytes.toString('base64') } : { payload: text } }
}

/** What could not become a row, or came too late for its window. It may be of any tenant: a key of one tenant sees none of it. */
export async function deadLetters (app: FastifyInstance, plane: Plane): Promise<void> {
  app.get('/api/v1/pipelines/:name/dead-letters', {
    config: { scope: 'pipelines:read' },
    schema: {
      summary: 'Dead letters, or late rows, the newest first, with their bytes.', description: 'Only for keys of every tenant, as a message that cannot be read may be of any.', tags: ['pipelines'],
      params: Type.Object({ name: Type.String({ description: 'Name of the pipeline.', maxLength: 200 }) }),
      querystring: Type.Object({
        late: Type.Optional(Type.Boolean({ description: 'Late rows instead of dead letters.', default: false })),
        reason: Type.Optional(Type.Union(Object.keys(reasons).map(reason => Type.Literal(reason)))), position: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
        requeued: Type.Optional(Type.Boolean({ description: 'Those too that were requeued already.', default: false })), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 }))
      }),
      response: {
        200: Type.Object({ rows: Type.Array(Type.Object({
          origin: Type.String(), position: Type.Number(), part: Type.Integer(), reason: Type.String(), detail: Type.String(), topic: Type.String(), ingest: Type.String({ format: 'date-time' }), requeued: Type.Boolean(),
          payload: Type.Optional(Type.String()), base64: Type.Optional(Type.String())
        })) }),
        ...failures(404, 409)
      }
    }
  }, async ({ params, query: { late, reason, position, requeued, limit }, actor }: FastifyRequest<{ Params: { name: string }, Querystring: Given }>) => {
    const { store } = runOf(plane, params.name)
    if (actor!.tenant !== null) throw new MillraceError('api/forbidden', `the key ${actor!.id} is of the tenant "${actor!.tenant}", and dead letters may be of any`, { help: 'a key that was made without --tenant' })
    if (store === undefined) throw new MillraceError('store/unreachable', `the store of the pipeline "${params.name}" is not open yet`)
    return { rows: (await store.letters({ late, reason, position, requeued, limit })).map(plainLetter) }
  })
}
