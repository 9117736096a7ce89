import { pipeline, SeriesTable, type Operator } from '#engine'
import { openFlow } from '../engine/flow.ts'
import { across, tumbling } from '../operators/index.ts'
import { BATCH, deliveryOf, sink, source } from './drive.ts'
import type { Device } from './real-data.ts'

/** Columns of the rows of a device, one per window of `every` in which it said something, in their order. */
export interface DeviceRows<A extends string> { readonly time: Float64Array, readonly columns: Record<A, Float64Array> }

/**
 * The whole way of a device's readings: windows of each metric with the last value, side by side, then the step.
 * Rows come as a pipeline makes them, so nothing is known before its time.
 */
export function rowsOf<A extends string> (device: Device, every: string, step: (columns: string[]) => Operator<any, A>): DeviceRows<A> {
  const table = new SeriesTable(device.metrics.length + 1), { metrics, micros, values } = device
  const of = metrics.map(metric => table.id('bench', device.name, metric))
  const columns = metrics.map(metric => `${metric}_last`), last = step(columns)
  const flow = openFlow(pipeline('bench').from(source(), { lateness: '0s' }).pipe(tumbling({ every, features: ['last'] }), across({ metrics, columns: ['last'] }), last as Operator).to(sink()), table)
  const time: number[] = [], added = last.adds.map((): number[] => [])
  const each = Math.max(1, Math.floor(BATCH / metrics.length))
  const collect = ({ follow }: ReturnType<typeof flow.end>) => {
    for (const { batch } of follow) {
      time.push(...batch.time)
      last.adds.forEach((column, k) => { added[k].push(...(batch.columns as Record<string, Float64Array>)[column]) })
    }
  }
  let position = 0
  for (let from = 0; from < micros.length; from += each) {
    const rows = micros.slice(from, from + each).flatMap((at, i) => of.map((s, j) => [at / 1000, s, values[from + i][j]] as const))
    collect(flow.process(deliveryOf({ time: Float64Array.from(rows, r => r[0]), series: Int32Array.from(rows, r => r[1]), value: Float64Array.from(rows, r => r[2]) }, position, micros[0] / 1000)))
    position += rows.length
  }
  collect(flow.end(micros[0] / 1000))
  return { time: Float64Array.from(time), columns: Object.fromEntries(last.adds.map((column, k) => [column, Float64Array.from(added[k])])) as Record<A, Float64Array> }
}
