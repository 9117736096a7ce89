import { defineOperator, Type } from '#engine'

/**
 * A two-point switch with hysteresis: 1 when the value is above `above`, 0 when it is at or under `clear`, unchanged between;
 * the other way round with `below`. A reading without a value repeats the state; NaN until the first value. 8 bytes per series.
 */
export const threshold = defineOperator({
  name: 'threshold',
  summary: 'Whether each series is beyond a limit, with hysteresis.',
  options: Type.Object({
    above: Type.Optional(Type.Number({ description: '1 when the value is greater.' })),
    below: Type.Optional(Type.Number({ description: '1 when the value is less.' })),
    clear: Type.Optional(Type.Number({ description: '0 again at this value or on its good side; the limit itself when absent.' }))
  }),
  adds: ['threshold'],
  tuning: ['above', 'below', 'clear'],
  tuned (before, now, { beyond }, series) {
    if ((before.above === undefined) !== (now.above === undefined)) for (const s of series) beyond[s] = NaN
  },
  perSeries: { beyond: NaN },
  check: ({ above, below, clear }) =>
    (above === undefined) === (below === undefined)
      ? 'give either above or below'
      : above !== undefined && clear! > above ? `clear ${clear} must not be greater than above ${above}`
        : below !== undefined && clear! < below ? `clear ${clear} must not be less than below ${below}` : undefined,

  process (batch, { above, below, clear }, { beyond }) {
    const sign = above === undefined ? -1 : 1
    const limit = sign * (above ?? below!), good = clear === undefined ? limit : sign * clear
    const threshold = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], x = sign * batch.value[i]
      if (x > limit) beyond[s] = 1
      else if (x <= good || (x <= limit && Number.isNaN(beyond[s]))) beyond[s] = 0
      threshold[i] = beyond[s]
    }
    return batch.with({ threshold })
  }
})
