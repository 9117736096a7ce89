import { html, visible, type Html } from './html.ts'
import type { Judged } from './judge.ts'
import { arrow, LEFT, timeAxis, timeScale, WIDTH } from './plot.ts'
import type { Extent } from './history.ts'

const ROW = 26, TOP = 8, NAME = 150

/** All labels and alerts of some devices, a line for each: where it went wrong, at one glance. */
export function timeline ({ labels, alerts, counted }: Judged, extents: ReadonlyMap<string, Extent>, devices: readonly string[], description: string): Html {
  const shown = devices.map(d => extents.get(d)!)
  const from = Math.min(...shown.map(e => e.first)), to = Math.max(...shown.map(e => e.last))
  const bottom = TOP + devices.length * ROW, plain = timeScale(from, to)
  const x = (time: number) => NAME + (plain(time) - LEFT) * (WIDTH - NAME - 10) / (WIDTH - LEFT - 10)
  return html`<svg viewBox="0 0 ${WIDTH} ${bottom + 34}" role="img" aria-labelledby="map-t map-d"><title id="map-t">Labels and alerts of each device over time</title><desc id="map-d">${description}</desc>
${devices.map((device, k) => {
  const y = TOP + k * ROW, { first, last } = extents.get(device)!, name = visible(device), start = counted.get(device)!
  return html`<text class="tick name" text-anchor="end" x="${NAME - 8}" y="${y + 17}">${name.length > 20 ? `${name.slice(0, 19)}…` : name}</text><line class="life" x1="${r(x(first))}" x2="${r(x(last))}" y1="${y + 16}" y2="${y + 16}"/>${start > first && html`<rect class="learning" x="${r(x(first))}" y="${y + 10}" width="${r(x(Math.min(start, last)) - x(first))}" height="12"/>`}${
    labels.filter(l => l.device === device).map(l => html`<rect class="bar ${l.verdict}" x="${r(x(l.from))}" y="${y + 10}" width="${r(Math.max(2.5, x(l.to) - x(l.from)))}" height="12"/>`)}${
    once(alerts.filter(a => a.device === device).map(a => ({ place: r(x(a.at)), verdict: a.verdict }))).map(a => arrow(a.place, y + 9, a.verdict))}`
})}
${timeAxis(from, to, x, bottom)}</svg>`
}

const r = (x: number): number => Math.round(x * 10) / 10
/** What would stand on one another is drawn once. */
const once = (marks: readonly { readonly place: number, readonly verdict: string }[]) => [...new Map(marks.map(m => [`${Math.round(m.place)} ${m.verdict}`, m])).values()]
