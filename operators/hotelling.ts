import { defineOperator, Duration, list, Type, type Lists, type Operator } from '#engine'
import { Hotelling, least } from '../models/hotelling.ts'
import { once } from './shared/once.ts'
import { needed, recordOf, rowOptions, type RowOptions } from './shared/rows.ts'
import { Alarms } from './shared/alarms.ts'

const step = defineOperator({
  name: 'hotelling',
  summary: 'Whether the metrics of a device go together as ever, as a p-value, with the share of each and alarms by a budget.',
  options: Type.Object({
    ...rowOptions({ columns: 2, samples: [1, 200] }),
    memory: Type.Integer({ description: 'Rows that means and covariances go back: of so many the oldest counts 1/e.', minimum: 100, default: 1000 }),
    hold: Duration({ description: 'How long a value stands in for one that does not come.', default: '5m' })
  }),
  needs: needed,
  adds: ({ columns }): string[] => [...own, ...columns.map(shareOf)],
  explains: ({ columns, samples }) => ({ learning: { learned: 'hotelling_learned', of: samples }, p: 'hotelling_p', signals: Object.fromEntries(columns.map(c => [c, shareOf(c)])) }),
  version: 2,                            // tails are shorter
  learns: true,
  perSeries: options => ({ memory: list(...Object.keys(modelOf(options).shape)) }),
  tuning: ['alarms', 'per', 'samples', 'memory', 'hold'],
  check: ({ columns, samples }) => {
    const few = least(columns.length)
    return samples < few ? `samples is ${samples}: a covariance of ${columns.length} columns needs at least ${few} rows` : undefined
  },

  process (batch, options, held) {
    const { columns, alarms, per, samples, hold } = options, memory = held.memory as Lists<any>, model = modelOf(options), first = Object.values(model.shape)
    const sources = columns.map(c => batch.column(c))
    const column = () => new Float64Array(batch.length).fill(NaN)
    const judged = new Alarms(batch.length), signal = column(), t2 = column(), spe = column(), learned = column(), shares = columns.map(column)
    for (let i = 0; i < batch.length; i++) {
      const time = batch.time[i], node = recordOf(memory, batch.series[i], first), m = memory.page(node), at = memory.offset(node) + 1, n = model.learned(m, at)
      learned[i] = n < samples ? n : samples
      for (let j = 0; j < columns.length; j++) model.put(m, at, j, sources[j][i], time, hold)
      if (model.score(m, at) && n >= samples) {
        judged.say(i, model, m, at, alarms, per)
        signal[i] = model.signal + 1
        t2[i] = model.t2
        spe[i] = model.spe
        for (let j = 0; j < columns.length; j++) shares[j][i] = model.shares[j]
      }
      model.learn(m, at, time)
    }
    return batch.with({
      hotelling: judged.evidence, hotelling_p: judged.p, hotelling_signal: signal, hotelling_t2: t2, hotelling_spe: spe, hotelling_learned: learned, hotelling_alarm: judged.alarm,
      ...Object.fromEntries(columns.map((c, j) => [shareOf(c), shares[j]]))
    })
  }
})

const own = ['hotelling', 'hotelling_p', 'hotelling_signal', 'hotelling_t2', 'hotelling_spe', 'hotelling_learned', 'hotelling_alarm'] as const
type Own = typeof own[number]
const shareOf = (column: string) => `hotelling_${column}_share`

interface Plan { readonly columns: readonly string[], readonly memory: number }
/** It holds room to work in. */
const modelOf = once(({ columns, memory }: Plan) => new Hotelling(columns.length, memory))

export interface HotellingOptions<C extends string> extends RowOptions<C> {
  readonly memory?: number
  readonly hold?: string
}

/**
 * Whether the metrics of a device go together as ever: T2 and SPE on a running, robust covariance, and a shift of the mean, as one
 * calibrated p-value, see models/hotelling.ts. It looks at columns of a row, so `across` stands before it, mostly behind windows. A
 * row is scored first and learned afterwards.
 *
 *   hotelling            -log10 of the p-value when that is news, 0 when it is usual or goes on as before; 0 to 16
 *   hotelling_p          the p-value: how rarely a row is as unusual. 1 for the usual 98 %
 *   hotelling_signal     what spoke: 1 T2, 2 SPE, 3 shift; 0 nothing
 *   hotelling_t2,spe     the two statistics, in units of variances
 *   hotelling_learned    rows learned so far, up to `samples`
 *   hotelling_alarm      1 when it is so unusual that chance gives at most `alarms` such in `per`, and news, else 0
 *   hotelling_*_share    how much of what spoke is due to the column, 0 to 1, together 1; 0 when nothing spoke
 *
 * Until `samples` rows are learned all but hotelling_learned have no value. A column without a value (or with one beyond 1e100) is what it was, for `hold`;
 * then what is most likely beside the others, and the row teaches nothing. 8 (28 + 23 d + d (d + 1) / 2 + d^2) bytes per series with rows
 * that have d columns.
 */
export const hotelling = Object.assign(
  <const C extends string>(given: HotellingOptions<C>) => step(given as object) as Operator<Exclude<C, 'value'>, Own | `hotelling_${C}_share`>,
  { definition: step.definition })
