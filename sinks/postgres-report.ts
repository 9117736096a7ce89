import type { AlertSummary, DeviceReport, Report, ReportAsked } from '#engine'
import type { Asks } from './postgres-pool.ts'
import { matching, MOMENT } from './postgres-query.ts'
import { identifier, literal } from './postgres-session.ts'

interface Slots { readonly tenant: string, readonly device: string, readonly site: string | null, readonly type: string | null, readonly series: number, readonly readings: number, readonly missing: number, readonly heard: number, readonly gap: number, readonly counts: Readonly<Record<string, number>> }
interface Fired { readonly tenant: string, readonly device: string, readonly pipeline: string, readonly alert: string, readonly severity: string, readonly blame: string | null, readonly fired: number, readonly open: number, readonly real: number, readonly false_alarm: number, readonly seconds: number }

/** Three statements, each over the devices that are chosen and the range: the index of the table finds their rows, and the time that a statement may take bounds what it costs. */
export async function report (pool: Asks, { table: { table, columns }, devices: filter, range: { from, to }, every, limit }: ReportAsked, now = Date.now()): Promise<Report> {
  const until = Math.min(to, Math.max(from, now)), slots = Math.ceil((until - from) / every)
  const alarms = columns.filter(c => c.endsWith('_alarm')), suspects = columns.filter(c => c === 'hygiene' || c === 'fault')
  const { where, values } = matching(filter, [from, to], 'd')
  const chosen = `chosen AS (SELECT d.id, d.tenant, d.device, d.site, d.type FROM (SELECT id, tenant, name AS device, site, type FROM devices) d WHERE $1::float8 < $2::float8${where} ORDER BY d.tenant, d.device LIMIT ${limit + 1}), ids AS (SELECT s.id AS series, c.id AS device FROM series s JOIN chosen c ON c.id = s.device)`
  const counted = [...alarms.map(c => `${literal(c)}, count(*) FILTER (WHERE r.${identifier(c)} = 1)`), ...suspects.map(c => `${literal(c)}, count(*) FILTER (WHERE r.${identifier(c)} <> 0)`)]
  const names = [...alarms, ...suspects], totals = names.map(c => `${literal(c)}, coalesce(sum((g.counts ->> ${literal(c)})::float8), 0)`)
  const found = await pool.ask<Slots>(`
    WITH ${chosen},
    slots AS (SELECT i.device, floor((extract(epoch FROM r.time)::float8 * 1000 - $1::float8) / ${every})::int AS slot, count(*) AS readings, count(*) FILTER (WHERE r.value IS NULL) AS missing, jsonb_build_object(${counted.join(', ')}) AS counts
      FROM ids i JOIN ${identifier(table)} r ON r.series = i.series AND r.time >= ${MOMENT(1)} AND r.time < ${MOMENT(2)} GROUP BY 1, 2),
    gaps AS (SELECT *, slot - lag(slot, 1, -1) OVER (PARTITION BY device ORDER BY slot) - 1 AS gap FROM slots)
    SELECT c.tenant, c.device, c.site, c.type, (SELECT count(*) FROM ids WHERE ids.device = c.id)::int AS series, coalesce(sum(g.readings), 0)::float8 AS readings, coalesce(sum(g.missing), 0)::float8 AS missing,
      count(g.slot) FILTER (WHERE g.slot < ${slots})::int AS heard, greatest(coalesce(max(g.gap), 0), ${slots} - 1 - coalesce(max(g.slot), -1))::int AS gap, jsonb_build_object(${totals.join(', ')}) AS counts
    FROM chosen c LEFT JOIN gaps g ON g.device = c.id GROUP BY c.id, c.tenant, c.device, c.site, c.type ORDER BY c.tenant, c.device`, values)
  const late = await pool.ask<{ tenant: string, device: string, late: number }>(`WITH ${chosen} SELECT c.tenant, c.device, count(DISTINCT (l.series, l.time, l.value))::float8 AS late FROM ids i JOIN chosen c ON c.id = i.device JOIN late_readings l ON l.series = i.series AND l.time >= ${MOMENT(1)} AND l.time < ${MOMENT(2)} GROUP BY 1, 2`, values)
  const fired = await pool.ask<Fired>(`
    WITH ${chosen}
    SELECT a.tenant, a.device, a.pipeline, a.alert, a.severity, a.details ->> 'verdict' AS blame, count(*)::int AS fired, count(*) FILTER (WHERE e.id IS NULL)::int AS open, count(*) FILTER (WHERE i.verdict = 'real')::int AS real, count(*) FILTER (WHERE i.verdict = 'false alarm')::int AS false_alarm,
      sum(extract(epoch FROM least(coalesce(e.time, to_timestamp(${until} / 1000.0)), to_timestamp(${until} / 1000.0)) - greatest(a.time, ${MOMENT(1)})))::float8 AS seconds
    FROM chosen c JOIN alerts a ON a.tenant = c.tenant AND a.device = c.device LEFT JOIN alerts e ON e.id = a.incident || '.resolved' LEFT JOIN alert_incidents i ON i.incident = a.incident
    WHERE a.state = 'firing' AND a.time < ${MOMENT(2)} AND (a.time >= ${MOMENT(1)} OR e.id IS NULL OR e.time > ${MOMENT(1)}) GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 4, 3, 6`, values)
  const of = <T extends { readonly tenant: string, readonly device: string }>(rows: readonly T[], { tenant, device }: Slots): readonly T[] => rows.filter(r => r.tenant === tenant && r.device === device)
  const devices = found.slice(0, limit).map((row): DeviceReport => {
    const { tenant, device, site, type, series, readings, missing, heard, gap, counts } = row, part = (of: readonly string[]) => Object.fromEntries(of.map(c => [c, counts[c]]))
    return { tenant, device, site, type, series, readings, missing, late: of(late, row)[0]?.late ?? 0, availability: slots === 0 ? null : heard / slots, longestGap: gap * every / 1000, anomalies: part(alarms), suspect: part(suspects), alerts: summed(of(fired, row)) }
  })
  return { from: new Date(from).toISOString(), to: new Date(until).toISOString(), every: every / 1000, table, devices, truncated: found.length > limit }
}

/** Alerts of one device, by name and pipeline. */
function summed (rows: readonly Fired[]): AlertSummary[] {
  const all = new Map<string, AlertSummary>()
  for (const { pipeline, alert, severity, blame, fired, open, real, false_alarm: falseAlarm, seconds } of rows) {
    const key = JSON.stringify([pipeline, alert]), before = all.get(key) ?? { pipeline, alert, severity, fired: 0, open: 0, seconds: 0, real: 0, falseAlarm: 0, notJudged: 0, verdicts: {} }
    all.set(key, {
      ...before, severity, fired: before.fired + fired, open: before.open + open, seconds: before.seconds + Math.max(0, seconds), real: before.real + real, falseAlarm: before.falseAlarm + falseAlarm, notJudged: before.notJudged + fired - real - falseAlarm,
      verdicts: blame === null ? before.verdicts : { ...before.verdicts, [blame]: (before.verdicts[blame] ?? 0) + fired }
    })
  }
  return [...all.values()]
}
