import type { Actor, AlertActions, AlertRow, AlertDelivery as Delivery, DeliveryFilter, DisabledEndpoint, Ended, Found, Incident, Judgement, NewSilence, Page, Silence } from '#engine'
import { isMissing, Pool } from './postgres-pool.ts'
import { ALERT, ISO, paged, type Placed } from './postgres-query.ts'
import { clean } from './postgres-series.ts'
import { micros, millis, moment } from './postgres-time.ts'

const AUDIT = 'INSERT INTO audit (actor, tenant, action, target, change)'
/** Parameters $1: what is named, $2: the tenant of the actor or null, $3: who it is. */
const OWN = '($2::text IS NULL OR tenant = $2)'
const SILENCE = `id::text, kind, tenant, device, pipeline, alert, ${ISO('begins_at', '"from"')}, ${ISO('ends_at', '"to"')}, reason, author, begins_at <= now() AND ends_at > now() AS active, relearn, relearned`
const NOTIFICATION = "coalesce(o.leader, o.event) || CASE WHEN (SELECT count(*) FROM alert_outbox m WHERE m.leader = o.leader AND m.receiver = o.receiver) > 1 THEN '.group' ELSE '' END"
const DELIVERY = `o.event, o.receiver, o.pipeline, a.tenant, ${NOTIFICATION} AS notification, o.state, CASE WHEN o.state = 'due' AND o.ready_at IS NULL THEN o.held END AS held, ${ISO('o.posted_at', 'posted')}, ${ISO('greatest(o.due, o.posted_at)', 'due')}, o.attempts, o.error,
  (SELECT coalesce(json_agg(d), '[]') FROM (SELECT ${ISO('time')}, outcome, error FROM alert_deliveries WHERE event = o.event AND receiver = o.receiver ORDER BY id) d) AS tries`

interface Said { readonly acknowledged: string | null, readonly by: string | null, readonly verdict: Judgement | null, readonly judged: string | null, readonly judge: string | null }

/** What people do about alerts, in PostgreSQL. Each question is one statement, and so is each change, with its line of the audit log. */
export class PostgresActions implements AlertActions {
  private readonly pool: Pool
  constructor (url: string) { this.pool = new Pool(url, { readOnly: false }) }

  async incident (incident: string, { tenant }: Pick<Actor, 'tenant'>): Promise<Incident | undefined> {
    const rows = await this.pool.as({ tenant }).ask<AlertRow & { said: Said | null, comments: Incident['comments'] }>(`SELECT ${ALERT},
      (SELECT to_json(i) FROM (SELECT ${ISO('acknowledged_at', 'acknowledged')}, acknowledged_by AS by, verdict, ${ISO('verdict_at', 'judged')}, verdict_by AS judge FROM alert_incidents WHERE incident = $1 AND ${OWN}) i) AS said,
      (SELECT coalesce(json_agg(c), '[]') FROM (SELECT ${ISO('time')}, author, text FROM alert_comments WHERE incident = $1 AND ${OWN} ORDER BY id) c) AS comments
      FROM alerts a WHERE a.incident = $1 AND ${OWN} ORDER BY a.time, a.state`, [incident, tenant ?? null])
    if (rows.length === 0) return undefined
    const [{ said, comments }] = rows, alerts = rows.map((row): AlertRow => {
      const { said: _, comments: __, ...alert } = row
      return alert
    })
    return {
      incident, alerts, comments,
      acknowledged: said?.acknowledged ? { at: said.acknowledged, by: said.by! } : null, judgement: said?.verdict ? { verdict: said.verdict, at: said.judged!, by: said.judge! } : null
    }
  }

  async acknowledge (incident: string, comment: string | undefined, actor: Actor): Promise<Incident | undefined> {
    return await this.say(incident, 'alert.acknowledge', {}, comment, actor, `INSERT INTO alert_incidents (incident, tenant, acknowledged_at, acknowledged_by) SELECT incident, tenant, now(), $3 FROM found
      ON CONFLICT (incident) DO UPDATE SET acknowledged_at = coalesce(alert_incidents.acknowledged_at, excluded.acknowledged_at), acknowledged_by = coalesce(alert_incidents.acknowledged_by, excluded.acknowledged_by)`)
  }

  async comment (incident: string, text: string, actor: Actor): Promise<Incident | undefined> {
    return await this.say(incident, 'alert.comment', {}, text, actor, 'SELECT FROM found')
  }

  async judge (incident: string, verdict: Judgement, comment: string | undefined, actor: Actor): Promise<Incident | undefined> {
    return await this.say(incident, 'alert.judge', { verdict }, comment, actor, `INSERT INTO alert_incidents (incident, tenant, verdict, verdict_at, verdict_by) SELECT incident, tenant, $5::jsonb ->> 'verdict', now(), $3 FROM found
      ON CONFLICT (incident) DO UPDATE SET (verdict, verdict_at, verdict_by) = (excluded.verdict, excluded.verdict_at, excluded.verdict_by)`)
  }

  async silences (kind: string, all: boolean, { limit, after }: Page, { tenant }: Actor): Promise<Found<Silence>> {
    const rows = await this.pool.as({ tenant }).ask<Placed<Silence>>(`SELECT ${SILENCE}, id AS place FROM silences WHERE kind = $1 AND ${OWN} AND ($3 OR ends_at > now()) AND ($4::bigint IS NULL OR id < $4::bigint) ORDER BY id DESC LIMIT ${limit + 1}`, [kind, tenant ?? null, all, after ?? null])
    return paged(rows, limit)
  }

  async silence ({ kind, tenant, device, pipeline, alert, from, to, reason, relearn = false }: NewSilence, most: number, actor: Actor): Promise<Silence | undefined> {
    const { id } = actor
    const [made] = await this.pool.as(actor).ask<Silence>(`
      WITH made AS (INSERT INTO silences (kind, tenant, device, pipeline, alert, begins_at, ends_at, reason, author, relearn) SELECT $1, $2, $4, $5, $6, ${moment('$7')}, ${moment('$8')}, $9, $3, $11
        WHERE (SELECT count(*) FROM silences WHERE ends_at > now() AND tenant IS NOT DISTINCT FROM $2) < $10 RETURNING *),
      noted AS (${AUDIT} SELECT $3, tenant, kind || '.create', id::text, json_build_object('device', device, 'pipeline', pipeline, 'alert', alert, 'from', begins_at, 'to', ends_at, 'reason', reason, 'relearn', relearn) FROM made)
      SELECT ${SILENCE} FROM made`, [kind, tenant ?? null, id, device ?? null, pipeline ?? null, alert ?? null, micros(from), micros(to), clean(reason), most, relearn])
    return made
  }

  async endSilence (silence: string, kind: string, actor: Actor): Promise<Silence | undefined> {
    const { id, tenant } = actor
    return (await this.pool.as(actor).ask<Silence>(`
      WITH ended AS (UPDATE silences SET begins_at = least(begins_at, now() - interval '1 microsecond'), ends_at = now(), relearn = relearn AND begins_at <= now() WHERE id = $1::bigint AND ${OWN} AND kind = $4 AND ends_at > now() RETURNING *),
      noted AS (${AUDIT} SELECT $3, tenant, kind || '.end', id::text, '{}' FROM ended)
      SELECT ${SILENCE} FROM ended`, [silence, tenant ?? null, id, kind]))[0]
  }

  async ended (after: number | undefined): Promise<readonly Ended[]> {
    return await this.pool.ask<Ended>(`SELECT DISTINCT ON (tenant, device) id::text, tenant, device, ${millis('ends_at')} AS end FROM silences
      WHERE kind = 'maintenance' AND relearn AND ends_at <= now() AND ends_at > coalesce(${moment('$1')}, '-infinity') ORDER BY tenant, device, ends_at DESC, silences.id DESC`, [after === undefined ? null : micros(after)]).catch((error: unknown) => { if (isMissing(error)) return []; throw error })      // nothing has been migrated yet
  }

  async relearned (id: string, pipeline: string, at: number): Promise<void> {
    await this.pool.ask(`
      WITH done AS (UPDATE silences SET relearned = relearned || jsonb_build_object($2::text, to_char((${moment('$3')}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) WHERE id = $1::bigint RETURNING *)
      ${AUDIT} SELECT 'millrace', tenant, 'maintenance.relearn', id::text, json_build_object('device', device, 'pipeline', $2::text, 'since', relearned -> $2) FROM done`, [id, pipeline, micros(at)])
  }

  async deliveries ({ tenant, pipeline, receiver, state, incident }: DeliveryFilter, { limit, after }: Page, actor: Actor): Promise<Found<Delivery>> {
    const [us, ...rest] = after?.split('_') ?? [], behind = rest.join('_')
    const rows = await this.pool.as({ tenant: actor.tenant }).ask<Placed<Delivery>>(`
      SELECT ${DELIVERY}, (extract(epoch FROM o.posted_at) * 1000000)::bigint || '_' || o.event || '/' || o.receiver AS place FROM alert_outbox o JOIN alerts a ON a.id = o.event
      WHERE ($1::text IS NULL OR a.tenant = $1) AND ($2::text IS NULL OR o.pipeline = $2) AND ($3::text IS NULL OR o.receiver = $3) AND ($4::text IS NULL OR o.state = $4) AND ($5::text IS NULL OR a.incident = $5)
        AND ($6::bigint IS NULL OR (o.posted_at, o.event || '/' || o.receiver) < (${moment('$6')}, $7))
      ORDER BY o.posted_at DESC, o.event || '/' || o.receiver DESC LIMIT ${limit + 1}`, [tenant ?? null, pipeline ?? null, receiver ?? null, state ?? null, incident ?? null, us ?? null, behind])
    return paged(rows, limit)
  }

  async replay (event: string, receiver: string, actor: Actor): Promise<Delivery | undefined> {
    const { id, tenant } = actor, pool = this.pool.as(actor)
    const again = await pool.ask(`
      WITH found AS (SELECT coalesce(o.leader, o.event) AS leader, a.tenant FROM alert_outbox o JOIN alerts a ON a.id = o.event WHERE o.event = $1 AND ($2::text IS NULL OR a.tenant = $2) AND o.receiver = $4 AND o.state <> 'due'),
      again AS (UPDATE alert_outbox o SET state = 'due', due = timestamptz 'epoch', attempts = 0, ready_at = coalesce(ready_at, now()), posted_at = now(), settled_at = NULL, error = NULL
        FROM found f WHERE o.receiver = $4 AND (o.event = f.leader OR o.leader = f.leader) AND o.state <> 'due' RETURNING o.event, o.receiver, f.tenant),
      logged AS (INSERT INTO alert_deliveries (event, receiver, outcome) SELECT event, receiver, 'replay' FROM again),
      noted AS (${AUDIT} SELECT $3, tenant, 'delivery.replay', event, json_build_object('receiver', receiver) FROM again)
      SELECT event FROM again`, [event, tenant ?? null, id, receiver])
    if (again.length === 0) return undefined
    return (await pool.ask<Delivery>(`SELECT ${DELIVERY} FROM alert_outbox o JOIN alerts a ON a.id = o.event WHERE o.event = $1 AND o.receiver = $2 AND ($3::text IS NULL OR a.tenant = $3)`, [event, receiver, tenant ?? null]))[0]
  }

  async disabled (): Promise<readonly DisabledEndpoint[]> {
    return await this.pool.ask<DisabledEndpoint>(`SELECT endpoint, name, reason, ${ISO('disabled_at', 'since')} FROM alert_endpoints ORDER BY disabled_at, endpoint`)
  }

  async enable (endpoint: string, actor: Actor): Promise<boolean> {
    const { id } = actor
    return (await this.pool.as(actor).ask(`WITH enabled AS (DELETE FROM alert_endpoints WHERE endpoint = $1 RETURNING *)
      ${AUDIT} SELECT $2, NULL, 'endpoint.enable', endpoint, json_build_object('name', name) FROM enabled RETURNING id`, [endpoint, id])).length === 1
  }

  async close (): Promise<void> { await this.pool.close() }

  /** One statement: `change`, a comment if there is one, and the line of the audit log. */
  private async say (incident: string, action: string, change: object, comment: string | undefined, actor: Actor, sql: string): Promise<Incident | undefined> {
    const { id, tenant } = actor
    const found = await this.pool.as(actor).ask(`
      WITH found AS (SELECT incident, tenant FROM alerts WHERE incident = $1 AND ${OWN} LIMIT 1),
      changed AS (${sql}),
      said AS (INSERT INTO alert_comments (incident, tenant, author, text) SELECT incident, tenant, $3, $4 FROM found WHERE $4::text IS NOT NULL)
      ${AUDIT} SELECT $3, tenant, $6, incident, $5::jsonb FROM found RETURNING id`, [incident, tenant ?? null, id, comment === undefined ? null : clean(comment), JSON.stringify({ ...change, ...comment === undefined ? {} : { comment: clean(comment) } }), action])
    return found.length === 0 ? undefined : await this.incident(incident, actor)
  }
}
