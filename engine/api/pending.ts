import { isoMicros } from '../iso.ts'
import type { AlertFilter, Page, Range } from '../query.ts'
import type { Run } from '../run.ts'

/** What is pending in the pipelines that run here, the newest first, as alerts are listed. */
export function pendingOf (runs: readonly Run[], { tenant, pipeline, alert, device, severity, open, acknowledged }: AlertFilter, { from, to }: Range, { limit, after }: Page): { rows: readonly object[], next?: string } {
  if (open === true || acknowledged === true) return { rows: [] }
  const placed = runs.filter(run => pipeline === undefined || run.pipeline.name === pipeline).flatMap(run => run.flow?.pending() ?? [])
    .filter(is => (tenant === undefined || is.tenant === tenant) && (alert === undefined || is.alert === alert) && (device === undefined || is.device === device) && (severity === undefined || is.severity === severity) && is.time >= from && is.time < to)
    .map(is => ({ us: Math.round(is.time * 1000), is })).toSorted((a, b) => b.us - a.us || (a.is.id < b.is.id ? 1 : -1))
  const [us, ...id] = after?.split('_') ?? [], behind = us === undefined ? placed : placed.filter(p => p.us < Number(us) || p.us === Number(us) && p.is.id < id.join('_')), last = behind[limit - 1]
  return {
    rows: behind.slice(0, limit).map(({ is }) => ({ ...is, since: isoMicros(is.since), time: isoMicros(is.time), value: null, evidence: {}, details: {}, stale: false, deliveries: [] })),
    ...behind.length > limit ? { next: `${last.us}_${last.is.id}` } : {}
  }
}
