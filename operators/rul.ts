import { defineOperator, Duration, Type } from '#engine'
import { quantile } from '../models/first-passage.ts'
import * as wiener from '../models/wiener.ts'
import { LARGEST } from '../models/largest.ts'

const SECOND = 1000
const CLEAR = 1.96                   // standard errors: 95 % of drifts that are none stay below, of both signs
const NARROWEST = 1e-6               // square of the least relative spread of the time to the threshold

/**
 * Remaining useful life: how long each series still takes to its threshold, if it goes on as it did. A Wiener process with drift
 * is fitted to the readings, see models/wiener.ts, and the time of its first passage follows, see models/first-passage.ts, with
 * what is not known of the drift. In seconds from the reading's time.
 *
 *   rul_p10, rul_p50, rul_p90   the threshold is reached within this time with 10, 50 and 90 %; 0 when it is reached: by where the
 *                               process is, not by one noisy reading
 *   rul_rate                    drift per second
 *   rul_learned                 readings learned so far, up to `samples`
 *
 * Without a clear trend towards the threshold (95 %), and until `samples` readings are learned, the times have no value. Nor has a reading
 * without a value (or with one beyond 1e100), or not later than the last, or so far from where it was to be expected that it is held
 * to be wild; it teaches nothing. When eight in a row are so far off, the last of them is believed. 240 bytes per series.
 */
export const rul = defineOperator({
  name: 'rul',
  summary: 'Remaining useful life: how long each series still takes to reach a threshold, with 10, 50 and 90 %.',
  options: Type.Object({
    above: Type.Optional(Type.Number({ description: 'The threshold, when values rise to it.' })),
    below: Type.Optional(Type.Number({ description: 'The threshold, when values fall to it.' })),
    over: Duration({ description: 'How far back the trend goes: a reading that is so old counts half.', default: '30d' }),
    samples: Type.Integer({ description: 'Readings to learn from before the first time.', minimum: 10, default: 30 })
  }),
  adds: ['rul_p10', 'rul_p50', 'rul_p90', 'rul_rate', 'rul_learned'],
  explains: ({ samples }) => ({ learning: { learned: 'rul_learned', of: samples } }),
  learns: true,
  says: 'forecast',
  perSeries: { memory: wiener.wiener },
  tuning: ['above', 'below', 'over', 'samples'],
  check: ({ above, below, over }) => (above === undefined) === (below === undefined) ? 'give either above or below' : over > 0 ? undefined : 'over must be longer than nothing',

  process (batch, { above, below, over, samples }, { memory: { data, width } }) {
    const up = above === undefined ? -1 : 1, threshold = (above ?? below)!
    const column = () => new Float64Array(batch.length).fill(NaN)
    const p10 = column(), p50 = column(), p90 = column(), rate = column(), learned = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      const at = batch.series[i] * width, x = batch.value[i]
      const taken = Math.abs(x) < LARGEST && wiener.learn(data, at, batch.time[i] / SECOND, x, over / SECOND)
      learned[i] = Math.min(wiener.count(data, at), samples)
      if (!taken || learned[i] < samples) continue
      rate[i] = wiener.drift(data, at)
      const drift = up * rate[i], driftVariance = wiener.driftVariance(data, at), distance = up * (threshold - wiener.place(data, at))
      if (distance <= 0) { p10[i] = p50[i] = p90[i] = 0; continue }
      if (!(drift > CLEAR * Math.sqrt(driftVariance))) continue
      const fitted = { distance, drift, variance: Math.max(wiener.variance(data, at), NARROWEST * distance * drift), driftVariance, placeVariance: wiener.placeVariance(data, at) }
      p10[i] = quantile(fitted, 0.1)
      p50[i] = quantile(fitted, 0.5)
      p90[i] = quantile(fitted, 0.9)
    }
    return batch.with({ rul_p10: p10, rul_p50: p50, rul_p90: p90, rul_rate: rate, rul_learned: learned })
  }
})
