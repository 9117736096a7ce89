import { defineOperator, DeviceSessions, deviceSessions, Duration, Sessions, sessionFields, Type, windowMemory, type DeviceSessionMemory, type Operator, type Shapes } from '#engine'
import { featuresOf, type FeatureMemory } from './windows/features.ts'
import { checkFeatures, featureOptions, type ColumnOf, type Feature, type FeatureOptions, type usual } from './windows/options.ts'

const step = defineOperator({
  name: 'session',
  summary: 'Features of each series over stretches of readings between pauses, its own or those of its device.',
  options: Type.Object({
    gap: Duration({ description: 'A pause as long as this ends a session.' }),
    of: Type.Union([Type.Literal('series'), Type.Literal('device')], { description: 'Whose pauses: of each series, or of the device, when none of its series has a reading.', default: 'series' }),
    ...featureOptions
  }),
  adds: (options): string[] => [...featuresOf(options).columns, 'duration', 'revision'],
  perSeries: options => featuresOf(options).perSeries(...options.of === 'device' ? [] : sessionFields),
  perDevice: ({ of }): Shapes => of === 'device' ? { ...windowMemory.perDevice, ...deviceSessions } : windowMemory.perDevice,
  windows: true,
  crosses: ({ of }) => of === 'device',
  version: 4,                            // readings that are to be summed up wait for each other
  check: options => options.gap > 0 ? checkFeatures(options) : 'gap must be longer than nothing',

  process (batch, options, held, host) {
    const memory = held as unknown as FeatureMemory & DeviceSessionMemory, features = featuresOf(options)
    const fold = (series: number, to: number, from: number) => { features.fold(memory, series, to, from) }
    const kind = options.of === 'device' ? new DeviceSessions(options.gap, memory, host.series, fold) : new Sessions(options.gap, memory, fold)
    return features.through(batch, kind, memory, host, undefined, ({ start, end }) => ({ duration: end.map((end, k) => (end - options.gap - start[k]) / 1000) }))
  }
})

export interface Session<F extends Feature> extends FeatureOptions<F> { readonly gap: string, readonly of?: 'series' | 'device' }

/**
 * Features of each series over sessions: readings with less than `gap` from one to the next. A session is written, stamped
 * with its first reading, when the progress of its device is `gap` beyond its last; `duration` is from the first to the last
 * reading, in seconds. A reading that would have belonged to a session that has been written is late, and so is one that
 * would have been one of its own. A reading can join two sessions that are open: where one of them has been written
 * provisionally, its row is replaced by one with a `count` of 0. One record of about 50 to 300 bytes per open session. `of: device`:
 * readings of all series of the device make one session, in which each that has any has a row, all at its begin and with its `duration`.
 */
export const session = Object.assign(
  <const F extends Feature = typeof usual[number]>(given: Session<F>) => step(given as object) as Operator<never, ColumnOf<F> | 'duration' | 'revision'>,
  { definition: step.definition })
