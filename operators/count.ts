import { Counted, countFields, defineOperator, DeviceCounted, deviceCounts, Type, windowMemory, type DeviceCountMemory, type Filling, type Operator, type Shapes } from '#engine'
import { featuresOf, type FeatureMemory } from './windows/features.ts'
import { checkFeatures, featureOptions, type ColumnOf, type Feature, type FeatureOptions, type usual } from './windows/options.ts'

const step = defineOperator({
  name: 'count',
  summary: 'Features of each series over windows of so many readings, its own or those of its device.',
  options: Type.Object({
    readings: Type.Integer({ description: 'How many readings a window has.', minimum: 1 }),
    of: Type.Union([Type.Literal('series'), Type.Literal('device')], { description: 'Whose windows: those of each series, or those of the device, which end when the first of its series has so many readings.', default: 'series' }),
    ...featureOptions
  }),
  adds: (options): string[] => [...featuresOf(options).columns, 'revision'],
  perSeries: options => featuresOf(options).perSeries(...countFields),
  perDevice: ({ of }): Shapes => of === 'device' ? { ...windowMemory.perDevice, ...deviceCounts } : windowMemory.perDevice,
  windows: true,
  crosses: ({ of }) => of === 'device',
  version: 4,                            // readings that are to be summed up wait for each other
  check: checkFeatures,

  process (batch, options, held, host) {
    const memory = held as unknown as FeatureMemory & DeviceCountMemory, features = featuresOf(options), { readings, of } = options
    const filling: Filling = { readings, count: node => features.count(memory, node), fold (series, to, from) { features.fold(memory, series, to, from) } }
    return features.through(batch, of === 'device' ? new DeviceCounted(filling, memory, host.series) : new Counted(filling, memory), memory, host)
  }
})

export interface Count<F extends Feature> extends FeatureOptions<F> { readonly readings: number, readonly of?: 'series' | 'device' }

/**
 * Features of each series over windows of `readings` readings, in the order of their times; readings of one time stay
 * together, so a window may have a few more. It is written, stamped with its first reading, when the progress of its device
 * has passed the last of them: a reading that the progress had passed as it arrived is late. The last window may have fewer,
 * at the end of the stream or when the device is forgotten. One record of about 50 to 300 bytes per open window, and for
 * each reading that the progress has not passed yet. `of: device`: all series of the device have the same windows, which end when the first of them
 * has so many readings; in each of these, every series that has any has a row, all at the begin of the window.
 */
export const count = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Count<F>) => step(given as object) as Operator<never, ColumnOf<F> | 'revision'>,
  { definition: step.definition })
