/** Parquet, read back with a reader that is not the writer's. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import t from 'tap'
import { isoMicros } from '../../engine/iso.ts'
import { parquetOf, parquetRows } from '../../engine/parquet.ts'
import type { Row } from '../../engine/query.ts'
import { uniform } from '../models/random.ts'
import { temporary } from '../support/program.ts'

const COLUMNS = ['time', 'tenant', 'device', 'metric', 'value', 'zscore', 'position'], T0 = Date.UTC(2024, 1, 29)
const ODD = [null, NaN, Infinity, -Infinity, -0, 0, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53 + 2, 0.1], NAMES = ['pump', 'Pumpe "ü"', 'a,b\n', '温度', 'x'.repeat(256), '😀']

function* rows (n: number, draw = uniform(1)): Generator<Row> {
  for (let i = 0; i < n; i++) {
    yield { time: isoMicros(T0 + i * 100 + Math.floor(draw() * 1000) / 1000), tenant: 'acme', device: NAMES[Math.floor(i / 1000) % NAMES.length], metric: 'temp', value: i < ODD.length ? ODD[i] : draw() - 0.5, zscore: i % 3 === 0 ? null : Math.round(draw() * 100), position: 2 ** 52 + i }
  }
}
async function* pages (of: Iterable<Row>, size = 2000): AsyncGenerator<readonly Row[]> {
  let page: Row[] = []
  for (const row of of) {
    page.push(row)
    if (page.length === size) { yield page; page = [] }
  }
  if (page.length > 0) yield page
}
async function written (file: string, of: AsyncIterable<readonly Row[]>, columns = COLUMNS): Promise<number> {
  const parts: Uint8Array[] = []
  for await (const part of parquetOf(columns, of)) parts.push(part)
  writeFileSync(file, Buffer.concat(parts))
  return Math.max(...parts.map(part => part.length))
}
const read = async (file: string) => await parquetReadObjects({ file: await asyncBufferFromFile(file), parsers: { timestampFromMicroseconds: (us: bigint) => us } }) as Record<string, unknown>[]
/** What a reader is to find. */
const micros = (iso: string): bigint => { const [, to, rest] = /^(.*)\.(\d{6})Z$/.exec(iso)!; return BigInt(Date.parse(`${to}Z`)) * 1000n + BigInt(rest) }
const expected = ({ time, value, position, ...rest }: Row) => ({ ...rest, time: micros(time as string), value: Number.isNaN(value) ? null : value, position: BigInt(position as number) })

t.test('each value of each row is there, in groups, with types that say what it is', async t => {
  const file = join(temporary(t), 'rows.parquet'), n = 25_000
  await written(file, pages(rows(n)))
  const found = await read(file), wanted = [...rows(n)].map(expected) as Record<string, unknown>[]
  t.equal(found.length, n)
  t.equal(await parquetRows(file), n)
  t.equal(found.findIndex((row, i) => COLUMNS.some(c => !Object.is(row[c], wanted[i][c]))), -1)
  const { schema, row_groups: groups, created_by: by } = await parquetMetadataAsync(await asyncBufferFromFile(file))
  t.match(by, /^millrace version \d/)
  t.strictSame(schema.slice(1).map(({ name, type, repetition_type: how, logical_type: logical }) => [name, type, how, logical?.type, logical?.type === 'TIMESTAMP' ? [logical.unit, logical.isAdjustedToUTC] : undefined]), [
    ['time', 'INT64', 'REQUIRED', 'TIMESTAMP', ['MICROS', true]], ...['tenant', 'device', 'metric'].map(name => [name, 'BYTE_ARRAY', 'REQUIRED', 'STRING', undefined]),
    ['value', 'DOUBLE', 'OPTIONAL', undefined, undefined], ['zscore', 'DOUBLE', 'OPTIONAL', undefined, undefined], ['position', 'INT64', 'REQUIRED', undefined, undefined]
  ])
  t.ok(groups.length > 2 && groups.every(({ num_rows: rows }) => rows <= 10_000n), `${groups.length} groups`)
  t.ok(groups.every(({ columns }) => columns.slice(1, 4).every(c => c.meta_data!.encodings.includes('RLE_DICTIONARY'))))
  t.match(groups[0].columns[4].meta_data!.statistics, { null_count: 2n, min_value: -Infinity, max_value: Infinity })
})

t.test('a table without rows is a file with its columns; one with many columns has smaller groups', async t => {
  const file = join(temporary(t), 'none.parquet')
  await written(file, pages([]))
  t.strictSame(await read(file), [])
  t.equal(await parquetRows(file), 0)
  t.equal((await parquetMetadataAsync(await asyncBufferFromFile(file))).schema.length, COLUMNS.length + 1)
  const wide = [...COLUMNS.slice(0, 4), ...Array.from({ length: 1000 }, (_, i) => `c${i}`)]
  await written(file, pages([...rows(200)].map(row => ({ ...row, c7: row.value }))), wide)
  t.ok((await parquetMetadataAsync(await asyncBufferFromFile(file))).row_groups.length >= 3)
  t.equal((await read(file))[150].c7, [...rows(200)][150].value)
})

t.test('however many rows there are, a group is in memory and not more', async t => {
  let taken = 0, given = 0, ahead = 0, most = 0
  const counted = async function* () { for await (const page of pages(rows(300_000))) { taken += page.length; ahead = Math.max(ahead, taken - given); yield page } }
  for await (const part of parquetOf(COLUMNS, counted())) {
    given = taken
    most = Math.max(most, part.length)
  }
  t.ok(ahead <= 12_000, `${ahead} rows at once`)
  t.ok(most < 2 ** 20, `${most} bytes at once`)
})

t.test('a file that was cut off is no table', async t => {
  const file = join(temporary(t), 'cut.parquet')
  await written(file, pages(rows(100)))
  writeFileSync(file, readFileSync(file).subarray(0, -20))
  await t.rejects(parquetRows(file), { code: 'usage/file', message: /is not whole/ })
})
