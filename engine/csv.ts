import type { Row } from './query.ts'

type Cell = string | number | null

/** A cell of CSV (RFC 4180), in quotes where it has to be. */
export const csvCell = (value: Cell): string => typeof value === 'string' && /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value ?? '')

export const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(',')}\r\n`

const FORMULA = /^[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]/            // also as full-width characters
/** A line that people may open in a spreadsheet: text that it would take for a formula begins with an apostrophe. Numbers are as they are. */
export const sheetLine = (cells: readonly Cell[]): string => csvLine(cells.map(cell => typeof cell === 'string' && FORMULA.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell))

/** The text of pages of rows, one after the other. */
export async function* linesOf (format: 'csv' | 'ndjson', columns: readonly string[], pages: AsyncIterable<readonly Row[]>): AsyncGenerator<string> {
  if (format === 'csv') yield sheetLine(columns)
  for await (const rows of pages) yield rows.map(row => format === 'csv' ? sheetLine(columns.map(c => row[c])) : `${JSON.stringify(row)}\n`).join('')
}
