import type { AlertEvent, Commit, OutboxEntry, Settled } from '#engine'
import { clean } from './postgres-series.ts'
import type { Session } from './postgres-session.ts'
import { micros, millis, moment } from './postgres-time.ts'

const LEASE = 60_000                 // ms

/** In the transaction of a commit: events, and one entry per receiver. What is there already stays as it is, except that one kept back as stale is replaced by itself when it is to be told. */
export async function postAlerts (session: Session, pipeline: string, alerts: Commit['alerts'], ingest: number): Promise<void> {
  if (alerts.length === 0) return
  const events = [...new Map(alerts.map(({ event: e, stale = false }) => [e.id, { ...e, stale, since: micros(e.since), time: micros(e.time) }])).values()]      // the last one of an id
  await session.query(`
    INSERT INTO alerts (id, incident, state, tenant, pipeline, alert, severity, device, metric, since, time, value, evidence, message, stale, position, ingested_at)
    SELECT id, incident, state, tenant, pipeline, alert, severity, device, metric, ${moment('since')}, ${moment('time')}, value, evidence, message, stale, position, ${moment('$2')}
    FROM jsonb_to_recordset($1::jsonb) AS e (id text, incident text, state text, tenant text, pipeline text, alert text, severity text, device text, metric text,
      since bigint, time bigint, value float8, evidence jsonb, message text, stale boolean, position bigint)
    ON CONFLICT (id) DO UPDATE SET (time, value, evidence, message, stale, position, ingested_at) = (excluded.time, excluded.value, excluded.evidence, excluded.message, false, excluded.position, excluded.ingested_at)
    WHERE alerts.stale AND NOT excluded.stale`, [json(events), micros(ingest)])
  const entries = alerts.flatMap(({ event, receivers }) => receivers.map(receiver => ({ event: event.id, receiver, position: event.position })))
  if (entries.length === 0) return
  await session.query(`
    INSERT INTO alert_outbox (event, receiver, pipeline, due, position, ingested_at)
    SELECT event, receiver, $2, timestamptz 'epoch', position, ${moment('$3')} FROM jsonb_to_recordset($1::jsonb) AS e (event text, receiver text, position bigint)
    ON CONFLICT DO NOTHING`, [json(entries), pipeline, micros(ingest)])
}

/** Leases what is due at `now` (ms): it is due again a minute later if nothing is heard of it. */
export async function lease (session: Session, pipeline: string, limit: number, now: number, except: readonly string[]): Promise<OutboxEntry[]> {
  const { rows } = await session.query<AlertEvent & { receiver: string, attempts: number }>(`
    WITH leased AS (UPDATE alert_outbox SET due = ${moment('$4')} WHERE (event, receiver) IN (
        SELECT event, receiver FROM alert_outbox WHERE pipeline = $1 AND state = 'due' AND due <= ${moment('$3')} AND receiver <> ALL ($5::text[])
        ORDER BY due, position LIMIT $2 FOR UPDATE SKIP LOCKED)
      RETURNING event, receiver, attempts)
    SELECT l.receiver, l.attempts, a.id, a.incident, a.state, a.tenant, a.pipeline, a.alert, a.severity, a.device, a.metric, ${millis('a.since')} AS since, ${millis('a.time')} AS time,
      a.value, a.evidence, a.message, a.position::float8 AS position
    FROM leased l JOIN alerts a ON a.id = l.event ORDER BY a.position, a.time`, [pipeline, limit, micros(now), micros(now + LEASE), except])
  return rows.map(({ receiver, attempts, ...event }) => ({ event, receiver, attempts }))
}

/** Records what became of a delivery. */
export async function settleEntry (session: Session, { event, receiver }: OutboxEntry, { state, after, error }: Settled): Promise<void> {
  await session.query(`
    UPDATE alert_outbox SET attempts = attempts + 1, state = $3, due = coalesce(${moment('$4')}, due), settled_at = CASE WHEN $3 = 'due' THEN NULL ELSE now() END, error = $5
    WHERE event = $1 AND receiver = $2`, [event.id, receiver, state === 'retry' ? 'due' : state, after === undefined ? null : micros(after), error === undefined ? null : clean(error)])
}

const json = (value: unknown): string => JSON.stringify(value, (_key, inner) => typeof inner === 'string' ? clean(inner) : inner)
