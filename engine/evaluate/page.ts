/** The evaluation as one page: no scripts, nothing from elsewhere, readable by day, by night, on paper and by ear. */
import { version } from '../version.ts'
import type { Figures } from './figures.ts'
import { html, Html } from './html.ts'
import type { JudgedAlert, JudgedLabel } from './judge.ts'
import { arrow, plot } from './plot.ts'
import type { Evaluation } from './report.ts'
import type { Scene } from './scene.ts'
import { style } from './style.ts'
import { apart, timeline } from './timeline.ts'
import type { Trace } from './trace.ts'
import { between, confident, count, dayOf, lasting, moment, rarely, rate, share, short, why } from './words.ts'

export interface Drawn { readonly scene: Scene, readonly trace: Trace }
export interface Pictures {
  readonly missed: readonly Drawn[]
  readonly wrong: readonly Drawn[]
  readonly found: readonly Drawn[]
  readonly whole: readonly Drawn[]
  readonly series: number            // there are, of which `whole` shows some
  readonly limit: number
}

const MAPPED = 40                    // devices in the overview
const LISTED = 500                   // rows of a table
const LONG = 40                      // characters of a cell that may be broken

export function pageOf (evaluation: Evaluation, pictures: Pictures): string {
  const { pipeline, judged, breakdown: { all, kinds, devices, alerts }, notes } = evaluation
  const missed = judged.labels.filter(l => l.verdict === 'missed'), found = judged.labels.filter(l => l.verdict === 'found'), wrong = judged.alerts.filter(a => a.verdict === 'false')
  const named = [...kinds].filter(([kind]) => kind !== '' || kinds.size > 1)
  return `<!doctype html>
${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><title>${pipeline}: evaluation</title><style>${new Html(style)}</style></head><body>
<header><h1>${pipeline} on labelled history</h1>${lead(evaluation)}
<nav aria-label="Sections"><a href="#map">Overview</a>${missed.length > 0 && html`<a href="#missed">Missed</a>`}${wrong.length > 0 && html`<a href="#false">False alarms</a>`}${found.length > 0 && html`<a href="#found">Found</a>`}<a href="#tables">Tables</a><a href="#series">Series</a><a href="#rules">How it is counted</a></nav></header>
<main>${tiles(all)}
${notes.length > 0 && html`<ul class="notes">${notes.map(note => html`<li>${note}</li>`)}</ul>`}
${overview(evaluation)}
${missed.length > 0 && section('missed', `Missed: ${count(missed.length, 'label')}`, 'No alert was said in these. A label that an alert had been firing into from before counts as missed: nobody could tell what it was about.', pictures.missed, labelTable(missed), evaluation, pictures.limit)}
${wrong.length > 0 && section('false', `False: ${count(wrong.length, 'alert')} outside of labels`, 'Alarms that stand close together are shown in one plot. One that is right after all means that a label is not there.', pictures.wrong, alertTable(wrong), evaluation, pictures.limit)}
${found.length > 0 && section('found', `Found: ${count(found.length, 'label')}`, 'The delay goes from the beginning of the label to the first alert in it.', pictures.found, labelTable(found), evaluation, pictures.limit)}
<section id="tables"><h2>In figures</h2>
${named.length > 0 && table('By kind of label', ['kind', 'labels', 'found', 'recall', '95 %', 'median delay', 'longest delay'], named.map(([kind, f]) => [kind === '' ? '(none)' : kind, f.labels, f.found, share(f.recall), between(f.recall_95), delay(f, 'median'), delay(f, 'max')]))}
${table('By alert, as if it were the only one', ['alert', 'fired', 'labels found', 'recall', 'false', 'false per device and week', 'median delay'], [...alerts].map(([alert, f]) => [alert, f.alerts, f.found, share(f.recall), f.false_alarms, rate(f.false_alarms_per_device_week), delay(f, 'median')]))}
${table('By device', ['device', 'labels', 'found', 'false', 'false per week', 'weeks without a label', 'median delay'], [...devices].slice(0, LISTED).map(([device, f]) => [device, f.labels, f.found, f.false_alarms, rate(f.false_alarms_per_device_week), short(f.device_weeks), delay(f, 'median')]))}
${devices.size > LISTED && html`<p class="soft">The first ${LISTED} of ${devices.size} devices; all are in the JSON.</p>`}</section>
<section id="series"><h2>Series</h2><p>${pictures.whole.length < pictures.series ? `${pictures.whole.length} of ${pictures.series} series, those with the most alerts and labels first.` : 'All series that alerts look at, those with the most alerts and labels first.'}</p>${legend}
${pictures.whole.map((drawn, i) => picture(drawn, `whole-${i}`, evaluation))}</section>
${rules(evaluation)}</main>
<footer><p>Made by millrace evaluate ${version}. Times are UTC.</p></footer></body></html>`.text}
`
}

function lead ({ breakdown: { all }, extents, counts, series }: Evaluation): Html {
  const from = Math.min(...[...extents.values()].map(e => e.first)), to = Math.max(...[...extents.values()].map(e => e.last))
  const delay = all.delay_ms === null ? '' : `, half of them within ${lasting(all.delay_ms.median)}`
  return html`<p class="lead">${all.labels === 0 ? 'No label counts: nothing is known to have been wrong.' : html`It found <strong>${all.found} of ${all.labels}</strong> ${all.labels === 1 ? 'label' : 'labels'}${delay}.`} ${all.false_alarms === 0 ? 'No alarm was false.' : html`<strong>${all.false_alarms}</strong> ${all.false_alarms === 1 ? 'alarm was' : 'alarms were'} false.`}</p>
<p class="soft">${count(counts.received, 'reading')} of ${series.toLocaleString('en')} series and ${count(extents.size, 'device')}, ${dayOf(from)} to ${dayOf(to)}</p>`
}

function tiles (all: Figures): Html {
  const tile = (name: string, figure: Html | string, more: string) => html`<div><dt>${name}</dt><dd class="figure">${figure}</dd><dd class="soft">${more}</dd></div>`
  return html`<dl class="tiles">
${tile('Found', all.labels === 0 ? '–' : html`${all.found}<small> of ${all.labels}</small>`, all.labels === 0 ? 'no label counts' : `recall ${share(all.recall)}; ${confident(all.recall_95)}`)}
${tile('False alarms per device and week', rate(all.false_alarms_per_device_week).replace(/^-$/, '–'), `${all.false_alarms} in ${short(all.device_weeks)} device weeks without a label${all.false_alarms_per_device_week_95 === null ? '' : `; ${rarely(all.false_alarms_per_device_week_95)}`}`)}
${tile('Precision', share(all.precision).replace(/^-$/, '–'), all.precision === null ? 'there was no alert' : `${all.found} found against ${all.false_alarms} false; ${confident(all.precision_95)}`)}
${tile('Delay', all.delay_ms === null ? '–' : lasting(all.delay_ms.median), all.delay_ms === null ? 'nothing was found' : `median; 90 % within ${lasting(all.delay_ms.p90)}, all within ${lasting(all.delay_ms.max)}`)}
</dl>`
}

function overview ({ judged, extents, breakdown: { devices } }: Evaluation): Html {
  const weight = (f: Figures) => f.missed * 4 + f.false_alarms * 2 + f.labels + f.alerts
  const shown = [...devices].map(([device, f], i) => ({ device, i, weight: weight(f) })).toSorted((a, b) => b.weight - a.weight || a.i - b.i).slice(0, MAPPED).map(d => d.device)
  const words = shown.slice(0, 10).map(device => { const f = devices.get(device)!; return `${device}: ${f.found} of ${f.labels} labels found, ${f.false_alarms} false alarms` }).join('; ')
  return html`<section id="map"><h2>Overview</h2>${legend}<figure>${sideways('Overview', timeline(judged, extents, shown, `${words}.`))}<figcaption>${shown.length < devices.size ? `${shown.length} of ${devices.size} devices, those with the most to look at. ` : ''}Each line is a device, ${apart(shown.map(d => extents.get(d)!)) ? 'from its own first reading on: they were not there at the same time' : 'from its first reading to its last'}. The same in figures: <a href="#tables">tables</a>.</figcaption></figure></section>`
}

function section (id: string, title: string, words: string, drawn: readonly Drawn[], list: Html, evaluation: Evaluation, limit: number): Html {
  return html`<section id="${id}"><h2>${title}</h2><p>${words}</p>${list}${drawn.map((one, i) => picture(one, `${id}-${i}`, evaluation))}${drawn.length === limit && html`<p class="soft">Plots end here (--plots ${limit}); the table has all.</p>`}</section>`
}

/** A plot, and what is in it as a table. */
function picture ({ scene, trace }: Drawn, id: string, { judged, rules }: Evaluation): Html {
  const { device, metric, layout, from, to, about } = scene
  const near = (begin: number, end: number) => end >= from && begin <= to
  const labels = judged.labels.filter(l => l.device === device && (rules.by === 'device' || l.metric === '' || l.metric === metric) && near(l.from, l.to))
  const alerts = judged.alerts.filter(a => a.device === device && a.metric === metric && layout.alerts.includes(a.alert) && near(a.at, a.at))
  const [low, high] = trace.extremes('value'), whole = to - from > 60_000 ? toSecond : (ms: number) => ms
  const series = `${device} ${metric}${layout.branch === '' ? '' : `, branch ${layout.branch}`}`
  const facts = `${count(trace.total, 'row')} from ${moment(whole(from))} to ${moment(whole(to))}, values from ${short(low)} to ${short(high)}`
  const drawn = trace.reduced ? ` Drawn as spans of ${lasting(trace.width)}, each from its least to its greatest value.` : ''
  return html`<h3>${series}${about !== undefined && html`: ${summary(about)}`}</h3><figure>${sideways('Plot', plot({ id, title: series, description: `${facts}; ${count(labels.length, 'label')} and ${count(alerts.length, 'alert')}.`, trace, layout, labels, alerts, counted: judged.counted.get(device)! }))}<figcaption>${facts}.${drawn}${reached({ scene, trace })}</figcaption>
<details><summary>As a table: ${count(labels.length, 'label')}, ${count(alerts.length, 'alert')}</summary>${labels.length > 0 && labelTable(labels)}${alerts.length > 0 && alertTable(alerts)}${labels.length + alerts.length === 0 && html`<p class="soft">Neither labels nor alerts.</p>`}</details></figure>`
}

/** How near a missed label came to the limits: what would have found it. */
function reached ({ scene: { about, layout: { scores, bounds } }, trace }: Drawn): string {
  if (about === undefined || 'at' in about || about.verdict !== 'missed') return ''
  const limits = (column: string) => bounds.get(column) ?? []
  const told = [...limits('value').length > 0 ? ['value'] : [], ...scores].map(column => {
    const [low, high] = trace.extremes(column, about.from, about.to)
    return Number.isNaN(low) ? `${column} has no value` : `${column} goes from ${short(low)} to ${short(high)}${limits(column).length === 0 ? '' : ` (limit ${limits(column).map(short).join(', ')})`}`
  })
  return told.length === 0 ? '' : ` In the label ${told.join(', ')}.`
}

/** Seconds are enough for the ends of a plot of minutes. */
const toSecond = (ms: number): number => Math.round(ms / 1000) * 1000

function summary (about: JudgedLabel | JudgedAlert): string {
  if ('at' in about) return `${about.alert} at ${moment(about.at)}`
  const { kind, from, to, delay, already } = about
  return `${kind === '' ? 'label' : kind}, ${moment(from)}, ${lasting(to - from)}${delay === undefined ? '' : `, found after ${lasting(delay)}`}${already === undefined ? '' : `; ${already.alert} was firing already, since ${moment(already.at)}`}`
}

const labelTable = (labels: readonly JudgedLabel[]): Html => rest(labels, table('Labels', ['device', 'metric', 'kind', 'from', 'lasts', 'verdict', 'delay', 'first alert', 'alerts'], labels.slice(0, LISTED).map(l =>
  [l.device, l.metric === '' ? 'all' : l.metric, l.kind, moment(l.from), lasting(l.to - l.from), verdict(l.verdict), l.delay === undefined ? '' : lasting(l.delay), l.alerts[0]?.alert ?? (l.already === undefined ? '' : `${l.already.alert}, firing since ${moment(l.already.at)}`), l.alerts.length])))

const alertTable = (alerts: readonly JudgedAlert[]): Html => rest(alerts, table('Alerts', ['device', 'metric', 'alert', 'said', 'lasted', 'verdict', 'what it said'], alerts.slice(0, LISTED).map(a =>
  [a.device, a.metric, a.alert, moment(a.at), a.over === undefined ? 'to the end' : lasting(a.over - a.at), verdict(a.verdict), [a.message, why(a.details)].filter(part => part !== '').join('; ')])))

const rest = (all: readonly unknown[], shown: Html): Html => html`${shown}${all.length > LISTED && html`<p class="soft">The first ${LISTED} of ${all.length}; all are in the JSON.</p>`}`
const verdict = (word: string): Html => html`<span class="${word === 'found' || word === 'true' ? 'good' : word === 'excluded' ? 'soft' : 'bad'}">${word === 'true' ? 'in a label' : word === 'excluded' ? 'not counted' : word}</span>`

function table (caption: string, head: readonly string[], rows: readonly (readonly (string | number | Html)[])[]): Html {
  const numeric = head.map((_, c) => rows.length > 0 && rows.every(row => typeof row[c] === 'number' || /^(-|[\d.e-]+( %)?)$/.test(row[c] instanceof Html ? '' : String(row[c]))))
  const cell = (text: string | number | Html, c: number) => c === 0 ? html`<th scope="row">${text}</th>` : numeric[c] ? html`<td class="number">${text}</td>` : typeof text === 'string' && text.length > LONG ? html`<td class="words">${text}</td>` : html`<td>${text}</td>`
  return sideways(caption, html`<table><caption>${caption}</caption><thead><tr>${head.map((h, c) => html`<th scope="col"${numeric[c] && html` class="number"`}>${h}</th>`)}</tr></thead><tbody>${rows.map(row => html`<tr>${row.map(cell)}</tr>`)}</tbody></table>`)
}

/** What may be wider than the page. */
const sideways = (name: string, inner: Html): Html => html`<div class="scroll" role="group" aria-label="${name}" tabindex="0">${inner}</div>`

const swatch = (shape: Html, words: string): Html => html`<li><svg viewBox="0 0 22 14" aria-hidden="true">${shape}</svg>${words}</li>`
const legend: Html = html`<ul class="legend">${swatch(html`<rect class="bar found" x="1" y="3" width="20" height="8"/>`, 'label, found')}${swatch(html`<rect class="bar missed" x="1" y="3" width="20" height="8"/>`, 'label, missed')}${swatch(arrow(11, 12, 'true'), 'alert in a label')}${swatch(arrow(11, 12, 'false'), 'false alarm')}${swatch(html`<rect class="range" x="1" y="2" width="20" height="10" style="fill:var(--range)"/>`, 'expected range')}${swatch(html`<line class="bound" x1="1" x2="21" y1="7" y2="7"/>`, 'limit of an alert')}</ul>`

function rules ({ rules: { tolerance, probation, by }, data, labelled, file, counts }: Evaluation): Html {
  const learning = 'ms' in probation ? probation.ms === 0 ? undefined : `The first ${lasting(probation.ms)} of each device do not count` : `The first ${short(100 * probation.share)} % of the time of each device do not count`
  return html`<section id="rules"><h2>How it is counted</h2>
<ul><li>A label is <em>found</em> when an alert of its device${by === 'metric' ? ', and of its metric when it names one,' : ', whatever its metric,'} is said in it: from its beginning to ${tolerance === 0 ? 'its end, both included' : `${lasting(tolerance)} after its end`}. Several alerts in one label count once. The delay goes from the beginning of the label to the first of them.</li>
<li>An alert is <em>false</em> when it is said in no label of its device. Only the moment at which it begins to fire counts.</li>
<li>An alert is said when the reading that made it, or that closed its window, arrives: a live run would have said it then.</li>
<li>Recall is found / labels. Precision is found / (found + false). The ranges with 95 % confidence are those of Wilson (1927).</li>
<li>False alarms per device and week: false alerts by the time of all devices, from the first to the last reading, that lies in no label. Their range with 95 % confidence takes them to come by chance (Poisson; Byar's approximation).</li>
<li>${learning === undefined ? 'All readings count; there is no probation.' : `${learning} (probation): labels that begin there, alerts that are said there, and alerts in such labels are left out.`}</li>
<li>Nothing of the pipeline looks into the future. It ran as it would live, in the time of the data; nothing was stored and nobody was told.</li></ul>
<p class="soft">Pipeline ${file}; data ${data.join(', ')}; ${labelled}; ${count(counts.late, 'late reading')}, ${count(counts.deduplicated, 'duplicate')}, ${count(counts.dead_lettered, 'dead letter')}.</p></section>`
}

const delay = (f: Figures, which: 'median' | 'max'): string => f.delay_ms === null ? '-' : lasting(f.delay_ms[which])
