import type { Outcome, Write } from './store.ts'
import { addCounts, type Counts } from './tally.ts'
import type { Outputs } from './flow.ts'

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
