/**
 * What benchmarks on simulated series write with --write and read with --data, so that others' series of the same layout are scored
 * by the same command: a CSV a series, time,value, by its name; changes.csv of a folder says when something happened to a series.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { readTime } from '../connectors/codec/time.ts'
import { isoMicros as iso } from '../engine/iso.ts'
import type { Series } from './drive.ts'
import { linesOf } from './real-data.ts'

export { iso }

/** The options of such a benchmark. */
export const files = { data: { type: 'string', default: '' }, write: { type: 'string', default: '' } } as const

const names = new Intl.Collator('en', { numeric: true })
const missing = (path: string) => Object.assign(new Error(`${path}: nothing there`), { code: 'ENOENT', path })
/** What a file of others has wrong. */
export const wrong = (message: string): Error => Object.assign(new Error(message), { code: 'EINVAL' })
const list = (folder: string) => readdirSync(folder, { withFileTypes: true }).sort((a, b) => names.compare(a.name, b.name))

/** Rows of a table as text, under these columns, which must be there in any order. Throws with file and line. */
export function readTable<C extends string> (path: string, ...columns: C[]): Record<C, string>[] {
  if (!existsSync(path)) throw missing(path)
  const [head = '', ...lines] = linesOf(path), cells = head.split(','), places = columns.map(c => cells.indexOf(c))
  const lacking = columns.find((_, k) => places[k] < 0)
  if (lacking !== undefined) throw wrong(`${path} has no column "${lacking}"; there are: ${cells.join(', ')}`)
  return lines.map((line, i) => {
    const row = line.split(',')
    if (row.length !== cells.length) throw wrong(`${path}, row ${i + 1}: ${row.length} cells under ${cells.length} columns`)
    return Object.fromEntries(columns.map((c, k) => [c, row[places[k]]])) as Record<C, string>
  })
}

export function writeTable (path: string, columns: readonly string[], rows: Iterable<readonly (string | number)[]>): void {
  mkdirSync(dirname(path), { recursive: true })
  const lines = [columns.join(',')]
  for (const row of rows) lines.push(row.join(','))
  writeFileSync(path, `${lines.join('\n')}\n`)
}

/** ms since 1970. Throws with where it stands. */
export function timeOf (text: string, where: string): number {
  const ms = readTime(text)
  if (Number.isNaN(ms)) throw wrong(`${where}: "${text}" is no time, such as 2026-01-05T10:00:00Z`)
  return ms
}
/** A number; NaN where nothing stands. Throws with where it stands. */
export function numberOf (text: string, where: string): number {
  const x = text.trim() === '' ? NaN : Number(text)
  if (Number.isNaN(x) && text.trim() !== '' && text.trim() !== 'NaN') throw wrong(`${where}: "${text}" is no number`)
  return x
}

/** All series of a folder, without readings that have no value. Times must ascend. */
export function readSeries (folder: string): Series[] {
  const found = list(folder).filter(f => f.isFile() && f.name.endsWith('.csv') && f.name !== CHANGES)
  if (found.length === 0) throw missing(join(folder, '*.csv'))
  return found.map(({ name }) => {
    const path = join(folder, name), time: number[] = [], value: number[] = []
    readTable(path, 'time', 'value').forEach((row, i) => {
      const where = `${path}, row ${i + 1}`, t = timeOf(row.time, where), x = numberOf(row.value, where)
      if (t < time[time.length - 1]) throw wrong(`${where}: it is older than the row before`)
      if (Number.isNaN(x)) return
      time.push(t)
      value.push(x)
    })
    return { name: basename(name, '.csv'), time, value }
  })
}

export function writeSeries (folder: string, all: Iterable<Series>): void {
  for (const { name, time, value } of all) writeTable(join(folder, `${name}.csv`), ['time', 'value'], Array.from(time, (t, i) => [iso(t), value[i]]))
}

/** The folders of a folder, by name; none when there is no such folder. */
export const foldersOf = (folder: string): string[] => existsSync(folder) ? list(folder).filter(f => f.isDirectory()).map(f => f.name) : []

const CHANGES = 'changes.csv'
/** When it happened to each series, ms. */
export const readChanges = (folder: string): Map<string, number> => new Map(readTable(join(folder, CHANGES), 'series', 'time').map(({ series, time }, i) => [series, timeOf(time, `${join(folder, CHANGES)}, row ${i + 1}`)]))
/** Beside what is written there already. */
export function writeChanges (folder: string, all: Iterable<readonly [series: string, time: number]>): void {
  const before = existsSync(join(folder, CHANGES)) ? readChanges(folder) : []
  writeTable(join(folder, CHANGES), ['series', 'time'], Array.from(new Map([...before, ...all]), ([series, time]) => [series, iso(time)]))
}
