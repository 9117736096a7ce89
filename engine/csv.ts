import type { Row } from './query.ts'

type Cell = string | number | null

/** A cell of CSV (RFC 4180), in quotes where it has to be. */
export const csvCell = (value: Cell): string => typeof value === 'string' && /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : String(value ?? '')

export const csvLine = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(',')}\r\n`

/** The text of pages of rows, one after the other. */
export async function* linesOf (format: 'csv' | 'ndjson', columns: readonly string[], pages: AsyncIterable<readonly Row[]>): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(columns)
  for await (const rows of pages) yield rows.map(row => format === 'csv' ? csvLine(columns.map(c => row[c])) : `${JSON.stringify(row)}\n`).join('')
}
