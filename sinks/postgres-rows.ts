import type { Batch, Outcome } from '#engine'
import { brought, columnList, fixedColumns, type CopyEncoder, type Target } from './postgres-copy.ts'
import { identifier, isBadData, type Session } from './postgres-session.ts'

/**
 * What rows are expected to meet. `none`: the first that is there already, or is refused, fails the transaction; `repeats`: those that are there
 * already are left out, the first that is refused fails it; `refusals`: those that are refused are found first, for twice the work and more.
 */
export type Care = 'none' | 'repeats' | 'refusals'

/** Puts a batch into a table, inside the transaction of a commit. */
export interface RowWriter {
  readonly session: Session
  readonly encoder: CopyEncoder
  readonly ids: Readonly<Int32Array>
  readonly ingest: number
  readonly care: Care
  /** Rows take the place of what is there; provisional ones only that of provisional ones. */
  readonly replace: boolean
  /** Temporary tables that have been written to in this transaction. */
  readonly used: Set<string>
}

/**
 * Writes the rows of one batch, and its provisional ones. Final rows go straight into the table; provisional rows and
 * those of a later revision replace what is there. `refuse` gets each final row that the
 * database will not have; a provisional one is only left out, its final row is still to come.
 */
export async function writeRows (writer: RowWriter, target: Target, batch: Batch<any>, refuse: (batch: Batch<any>, why: string) => void): Promise<Outcome> {
  const revision: Readonly<Float64Array> | undefined = target.kind === 'windows' ? batch.columns.revision : undefined
  const first = revision === undefined ? batch : batch.filter(i => revision[i] === 0)
  const later = first === batch ? undefined : batch.filter(i => revision![i] > 0)
  let refused = 0
  const put = async (given: Batch<any> | undefined, replace: boolean, provisional = false) => {
    if (given === undefined || given.length === 0) return 0
    const rows = writer.care !== 'refusals' ? given : await taken(writer.session, given, piece => merge(writer, target, piece, provisional), (row, why) => { if (!provisional) { refused++; refuse(row, why) } })
    return rows.length === 0 ? 0 : replace || writer.replace || writer.care !== 'none' ? await merge(writer, target, rows, provisional) : await append(writer, target, rows)
  }
  await put(batch.provisional, true, true)
  const written = await put(first, false) + await put(later, true)
  return { written, duplicates: batch.length - written - refused, refused }
}

/** Are all rows of windows the first that are written of theirs? */
export function isFirst (target: Target, batch: Batch<any>): boolean {
  const revision: Readonly<Float64Array> | undefined = target.kind === 'windows' ? batch.columns.revision : undefined
  return revision === undefined || revision.every(r => r === 0)
}

export const copyInto = (target: Target, batch: Batch<any>): string => `COPY ${identifier(target.name)} (${columnList(target, batch)}) FROM STDIN (FORMAT binary)`

async function append ({ session, encoder, ids, ingest }: RowWriter, target: Target, batch: Batch<any>): Promise<number> {
  await session.copy(copyInto(target, batch), encoder.encode(target, batch, ids, ingest))
  return batch.length
}

/**
 * Through a temporary table. Readings that are there stay. A window is replaced by a later revision, a provisional one by its
 * equal too; a final one stays, also when memory that began anew after a crash gives it again, from fewer readings.
 */
async function merge ({ session, encoder, ids, ingest, replace, used }: RowWriter, target: Target, batch: Batch<any>, provisional: boolean): Promise<number> {
  const table = identifier(target.name), stage = identifier(`stage_${target.name}`), columns = columnList(target, batch)
  await session.query(`CREATE TEMPORARY TABLE IF NOT EXISTS ${stage} (LIKE ${table}) ON COMMIT DELETE ROWS${used.has(stage) ? `; TRUNCATE pg_temp.${stage}` : ''}`)
  used.add(stage)
  await session.copy(`COPY pg_temp.${stage} (${columns}) FROM STDIN (FORMAT binary)`, encoder.encode(target, batch, ids, ingest, provisional))
  const given = [...fixedColumns[target.kind], ...brought(target, batch)].filter(c => !['time', 'series', 'seq'].includes(c)).map(identifier).map(c => `${c} = excluded.${c}`).join(', ')
  const insert = target.kind === 'readings'
    ? replace ? `INSERT INTO ${table} (${columns}) SELECT DISTINCT ON (series, time, seq) ${columns} FROM pg_temp.${stage} ORDER BY series, time, seq, position ON CONFLICT (series, time, seq) DO UPDATE SET ${given}`
      : `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM pg_temp.${stage} ON CONFLICT DO NOTHING`
    : `INSERT INTO ${table} AS old (${columns}) SELECT DISTINCT ON (series, time) ${columns} FROM pg_temp.${stage} ORDER BY series, time, revision DESC
       ON CONFLICT (series, time) DO UPDATE SET ${given}
       WHERE ${!replace ? 'excluded.revision > old.revision OR excluded.revision = old.revision AND old.provisional' : provisional ? 'old.provisional' : 'true'}`
  const { rowCount } = await session.query(insert)
  return rowCount ?? 0
}

/**
 * The rows that the database does not refuse, none of them written yet: pieces are tried and rolled back, in halves until those that are refused stand
 * alone, 2 log2(n) tries for each at most. What a savepoint writes has the xmin of a subtransaction, which no snapshot lists: an incremental export
 * while it is open would take it for committed before.
 */
async function taken (session: Session, rows: Batch<any>, put: (piece: Batch<any>) => Promise<number>, refuse: (row: Batch<any>, why: string) => void): Promise<Batch<any>> {
  const refused = new Set<number>()
  /** Whether one of these rows is refused, which is `known` of the half of a piece whose other half is not. */
  const search = async (from: number, to: number, known = false): Promise<boolean> => {
    if (!known || to - from === 1) {
      const piece = rows.take(Int32Array.from({ length: to - from }, (_, i) => from + i))
      await session.query('SAVEPOINT piece')
      const why = await put(piece).then(() => undefined, (error: unknown) => { if (!isBadData(error)) throw error; return (error as Error).message })
      await session.query('ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece')
      if (why === undefined) return false
      if (to - from === 1) {
        refused.add(from)
        refuse(piece, why)
        return true
      }
    }
    const half = (from + to) >> 1, first = await search(from, half), second = await search(half, to, !first)
    return first || second
  }
  await search(0, rows.length)
  return rows.filter(i => !refused.has(i))
}
