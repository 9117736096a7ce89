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

/**
 * Readings a second of a tenant. How many a request brings is known when a pipeline reads it, a moment after it was answered, or much later
 * when that is paused, works through its past or cannot reach its database: so what was taken is owed from its arrival on, whenever that is
 * told, and nothing is taken while more is owed than ten seconds allow. One that sends twenty times its quota has it exceeded by as much as it
 * sends until that is read. Owed readings of one process.
 */
export class ReadingQuota {
  private readonly accounts = new Map<string, { owed: number, at: number }>()      // tenant -> readings, and when, s
  private readonly limits: Limits
  constructor (limits: Limits) { this.limits = limits }

  /** What this one reads counts from now on. */
  of (inlet: Inlet): this {
    inlet.told ??= (tenant, readings, at) => { this.take(tenant, readings, at / 1000) }
    return this
  }

  /** Readings that arrived at `at`, s. */
  take (tenant: string, readings: number, at: number): void {
    const { readings: rate } = this.limits.ofTenant(tenant), account = this.accounts.get(tenant)
    if (rate === undefined) return
    if (account === undefined) this.accounts.set(tenant, { owed: readings, at })
    else {
      account.owed = Math.max(0, account.owed - rate * Math.max(0, at - account.at)) + readings
      account.at = Math.max(account.at, at)
    }
  }

  /** Seconds until the tenant may send more; 0: now. `now` in s, on the clock of arrivals. */
  wait (tenant: string, now: number): number {
    const { readings: rate } = this.limits.ofTenant(tenant)
    if (rate === undefined) return 0
    if (rate === 0) return 3600
    const { owed, at } = this.accounts.get(tenant) ?? { owed: 0, at: now }
    return Math.max(0, (owed - rate * (now - at) - rate * SPAN) / rate)
  }
}
