import { clocksAt, defineOperator, Type, type Batch } from '#engine'
import { Portfolio, portfolio, signals } from '../models/portfolio.ts'
import { budget } from './shared/budget.ts'
import { Alarms } from './shared/alarms.ts'
import { columns } from './shared/columns.ts'
import { checkZone } from './shared/zone.ts'

const options = Type.Object({
  ...budget,
  samples: Type.Integer({ description: 'Readings to learn from before the first p-value.', minimum: 50, default: 200 }),
  zone: Type.Optional(Type.String({ description: 'IANA time zone whose clocks hours and working days go by, such as Europe/Berlin; UTC when absent.' }))
})
const adds = ['anomaly', 'anomaly_p', 'anomaly_low', 'anomaly_high', 'anomaly_signal', 'anomaly_usual', 'anomaly_learned', 'anomaly_alarm'] as const
const summary = 'How unusual each reading is for its series, as a p-value, with the expected range and alarms by a budget.'
const explains = ({ samples }: { readonly samples: number }) => ({ learning: { learned: 'anomaly_learned', of: samples }, expected: ['anomaly_low', 'anomaly_high'], p: 'anomaly_p', spoke: { column: 'anomaly_signal', names: signals } } as const)
const partOf = (signal: string): string => `anomaly_${signal}`

/** The same with a column for each signal: -log10 of how rarely that alone is as large, 0 for the usual 98 %. */
const weighed = defineOperator({
  name: 'anomaly', summary, options, check: checkZone, adds: [...adds, ...signals.map(partOf)],
  explains: given => ({ ...explains(given), signals: Object.fromEntries(signals.map(signal => [signal, partOf(signal)])) }),
  learns: true,
  perSeries: { memory: portfolio },
  process (batch, given, { memory }) {
    const parts = columns(signals.length, batch.length)
    return judge(batch, given, memory, parts).with(Object.fromEntries(signals.map((signal, k) => [partOf(signal), parts[k]])))
  }
})

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
  summary,
  options,
  check: checkZone,
  adds,
  explains,
  weighed,
  version: 3,                            // a series knows whether it stands still
  learns: true,
  perSeries: { memory: portfolio },
  tuning: ['alarms', 'per', 'samples'],
  process: (batch, given, { memory }) => judge(batch, given, memory)
})

interface Given { readonly alarms: number, readonly per: number, readonly samples: number, readonly zone?: string | undefined }
interface Memory { readonly data: Float64Array, readonly width: number, readonly field: Readonly<Record<string, number>> }

/** What is said of each row; `parts` take what each signal says, when that is wanted. */
function judge (batch: Batch, { alarms, per, samples, zone }: Given, { data, width, field: { n: readings } }: Memory, parts?: readonly Float64Array[]): Batch<any> {
  const model = new Portfolio(), clock = clocksAt(batch.time, zone)
  const [low, high, signal, usual, learned, ...said] = columns(8, batch.length), judged = new Alarms(batch.length, said)
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
      if (parts !== undefined) for (let k = 0; k < parts.length; k++) parts[k][i] = model.part(data, at, k)
    }
    model.learn(data, at)
  }
  return batch.with({ anomaly: judged.evidence, anomaly_p: judged.p, anomaly_low: low, anomaly_high: high, anomaly_signal: signal, anomaly_usual: usual, anomaly_learned: learned, anomaly_alarm: judged.alarm })
}
