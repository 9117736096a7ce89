import { assign, Batch, close, defineOperator, Duration, Type, windowMemory, type Closing, type Operator } from '#engine'
import { Accumulator, features, type Feature } from '../models/features.ts'

const usual = ['mean', 'min', 'max', 'count'] as const satisfies readonly Feature[]

const step = defineOperator({
  name: 'tumbling',
  summary: 'Features of each series over windows of event time that follow one another.',
  options: Type.Object({
    every: Duration({ description: 'Length of a window.' }),
    features: Type.Array(Type.Union(features.map(f => Type.Literal(f))), { description: 'What to work out; the first one becomes the value.', minItems: 1, uniqueItems: true, default: [...usual] }),
    offset: Duration({ description: 'How much later than midnight UTC (1970-01-01) windows begin.', default: '0s' })
  }),
  adds: ({ features }): ('revision' | Feature)[] => [...features, 'revision'],
  perSeries: ({ features }) => windowMemory.perSeries(...new Accumulator(features).fields),
  perDevice: windowMemory.perDevice,
  windows: true,
  check: ({ every }) => every > 0 ? undefined : 'every must be longer than nothing',

  process (batch, { every, features, offset }, memory, host) {
    const { windows } = memory
    const accumulator = new Accumulator(features), n = windows.field.n
    const node = assign(batch, every, memory, host, offset)
    for (let i = 0; i < node.length; i++) {
      const w = node[i]
      if (w >= 0) accumulator.add(windows.page(w), windows.offset(w) + n, batch.time[i], batch.value[i])
    }
    const write = ({ series, node, start, position, revision }: Closing) => {
      const columns: Record<string, Float64Array> = {}
      for (const feature of features) {
        const column = columns[feature] = new Float64Array(node.length)
        for (let k = 0; k < node.length; k++) column[k] = accumulator.value(feature, windows.page(node[k]), windows.offset(node[k]) + n)
      }
      return new Batch({ time: start, series, value: columns[features[0]], columns: { ...columns, revision }, arrival: start, position, progress: batch.progress, watermark: batch.watermark })
    }
    return close(batch, every, memory, host, write)
  }
})

export interface Tumbling<F extends Feature> { readonly every: string, readonly features?: readonly F[], readonly offset?: string, readonly id?: string }

/**
 * Features of each series over windows [start, start + every) of event time. A window is written, stamped with its start,
 * when the progress of its device reaches its end; a reading that arrives after that is late. Its `value` is the first
 * feature, `revision` says how often the window was written provisionally before (see `idle`). Windows without a value
 * are not written. One record of about 30 to 180 bytes per open window.
 */
export const tumbling = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Tumbling<F>) => step(given as Parameters<typeof step>[0]) as Operator<never, F | 'revision'>,
  { definition: step.definition })
