import { defineOperator, Duration, list, Type, type Lists, type Operator } from '#engine'
import { Fusion, fusion } from '../models/fusion.ts'
import { Loda, SCALED } from '../models/loda.ts'
import { learnStanding, standing, STANDING, standingOf } from '../models/standing.ts'
import { FIRST } from '../models/tail.ts'

const fused = fusion(['score']), SCORES = Object.keys(fused).length, LODA = SCORES + STANDING

const step = defineOperator({
  name: 'loda',
  summary: 'How rare a row of several columns is on random lines through them, learned row by row; alarms by a budget say why.',
  options: Type.Object({
    columns: Type.Array(Type.String({ minLength: 1 }), { description: 'Columns that are looked at together, such as features of a window or those of `across`.', minItems: 1, maxItems: 64, uniqueItems: true }),
    alarms: Type.Number({ description: 'Budget: so many false alarms are acceptable for each series of rows ...', exclusiveMinimum: 0, default: 1 }),
    per: Duration({ description: '... in this time, at the rate at which rows come.', default: '1w' }),
    samples: Type.Integer({ description: 'Rows to learn from before the first p-value.', minimum: SCALED + 2 * FIRST, default: 200 }),
    memory: Type.Integer({ description: 'Rows that means and histograms go back: of so many the oldest counts 1/e.', minimum: 100, default: 2000 }),
    lines: Type.Integer({ description: 'Random lines.', minimum: 10, maximum: 1000, default: 100 }),
    seed: Type.Integer({ description: 'Of the lines.', minimum: 0, default: 1 })
  }),
  needs: ({ columns }): string[] => columns.filter(c => c !== 'value'),
  adds: ({ columns }): string[] => [...own, ...columns.map(blameOf)],
  perSeries: ({ columns, memory, lines, seed }) => ({ memory: list(...Object.keys(fused), ...Object.keys(standing), ...Object.keys(modelOf(columns.length, { memory, lines, seed }).shape)) }),
  tuning: ['alarms', 'per', 'samples', 'memory'],

  process (batch, options, held) {
    const { columns, alarms, per, samples } = options, d = columns.length, memory = held.memory as Lists<any>
    const sources = columns.map(c => batch.column(c))
    const column = () => new Float64Array(batch.length).fill(NaN)
    const evidence = column(), p = column(), scores = column(), learned = column(), alarm = column(), blame = columns.map(column)
    const x = new Float64Array(d), t = new Float64Array(d), lines = modelOf(d, options), model = new Fusion(1)
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], known = memory.oldest(s), node = known < 0 ? memory.insert(s, 0) : known, m = memory.page(node), at = memory.offset(node) + 1
      if (known < 0) m.set(Object.values(fused), at)
      const n = m[at + LODA]
      learned[i] = n < samples ? n : samples
      for (let j = 0; j < d; j++) x[j] = sources[j][i]
      if (!x.every(Number.isFinite)) continue
      const rare = lines.score(m, at + LODA, x)
      model.x[0] = standingOf(m, at + SCORES, rare)
      if (n > SCALED) {
        model.score(m, at)
        if (n >= samples) {
          alarm[i] = model.alarm(m, at, alarms, per) ? 1 : 0
          evidence[i] = model.news ? model.evidence : 0
          p[i] = model.evidence > 0 ? 10 ** -model.evidence : 1
          scores[i] = rare
          if (alarm[i] === 1) {
            lines.blame(t)
            for (let j = 0; j < d; j++) blame[j][i] = t[j]
          }
        }
        model.learn(m, at)
        learnStanding(m, at + SCORES, rare)
        model.pass(m, at, batch.time[i])
      }
      lines.learn(m, at + LODA, x)
    }
    return batch.with({ loda: evidence, loda_p: p, loda_score: scores, loda_learned: learned, loda_alarm: alarm, ...Object.fromEntries(columns.map((c, j) => [blameOf(c), blame[j]])) })
  }
})

const models = new Map<string, Loda>()
/** The model holds its lines and room to work in, and nothing of a stream: one for all that are alike. */
function modelOf (columns: number, { memory, lines, seed }: { readonly memory: number, readonly lines: number, readonly seed: number }): Loda {
  const key = `${columns} ${memory} ${lines} ${seed}`, model = models.get(key) ?? new Loda(columns, { memory, lines, seed })
  models.set(key, model)
  return model
}

const own = ['loda', 'loda_p', 'loda_score', 'loda_learned', 'loda_alarm'] as const
type Own = typeof own[number]
const blameOf = (column: string) => `loda_${column}_t`

export interface LodaOptions<C extends string> {
  readonly columns: readonly C[]
  readonly alarms?: number
  readonly per?: string
  readonly samples?: number
  readonly memory?: number
  readonly lines?: number
  readonly seed?: number
  readonly id?: string
}

/**
 * How rare a row is on random lines through its columns, see models/loda.ts. A row is scored first and learned afterwards; one
 * without a finite value in each of the columns is neither.
 *
 *   loda            -log10 of the p-value when that is news, 0 when it is usual or goes on as before; 0 to 16
 *   loda_p          the p-value: how rarely a row of this series is as rare on its lines. 1 for the usual 98 %
 *   loda_score      mean of -log of the share of its bins, about 2 for a usual row
 *   loda_learned    rows learned so far, up to `samples`
 *   loda_alarm      1 when it is so unusual that chance gives at most `alarms` such in `per`, and news, else 0
 *   loda_*_t        on an alarm, else without a value: how much rarer the row is on lines that see this column than on those that do
 *                   not, as a t statistic: above about 3 the column is to blame
 *
 * Until `samples` rows are learned all but loda_learned have no value. 8 (17 + 2 d + 20 lines) bytes per series with rows of d columns.
 */
export const loda = Object.assign(
  <const C extends string>(given: LodaOptions<C>) => step(given as object) as Operator<Exclude<C, 'value'>, Own | `loda_${C}_t`>,
  { definition: step.definition })
