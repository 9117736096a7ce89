import { key, Random } from './random.ts'

/** What can go wrong: what it does to a reading, and in what `size` is. Between `from` (included) and `to` (excluded). */
export const faultKinds = {
  stuck: 'the last value before is repeated; size 0',
  spike: 'value + size, for one reading unless said otherwise; size in the unit of the metric',
  drift: 'value + a ramp from 0 to size; size in the unit of the metric',
  shift: 'value + size; size in the unit of the metric',
  dropout: 'no reading; size 0',
  clock: 'the timestamps of the whole device + size; size in ms',
  noise: 'value + normal noise of this standard deviation; size in the unit of the metric',
  clip: 'no value above size; size in the unit of the metric',
  unit: 'value in another unit: times size; 1.8 stands for Celsius to Fahrenheit and adds 32',
  load: 'the hidden load of the device + size: no fault of a sensor, all its metrics follow; size in loads (1 = full)'
} as const
export type FaultKind = keyof typeof faultKinds

/** One fault, and its label: which device, which of its metrics (-1: all of them), what, when (event time, ms), how much. */
export interface Fault {
  readonly device: number
  readonly metric: number
  readonly kind: FaultKind
  readonly from: number
  readonly to: number
  readonly size: number
}

/** What sizes are measured by: the mean and the standard deviation of a healthy metric, and the factor of its other unit. */
export interface Scale { readonly centre: number, readonly spread: number, readonly factor: number }

/** Faults per device and week, by kind. */
export type FaultRates = { readonly [K in FaultKind]?: number }

/** Faults of a whole device have no metric. */
export const wholeDevice = (kind: FaultKind): boolean => kind === 'clock' || kind === 'load'

/** The size of a fault that says none: easy to see, not absurd. `draw` in [0, 1) picks from the usual range, `sign` its direction. */
export function usualSize (kind: FaultKind, { centre, spread, factor }: Scale, draw = 0.5, sign = 1): number {
  const [least, most] = SHAPES[kind].size
  const size = least + (most - least) * draw
  switch (kind) {
    case 'stuck': case 'dropout': return 0
    case 'clock': case 'load': return sign * size
    case 'clip': return centre + size * spread
    case 'unit': return factor
    case 'noise': return size * spread
    default: return sign * size * spread
  }
}

/**
 * The faults that begin in one week of one device: a Poisson number of each kind, at uniform times, cut at the week's end;
 * of two that overlap the later one is left out, so that every reading has at most one label. A pure function of its arguments:
 * any week can be had without the weeks before. `every`: ms between two readings, no fault is shorter.
 */
export function faultsOfWeek ({ seed, device, week, start, rates, scales, every }: { seed: number, device: number, week: number, start: number, rates: FaultRates, scales: readonly Scale[], every: number }): Fault[] {
  const random = new Random(key(seed, device, week))
  const begin = start + week * WEEK
  const faults: Fault[] = []
  for (const kind of Object.keys(SHAPES) as FaultKind[]) {
    for (let left = random.poisson(rates[kind] ?? 0); left > 0; left--) {
      const { minutes: [least, most] } = SHAPES[kind]
      const from = begin + random.next() * WEEK
      const lasts = kind === 'spike' ? every : Math.max(random.between(least, most) * MINUTE, 3 * every)
      const metric = wholeDevice(kind) || (kind === 'dropout' && random.next() < 0.5) ? -1 : random.below(scales.length)
      const size = usualSize(kind, scales[Math.max(metric, 0)], random.next(), random.next() < 0.5 ? -1 : 1)
      faults.push({ device, metric, kind, from: Math.round(from), to: Math.round(Math.min(from + lasts, begin + WEEK)), size })
    }
  }
  return withoutOverlaps(faults)
}

/** In order of time, each fault that begins before an earlier one has ended left out. `taken` are kept for certain. */
export function withoutOverlaps (faults: readonly Fault[], taken: readonly Fault[] = []): Fault[] {
  let free = -Infinity
  return [...faults].sort((a, b) => a.from - b.from).filter(fault => {
    if (fault.from < free || taken.some(t => fault.from < t.to && t.from < fault.to)) return false
    free = fault.to
    return true
  })
}

const MINUTE = 60_000
export const WEEK = 7 * 24 * 60 * MINUTE

/** Usual lengths in minutes, and sizes: in spreads of the metric, for `clock` in ms, for `load` in loads. */
const SHAPES: { readonly [K in FaultKind]: { readonly minutes: readonly [number, number], readonly size: readonly [number, number] } } = {
  stuck: { minutes: [10, 60], size: [0, 0] },
  spike: { minutes: [0, 0], size: [6, 15] },
  drift: { minutes: [60, 360], size: [3, 8] },
  shift: { minutes: [30, 180], size: [3, 6] },
  dropout: { minutes: [5, 30], size: [0, 0] },
  clock: { minutes: [10, 60], size: [30_000, 3_600_000] },
  noise: { minutes: [10, 60], size: [1, 3] },
  clip: { minutes: [60, 180], size: [0, 0.5] },
  unit: { minutes: [10, 60], size: [0, 0] },
  load: { minutes: [60, 240], size: [0.3, 0.6] }
}
