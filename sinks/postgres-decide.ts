import { matcher, type Policy } from '#engine'
import type { Session } from './postgres-session.ts'
import { micros, millis, moment } from './postgres-time.ts'

const MOST = 500                     // entries that are decided at once
const AGAIN = 60_000, DAY = 864e5    // ms: how often it is looked whether a receiver has come back, and how long

interface Entry {
  readonly event: string, readonly receiver: string, readonly held: Held | null, readonly grouped: string | null, readonly posted: number
  readonly incident: string, readonly state: 'firing' | 'resolved', readonly tenant: string, readonly alert: string, readonly device: string, readonly metric: string, readonly site: string | null
}
type Held = 'escalation' | 'flapping' | 'cooldown' | 'group'
/** What is decided: it may go, it waits until `due` (ms), or nobody is told. */
type Decision =
  | { readonly state: 'due', readonly ready: true, readonly leader?: string }
  | { readonly state: 'due', readonly ready: false, readonly due: number, readonly held?: Held, readonly grouped?: string }
  | { readonly state: 'silenced' | 'suppressed', readonly error: string }
/** What became of the firing of an incident, with the same receiver. */
interface Begun { readonly state: string, readonly ready: boolean, readonly error: string | null }

const keyOf = (event: string, receiver: string): string => `${event} ${receiver}`       // receivers have no spaces in them, and PostgreSQL no NUL
const seriesOf = ({ receiver, alert, tenant, device, metric }: Entry): string => JSON.stringify([receiver, alert, tenant, device, metric])
const firingOf = ({ incident }: Entry): string => `${incident}.firing`

/**
 * Decides of what is in the outbox and due at `now` (ms) whether anybody is told: silences, then holding back (escalation, flapping,
 * cooldown, group), each looked at again when its time has come. What is over before anybody was told is told to nobody; an end is told to
 * whoever was told of the beginning. A decision that something may go stands, so that what is sent again is the same. One transaction;
 * entries that another process has in hand are left alone. What is for a receiver that `policies` does not name waits as it is for a day after it
 * was posted: the receiver may come back with another version. False: the epoch is not this one any more, and nothing is decided.
 */
export async function decide (session: Session, pipeline: string, epoch: number, now: number, policies?: ReadonlyMap<string, Policy>): Promise<boolean> {
  for (;;) {
    const decided = await decideSome(session, pipeline, epoch, now, policies)
    if (decided === undefined) return false
    if (decided < MOST) return true
  }
}

const UNDECIDED = `pipeline = $1 AND state = 'due' AND ready_at IS NULL AND due <= ${moment('$2')}`

async function decideSome (session: Session, pipeline: string, epoch: number, now: number, policies: ReadonlyMap<string, Policy> | undefined): Promise<number | undefined> {
  const [{ some, ours }] = (await session.query<{ some: boolean, ours: boolean }>(`SELECT EXISTS (SELECT FROM alert_outbox WHERE ${UNDECIDED}) AS some, EXISTS (SELECT FROM checkpoint WHERE pipeline = $1 AND partition = 0 AND epoch = $3) AS ours`, [pipeline, micros(now), epoch])).rows
  if (!ours) return undefined
  if (!some) return 0
  return await session.transaction(async () => {
    const { rows: entries } = await session.query<Entry>(`
      SELECT o.event, o.receiver, o.held, o.grouped, ${millis('o.posted_at')} AS posted, a.incident, a.state, a.tenant, a.alert, a.device, a.metric, (SELECT d.site FROM devices d WHERE d.tenant = a.tenant AND d.name = a.device) AS site
      FROM (SELECT * FROM alert_outbox WHERE ${UNDECIDED} ORDER BY position, event, receiver LIMIT ${MOST} FOR UPDATE SKIP LOCKED) o JOIN alerts a ON a.id = o.event ORDER BY o.position, a.time, o.event, o.receiver`, [pipeline, micros(now)])
    if (entries.length === 0) return 0
    const decisions = new Decisions(now, policies, await factsOf(session, pipeline, now, entries, policies ?? new Map()))
    for (const entry of entries) decisions.take(entry)
    await record(session, now, decisions.made)
    return entries.length
  })
}

interface Facts {
  readonly silences: readonly { readonly id: string, readonly kind: string, readonly tenant: string | null, readonly device: string | null, readonly alert: string | null }[]
  readonly begun: Map<string, Begun>                 // by key of the firing
  readonly over: ReadonlySet<string>                 // incidents
  readonly acknowledged: ReadonlySet<string>         // incidents
  readonly told: Map<string, number>                 // series -> when its receiver was last told, ms
  readonly fired: ReadonlyMap<string, number>        // event and receiver -> how often its series fired lately
  readonly waiting: Map<string, number>              // receiver and group -> until when one waits
}

async function factsOf (session: Session, pipeline: string, now: number, entries: readonly Entry[], policies: ReadonlyMap<string, Policy>): Promise<Facts> {
  const incidents = [...new Set(entries.map(e => e.incident))]
  const rows = async <R extends object> (sql: string, values: readonly unknown[]) => (await session.query<R & Record<string, any>>(sql, values)).rows as R[]
  const some = <R extends object> (asked: readonly unknown[], sql: string, values: readonly unknown[]) => asked.length === 0 ? [] as R[] : rows<R>(sql, values)
  const firing = entries.filter(e => e.state === 'firing'), cooling = firing.filter(e => policies.get(e.receiver)?.cooldown !== undefined), flapping = firing.filter(e => policies.get(e.receiver)?.flapping !== undefined)
  const grouping = entries.filter(e => policies.get(e.receiver)?.group !== undefined)
  const silences = await rows<Facts['silences'][number]>(`SELECT id::text, kind, tenant, device, alert FROM silences WHERE begins_at <= ${moment('$2')} AND ends_at > ${moment('$2')} AND (pipeline IS NULL OR pipeline = $1) ORDER BY id`, [pipeline, micros(now)])
  const begun = await rows<Begun & { event: string, receiver: string }>("SELECT event, receiver, state, ready_at IS NOT NULL AS ready, error FROM alert_outbox WHERE event = ANY ($1)", [incidents.map(i => `${i}.firing`)])
  const over = await rows<{ incident: string }>("SELECT incident FROM alerts WHERE incident = ANY ($1) AND state = 'resolved'", [incidents])
  const acknowledged = await rows<{ incident: string }>('SELECT incident FROM alert_incidents WHERE incident = ANY ($1) AND acknowledged_at IS NOT NULL', [incidents])
  const told = await some<{ series: string, at: number }>(cooling, `
    SELECT e.series, (SELECT ${millis('max(o.ready_at)')} FROM alerts a JOIN alert_outbox o ON o.event = a.id AND o.receiver = e.receiver
      WHERE a.pipeline = $2 AND a.alert = e.alert AND a.tenant = e.tenant AND a.device = e.device AND a.metric = e.metric AND a.state = 'firing' AND o.state IN ('due', 'delivered')) AS at
    FROM jsonb_to_recordset($1::jsonb) AS e (series text, receiver text, alert text, tenant text, device text, metric text)`, [JSON.stringify(cooling.map(e => ({ ...e, series: seriesOf(e) }))), pipeline])
  const fired = await some<{ key: string, times: number }>(flapping, `
    SELECT e.key, (SELECT count(*)::int FROM alerts a WHERE a.pipeline = $2 AND a.alert = e.alert AND a.tenant = e.tenant AND a.device = e.device AND a.metric = e.metric AND a.state = 'firing' AND NOT a.stale AND a.ingested_at > ${moment('e.after')} AND a.ingested_at <= ${moment('$3')}) AS times
    FROM jsonb_to_recordset($1::jsonb) AS e (key text, after bigint, alert text, tenant text, device text, metric text)`,
  [JSON.stringify(flapping.map(e => ({ ...e, key: keyOf(e.event, e.receiver), after: micros(now - policies.get(e.receiver)!.flapping!.within) }))), pipeline, micros(now)])
  const waiting = await some<{ receiver: string, grouped: string, due: number }>(grouping, `SELECT receiver, grouped, ${millis('min(due)')} AS due FROM alert_outbox WHERE pipeline = $1 AND state = 'due' AND ready_at IS NULL AND grouped IS NOT NULL AND due > ${moment('$2')} GROUP BY 1, 2`, [pipeline, micros(now)])
  return {
    silences, over: new Set(over.map(r => r.incident)), acknowledged: new Set(acknowledged.map(r => r.incident)),
    begun: new Map(begun.map(b => [keyOf(b.event, b.receiver), b])), told: new Map(told.map(({ series, at }) => [series, at ?? -Infinity])),
    fired: new Map(fired.map(({ key, times }) => [key, times])), waiting: new Map(waiting.map(({ receiver, grouped, due }) => [keyOf(grouped, receiver), due]))
  }
}

/** Decisions in the order of events: what is decided of one counts for the next. */
class Decisions {
  readonly made = new Map<string, { readonly event: string, readonly receiver: string, readonly decision: Decision }>()
  private readonly now: number
  private readonly policies: ReadonlyMap<string, Policy> | undefined         // undefined: whoever there is, told at once
  private readonly facts: Facts
  private readonly leaders = new Map<string, string>()       // of groups that go now
  private readonly devices = new Map<string, (name: string) => boolean>()

  constructor (now: number, policies: ReadonlyMap<string, Policy> | undefined, facts: Facts) {
    this.now = now
    this.policies = policies
    this.facts = facts
  }

  take (entry: Entry): void {
    const decided = this.made.get(keyOf(entry.event, entry.receiver))
    if (decided !== undefined) return                          // with its end
    this.make(entry.event, entry.receiver, this.policies?.has(entry.receiver) === false ? this.unknown(entry) : entry.state === 'firing' ? this.firing(entry) : this.resolved(entry))
  }

  private make (event: string, receiver: string, decision: Decision): void {
    this.made.set(keyOf(event, receiver), { event, receiver, decision })
    if (event.endsWith('.firing')) this.facts.begun.set(keyOf(event, receiver), { state: decision.state, ready: decision.state === 'due' && decision.ready, error: 'error' in decision ? decision.error : null })
  }

  private unknown ({ posted, grouped }: Entry): Decision {
    if (this.now - posted >= DAY) return { state: 'suppressed', error: 'the pipeline has no such receiver' }
    return { state: 'due', ready: false, due: this.now + AGAIN, ...grouped === null ? {} : { grouped } }
  }

  private firing (entry: Entry): Decision {
    const { facts, now } = this, { receiver, incident, held, posted } = entry
    const { escalate, flapping, cooldown } = this.policies?.get(receiver) ?? {}
    const silence = facts.silences.find(s => (s.tenant ?? entry.tenant) === entry.tenant && (s.alert ?? entry.alert) === entry.alert && (s.device === null || this.isOf(s.device, s.kind, entry.device)))
    if (silence !== undefined) return { state: 'silenced', error: `${silence.kind} ${silence.id}` }
    if (held !== null && facts.over.has(incident)) return OVER
    if (escalate !== undefined && facts.acknowledged.has(incident)) return { state: 'suppressed', error: 'acknowledged' }
    if (escalate !== undefined && held === null) return { state: 'due', ready: false, due: posted + escalate, held: 'escalation' }
    if (flapping !== undefined && held !== 'flapping' && held !== 'group' && (facts.fired.get(keyOf(entry.event, receiver)) ?? 0) > flapping.times) return { state: 'due', ready: false, due: now + flapping.within, held: 'flapping' }
    const until = (facts.told.get(seriesOf(entry)) ?? -Infinity) + (cooldown ?? 0)
    if (cooldown !== undefined && held !== 'group' && until > now) return { state: 'due', ready: false, due: until, held: 'cooldown' }
    return this.gather(entry)
  }

  private resolved (entry: Entry): Decision {
    const firing = firingOf(entry), begun = this.facts.begun.get(keyOf(firing, entry.receiver))
    if (begun === undefined) return { state: 'suppressed', error: 'not told of the beginning' }
    if (begun.ready || begun.state === 'delivered' || begun.state === 'dead') return this.gather(entry)
    if (begun.state !== 'due') return { state: begun.state as 'silenced', error: begun.error ?? '' }
    this.make(firing, entry.receiver, OVER)
    return OVER
  }

  /** It may go: alone, with those that waited as long, or when those that come meanwhile are there too. */
  private gather (entry: Entry): Decision {
    const { waiting, told } = this.facts, { receiver, held, grouped } = entry, group = this.policies?.get(receiver)?.group
    if (group !== undefined && held !== 'group') {
      const key = JSON.stringify([entry.tenant, group.by === 'site' && entry.site !== null ? ['site', entry.site] : ['device', entry.device]])
      const due = waiting.get(keyOf(key, receiver)) ?? this.now + group.wait
      waiting.set(keyOf(key, receiver), due)
      return { state: 'due', ready: false, due, held: 'group', grouped: key }
    }
    if (entry.state === 'firing') told.set(seriesOf(entry), this.now)
    if (held !== 'group' || grouped === null) return { state: 'due', ready: true }
    const leader = this.leaders.get(keyOf(grouped, receiver)) ?? entry.event
    this.leaders.set(keyOf(grouped, receiver), leader)
    return { state: 'due', ready: true, leader }
  }

  private isOf (pattern: string, kind: string, device: string): boolean {
    if (kind === 'maintenance') return pattern === device
    let matches = this.devices.get(pattern)
    if (matches === undefined) this.devices.set(pattern, matches = matcher(pattern))
    return matches(device)
  }
}

const OVER: Decision = { state: 'suppressed', error: 'over before anybody was told' }

async function record (session: Session, now: number, made: Decisions['made']): Promise<void> {
  const changes = [...made.values()].map(({ event, receiver, decision: d }) => ({
    event, receiver, state: d.state, ready: d.state === 'due' && d.ready, due: 'due' in d ? micros(d.due) : null, held: 'held' in d ? d.held : null, grouped: 'grouped' in d ? d.grouped : null, leader: 'leader' in d ? d.leader : null, error: 'error' in d ? d.error : null
  }))
  await session.query(`
    UPDATE alert_outbox o SET state = e.state, ready_at = CASE WHEN e.ready THEN ${moment('$2')} END, due = coalesce(${moment('e.due')}, o.due), held = coalesce(e.held, o.held), grouped = e.grouped, leader = e.leader,
      error = e.error, settled_at = CASE WHEN e.state = 'due' THEN NULL ELSE ${moment('$2')} END
    FROM jsonb_to_recordset($1::jsonb) AS e (event text, receiver text, state text, ready boolean, due bigint, held text, grouped text, leader text, error text)
    WHERE o.event = e.event AND o.receiver = e.receiver AND o.ready_at IS NULL`, [JSON.stringify(changes), micros(now)])
}
