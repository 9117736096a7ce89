/** A series as a picture: values, expected range, alerts and labels above; what the alerts read below. Plain SVG, without scripts. */
import { visible } from '../names.ts'
import { html, type Html } from './html.ts'
import type { JudgedAlert, JudgedLabel } from './judge.ts'
import { ticksOf, timeTicks } from './scale.ts'
import type { Layout } from './scene.ts'
import type { Trace } from './trace.ts'
import { short } from './words.ts'

export const WIDTH = 960
export const LEFT = 62, RIGHT = 10
const TOP = 30, VALUES = 150, SCORE = 54, GAP = 12, BOTTOM = 34
export const SPANS = 600             // of a trace: about one for one and a half units of width

export interface Drawing {
  readonly id: string                // unique in the page
  readonly title: string
  readonly description: string       // what can be seen, for those who cannot see it
  readonly trace: Trace
  readonly layout: Layout
  readonly labels: readonly JudgedLabel[]
  readonly alerts: readonly JudgedAlert[]
  readonly counted: number           // ms; before it is the probation
}

export function plot ({ id, title, description, trace, layout, labels, alerts, counted }: Drawing): Html {
  const panels = ['value', ...layout.scores]
  const bottom = TOP + VALUES + (panels.length - 1) * (SCORE + GAP), height = bottom + BOTTOM
  const x = timeScale(trace.from, trace.to)
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-t ${id}-d"><title id="${id}-t">${title}</title><desc id="${id}-d">${description}</desc>
${counted > trace.from && html`<rect class="learning" x="${LEFT}" y="${TOP}" width="${n(x(Math.min(counted, trace.to)) - LEFT)}" height="${bottom - TOP}"/><text class="tick" x="${LEFT + 4}" y="${TOP + 12}">not counted</text>`}
${bands(labels, x, TOP, bottom)}
${panels.map((column, k) => panel(trace, layout, column, k === 0 ? TOP : TOP + VALUES + GAP + (k - 1) * (SCORE + GAP), k === 0 ? VALUES : SCORE, `${id}-c${k}`))}
${timeAxis(trace.from, trace.to, x, bottom)}
${marks(alerts, x, TOP, bottom)}
</svg>`
}

/** Time to a place on the page. */
export const timeScale = (from: number, to: number) => (time: number): number => LEFT + (Math.min(Math.max(time, from), to) - from) / Math.max(to - from, 1) * (WIDTH - LEFT - RIGHT)

export function timeAxis (from: number, to: number, x: (time: number) => number, y: number, ticks = timeTicks(from, to, 8)): Html {
  return html`<line class="axis" x1="${n(x(from))}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"/>${ticks.map(({ at, words, day }) => {
    const place = n(x(at)), anchor = x(at) > WIDTH - 45 ? 'end' : x(at) < LEFT + 25 ? 'start' : 'middle'
    return html`<line class="axis" x1="${place}" x2="${place}" y1="${y}" y2="${y + 4}"/><text class="tick" text-anchor="${anchor}" x="${place}" y="${y + 16}">${words}</text>${day !== undefined && html`<text class="tick" text-anchor="${anchor}" x="${place}" y="${y + 29}">${day}</text>`}`
  })}`
}

function bands (labels: readonly JudgedLabel[], x: (time: number) => number, top: number, bottom: number): Html[] {
  let free = -Infinity               // where the next name has room
  return labels.map(({ from, to, kind, verdict }) => {
    const left = x(from), width = Math.max(2, x(to) - left), name = visible(kind === '' ? 'label' : kind).slice(0, 24), room = left > free
    if (room) free = left + name.length * 7
    return html`<rect class="label ${verdict}" x="${n(left)}" y="${top}" width="${n(width)}" height="${bottom - top}"/><rect class="bar ${verdict}" x="${n(left)}" y="${top - 4}" width="${n(width)}" height="4"/>${room && html`<text class="tick name" text-anchor="${left > WIDTH - 120 ? 'end' : 'start'}" x="${n(left > WIDTH - 120 ? left + width : left)}" y="${top - 16}">${name}</text>`}`
  })
}

/** Alerts as arrowheads with a line; those of a kind that would stand on one another are drawn once. */
function marks (alerts: readonly JudgedAlert[], x: (time: number) => number, top: number, bottom: number): Html[] {
  const drawn = new Set<string>()
  return alerts.flatMap(({ at, verdict }) => {
    const place = n(x(at)), key = `${verdict} ${Math.round(x(at))}`
    if (drawn.has(key)) return []
    drawn.add(key)
    return [html`<g class="alert ${verdict}"><line x1="${place}" x2="${place}" y1="${top}" y2="${bottom}"/>${arrow(x(at), top - 1, verdict)}</g>`]
  })
}

/** Full when it was right, hollow when it was not: told apart without colour. */
export const arrow = (x: number, y: number, verdict: string): Html => html`<path class="alert ${verdict}" d="M${n(x)},${n(y)}l-4.5,-8h9z"/>`

function panel (trace: Trace, { range, bounds }: Layout, column: string, top: number, height: number, clip: string): Html {
  const [low, high] = domain(trace, column, column === 'value' ? range : undefined, bounds.get(column) ?? [])
  const y = (value: number) => top + height - (value - low) / (high - low) * height
  const lines = (bounds.get(column) ?? []).filter(b => b >= low && b <= high)
  return html`<clipPath id="${clip}"><rect x="${LEFT}" y="${top - 1}" width="${WIDTH - LEFT - RIGHT}" height="${height + 2}"/></clipPath>
<line class="axis" x1="${LEFT}" x2="${LEFT}" y1="${top}" y2="${top + height}"/>${ticksOf(low, high, column === 'value' ? 4 : 3).map(tick => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y(tick))}" y2="${n(y(tick))}"/><text class="tick" text-anchor="end" x="${LEFT - 6}" y="${n(y(tick) + 4)}">${short(tick)}</text>`)}
<g clip-path="url(#${clip})">${column === 'value' && range !== undefined && html`<path class="range" d="${between(trace, range[0], range[1], y).area}"/>`}${lineOf(trace, column, y)}</g>
${lines.map(b => html`<line class="bound" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y(b))}" y2="${n(y(b))}"/>`)}${column !== 'value' && html`<text class="tick name" x="${LEFT + 4}" y="${top + 10}">${column}</text>`}`
}

/** What an axis shows: all values, and bounds and the expected range as far as they leave the values legible. */
function domain (trace: Trace, column: string, range: readonly [string, string] | undefined, bounds: readonly number[]): readonly [number, number] {
  let [low, high] = trace.extremes(column)
  if (Number.isNaN(low) || (column !== 'value' && low === high)) [low, high] = [Math.min(low || 0, 0), Math.max(low || 0, 0) + 1]
  const room = high > low ? high - low : Math.abs(high) * 0.05 || 1
  const near = (x: number) => x >= low - room && x <= high + room
  const wanted = [...range === undefined ? [] : [trace.extremes(range[0])[0], trace.extremes(range[1])[1]].map(b => Math.min(Math.max(b, low - room / 2), high + room / 2)), ...bounds.filter(near), ...column === 'value' ? [] : [0].filter(near)].filter(x => !Number.isNaN(x))
  const least = Math.min(low, ...wanted), most = Math.max(high, ...wanted), margin = most > least ? (most - least) * 0.05 : room
  return [least - margin, most + margin]
}

/** A line where each span has one value, an area where it has a least and a greatest one. */
function lineOf (trace: Trace, column: string, y: (value: number) => number): Html {
  const { area, line } = between(trace, column, column, y), name = column === 'value' ? 'series' : 'score'
  return html`${area !== '' && html`<path class="${name} area" d="${area}"/>`}${line !== '' && html`<path class="${name}" d="${line}"/>`}`
}

/** From the least of one column to the greatest of another, span by span; broken where there is nothing for longer than usual. */
function between (trace: Trace, lower: string, upper: string, y: (value: number) => number): { readonly area: string, readonly line: string } {
  const at: number[] = []
  for (let i = 0; i < trace.spans; i++) if (!Number.isNaN(trace.low(lower, i)) && !Number.isNaN(trace.high(upper, i))) at.push(i)
  const steps = at.slice(1).map((i, k) => i - at[k]).sort((a, b) => a - b), usual = steps[Math.floor(steps.length / 2)] ?? 1
  const x = (i: number) => LEFT + (i + 0.5) / trace.spans * (WIDTH - LEFT - RIGHT)
  const runs: number[][] = []
  at.forEach((i, k) => { if (k === 0 || i - at[k - 1] > 3.5 * usual) runs.push([i]); else runs[runs.length - 1].push(i) })
  let area = '', line = ''
  for (const run of runs) {
    const over = run.map(i => `${n(x(i))},${n(y(trace.high(upper, i)))}`), under = run.map(i => `${n(x(i))},${n(y(trace.low(lower, i)))}`)
    if (over.every((point, k) => point === under[k])) line += `M${over.join('L')}${run.length === 1 ? 'h0' : ''}`
    else area += `M${over.join('L')}L${under.reverse().join('L')}Z`
  }
  return { area, line }
}

/** A coordinate: a tenth of a unit is enough. */
const n = (x: number): string => String(Math.round(x * 10) / 10)
