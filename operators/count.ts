import { Counted, countFields, defineOperator, Type, windowMemory, type Operator } from '#engine'
import { checkFeatures, featureOptions, featuresOf, type ColumnOf, type Feature, type FeatureMemory, type FeatureOptions, type usual } from './windows/features.ts'

const step = defineOperator({
  name: 'count',
  summary: 'Features of each series over windows of so many readings.',
  options: Type.Object({
    readings: Type.Integer({ description: 'How many readings a window has.', minimum: 1 }),
    ...featureOptions
  }),
  adds: (options): string[] => [...featuresOf(options).columns, 'revision'],
  perSeries: options => featuresOf(options).perSeries(...countFields),
  perDevice: windowMemory.perDevice,
  windows: true,
  version: 4,                            // readings that are to be summed up wait for each other
  check: checkFeatures,

  process (batch, options, held, host) {
    const memory = held as unknown as FeatureMemory, features = featuresOf(options)
    const kind = new Counted(options.readings, memory, node => features.count(memory, node), (series, to, from) => { features.fold(memory, series, to, from) })
    return features.through(batch, kind, memory, host)
  }
})

export interface Count<F extends Feature> extends FeatureOptions<F> { readonly readings: number }

/**
 * Features of each series over windows of `readings` readings, in the order of their times; readings of one time stay
 * together, so a window may have a few more. It is written, stamped with its first reading, when the progress of its device
 * has passed the last of them: a reading that the progress had passed as it arrived is late. The last window may have fewer,
 * at the end of the stream or when the device is forgotten. One record of about 50 to 300 bytes per open window, and for
 * each reading that the progress has not passed yet.
 */
export const count = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Count<F>) => step(given as object) as Operator<never, ColumnOf<F> | 'revision'>,
  { definition: step.definition })
