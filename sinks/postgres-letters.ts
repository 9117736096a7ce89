import type { Letter, LetterQuery } from '#engine'
import type { Session } from './postgres-session.ts'
import { millis } from './postgres-time.ts'

/** Dead letters of a pipeline, or its late rows in the same form, newest first. */
export async function lettersOf (session: Session, pipeline: string, { late = false, reason, position, requeued = false, limit }: LetterQuery): Promise<Letter[]> {
  const { rows } = await session.query<Letter>(`${late ? LATE : DEAD} AND ($2::text IS NULL OR reason = $2) AND ($3::bigint IS NULL OR position = $3) AND ($4 OR NOT requeued)
    ORDER BY ingest DESC, position DESC, part LIMIT $5`, [pipeline, reason ?? null, position ?? null, requeued, limit])
  return rows
}

export async function markRequeued (session: Session, pipeline: string, letters: readonly Letter[]): Promise<void> {
  for (const { reason, origin, position, part } of letters) {
    if (reason === 'late') await session.query('UPDATE late_readings SET requeued_at = now() WHERE pipeline = $1 AND position = $2 AND requeued_at IS NULL', [pipeline, position])
    else await session.query('UPDATE dead_letters SET requeued_at = now() WHERE pipeline = $1 AND origin = $2 AND position = $3 AND part = $4', [pipeline, origin, position, part])
  }
}

const DEAD = `SELECT * FROM (SELECT origin, position::float8, part, reason, detail, topic, payload, ${millis('ingested_at')} AS ingest, requeued_at IS NOT NULL AS requeued, pipeline FROM dead_letters) AS letters WHERE pipeline = $1`
const LATE = `SELECT * FROM (
  SELECT '' AS origin, l.position::float8, row_number() OVER (PARTITION BY l.position ORDER BY l.series, l.time, l.branch, l.step)::int - 1 AS part, 'late' AS reason, l.branch || '/' || l.step AS detail,
    n.tenant || '/' || n.device || '/' || n.metric AS topic, convert_to(jsonb_build_object('tenant', n.tenant, 'device', n.device, 'metric', n.metric, 'time', ${millis('l.time')}, 'value', l.value)::text, 'UTF8') AS payload,
    ${millis('l.ingested_at')} AS ingest, l.requeued_at IS NOT NULL AS requeued, l.pipeline
  FROM late_readings l JOIN series_named n ON n.series = l.series) AS letters WHERE pipeline = $1`
