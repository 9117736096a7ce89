import { key, normal, Random } from '../../models/random.ts'
import { runs, type Plant } from './plants.ts'
import { conditions, DAY, EVERY, HOUR, names, Pump, START, type Condition, type Regime } from './world.ts'

export const verdicts = ['device', 'model', 'sensor'] as const
export type Verdict = typeof verdicts[number]
export const kinds = {
  sensor: ['bias', 'drift', 'gain', 'stuck', 'noise', 'spikes', 'clip', 'unit'],
  device: conditions,
  model: ['operating point', 'programme', 'set-point', 'variance']
} as const satisfies Record<Verdict, readonly string[]>

/** What goes wrong with one device, and when (ms): a sensor's fault and a device's until `to`; another regime for good, that is to the end of the run. */
export interface Cause {
  readonly verdict: Verdict
  readonly kind: string
  readonly from: number
  readonly to: number
  readonly metric: number            // of a sensor; -1
  readonly size: number              // of a sensor, in the unit of its metric, or a factor; of a condition
  readonly ramp: number              // ms in which a condition or a drift comes to its size
  readonly regime: Regime
}

const TEMPERATURE = names.indexOf('temperature')
const LEARN = 3 * DAY, LATER = 24 * HOUR      // causes begin within so long behind what is learned
export const END = START + 5 * DAY

/** Where causes come: in a plant, when so much has been learned of it (ms, whole days), and `n` is told from others of the same device. The run ends two days later, at midnight. */
export interface Place { readonly plant: Plant, readonly learn: number, readonly n: number }
const PUMP: Place = { plant: 'always', learn: LEARN, n: 0 }

/** A cause of a kind, for the device with this seed; it begins while the plant runs. */
export function causeOf (seed: number, verdict: Verdict, kind: string, { plant, learn, n }: Place = PUMP): Cause {
  const random = new Random(n === 0 ? key(seed, 8) : key(seed, 8, n)), pump = new Pump(seed), { usual } = pump, end = START + learn + 2 * DAY
  let from
  do from = START + learn + Math.round(random.between(1, LATER / HOUR) * HOUR / EVERY) * EVERY
  while (!runs(plant, seed, from))
  const sign = random.next() < 0.5 ? -1 : 1
  const lasting = (least: number, most: number) => from + Math.round(random.between(least, most) * HOUR / EVERY) * EVERY
  const base = { verdict, kind, from, metric: -1, size: 0, ramp: 0, regime: usual }
  if (verdict === 'device') {
    const ramp = random.next() < 0.5 ? 0 : random.between(1, 5) * HOUR
    return { ...base, to: lasting(8, 20), ramp, size: visible(seed, pump, kind as Condition) * random.between(1, 3) }
  }
  if (verdict === 'model') return { ...base, to: end, regime: other(usual, kind, sign, random) }
  const metric = random.below(names.length), spread = spreadOf(seed, metric)
  const of = (to: number, size: number, ramp = 0): Cause => ({ ...base, metric, to, size, ramp })
  switch (kind) {
    case 'bias': return of(lasting(2, 12), sign * random.between(1, 3) * spread)
    case 'drift': return of(lasting(6, 15), sign * random.between(1, 3) * spread, random.between(2, 5) * HOUR)
    case 'gain': return of(lasting(4, 12), 1 + sign * random.between(0.1, 0.4))
    case 'noise': return of(lasting(1, 6), random.between(1, 3) * spread)
    case 'spikes': return of(lasting(1, 4), random.between(3, 8) * spread)
    case 'clip': {
      const to = lasting(6, 15)
      return of(to, clipAt(seed, metric, from, to, plant))
    }
    case 'unit': return of(lasting(1, 6), metric === TEMPERATURE ? 1.8 : [10, 100, 1000][random.below(3)])
    default: return of(lasting(0.5, 4), 0)
  }
}

/** The size of a condition that moves the second most visible metric by one standard deviation of its own: at usual load, when all has settled. */
function visible (seed: number, pump: Pump, condition: Condition): number {
  const small = 0.01, healthy = pump.settled(pump.usual.mean, {}), spreads = names.map((_, m) => spreadOf(seed, m))
  return small / pump.settled(pump.usual.mean, { [condition]: small }).map((x, m) => Math.abs(x - healthy[m]) / spreads[m]).sort().at(-2)!
}

function other (usual: Regime, kind: string, sign: number, random: Random): Regime {
  const mean = usual.mean + (usual.mean + sign * 0.25 < 0.3 ? 1 : sign) * random.between(0.15, 0.3)
  switch (kind) {
    case 'operating point': return { ...usual, mean }
    case 'programme': return { ...usual, phase: usual.phase + random.between(0.25, 0.75), daily: usual.daily * random.between(1, 1.5) }
    case 'set-point': return { ...usual, mean, steady: true }
    default: return { ...usual, noise: usual.noise * random.between(2.5, 4) }
  }
}

/** Values of a metric of the healthy device, from START until `to`. */
function healthy (seed: number, metric: number, to: number): Float64Array {
  const pump = new Pump(seed)
  return Float64Array.from({ length: (to - START) / EVERY }, (_, i) => pump.at(START + i * EVERY, pump.usual, {})[metric])
}

/** The standard deviation of a metric over a healthy day. */
function spreadOf (seed: number, metric: number): number {
  const all = healthy(seed, metric, START + DAY), mean = all.reduce((a, b) => a + b) / all.length
  return Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / all.length)
}

/** The 90th percentile of what the sensor would have given in this time, while the plant runs. */
function clipAt (seed: number, metric: number, from: number, to: number, plant: Plant): number {
  const all = healthy(seed, metric, to).subarray((from - START) / EVERY).filter((_, i) => runs(plant, seed, from + i * EVERY)).sort()
  return all[Math.floor(0.9 * all.length)]
}

/** What a wrong sensor makes of a value. */
export function distorted ({ kind, from, size, ramp }: Cause, seed: number, t: number, value: number, last: number): number {
  const n = (t - from) / EVERY, k = key(seed, 9)
  switch (kind) {
    case 'bias': return value + size
    case 'drift': return value + size * Math.min(1, (t - from) / ramp)
    case 'gain': return value * size
    case 'stuck': return last
    case 'noise': return value + size * normal(k, n)
    case 'spikes': return new Random(key(k, n)).next() < 0.02 ? value + (new Random(key(k, n, 1)).next() < 0.5 ? -size : size) : value
    case 'clip': return Math.min(value, size)
    default: return value * size + (size === 1.8 ? 32 : 0)
  }
}
