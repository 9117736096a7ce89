import type { Readings } from './watermark.ts'

export const STALE = 15 * 60_000     // ms

/** `at`: when the record that made a row arrived, ingest clock, ms. `stale`: more than STALE after its newest reading was made. */
export interface Arrival { readonly at: number, readonly stale: boolean }

/**
 * When the row at `time` and `position` arrived, and whether it is of a backlog, for which nobody is to be woken. Judged by the
 * record that made it, not by the row's own time, which for a window is its start: the newest reading of that record and
 * its arrival, or `time` and `ingest` (ms) when these rows have none of it.
 */
export function arrivalOf (time: number, position: number, rows: Readings | undefined, ingest: number): Arrival {
  let newest = -Infinity, arrived = ingest
  if (rows !== undefined) for (let i = firstAt(rows.position, position); i < rows.position.length && rows.position[i] === position; i++) {
    newest = Math.max(newest, rows.time[i])
    arrived = rows.ingest[i]
  }
  return { at: arrived, stale: arrived - (newest === -Infinity ? time : newest) > STALE }
}

/** The first index at or after `position`; positions never fall. */
function firstAt (positions: Readings['position'], position: number): number {
  let low = 0, high = positions.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (positions[middle] < position) low = middle + 1
    else high = middle
  }
  return low
}
