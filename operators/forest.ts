import { defineOperator, File, list, Type, type Lists, type Operator, type Shapes } from '#engine'
import { grow, score, type Forest } from '../models/forest.ts'
import { numbered } from '../models/fields.ts'
import { rankOf } from '../models/reservoir.ts'
import { scored, Scored, SCORED } from '../models/scored.ts'
import { treeShap } from '../models/tree-shap.ts'
import { importedOf } from './shared/forest-file.ts'
import { once } from './shared/once.ts'
import { needed, read, recordOf, rowOptions, type RowOptions } from './shared/rows.ts'
import { Alarms } from './shared/alarms.ts'

const FIRST = 64, LEAST = 32, SHARE = 4          // the first forest; rows until the next one: a quarter of what is remembered

const state = { ...scored, learned: 0, grown: 0, digest: 0 }, first = Object.values(state)
const LEARNED = SCORED, GROWN = LEARNED + 1, DIGEST = LEARNED + 2

const step = defineOperator({
  name: 'forest',
  summary: 'How easily a row of several columns is isolated from those before it, by an isolation forest; alarms by a budget say why.',
  options: Type.Object({
    ...rowOptions({ columns: 1, samples: [2 * FIRST, 256] }),
    memory: Type.Integer({ description: 'Rows that the forest goes back: of so many the oldest is kept with a chance of 1/e.', minimum: 100, default: 2000 }),
    reservoir: Type.Integer({ description: 'Rows that are kept to grow forests from.', minimum: 64, maximum: 8192, default: 512 }),
    trees: Type.Integer({ description: 'Trees of a forest.', minimum: 10, maximum: 1000, default: 100 }),
    sample: Type.Integer({ description: 'Rows that each tree is grown on.', minimum: 16, maximum: 8192, default: 256 }),
    seed: Type.Integer({ description: 'Of all that is random in it.', minimum: 0, default: 1 }),
    model: Type.Optional(File({ description: 'File with a forest that was trained by ml-isolation-forest, as JSON: it is what scores, and none is grown. Its numbers are `columns`, in this order.', minLength: 1 }))
  }),
  needs: needed,
  adds: ({ columns }): string[] => [...own, ...columns.map(shapOf)],
  explains: ({ columns, samples }) => ({ learning: { learned: 'forest_learned', of: samples }, p: 'forest_p', signals: Object.fromEntries(columns.map(c => [c, shapOf(c)])) }),
  version: 2,                            // tails are shorter
  learns: true,
  perSeries ({ columns, model }): Shapes {
    const row = list(...Object.keys(numbered('x', columns.length))), own = list(...Object.keys(state))
    return model === undefined ? { state: own, reservoir: row, sampled: row } : { state: own }
  },
  tuning: ['alarms', 'per', 'samples'],
  check: options => {
    const { sample, reservoir } = options
    return sample > reservoir ? `each tree is grown on ${sample} rows, but only ${reservoir} are kept: sample must be at most reservoir` : importedOf(options).fault
  },

  process (batch, options, held) {
    const { columns, alarms, per, samples } = options, d = columns.length, memory = held as unknown as Memory, { imported } = importedOf(options)
    const sources = columns.map(c => batch.column(c))
    const column = () => new Float64Array(batch.length).fill(NaN)
    const judged = new Alarms(batch.length), scores = column(), learned = column(), shap = columns.map(column)
    const x = new Float64Array(d), phi = new Float64Array(d), model = new Scored()
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], node = recordOf(memory.state, s, first), m = memory.state.page(node), at = memory.state.offset(node) + 1
      if (imported !== undefined && m[at + DIGEST] !== imported.digest) begin(m, at, imported.digest)
      const n = m[at + LEARNED]
      learned[i] = n < samples ? n : samples
      if (!read(sources, i, x)) continue
      if (imported !== undefined || m[at + GROWN] > 0) {
        const forest = imported?.forest ?? forestOf(memory, s, m[at + GROWN], m[at + DIGEST], d, options), strange = score(forest, x)
        model.judge(m, at, strange)
        if (imported !== undefined || n >= samples) scores[i] = strange
        if (n >= samples) {
          if (judged.say(i, model.fusion, m, at, alarms, per)) {
            treeShap(forest, x, 0, phi)
            for (let j = 0; j < d; j++) shap[j][i] = -phi[j]
          }
        }
        model.learn(m, at, batch.time[i])
      }
      if (imported === undefined) learn(memory, s, m, at, x, options)
      else m[at + LEARNED]++
    }
    return batch.with({ forest: judged.evidence, forest_p: judged.p, forest_score: scores, forest_learned: learned, forest_alarm: judged.alarm, ...Object.fromEntries(columns.map((c, j) => [shapOf(c), shap[j]])) })
  }
})

interface Memory { readonly state: Lists<any>, readonly reservoir: Lists<any>, readonly sampled: Lists<any> }
interface Growth { readonly memory: number, readonly reservoir: number, readonly trees: number, readonly sample: number, readonly seed: number }

/** Another forest scores: what its scores were tells nothing of those of this one. */
function begin (m: Float64Array, at: number, digest: number): void {
  m.set(first, at)
  m[at + DIGEST] = digest
}

/** Keeps the row if it ranks among the lowest, and lets a new forest be grown when it is time. */
function learn ({ reservoir, sampled }: Memory, s: number, m: Float64Array, at: number, x: Float64Array, { memory, reservoir: most, seed }: Growth): void {
  const n = ++m[at + LEARNED], rank = rankOf(seed, n, memory), full = n > most
  if (!full || rank < reservoir.time(reservoir.newest(s))) {
    if (full) reservoir.remove(s, reservoir.newest(s))
    const node = reservoir.insert(s, rank)
    reservoir.page(node).set(x, reservoir.offset(node) + 1)
  }
  if (n < FIRST || n - m[at + GROWN] < Math.max(LEAST, Math.min(n, memory) / SHARE)) return
  sampled.clear(s)
  let digest = 0
  for (let node = reservoir.oldest(s); node >= 0; node = reservoir.newer(node)) {
    const to = sampled.insert(s, reservoir.time(node)), from = reservoir.offset(node), page = reservoir.page(node)
    sampled.page(to).set(page.subarray(from, from + reservoir.width), sampled.offset(to))
    for (let k = 0; k < reservoir.width; k++) digest = (digest * 31 + page[from + k]) % PRIME
  }
  m[at + GROWN] = n
  m[at + DIGEST] = digest
}
const PRIME = 2 ** 31 - 1

/**
 * The forest that is grown from what was sampled, worked out once: it is a function of that memory alone, which says by
 * `grown` and `digest` whether the forest at hand is its own.
 */
const forestsOf = once<Lists<any>, Map<number, { readonly grown: number, readonly digest: number, readonly forest: Forest }>>(() => new Map())
function forestOf ({ sampled }: Memory, s: number, grown: number, digest: number, d: number, options: Growth): Forest {
  const forests = forestsOf(sampled), known = forests.get(s)
  if (known?.grown === grown && known.digest === digest) return known.forest
  const vectors: number[] = []
  for (let node = sampled.oldest(s); node >= 0; node = sampled.newer(node)) vectors.push(...sampled.page(node).subarray(sampled.offset(node) + 1, sampled.offset(node) + 1 + d))
  const forest = grow(Float64Array.from(vectors), d, vectors.length / d, options)
  forests.set(s, { grown, digest, forest })
  return forest
}

const own = ['forest', 'forest_p', 'forest_score', 'forest_learned', 'forest_alarm'] as const
type Own = typeof own[number]
const shapOf = (column: string) => `forest_${column}_shap`

export interface ForestOptions<C extends string> extends RowOptions<C> {
  readonly memory?: number
  readonly reservoir?: number
  readonly trees?: number
  readonly sample?: number
  readonly seed?: number
  readonly model?: string
}

/**
 * How easily a row is isolated from those before it: an isolation forest, see models/forest.ts, on columns of a row, such as
 * the features of a window. It is grown anew from a reservoir of past rows whenever a quarter of what is remembered is new. A row
 * is scored first and learned afterwards; one without a value in each of the columns (or with one beyond 1e100) is neither.
 *
 *   forest            -log10 of the p-value when that is news, 0 when it is usual or goes on as before; 0 to 16
 *   forest_p          the p-value: how rarely a row of this series is as easily isolated. 1 for the usual 98 %
 *   forest_score      the score of the forest, 0 to 1: above 0.5 stranger than the average
 *   forest_learned    rows learned so far, up to `samples`
 *   forest_alarm      1 when it is so unusual that chance gives at most `alarms` such in `per`, and news, else 0
 *   forest_*_shap     on an alarm, else without a value: by how many splits this column makes the row easier to isolate than the average
 *                     row. Exact Shapley values (models/tree-shap.ts): they sum to the mean path of the forest less that of the row
 *
 * With `model` a forest that was trained elsewhere scores, from the first row on, and stays as it is: what is learned is how high
 * its scores are. Where the file holds another one than before, that is learned anew.
 *
 * Until `samples` rows are learned all but forest_learned have no value, nor has forest_score without `model`. 16 (d + 1) bytes per series and row of the
 * reservoir, and about 3 KB per tree for the forest, which is not part of a snapshot.
 */
export const forest = Object.assign(
  <const C extends string>(given: ForestOptions<C>) => step(given as object) as Operator<Exclude<C, 'value'>, Own | `forest_${C}_shap`>,
  { definition: step.definition })
