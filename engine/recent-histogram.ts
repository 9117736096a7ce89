import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

const SPAN = 60_000                  // ms
const made = () => createHistogram({ figures: 2 })     // to 1 %, about 60 KB

/**
 * What was recorded, by how much of it there was: of the last one to two minutes, as two histograms take turns, and ever. Three
 * histograms, however long it runs; values are whole and at least 1.
 */
export class RecentHistogram {
  private readonly now: () => number
  private young = made()
  private old = made()
  private readonly older = made()
  private since: number              // when the young one began

  /** `now`: ms, monotonic. */
  constructor (now: () => number) {
    this.now = now
    this.since = now()
  }

  record (value: number): void { this.young.record(Math.max(1, Math.round(value))) }

  /** Once for many that are recorded, before them. */
  turn (): void {
    const now = this.now(), passed = now - this.since
    if (passed < SPAN) return
    this.older.add(this.old)
    this.old = this.young
    this.young = made()
    this.since = now
    if (passed < 2 * SPAN) return
    this.older.add(this.old)
    this.old = made()
  }

  /** Of the last one to two minutes; 0 when there was nothing. */
  percentile (of: number): number {
    this.turn()
    return percentile(of, this.young, this.old)
  }

  /** Of all that there was; 0 when there was nothing. */
  ever (of: number): number { return percentile(of, this.young, this.old, this.older) }

  /** How many there were, ever. */
  get count (): number { return this.young.count + this.old.count + this.older.count }
}

function percentile (of: number, ...parts: readonly RecordableHistogram[]): number {
  const all = made()
  for (const part of parts) all.add(part)
  return all.count === 0 ? 0 : all.percentile(of)
}
