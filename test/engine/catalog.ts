import { assign, Batch, close, evenGrid, Tumble, defineOperator, defineSink, defineSource, Duration, Lists, Observable, Type, windowMemory, type Components } from '#engine'
import { ewma } from '../../operators/ewma.ts'

/** A few small components to read, check and test pipelines with: one of each kind that the rules tell apart. */
export const plant = defineSource({
  name: 'plant',
  summary: 'Readings of a plant.',
  options: Type.Object({
    url: Type.String({ description: 'Where it is.', default: 'plant://localhost' }),
    topic: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description: 'What to read.', default: '{device}/{metric}' }),
    qos: Type.Integer({ description: 'Quality of service.', minimum: 0, maximum: 1, default: 1 }),
    retain: Type.Boolean({ description: 'Whether to read what is retained.', default: false }),
    password: Type.Optional(Type.String({ description: 'Password of the plant.' }))
  }),
  shares: ({ topic }) => [topic].flat().some(t => t.startsWith('$share/')),
  open: () => ({ open: () => new Observable(), commit: async () => {}, trouble: () => undefined })
})

export const dedupe = defineOperator({
  name: 'dedupe',
  summary: 'Drops a reading that repeats the one before it.',
  options: Type.Object({ within: Duration({ description: 'How far back it remembers.', default: '10m' }) }),
  perSeries: { time: NaN, value: NaN },
  drops: 'deduplicated',
  process: (batch, _, { time, value }) => batch.filter(i => {
    const s = batch.series[i], again = time[s] === batch.time[i] && value[s] === batch.value[i]
    time[s] = batch.time[i]
    value[s] = batch.value[i]
    return !again
  })
})

export const within = defineOperator({
  name: 'within',
  summary: 'Keeps readings inside a range.',
  options: Type.Object({ min: Type.Number({ description: 'The least.', default: -1e9 }), max: Type.Number({ description: 'The most.', default: 1e9 }) }),
  check: ({ min, max }) => min > max ? `min (${min}) is above max (${max})` : undefined,
  drops: 'filtered',
  process: (batch, { min, max }) => batch.filter(i => !(batch.value[i] < min || batch.value[i] > max))
})

export const outside = defineOperator({
  name: 'outside',
  summary: 'How far a reading is from its average.',
  options: Type.Object({ by: Type.Number({ description: 'What counts as far.', minimum: 0, default: 1 }) }),
  needs: ['ewma'],
  adds: ['outside'],
  process: (batch, { by }) => batch.with({ outside: batch.value.map((x, i) => Math.abs(x - batch.columns.ewma[i]) / by) })
})

/** Needs a column that its options name, as many operators do. */
export const doubled = defineOperator({
  name: 'doubled',
  summary: 'Twice a column.',
  options: Type.Object({ of: Type.String({ description: 'The column.' }) }),
  needs: ({ of }) => [of],
  adds: ['doubled'],
  process: (batch, { of }) => batch.with({ doubled: batch.column(of).map((x: number) => 2 * x) })
})

export const sums = defineOperator({
  name: 'sums',
  summary: 'The sum of each window.',
  options: Type.Object({ every: Duration({ description: 'Length of a window.' }) }),
  adds: ['sum'],
  windows: true,
  perSeries: windowMemory.perSeries('sum'),
  perDevice: windowMemory.perDevice,
  process (batch, { every }, memory, host) {
    const { windows } = memory as unknown as { windows: Lists<'sum' | 'revision'> }
    const kind = new Tumble(evenGrid(every), memory as any)
    assign(batch, kind, memory as any, host, { add (w, i) { windows.page(w)[windows.offset(w) + windows.field.sum] += batch.value[i] } })
    return close(batch, kind, memory as any, host, ({ series, node, start, position, revision }) => {
      const sum = Float64Array.from(node, w => windows.page(w)[windows.offset(w) + windows.field.sum])
      return new Batch({ time: start, series, value: sum, columns: { sum, revision }, position, progress: batch.progress, watermark: batch.watermark })
    })
  }
})

const nowhere = { write: async () => {}, close: async () => {} }
export const table = defineSink({
  name: 'table',
  summary: 'A table of a database.',
  options: Type.Object({ table: Type.String({ description: 'Its name.' }), url: Type.Optional(Type.String({ description: 'The database.' })) }),
  storeKey: ({ url }) => url ?? '',
  store: () => { throw new Error('not for running') }
})
export const print = defineSink({ name: 'print', summary: 'Prints rows.', options: Type.Object({}), follow: () => nowhere, receive: () => ({ send: async () => {}, close: async () => {} }) })
export const hook = defineSink({ name: 'hook', summary: 'Calls somebody.', options: Type.Object({ url: Type.String({ description: 'Whom.' }), secret: Type.Optional(Type.String({ description: 'Signs calls.' })) }), address: ({ url }) => url, receive: () => ({ send: async () => {}, close: async () => {} }) })

export const catalog: Components = {
  sources: { plant },
  operators: { dedupe, doubled, ewma, outside, sums, within },
  sinks: { hook, print, table }
}
