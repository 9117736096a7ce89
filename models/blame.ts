/**
 * Which metric of a device is wrong when they disagree. A bias of metric k moves the standardised residual of j, as j is predicted
 * from it, by c(j, k) times what it moves that of k, c being the standardised precision matrix, whose elements are below 1 (see
 * peers.ts): so the one that is wrong disagrees most. That one explains the others' disagreement as long as these agree among
 * themselves when it is left out. When no single one explains it, more than one is wrong, and each may speak for itself.
 *
 * 24 bytes per series, 8 per device.
 */
/** Of the newest reading of a series that could be judged: how far it is from what the others let expect, evidence that these disagree without it, the row of the device. */
export const standing = { deviation: 0, rest: NaN, row: -Infinity }
const DEVIATION = 0, REST = 1, ROW = 2

const DOUBT = 2                      // -log10 of the probability that the others disagree so much by chance within 100 readings
const RECENT = 100                   // readings of each metric, behind which one has no standing any more

/** Takes in what is said of a reading; nothing while it cannot be judged. */
export function stand (m: Float64Array, at: number, deviation: number, rest: number, row: number): void {
  if (Number.isNaN(deviation)) return
  m[at + DEVIATION] = Math.abs(deviation)
  m[at + REST] = rest
  m[at + ROW] = row
}

/** Whether another of the metrics of a device, which stand at `places`, explains that the one at `at` disagrees. */
export function blamed (m: Float64Array, at: number, places: readonly number[], row: number): boolean {
  for (const other of places) if (m[other + DEVIATION] > m[at + DEVIATION] && m[other + REST] < DOUBT && row - m[other + ROW] <= RECENT * places.length) return true
  return false
}
