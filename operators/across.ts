import { Batch, defineOperator, note, Type, type Operator } from '#engine'

const step = defineOperator({
  name: 'across',
  summary: 'One row of a device from the rows of its metrics that stand at one time.',
  options: Type.Object({
    metrics: Type.Array(Type.String({ minLength: 1 }), { description: 'Metrics that are put side by side.', minItems: 1, uniqueItems: true }),
    columns: Type.Array(Type.String({ minLength: 1 }), { description: 'Columns of theirs to take: each becomes `<metric>_<column>`. The first one of the first metric becomes the value.', minItems: 1, uniqueItems: true, default: ['value'] }),
    metric: Type.String({ description: 'The metric of the device under which the rows stand.', minLength: 1, default: 'all' })
  }),
  needs: ({ columns }): string[] => columns.filter(c => c !== 'value'),
  adds: ({ metrics, columns }): string[] => [...metrics.flatMap(m => columns.map(c => nameOf(m, c))), 'revision'],
  perSeries: { role: note },             // 0: not looked at; 1: none of the metrics; else 2 + its place among them
  perDevice: { made: note },             // the new series + 1
  windows: true,
  crosses: true,
  check: ({ metrics, metric }) => metrics.includes(metric) ? `metric "${metric}" cannot be made from itself` : undefined,

  process (batch, { metrics, columns, metric }, { role, made }, host) {
    const { series: table } = host
    const sources = columns.map(c => batch.column(c))
    const revisions = (batch.columns as Record<string, Float64Array>).revision as Float64Array | undefined
    const first: number[] = [], series: number[] = [], revision: number[] = []
    const cells = metrics.flatMap(() => columns.map((): number[] => []))
    const open = new Map<number, number[]>()       // device -> its rows that the record has made
    for (let i = 0; i < batch.length; i++) {
      if (i > 0 && batch.position[i] !== batch.position[i - 1]) open.clear()
      const s = batch.series[i], d = table.deviceOf[s]
      if (role[s] === 0) role[s] = metrics.indexOf(table.metric(s)) + 2
      if (role[s] === 1) continue
      let k = open.get(d)?.find(k => batch.time[first[k]] === batch.time[i]) ?? -1
      if (k < 0) {
        if (made[d] === 0) made[d] = table.of(d, metric) + 1
        if (made[d] === 0) continue
        k = first.push(i) - 1
        open.set(d, [...open.get(d) ?? [], k])
        series.push(made[d] - 1)
        revision.push(0)
        for (const cell of cells) cell.push(NaN)
      }
      revision[k] = Math.max(revision[k], revisions?.[i] ?? 0)
      sources.forEach((source, c) => { cells[(role[s] - 2) * columns.length + c][k] = source[i] })
    }
    host.aggregated(batch.length)
    const names = metrics.flatMap(m => columns.map(c => nameOf(m, c))), added = cells.map(cell => Float64Array.from(cell))
    const rows = batch.take(Int32Array.from(first))
    return new Batch({ ...rows, series: Int32Array.from(series), value: added[0], columns: { ...Object.fromEntries(names.map((name, c) => [name, added[c]])), revision: Float64Array.from(revision) } })
  }
})

const nameOf = (metric: string, column: string): string => column === 'value' ? metric : `${metric}_${column}`

export interface Across<M extends string, C extends string> { readonly metrics: readonly M[], readonly columns?: readonly C[], readonly metric?: string, readonly id?: string }
type Named<M extends string, C extends string> = C extends 'value' ? M : `${M}_${C}`

/**
 * One row per device and time from the rows of its metrics, with columns side by side: `temp_mean`, `flow_mean`, ... Behind
 * windows it is one window of the whole device, as its windows of one time are written together; behind readings it joins
 * those of one message and time. What a metric has no row for has no value (NaN); rows of other metrics end here. `revision` is that of
 * its rows. When the series table is full (maxSeries) nothing is made. It remembers nothing.
 */
export const across = Object.assign(
  <const M extends string, const C extends string = 'value'>(given: Across<M, C>) => step(given as object) as Operator<Exclude<C, 'value'>, Named<M, C> | 'revision'>,
  { definition: step.definition })
