import { defineOperator, Duration, gridOf, Hop, hopFields, Type, windowMemory, type Grid, type Operator } from '#engine'
import { featuresOf, type FeatureMemory } from './windows/features.ts'
import { checkFeatures, featureOptions, gridOptions, type ColumnOf, type Feature, type FeatureOptions, type usual } from './windows/options.ts'
import { checkZone } from './shared/zone.ts'

const step = defineOperator({
  name: 'hopping',
  summary: 'Features of each series over windows of event time that overlap.',
  options: Type.Object({
    size: Duration({ description: 'Length of a window.' }),
    every: Duration({ description: 'From the begin of a window to that of the next.' }),
    ...gridOptions,
    ...featureOptions
  }),
  adds: (options): string[] => [...featuresOf(options).columns, 'revision'],
  perSeries: options => featuresOf(options).perSeries(...hopFields),
  perDevice: windowMemory.perDevice,
  windows: true,
  version: 4,                            // readings that are to be summed up wait for each other
  check: options => !(options.every > 0) ? 'every must be longer than nothing' : options.size < options.every ? 'size must not be shorter than every: readings between windows would be lost' : checkZone(options) ?? checkFeatures(options),

  process (batch, options, held, host) {
    const memory = held as unknown as FeatureMemory, features = featuresOf(options)
    const { size, every, offset, zone } = options
    const starts = gridOf(every, offset, zone), panes = gridOf(divisor(size, every), offset, zone)
    const kind = new Hop({ starts, panes, endOf: start => zone === undefined ? start + size : nextOf(panes, starts.plus(start, size)) }, memory)
    return features.through(batch, kind, memory, host, start => starts.end(start))
  }
})

/** The first begin at or after `time`: which it is itself, but where clocks go back by no multiple of a pane. */
function nextOf (panes: Grid, time: number): number {
  const begin = panes.start(time)
  return begin === time ? time : panes.end(begin)
}

/** The greatest common divisor. */
const divisor = (a: number, b: number): number => b === 0 ? a : divisor(b, a % b)

export interface Hopping<F extends Feature> extends FeatureOptions<F> { readonly size: string, readonly every: string, readonly offset?: string, readonly zone?: string }

/**
 * Features of each series over windows [start, start + size) of event time that begin every `every`. A reading is taken in
 * once, into a pane as long as the greatest common divisor of both; a window merges its panes when the progress of its device
 * reaches its end. A reading is late when all its windows have been written; one that comes too late for some of them counts
 * in the others. Rows, provisional ones and memory as with `tumbling`; a record for each pane of the open windows.
 */
export const hopping = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Hopping<F>) => step(given as object) as Operator<never, ColumnOf<F> | 'revision'>,
  { definition: step.definition })
