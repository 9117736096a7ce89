import { defineOperator, Duration, list, Type, type Lists } from '#engine'
import { Robust, robust } from '../models/robust.ts'

/**
 * How unusual a reading is for its series: distance from the robust level in robust scales (see models/robust.ts for source and
 * limits). Scored first, then learned, so a reading never excuses itself. NaN while learning and for readings without a
 * value; within +-1000, which a series that has never varied gives for any other value. 40 bytes per series, and 16 for each
 * reading while learning.
 */
export const zscore = defineOperator({
  name: 'zscore',
  summary: 'Robust z-score of each reading against the recent past of its series.',
  options: Type.Object({
    over: Duration({ description: 'How far the past reaches: a reading this old weighs 1/e of a new one.', default: '1h' }),
    samples: Type.Integer({ description: 'Readings to learn from before the first score; also the fewest that the past consists of.', minimum: 2, maximum: 1000, default: 30 }),
    floor: Type.Number({ description: 'Least scale, in the unit of the value: the resolution of the sensor.', minimum: 0, default: 0 })
  }),
  adds: ['zscore'],
  tuning: ['over', 'floor'],
  learns: true,
  perSeries: { level: robust, learning: list() },      // learning: values in ascending order

  process (batch, options, { level, learning }) {
    const { samples } = options
    const model = new Robust(options)
    const { data, width, field } = level
    const zscore = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], at = s * width, x = batch.value[i]
      if (data[at + field.weight] >= samples) {
        zscore[i] = model.score(data, at, x)
        model.learn(data, at, x, batch.time[i])
        continue
      }
      zscore[i] = NaN
      if (Number.isNaN(x)) continue
      learning.insert(s, x)
      data[at + field.newest] = Math.max(data[at + field.newest], batch.time[i])
      if (++data[at + field.weight] === samples) model.begin(data, at, drained(learning, s, samples))
    }
    return batch.with({ zscore })
  }
})

function drained (learning: Lists, series: number, count: number): Float64Array {
  const values = new Float64Array(count)
  for (let k = 0; k < count; k++) {
    values[k] = learning.time(learning.oldest(series))
    learning.shift(series)
  }
  return values
}
