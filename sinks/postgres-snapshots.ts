import { PARTITIONS, type Commit, type Mark, type RecoveredSnapshot, type SnapshotPage } from '#engine'
import { HEADER } from './postgres-copy.ts'
import { literal, type Session } from './postgres-session.ts'

/** In the transaction of a commit: pages of a snapshot; with its header it is complete, and what only older ones needed is removed. */
export async function putSnapshot (session: Session, pipeline: string, { generation, pages, complete }: NonNullable<Commit['snapshot']>, ingest: string): Promise<void> {
  if (pages.length > 0) await session.copy('COPY snapshot_pages (pipeline, partition, page, generation, digest, data) FROM STDIN (FORMAT binary)', encode(pipeline, generation, pages))
  if (complete === undefined) return
  const { position, version, origin = null, pages: count, layout } = complete
  await session.query(`INSERT INTO snapshots (pipeline, generation, position, version, origin, pages, layout, ingested_at) VALUES ($1, $2, $3, $4, $5, $6, $7, ${ingest})`, [pipeline, generation, position, version, origin, count, JSON.stringify(layout)])
  const { rows: [{ before }] } = await session.query<{ before: string | null }>('SELECT max(generation) AS before FROM snapshots WHERE pipeline = $1 AND generation < $2', [pipeline, generation])
  if (before === null) return
  await session.query('DELETE FROM snapshots WHERE pipeline = $1 AND generation < $2', [pipeline, before])
  await session.query(`DELETE FROM snapshot_pages p USING snapshot_pages q WHERE p.pipeline = $1 AND q.pipeline = $1 AND q.partition = p.partition AND q.page = p.page
    AND q.generation > p.generation AND q.generation <= $2`, [pipeline, before])
  await session.query('DELETE FROM marks WHERE pipeline = $1 AND version <= (SELECT min(version) FROM snapshots WHERE pipeline = $1)', [pipeline])
}

export async function putMarks (session: Session, pipeline: string, { marks, position, version }: Commit): Promise<void> {
  for (const [part, mark] of marks.entries()) await session.query('INSERT INTO marks (pipeline, version, part, position, kind, time, relearn) VALUES ($1, $2, $3, $4, $5, $6, $7)', [pipeline, version + 1, part, position, mark.kind, mark.time, mark.kind === 'relearn' ? JSON.stringify(mark.of) : null])
}

/** What a new owner finds: complete snapshots, newest first, and the marks since the oldest. What was never completed is removed. */
export async function snapshotsOf (session: Session, pipeline: string): Promise<{ snapshots: RecoveredSnapshot[], marks: (Mark & { position: number, version: number })[] }> {
  await session.query('DELETE FROM snapshot_pages WHERE pipeline = $1 AND generation > coalesce((SELECT max(generation) FROM snapshots WHERE pipeline = $1), 0)', [pipeline])
  const { rows } = await session.query('SELECT generation::float8, position::float8, version::float8, origin, pages, layout FROM snapshots WHERE pipeline = $1 ORDER BY snapshots.generation DESC', [pipeline])
  const { rows: kept } = await session.query('SELECT version::float8, position::float8, kind, time, relearn FROM marks WHERE pipeline = $1 ORDER BY marks.version, part', [pipeline])
  const marks = kept.map(({ relearn, ...mark }) => ({ ...mark, ...relearn === null ? {} : { of: relearn } }) as Mark & { position: number, version: number })
  return { marks, snapshots: rows.map(row => ({ ...row, origin: row.origin ?? undefined, content: () => pagesOf(session, pipeline, row.generation) })) }
}

const TOGETHER = 8                   // partitions in one query

async function pagesOf (session: Session, pipeline: string, generation: number): Promise<SnapshotPage[]> {
  const pages: SnapshotPage[] = []
  for (let from = 0; from < PARTITIONS; from += TOGETHER) {
    const { rows } = await session.query<SnapshotPage>(`SELECT DISTINCT ON (partition, page) partition, page, digest, data FROM snapshot_pages
      WHERE pipeline = $1 AND partition >= $2 AND partition < $3 AND generation <= $4 ORDER BY partition, page, generation DESC`, [pipeline, from, from + TOGETHER, generation])
    for (const row of rows) pages.push(row)
  }
  return pages
}

/** Format: https://www.postgresql.org/docs/current/sql-copy.html (binary format). */
function encode (pipeline: string, generation: number, pages: readonly SnapshotPage[]): Buffer {
  const name = Buffer.from(pipeline)
  const bytes = Buffer.allocUnsafe(HEADER.length + 2 + pages.reduce((n, { digest, data }) => n + 2 + 6 * 4 + name.length + 4 + 4 + 8 + digest.length + data.length, 0))
  HEADER.copy(bytes)
  let at = HEADER.length
  const raw = (field: Uint8Array) => { at = bytes.writeInt32BE(field.length, at); bytes.set(field, at); at += field.length }
  const int32 = (n: number) => { at = bytes.writeInt32BE(n, bytes.writeInt32BE(4, at)) }
  for (const { partition, page, digest, data } of pages) {
    at = bytes.writeInt16BE(6, at)
    raw(name)
    int32(partition)
    int32(page)
    at = bytes.writeBigInt64BE(BigInt(generation), bytes.writeInt32BE(8, at))
    raw(digest)
    raw(data)
  }
  bytes.writeInt16BE(-1, at)
  return bytes
}

/** The rows of the checkpoint that a commit moves: only the owner of the epoch, and only once per version. `versions`: of each partition, as this owner knows it. */
export const advance = (pipeline: string, { epoch, version, position, partitions, origin }: Commit, versions: Readonly<Float64Array>, ingest: string): string =>
  `UPDATE checkpoint SET position = ${position}, version = ${version + 1}, origin = ${origin === undefined ? 'NULL' : literal(origin)}, ingested_at = ${ingest}
    WHERE pipeline = ${literal(pipeline)} AND epoch = ${epoch} AND (partition, version) IN (${movedBy(partitions).map(p => `(${p}, ${versions[p]})`).join(', ')})`

/** A commit that is about no device moves the first partition. */
export const movedBy = (partitions: readonly number[]): readonly number[] => partitions.length === 0 ? [0] : partitions
