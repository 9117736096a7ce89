import type { Operator } from '#engine'
import { normal } from '../models/random.ts'
import { bench } from './table.ts'

export const columns = ['mean', 'std', 'range'] as const
export type Row = readonly number[]
export type Judged = Record<string, number | string>

/** Features of windows that go together: two that do, one that does not. */
export const windows = (n: number, seed: number): Row[] => { const z = normal(seed); return Array.from({ length: n }, () => { const s = Math.exp(0.3 * z()); return [50 + z(), s, 4 * s + 0.2 * z()] }) }

/** A batch of rows, the first at `first` s. */
export const batchOf = (b: ReturnType<typeof bench>, rows: readonly Row[], first: number, series: readonly string[]) =>
  b.batch(rows.map((row, j) => [first + j, series[(first + j) % series.length], row[0]])).with(Object.fromEntries(columns.map((c, k) => [c, Float64Array.from(rows, row => row[k])])))

/** What a step adds to rows of one device, or of some in turn, in batches of these sizes, with a snapshot after each when asked. */
export function judge (make: () => Operator, rows: readonly Row[], { snapshots = false, sizes = [97], series = ['pump/temp'] }: { snapshots?: boolean, sizes?: readonly number[], series?: readonly string[] } = {}): Judged[] {
  let b = bench(make())
  const out: Judged[] = []
  for (let i = 0, k = 0; i < rows.length; k++) {
    const part = rows.slice(i, i + sizes[k % sizes.length]), done = b.stage.process(batchOf(b, part, i, series))
    for (let j = 0; j < part.length; j++) out.push({ series: series[(i + j) % series.length], ...Object.fromEntries(b.stage.operator.adds.map(c => [c, done.columns[c][j]])) })
    i += part.length
    if (!snapshots) continue
    const saved = structuredClone(b.stage.save())
    b = bench(make(), { table: b.table })
    b.stage.load(saved)
  }
  return out
}
