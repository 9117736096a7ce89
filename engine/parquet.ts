import { MillraceError } from './errors.ts'
import { POSITION, type Row } from './query.ts'
import { version } from './version.ts'

const CELLS = 65_536                 // of a row group, about: encoding one holds the event loop for about 25 ms
const FIRST = 256                    // rows of the first one, then twice as many: the code is ten times as slow until it is compiled
const NAMES: readonly string[] = ['tenant', 'device', 'metric']

/**
 * Pages of rows as Apache Parquet, in row groups of some thousand rows (Snappy): `time` as a timestamp in microseconds, UTC; names as strings with a
 * dictionary; `position` as a 64-bit integer; all else as doubles, null where there is no number. In memory are one group, and what the footer will say of those before: on disk 75 bytes a column.
 * @throws usage/command when the package that writes it is not installed
 */
export async function* parquetOf (columns: readonly string[], pages: AsyncIterable<readonly Row[]>): AsyncGenerator<Uint8Array> {
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer').catch(missing), writer = new ByteWriter()
  const parquet = new ParquetWriter({ writer, createdBy: `millrace version ${version}`, schema: [{ name: 'schema', num_children: columns.length }, ...columns.map(elementOf)] })
  const most = Math.max(1, Math.floor(CELLS / columns.length))
  let wanted = Math.min(FIRST, most)
  const take = (): Uint8Array => {
    const bytes = writer.getBytes().slice()
    writer.index = 0
    return bytes
  }
  let cells = columns.map(() => [] as Cell[])
  const group = (): Uint8Array => {
    const rows = cells[0].length
    void parquet.write({ columnData: columns.map((name, i) => ({ name, data: cells[i], ...NAMES.includes(name) ? { encoding: 'RLE_DICTIONARY' as const } : {} })), rowGroupSize: rows })       // at once, as its writer has no flush()
    cells = columns.map(() => [])
    wanted = Math.min(2 * wanted, most)
    return take()
  }
  for await (const page of pages) {
    for (const row of page) {
      columns.forEach((name, i) => { cells[i].push(cellOf(name, row[name])) })
      if (cells[0].length >= wanted) yield group()
    }
  }
  if (cells[0].length > 0) yield group()
  void parquet.finish()
  yield take()
}

/** Rows of a file of it. @throws usage/file for one that is not whole */
export async function parquetRows (file: string): Promise<number> {
  const { asyncBufferFromFile, parquetMetadataAsync } = await import('hyparquet').catch(missing)
  try {
    return Number((await parquetMetadataAsync(await asyncBufferFromFile(file))).num_rows)
  } catch (cause) {
    throw new MillraceError('usage/file', `${file} is not whole: ${(cause as Error).message}`, { cause })
  }
}

type Cell = string | number | bigint | null

function elementOf (name: string) {
  const required = { name, repetition_type: 'REQUIRED' as const }
  if (name === 'time') return { ...required, type: 'INT64' as const, converted_type: 'TIMESTAMP_MICROS' as const, logical_type: { type: 'TIMESTAMP' as const, isAdjustedToUTC: true, unit: 'MICROS' as const } }
  if (NAMES.includes(name)) return { ...required, type: 'BYTE_ARRAY' as const, converted_type: 'UTF8' as const, logical_type: { type: 'STRING' as const } }
  if (name === POSITION) return { ...required, type: 'INT64' as const }
  return { name, repetition_type: 'OPTIONAL' as const, type: 'DOUBLE' as const }
}

function cellOf (name: string, value: Row[string] | undefined): Cell {
  if (name === 'time') return microsOf(value as string)
  if (name === POSITION) return BigInt(value as number)
  return typeof value === 'number' && Number.isNaN(value) ? null : value ?? null
}

/** ISO 8601 with six digits of the second. */
const microsOf = (iso: string): bigint => BigInt(Date.parse(`${iso.slice(0, -4)}Z`)) * 1000n + BigInt(iso.slice(-4, -1))

function missing (cause: unknown): never {
  throw new MillraceError('usage/command', 'Parquet needs a package that is not installed', { help: 'npm install hyparquet-writer', cause })
}
