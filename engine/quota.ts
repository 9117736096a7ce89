import type { Limits } from './limits.ts'

const SPAN = 10                      // s over which readings are counted

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
