import type { FastifyInstance, FastifyReply } from 'fastify'
import { MillraceError } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Inlet } from '../listener.ts'

const SPAN = 10                      // s over which readings are counted

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

interface Account { owed: number, at: number, readonly seen: WeakMap<Inlet, number> }

/**
 * Readings a second of a tenant. How many a request brings is known when a pipeline reads it, a moment after it was answered: so what was
 * taken is owed, and nothing is taken while more is owed than ten seconds allow. One that sends twenty times its quota has it exceeded by as
 * much as it sends until that is read. Owed readings of one process.
 */
export class ReadingQuota {
  private readonly accounts = new Map<string, Account>()
  private readonly limits: Limits
  constructor (limits: Limits) { this.limits = limits }

  /** Seconds until the tenant may send more; 0: now. `now` in s. */
  wait (tenant: string, inlet: Inlet, now = performance.now() / 1000): number {
    const { readings: rate } = this.limits.ofTenant(tenant)
    if (rate === undefined) return 0
    let account = this.accounts.get(tenant)
    if (account === undefined) this.accounts.set(tenant, account = { owed: 0, at: now, seen: new WeakMap() })
    const read = inlet.readingsOf(tenant)
    account.owed = Math.max(0, account.owed - rate * (now - account.at)) + read - (account.seen.get(inlet) ?? 0)
    account.at = now
    account.seen.set(inlet, read)
    return rate === 0 ? 3600 : Math.max(0, (account.owed - rate * SPAN) / rate)
  }
}
