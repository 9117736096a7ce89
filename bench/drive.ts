import { defineSink, defineSource, Observable, pipeline, SeriesTable, Type, type Delivery, type Operator, type Readings } from '#engine'
import { openFlow } from '../engine/flow.ts'

/** What benchmarks drive a pipeline's flow with, as the run loop does: without a source, a store and a clock. */
export const BATCH = 1024
export const source = defineSource({ name: 'none', summary: '', options: Type.Object({}), open: () => ({ open: () => new Observable<Delivery>(), commit: async () => {}, trouble: () => undefined }) })
export const sink = defineSink({ name: 'none', summary: '', options: Type.Object({}), follow: () => ({ write: async () => {}, close: async () => {} }) })

/** Rows as a source delivers them, numbered from after + 1. */
export function deliveryOf (part: Pick<Readings, 'time' | 'series' | 'value'>, after: number, ingest: number): Delivery {
  const count = part.time.length
  return { rows: { ...part, position: Float64Array.from(part.time, (_, i) => after + i + 1), ingest: new Float64Array(count).fill(ingest) }, dead: [], received: count, messages: count, upTo: after + count, ingest, bytes: 0, ended: false }
}

export interface Series { readonly name: string, readonly time: ArrayLike<number>, readonly value: ArrayLike<number> }      // ms

/** The columns that a step adds to each series, row by row. The step may drop none. */
export function columnsOf<A extends string> (step: Operator<never, A>, all: readonly Series[]): Record<A, Float64Array>[] {
  const table = new SeriesTable(all.length)
  const flow = openFlow(pipeline('bench').from(source()).pipe(step).to(sink()), table)
  let position = 0
  return all.map(({ name, time, value }, s) => {
    const columns = Object.fromEntries(step.adds.map(column => [column, new Float64Array(time.length)])) as Record<A, Float64Array>
    table.id('bench', name, 'value')
    for (let from = 0; from < time.length; from += BATCH) {
      const rows = Float64Array.from({ length: Math.min(BATCH, time.length - from) }, (_, i) => time[from + i])
      const { follow: [{ batch }] } = flow.process(deliveryOf({ time: rows, series: new Int32Array(rows.length).fill(s), value: rows.map((_, i) => value[from + i]) }, position, time[0]))
      position += rows.length
      for (const column of step.adds) columns[column].set((batch.columns as Record<A, Float64Array>)[column], from)
    }
    return columns
  })
}
