/** What operators share that look at several columns of a row: their options and their memory. */
import { Type, type Lists, type Numbers } from '#engine'
import { LARGEST } from '../../models/largest.ts'
import { budget } from './budget.ts'

/** `columns`: so many at least. `samples`: the least that it can be, and what it usually is. */
export const rowOptions = ({ columns, samples: [least, usual] }: { readonly columns: number, readonly samples: readonly [least: number, usual: number] }) => ({
  columns: Type.Array(Type.String({ minLength: 1 }), { description: 'Columns that are looked at together, such as features of a window or those of `across`.', minItems: columns, maxItems: 64, uniqueItems: true }),
  ...budget,
  samples: Type.Integer({ description: 'Rows to learn from before the first p-value.', minimum: least, default: usual })
})

/** As written. */
export interface RowOptions<C extends string> {
  readonly columns: readonly C[]
  readonly alarms?: number
  readonly per?: string
  readonly samples?: number
  readonly id?: string
}

export const needed = ({ columns }: { readonly columns: readonly string[] }): string[] => columns.filter(c => c !== 'value')

/** The memory of a series of rows, one entry of a list, as most series have no rows: its node. It begins as `first`. */
export function recordOf (records: Lists<any>, s: number, first: ArrayLike<number>): number {
  const known = records.oldest(s)
  if (known >= 0) return known
  const node = records.insert(s, 0)
  records.page(node).set(first, records.offset(node) + 1)
  return node
}

/** Reads row i of some columns into x. False when one of them has no value, or one beyond LARGEST. */
export function read (columns: readonly Numbers[], i: number, x: Float64Array): boolean {
  let whole = true
  for (let j = 0; j < columns.length; j++) {
    x[j] = columns[j][i]
    if (!(Math.abs(x[j]) < LARGEST)) whole = false
  }
  return whole
}
