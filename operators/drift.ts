import { defineOperator, list, Type, type Lists } from '#engine'
import { compare, comparison, FINDINGS, measures, PANES, refer, take } from '../models/comparison.ts'
import { LARGEST } from '../models/largest.ts'

const measure = <M extends typeof measures[number]>(name: M) => Type.Literal(name)

/**
 * Whether the newest readings of a series are distributed as its first ones were: `reference` readings, then a window of
 * `current` ones that slides by a fifth of them. Drift is a difference that matters and that chance does not give: one of
 * `measures` above `effect`, and a p-value, at the number of readings that are as good as independent, below `significance`.
 *
 *   drift              1 when the window has drifted, else 0
 *   drift_psi,ks,js,wasserstein    how far apart the two are, see models/comparison.ts for definitions and sources
 *   drift_p            probability that two windows without drift are as far apart
 *   drift_aspect       what moved: 1 mean, 2 spread, 3 shape; 0 nothing
 *   drift_mean         by how much the mean moved, in standard deviations of the reference, within +-1000
 *   drift_spread       the spread now over that of the reference, 0 to 1000
 *   drift_learned      readings learned so far, up to `reference` + `current`
 *
 * All but drift_learned have no value until the first window is full. They are worked out anew when a fifth is full, and stand
 * until then. A reading without a value (or with one beyond 1e100) teaches nothing. Readings count in the order they arrive. After drift, by
 * `after`: forget the reference and learn one from the readings that follow, or keep it. 896 bytes per series, and 24 for
 * each reading while the reference is learned.
 */
export const drift = defineOperator({
  name: 'drift',
  summary: 'Whether the readings of a series are still distributed as they were, and what moved.',
  options: Type.Object({
    reference: Type.Integer({ description: 'Readings to compare with: the first ones, and after drift those that follow it.', minimum: 5, maximum: 100_000, default: 1000 }),
    current: Type.Integer({ description: 'Newest readings that are compared with them.', minimum: 5, multipleOf: PANES, default: 500 }),
    effect: Type.Number({ description: 'Least difference that matters.', minimum: 0, default: 0.1 }),
    measures: Type.Array(Type.Union([measure('psi'), measure('ks'), measure('js'), measure('wasserstein')]), { description: 'Of these measures one must exceed `effect`.', minItems: 1, uniqueItems: true, default: [...measures] }),
    significance: Type.Number({ description: 'Probability of drift in a comparison when there is none.', exclusiveMinimum: 0, maximum: 0.5, default: 0.001 }),
    after: Type.Union([Type.Literal('relearn'), Type.Literal('keep')], { description: 'After drift. relearn: learn a new reference from the readings that follow. keep: go on comparing with the same.', default: 'relearn' })
  }),
  adds: ['drift', ...measures.map(m => `drift_${m}` as const), 'drift_p', 'drift_mean', 'drift_spread', 'drift_aspect', 'drift_learned'],
  explains: ({ reference, current }) => ({ learning: { learned: 'drift_learned', of: reference + current }, p: 'drift_p' }),
  learns: true,
  says: 'drift',
  perSeries: { memory: comparison, learning: list('value') },      // learning: values in the order they came
  tuning: ['effect', 'measures', 'significance', 'after'],

  process (batch, { reference, current, effect, measures: chosen, significance, after }, { memory: { data, width, field }, learning }) {
    const size = current / PANES, all = reference + current, decide = chosen.map(m => field[m])
    const findings = Array.from({ length: FOUND.length }, () => new Float64Array(batch.length).fill(NaN)), drift = new Float64Array(batch.length).fill(NaN), learned = new Float64Array(batch.length)
    for (let i = 0; i < batch.length; i++) {
      const s = batch.series[i], at = s * width, x = batch.value[i], finite = Math.abs(x) < LARGEST
      if (data[at + field.learned] < reference) {
        learned[i] = data[at + field.learned]
        if (!finite) continue
        const entry = learning.insert(s, data[at + field.learned]++)
        learning.set(entry, 'value', x)
        if (data[at + field.learned] === reference) refer(data, at, drained(learning, s, reference))
        continue
      }
      learned[i] = data[at + field.learned]
      const compared = finite && take(data, at, x, size)
      if (finite && data[at + field.learned] < all) data[at + field.learned]++
      if (compared) compare(data, at)
      if (!(data[at + field.p] <= 1)) continue
      const drifted = data[at + field.p] < significance && decide.some(f => data[at + f] > effect)
      drift[i] = drifted ? 1 : 0
      for (let k = 0; k < findings.length; k++) findings[k][i] = data[at + FINDINGS + k]
      if (!drifted) findings[ASPECT][i] = 0
      else if (after === 'relearn') data.fill(0, at, at + width)
    }
    return batch.with({ drift, ...Object.fromEntries(FOUND.map((name, k) => [name, findings[k]])) as Record<typeof FOUND[number], Float64Array>, drift_learned: learned })
  }
})
/** Columns of what a comparison finds, in its order. */
const FOUND = [...measures.map(m => `drift_${m}` as const), 'drift_p', 'drift_mean', 'drift_spread', 'drift_aspect'] as const
const ASPECT = FOUND.length - 1

function drained (learning: Lists<'value'>, series: number, count: number): Float64Array {
  const values = new Float64Array(count)
  for (let k = 0; k < count; k++) {
    values[k] = learning.get(learning.oldest(series), 'value')
    learning.shift(series)
  }
  return values
}
