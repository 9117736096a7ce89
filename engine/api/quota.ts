import type { FastifyInstance, FastifyReply } from 'fastify'
import { MillraceError } from '../errors.ts'
import type { Limits } from '../limits.ts'

/** A refusal that says when to come back, in whole seconds. */
export function later (reply: FastifyReply, seconds: number, what: string): MillraceError {
  void reply.header('retry-after', Math.max(1, Math.ceil(seconds)))
  return new MillraceError('api/too-many', what, { help: 'wait for Retry-After' })
}

/** Requests in a minute of all keys of a tenant, where there is such a limit. Behind the limits of keys. */
export function tenantQuota (app: FastifyInstance, limits: Limits): void {
  const take = app.createRateLimit({ timeWindow: '1 minute', max: async request => limits.ofTenant(request.actor!.tenant).requests ?? Infinity, keyGenerator: request => `tenant ${request.actor!.tenant}` })
  app.addHook('preHandler', async (request, reply) => {
    const { actor, routeOptions: { config: { scope } } } = request
    if (actor === undefined || actor.tenant === null || scope === 'ingest:write' || limits.ofTenant(actor.tenant).requests === undefined) return
    const taken = await take(request)
    if (!taken.isAllowed && taken.isExceeded) throw later(reply, taken.ttlInSeconds, `the tenant "${actor.tenant}" has sent more than ${taken.max} requests in a minute`)
  })
}
