import { defineOperator, Duration, Type } from '#engine'

/**
 * Keeps a reading when it has moved by more than `by` since the last one kept of its series (and, if given, by more than `percent`
 * of that one's size), or when `max` has passed since. The first reading without a value is kept, and the first with one again.
 * Readings out of order are compared with the one kept last. 16 bytes per series.
 */
export const deadband = defineOperator({
  name: 'deadband',
  summary: 'Keeps readings that differ enough from the last one kept.',
  options: Type.Object({
    by: Type.Optional(Type.Number({ description: 'Least difference, in the unit of the value; must be exceeded.', minimum: 0 })),
    percent: Type.Optional(Type.Number({ description: 'Least difference, in percent of the last kept value; must be exceeded.', minimum: 0 })),
    max: Type.Optional(Duration({ description: 'Event time after which a reading is kept even if nothing has moved.' }))
  }),
  tuning: ['by', 'percent', 'max'],
  perSeries: { kept: { value: NaN, time: -Infinity } },
  drops: 'filtered',
  check: ({ by, percent }) => by === undefined && percent === undefined ? 'say how far a value must move: by or percent' : undefined,

  process (batch, { by = 0, percent = 0, max = Infinity }, { kept }) {
    const { data, width, field } = kept
    return batch.filter(i => {
      const at = batch.series[i] * width, x = batch.value[i], t = batch.time[i]
      const last = data[at + field.value], since = t - data[at + field.time]
      const moved = Math.abs(x - last)
      const keep = since >= max || since === Infinity || Number.isNaN(x) !== Number.isNaN(last) || (moved > by && moved > percent / 100 * Math.abs(last))
      if (keep) {
        data[at + field.value] = x
        data[at + field.time] = t
      }
      return keep
    })
  }
})
