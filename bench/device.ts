import { Batch, SeriesTable, type Operator } from '#engine'
import { grow } from '../models/forest.ts'
import { key, normal } from '../models/random.ts'
import { forest, hotelling, loda } from '../operators/index.ts'
import { BATCH } from './drive.ts'
import { alternate, mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'

const DEVICES = 20, EACH = 2000, ROUNDS = 5, COLUMNS = 8, LEARNED = 256
const columns = Array.from({ length: COLUMNS }, (_, j) => `x${j}`)

/** The operators that look at several columns of a row, each with its defaults, over 20 devices whose rows of 8 numbers come in turn. */
const steps: Readonly<Record<string, () => Operator>> = {
  hotelling: () => hotelling({ columns, samples: LEARNED }),
  forest: () => forest({ columns, samples: LEARNED }),
  loda: () => loda({ columns, samples: LEARNED })
}

/** Rows of 8 numbers with one hidden cause. */
function rows (size: number): Batch<any>[] {
  const count = DEVICES * EACH, of = columns.map((_, j) => key(1, j)), hidden = key(2)
  return Array.from({ length: Math.ceil(count / size) }, (_, b) => {
    const at = Float64Array.from({ length: Math.min(size, count - b * size) }, (_, i) => b * size + i)
    return new Batch<any>({
      time: at.map(i => Math.floor(i / DEVICES) * 60_000), series: Int32Array.from(at, i => i % DEVICES), value: at,
      columns: Object.fromEntries(columns.map((c, j) => [c, at.map(i => normal(hidden, i) + normal(of[j], i))]))
    })
  })
}

/** The sum of evidence, and the bytes of what is remembered of a device. */
function through (make: () => Operator, batches: readonly Batch<any>[]): { readonly sum: number, readonly bytes: number } {
  const table = new SeriesTable(DEVICES)
  for (let s = 0; s < DEVICES; s++) table.id('bench', `${s}`, 'all')
  const operator = make(), stage = operator.open({ series: table, late () {}, aggregated () {} })
  let sum = 0, scores = 0
  for (const batch of batches) {
    for (const p of (stage.process(batch).columns as Record<string, Float64Array>)[`${operator.name}_p`]) {
      if (Number.isNaN(p)) continue
      scores++
      sum -= Math.log10(p)
    }
  }
  mustEqual('the number of scores', scores, DEVICES * (EACH - LEARNED))
  const { series } = stage.save()
  return { sum, bytes: Object.values(series).reduce((sum, saved) => sum + (saved as { entries: Float64Array }).entries.byteLength, 0) / DEVICES }
}

/** Bytes of a forest of the operator's defaults, which is worked out and not saved. */
function grownBytes (): number {
  const x = Float64Array.from({ length: 512 * COLUMNS }, (_, i) => normal(key(3), i)), { roots, feature, threshold, right, cover } = grow(x, COLUMNS, 512, { trees: 100, sample: 256, seed: 1 })
  return [roots, feature, threshold, right, cover].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

export const device: Benchmark = {
  summary: 'the operators hotelling, forest and loda on rows of 8 columns, time and memory',
  unit: 'operator',
  async run (say) {
    const batches = rows(BATCH), others = rows(777), total = DEVICES * EACH
    say(`${total} rows of ${DEVICES} devices, ${COLUMNS} columns, ${LEARNED} rows learned first; cut in two ways they give the same`)
    const expected = Object.fromEntries(Object.entries(steps).map(([name, make]) => [name, through(make, others)]))
    const taken = alternate(ROUNDS, Object.fromEntries(Object.entries(steps).map(([name, make]) => [name, () => { mustEqual(`the sum of evidence of ${name}`, through(make, batches).sum, expected[name].sum, 1e-12) }])))
    return Object.entries(taken).map(([operator, ns]): Figures => {
      const { median, low, high } = spread(ns.map(ns => ns / total))
      return {
        operator, columns: COLUMNS, ns_per_row: round(median), ns_per_reading: round(median / COLUMNS), bytes_per_device: expected[operator].bytes,
        worked_out_bytes_per_device: operator === 'forest' ? grownBytes() : 0, ns_per_row_spread: [round(low), round(high)], devices: DEVICES, rows: total, runs: ROUNDS
      }
    })
  }
}
