import type { Operator } from './operator.ts'
import type { Pipeline, Route } from './pipeline.ts'
import { receiversOf } from './receivers.ts'
import { SeriesTable } from './series.ts'
import type { SinkHost, SinkSpec } from './sink.ts'
import type { Store, StorePlan, TablePlan } from './store.ts'

/** Columns that the engine itself reads from a batch; tables have them in another form. */
const OWN = ['seq', 'revision']

/** The columns at the end of some steps, after those that were there before; and whether its rows are windows. */
export function columnsAfter (steps: readonly Operator[], before: readonly string[] = []): { columns: string[], windowed: boolean } {
  let columns = [...before], windowed = false
  for (const { definition, adds } of steps) {
    if (definition.windows) { columns = []; windowed = true }
    columns = [...new Set([...columns, ...adds])]
  }
  return { columns, windowed }
}

/** All routes of a pipeline by name, '' for the trunk. */
export const routesOf = (pipeline: Pipeline): [string, Route][] => [['', pipeline], ...Object.entries(pipeline.branches)]

/** Who is told of its alerts. */
export const receiversIn = (pipeline: Pipeline) => routesOf(pipeline).flatMap(([, { alerts }]) => alerts.flatMap(receiversOf))

export const columnKinds = ['scores', 'forecast', 'drift'] as const
export type ColumnKind = typeof columnKinds[number]
/** The columns that say something of this kind. `scores`: those of all steps that learn, what is said of a reading by what was usual before it. */
export const columnsOf = (pipeline: Pipeline, kind: ColumnKind): ReadonlySet<string> => new Set(routesOf(pipeline).flatMap(([, { steps }]) => steps.filter(({ definition: { learns, says } }) => kind === 'scores' ? learns : says === kind).flatMap(step => step.adds)))

/** Its source, steps, sinks and receivers. */
export const partsOf = (pipeline: Pipeline) => [pipeline.source!, ...routesOf(pipeline).flatMap(([, { steps, sinks, alerts }]) => [...steps, ...sinks, ...alerts.flatMap(a => [...a.receivers, ...(a.escalations ?? []).flatMap(e => e.receivers)])])]

/** The sinks of a pipeline that are its store: of one kind, with one key (lint says so when not). */
export const storeSinks = (pipeline: Pipeline): SinkSpec[] => routesOf(pipeline).flatMap(([, route]) => route.sinks.filter(s => s.definition.store !== undefined))

/** The tables that a pipeline writes to its store, and who is told of its alerts. Sinks of several routes may share a table: it has the columns of all. */
export function planTables (pipeline: Pipeline): StorePlan {
  const trunk = columnsAfter(pipeline.steps)
  const tables = new Map<string, TablePlan>()
  for (const [name, route] of routesOf(pipeline)) {
    const end = name === '' ? trunk : columnsAfter(route.steps, trunk.columns)
    const windowed = end.windowed || trunk.windowed
    for (const sink of route.sinks.filter(s => s.definition.store !== undefined)) {
      const table = sink.options.table as string
      const known = tables.get(table)
      const columns = [...new Set([...known?.columns ?? [], ...end.columns.filter(c => !OWN.includes(c))])]
      tables.set(table, { name: table, kind: known?.kind ?? (windowed ? 'windows' : 'readings'), columns, options: { ...known?.options, ...sink.options } })
    }
  }
  return { pipeline: pipeline.name, tables: [...tables.values()], receivers: receiversIn(pipeline) }
}

/** The store of a pipeline, not open yet: that of its sinks, or `fallback` when they bring none. */
export function openStore (pipeline: Pipeline, plan: StorePlan, host: SinkHost, fallback: (plan: StorePlan, host: SinkHost) => Store): Store {
  const sinks = storeSinks(pipeline)
  return sinks.length === 0 ? fallback(plan, host) : sinks[0].definition.store!(sinks.map(s => s.options), plan, host)
}

/** Gives up what a pipeline that does not run remembers, and how far it has come. */
export async function forget (pipeline: Pipeline, host: Omit<SinkHost, 'pipeline' | 'series'>, fallback: (plan: StorePlan, host: SinkHost) => Store): Promise<void> {
  const store = openStore(pipeline, planTables(pipeline), { ...host, pipeline: pipeline.name, series: new SeriesTable(1) }, fallback)
  try { await store.forget() } finally { await store.close() }
}
