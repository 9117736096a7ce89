import { faultsOfWeek, withoutOverlaps, WEEK, type Fault, type FaultRates, type Scale } from './faults.ts'

/** The faults of a fleet: planted ones, and by `rates` random ones, which keep clear of them. `every`, `start`: ms; `scales`: of the metrics. */
export interface ScheduleOptions {
  readonly devices: number
  readonly scales: readonly Scale[]
  readonly every: number
  readonly seed: number
  readonly start: number
  readonly rates?: FaultRates
  readonly faults?: readonly Fault[]
}

/** Which faults are under way, device by device, while time goes on. Random ones are drawn a week at a time. */
export class FaultSchedule {
  private readonly options: ScheduleOptions
  private readonly changes: Float64Array     // when a device's set of faults changes next
  private readonly active: Fault[][]
  private readonly coming: Fault[][]
  private readonly week: Int32Array          // weeks drawn, of a device

  constructor (options: ScheduleOptions) {
    const { devices, faults = [] } = options
    this.options = options
    this.week = new Int32Array(devices)
    this.changes = new Float64Array(devices).fill(-Infinity)
    this.active = Array.from({ length: devices }, () => [])
    this.coming = Array.from({ length: devices }, (_, d) => faults.filter(f => f.device === d).sort((a, b) => a.from - b.from))
  }

  /** Faults of a device under way at true time `t`, ms, which never goes back. */
  underWay (d: number, t: number): readonly Fault[] {
    if (t >= this.changes[d]) this.change(d, t)
    return this.active[d]
  }

  /** All faults that begin before `until`, in order of time. */
  before (until: number): Fault[] {
    const { devices, start, faults = [] } = this.options
    const all = faults.filter(f => f.from < until)
    for (let d = 0; d < devices; d++) {
      for (let week = 0; this.random && start + week * WEEK < until; week++) all.push(...this.drawn(d, week).filter(f => f.from < until))
    }
    return all.sort((a, b) => a.from - b.from || a.device - b.device)
  }

  private change (d: number, t: number): void {
    const { start } = this.options, coming = this.coming[d]
    while (this.random && start + this.week[d] * WEEK <= t) {
      coming.push(...this.drawn(d, this.week[d]++))
      coming.sort((a, b) => a.from - b.from)
    }
    while (coming.length > 0 && coming[0].from <= t) this.active[d].push(coming.shift()!)
    const active = this.active[d] = this.active[d].filter(f => f.to > t)
    this.changes[d] = Math.min(coming[0]?.from ?? Infinity, this.random ? start + this.week[d] * WEEK : Infinity, ...active.map(f => f.to))
  }

  private drawn (device: number, week: number): Fault[] {
    const { seed, start, rates = {}, every, scales, faults = [] } = this.options
    return withoutOverlaps(faultsOfWeek({ seed, device, week, start, rates, scales, every }), faults.filter(f => f.device === device))
  }

  private get random (): boolean { return this.options.rates !== undefined }
}
