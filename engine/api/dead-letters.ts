import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError, reasons, type Reason } from '../errors.ts'
import { Type } from '../options.ts'
import { isMessage, leaveRequests } from '../requeue.ts'
import type { Run } from '../run.ts'
import type { Letter, Store } from '../store.ts'
import { failures } from './problem.ts'
import { runOf } from './pipelines.ts'
import type { Plane } from './server.ts'

interface Given { readonly late: boolean, readonly reason?: Reason, readonly position?: number, readonly requeued: boolean, readonly limit: number }

/** A dead letter or late row as programs read it: its bytes as text when they are UTF-8, else as base64. */
export const plainLetter = ({ payload, ingest, ...rest }: Letter) => {
  const bytes = Buffer.from(payload), text = bytes.toString()
  return { ...rest, ingest: new Date(ingest).toISOString(), ...text.includes('\ufffd') ? { base64: bytes.toString('base64') } : { payload: text } }
}

const Reasons = Type.Optional(Type.Union(Object.keys(reasons).map(reason => Type.Literal(reason))))
const Place = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const late = Type.Optional(Type.Boolean({ description: 'Late rows instead of dead letters.', default: false })), limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 }))
const Rows = Type.Object({ rows: Type.Array(Type.Object({
  origin: Type.String(), position: Type.Number(), part: Type.Integer(), reason: Type.String(), detail: Type.String(), topic: Type.String(), ingest: Type.String({ format: 'date-time' }), requeued: Type.Boolean(),
  payload: Type.Optional(Type.String()), base64: Type.Optional(Type.String())
})) })
const EVERY = 'Only for keys of every tenant, as a message that cannot be read may be of any.'

/** What could not become a row, or came too late for its window. It may be of any tenant: a key of one tenant sees none of it. */
export async function deadLetters (app: FastifyInstance, plane: Plane): Promise<void> {
  const read = { config: { scope: 'pipelines:read' as const } }, tags = ['pipelines'], Name = { name: Type.String({ description: 'Name of the pipeline.', maxLength: 200 }) }
  const storeOf = ({ actor }: FastifyRequest, name: string): { readonly run: Run, readonly store: Store } => {
    const run = runOf(plane, name), { store } = run
    if (actor!.tenant !== null) throw new MillraceError('api/forbidden', `the key ${actor!.id} is of the tenant "${actor!.tenant}", and dead letters may be of any`, { help: 'a key that was made without --tenant' })
    if (run.isOver) throw over(run)
    if (store === undefined) throw new MillraceError('store/unreachable', `the store of the pipeline "${name}" is not open yet`)
    return { run, store }
  }
  /** What is asked of the store of a run, whose end closes it under way. */
  const asked = async <T>(run: Run, answer: Promise<T>): Promise<T> => await answer.catch((error: unknown) => { throw run.isOver ? over(run) : error })

  app.get('/api/v1/pipelines/:name/dead-letters', {
    ...read,
    schema: {
      summary: 'Dead letters, or late rows, the newest first, with their bytes.', description: EVERY, tags, params: Type.Object(Name),
      querystring: Type.Object({ late, reason: Reasons, position: Type.Optional(Place), requeued: Type.Optional(Type.Boolean({ description: 'Those too that were requeued already.', default: false })), limit }),
      response: { 200: Rows, ...failures(404, 409) }
    }
  }, async (request: FastifyRequest<{ Params: { name: string }, Querystring: Given }>) => {
    const { params, query: { late, reason, position, requeued, limit } } = request, { run, store } = storeOf(request, params.name)
    return { rows: (await asked(run, store.letters({ late, reason, position, requeued, limit }))).map(plainLetter) }
  })

  app.get('/api/v1/pipelines/:name/dead-letters/:position', {
    ...read,
    schema: { summary: 'The dead letters, or late rows, of one message, with its bytes; also when they were requeued.', description: EVERY, tags, params: Type.Object({ ...Name, position: Place }), querystring: Type.Object({ late }), response: { 200: Rows, ...failures(404, 409) } }
  }, async (request: FastifyRequest<{ Params: { name: string, position: number }, Querystring: { late: boolean } }>) => {
    const { params: { name, position }, query: { late } } = request, { run, store } = storeOf(request, name), rows = await asked(run, store.letters({ late, position, requeued: true, limit: 1000 }))
    if (rows.length === 0) throw nothing(position, late)
    return { rows: rows.map(plainLetter) }
  })

  app.post('/api/v1/pipelines/:name/dead-letters/requeue', {
    config: { scope: 'pipelines:write' },
    schema: {
      summary: 'Give dead letters, or late rows, to the source once more: it takes them up within a second.', tags, params: Type.Object(Name),
      description: `${EVERY} A message is read again as a whole, by every pipeline that reads its log: the readings of it that are rows already go through the steps once more, unless dedupe still knows them; so does a late row, which is a row of the trunk already.`,
      body: Type.Object({
        positions: Type.Optional(Type.Array(Place, { description: 'These.', minItems: 1, maxItems: 1000 })), reason: Reasons, every: Type.Optional(Type.Boolean({ description: 'All of them, as far as limit goes.', default: false })), late, limit
      }, { additionalProperties: false }),
      response: {
        200: Type.Object({ requeued: Type.Integer(), refused: Type.Array(Type.Object({ position: Type.Number(), part: Type.Integer(), reason: Type.String(), why: Type.String() })), whole: Type.Boolean({ description: 'Messages are among them that are read again as a whole.' }) }),
        ...failures(404, 409, 413, 415)
      }
    }
  }, async (request: FastifyRequest<{ Params: { name: string }, Body: { positions?: number[], reason?: Reason, every: boolean, late: boolean, limit: number } }>) => {
    const { params: { name }, body: { positions, reason, every, late, limit }, actor, id } = request, { run, store } = storeOf(request, name), { journal } = run
    if (positions === undefined && reason === undefined && !every) throw new MillraceError('api/invalid', 'nothing is named', { help: 'positions, or reason, or every: true' })
    if (journal === undefined) throw new MillraceError('api/conflict', `the source of "${name}" has no log of its own`, { help: 'publish them again to what it reads' })
    const letters: Letter[] = []
    for (const position of positions === undefined ? [undefined] : new Set(positions)) {
      const found = await asked(run, store.letters({ late, reason, position, limit }))
      if (found.length === 0 && position !== undefined) throw nothing(position, late)
      letters.push(...found)
    }
    const refused = await leaveRequests(journal.folder, letters), given = letters.filter(letter => !refused.has(letter))
    await asked(run, store.requeued(given, actor!.id, id))
    return { requeued: given.length, refused: Array.from(refused, ([{ position, part, reason }, why]) => ({ position, part, reason, why })), whole: given.some(isMessage) }
  })
}

const over = ({ pipeline: { name }, failure }: Run) => failure === undefined
  ? new MillraceError('api/busy', `the pipeline "${name}" does not work at the moment: it is being changed, or its source has ended`)
  : new MillraceError('api/busy', `the pipeline "${name}" has stopped: ${(failure as Error).message}`, { help: 'POST /api/v1/pipelines/{name}/resume when that is mended' })
const nothing = (position: number, late: boolean) => new MillraceError('api/not-found', `there is no ${late ? 'late row' : 'dead letter'} at position ${position}`, { help: 'GET dead-letters lists what there is; what was requeued is left out there without requeued=true' })
