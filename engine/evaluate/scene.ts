/** What of a history is drawn: which series, from when to when, and which columns. */
import { columnsOf, type Condition, type Test } from '../condition.ts'
import { groupBy } from '../group.ts'
import type { Pipeline } from '../pipeline.ts'
import { columnsAfter, routesOf } from '../plan.ts'
import type { Extent } from './history.ts'
import type { Judged, JudgedAlert, JudgedLabel } from './judge.ts'

/** The columns of a route that are worth a look, found by the conditions of its alerts. */
export interface Layout {
  readonly branch: string
  readonly range: readonly [low: string, high: string] | undefined       // the expected range: `x_low` and `x_high`
  readonly scores: readonly string[]
  readonly columns: readonly string[]                                    // all that rows have
  readonly bounds: ReadonlyMap<string, readonly number[]>                // what an alert compares a column with
  readonly alerts: readonly string[]
}

const SCORES = 2                     // panels under a series

/** The routes that have alerts. */
export function layoutsOf (pipeline: Pipeline): Layout[] {
  const trunk = columnsAfter(pipeline.steps).columns
  return routesOf(pipeline).filter(([, route]) => route.alerts.length > 0).map(([branch, route]) => {
    const columns = branch === '' ? trunk : columnsAfter(route.steps, trunk).columns
    const tests = route.alerts.flatMap(({ options: { when } }) => testsOf(when))
    const read = [...new Set(route.alerts.flatMap(({ options: { when } }) => columnsOf(when)))].filter(c => c !== 'value')
    const ranges = columns.filter(c => c.endsWith('_low') && columns.includes(c.replace(/low$/, 'high'))).map(c => c.slice(0, -4))
    const named = ranges.find(name => read.some(c => c.startsWith(name))) ?? ranges[0]
    const flags = new Set(read.filter(column => tests.every(([c, test]) => c !== column || test.equals !== undefined)))
    const scoreOf = (flag: string) => { const score = flag.replace(/_alarm$/, ''); return columns.includes(score) ? score : flag }      // what an alarm is taken from says more
    const scores = [...new Set([...named !== undefined && columns.includes(named) ? [named] : [], ...read.filter(c => !flags.has(c)), ...[...flags].map(scoreOf)])].filter(c => c !== `${named}_low` && c !== `${named}_high`)
    return {
      branch, range: named === undefined ? undefined : [`${named}_low`, `${named}_high`] as const, scores: scores.slice(0, SCORES), columns,
      bounds: new Map(['value', ...read].map(c => [c, tests.flatMap(([column, test]) => column === c ? boundsOf(test) : [])])),
      alerts: route.alerts.map(a => a.name)
    }
  })
}

const testsOf = (when: Condition): [string, Test][] => [
  ...Object.entries(when).filter(([key]) => key !== 'any' && key !== 'all') as [string, Test][],
  ...[...when.any ?? [], ...when.all ?? []].flatMap(testsOf)
]
const boundsOf = ({ above, below, atLeast, atMost, outside, inside }: Test): number[] => [above, below, atLeast, atMost, ...outside ?? [], ...inside ?? []].filter(x => x !== undefined && Number.isFinite(x)) as number[]

/** One plot. */
export interface Scene {
  readonly layout: Layout
  readonly device: string
  readonly metric: string
  readonly from: number
  readonly to: number
  readonly about?: JudgedLabel | JudgedAlert           // absent: the whole history of the series
}

/** How many rows of each series a route has given: branch -> device -> metric -> rows. */
export type Seen = ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, number>>>

const AROUND = 60                    // rows that are shown before and after something

/** Close looks: what was missed first, then false alarms, then what was found; at most `limit` of each. */
export function closeUps ({ labels, alerts }: Judged, layouts: readonly Layout[], seen: Seen, extents: ReadonlyMap<string, Extent>, limit: number): { readonly missed: Scene[], readonly wrong: Scene[], readonly found: Scene[] } {
  const scene = (layout: Layout, device: string, metric: string, from: number, to: number, about: JudgedLabel | JudgedAlert): Scene => {
    const { first, last } = extents.get(device)!
    const rows = seen.get(layout.branch)?.get(device)?.get(metric) ?? 1
    const margin = Math.max((to - from) * 0.75, AROUND * (last - first) / Math.max(1, rows - 1))
    const begin = Math.max(first, from - margin), end = Math.min(last, to + margin)
    return { layout, device, metric, from: begin, to: Math.max(end, begin + 1), about }
  }
  /** With the column that weighs most in what the alert says, if rows have it: of many metrics the one to look at. */
  const ofAlert = ({ alert, details }: JudgedAlert): Layout => {
    const layout = layouts.find(l => l.alerts.includes(alert))!, heaviest = details?.signals?.find(s => s.weight !== undefined)?.name
    return heaviest === undefined || !layout.columns.includes(heaviest) || layout.scores.includes(heaviest) ? layout : { ...layout, scores: [...layout.scores, heaviest] }
  }
  const shared = (all: readonly Scene[][]): Scene[] => {         // each label has its first plot before any has a second one
    const turns = all.flatMap(scenes => scenes.map((scene, turn) => ({ scene, turn }))), kept = new Set(turns.toSorted((a, b) => a.turn - b.turn).slice(0, limit))
    return turns.filter(t => kept.has(t)).map(t => t.scene)
  }
  const ofLabel = (label: JudgedLabel): Scene[] => {
    const [alert] = label.alerts
    if (alert !== undefined) return [scene(ofAlert(alert), alert.device, alert.metric, label.from, Math.max(label.to, alert.at), label)]
    return layouts.flatMap(layout => [...seen.get(layout.branch)?.get(label.device)?.keys() ?? []].filter(m => label.metric === '' || m === label.metric).map(m => scene(layout, label.device, m, label.from, label.to, label)))
  }
  const wrong: Scene[] = []
  for (const alert of alerts.filter(a => a.verdict === 'false')) {           // one plot for those that stand close together
    if (wrong.length === limit) break
    if (wrong.some(s => s.device === alert.device && s.metric === alert.metric && s.layout.branch === ofAlert(alert).branch && s.from <= alert.at && alert.at <= s.to)) continue
    wrong.push(scene(ofAlert(alert), alert.device, alert.metric, Math.min(alert.about, alert.at), alert.at, alert))
  }
  return {
    missed: shared(labels.filter(l => l.verdict === 'missed').map(ofLabel)),
    wrong,
    found: shared(labels.filter(l => l.verdict === 'found').map(ofLabel))
  }
}

/** Whole histories, the most instructive first: series with labels or alerts, then others; at most `limit`. */
export function wholes ({ labels, alerts }: Judged, layouts: readonly Layout[], seen: Seen, extents: ReadonlyMap<string, Extent>, limit: number): { readonly scenes: Scene[], readonly of: number } {
  const all = layouts.flatMap(layout => [...seen.get(layout.branch) ?? []].flatMap(([device, metrics]) => [...metrics.keys()].map(metric => ({ layout, device, metric }))))
  const alertsOf = groupBy(alerts, a => a.device), labelsOf = groupBy(labels, l => l.device)
  const weight = ({ layout, device, metric }: typeof all[number]) =>
    1000 * (alertsOf.get(device) ?? []).filter(a => a.verdict !== 'excluded' && a.metric === metric && layout.alerts.includes(a.alert)).length +
    (labelsOf.get(device) ?? []).filter(l => l.metric === metric || l.metric === '').length
  const chosen = all.map((series, i) => ({ series, i, weight: weight(series) })).toSorted((a, b) => b.weight - a.weight || a.i - b.i).slice(0, limit)
  return { scenes: chosen.map(({ series }) => ({ ...series, from: extents.get(series.device)!.first, to: Math.max(extents.get(series.device)!.last, extents.get(series.device)!.first + 1) })), of: all.length }
}
