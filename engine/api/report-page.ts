import type { DeviceReport, Report } from '../query.ts'
import { span } from '../options.ts'
import { escape } from './status.ts'

const percent = (share: number | null): string => share === null ? '' : `${(100 * share).toFixed(share < 1 && share > 0.999 ? 3 : 1)} %`
const number = (n: number): string => n.toLocaleString('en')
const time = (seconds: number): string => seconds < 1 ? '0s' : span(Math.round(seconds) * 1000)
const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)
const row = (cells: readonly unknown[], tag = 'td'): string => `<tr>${cells.map(cell => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`
const table = (head: readonly string[], rows: readonly (readonly unknown[])[]): string => rows.length === 0 ? '<p>None.</p>' : `<table>${row(head, 'th')}${rows.map(cells => row(cells)).join('')}</table>`

/** A report as one page that needs nothing else: to read, to print, to keep. */
export function reportPage ({ from, to, every, table: name, devices, truncated }: Report, of: Readonly<Record<string, string | undefined>>): string {
  const what = Object.entries(of).filter(([, value]) => value !== undefined).map(([key, value]) => `${key} ${value}`).join(', ') || 'all devices', alerts = devices.flatMap(d => d.alerts.map(alert => ({ ...alert, device: d.device })))
  const worst = devices.toSorted((a, b) => (a.availability ?? 1) - (b.availability ?? 1)), parts = (counts: Readonly<Record<string, number>>) => Object.entries(counts).map(([key, n]) => `${key} ${number(n)}`).join(', ')
  const quality = (d: DeviceReport) => [d.device, d.series, number(d.readings), number(d.missing), number(d.late), parts(d.suspect), parts(d.anomalies)]
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Millrace report: ${escape(what)}</title>
<style>body{font:14px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b2733;background:#fff}h1{font-size:1.3rem}h2{font-size:1.05rem;margin-top:2rem}table{border-collapse:collapse;width:100%;margin:.5rem 0}td,th{padding:.15rem .9rem .15rem 0;text-align:left;vertical-align:top;font-variant-numeric:tabular-nums;border-bottom:1px solid #e3e9ee}th{font-weight:600;border-bottom:1px solid #8899a8}tr{break-inside:avoid}@media print{body{margin:0;max-width:none}h2{break-after:avoid}}</style></head><body>
<h1>Report: ${escape(what)}</h1>
<p>${escape(from)} to ${escape(to)}, event time; table ${escape(name)}. ${devices.length} devices${truncated ? ', and there are more than are listed' : ''}, ${number(devices.reduce((n, d) => n + d.readings, 0))} readings, ${number(alerts.reduce((n, a) => n + a.fired, 0))} alerts, ${number(devices.reduce((n, d) => n + sum(d.anomalies), 0))} anomalies.</p>
<h2>Availability</h2><p>The share of parts of ${escape(time(every))} in which a device was heard, the least first.</p>
${table(['device', 'site', 'type', 'availability', 'longest gap'], worst.map(d => [d.device, d.site ?? '', d.type ?? '', percent(d.availability), time(d.longestGap)]))}
<h2>Alerts</h2>
${table(['device', 'pipeline', 'alert', 'severity', 'fired', 'open', 'for', 'real', 'false alarm', 'not judged', 'verdicts'], alerts.map(a => [a.device, a.pipeline, a.alert, a.severity, a.fired, a.open, time(a.seconds), a.real, a.falseAlarm, a.notJudged, parts(a.verdicts)]))}
<h2>Data</h2>
${table(['device', 'series', 'readings', 'without value', 'late', 'sensor suspect', 'anomalies'], devices.map(quality))}
</body></html>`
}
