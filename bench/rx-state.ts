/** What the RxJS programs of the bench `operators` keep between readings: an object for each series or device, in an array by its number. */
import { portfolio, Portfolio } from '../models/portfolio.ts'
import { anomaly } from '../operators/index.ts'
import { WEIGHT, type Settings } from './answer.ts'

export interface Raw { readonly series: number, readonly time: number, readonly value: number }
/** One reading on its way. */
export interface Reading {
  series: number
  time: number
  value: number
  arrival: number
  progress: number                   // of its device, when it moves that; else NaN
  seq: number                        // -1: a repetition
  evidence: number
  p: number
  low: number
  high: number
  signal: number
  usual: number
  learned: number
  alarm: number
  forecast: number
  firing: number                     // 1 fires, 0 is resolved, else NaN
  since: number
}

export const fresh = ({ series, time, value }: Raw): Reading => ({
  series, time, value, arrival: NaN, progress: NaN, seq: 0, evidence: NaN, p: NaN, low: NaN, high: NaN, signal: NaN, usual: NaN, learned: NaN, alarm: NaN, forecast: NaN, firing: NaN, since: NaN
})

/** An object for each number, made when it is first asked for. */
export function each<S> (make: () => S): (id: number) => S {
  const all: S[] = []
  return id => all[id] ??= make()
}

export const deviceOf = ({ series }: Raw, { perDevice }: Settings): number => Math.floor(series / perDevice)

/** How far the event time of a device has come. */
export class Reached {
  time = -Infinity
  /** The progress that this time makes; NaN for none. */
  move (time: number): number { return time > this.time ? this.time = time : NaN }
}

/** The latest readings of a series. */
export class Seen {
  private recent: { readonly time: number, readonly value: number }[] = []
  private newest = -Infinity
  private readonly within: number
  constructor (within: number) { this.within = within }

  number ({ time, value }: Raw): number {
    if (time < this.newest - this.within) return 0
    let seq = 0
    if (time <= this.newest) {
      for (const seen of this.recent) {
        if (seen.time !== time) continue
        if (Object.is(seen.value, value)) return -1
        seq++
      }
    } else {
      this.newest = time
      while (this.recent.length > 0 && this.recent[0].time < time - this.within) this.recent.shift()
    }
    this.recent.push({ time, value })
    return seq
  }
}

/** The detector of one series: the model that the operator calls. */
export class Detector {
  evidence = NaN
  p = NaN
  low = NaN
  high = NaN
  signal = NaN
  usual = NaN
  learned = 0
  alarm = NaN
  private readonly model = new Portfolio()
  private readonly memory = Float64Array.from(Object.values(portfolio))
  private readonly options: { readonly samples: number, readonly alarms: number, readonly per: number }
  constructor (options: Settings['detector']) { this.options = anomaly(options).options as unknown as Detector['options'] }

  judge ({ time, value }: Raw): this {
    const { model, memory, options: { samples, alarms, per } } = this, count = memory[0]
    this.evidence = this.p = this.low = this.high = this.signal = this.usual = this.alarm = NaN
    this.learned = Math.min(count, samples)
    if (!Number.isFinite(value)) return this
    model.read(value, time)
    if (count > 0) model.score(memory, 0)
    if (count >= samples) {
      this.alarm = model.alarm(memory, 0, alarms, per) ? 1 : 0
      this.evidence = model.news ? model.evidence : 0
      this.p = model.evidence > 0 ? 10 ** -model.evidence : 1
      this.low = model.low
      this.high = model.high
      this.usual = model.usual
      this.signal = model.evidence > 0 ? model.signal + 1 : 0
    }
    model.learn(memory, 0)
    return this
  }
}

export class Average {
  private mean = NaN
  next (value: number): number {
    if (Number.isNaN(this.mean)) this.mean = value
    else if (!Number.isNaN(value)) this.mean += WEIGHT * (value - this.mean)
    return this.mean
  }
}

/** One window of a series. */
export interface Sums { readonly start: number, n: number, first: number, sum: number, squares: number, begin: number, t: number, tt: number, tv: number, tvLow: number, low: number, min: number, max: number }
export const noSums = (start: number, { time, value }: Raw): Sums => ({ start, n: 0, first: value, sum: 0, squares: 0, begin: time, t: 0, tt: 0, tv: 0, tvLow: 0, low: 0, min: value, max: value })

/** Adds a reading to a window, in place. Welford and Neumaier as in models/moments.ts. */
export function add (a: Sums, { time, value }: Raw): Sums {
  const n = ++a.n
  if (n === 1) return a
  const v = value - a.first, u = time - a.begin, off = v - a.sum / (n - 1), offT = u - a.t / (n - 1)
  const product = offT * ((off - a.low / (n - 1)) / n) * (n - 1)
  a.tvLow += lost(a.tv, product)
  a.tv += product
  a.low += lost(a.sum, v)
  a.sum += v
  a.squares += off * (off / n) * (n - 1)
  a.tt += offT * (offT / n) * (n - 1)
  a.t += u
  if (value < a.min) a.min = value
  if (value > a.max) a.max = value
  return a
}

function lost (x: number, y: number): number {
  const sum = x + y, part = sum - x
  return (x - (sum - part)) + (y - part)
}

export function featuresOf ({ n, first, sum, squares, tt, tv, tvLow, min, max }: Sums): Float64Array {
  const mean = first + sum / n, variance = squares / n
  return Float64Array.of(n, mean, Math.sqrt(variance), min, max, Math.sqrt(mean ** 2 + variance), max - min, tt > 0 ? (tv + tvLow) * 1000 / tt : NaN)
}

export interface Closed { readonly series: number, readonly sums: Sums }

/** The open windows of a device. `grow` makes of a window and a reading what the window is then. */
export class Windows {
  private open = new Map<number, Sums[]>()     // series -> by start
  private due = Infinity
  private readonly every: number
  private readonly grow: (sums: Sums, reading: Reading) => Sums
  constructor (every: number, grow: Windows['grow']) {
    this.every = every
    this.grow = grow
  }

  take (reading: Reading): void {
    const { series, time, value, arrival } = reading, start = Math.floor(time / this.every) * this.every
    if (Number.isNaN(value) || start + this.every <= arrival) return
    let all = this.open.get(series)
    if (all === undefined) this.open.set(series, all = [])
    let k = all.length - 1
    while (k >= 0 && all[k].start > start) k--
    if (k < 0 || all[k].start !== start) {
      all.splice(++k, 0, noSums(start, reading))
      this.due = Math.min(this.due, start + this.every)
    }
    all[k] = this.grow(all[k], reading)
  }

  /** Those that end at or before `progress`, by start and series. */
  close (progress: number): Closed[] {
    if (progress < this.due) return []
    const closed: Closed[] = []
    this.due = Infinity
    for (const [series, all] of this.open) {
      while (all.length > 0 && all[0].start + this.every <= progress) closed.push({ series, sums: all.shift()! })
      if (all.length > 0) this.due = Math.min(this.due, all[0].start + this.every)
    }
    return closed.sort((a, b) => a.sums.start - b.sums.start || a.series - b.series)
  }
}

/** The alert of one series. */
export class Alert {
  since = NaN
  private firing = false
  private looked = -Infinity
  /** 1 when it fires, 0 when it is resolved, NaN when nothing changes. `holds`: undefined when that is not known. */
  next (time: number, holds: boolean | undefined): number {
    if (time < this.looked) return NaN
    this.looked = time
    if (holds === undefined || holds === this.firing) return NaN
    this.firing = holds
    if (holds) this.since = time
    return holds ? 1 : 0
  }
}

export function holds ({ value, alarm }: Reading, { detector, high }: Settings): boolean | undefined {
  const sign = detector === undefined ? value : alarm
  return Number.isNaN(sign) ? undefined : detector === undefined ? sign > high : sign === 1
}
