import { Credits, Intake, MillraceError, SeriesTable, suggest, type Label } from '#engine'
import { findFiles } from './csv/files.ts'
import { readLines } from './csv/lines.ts'
import { Table, type TableValues } from './csv/table.ts'

/**
 * Labels from a column of the data: neighbouring rows of a device in which it is true, or a number other than 0, are one label, from the first
 * to the last of them. In wide form it is about the whole device, in long form about the metric of the row. `options`: of
 * the source replay on these files. Throws when a file has no such column, and when a cell is neither number nor truth value.
 */
export async function labelsInColumn (column: string, options: TableValues & { readonly files: string | readonly string[] }): Promise<Label[]> {
  const series = new SeriesTable(), credits = new Credits({ bytes: Infinity })
  const open = new Map<number, { from: number, to: number }>(), labels: Label[] = []
  let long = false
  const close = (s: number): void => {
    const label = open.get(s)
    if (label === undefined) return
    open.delete(s)
    const { device, metric } = series.name(s)
    labels.push({ device, metric: long ? metric : '', ...label, kind: '' })
  }
  for (const path of findFiles([options.files].flat())) {
    let table: Table | undefined, row = 0
    const intake = new Intake(series, credits, { ahead: Infinity, after: 0 })
    for await (const lines of readLines(path)) {
      if (lines.length === 0) continue
      const headed = table === undefined
      table ??= tableOf(path, lines[0], column, options, series)
      long = table.long
      for (const line of headed && table.headed ? lines.slice(1) : lines) table.decode(table.row(line, row++), intake, Infinity)
      const { rows, dead } = intake.take(0)
      const odd = dead.find(d => d.reason === 'not_a_number')
      if (odd !== undefined) throw new MillraceError('usage/labels', `${path}: ${odd.detail}, where a label is true or false, or a number`, { help: 'labels that are words belong into a file of their own: --labels' })
      for (let i = 0; i < rows.time.length; i++) {
        const s = rows.series[i], time = rows.time[i], label = open.get(s)
        if (rows.value[i] === 0) close(s)
        else if (label === undefined) open.set(s, { from: time, to: time })
        else label.to = Math.max(label.to, time)
      }
    }
    for (const s of open.keys()) close(s)
  }
  return labels
}

/** A table of which the label is read instead of the values. */
function tableOf (path: string, first: string, column: string, options: TableValues, series: SeriesTable): Table {
  const data = new Table(path, first, { ...options, ignore: [...options.ignore, column] }, new SeriesTable(1))
  if (!data.columns.includes(column)) throw new MillraceError('usage/labels', `${path} has no column "${column}"`, { help: suggest(column, data.columns) })
  return new Table(path, first, data.long ? { ...options, value: column } : { ...options, metrics: [column] }, series)
}
