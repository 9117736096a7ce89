import type { AlertEvent } from './alert.ts'
import type { Readings } from './watermark.ts'

export const STALE = 15 * 60_000     // ms

/**
 * Is an alert one of a backlog, whose readings arrived so long after they were made that nobody is to be woken for it?
 * Judged by the record that made it, not by the alert's own time, which for a window is its start: the newest reading of
 * that record and its arrival, or the alert's time and `ingest` (ms) when these rows have none of it.
 */
export function isStale ({ time, position }: AlertEvent, rows: Readings | undefined, ingest: number): boolean {
  let newest = -Infinity, arrived = ingest
  if (rows !== undefined) for (let i = firstAt(rows.position, position); i < rows.position.length && rows.position[i] === position; i++) {
    newest = Math.max(newest, rows.time[i])
    arrived = rows.ingest[i]
  }
  return arrived - (newest === -Infinity ? time : newest) > STALE
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
