import { readFileSync } from 'node:fs'
import { basename, extname } from 'node:path'
import { Credits, Intake, MillraceError, SeriesTable, suggest, type Label } from '#engine'
import { readTime } from './codec/time.ts'
import { findFiles } from './csv/files.ts'
import { readLines, separatorOf, split } from './csv/lines.ts'
import { Table, type TableValues } from './csv/table.ts'

const KEYS = ['device', 'from', 'to'] as const
type Entry = Readonly<Record<string, unknown>>

/**
 * Labels from files, by their form:
 *
 *   a table          columns device, from, to, and metric and kind when there are such; others are not looked at. An empty
 *                    metric means the whole device, an empty `to` a moment
 *   a JSON list      of objects with the same keys: what `millrace simulate --labels` writes
 *   a JSON map       name of a file -> [[from, to], ...]: the windows of the Numenta Anomaly Benchmark; the device is the
 *                    name of the file without folder and ending, as the source replay calls it
 *
 * Times are ISO 8601 or numbers since 1970. Throws with the file, the line or entry, and what would be right.
 */
export async function readLabels (paths: readonly string[]): Promise<Label[]> {
  const labels: Label[] = []
  for (const path of paths) labels.push(...extname(path).toLowerCase() === '.json' ? fromJson(path) : await fromTable(path))
  return labels
}

function fromJson (path: string): Label[] {
  let content: unknown
  try {
    content = JSON.parse(textOf(path))
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause
    throw new MillraceError('usage/labels', `${path} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (Array.isArray(content)) return content.map((entry, i) => labelOf(entry ?? {}, `${path}, entry ${i + 1}`))
  const windows = content !== null && typeof content === 'object' ? Object.entries(content) : undefined
  const wrong = windows?.find(([, list]) => !Array.isArray(list) || !list.every(w => Array.isArray(w) && w.length === 2))
  if (windows === undefined || wrong !== undefined) throw new MillraceError('usage/labels', `${path}${wrong === undefined ? '' : `, "${wrong[0]}"`} has no labels in a known form`, { help: 'write a list of { device, metric, from, to, kind }, or windows: { "file.csv": [["2026-01-05 10:00", "2026-01-05 12:00"]] }' })
  return windows.flatMap(([file, list]) => (list as unknown[][]).map(([from, to], i) => labelOf({ device: basename(file, extname(file)), from, to }, `${path}, "${file}", window ${i + 1}`)))
}

async function fromTable (path: string): Promise<Label[]> {
  textOf(path)
  const labels: Label[] = []
  let columns: string[] | undefined, separator = ',', row = 0
  for await (const lines of readLines(path)) {
    for (const line of lines) {
      const cells = split(line, columns === undefined ? separator = separatorOf(line) : separator)
      const where = `${path}, ${++row === 1 ? 'the header' : `row ${row - 1}`}`
      if (cells === undefined) throw new MillraceError('usage/labels', `${where}: the quotes do not close`)
      if (columns === undefined) {
        const missing = KEYS.find(key => !cells.includes(key))
        if (missing !== undefined) throw new MillraceError('usage/labels', `${path} has no column "${missing}"`, { help: `labels have the columns device, from, to, and metric and kind if you like; there are: ${cells.join(', ').slice(0, 200)}` })
        columns = cells
      } else {
        if (cells.length !== columns.length) throw new MillraceError('usage/labels', `${where} has ${cells.length} cells under ${columns.length} columns`)
        labels.push(labelOf(Object.fromEntries(columns.map((column, i) => [column, cells[i]])), where))
      }
    }
  }
  if (columns === undefined) throw new MillraceError('usage/labels', `${path} is empty`, { help: 'its first line names the columns: device,metric,from,to,kind' })
  return labels
}

function labelOf (entry: Entry, where: string): Label {
  const text = (key: string): string => typeof entry[key] === 'string' ? entry[key] : entry[key] === undefined || entry[key] === null ? '' : JSON.stringify(entry[key])
  const time = (key: string): number => {
    const ms = readTime(entry[key])
    if (Number.isNaN(ms)) throw new MillraceError('usage/labels', `${where}: ${key} is ${JSON.stringify(entry[key] ?? null)}, which is no time`, { help: 'write it as 2026-01-05T10:00:00Z' })
    return ms
  }
  const device = text('device')
  if (device === '') throw new MillraceError('usage/labels', `${where} names no device`, { help: suggest('device', Object.keys(entry)) })
  const from = time('from'), to = text('to') === '' ? from : time('to')
  if (to < from) throw new MillraceError('usage/labels', `${where}: it ends (${new Date(to).toISOString()}) before it begins (${new Date(from).toISOString()})`)
  return { device, metric: text('metric'), from, to, kind: text('kind') }
}

function textOf (path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new MillraceError('usage/file', `the labels "${path}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { help: 'name a .csv or .json with labels', cause })
  }
}

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
