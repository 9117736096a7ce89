import { MillraceError } from '../errors.ts'
import { groupBy } from '../group.ts'
import { suggest } from '../options.ts'
import type { SeriesTable } from '../series.ts'
import type { Extent } from './history.ts'
import type { Label } from './label.ts'
import { count, listed } from './words.ts'

/**
 * The labels that belong to the data, and a sentence for whatever is odd: devices and metrics that the data do not have,
 * times outside of their device's readings, labels that overlap. Those that cannot be judged are left out. Throws when none is left.
 */
export function fitLabels (labels: readonly Label[], extents: ReadonlyMap<string, Extent>, series: SeriesTable): { readonly labels: Label[], readonly warnings: string[] } {
  const warnings: string[] = []
  const metrics = new Map<string, Set<string>>()
  for (let s = 0; s < series.size; s++) {
    const { device, metric } = series.name(s)
    metrics.set(device, (metrics.get(device) ?? new Set()).add(metric))
  }
  const say = (wrong: readonly Label[], name: (label: Label) => string, one: string, many = one): void => {
    if (wrong.length === 0) return
    const names = [...new Set(wrong.map(name))]
    warnings.push(`${count(wrong.length, 'label')} ${wrong.length === 1 ? one : many}: ${listed(names)}`)
  }
  const place = (l: Label) => `${l.metric === '' ? l.device : `${l.device} ${l.metric}`} ${iso(l.from)}`
  const strange = labels.filter(l => !extents.has(l.device))
  if (labels.length > 0 && strange.length === labels.length) {
    const names = [...new Set(strange.map(l => l.device))]
    throw new MillraceError('usage/labels', `no label is of a device in the data; labelled are ${listed(names)}`, { help: suggest(names[0], [...extents.keys()].slice(0, 20)) })
  }
  say(strange, l => l.device, 'left out, of devices that are not in the data')
  const known = labels.filter(l => extents.has(l.device))
  const unmeasured = (l: Label) => l.metric !== '' && !metrics.get(l.device)!.has(l.metric)
  say(known.filter(unmeasured), l => `${l.device} ${l.metric}`, 'left out, of metrics that their device does not have')
  const outside = (l: Label) => l.from > extents.get(l.device)!.last || l.to < extents.get(l.device)!.first
  const measured = known.filter(l => !unmeasured(l))
  say(measured.filter(outside), place, 'left out, outside of the time in which there are readings of their device')
  const fit = measured.filter(l => !outside(l))
  if (known.length > 0 && fit.length === 0) throw new MillraceError('usage/labels', `no label can be judged: ${warnings.join('; ')}`, { help: 'check the time zone of the labels, and the names of metrics' })
  say(fit.filter(l => l.from < extents.get(l.device)!.first), place, 'begins before the first reading of its device; the delay counts from the label', 'begin before the first reading of their device; the delay counts from the label')
  say(overlaps(fit), place, 'overlaps an earlier one of the same device and metric; an alert in both finds both', 'overlap earlier ones of the same device and metric; an alert in two finds both')
  const labelled = new Set(fit.map(l => l.device)), unlabelled = [...extents.keys()].filter(device => !labelled.has(device))
  if (fit.length > 0 && unlabelled.length > 0) warnings.push(`${unlabelled.length === 1 ? '1 device has no label, so that whatever is said of it' : `${unlabelled.length} devices have no label, so that whatever is said of them`} is false: ${listed(unlabelled)}`)
  return { labels: fit, warnings }
}

function overlaps (labels: readonly Label[]): Label[] {
  return [...groupBy(labels, l => JSON.stringify([l.device, l.metric])).values()].flatMap(own => {
    let end = -Infinity
    return own.toSorted((a, b) => a.from - b.from).filter(l => {
      const overlapping = l.from < end
      end = Math.max(end, l.to)
      return overlapping
    })
  })
}

const iso = (ms: number): string => new Date(ms).toISOString()
