import type { FastifyInstance } from 'fastify'
import { MillraceError } from '../errors.ts'
import type { Limits } from '../limits.ts'

const LEAST = 4096                   // bytes that a request with a body counts for: it is more than its body

declare module 'fastify' {
  interface FastifyInstance {
    /** So many bytes more of this request are in memory, until it is over. @throws api/busy: there is no room for them */
    hold (request: FastifyRequest, bytes: number): void
  }
  interface FastifyRequest { held: number }
}

/**
 * Bytes of bodies, as they are sent and as they are when unpacked, of all requests that are under way. A tenant may have as many as are
 * left for everybody else: one that sends without end has half of them, n such tenants n/(n + 1), and whoever comes then finds as much as each has.
 */
export class Room {
  private free: number
  private readonly held = new Map<unknown, number>()

  constructor (bytes: number) { this.free = bytes }

  take (tenant: unknown, bytes: number): boolean {
    const held = (this.held.get(tenant) ?? 0) + bytes, free = this.free - bytes
    if (held > free) return false
    this.set(tenant, held, free)
    return true
  }

  give (tenant: unknown, bytes: number): void { this.set(tenant, this.held.get(tenant)! - bytes, this.free + bytes) }

  private set (tenant: unknown, held: number, free: number): void {
    this.free = free
    if (held === 0) this.held.delete(tenant)
    else this.held.set(tenant, held)
  }
}

/** Before a body is read there is room for all of it; one that is longer than its route takes is refused or read as it comes, and needs none. Behind authorise(): who has no key shares what one tenant may have. */
export function bodies (app: FastifyInstance, limits: Limits): void {
  const room = new Room(limits.process.bodies)
  app.decorateRequest('held', 0)
  app.decorate('hold', (request, bytes) => {
    if (!room.take(request.actor?.tenant, bytes)) throw new MillraceError('api/busy', 'requests that are under way leave no room for the body of this one', { help: 'send it again when Retry-After says; fewer at a time' })
    request.held += bytes
  })
  app.addHook('preParsing', async (request, reply) => {
    const { headers, routeOptions: { bodyLimit } } = request, length = headers['content-length']
    if (length === undefined && headers['transfer-encoding'] === undefined) return
    const bytes = length === undefined ? bodyLimit : Number(length)
    if (bytes > bodyLimit) return
    app.hold(request, Math.max(LEAST, bytes))
    reply.raw.once('close', () => { room.give(request.actor?.tenant, request.held) })
  })
}
