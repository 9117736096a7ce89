/**
 * The newest RECENT numbers against those of the last WINDOW before them, by the statistic of Kolmogorov and Smirnov (Raab,
 * Heusinger and Schleif 2020, Reactive soft prototype computing for concept drift streams, KSWIN). They draw as many of the
 * older ones by chance as are new; here all of them are compared, which needs no chance and knows more. It finds changes of
 * mean, spread and shape alike. Both parts are kept in ascending order too. 1,608 bytes per series.
 */
import type { Detector } from './detector.ts'

const WINDOW = 100, RECENT = 30, OLDER = WINDOW - RECENT

/** One series: numbers seen; the last WINDOW in a ring; the older ones and the recent ones in ascending order. */
const kswin: Readonly<Record<string, number>> = { seen: 0, ...Object.fromEntries(Array.from({ length: 2 * WINDOW }, (_, k) => [k < WINDOW ? `number${k}` : `sorted${k - WINDOW}`, 0])) }
const RING = 1, SORTED = RING + WINDOW

export class Kswin implements Detector {
  readonly state = kswin
  readonly threshold: number         // that the statistic must exceed
  size = 0
  readonly after = RECENT
  constructor (threshold: number) { this.threshold = threshold }

  update (m: Float64Array, at: number, x: number): boolean {
    const seen = m[at]++, newest = at + RING + seen % WINDOW, older = at + SORTED, recent = older + OLDER
    if (seen >= WINDOW) drop(m, older, OLDER, m[newest])
    m[newest] = x
    if (seen >= RECENT) {
      const grown = m[at + RING + (seen - RECENT) % WINDOW]
      drop(m, recent, RECENT, grown)
      insert(m, older, Math.min(seen - RECENT, OLDER - 1), grown)
    }
    insert(m, recent, Math.min(seen, RECENT - 1), x)
    if (seen + 1 < WINDOW || statistic(m, older, recent) <= this.threshold) return false
    this.size = mean(m, recent, RECENT) - mean(m, older, OLDER)
    return true
  }
}

/** The largest difference of the distribution functions of two sorted parts. */
function statistic (m: Float64Array, older: number, recent: number): number {
  let i = 0, j = 0, most = 0
  while (i < OLDER && j < RECENT) {
    const a = m[older + i], b = m[recent + j]
    if (a <= b) while (i < OLDER && m[older + i] === a) i++
    if (b <= a) while (j < RECENT && m[recent + j] === b) j++
    const apart = Math.abs(i / OLDER - j / RECENT)
    if (apart > most) most = apart
  }
  return most
}

function insert (m: Float64Array, at: number, count: number, x: number): void {
  let k = at + count
  for (; k > at && m[k - 1] > x; k--) m[k] = m[k - 1]
  m[k] = x
}

/** Takes one number out of a sorted part that is full. */
function drop (m: Float64Array, at: number, count: number, x: number): void {
  let k = at
  while (m[k] < x) k++
  m.copyWithin(k, k + 1, at + count)
}

function mean (m: Float64Array, at: number, count: number): number {
  let sum = 0
  for (let k = at; k < at + count; k++) sum += m[k]
  return sum / count
}
