import { linesOf } from './csv.ts'
import { parquetOf } from './parquet.ts'
import type { Row } from './query.ts'

/** What rows can be exported as, and how it is called over HTTP. */
export const mediaTypes = { csv: 'text/csv; charset=utf-8', ndjson: 'application/x-ndjson', parquet: 'application/vnd.apache.parquet' } as const
export type ExportFormat = keyof typeof mediaTypes
export const exportFormats = Object.keys(mediaTypes) as readonly ExportFormat[]

/** The content of a file of these rows, piece by piece. `columns`: of the table, behind time and names. */
export function contentOf (format: ExportFormat, columns: readonly string[], pages: AsyncIterable<readonly Row[]>): AsyncGenerator<string | Uint8Array> {
  const all = ['time', 'tenant', 'device', 'metric', ...columns]
  return format === 'parquet' ? parquetOf(all, pages) : linesOf(format, all, pages)
}
