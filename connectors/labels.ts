import { readFileSync } from 'node:fs'
import { basename, extname } from 'node:path'
import { MillraceError, suggest, type Label } from '#engine'
import { readTime } from './codec/time.ts'
import { readLines, separatorOf, split } from './csv/lines.ts'

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
