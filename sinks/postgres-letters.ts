import type { Letter, LetterQuery } from '#engine'
import type { Session } from './postgres-session.ts'
import { millis } from './postgres-time.ts'

/** Dead letters of a pipeline, or its late rows in the same form, newest first. */
export async function lettersOf (session: Session, pipeline: string, { late = false, reason, position, requeued = false, limit }: LetterQuery): Promise<Letter[]> {
  const { rows } = await session.query<Letter>(`${late ? LATE : DEAD} AND ($2::text IS NULL OR reason = $2) AND ($3::bigint IS NULL OR position = $3) AND ($4 OR NOT requeued)
    ORDER BY ingest DESC, position DESC, part LIMIT $5`, [pipeline, reason ?? null, position ?? null, requeued, limit])
  return rows
}

/** In a transaction, with its line of the audit log. */
export async function markRequeued (session: Session, pipeline: string, letters: readonly Letter[], by: string, request?: string): Promise<void> {
  if (letters.length === 0) return
  for (const late of [true, false]) {
    const these = letters.filter(({ reason }) => (reason === 'late') === late)
    if (these.length > 0) await session.query(late ? MARK_LATE : MARK_DEAD, [pipeline, these.map(l => l.origin), these.map(l => l.position), these.map(l => l.part)])
  }
  await session.query("INSERT INTO audit (actor, action, target, change, request) VALUES ($1, 'letters.requeue', $2, $3, $4)", [by, pipeline, JSON.stringify({ letters: letters.length, positions: [...new Set(letters.map(l => l.position))].slice(0, NAMED) }), request ?? null])
}

const NAMED = 100                    // positions that the audit log has of one requeue

/** Of late rows, which have no number of their own: what tells those of one message apart, since all of them come with one commit. */
const PART = '(row_number() OVER (PARTITION BY l.pipeline, l.origin, l.position ORDER BY l.series, l.time, l.branch, l.step, l.value))::int - 1'
const DEAD = `SELECT * FROM (SELECT origin, position::float8, part, reason, detail, topic, payload, ${millis('ingested_at')} AS ingest, requeued_at IS NOT NULL AS requeued, pipeline FROM dead_letters) AS letters WHERE pipeline = $1`
const LATE = `SELECT * FROM (
  SELECT l.origin, l.position::float8, ${PART} AS part, 'late' AS reason, l.branch || '/' || l.step AS detail,
    n.tenant || '/' || n.device || '/' || n.metric AS topic, convert_to(jsonb_build_object('tenant', n.tenant, 'device', n.device, 'metric', n.metric, 'time', ${millis('l.time')}, 'value', l.value)::text, 'UTF8') AS payload,
    ${millis('l.ingested_at')} AS ingest, l.requeued_at IS NOT NULL AS requeued, l.pipeline
  FROM late_readings l JOIN series_named n ON n.series = l.series) AS letters WHERE pipeline = $1`
const GIVEN = 'unnest($2::text[], $3::bigint[], $4::int[]) AS given (origin, position, part)'
const MARK_DEAD = `UPDATE dead_letters AS l SET requeued_at = now() FROM ${GIVEN} WHERE l.pipeline = $1 AND l.origin = given.origin AND l.position = given.position AND l.part = given.part`
const MARK_LATE = `UPDATE late_readings AS late SET requeued_at = now()
  FROM (SELECT l.ctid AS place, l.origin, l.position, ${PART} AS part FROM late_readings l WHERE l.pipeline = $1 AND l.position = ANY ($3::bigint[])) AS l JOIN ${GIVEN} USING (origin, position, part)
  WHERE late.ctid = l.place`
