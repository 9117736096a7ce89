import type { AlertEvent, Commit, Details, OutboxEntry, Settled } from '#engine'
import { clean, cleanJson } from './postgres-series.ts'
import type { Session } from './postgres-session.ts'
import { micros, millis, moment } from './postgres-time.ts'

const LEASE = 60_000                 // ms
/** Why nobody is told any more. */
const DELETED = 'the pipeline was deleted'

/** In the transaction of a commit: events, and one entry per receiver; an end is for whoever its beginning was for too, as a receiver that is gone may come back. What is there already stays as it is, except that one kept back as stale is replaced by itself when it is to be told, and that what ended with its pipeline, which is there again, goes on. */
export async function postAlerts (session: Session, pipeline: string, alerts: Commit['alerts'], ingest: number, origin: string): Promise<void> {
  if (alerts.length === 0) return
  const events = [...new Map(alerts.map(({ event: e, stale = false }) => [e.id, { ...e, details: e.details ?? {}, stale, since: micros(e.since), time: micros(e.time) }])).values()]      // the last one of an id
  const begun = events.filter(e => e.state === 'firing').map(e => `${e.incident}.resolved`)
  if (begun.length > 0) await session.query("DELETE FROM alerts WHERE id = ANY ($1) AND details ? 'reason'", [begun])
  await session.query(`
    INSERT INTO alerts (id, incident, state, tenant, pipeline, alert, severity, device, metric, since, time, value, evidence, message, details, stale, position, ingested_at, origin)
    SELECT id, incident, state, tenant, pipeline, alert, severity, device, metric, ${moment('since')}, ${moment('time')}, value, evidence, message, details, stale, position, ${moment('$2')}, $3
    FROM jsonb_to_recordset($1::jsonb) AS e (id text, incident text, state text, tenant text, pipeline text, alert text, severity text, device text, metric text,
      since bigint, time bigint, value float8, evidence jsonb, message text, details jsonb, stale boolean, position bigint)
    ON CONFLICT (id) DO UPDATE SET (time, value, evidence, message, details, stale, position, ingested_at, origin) = (excluded.time, excluded.value, excluded.evidence, excluded.message, excluded.details, false, excluded.position, excluded.ingested_at, excluded.origin)
    WHERE alerts.stale AND NOT excluded.stale`, [cleanJson(events), micros(ingest), origin])
  const entries = [...new Map(alerts.flatMap(({ event, receivers }) => receivers.map(receiver => [`${event.id} ${receiver}`, { event: event.id, receiver, position: event.position }]))).values()]
  const ends = events.filter(e => e.state === 'resolved').map(({ id: event, incident, position }) => ({ event, begun: `${incident}.firing`, position }))
  if (entries.length + ends.length === 0) return
  await session.query(`
    INSERT INTO alert_outbox (event, receiver, pipeline, due, position, ingested_at)
    SELECT event, receiver, $2, timestamptz 'epoch', position, ${moment('$3')} FROM (
      SELECT event, receiver, position FROM jsonb_to_recordset($1::jsonb) AS e (event text, receiver text, position bigint)
      UNION SELECT e.event, o.receiver, e.position FROM jsonb_to_recordset($5::jsonb) AS e (event text, begun text, position bigint) JOIN alert_outbox o ON o.event = e.begun AND o.pipeline = $2 AND o.state IN ('due', 'delivered', 'dead')) p
    ON CONFLICT (event, receiver) DO UPDATE SET (state, due, posted_at, ready_at, held, grouped, leader, attempts, settled_at, error) = ('due', excluded.due, now(), NULL, NULL, NULL, NULL, 0, NULL, NULL)
    WHERE alert_outbox.state = 'suppressed' AND alert_outbox.error = $4`, [cleanJson(entries), pipeline, micros(ingest), DELETED, cleanJson(ends)])
}

/** What fires ends now, for `reason`, and nothing more is sent: no data ends it any more, and nobody tells. Of the time of the beginning when that lies ahead. */
export async function endAlerts (session: Session, pipeline: string, reason: NonNullable<Details['reason']>): Promise<void> {
  await session.query(`
    INSERT INTO alerts (id, incident, state, tenant, pipeline, alert, severity, device, metric, since, time, value, evidence, message, details, stale, position, ingested_at, origin)
    SELECT incident || '.resolved', incident, 'resolved', tenant, pipeline, alert, severity, device, metric, since, greatest(time, now()), NULL, '{}', format('%s is over: %s %s: %s', alert, device, metric, $2::text),
      jsonb_strip_nulls(jsonb_build_object('simulated', details -> 'simulated', 'version', details -> 'version', 'reason', $2::text)), stale, position, now(), origin
    FROM alerts a WHERE pipeline = $1 AND state = 'firing' AND NOT EXISTS (SELECT FROM alerts e WHERE e.id = a.incident || '.resolved') ON CONFLICT DO NOTHING`, [pipeline, reason])
  await session.query("UPDATE alert_outbox SET state = 'suppressed', settled_at = now(), error = $2 WHERE pipeline = $1 AND state = 'due'", [pipeline, DELETED])
}

type Leased = AlertEvent & { readonly receiver: string, readonly attempts: number, readonly leader: string, readonly tried: number | null }

/** Whether an event is an end of which the same receiver has yet to be told the beginning: one look at the primary key. */
const early = (end: string): string => `right(${end}.event, 9) = '.resolved' AND 'due' IS NOT DISTINCT FROM (SELECT f.state FROM alert_outbox f WHERE f.event = left(${end}.event, -9) || '.firing' AND f.receiver = ${end}.receiver)`
const EARLY = `CASE WHEN o.leader IS NULL THEN ${early('o')} ELSE EXISTS (SELECT FROM alert_outbox e WHERE e.leader = o.leader AND e.receiver = o.receiver AND ${early('e')}) END`

/** Leases, as long as the epoch is this one, notifications that are ready and due at `now` (ms), an end not before its beginning has arrived or was given up: they are due again a minute later if nothing is heard of them. */
export async function lease (session: Session, pipeline: string, epoch: number, limit: number, now: number, except: readonly string[]): Promise<OutboxEntry[]> {
  const { rows } = await session.query<Leased>(`
    WITH leased AS (UPDATE alert_outbox SET due = ${moment('$4')} WHERE (event, receiver) IN (
        SELECT event, receiver FROM (
          SELECT event, receiver, leader FROM alert_outbox WHERE (SELECT epoch = $6 FROM checkpoint WHERE pipeline = $1 AND partition = 0) AND pipeline = $1 AND state = 'due' AND ready_at IS NOT NULL AND due <= ${moment('$3')} AND receiver <> ALL ($5::text[]) AND (leader IS NULL OR leader = event)
          ORDER BY due, position OFFSET 0 FOR UPDATE SKIP LOCKED) o WHERE NOT ${EARLY} LIMIT $2)
      RETURNING event, receiver, attempts, leader, (SELECT min(d.time) FROM alert_deliveries d WHERE d.event = alert_outbox.event AND d.receiver = alert_outbox.receiver AND d.time >= posted_at AND d.outcome = 'retry') AS tried_at),
    parts AS (SELECT l.event AS leader, l.event, l.receiver, l.attempts, l.tried_at FROM leased l
      UNION ALL SELECT l.event, o.event, l.receiver, l.attempts, l.tried_at FROM leased l JOIN alert_outbox o ON o.leader = l.leader AND o.receiver = l.receiver AND o.event <> l.event)
    SELECT p.receiver, p.attempts, p.leader, ${millis('p.tried_at')} AS tried, a.id, a.incident, a.state, a.tenant, a.pipeline, a.alert, a.severity, a.device, a.metric, ${millis('a.since')} AS since, ${millis('a.time')} AS time,
      a.value, a.evidence, a.message, a.details, a.position::float8 AS position, a.origin
    FROM parts p JOIN alerts a ON a.id = p.event ORDER BY a.position, a.time, a.id`, [pipeline, limit, micros(now), micros(now + LEASE), except, epoch])
  const notices = new Map<string, Leased[]>()
  for (const row of rows) {
    const key = `${row.leader}\0${row.receiver}`
    notices.set(key, [...notices.get(key) ?? [], row])
  }
  return [...notices.values()].map(parts => {
    const [{ leader, receiver, attempts, tried }] = parts
    const [first, ...others] = parts.map(({ leader: _leader, receiver: _receiver, attempts: _attempts, tried: _tried, details, origin, ...event }): AlertEvent => ({ ...event, ...details === undefined || Object.keys(details).length === 0 ? {} : { details }, ...origin === '' || origin === undefined ? {} : { origin } }))
    return { id: others.length === 0 ? leader : groupId(leader), events: [first, ...others], receiver, attempts, ...tried === null ? {} : { tried } }
  })
}

const GROUP = '.group'
const groupId = (leader: string): string => `${leader}${GROUP}`
const leaderOf = ({ id }: Pick<OutboxEntry, 'id'>): string => id.endsWith(GROUP) ? id.slice(0, -GROUP.length) : id

/** Records what became of a delivery, and that there was one. Said again, when it is not known whether it was recorded, it changes nothing; nor does a failure once another process has tried too. */
export async function settleEntry (session: Session, entry: OutboxEntry, { state, after, error }: Settled): Promise<void> {
  await session.query(`
    WITH settled AS (
      UPDATE alert_outbox SET attempts = attempts + 1, state = $3, due = coalesce(${moment('$4')}, due), settled_at = CASE WHEN $3 = 'due' THEN NULL ELSE now() END, error = $5
      WHERE receiver = $2 AND (event = $1 OR leader = $1) AND (SELECT attempts <= $7 OR state = 'due' AND $3 = 'delivered' FROM alert_outbox WHERE receiver = $2 AND event = $1) RETURNING event, receiver)
    INSERT INTO alert_deliveries (event, receiver, outcome, error) SELECT event, receiver, $6, $5 FROM settled`,
  [leaderOf(entry), entry.receiver, state === 'retry' ? 'due' : state, after === undefined ? null : micros(after), error === undefined ? null : clean(error), state, entry.attempts])
}

/** Endpoints that said they are gone. */
export async function disabledEndpoints (session: Session): Promise<string[]> {
  return (await session.query<{ endpoint: string }>('SELECT endpoint FROM alert_endpoints')).rows.map(row => row.endpoint)
}

export async function disableEndpoint (session: Session, { endpoint, name, reason }: { readonly endpoint: string, readonly name: string, readonly reason: string }): Promise<void> {
  await session.query(`WITH made AS (INSERT INTO alert_endpoints (endpoint, name, reason) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING *)
    INSERT INTO audit (actor, action, target, change) SELECT 'engine', 'endpoint.disable', endpoint, json_build_object('name', name, 'reason', reason) FROM made`, [endpoint, clean(name), clean(reason)])
}
