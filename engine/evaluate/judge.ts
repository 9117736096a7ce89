/**
 * Alerts against labels. A label is found when an alert of its device (and of its metric, when it names one) is said
 * between its beginning and `tolerance` after its end; several alerts in one label count once. An alert in no label is
 * false. What begins in the probation, the first part of a device's readings, counts neither way: neither labels, nor alerts, nor alerts in such labels.
 */
import type { AlertEvent } from '../alert.ts'
import type { Details } from '../explain.ts'
import { groupBy } from '../group.ts'
import type { Extent, Said } from './history.ts'
import type { Label } from './label.ts'

export interface Rules {
  readonly tolerance: number         // ms after the end of a label in which an alert still finds it
  readonly probation: { readonly ms: number } | { readonly share: number }     // at the beginning of each device
  readonly by: 'metric' | 'device'   // 'device': the metric that a label names does not matter
}

/** From firing to resolved. */
export interface Incident {
  readonly alert: string
  readonly severity: AlertEvent['severity']
  readonly device: string
  readonly metric: string
  readonly at: number                // when it was said, ms
  readonly about: number             // event time of the row that fired: of a window its start, ms
  readonly over: number | undefined  // when its end was said
  readonly message: string
  readonly details: Details | undefined
}
export interface JudgedAlert extends Incident { readonly verdict: 'true' | 'false' | 'excluded' }
export interface JudgedLabel extends Label {
  readonly verdict: 'found' | 'missed' | 'excluded'
  readonly alerts: readonly JudgedAlert[]        // in it, in their order
  readonly delay: number | undefined             // from its beginning to the first of them, ms
  readonly already: JudgedAlert | undefined      // missed, and this one was firing since before it began
}
export interface Judged {
  readonly labels: readonly JudgedLabel[]        // by their beginning
  readonly alerts: readonly JudgedAlert[]        // by the time at which they were said
  readonly healthy: ReadonlyMap<string, number>  // by device: ms that count and lie in no label
  readonly counted: ReadonlyMap<string, number>  // by device: from here on, ms
}

/** Firings with their ends. */
export function incidentsOf (said: readonly Said[]): Incident[] {
  const open = new Map<string, Mutable<Incident>>(), all: Incident[] = []
  for (const { event, at } of said) {
    if (event.state === 'firing') {
      const { alert, severity, device, metric, time, message, details } = event
      const incident = { alert, severity, device, metric, at, about: time, over: undefined, message, details }
      open.set(event.incident, incident)
      all.push(incident)
    } else {
      const incident = open.get(event.incident)
      if (incident !== undefined) incident.over = at
      open.delete(event.incident)
    }
  }
  return all
}
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export function judge (labels: readonly Label[], incidents: readonly Incident[], extents: ReadonlyMap<string, Extent>, rules: Rules): Judged {
  const { tolerance, probation, by } = rules
  const counted = new Map([...extents].map(([device, { first, last }]) => [device, first + ('ms' in probation ? probation.ms : probation.share * (last - first))]))
  const begins = (device: string) => counted.get(device) ?? -Infinity
  const ofDevice = groupBy(labels, l => l.device)
  const about = (label: Label, { metric }: Incident) => by === 'device' || label.metric === '' || label.metric === metric
  const holds = (label: Label, incident: Incident) => about(label, incident) && incident.at >= label.from && incident.at <= label.to + tolerance
  const excluded = (label: Label) => label.from < begins(label.device)

  const alerts = incidents.map((incident): JudgedAlert => {
    const holding = (ofDevice.get(incident.device) ?? []).filter(label => holds(label, incident))
    const out = incident.at < begins(incident.device) || (holding.length > 0 && holding.every(excluded))
    return { ...incident, verdict: out ? 'excluded' : holding.length > 0 ? 'true' : 'false' }
  }).toSorted((a, b) => a.at - b.at)
  const alertsOf = groupBy(alerts, a => a.device)
  const judged = labels.map((label): JudgedLabel => {
    const own = alertsOf.get(label.device) ?? [], inside = own.filter(alert => holds(label, alert))
    const by = judgedBy(inside, label, excluded(label))
    return {
      ...label, ...by,
      already: by.verdict === 'missed' ? own.findLast(alert => about(label, alert) && alert.at < label.from && (alert.over ?? Infinity) > label.from) : undefined
    }
  }).toSorted((a, b) => a.from - b.from)
  const healthy = new Map([...extents].map(([device, { last }]) => [device, Math.max(0, last - begins(device)) - covered(ofDevice.get(device) ?? [], begins(device), last, tolerance)]))
  return { labels: judged, alerts, healthy, counted }
}

/** What these alerts, all of which lie in a label, make of it. */
export function judgedBy (alerts: readonly JudgedAlert[], { from }: Label, excluded: boolean): Pick<JudgedLabel, 'verdict' | 'alerts' | 'delay'> {
  const verdict = excluded ? 'excluded' : alerts.length > 0 ? 'found' : 'missed'
  return { verdict, alerts, delay: verdict === 'found' ? alerts[0].at - from : undefined }
}

/** How much of the time from `from` to `to` lies in labels, ms. */
function covered (labels: readonly Label[], from: number, to: number, tolerance: number): number {
  let sum = 0, end = from
  for (const label of labels.toSorted((a, b) => a.from - b.from)) {
    const begin = Math.max(label.from, end), stop = Math.min(label.to + tolerance, to)
    if (stop <= begin) continue
    sum += stop - begin
    end = stop
  }
  return sum
}
