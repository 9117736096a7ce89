import type { Batch } from '../batch.ts'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Pipeline } from '../pipeline.ts'
import type { SeriesTable } from '../series.ts'
import type { SourceSpec } from '../source.ts'
import { breakDown } from './figures.ts'
import { fitLabels } from './fit.ts'
import { playHistory, type History } from './history.ts'
import { incidentsOf, judge, type Rules } from './judge.ts'
import type { Label } from './label.ts'
import { pageOf, type Drawn, type Pictures } from './page.ts'
import { SPANS } from './plot.ts'
import type { Evaluation } from './report.ts'
import { closeUps, layoutsOf, wholes, type Scene } from './scene.ts'
import { Trace } from './trace.ts'

export interface EvaluateOptions {
  readonly data: readonly string[]   // as they are to be called
  readonly file: string              // of the pipeline
  readonly labels: readonly Label[]
  readonly labelled: string          // where they came from
  readonly rules: Rules
  readonly alerts?: readonly string[] | undefined      // only these
  readonly plots: number             // of a section of the page, at most
  readonly maxSeries?: number
  readonly log: Logger
}

/**
 * A pipeline over labelled history: its figures, and the page. The history is played twice, once to judge and once to draw
 * what is worth a look, so that memory is bounded by what is drawn and not by the history. Throws when both differ: the same data must give the same alerts.
 */
export async function evaluate (pipeline: Pipeline, source: SourceSpec, { data, file, labels, labelled, rules, alerts, plots, maxSeries, log }: EvaluateOptions): Promise<{ readonly evaluation: Evaluation, readonly page: () => Promise<string> }> {
  const layouts = layoutsOf(pipeline), names = layouts.flatMap(l => l.alerts).filter(name => alerts?.includes(name) ?? true)
  if (names.length === 0) throw new MillraceError('usage/command', `${file} has no alert, so that there is nothing to evaluate`, { help: 'write one under "alerts:"' })
  const host = { log, ...maxSeries === undefined ? {} : { maxSeries } }
  const seen = new Map<string, Map<string, Map<string, number>>>()
  const history = await playHistory(pipeline, source, { ...host, rows: (branch, batch, series) => { see(seen, branch, batch, series) } })
  if (history.extents.size === 0) throw new MillraceError('usage/file', `there is no reading in ${data.join(', ')}`, { help: oddities(history)[0] ?? 'name a file with rows, or the columns to read: --option' })
  const fit = fitLabels(labels, history.extents, history.series)
  const judged = judge(fit.labels, incidentsOf(history.said).filter(i => names.includes(i.alert)), history.extents, rules)
  const evaluation: Evaluation = {
    pipeline: pipeline.name, file, data, labelled, rules, counts: history.counts, extents: history.extents, series: [...history.extents].reduce((n, [device]) => n + seriesOf(history.series, device), 0),
    judged, breakdown: breakDown(judged, names), notes: [...fit.warnings, ...left(judged), ...oddities(history)]
  }
  const page = async (): Promise<string> => {
    const close = closeUps(judged, layouts, seen, history.extents, plots), whole = wholes(judged, layouts, seen, history.extents, plots)
    const drawings = new Map([...close.missed, ...close.wrong, ...close.found, ...whole.scenes].map(scene => [scene, traceOf(scene)]))
    const ofSeries = new Map<string, { readonly scene: Scene, readonly trace: Trace }[]>()
    for (const [scene, trace] of drawings) ofSeries.set(key(scene.layout.branch, scene.device, scene.metric), [...ofSeries.get(key(scene.layout.branch, scene.device, scene.metric)) ?? [], { scene, trace }])
    const again = await playHistory(pipeline, source, { ...host, rows: (branch, batch, series) => { draw(ofSeries, branch, batch, series) } })
    if (again.said.length !== history.said.length || again.said.some(({ event, at }, i) => event.id !== history.said[i].event.id || at !== history.said[i].at)) throw new Error('the same history gave other alerts when it was played again: a step of this pipeline is not deterministic')
    const drawn = (scenes: readonly Scene[]): Drawn[] => scenes.map(scene => ({ scene, trace: drawings.get(scene)! }))
    const pictures: Pictures = { missed: drawn(close.missed), wrong: drawn(close.wrong), found: drawn(close.found), whole: drawn(whole.scenes), series: whole.of, limit: plots }
    return pageOf(evaluation, pictures)
  }
  return { evaluation, page }
}

const key = (branch: string, device: string, metric: string): string => JSON.stringify([branch, device, metric])
const traceOf = ({ layout: { range, scores }, from, to }: Scene): Trace => new Trace(['value', ...range ?? [], ...scores], { from, to, spans: SPANS })
const seriesOf = (series: SeriesTable, device: string): number => { let n = 0; for (let s = 0; s < series.size; s++) if (series.name(s).device === device) n++; return n }

function see (seen: Map<string, Map<string, Map<string, number>>>, branch: string, batch: Batch<any>, series: SeriesTable): void {
  let devices = seen.get(branch)
  if (devices === undefined) seen.set(branch, devices = new Map())
  for (const s of batch.series) {
    const { device, metric } = series.name(s)
    let metrics = devices.get(device)
    if (metrics === undefined) devices.set(device, metrics = new Map())
    metrics.set(metric, (metrics.get(metric) ?? 0) + 1)
  }
}

function draw (ofSeries: ReadonlyMap<string, readonly { readonly trace: Trace }[]>, branch: string, batch: Batch<any>, series: SeriesTable): void {
  for (let i = 0; i < batch.length; i++) {
    const { device, metric } = series.name(batch.series[i])
    for (const { trace } of ofSeries.get(key(branch, device, metric)) ?? []) trace.add(batch.time[i], i, trace.columns.map(c => c === 'value' ? batch.value : batch.columns[c]))
  }
}

/** What the probation has left out, in a sentence. */
function left ({ labels, alerts }: Evaluation['judged']): string[] {
  const l = labels.filter(x => x.verdict === 'excluded').length, a = alerts.filter(x => x.verdict === 'excluded').length
  return l + a === 0 ? [] : [`the probation leaves out ${l} ${l === 1 ? 'label' : 'labels'} and ${a} ${a === 1 ? 'alert' : 'alerts'}`]
}

/** What of the data could not be read, or came too late for its window. */
function oddities ({ counts, dead }: History): string[] {
  return [
    ...counts.late > 0 ? [`${counts.late} readings came too late for their window and are in none: see "lateness" of the pipeline`] : [],
    ...[...dead].map(([reason, { count, first }]) => `${count === 1 ? '1 reading or row' : `${count} readings or rows`} could not be read (${reason}), the first: ${first}`)
  ]
}
