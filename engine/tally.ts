/**
 * The accounting identity (readings of one branch, at any moment):
 *
 *   received + derived = written + late + filtered + deduplicated + dead_lettered + aggregated + in_flight
 *
 * Every term is counted where it happens. `in_flight` rises when a delivery is received and falls when its commit is
 * done, by what was received: a batch that is lost or written twice on the way shows as exactly that difference.
 */
export interface Counts {
  received: number
  derived: number                    // rows that operators made besides those they were given
  written: number
  late: number
  filtered: number
  deduplicated: number
  dead_lettered: number
  aggregated: number                 // taken into a window
  rows: number                       // rows of windows written (not readings)
}

export const noCounts = (): Counts => ({ received: 0, derived: 0, written: 0, late: 0, filtered: 0, deduplicated: 0, dead_lettered: 0, aggregated: 0, rows: 0 })

export function addCounts (to: Counts, from: Counts): Counts {
  for (const key in from) to[key as keyof Counts] += from[key as keyof Counts]
  return to
}

/** Adds what one commit settled to what all have, by branch. */
export function settle (total: Record<string, Counts>, counts: Record<string, Counts>): void {
  for (const branch in counts) addCounts(total[branch] ??= noCounts(), counts[branch])
}

/** By how much the identity is off: 0 when every reading has exactly one fate; positive: readings vanished, negative: readings multiplied. */
export const imbalance = (c: Counts, inFlight: number): number =>
  c.received + c.derived - c.written - c.late - c.filtered - c.deduplicated - c.dead_lettered - c.aggregated - inFlight
