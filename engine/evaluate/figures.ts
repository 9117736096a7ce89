import { groupBy } from '../group.ts'
import { judgedBy, type Judged, type JudgedAlert, type JudgedLabel } from './judge.ts'

const WEEK = 7 * 24 * 3600_000

/** How well alerts and labels agree. Rates and times are null when there is nothing to take them from. */
export interface Figures {
  readonly labels: number            // that count
  readonly found: number
  readonly missed: number
  readonly alerts: number            // that count
  readonly false_alarms: number
  readonly recall: number | null               // found / labels
  readonly precision: number | null            // found / (found + false alarms)
  readonly f1: number | null                   // the harmonic mean of both
  readonly recall_95: readonly [number, number] | null
  readonly precision_95: readonly [number, number] | null
  readonly delay_ms: { readonly median: number, readonly p90: number, readonly max: number } | null
  readonly device_weeks: number                // that count and lie in no label
  readonly false_alarms_per_device_week: number | null
  readonly false_alarms_per_device_week_95: readonly [number, number] | null
}

/** The figures of some labels and alerts; `healthy`: ms of all devices that lie in no label. */
export function figuresOf (labels: readonly JudgedLabel[], alerts: readonly JudgedAlert[], healthy: number): Figures {
  const counted = labels.filter(l => l.verdict !== 'excluded'), found = counted.filter(l => l.verdict === 'found').length
  const wrong = alerts.filter(a => a.verdict === 'false').length
  const recall = ratio(found, counted.length), precision = ratio(found, found + wrong)
  const delays = counted.flatMap(l => l.delay ?? []).sort((a, b) => a - b)
  const device_weeks = healthy / WEEK
  return {
    labels: counted.length, found, missed: counted.length - found,
    alerts: alerts.filter(a => a.verdict !== 'excluded').length, false_alarms: wrong,
    recall, precision, f1: recall === null || precision === null ? null : recall + precision === 0 ? 0 : 2 * recall * precision / (recall + precision),
    recall_95: wilson(found, counted.length), precision_95: wilson(found, found + wrong),
    delay_ms: delays.length === 0 ? null : { median: rank(delays, 0.5), p90: rank(delays, 0.9), max: delays[delays.length - 1] },
    device_weeks, false_alarms_per_device_week: ratio(wrong, device_weeks), false_alarms_per_device_week_95: device_weeks > 0 ? poisson(wrong).map(n => n / device_weeks) as [number, number] : null
  }
}

export interface Breakdown {
  readonly all: Figures
  readonly kinds: ReadonlyMap<string, Figures>         // recall and delay; an alert has no kind
  readonly devices: ReadonlyMap<string, Figures>
  readonly alerts: ReadonlyMap<string, Figures>        // as if there were only this alert
}

export function breakDown ({ labels, alerts, healthy }: Judged, names: readonly string[]): Breakdown {
  const total = [...healthy.values()].reduce((a, b) => a + b, 0)
  const only = (name: string) => labels.map((label): JudgedLabel => ({ ...label, ...judgedBy(label.alerts.filter(a => a.alert === name), label, label.verdict === 'excluded') }))
  const labelsOf = groupBy(labels, l => l.device), alertsOf = groupBy(alerts, a => a.device), fired = groupBy(alerts, a => a.alert)
  return {
    all: figuresOf(labels, alerts, total),
    kinds: new Map([...groupBy(labels, l => l.kind)].map(([kind, own]) => [kind, figuresOf(own, [], 0)])),
    devices: new Map([...healthy].map(([device, ms]) => [device, figuresOf(labelsOf.get(device) ?? [], alertsOf.get(device) ?? [], ms)])),
    alerts: new Map(names.map(name => [name, figuresOf(only(name), fired.get(name) ?? [], total)]))
  }
}

const ratio = (a: number, b: number): number | null => b > 0 ? a / b : null
/** The nearest rank. `sorted` is not empty. */
const rank = (sorted: readonly number[], q: number): number => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]

/** 95 % interval of the mean of a number that comes by chance (Byar's approximation; Breslow and Day 1987): within a percent of the exact one. */
export function poisson (n: number): readonly [number, number] {
  const end = (n: number, z: number) => n === 0 ? 0 : n * (1 - 1 / (9 * n) + z / (3 * Math.sqrt(n))) ** 3
  return [end(n, -1.959964), end(n + 1, 1.959964)]
}

/** 95 % interval of a share (Wilson 1927): what so few cases allow to say. */
export function wilson (k: number, n: number): readonly [number, number] | null {
  if (n === 0) return null
  const z = 1.959964, p = k / n, centre = p + z * z / (2 * n), half = z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)), whole = 1 + z * z / n
  return [Math.max(0, (centre - half) / whole), Math.min(1, (centre + half) / whole)]
}
