import { defineOperator, Duration, gridOf, Tumble, Type, windowMemory, type Operator } from '#engine'
import { featuresOf, type FeatureMemory } from './windows/features.ts'
import { checkFeatures, featureOptions, gridOptions, type ColumnOf, type Feature, type FeatureOptions, type usual } from './windows/options.ts'
import { checkZone } from './shared/zone.ts'

const step = defineOperator({
  name: 'tumbling',
  summary: 'Features of each series over windows of event time that follow one another.',
  options: Type.Object({
    every: Duration({ description: 'Length of a window.' }),
    ...gridOptions,
    ...featureOptions
  }),
  adds: (options): string[] => [...featuresOf(options).columns, 'revision'],
  perSeries: options => featuresOf(options).perSeries(),
  perDevice: windowMemory.perDevice,
  windows: true,
  version: 5,                            // readings that are to be summed up wait for each other
  check: options => options.every > 0 ? checkZone(options) ?? checkFeatures(options) : 'every must be longer than nothing',

  process (batch, options, held, host) {
    const memory = held as unknown as FeatureMemory, features = featuresOf(options)
    const kind = new Tumble(gridOf(options.every, options.offset, options.zone), memory)
    return features.through(batch, kind, memory, host)
  }
})

export interface Tumbling<F extends Feature> extends FeatureOptions<F> { readonly every: string, readonly offset?: string, readonly zone?: string }

/**
 * Features of each series over windows [start, start + every) of event time, in `zone` by local clocks. A window is written, stamped with its start,
 * when the progress of its device reaches its end; a reading that arrives after that is late. Its `value` is the first
 * feature, `revision` says how often the window was written provisionally before (see `idle`). Windows without a value
 * are not written. One record of about 30 to 600 bytes per open window; features by rank, order or frequency hold readings
 * besides, see models/samples.ts.
 */
export const tumbling = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Tumbling<F>) => step(given as object) as Operator<never, ColumnOf<F> | 'revision'>,
  { definition: step.definition })
