import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { MillraceError } from '../errors.ts'
import type { KeyRecord } from '../keys.ts'
import { liveKinds, type LiveEvent, type LiveKind } from '../live.ts'
import { Type } from '../options.ts'
import { failures } from './problem.ts'
import { filterText, tenantOf, tenantText } from './query.ts'
import type { Plane } from './server.ts'

const BUFFER = 4 * 2 ** 20           // bytes that wait for one who reads slowly, more than all that is kept; then it is over
const BEAT = 15_000, LOOK = 1000     // ms between heartbeats; between questions whether the key is still valid
const AGAIN = 2000                   // ms until a browser comes back
const GOODBYE = 30_000               // ms for the notice to be read

type Asked = FastifyRequest<{ Querystring: { readonly tenant?: string, readonly pipeline?: string, readonly device?: string, readonly metric?: string, readonly kind?: LiveKind }, Headers: { readonly 'last-event-id'?: string } }>

/** What pipelines commit, as server-sent events, to whoever listens. */
export async function stream (app: FastifyInstance, { live, stopping, limits }: Plane): Promise<void> {
  const open = new Set<Listener>(), count = (is: (listener: Listener) => boolean) => [...open].filter(is).length

  app.get('/api/v1/stream', {
    config: { scope: 'query:read' }, exposeHeadRoute: false,       // it would never end
    schema: {
      summary: 'Rows and alerts as they are committed, as server-sent events.', tags: ['query'],
      description: 'Events `rows` and `alerts`, or only `scores`, one for each commit and table, the last of a commit with its id, and `notice`: `gap` when what came since `Last-Event-ID` is not kept any more, `slow` when this reader fell behind and is cut off, `stopping`, `revoked`. A comment every 15 s. Windows that are still open are not among the rows. Alerts need `alerts:read` too: a key without it sees rows only.',
      querystring: Type.Object({ ...tenantText, pipeline: filterText, device: filterText, metric: filterText, kind: Type.Optional(Type.Union(liveKinds.map(kind => Type.Literal(kind)), { description: 'Only these. `scores`: of rows only what steps that learn say of them, where they say something; without it rows and alerts.' })) }),
      headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ description: 'Goes on behind this event.', maxLength: 100 })) }),
      response: { 200: { description: 'Events until either side ends it.', content: { 'text/event-stream': { schema: { type: 'string' } } } }, ...failures(404) }
    }
  }, async (request: Asked, reply) => {
    const { actor, query: { kind, ...names }, headers } = request, tenant = tenantOf(request), alerts = actor!.scopes.includes('alerts:read')
    if (live === undefined) throw new MillraceError('api/not-found', 'nothing runs here that could be listened to')
    if (kind === 'alerts' && !alerts) throw new MillraceError('api/forbidden', `the key ${actor!.id} has not the scope alerts:read`, { help: 'without it: kind=rows' })
    const { id, tenant: of } = actor!, rooms: readonly (readonly [most: number, taken: number, whose: string])[] = [
      [limits.process.streams, open.size, ''], [limits.ofKey(id).streams, count(l => l.actor.id === id), ' with this key'],
      ...of === null ? [] : [[limits.ofTenant(of).streams, count(l => l.actor.tenant === of), ` with keys of the tenant "${of}"`] as const]
    ]
    const full = rooms.find(([most, taken]) => taken >= most)
    if (stopping() || full !== undefined) throw new MillraceError('api/busy', stopping() ? 'the process is stopping' : `${full![0]} listen${full![2]} already`)
    const { raw } = reply.hijack()
    if (raw.destroyed || request.raw.destroyed) return       // gone while its key was looked up: nobody would say when to stop
    raw.writeHead(200, { ...reply.getHeaders() as Record<string, string>, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no', connection: 'close' })
    const listener = new Listener(raw, actor!, () => { open.delete(listener) })
    open.add(listener)
    const listening = live.listen({ ...names, tenant, kinds: kind === undefined ? ['rows', ...alerts ? ['alerts' as const] : []] : [kind] }, headers['last-event-id'], events => listener.give(events))
    listener.begin(() => { listening.stop() }, async () => await app.isValid(actor!))
    if (!listening.whole) listener.notice('gap', 'what came between is not kept any more: ask the tables for it')
    listener.give(listening.missed)
  })
  app.addHook('preClose', async () => { for (const listener of open) listener.end('stopping', 'the process is stopping') })
}

/** One connection: writes what it is given, until it is too much. */
class Listener {
  readonly actor: KeyRecord
  private readonly raw: ServerResponse
  private readonly left: () => void
  private readonly timers: NodeJS.Timeout[] = []
  private stop = () => {}
  private over = false

  constructor (raw: ServerResponse, actor: KeyRecord, left: () => void) {
    this.raw = raw
    this.actor = actor
    this.left = left
    raw.on('error', () => {}).on('close', () => { this.leave() })
  }

  /** `stop` ends what gives; `valid`: may it go on? */
  begin (stop: () => void, valid: () => Promise<boolean>): void {
    this.stop = stop
    this.raw.write(`retry: ${AGAIN}\n\n`)
    this.timers.push(
      setInterval(() => { this.raw.write(': still there\n\n') }, BEAT),
      setInterval(() => { valid().then(yes => { if (!yes) this.end('revoked', 'this key is not valid any more') }, () => {}) }, LOOK)
    )
  }

  give (events: readonly LiveEvent[]): void {
    for (const { id, event, data } of events) {
      if (this.over) return
      if (this.raw.writableLength > BUFFER) return this.end('slow', 'this reader fell behind and is cut off: come back with Last-Event-ID')
      this.raw.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`)
    }
  }

  notice (notice: string, detail: string): void { this.raw.write(`event: notice\ndata: ${JSON.stringify({ notice, detail })}\n\n`) }

  end (notice: string, detail: string): void {
    if (this.over) return
    this.notice(notice, detail)
    this.leave()
    this.raw.end()
    setTimeout(() => { this.raw.destroy() }, GOODBYE).unref()
  }

  private leave (): void {
    this.over = true
    for (const timer of this.timers) clearInterval(timer)
    this.stop()
    this.left()
  }
}
