import { duration, Duration, MillraceError, nameFault, Type, type SeriesName, type Values } from '#engine'
import { faultKinds, usualSize, wholeDevice, type Fault, type FaultKind } from '../../models/faults.ts'
import { Fleet } from '../../models/fleet.ts'
import { metricModels, scaleOf, type MetricName } from '../../models/fleet-metric.ts'

const kinds = Object.keys(faultKinds) as FaultKind[]
const literals = <const L extends string>(words: readonly L[], description: string) => Type.Union(words.map(word => Type.Literal(word)), { description }) as unknown as ReturnType<typeof Type.Unsafe<L>>
const span = (description: string) => Type.String({ pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d|w)$', description })

/** Options of a simulated fleet: what the source `simulator` and the publisher have in common. */
export const fleetOptions = {
  devices: Type.Integer({ description: 'How many devices.', minimum: 1, maximum: 100_000, default: 10 }),
  metrics: Type.Array(literals(Object.keys(metricModels) as MetricName[], 'A metric.'), { description: `What each device measures: ${Object.keys(metricModels).join(', ')}.`, minItems: 1, uniqueItems: true, default: ['temperature', 'vibration', 'current', 'pressure'] }),
  every: Type.Optional(Duration({ description: 'Event time between two readings of a fast metric; slow ones (temperature, voltage, sound: 2, oil: 4) are read at every second or fourth interval. 1s when `rate` is absent too.' })),
  rate: Type.Optional(Type.Number({ description: 'Readings per second of event time of the whole fleet, instead of `every`.', exclusiveMinimum: 0 })),
  seed: Type.Integer({ description: 'The same seed gives the same readings.', minimum: 0, maximum: 2 ** 32 - 1, default: 1 }),
  tenant: Type.String({ description: 'Tenant of all devices.', minLength: 1, default: 'default' }),
  prefix: Type.String({ description: 'Devices are named prefix-1, prefix-2 and so on.', minLength: 1, default: 'device' }),
  rates: Type.Optional(Type.Object(Object.fromEntries(kinds.map(kind => [kind, Type.Optional(Type.Number({ description: faultKinds[kind], minimum: 0, maximum: 10_000 }))])) as { [K in FaultKind]: ReturnType<typeof Type.Optional<ReturnType<typeof Type.Number>>> }, { description: 'Random faults: how many of each kind per device and week.' })),
  faults: Type.Array(Type.Object({
    device: Type.String({ description: 'Name of the device, such as device-1.' }),
    metric: Type.Optional(Type.String({ description: 'Its metric; may be left out for `clock`, `load` and `dropout`, which then mean the whole device.' })),
    kind: literals(kinds, 'What goes wrong.'),
    at: span('When it begins, after the start of the fleet.'),
    for: span('How long it lasts.'),
    size: Type.Optional(Type.Number({ description: `How much: ${kinds.map(kind => `${kind}: ${faultKinds[kind]}`).join('. ')}.` }))
  }), { description: 'Planted faults.', default: [] })
}
export type FleetValues = Values<typeof fleetOptions>

/** What is wrong with a reading and when: the truth to score a detector against. Times are event time in ms; metric '' means all. */
export interface Label { readonly device: string, readonly metric: string, readonly kind: FaultKind, readonly from: number, readonly to: number, readonly size: number }

export interface PlannedFleet {
  readonly fleet: Fleet
  readonly names: readonly SeriesName[]      // by the fleet's number of the series
  readonly labels: (until: number) => Label[]
}

/** A fleet as its options describe it, with names. `start`: event time of the first reading, ms. */
export function planFleet (component: string, options: FleetValues, start: number): PlannedFleet {
  const { devices, tenant, prefix } = options
  const metrics = options.metrics.map(name => metricModels[name])
  const perInterval = metrics.reduce((sum, { stride }) => sum + devices / stride, 0)
  const every = options.every ?? (options.rate === undefined ? 1000 : perInterval / options.rate * 1000)
  const faults = options.faults.map(given => plant(component, given, options, start))
  const rates = options.rates
  const fleet = new Fleet({ devices, metrics, every, seed: options.seed, start, faults, ...rates === undefined ? {} : { rates } })
  const names = Array.from({ length: devices * metrics.length }, (_, s) => ({ tenant, device: `${prefix}-${Math.floor(s / metrics.length) + 1}`, metric: options.metrics[s % metrics.length] }))
  const labels = (until: number) => fleet.faults(until).map(({ device, metric, ...fault }) =>
    ({ device: `${prefix}-${device + 1}`, metric: metric < 0 ? '' : options.metrics[metric], kind: fault.kind, from: fault.from, to: fault.to, size: fault.size }))
  return { fleet, names, labels }
}

/** What is wrong with the options of a fleet that a schema cannot say. */
export function checkFleet (options: FleetValues): string | undefined {
  if (options.every !== undefined && options.rate !== undefined) return '`every` and `rate` say the same thing: leave one out'
  const named = nameFault('tenant', options.tenant) ?? nameFault('device', `${options.prefix}-${options.devices}`)
  if (named !== undefined) return named.detail
  try {
    for (const fault of options.faults) plant('faults', fault, options, 0)
  } catch (error) {
    return (error as Error).message
  }
  return undefined
}

function plant (component: string, { device, metric, kind, at, for: lasts, size }: FleetValues['faults'][number], { devices, prefix, metrics }: FleetValues, start: number): Fault {
  const wrong = (what: string) => new MillraceError('config/invalid', `${component}: ${what}`)
  const number = device.startsWith(`${prefix}-`) ? Number(device.slice(prefix.length + 1)) - 1 : -1
  if (!(Number.isInteger(number) && number >= 0 && number < devices)) throw wrong(`there is no device "${device}" for a fault; there are ${prefix}-1 to ${prefix}-${devices}`)
  const index = metric === undefined || wholeDevice(kind) ? -1 : metrics.indexOf(metric as MetricName)
  if (index < 0 && !wholeDevice(kind) && (metric !== undefined || kind !== 'dropout')) throw wrong(`a fault ${kind} of ${device} needs one of its metrics: ${metrics.join(', ')}`)
  const from = start + duration(at)
  if (!(duration(lasts) > 0)) throw wrong(`a fault ${kind} of ${device} that lasts ${lasts}`)
  return { device: number, metric: index, kind, from, to: from + duration(lasts), size: size ?? usualSize(kind, scaleOf(metricModels[metrics[Math.max(index, 0)]])) }
}
