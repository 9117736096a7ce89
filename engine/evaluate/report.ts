import type { Breakdown, Figures } from './figures.ts'
import type { Extent } from './history.ts'
import type { Incident, Judged, JudgedAlert, Rules } from './judge.ts'
import type { Counts } from '../tally.ts'

/** All that an evaluation has found, before it is shown. */
export interface Evaluation {
  readonly pipeline: string
  readonly file: string
  readonly data: readonly string[]
  readonly labelled: string          // where labels came from, in words
  readonly rules: Rules
  readonly counts: Counts
  readonly extents: ReadonlyMap<string, Extent>
  readonly series: number
  readonly judged: Judged
  readonly breakdown: Breakdown
  readonly notes: readonly string[]
}

/** The same as plain data, for programs. Times are ISO 8601, spans in ms. */
export function reportOf ({ pipeline, file, data, labelled, rules, counts, extents, series, judged, breakdown, notes }: Evaluation) {
  const incident = ({ alert, severity, device, metric, at, about, over, message, details }: Incident) =>
    ({ alert, severity, device, metric, said: iso(at), about: iso(about), over: over === undefined ? null : iso(over), message, ...details, version: undefined })      // that is of the pipeline, not of an alert
  const map = (figures: ReadonlyMap<string, Figures>) => [...figures].map(([name, f]) => ({ name, ...f }))
  return {
    pipeline, file, data, labels_from: labelled,
    rules: { tolerance_ms: rules.tolerance, probation: rules.probation, by: rules.by },
    readings: { received: counts.received, late: counts.late, deduplicated: counts.deduplicated, dead_lettered: counts.dead_lettered, devices: extents.size, series },
    from: extents.size === 0 ? null : iso(Math.min(...[...extents.values()].map(e => e.first))),
    to: extents.size === 0 ? null : iso(Math.max(...[...extents.values()].map(e => e.last))),
    notes, ...breakdown.all,
    kinds: map(breakdown.kinds).map(({ name, labels, found, missed, recall, recall_95, delay_ms }) => ({ kind: name, labels, found, missed, recall, recall_95, delay_ms })),
    devices: map(breakdown.devices).map(({ name, ...f }) => ({ device: name, ...f })),
    alert_rules: map(breakdown.alerts).map(({ name, ...f }) => ({ alert: name, ...f })),
    label_list: judged.labels.map(({ device, metric, kind, from, to, verdict, delay, alerts, already }) =>
      ({ device, metric, kind, from: iso(from), to: iso(to), verdict, delay_ms: delay ?? null, alerts: alerts.length, first: alerts[0]?.alert ?? null, firing_since: already === undefined ? null : iso(already.at) })),
    alert_list: judged.alerts.map((a: JudgedAlert) => ({ ...incident(a), verdict: a.verdict }))
  }
}
const iso = (ms: number): string => new Date(ms).toISOString()
