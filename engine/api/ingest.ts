import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MillraceError } from '../errors.ts'
import { lanes, type Lane } from '../lanes.ts'
import type { Inlet, Message, Requested } from '../listener.ts'
import { tenantName } from '../names.ts'
import { Type } from '../options.ts'
import { failures } from './problem.ts'
import { filterText, tenantOf, tenantText } from './query.ts'
import { later } from './quota.ts'
import type { Plane } from './server.ts'

const MOST = 2 ** 20                 // bytes of a body, as it is sent and as it is when unpacked
const LINES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']
const UNPACKING = 4                  // bodies at once: as many as there are threads for it
const unpack = promisify(gunzip)

type Asked = FastifyRequest<{ Params: { readonly source?: string }, Querystring: { readonly tenant?: string, readonly device?: string, readonly metric?: string }, Headers: { readonly 'idempotency-key'?: string }, Body: Buffer }>

/** Takes readings in: bytes are not looked at before they are in the log, so what is wrong with them becomes a dead letter and fails no request. */
export async function ingest (app: FastifyInstance, { inlets = () => [], stopping, control, limits }: Plane): Promise<void> {
  const lane = lanes(UNPACKING)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(['application/json', ...LINES], { parseAs: 'buffer', bodyLimit: MOST }, async (request: FastifyRequest, body: Buffer) => {
    const unpacked = await plain(request.headers['content-encoding'], body, lane)
    if (unpacked !== body) app.hold(request, unpacked.length)
    return unpacked
  })

  const schema = {
    summary: 'Takes readings in.', tags: ['ingest'],
    description: 'Answers when they are durable in the log of the source: from then on each has one fate, also when this process is killed. What cannot be read becomes a dead letter with its reason. `Content-Encoding: gzip` is unpacked, up to 1 MiB.',
    consumes: ['application/json', 'application/x-ndjson'],
    querystring: Type.Object({ ...tenantText, device: filterText, metric: filterText }),
    headers: Type.Object({ 'idempotency-key': Type.Optional(Type.String({ description: 'Any text of your own, a new one for each request. The same request again under the same key within 24 h is answered again and not taken twice.', pattern: '^[\\x21-\\x7e]{1,255}$' })) }),
    body: { description: 'One reading, an object of several, an array of them, columns, or lines of any of those: the same forms as over MQTT.' },
    response: {
      202: { description: 'Durable.', headers: { 'idempotency-replayed': { schema: { type: 'string' }, description: 'true: it had been taken before.' } }, ...Type.Object({ position: Type.Integer({ description: 'Place in the log: that of its dead letters, if any.' }), replayed: Type.Boolean({ description: 'It had been taken before, and was not taken again.' }) }) },
      ...failures(404, 409, 413, 415, 422)
    }
  }
  const config = { scope: 'ingest:write' as const, rateLimit: { max: (request: FastifyRequest) => limits.ofKey(request.actor!.id).ingests, timeWindow: '1 minute' } }
  const post = async (request: Asked, reply: FastifyReply) => {
    const { params: { source = '' }, body } = request, inlet = [...inlets()].find(i => i.path === source)
    if (inlet === undefined && (stopping() || control?.isChanging === true)) throw new MillraceError('api/busy', stopping() ? 'the process is stopping' : 'pipelines are being brought back or changed, and none reads this yet', { help: 'send it again when Retry-After says, under the same Idempotency-Key' })
    if (inlet === undefined) throw new MillraceError('api/not-found', `no pipeline here reads POST /api/v1/ingest${source === '' ? '' : `/${source}`}`, { help: `from: { http: ${source === '' ? '{}' : `{ path: ${source} }`} } in a pipeline` })
    if (body === undefined || body.length === 0) throw new MillraceError('api/invalid', 'the request has no body', { help: 'a reading such as { "device": "pump-1", "metric": "flow", "value": 3.2 }' })
    if (body.length > inlet.largest) throw new MillraceError('api/too-large', `the body has ${body.length} bytes, ${inlet.largest} are taken (maxPayload, and an eighth of the log)`, { help: 'several requests' })
    const message = messageOf(request, inlet), wait = inlet.wait(message.request.tenant)
    if (wait > 0) throw later(reply, wait, `the tenant "${message.request.tenant}" has sent more readings than its ${limits.ofTenant(message.request.tenant).readings} a second`)
    const { position, again } = await inlet.take(message)
    if (again) void reply.header('idempotency-replayed', 'true')
    return await reply.code(202).send({ position, replayed: again })
  }
  app.post('/api/v1/ingest', { config, schema }, post as never)
  app.post('/api/v1/ingest/:source', { config, schema: { ...schema, params: Type.Object({ source: Type.String({ description: 'Path of the source: `from: { http: { path: ... } }`.', maxLength: 64 }) }) } }, post as never)
}

/** Whose and what the readings are, as far as the request says it, as the topic of a message: tenant, device, metric, each percent-encoded. */
function messageOf (request: Asked, inlet: Inlet): Message & { readonly request: Requested } {
  const { query: { device, metric }, headers, body } = request, tenant = tenantName(tenantOf(request) ?? inlet.tenant)
  if (metric !== undefined && device === undefined) throw new MillraceError('api/invalid', 'the request names a metric and no device', { help: 'name both in the query, or the metric in the body' })
  const lines = LINES.includes((headers as Record<string, string | undefined>)['content-type']?.split(';')[0].trim().toLowerCase() ?? '')
  const topic = `${lines ? '@ndjson/' : ''}${[tenant, device, metric].filter(name => name !== undefined).map(name => encodeURIComponent(name)).join('/')}`
  const key = headers['idempotency-key']
  return { topic, payload: body, key: key === undefined ? undefined : `${tenant}\n${key}`, request: { id: request.id, key: request.actor!.id, tenant } }
}

/** A body without its encoding. Throws api/too-large as soon as it is, whatever it would come to. */
async function plain (encoding: string | undefined, body: Buffer, lane: Lane): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity') return body
  if (encoding.toLowerCase() !== 'gzip') throw new MillraceError('api/media-type', `Content-Encoding: ${encoding} is not read`, { help: 'gzip, or none' })
  return await lane(() => unpack(body, { maxOutputLength: MOST })).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ERR_BUFFER_TOO_LARGE' ? new MillraceError('api/too-large', `unpacked, the body is larger than the ${MOST} bytes that are taken`, { help: 'several requests' }) : new MillraceError('api/invalid', `the body is not gzip: ${error.message}`)
  })
}
