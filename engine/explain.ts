import type { Batch } from './batch.ts'
import type { Operator } from './operator.ts'

/** Columns of an operator that say why an alert is one, by what they mean. */
export interface Explains {
  readonly expected?: readonly [low: string, high: string]       // where the value was expected
  readonly p?: string                                            // a probability, 0 to 1
  readonly spoke?: { readonly column: string, readonly names: readonly string[] }      // codes from 1, by name
  readonly signals?: Readonly<Record<string, string>>            // what contributes -> how much
  readonly verdict?: { readonly column: string, readonly names: readonly string[] }
  readonly learning?: { readonly learned: string, readonly of: string | number }       // columns: how many readings were learned, and of how many; or that number
}

/** A step that has not learned enough to say all that it can: readings so far, of so many. */
export interface Learning { readonly by: string, readonly learned: number, readonly of: number }

/** Why an alert is one, as far as the steps before it say so. Numbers are finite. */
export interface Details {
  readonly expected?: { readonly low: number | null, readonly high: number | null }
  readonly p?: number
  readonly signals?: readonly { readonly name: string, readonly by: string, readonly weight?: number }[]      // the heaviest first
  readonly verdict?: string
  readonly learning?: readonly Learning[]                        // steps that have not learned enough
  readonly simulated?: true                                      // of a device that there is not
  readonly version: string                                       // of the pipeline
  readonly reason?: 'pipeline deleted'                           // why it is over, when no data ended it
}

const MOST = 10                      // contributing signals that are told

/** What the steps explain, by step. Behind a window the columns of those before it are not there, and say nothing. */
export function explainedBy (steps: readonly Operator[]): readonly (Explains & { readonly by: string })[] {
  return steps.flatMap(({ id, definition, options }) => definition.explains === undefined ? [] : [{ by: id, ...definition.explains(options) }])
}

/** How far the steps have learned at row `i`, those that say so. */
export const learningOf = (explained: ReturnType<typeof explainedBy>, { columns }: Batch<any>, i: number): Learning[] => explained.flatMap(({ by, learning }) => {
  if (learning === undefined) return []
  const learned = columns[learning.learned]?.[i] ?? NaN, of = typeof learning.of === 'number' ? learning.of : columns[learning.of]?.[i] ?? NaN
  return Number.isFinite(learned) && Number.isFinite(of) ? [{ by, learned, of }] : []
})

/** What row `i` says of itself. Of several p-values the least counts, and the range of the first that has one. */
export function detailsOf (explained: ReturnType<typeof explainedBy>, batch: Batch<any>, i: number, version: string): Details {
  const { columns } = batch, learning = learningOf(explained, batch, i).filter(({ learned, of }) => learned < of)
  const at = (column: string | undefined): number => column === undefined ? NaN : columns[column]?.[i] ?? NaN
  const ranges = explained.flatMap(({ expected }) => expected === undefined ? [] : [expected.map(at)]).filter(range => range.some(Number.isFinite))
  const p = Math.min(...explained.map(e => at(e.p)).filter(Number.isFinite))
  const verdict = explained.map(({ verdict }) => verdict?.names[at(verdict.column) - 1]).find(name => name !== undefined)
  const signals = explained.flatMap(({ by, spoke, signals = {} }) => {
    const name = spoke?.names[at(spoke.column) - 1]
    const weighed = Object.entries(signals).map(([name, column]) => ({ name, by, weight: at(column) })).filter(s => Number.isFinite(s.weight) && s.weight !== 0)
    return [...name === undefined ? [] : [{ name, by }], ...weighed.toSorted((a, b) => Math.abs(b.weight) - Math.abs(a.weight))]
  }).slice(0, MOST)
  return {
    ...ranges.length === 0 ? {} : { expected: { low: orNull(ranges[0][0]), high: orNull(ranges[0][1]) } },
    ...Number.isFinite(p) ? { p } : {}, ...signals.length === 0 ? {} : { signals }, ...verdict === undefined ? {} : { verdict }, ...learning.length === 0 ? {} : { learning }, version
  }
}

const orNull = (x: number): number | null => Number.isFinite(x) ? x : null
