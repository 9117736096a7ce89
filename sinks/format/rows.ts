import { isoMicros, type Batch, type SeriesTable } from '#engine'

/**
 * Rows as JSON objects, one string per row: `{"tenant","device","metric","time","value", ...columns}`, with
 * `"provisional":true` at the end of rows that will be replaced. Time is ISO 8601 in UTC with microseconds; "no value" and
 * numbers that JSON has no way to write are null. About 1 us per row.
 */
export class RowText {
  private readonly series: SeriesTable
  private readonly names: string[] = []      // series -> its part of the object

  constructor (series: SeriesTable) { this.series = series }

  /** The rows in their order, then the provisional ones. */
  lines (batch: Batch<any>): string[] {
    const rows = this.some(batch, '}')
    return batch.provisional === undefined ? rows : [...rows, ...this.some(batch.provisional, ',"provisional":true}')]
  }

  private some (batch: Batch<any>, end: string): string[] {
    const columns = Object.entries(batch.columns).map(([name, column]) => [`,${JSON.stringify(name)}:`, column as ArrayLike<number>] as const)
    const lines: string[] = []
    for (let i = 0; i < batch.length; i++) {
      let line = `${this.name(batch.series[i])}${isoMicros(batch.time[i])}","value":${number(batch.value[i])}`
      for (const [key, column] of columns) line += key + number(column[i])
      lines.push(line + end)
    }
    return lines
  }

  private name (series: number): string {
    return this.names[series] ??= `${JSON.stringify(this.series.name(series)).slice(0, -1)},"time":"`
  }
}

const number = (x: number): string => Number.isFinite(x) ? String(x) : 'null'
