import type { Batch } from './batch.ts'
import type { DeadLetter } from './intake.ts'
import type { Delivery } from './source.ts'
import type { Spared } from './spare.ts'
import { arrivalOf } from './stale.ts'
import type { Commit, LateRows, Outcome, Write } from './store.ts'
import { addCounts, noCounts, type Counts } from './tally.ts'

/** What one delivery, tick or end has led to: the content of one commit, and what followers are to write before it. */
export interface Outputs extends Pick<Commit, 'writes' | 'alerts' | 'late' | 'deadLetters' | 'position' | 'ingest'> {
  readonly follow: readonly { readonly branch: string, readonly sink: number, readonly batch: Batch<any> }[]
  readonly received: number          // readings that this commit settles
  /** Counts by branch ('' is the trunk), given what became of the writes. */
  readonly counts: (outcomes: readonly Outcome[]) => Record<string, Counts>
}

/** How the rows of a write count in its branch; undefined when another sink of the branch counts them. */
export type CountAs = 'written' | 'rows' | undefined

/** Counts by branch, as data: what is known already, and how the rows of each write count. */
export interface Tallied { readonly tallies: Readonly<Record<string, Counts>>, readonly writes: readonly Write[], readonly as: readonly CountAs[] }

/** The counts, given what became of the writes. */
export function countsOf ({ tallies, writes, as }: Tallied, outcomes: readonly Outcome[]): Record<string, Counts> {
  const counts = Object.fromEntries(Object.entries(tallies).map(([branch, tally]) => [branch, { ...tally }]))
  outcomes.forEach(({ written, duplicates, refused }, i) => {
    const how = as[i], tally = counts[writes[i].branch]
    if (how === undefined) return
    tally[how] += written
    if (how === 'rows') return
    tally.deduplicated += duplicates
    tally.dead_lettered += refused
  })
  return counts
}

/** The outputs of one pass, while they gather. */
export class Gathered implements Outputs, Tallied {
  readonly writes: Write[] = []
  readonly alerts: Commit['alerts'][number][] = []
  readonly late: LateRows[] = []
  readonly deadLetters: DeadLetter[]
  readonly spared: Spared | undefined
  readonly follow: Outputs['follow'][number][] = []
  readonly position: number
  readonly ingest: number
  readonly received: number
  private readonly rows: Delivery['rows'] | undefined
  private readonly past: number | undefined
  readonly tallies: Record<string, Counts> = {}
  readonly as: CountAs[] = []        // beside writes

  constructor (position: number, ingest: number, received: number, dead: Outputs['deadLetters'], rows?: Delivery['rows'], spared?: Spared, past?: number) {
    this.spared = spared
    this.past = past
    this.position = position
    this.rows = rows
    this.ingest = ingest
    this.received = received
    this.deadLetters = [...dead]       // what is added is no reading
    const trunk = this.tally('')
    trunk.received = received
    trunk.dead_lettered = dead.reduce((sum, { count = 1 }) => sum + count, 0)
  }

  tally (branch: string): Counts { return this.tallies[branch] ??= noCounts() }

  readonly arrival = (time: number, position: number) => this.past === undefined ? arrivalOf(time, position, this.rows, this.ingest) : { at: this.past, stale: true }

  write (write: Write, as: CountAs): void {
    this.writes.push(write)
    this.as.push(as)
  }

  counts (outcomes: readonly Outcome[]): Record<string, Counts> { return countsOf(this, outcomes) }
}

/** As if it had been one. */
export function merged (parts: readonly Outputs[]): Outputs {
  if (parts.length === 1) return parts[0]
  const last = parts[parts.length - 1]
  return {
    writes: parts.flatMap(p => p.writes), alerts: parts.flatMap(p => p.alerts), late: parts.flatMap(p => p.late), deadLetters: parts.flatMap(p => p.deadLetters), follow: parts.flatMap(p => p.follow),
    position: last.position, ingest: last.ingest, received: parts.reduce((n, p) => n + p.received, 0),
    counts (outcomes) {
      const sum: Record<string, Counts> = {}
      let at = 0
      for (const part of parts) {
        for (const [branch, counts] of Object.entries(part.counts(outcomes.slice(at, at += part.writes.length)))) sum[branch] = sum[branch] === undefined ? counts : addCounts(sum[branch], counts)
      }
      return sum
    }
  }
}
