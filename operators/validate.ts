import { defineOperator, Type, type Held, type Shapes } from '#engine'

const rated = { valid: { value: NaN, time: NaN } }
type Rated = typeof rated

/**
 * Drops readings that cannot be right: outside [min, max], infinite, or changing faster than `rate`. A reading without a
 * value is no wrong one and stays, unless `missing` is false.
 *
 * `rate` compares with the last valid reading of the series. After a real jump readings are valid again once enough time
 * has passed for it, so no series is ever shut out. 16 bytes per series with `rate`, else none.
 */
export const validate = defineOperator({
  name: 'validate',
  summary: 'Drops readings outside a range or changing faster than they can.',
  options: Type.Object({
    min: Type.Optional(Type.Number({ description: 'Least valid value.' })),
    max: Type.Optional(Type.Number({ description: 'Greatest valid value.' })),
    rate: Type.Optional(Type.Number({ description: 'Greatest change per second of event time, in the unit of the value.', exclusiveMinimum: 0 })),
    missing: Type.Boolean({ description: 'Keep readings without a value?', default: true })
  }),
  tuning: ['min', 'max', 'missing'],
  perSeries: ({ rate }): Shapes => rate === undefined ? {} : rated,
  drops: 'filtered',
  check: ({ min, max }) => min !== undefined && max !== undefined && min > max ? `min ${min} is above max ${max}` : undefined,

  process (batch, { min = -Number.MAX_VALUE, max = Number.MAX_VALUE, rate, missing }, memory) {
    const { time, series, value } = batch
    if (rate === undefined) return batch.filter(i => value[i] >= min && value[i] <= max || missing && Number.isNaN(value[i]))
    const { data, width, field } = (memory as Held<Rated>).valid
    return batch.filter(i => {
      const x = value[i]
      if (Number.isNaN(x)) return missing
      if (!(x >= min && x <= max)) return false
      const at = series[i] * width, since = time[i] - data[at + field.time]
      if (Math.abs(x - data[at + field.value]) > rate * Math.abs(since) / 1000) return false
      if (!(since < 0)) {
        data[at + field.value] = x
        data[at + field.time] = time[i]
      }
      return true
    })
  }
})
