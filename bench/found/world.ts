import { faultKinds, WEEK, type Fault, type FaultKind } from '../../models/faults.ts'
import { Fleet, roomFor } from '../../models/fleet.ts'
import { metricModels, scaleOf } from '../../models/metric.ts'
import { key, Random } from '../../models/random.ts'

/** The kinds of faults of one sensor or clock. */
export const kinds = (Object.keys(faultKinds) as FaultKind[]).filter((kind): kind is Kind => kind !== 'load')
export type Kind = Exclude<FaultKind, 'load'>

export const names = ['temperature', 'vibration', 'current', 'pressure'] as const
export const metrics = names.map(name => ({ ...metricModels[name], stride: 1 }))
export const EVERY = 10_000, START = Date.UTC(2026, 0, 5), DAY = 24 * 60 * 60_000, MINUTE = 60_000
const LEARN = 3 * DAY, REST = 90 * MINUTE
export const GROUP = 50              // devices that are run together

/** How large the faults of one run are. `sd` in standard deviations, of the residual for spikes, of `unit` for the others. */
export interface Sizes { readonly sd: Readonly<Record<'spike' | 'shift' | 'drift' | 'noise', number>>, readonly unit: 'metric' | 'residual' }
export const asked: Sizes = { sd: { spike: 8, shift: 3, drift: 3, noise: 3 }, unit: 'metric' }

const minutes: Readonly<Record<Kind, readonly [least: number, most: number]>> = {
  stuck: [5, 60], spike: [EVERY / MINUTE, EVERY / MINUTE], drift: [60, 360], shift: [30, 180], dropout: [100 / 60, 30], clock: [10, 60], noise: [10, 60], clip: [60, 180], unit: [10, 60]
}
/** What a value of each metric could be given in instead: times so much; for a temperature in Celsius 1.8 stands for Fahrenheit. */
const factors: readonly (readonly number[])[] = [[1.8], [10, 25.4, 1000], [10, 100, 1000], [14.503773773, 100, 1000]]

/** Healthy values of the devices of one group: [series][reading]. */
export function healthy (seed: number, devices: number): Float64Array[] {
  const fleet = new Fleet({ devices, metrics, every: EVERY, seed, start: START })
  const values = Array.from({ length: devices * metrics.length }, () => new Float64Array(WEEK / EVERY)), filled = new Int32Array(values.length)
  const out = roomFor(4096)
  for (let n; (n = fleet.fill(out, START + WEEK - 1)) > 0;) for (let i = 0; i < n; i++) values[out.series[i]][filled[out.series[i]]++] = out.value[i]
  return values
}

/**
 * The faults of one group: of each device those in `wanted`, in any order, from the fourth day on, one after the other with a
 * rest between them, which is as long as the time allows on average.
 */
export function plan (seed: number, wanted: readonly (readonly Kind[])[], sizes: Sizes, values: readonly Float64Array[]): Fault[] {
  return wanted.flatMap((some, device) => {
    const random = new Random(key(seed, device, 9))
    const order = some.map(kind => ({ kind, place: random.next() })).sort((a, b) => a.place - b.place)
    const lengths = order.map(({ kind }) => Math.round(random.between(...minutes[kind]) * MINUTE / EVERY) * EVERY)
    const free = WEEK - LEARN - REST - lengths.reduce((sum, x) => sum + x + REST, 0)
    const starts = Float64Array.from(order, () => random.next() * free).sort()
    let before = START + LEARN + REST
    return order.map(({ kind }, i): Fault => {
      const from = Math.round(before + starts[i]), to = from + lengths[i]
      before += lengths[i] + REST
      const metric = kind === 'clock' || (kind === 'dropout' && random.next() < 0.5) ? -1 : random.below(metrics.length)
      return { device, metric, kind, from, to, size: sizeOf(kind, metric, sizes, random, values[device * metrics.length + Math.max(metric, 0)], from, to) }
    })
  })
}

function sizeOf (kind: Kind, metric: number, { sd, unit }: Sizes, random: Random, values: Float64Array, from: number, to: number): number {
  const sign = random.next() < 0.5 ? -1 : 1
  switch (kind) {
    case 'stuck': case 'dropout': return 0
    case 'clock': return sign * Math.round(Math.exp(random.between(Math.log(60_000), Math.log(3_600_000))))
    case 'clip': return quantile(values.subarray((from - START) / EVERY, (to - START) / EVERY), 0.9)
    case 'unit': return factors[metric][random.below(factors[metric].length)]
    case 'spike': return sign * sd.spike * residual(values)
    default: {
      const size = sd[kind] * (unit === 'metric' ? scaleOf(metrics[metric]).spread : residual(values))
      return kind === 'noise' ? size : sign * size
    }
  }
}

/** What is left of a metric when its past is known, as a standard deviation: that of the change between readings, over the square root of 2. */
function residual (values: Float64Array): number {
  let square = 0
  for (let i = 1; i < values.length; i++) square += (values[i] - values[i - 1]) ** 2
  return Math.sqrt(square / (values.length - 1) / 2)
}

function quantile (values: Float64Array, q: number): number {
  return values.slice().sort()[Math.floor(q * (values.length - 1))]
}
