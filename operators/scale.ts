import { defineOperator, matcher, note, Type } from '#engine'

const OTHER = 1, CHOSEN = 2

/** value * factor + offset: for units, and for sensors with a known gain. A product too large for a double has no value (NaN). */
export const scale = defineOperator({
  name: 'scale',
  summary: 'Multiplies values by a factor and adds an offset.',
  options: Type.Object({
    factor: Type.Number({ description: 'What each value is multiplied by.', default: 1 }),
    offset: Type.Number({ description: 'What is added then, in the new unit.', default: 0 }),
    metric: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description: 'Only these metrics; * stands for any characters. All when absent.' }))
  }),
  perSeries: { role: note },
  changes: true,

  process (batch, { factor, offset, metric }, { role }, { series: table }) {
    const value = new Float64Array(batch.length)
    const matches = matcher(metric ?? '*')
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i]
      if (role[s] === 0) role[s] = matches(table.metric(s)) ? CHOSEN : OTHER
      const x = role[s] === CHOSEN ? batch.value[i] * factor + offset : batch.value[i]
      value[i] = Number.isFinite(x) ? x : NaN
    }
    return batch.withValue(value)
  }
})
