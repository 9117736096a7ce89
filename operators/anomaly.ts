import { clocksAt, defineOperator, Type } from '#engine'
import { Portfolio, portfolio, signals } from '../models/portfolio.ts'
import { budget } from './shared/budget.ts'
import { Alarms } from './shared/alarms.ts'
import { columns } from './shared/columns.ts'
import { checkZone } from './shared/zone.ts'

const own = ['anomaly', 'anomaly_p', 'anomaly_low', 'anomaly_high', 'anomaly_signal', 'anomaly_usual', 'anomaly_learned', 'anomaly_alarm'] as const
const partOf = (signal: typeof signals[number]) => `anomaly_${signal}` as const, parts = signals.map(partOf)

/**
 * Whether a reading is unusual for its series: a calibrated p-value from seven signals, see models/portfolio.ts for methods,
 * sources and limits. A reading is scored first and learned afterwards. One without a finite value teaches nothing.
 *
 *   anomaly           -log10 of the p-value when that is news, 0 when it is usual or goes on as before; 0 to 16
 *   anomaly_p         the p-value: how rarely a reading of this series is as unusual. 1 for the usual 98 %, else mostly below 0.02
 *   anomaly_low,high  where 98 % of values are expected here and now, in the unit of the value
 *   anomaly_signal    what spoke: 1 jump, 2 level, 3 shift, 4 drift, 5 season, 6 dynamics, 7 noise; 0 nothing
 *   anomaly_usual     what is usual at this hour and on this day, in the unit of the value; no value until there has been such an hour before
 *   anomaly_learned   readings learned so far, up to `samples`
 *   anomaly_alarm     1 when the reading is so unusual that chance gives at most `alarms` such in `per` at the series' own rate, and news, else 0
 *
 * Until `samples` readings are learned all but anomaly_learned have no value. 1 KB per series.
 */
export const anomaly = defineOperator({
  name: 'anomaly',
  summary: 'How unusual each reading is for its series, as a p-value, with the expected range and alarms by a budget.',
  options: Type.Object({
    ...budget,
    samples: Type.Integer({ description: 'Readings to learn from before the first p-value.', minimum: 50, default: 200 }),
    zone: Type.Optional(Type.String({ description: 'IANA time zone whose clocks hours and working days go by, such as Europe/Berlin; UTC when absent.' })),
    contributions: Type.Boolean({ description: 'Is what each signal says by itself wanted too, as columns `anomaly_jump` and so on?', default: false })
  }),
  check: checkZone,
  adds: ({ contributions }) => contributions ? [...own, ...parts] : own,
  explains: ({ samples, contributions }) => ({
    learning: { learned: 'anomaly_learned', of: samples }, expected: ['anomaly_low', 'anomaly_high'], p: 'anomaly_p',
    ...contributions ? { signals: Object.fromEntries(signals.map(signal => [signal, partOf(signal)])) } : { spoke: { column: 'anomaly_signal', names: signals } }
  }),
  version: 3,                            // a series knows whether it stands still
  learns: true,
  perSeries: { memory: portfolio },
  tuning: ['alarms', 'per', 'samples', 'contributions'],

  process (batch, { alarms, per, samples, zone, contributions }, { memory: { data, width, field: { n: readings } } }) {
    const model = new Portfolio(), clock = clocksAt(batch.time, zone)
    const [low, high, signal, usual, learned, ...said] = columns(8, batch.length), judged = new Alarms(batch.length, said), weights = contributions ? columns(parts.length, batch.length) : []
    for (let i = 0; i < batch.length; i++) {
      const at = batch.series[i] * width, x = batch.value[i], n = data[at + readings]
      learned[i] = Math.min(n, samples)
      if (!Number.isFinite(x)) continue
      model.read(x, batch.time[i], clock[i])
      if (n > 0) model.score(data, at)
      if (n >= samples) {
        judged.say(i, model, data, at, alarms, per)
        low[i] = model.low
        high[i] = model.high
        usual[i] = model.usual
        signal[i] = model.evidence > 0 ? model.signal + 1 : 0
        for (let k = 0; k < weights.length; k++) weights[k][i] = model.part(data, at, k)
      }
      model.learn(data, at)
    }
    return batch.with({ anomaly: judged.evidence, anomaly_p: judged.p, anomaly_low: low, anomaly_high: high, anomaly_signal: signal, anomaly_usual: usual, anomaly_learned: learned, anomaly_alarm: judged.alarm, ...Object.fromEntries(weights.map((weight, k) => [parts[k], weight])) })
  }
})
