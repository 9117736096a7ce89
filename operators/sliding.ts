import { assign, Batch, close, defineOperator, Duration, instants, list, Tumble, Type, windowMemory, type Closing, type Ids, type Lists, type Numbers, type Operator, type Records, type WindowMemory } from '#engine'
import type { Accumulator, Feature } from '../models/features.ts'
import { TwoStacks, type Entries } from '../models/two-stacks.ts'
import { once } from './shared/once.ts'
import { checkFeatures, featuresOf, Rows, runningOptions, type FeatureOptions, type usual } from './windows/features.ts'

interface Memory extends WindowMemory { readonly stacks: Lists<any>, readonly state: Records }

const step = defineOperator({
  name: 'sliding',
  summary: 'Features of each series over the time before each of its readings.',
  options: Type.Object({
    over: Duration({ description: 'How far a window reaches back from its reading.' }),
    ...runningOptions
  }),
  adds: (options): string[] => [...options.features, 'revision'],
  perSeries: options => {
    const { fields } = featuresOf(options).accumulator
    return { ...windowMemory.perSeries(...fields), stacks: list(...fields), state: Object.fromEntries(['front', 'back', ...fields].map(f => [f, 0])) }
  },
  perDevice: windowMemory.perDevice,
  windows: true,
  version: 2,                            // sums keep what rounding takes from them
  check: options => options.over > 0 ? checkFeatures(options) : 'over must be longer than nothing',

  process (batch, options, held, host) {
    const memory = held as unknown as Memory, { accumulator } = featuresOf(options)
    assign(batch, new Tumble(instants, memory), memory, host, new Rows(sumsOf(options), memory, batch))
    return close(batch, new Tumble(instants, memory), memory, host, closing => {
      if (closing.final) return rows(batch, closing, memory, options, accumulator)
      const series = Int32Array.from(new Set(closing.series)), { stacks, state: { data, width } } = memory
      const before = stacks.save(series), states = Array.from(series, s => data.slice(s * width, (s + 1) * width))
      const out = rows(batch, closing, memory, options, accumulator)
      stacks.load(before, series)
      states.forEach((state, k) => { data.set(state, series[k] * width) })
      return out
    })
  }
})

/** An instant mostly has one reading: none waits for others (gathered.ts). */
const sumsOf = once((options: Parameters<typeof featuresOf>[0]) => {
  const { accumulator } = featuresOf(options)
  return { add ({ windows }: WindowMemory, time: Numbers, value: Numbers, _series: Ids, node: number, i: number): void { accumulator.add(windows.page(node), windows.offset(node) + windows.field.n, time, value, i) } }
})

function rows (batch: Batch<any>, { series, node, start, position, revision }: Closing, { windows, stacks, state }: Memory, { over, features }: { readonly over: number, readonly features: readonly Feature[] }, accumulator: Accumulator): Batch<any> {
  const window = new TwoStacks(accumulator), entries = new Queue(stacks), width = accumulator.fields.length
  const cells = features.map(() => new Float64Array(series.length))
  for (let k = 0; k < series.length; k++) {
    const s = entries.series = series[k], at = s * state.width, from = windows.offset(node[k]) + windows.field.n
    for (let e = stacks.oldest(s); e >= 0 && stacks.time(e) <= start[k] - over; e = stacks.oldest(s)) window.pop(entries, state.data, at)
    const e = stacks.insert(s, start[k])
    stacks.page(e).set(windows.page(node[k]).subarray(from, from + width), entries.offset(e))
    window.push(entries, state.data, at)
    const sum = window.sum(entries, state.data, at)
    features.forEach((feature, c) => { cells[c][k] = accumulator.value(feature, sum, 0) })
  }
  return new Batch({ time: start, series, value: cells[0], columns: { ...Object.fromEntries(features.map((f, c) => [f, cells[c]])), revision }, arrival: start, position, progress: batch.progress, watermark: batch.watermark })
}

/** The list of a series as what the stacks work on: the accumulator stands behind the time. */
class Queue implements Entries {
  series = 0
  private readonly lists: Lists<any>
  constructor (lists: Lists<any>) { this.lists = lists }
  page (entry: number): Float64Array { return this.lists.page(entry) }
  offset (entry: number): number { return this.lists.offset(entry) + 1 }
  oldest (): number { return this.lists.oldest(this.series) }
  newest (): number { return this.lists.newest(this.series) }
  older (entry: number): number { return this.lists.older(entry) }
  shift (): void { this.lists.shift(this.series) }
}

export interface Sliding<F extends Feature> extends Pick<FeatureOptions<F>, 'features' | 'above' | 'id'> { readonly over: string }

/**
 * Features of each series over (time - over, time] of event time, for each time that it has a reading of: exact, without
 * ever subtracting. A row is written, in the order of times, when the progress of its device has passed its time; a reading
 * that the progress had passed as it arrived is late. Provisional rows of silent devices as with `tumbling`. Features that
 * need the readings themselves are not among them: they would be worked out anew for every row. About 60 to 300 bytes per
 * reading in the window.
 */
export const sliding = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Sliding<F>) => step(given as object) as Operator<never, F | 'revision'>,
  { definition: step.definition })
