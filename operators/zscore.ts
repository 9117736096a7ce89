import { defineOperator, Duration, Type } from '#engine'
import { Robust, robust } from '../models/robust.ts'

/**
 * How unusual a reading is for its series: distance from the robust level in robust scales (see models/robust.ts for source and
 * limits). Scored first, then learned, so a reading never excuses itself. NaN while learning and for readings without a
 * value; within +-1000, which a series that has never varied gives for any other value. 32 bytes per series.
 */
export const zscore = defineOperator({
  name: 'zscore',
  summary: 'Robust z-score of each reading against the recent past of its series.',
  options: Type.Object({
    over: Duration({ description: 'How far the past reaches: a reading this old weighs 1/e of a new one.', default: '1h' }),
    samples: Type.Integer({ description: 'Readings to learn from before the first score; also the fewest that the past consists of.', minimum: 2, default: 30 }),
    floor: Type.Number({ description: 'Least scale, in the unit of the value: the resolution of the sensor.', minimum: 0, default: 0 })
  }),
  adds: ['zscore'],
  perSeries: { level: robust },

  process (batch, options, { level }) {
    const model = new Robust(options)
    const { data, width } = level
    const zscore = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      const at = batch.series[i] * width, x = batch.value[i]
      zscore[i] = model.score(data, at, x)
      model.learn(data, at, x, batch.time[i])
    }
    return batch.with({ zscore })
  }
})
