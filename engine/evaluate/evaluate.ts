import { MillraceError } from '../errors.ts'
import { explainedBy, learningOf, type Learning } from '../explain.ts'
import { groupBy } from '../group.ts'
import type { Logger } from '../log.ts'
import type { Pipeline } from '../pipeline.ts'
import { routesOf } from '../plan.ts'
import type { SeriesName, SeriesTable } from '../series.ts'
import type { SourceSpec } from '../source.ts'
import { breakDown } from './figures.ts'
import { fitLabels } from './fit.ts'
import { playHistory, type History } from './history.ts'
import { incidentsOf, judge, type Rules } from './judge.ts'
import type { Label } from './label.ts'
import { pageOf, type Drawn, type Pictures } from './page.ts'
import { SPANS } from './plot.ts'
import type { Evaluation } from './report.ts'
import { closeUps, layoutsOf, wholes, type Layout, type Scene, type Seen } from './scene.ts'
import { Trace } from './trace.ts'
import { count, listed } from './words.ts'

export interface EvaluateOptions {
  readonly data: readonly string[]   // as they are to be called
  readonly file: string              // of the pipeline
  readonly labels: readonly Label[]
  readonly labelled: string          // where they came from
  readonly rules: Rules
  readonly alerts?: readonly string[] | undefined      // only these
  readonly plots: number             // of a section of the page, at most
  readonly maxSeries?: number
  readonly progress?: ((done: number, total?: number) => void) | undefined      // readings; the history is played twice
  readonly log: Logger
}

/**
 * A pipeline over labelled history: its figures, and the page. The history is played twice, once to judge and once to draw
 * what is worth a look, so that memory is bounded by what is drawn and not by the history. Throws when both differ: the same data must give the same alerts.
 */
export async function evaluate (pipeline: Pipeline, source: SourceSpec, { data, file, labels, labelled, rules, alerts, plots, maxSeries, progress, log }: EvaluateOptions): Promise<{ readonly evaluation: Evaluation, readonly page: () => Promise<string> }> {
  const wanted = (name: string) => alerts?.includes(name) ?? true
  const layouts = layoutsOf(pipeline).filter(l => l.alerts.some(wanted)), names = layouts.flatMap(l => l.alerts).filter(wanted)
  if (names.length === 0) throw new MillraceError('usage/command', `${file} has no alert, so that there is nothing to evaluate`, { help: 'write one under "alerts:"' })
  const host = { log, ...maxSeries === undefined ? {} : { maxSeries } }
  const rowsOf = new Map<string, number[]>()         // branch -> by series: rows
  const learners = new Map(routesOf(pipeline).map(([branch, { steps }]) => [branch, explainedBy(steps)])), last = new Map<string, Learning>()      // series and step: how far it is
  const history = await playHistory(pipeline, source, { ...host, ...progress === undefined ? {} : { progress }, rows: (branch, batch, table) => {
    const rows = getOr(rowsOf, branch, () => []), explained = learners.get(branch) ?? [], newest = new Map<number, number>()
    batch.series.forEach((s, i) => { rows[s] = (rows[s] ?? 0) + 1; newest.set(s, i) })
    for (const [s, i] of newest) for (const learning of learningOf(explained, batch, i)) {
      const { device, metric } = table.name(s)
      last.set(key(learning.by, device, metric), learning)
    }
  } })
  if (history.extents.size === 0) throw new MillraceError('usage/file', `there is no reading in ${data.join(', ')}`, { help: oddities(history)[0] ?? 'name a file with rows, or the columns to read: --option' })
  const fit = fitLabels(labels, history.extents, history.series)
  const seen = named(rowsOf, history.series)
  const judged = judge(fit.labels, incidentsOf(history.said).filter(i => names.includes(i.alert)), history.extents, rules)
  const evaluation: Evaluation = {
    pipeline: pipeline.name, file, data, labelled, rules, counts: history.counts, extents: history.extents, series: Array.from({ length: history.series.size }, (_, k) => history.series.name(k).device).filter(device => history.extents.has(device)).length,
    judged, breakdown: breakDown(judged, names), notes: [...fit.warnings, ...unseen(fit.labels, layouts, seen), ...left(judged), ...unlearned(last), ...oddities(history)]
  }
  const page = async (): Promise<string> => {
    const close = closeUps(judged, layouts, seen, history.extents, plots), whole = wholes(judged, layouts, seen, history.extents, plots)
    const drawings = new Map([...close.missed, ...close.wrong, ...close.found, ...whole.scenes].map(scene => [scene, traceOf(scene)]))
    const traces = groupBy([...drawings], ([{ layout, device, metric }]) => key(layout.branch, device, metric))
    const tracesOf = (branch: string, { device, metric }: SeriesName) => (traces.get(key(branch, device, metric)) ?? []).map(([, trace]) => trace)
    const known = new Map<string, (readonly Trace[])[]>()      // branch -> by series: what is drawn of it
    const { received } = history.counts
    const again = await playHistory(pipeline, source, { ...host, ...progress === undefined ? {} : { progress: (done: number) => { progress(received + done, 2 * received) } }, rows: (branch, batch, series) => {
      const ofBranch = getOr(known, branch, () => [])
      for (let i = 0; i < batch.length; i++) {
        const s = batch.series[i]
        for (const trace of ofBranch[s] ??= tracesOf(branch, series.name(s))) trace.add(batch, i)
      }
    } })
    if (again.said.length !== history.said.length || again.said.some(({ event, at }, i) => event.id !== history.said[i].event.id || at !== history.said[i].at)) throw new Error('the same history gave other alerts when it was played again: a step of this pipeline is not deterministic')
    const drawn = (scenes: readonly Scene[]): Drawn[] => scenes.map(scene => ({ scene, trace: drawings.get(scene)! }))
    const pictures: Pictures = { missed: drawn(close.missed), wrong: drawn(close.wrong), found: drawn(close.found), whole: drawn(whole.scenes), series: whole.of, limit: plots }
    return pageOf(evaluation, pictures)
  }
  return { evaluation, page }
}

const key = (branch: string, device: string, metric: string): string => JSON.stringify([branch, device, metric])
const traceOf = ({ layout: { range, scores }, from, to }: Scene): Trace => new Trace(['value', ...range ?? [], ...scores], { from, to, spans: SPANS })
const getOr = <K, V>(map: Map<K, V>, k: K, make: () => V): V => { let v = map.get(k); if (v === undefined) map.set(k, v = make()); return v }

/** Rows by series as rows by name. */
function named (rowsOf: ReadonlyMap<string, readonly number[]>, series: SeriesTable): Seen {
  return new Map([...rowsOf].map(([branch, rows]) => {
    const devices = new Map<string, Map<string, number>>()
    rows.forEach((n, s) => { const { device, metric } = series.name(s); getOr(devices, device, () => new Map<string, number>()).set(metric, n) })
    return [branch, devices]
  }))
}

/** Labels that nothing could have found, in a sentence. */
function unseen (labels: readonly Label[], layouts: readonly Layout[], seen: Seen): string[] {
  const blind = labels.filter(({ device, metric }) => !layouts.some(({ branch }) => { const metrics = seen.get(branch)?.get(device); return metrics !== undefined && (metric === '' || metrics.has(metric)) }))
  const names = [...new Set(blind.map(l => `${l.device} ${l.metric}`.trim()))]
  return blind.length === 0 ? [] : [`no alert looks at the series of ${count(blind.length, 'label')}: ${listed(names)}`]
}

/** What the probation has left out, in a sentence. */
function left ({ labels, alerts }: Evaluation['judged']): string[] {
  const l = labels.filter(x => x.verdict === 'excluded').length, a = alerts.filter(x => x.verdict === 'excluded').length
  return l + a === 0 ? [] : [`the probation leaves out ${count(l, 'label')} and ${count(a, 'alert')}`]
}

/** Steps that were still learning when the history ended, a sentence each. */
function unlearned (last: ReadonlyMap<string, Learning>): string[] {
  const open = [...last].filter(([, { learned, of }]) => learned < of)
  return [...groupBy(open, ([, { by }]) => by)].map(([by, some]) => {
    const [at, { learned, of }] = some.reduce((a, b) => b[1].learned / b[1].of < a[1].learned / a[1].of ? b : a), [, device, metric] = JSON.parse(at) as string[]
    return `${by} was still learning at the end, of ${some.length} series; the least, ${`${device} ${metric}`.trim()}: ${learned} of ${of} readings`
  })
}

/** What of the data could not be read, or came too late for its window. */
function oddities ({ counts, dead }: History): string[] {
  return [
    ...counts.late > 0 ? [`${counts.late} readings came too late for their window and are in none: see "lateness" of the pipeline`] : [],
    ...[...dead].map(([reason, { count: n, first }]) => `${n === 1 ? '1 reading or row' : `${n} readings or rows`} could not be read (${reason}), the first: ${first}`)
  ]
}
