import { visible } from '../names.ts'
import { html, type Html } from './html.ts'
import type { Extent } from './history.ts'
import type { Judged } from './judge.ts'
import { arrow, timeAxis, WIDTH } from './plot.ts'
import { spanTicks, timeTicks } from './scale.ts'

const ROW = 26, TOP = 8, NAME = 200, RIGHT = 12
const APART = 0.2                    // of all time: devices that are there for less are drawn from their own beginnings

/** Do most devices lie in times of their own, so that one axis for all would squeeze them? */
export function apart (extents: readonly Extent[]): boolean {
  const all = Math.max(...extents.map(e => e.last)) - Math.min(...extents.map(e => e.first)), lengths = extents.map(e => e.last - e.first).sort((a, b) => a - b)
  return lengths[lengths.length >> 1] < APART * all
}

/** All labels and alerts of some devices, a line for each: where it went wrong, at one glance. */
export function timeline ({ labels, alerts, counted }: Judged, extents: ReadonlyMap<string, Extent>, devices: readonly string[], description: string): Html {
  const shown = devices.map(d => extents.get(d)!), relative = apart(shown)
  const from = relative ? 0 : Math.min(...shown.map(e => e.first)), to = relative ? Math.max(...shown.map(e => e.last - e.first)) : Math.max(...shown.map(e => e.last))
  const bottom = TOP + devices.length * ROW
  const x = (time: number) => NAME + Math.min(1, Math.max(0, (time - from) / Math.max(to - from, 1))) * (WIDTH - NAME - RIGHT)
  return html`<svg viewBox="0 0 ${WIDTH} ${bottom + 34}" role="img" aria-labelledby="map-t map-d"><title id="map-t">Labels and alerts of each device over time</title><desc id="map-d">${description}</desc>
${devices.map((device, k) => {
  const y = TOP + k * ROW, { first, last } = extents.get(device)!, start = counted.get(device)!, at = (time: number) => r(x(relative ? time - first : time))
  return html`<text class="tick name" text-anchor="end" x="${NAME - 10}" y="${y + 20}">${middle(visible(device))}</text><line class="life" x1="${at(first)}" x2="${at(last)}" y1="${y + 16}" y2="${y + 16}"/>${start > first && html`<rect class="learning" x="${at(first)}" y="${y + 10}" width="${r(at(Math.min(start, last)) - at(first))}" height="12"/>`}${
    labels.filter(l => l.device === device).map(l => html`<rect class="bar ${l.verdict}" x="${at(l.from)}" y="${y + 10}" width="${r(Math.max(2.5, at(l.to) - at(l.from)))}" height="12"/>`)}${
    once(alerts.filter(a => a.device === device).map(a => ({ place: at(a.at), verdict: a.verdict }))).map(a => arrow(a.place, y + 9, a.verdict))}`
})}
${timeAxis(from, to, x, bottom, relative ? spanTicks(to, 6) : timeTicks(from, to, 7))}</svg>`
}

const r = (x: number): number => Math.round(x * 10) / 10
/** Long names are alike at their beginning: the middle is left out. */
const middle = (name: string): string => name.length > 28 ? `${name.slice(0, 12)}…${name.slice(-15)}` : name
/** What would stand on one another is drawn once. */
const once = (marks: readonly { readonly place: number, readonly verdict: string }[]) => [...new Map(marks.map(m => [`${Math.round(m.place)} ${m.verdict}`, m])).values()]
