import { Batch } from '#engine'
import { codeOf } from '../../models/hygiene.ts'

/** A gap that was found while it lasts: in which series, behind how many rows of the batch, and what its row says. */
export interface Gap { readonly before: number, readonly series: number, readonly time: number, readonly arrival: number, readonly position: number, readonly evidence: number, readonly missed: number }

/** The batch with the rows that say a gap where they belong: each the first of its time and its first writing; what others add has no value in it. */
export function woven (batch: Batch<any>, gaps: readonly Gap[], samples: number): Batch<any> {
  const length = batch.length + gaps.length, order = new Int32Array(length)      // row of the batch, or -1 - k for gap k
  for (let i = 0, to = 0, k = 0; i <= batch.length; i++) {
    for (; k < gaps.length && gaps[k].before === i; k++) order[to++] = -1 - k
    if (i < batch.length) order[to++] = i
  }
  const column = (from: ArrayLike<number>, of: (gap: Gap) => number) => Float64Array.from(order, i => i < 0 ? of(gaps[-1 - i]) : from[i])
  const own: Readonly<Record<string, (gap: Gap) => number>> = {
    hygiene: () => codeOf('gap'), hygiene_size: gap => gap.missed, hygiene_learned: () => samples, hygiene_gap: gap => gap.evidence, seq: () => 0, revision: () => 0
  }
  return new Batch({
    ...batch,
    time: column(batch.time, gap => gap.time),
    series: Int32Array.from(order, i => i < 0 ? gaps[-1 - i].series : batch.series[i]),
    value: column(batch.value, () => NaN),
    arrival: column(batch.arrival, gap => gap.arrival),
    position: column(batch.position, gap => gap.position),
    columns: Object.fromEntries(Object.entries(batch.columns as Record<string, Float64Array>).map(([name, from]) => [name, column(from, own[name] ?? (() => NaN))]))
  })
}
