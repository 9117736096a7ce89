import { defineOperator, list, Type, type Lists, type Operator } from '#engine'
import { Loda, SCALED } from '../models/loda.ts'
import { scored, Scored, SCORED } from '../models/scored.ts'
import { FIRST } from '../models/tail.ts'
import { once } from './shared/once.ts'
import { needed, read, recordOf, rowOptions, type RowOptions } from './shared/rows.ts'
import { Alarms } from './shared/alarms.ts'

const first = Object.values(scored), LODA = SCORED       // where the model's part begins, all of which is 0 at first

const step = defineOperator({
  name: 'loda',
  summary: 'How rare a row of several columns is on random lines through them, learned row by row; alarms by a budget say why.',
  options: Type.Object({
    ...rowOptions({ columns: 1, samples: [SCALED + 2 * FIRST, 200] }),
    memory: Type.Integer({ description: 'Rows that means and histograms go back: of so many the oldest counts 1/e.', minimum: 100, default: 2000 }),
    lines: Type.Integer({ description: 'Random lines.', minimum: 10, maximum: 1000, default: 100 }),
    seed: Type.Integer({ description: 'Of the lines.', minimum: 0, default: 1 })
  }),
  needs: needed,
  adds: ({ columns }): string[] => [...own, ...columns.map(blameOf)],
  explains: ({ columns, samples }) => ({ learning: { learned: 'loda_learned', of: samples }, p: 'loda_p', signals: Object.fromEntries(columns.map(c => [c, blameOf(c)])) }),
  version: 2,                            // tails are shorter
  learns: true,
  perSeries: options => ({ memory: list(...Object.keys({ ...scored, ...modelOf(options).shape })) }),
  tuning: ['alarms', 'per', 'samples', 'memory'],

  process (batch, options, held) {
    const { columns, alarms, per, samples } = options, d = columns.length, memory = held.memory as Lists<any>
    const sources = columns.map(c => batch.column(c))
    const column = () => new Float64Array(batch.length).fill(NaN)
    const judged = new Alarms(batch.length), scores = column(), learned = column(), blame = columns.map(column)
    const x = new Float64Array(d), t = new Float64Array(d), lines = modelOf(options), model = new Scored()
    for (let i = 0; i < batch.length; i++) {
      const node = recordOf(memory, batch.series[i], first), m = memory.page(node), at = memory.offset(node) + 1, n = m[at + LODA]
      learned[i] = n < samples ? n : samples
      if (!read(sources, i, x)) continue
      const rare = lines.score(m, at + LODA, x)
      if (n > SCALED) {
        model.judge(m, at, rare)
        if (n >= samples) {
          scores[i] = rare
          if (judged.say(i, model.fusion, m, at, alarms, per)) {
            lines.blame(t)
            for (let j = 0; j < d; j++) blame[j][i] = t[j]
          }
        }
        model.learn(m, at, batch.time[i])
      }
      lines.learn(m, at + LODA, x)
    }
    return batch.with({ loda: judged.evidence, loda_p: judged.p, loda_score: scores, loda_learned: learned, loda_alarm: judged.alarm, ...Object.fromEntries(columns.map((c, j) => [blameOf(c), blame[j]])) })
  }
})

interface Plan { readonly columns: readonly string[], readonly memory: number, readonly lines: number, readonly seed: number }
/** It holds its lines and room to work in. */
const modelOf = once((options: Plan) => new Loda(options.columns.length, options))

const own = ['loda', 'loda_p', 'loda_score', 'loda_learned', 'loda_alarm'] as const
type Own = typeof own[number]
const blameOf = (column: string) => `loda_${column}_t`

export interface LodaOptions<C extends string> extends RowOptions<C> {
  readonly memory?: number
  readonly lines?: number
  readonly seed?: number
}

/**
 * How rare a row is on random lines through its columns, see models/loda.ts. A row is scored first and learned afterwards; one
 * without a value in each of the columns (or with one beyond 1e100) is neither.
 *
 *   loda            -log10 of the p-value when that is news, 0 when it is usual or goes on as before; 0 to 16
 *   loda_p          the p-value: how rarely a row of this series is as rare on its lines. 1 for the usual 98 %
 *   loda_score      mean of -log of the share of its bins, about 2 for a usual row
 *   loda_learned    rows learned so far, up to `samples`
 *   loda_alarm      1 when it is so unusual that chance gives at most `alarms` such in `per`, and news, else 0
 *   loda_*_t        on an alarm, else without a value: how much rarer the row is on lines that see this column than on those that do
 *                   not, as a t statistic: above about 3 the column is to blame
 *
 * Until `samples` rows are learned all but loda_learned have no value. 8 (16 + 18 d + 20 lines) bytes per series with rows of d columns.
 */
export const loda = Object.assign(
  <const C extends string>(given: LodaOptions<C>) => step(given as object) as Operator<Exclude<C, 'value'>, Own | `loda_${C}_t`>,
  { definition: step.definition })
