import { FaultSchedule } from './fault-schedule.ts'
import { WEEK, type Fault, type FaultRates } from './faults.ts'
import { scaleOf, type MetricModel } from './metric.ts'
import { key, normal, uniform } from './random.ts'

export interface FleetOptions {
  readonly devices: number
  readonly metrics: readonly MetricModel[]
  readonly every: number             // ms between two readings of a metric of stride 1
  readonly seed: number
  readonly start: number             // event time of the first reading, ms
  readonly rates?: FaultRates        // random faults
  readonly faults?: readonly Fault[] // planted ones; random ones keep clear of them
}

/** Where readings are written. At least as long as there are metrics. */
export interface FleetReadings {
  readonly time: Float64Array        // by the clock of the device
  readonly series: Int32Array
  readonly value: Float64Array
  readonly truth: Float64Array       // true time: the same, but for a `clock` fault; never goes back
}

export const roomFor = (readings: number): FleetReadings =>
  ({ time: new Float64Array(readings), series: new Int32Array(readings), value: new Float64Array(readings), truth: new Float64Array(readings) })

const DAY = 24 * 60 * 60_000
const TURN = 2 * Math.PI
const SUNDAY_NOON = 3.5 * DAY        // after 1970-01-01, a Thursday
const MEMORY = 20 * 60_000           // correlation time of the load's noise, ms
const NOISE = 0.06                   // its standard deviation

/**
 * A fleet of devices whose metrics are coupled through a hidden load. Load of device d at event time t:
 *
 *   L(t) = mean + daily * week(t) * season(t) + n(t) + size of a `load` fault
 *   season(t) = sin(a) + sin(2a) / 4        a = 2 pi (t / 1 day - phase): each device has its own hour
 *   week(t)   = 0.85 - 0.15 cos(2 pi (t - Sunday noon) / 7 days)
 *   n(t)      = r n(t - dt) + 0.06 sqrt(1 - r^2) normal      r = exp(-dt / 20 min): AR(1), independent of the interval
 *
 * Readings come in order of true time: interval by interval, devices staggered within it, so that the rate is even.
 * The same options give the same readings, and a device is the same in a fleet of any size. No clock: time is asked for.
 * 8 bytes per device and 16 per series, and the faults under way.
 */
export class Fleet {
  readonly devices: number
  readonly width: number             // metrics of a device; the series of metric m of device d is d * width + m
  readonly options: FleetOptions
  private readonly order: Int32Array
  private readonly offset: Float64Array      // of a device in the interval, ms
  private readonly character: Float64Array   // of a device: mean, daily, phase
  private readonly base: Float64Array        // of a series
  private readonly gain: Float64Array
  private readonly noiseKey: Float64Array
  private readonly loadKey: Float64Array
  private readonly follow: Float64Array      // of a metric: 1 - exp(-dt / lag)
  private readonly persistence: number
  private readonly wander: Float64Array      // n(t) of a device
  private readonly lagged: Float64Array      // y(t) of a series
  private readonly last: Float64Array        // last value of a series
  private readonly schedule: FaultSchedule
  private tick = 0
  private turn = 0

  constructor (options: FleetOptions) {
    const { devices, metrics, every, seed, start, faults = [] } = options
    if (!(devices >= 1 && metrics.length >= 1 && every > 0 && Number.isFinite(start))) throw new RangeError('a fleet needs a device, a metric, an interval and a start')
    const odd = faults.find(f => !(f.to > f.from && Number.isFinite(f.to) && Number.isFinite(f.size) && f.device >= 0 && f.device < devices && f.metric >= -1 && f.metric < metrics.length))
    if (odd !== undefined) throw new RangeError(`a fault that does not fit the fleet: ${JSON.stringify(odd)}`)
    const width = metrics.length, count = devices * width
    this.options = options
    this.devices = devices
    this.width = width
    this.schedule = new FaultSchedule({ ...options, scales: metrics.map(scaleOf) })
    this.persistence = Math.exp(-every / MEMORY)
    this.offset = Float64Array.from({ length: devices }, (_, d) => Math.floor(radicalInverse(d) * every * 1000) / 1000)
    this.order = Int32Array.from({ length: devices }, (_, d) => d).sort((a, b) => this.offset[a] - this.offset[b] || a - b)
    this.follow = Float64Array.from(metrics, m => m.lag > 0 ? 1 - Math.exp(-every / m.lag) : 1)
    this.character = new Float64Array(3 * devices)
    this.base = new Float64Array(count)
    this.gain = new Float64Array(count)
    this.noiseKey = new Float64Array(count)
    this.loadKey = Float64Array.from({ length: devices }, (_, d) => key(seed, d, LOAD))
    this.wander = new Float64Array(devices)
    this.lagged = new Float64Array(count).fill(NaN)
    this.last = new Float64Array(count).fill(NaN)
    for (let d = 0; d < devices; d++) {
      const own = key(seed, d, CHARACTER)
      this.character.set([0.5 + 0.05 * normal(own, 0), 0.22 + 0.06 * uniform(own, 10), 0.35 + 0.1 * uniform(own, 11)], 3 * d)
      this.wander[d] = NOISE * normal(this.loadKey[d], 0)
      for (let m = 0; m < width; m++) {
        const metric = key(seed, d, METRIC, m)
        this.noiseKey[d * width + m] = metric
        this.base[d * width + m] = metrics[m].base * (1 + 0.02 * normal(own, 2 * m + 20))
        this.gain[d * width + m] = metrics[m].gain * (1 + 0.1 * normal(own, 2 * m + 21))
      }
    }
  }

  /** True time of the next reading, ms. */
  get due (): number { return this.timeOf(this.order[this.turn]) }

  /** Writes the readings up to and including true time `until`, as many as there is room for, from index 0. Returns how many. */
  fill (out: FleetReadings, until = Infinity): number {
    if (out.time.length < this.width) throw new RangeError(`room for ${out.time.length} readings, a device has ${this.width}`)
    let n = 0
    while (n + this.width <= out.time.length) {
      const d = this.order[this.turn], t = this.timeOf(d)
      if (t > until) break
      n = this.read(d, t, out, n)
      if (++this.turn === this.devices) {
        this.turn = 0
        this.tick++
      }
    }
    return n
  }

  /** All faults that begin before `until`, in order of time: the labels. */
  faults (until: number): Fault[] { return this.schedule.before(until) }

  private timeOf (device: number): number {
    return Math.round((this.options.start + this.tick * this.options.every + this.offset[device]) * 1000) / 1000
  }

  private read (d: number, t: number, out: FleetReadings, n: number): number {
    const { metrics } = this.options
    const { width, tick } = this
    const faults = this.schedule.underWay(d, t)
    const load = this.load(d, t, faults)
    for (let m = 0, s = d * width; m < width; m++, s++) {
      const model = metrics[m]
      const y = this.lagged[s] = Number.isNaN(this.lagged[s]) ? load : this.lagged[s] + this.follow[m] * (load - this.lagged[s])
      if ((tick + d + m) % model.stride !== 0) continue
      const value = this.base[s] + this.gain[s] * y + model.bend * y * y + model.noise * normal(this.noiseKey[s], tick)
      out.series[n] = s
      out.time[n] = out.truth[n] = t
      out.value[n] = value
      if (faults.length > 0 && !this.distort(faults, m, s, t, out, n)) continue
      this.last[s] = out.value[n++]
    }
    return n
  }

  private load (d: number, t: number, faults: readonly Fault[]): number {
    const c = 3 * d
    const a = TURN * (t / DAY - this.character[c + 2])
    const week = 0.85 - 0.15 * Math.cos(TURN * (t - SUNDAY_NOON) / WEEK)
    if (this.tick > 0) this.wander[d] = this.persistence * this.wander[d] + NOISE * Math.sqrt(1 - this.persistence ** 2) * normal(this.loadKey[d], this.tick)
    let load = this.character[c] + this.character[c + 1] * week * (Math.sin(a) + Math.sin(2 * a) / 4) + this.wander[d]
    for (const fault of faults) if (fault.kind === 'load') load += fault.size
    return load
  }

  /** What the active faults do to a reading. False when there is none any more. */
  private distort (faults: readonly Fault[], m: number, s: number, t: number, out: FleetReadings, n: number): boolean {
    for (const { kind, metric, size, from, to } of faults) {
      if (metric >= 0 && metric !== m) continue
      if (kind === 'dropout') return false
      if (kind === 'stuck') out.value[n] = Number.isNaN(this.last[s]) ? out.value[n] : this.last[s]
      else if (kind === 'spike' || kind === 'shift') out.value[n] += size
      else if (kind === 'drift') out.value[n] += size * (t - from) / (to - from)
      else if (kind === 'noise') out.value[n] += size * normal(mixed(this.noiseKey[s]), this.tick)
      else if (kind === 'clip') out.value[n] = Math.min(out.value[n], size)
      else if (kind === 'unit') out.value[n] = out.value[n] * size + (size === 1.8 ? 32 : 0)
      else if (kind === 'clock') out.time[n] = t + size
    }
    return true
  }
}

// names of streams
const CHARACTER = 1, LOAD = 2, METRIC = 3
const mixed = (noiseKey: number) => key(noiseKey, 4)

/** Van der Corput's sequence: spreads any number of devices evenly over the interval, each at the same place in a fleet of any size. */
function radicalInverse (n: number): number {
  let inverse = 0
  for (let half = 0.5; n > 0; n >>>= 1, half /= 2) if (n & 1) inverse += half
  return inverse
}
