import type { Clock } from './clock.ts'
import type { Outputs } from './outputs.ts'
import type { Logger } from './log.ts'
import { RecentHistogram } from './recent-histogram.ts'
import { BUDGET, type StepStatus } from './spare.ts'

const AGAIN = 60_000                 // ms from one warning about a step to the next

/** What a run has seen of its commits since it began, for metrics and people. It decides nothing. */
export class Observed {
  readonly latency: RecentHistogram           // event time to commit, in microseconds, one entry per written reading
  readonly commits: RecentHistogram           // duration of commits, in microseconds
  readonly reasons: Record<string, number> = {}        // of dead letters
  readonly alerts = { firing: 0, resolved: 0, stale: 0 }       // transitions; stale: those that nobody was told of
  private readonly log: Logger
  private readonly slow = new Map<StepStatus, { readonly batches: number, readonly at: number }>()      // as it was when it was said

  constructor (log: Logger, by: Pick<Clock, 'monotonic'>) {
    this.log = log
    this.latency = new RecentHistogram(() => by.monotonic())
    this.commits = new RecentHistogram(() => by.monotonic())
  }

  /** A commit that took so many ms; `now`: wall clock, ms, or undefined when event times are not of the present. */
  commit ({ writes, alerts, deadLetters }: Outputs, ms: number, now: number | undefined): void {
    this.commits.turn()
    this.commits.record(ms * 1000)
    for (const { reason, count = 1 } of deadLetters) this.reasons[reason] = (this.reasons[reason] ?? 0) + count
    for (const { event, stale } of alerts) this.alerts[stale ? 'stale' : event.state]++
    const kept = alerts.filter(({ event, stale }) => stale && event.state === 'firing').map(({ event }) => `${event.alert} ${event.device} ${event.metric}`)
    if (kept.length > 0) this.log.warn({ alerts: kept.length, such: kept.slice(0, 5) }, 'alerts fire on readings that came more than 15 min after they were made: stored, and sent only if they still hold when the backlog is over, or 15 min from now')
    if (now === undefined) return
    this.latency.turn()
    for (const { branch, batch } of writes) {
      if (branch !== '') continue
      for (let i = 0; i < batch.length; i++) this.latency.record((now - batch.time[i]) * 1000)
    }
  }

  /** Says which steps take longer for a row than they may. What is built in cannot; an operator of one's own may, and nothing ends it: all wait for it. `now`: ms, monotonic. */
  steps (steps: readonly StepStatus[], now: number): void {
    for (const step of steps) {
      const { batches, at } = this.slow.get(step) ?? { batches: 0, at: -Infinity }, { branch, id, slow } = step
      if (slow === batches || now - at < AGAIN) continue
      this.slow.set(step, { batches: slow, at: now })
      this.log.warn({ branch, step: id, batches: slow - batches }, `a step takes more than ${BUDGET / 1e6} ms for a row: everything else waits for it`)
    }
  }
}
