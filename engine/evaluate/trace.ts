import type { Batch, Numbers } from '../batch.ts'

/**
 * Columns of one series between two times, in spans of equal length: of each the least and the greatest value, so that
 * whatever stands out of a long history can still be seen. 16 bytes per span and column.
 */
export class Trace {
  readonly from: number              // ms
  readonly to: number                // ms, included
  readonly spans: number
  readonly columns: readonly string[]
  readonly rows: Uint32Array         // by span
  total = 0
  private readonly least: Float64Array
  private readonly most: Float64Array

  constructor (columns: readonly string[], { from, to, spans }: { readonly from: number, readonly to: number, readonly spans: number }) {
    this.from = from
    this.to = to
    this.spans = spans
    this.columns = columns
    this.rows = new Uint32Array(spans)
    this.least = new Float64Array(spans * columns.length).fill(NaN)
    this.most = new Float64Array(spans * columns.length).fill(NaN)
  }

  /** A row of a batch, which need not have all of the columns. Rows outside are left out. */
  add (batch: Batch<any>, row: number): void {
    const time = batch.time[row]
    if (!(time >= this.from && time <= this.to)) return
    const span = this.span(time)
    this.rows[span]++
    this.total++
    for (let c = 0, at = span; c < this.columns.length; c++, at += this.spans) {
      const column = batch.column(this.columns[c]) as Numbers | undefined, x = column?.[row] ?? NaN
      if (!Number.isFinite(x)) continue
      if (!(x >= this.least[at])) this.least[at] = x
      if (!(x <= this.most[at])) this.most[at] = x
    }
  }

  private span (time: number): number { return Math.min(this.spans - 1, Math.floor((time - this.from) * this.spans / Math.max(this.to - this.from, 1))) }

  /** Length of a span, ms. */
  get width (): number { return Math.max(this.to - this.from, 1) / this.spans }

  /** Some span holds more than one row: values between its least and its greatest are not shown. */
  get reduced (): boolean { return this.rows.some(n => n > 1) }

  /** Of a column in a span; NaN without a value. */
  low (column: string, span: number): number { return this.least[this.columns.indexOf(column) * this.spans + span] ?? NaN }
  high (column: string, span: number): number { return this.most[this.columns.indexOf(column) * this.spans + span] ?? NaN }

  /** Of a column over all spans, or those that hold the times from `begin` to `end`; NaN without any value. */
  extremes (column: string, begin = this.from, end = this.to): readonly [number, number] {
    let low = NaN, high = NaN
    for (let i = Math.max(0, this.span(begin)); i <= Math.min(this.spans - 1, this.span(end)); i++) {
      if (!(this.low(column, i) >= low) && !Number.isNaN(this.low(column, i))) low = this.low(column, i)
      if (!(this.high(column, i) <= high) && !Number.isNaN(this.high(column, i))) high = this.high(column, i)
    }
    return [low, high]
  }
}
