import type { Batch } from '#engine'

/** Folds rows, bit for bit, into a number for each of some groups: the order counts within a group, and only there. */
export class RowHash {
  readonly groups: Int32Array
  count = 0                          // of rows
  private rows = new Int32Array(1024)

  constructor (groups: number) { this.groups = new Int32Array(groups) }

  /** Each row with its columns and the `name` of its series, which is the same wherever its id is another. `groupOf`: by id, counted from 1; rows of group 0 are left out. */
  take (batch: Batch<any>, groupOf: ArrayLike<number>, name: ArrayLike<number>): void {
    const { length: n, series } = batch, { groups } = this
    if (this.rows.length < n) this.rows = new Int32Array(n)
    const { rows } = this
    for (let i = 0; i < n; i++) rows[i] = name[series[i]]
    for (const column of [batch.time, batch.value, batch.position, ...Object.values(batch.columns)] as Float64Array[]) fold(rows, column, n)
    for (let i = 0; i < n; i++) {
      const group = groupOf[series[i]] - 1
      if (group < 0) continue
      groups[group] = Math.imul(groups[group] ^ rows[i], 0x01000193)
      this.count++
    }
  }

  /** A text of a group, counted from 0. */
  text (group: number, text: string): void {
    for (let i = 0; i < text.length; i++) this.groups[group] = Math.imul(this.groups[group] ^ text.charCodeAt(i), 0x01000193)
    this.count++
  }

  /** Of all groups, in their order. */
  get value (): number { return this.groups.reduce((all, group) => Math.imul(all ^ group, 0x01000193), 0x811c9dc5) >>> 0 }
}

function fold (rows: Int32Array, column: Float64Array, n: number): void {
  const halves = new Int32Array(column.buffer, column.byteOffset, 2 * n)
  for (let i = 0; i < n; i++) {
    const one = Math.imul(rows[i] ^ halves[2 * i], 0x01000193)
    rows[i] = Math.imul(one ^ one >>> 15 ^ halves[2 * i + 1], 0x85ebca6b)
  }
}
