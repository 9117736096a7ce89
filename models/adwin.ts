/**
 * Adaptive windowing (Bifet and Gavalda 2007, Learning from time-changing data with adaptive windowing, ADWIN2): all numbers
 * since the last change, as an exponential histogram of up to PER buckets of each size 1, 2, 4 ... Every `clock` numbers each
 * border between buckets is tried as a cut; means that differ by more than their bound at `confidence` are a change. The
 * variance of buckets that are merged is kept after Babcock et al. (2003). In detail as in MOA and river, so that it finds
 * changes at the same numbers as they do. The sizes of buckets end at 2^(ROWS - 1): beyond, about 300,000 numbers, the oldest are forgotten.
 * 1,704 bytes per series.
 */
import type { Detector } from './detector.ts'

const PER = 5, ROWS = 16, GRACE = 10, LEAST = 5      // LEAST: numbers on each side of a cut

const rows = Object.fromEntries(Array.from({ length: ROWS }, (_, r) => [[`held${r}`, 0], ...Array.from({ length: PER + 1 }, (_, k) => [[`total${r}_${k}`, 0], [`variance${r}_${k}`, 0]]).flat()]).flat()) as Record<string, number>
/** One series: numbers seen, rows in use, width, sum and sum of squared deviations of the window; then the rows, each how many buckets it holds and their sums and squares, the oldest first. */
const adwin: Readonly<Record<string, number>> = { seen: 0, rows: 1, width: 0, total: 0, variance: 0, ...rows }
const SEEN = 0, USED = 1, WIDTH = 2, TOTAL = 3, VARIANCE = 4, TABLE = 5, ROW = 1 + 2 * (PER + 1)

export class Adwin implements Detector {
  readonly state = adwin
  readonly confidence: number
  readonly clock: number
  size = 0
  after = 1
  /** `clock`: it looks at every so manyth number; 32 is what river does. */
  constructor (confidence: number, clock = 32) {
    this.confidence = confidence
    this.clock = clock
  }

  update (m: Float64Array, at: number, x: number): boolean {
    const width = ++m[at + WIDTH]
    if (width > 1) m[at + VARIANCE] += (width - 1) * (x - m[at + TOTAL] / (width - 1)) * (x - m[at + TOTAL] / (width - 1)) / width
    m[at + TOTAL] += x
    put(m, at + TABLE, x, 0)
    compress(m, at)
    return ++m[at + SEEN] % this.clock === 0 && width > GRACE && this.cut(m, at)
  }

  /** Whether there is a cut; what is older than a cut is forgotten, bucket by bucket, until there is none. */
  private cut (m: Float64Array, at: number): boolean {
    let found = false
    while (this.differs(m, at)) {
      found = true
      forget(m, at)
    }
    return found
  }

  private differs (m: Float64Array, at: number): boolean {
    const width = m[at + WIDTH], log = Math.log(2 * Math.log(width) / this.confidence), spread = m[at + VARIANCE] / width
    let n0 = 0, n1 = width, u0 = 0, u1 = m[at + TOTAL]
    for (let r = m[at + USED] - 1; r >= 0; r--) {
      const row = at + TABLE + r * ROW, held = m[row], length = 2 ** r
      for (let k = 0; k < held; k++) {
        n0 += length
        n1 -= length
        u0 += m[row + 1 + 2 * k]
        u1 -= m[row + 1 + 2 * k]
        if (n0 < LEAST) continue
        if (n1 < LEAST) return false
        const few = 1 / (n0 - LEAST + 1) + 1 / (n1 - LEAST + 1), apart = u1 / n1 - u0 / n0
        if (Math.abs(apart) <= Math.sqrt(2 * few * spread * log) + 2 / 3 * log * few) continue
        this.size = apart
        this.after = n1
        return true
      }
    }
    return false
  }
}

function put (m: Float64Array, row: number, total: number, variance: number): void {
  const k = row + 1 + 2 * m[row]++
  m[k] = total
  m[k + 1] = variance
}

/** Takes so many of the oldest buckets out of a row. */
function shift (m: Float64Array, row: number, count: number): void {
  m.copyWithin(row + 1, row + 1 + 2 * count, row + 1 + 2 * m[row])
  m[row] -= count
}

/** The two oldest buckets of a row that has too many become one of the next. */
function compress (m: Float64Array, at: number): void {
  for (let r = 0, row = at + TABLE; m[row] > PER; r++, row += ROW) {
    if (r === ROWS - 1) return forget(m, at)
    if (r === m[at + USED] - 1) m[at + USED]++
    const n = 2 ** r, apart = m[row + 1] / n - m[row + 3] / n
    put(m, row + ROW, m[row + 1] + m[row + 3], m[row + 2] + m[row + 4] + n * n * apart * apart / (n + n))
    shift(m, row, 2)
  }
}

/** Forgets the oldest bucket. */
function forget (m: Float64Array, at: number): void {
  const r = m[at + USED] - 1, row = at + TABLE + r * ROW, n = 2 ** r, total = m[row + 1]
  const width = m[at + WIDTH] -= n
  m[at + TOTAL] -= total
  const apart = total / n - m[at + TOTAL] / width
  m[at + VARIANCE] -= m[row + 2] + n * width * apart * apart / (n + width)
  shift(m, row, 1)
  if (m[row] === 0) m[at + USED]--
}
