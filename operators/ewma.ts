import { defineOperator, Type } from '#engine'

/** Exponentially weighted moving average: mean += alpha * (value - mean). A missing value repeats the mean. 8 bytes per series. */
export const ewma = defineOperator({
  name: 'ewma',
  summary: 'Exponentially weighted moving average of each series.',
  options: Type.Object({ alpha: Type.Number({ description: 'Weight of the newest reading.', minimum: 0, maximum: 1, default: 0.1 }) }),
  adds: ['ewma'],
  tuning: ['alpha'],
  learns: true,
  perSeries: { mean: NaN },

  process (batch, { alpha }, { mean }) {
    const ewma = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], x = batch.value[i]
      if (Number.isNaN(mean[s])) mean[s] = x
      else if (!Number.isNaN(x)) mean[s] += alpha * (x - mean[s])
      ewma[i] = mean[s]
    }
    return batch.with({ ewma })
  }
})
