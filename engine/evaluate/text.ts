import { visible } from '../names.ts'
import type { Evaluation } from './report.ts'
import { confident, count, lasting, moment, rarely, rate, share, short, why } from './words.ts'

const LISTED = 10                    // of what was missed and of false alarms

/** The evaluation for a terminal. */
export function textOf ({ pipeline, counts, extents, series, judged, breakdown, notes }: Evaluation): string {
  const { all, kinds, devices, alerts } = breakdown
  const lines: string[] = [`${visible(pipeline)}: ${count(counts.received, 'reading')} of ${series} series, ${count(extents.size, 'device')}`, '']
  lines.push(...columns([
    ['labels', String(all.labels), all.labels === 0 ? '' : `${all.found} found, ${all.missed} missed`],
    ['recall', share(all.recall), confident(all.recall_95)],
    ['false alarms', String(all.false_alarms), `${rate(all.false_alarms_per_device_week)} per device and week, in ${short(all.device_weeks)} device weeks without a label${all.false_alarms_per_device_week_95 === null ? '' : `: ${rarely(all.false_alarms_per_device_week_95)}`}`],
    ['precision', share(all.precision), confident(all.precision_95)],
    ['delay', all.delay_ms === null ? '-' : lasting(all.delay_ms.median), all.delay_ms === null ? '' : `median; 90 % within ${lasting(all.delay_ms.p90)}, all within ${lasting(all.delay_ms.max)}`]
  ]))
  const table = (head: readonly string[], rows: readonly (readonly string[])[]) => { if (rows.length > 0) lines.push('', ...columns([head, ...rows])) }
  const delay = (f: { readonly delay_ms: { readonly median: number } | null }) => f.delay_ms === null ? '-' : lasting(f.delay_ms.median)
  table(['kind', 'labels', 'found', 'recall', 'median delay'], (kinds.size > 1 || !kinds.has('') ? [...kinds] : []).map(([kind, f]) => [kind === '' ? '(none)' : visible(kind), String(f.labels), String(f.found), share(f.recall), delay(f)]))
  table(['alert', 'fired', 'found', 'false', 'per device and week'], [...alerts].map(([alert, f]) => [visible(alert), String(f.alerts), String(f.found), String(f.false_alarms), rate(f.false_alarms_per_device_week)]))
  const told = [...devices].filter(([, f]) => f.labels + f.alerts > 0)
  table(['device', 'labels', 'found', 'false', 'per week'], told.slice(0, 2 * LISTED).map(([device, f]) => [visible(device), String(f.labels), String(f.found), String(f.false_alarms), rate(f.false_alarms_per_device_week)]))
  if (told.length > 2 * LISTED) lines.push(`and ${told.length - 2 * LISTED} more devices`)
  const missed = judged.labels.filter(l => l.verdict === 'missed'), wrong = judged.alerts.filter(a => a.verdict === 'false')
  table(['missed', '', 'from', 'lasts'], missed.slice(0, LISTED).map(l => [visible(`${l.device} ${l.metric}`).trim(), visible(l.kind), moment(l.from), lasting(l.to - l.from)]))
  if (missed.length > LISTED) lines.push(`and ${missed.length - LISTED} more`)
  table(['false alarm', 'alert', 'said', 'why'], wrong.slice(0, LISTED).map(a => [visible(`${a.device} ${a.metric}`), visible(a.alert), moment(a.at), visible(why(a.details))]))
  if (wrong.length > LISTED) lines.push(`and ${wrong.length - LISTED} more`)
  if (notes.length > 0) lines.push('', ...notes.map(note => `note: ${visible(note)}`))
  return `${lines.join('\n')}\n`
}

/** Cells under one another, as wide as the widest. */
function columns (rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, c) => Math.max(...rows.map(row => row[c].length)))
  return rows.map(row => row.map((cell, c) => cell.padEnd(widths[c])).join('  ').trimEnd())
}
