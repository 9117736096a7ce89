import { Batch, noProgress, type Ids, type Numbers, type Progress } from './batch.ts'
import { Memory } from './memory.ts'
import { Tape, TapeReader, type Form, type Saved } from './saved.ts'
import type { SeriesTable } from './series.ts'

/** Rows as a source delivers them, in the order of its log. */
export interface Readings {
  readonly time: Numbers
  readonly series: Ids
  readonly value: Numbers
  readonly position: Numbers          // of their record
  readonly ingest: Numbers            // when their record arrived, ms on a clock that never goes back
}

/** The rows from `from` up to, without, `to`: views, no copies. */
export const slice = ({ time, series, value, position, ingest }: Readings, from: number, to: number): Readings =>
  ({ time: time.subarray(from, to), series: series.subarray(from, to), value: value.subarray(from, to), position: position.subarray(from, to), ingest: ingest.subarray(from, to) })

export interface TimeOptions {
  readonly lateness: number          // ms that event time of one device may be out of order
  readonly idle: number              // ms of silence after which open windows are written provisionally
  readonly forget: number            // ms of silence after which they become final
}

/** How often the engine looks for devices that have gone silent, ms. */
export const lookEvery = (idle: number): number => Math.min(1000, Math.max(50, idle / 4))

/** Devices, see Watermarks.gone. */
export interface Gone { readonly silent: Ids, readonly forgotten: Ids, readonly quiet: Ids, readonly silence: Numbers }

const empty: Readings = { time: new Float64Array(0), series: new Int32Array(0), value: new Float64Array(0), position: new Float64Array(0), ingest: new Float64Array(0) }
const first = { reached: -Infinity, heard: -Infinity, silent: 0, told: 0, since: -Infinity }       // told: the silence that was told last, ms; since: see Watermarks.since
const shapes = { progress: first }, names = Object.keys(first)
const BITS = 10, NOBODY = -1, LOOK = -2
const REACHED = 0, HEARD = 1, SILENT = 2, TOLD = 3, SINCE = 4, WIDTH = 5

/**
 * Event-time progress, per device. A device's progress is its newest event time less `lateness`. Each row gets the
 * progress of its own device as it was just before the row: that, and nothing about batches, decides lateness.
 * One dead device holds nobody's windows open and one wrong clock closes nobody's. 40 bytes per device.
 */
export class Watermarks {
  private readonly series: SeriesTable
  private readonly options: TimeOptions
  private readonly memory: Memory<typeof shapes>
  private readonly slowest: Int32Array   // of each 2 ** BITS devices the one with the least progress that is not silent; NOBODY, or LOOK for it

  constructor (series: SeriesTable, options: TimeOptions) {
    this.series = series
    this.options = options
    this.memory = new Memory(shapes, series.capacity)
    this.slowest = new Int32Array((series.capacity >>> BITS) + 1).fill(LOOK)
  }

  /** Readings become a batch: with arrival, progress and watermark. `learnedAt`: when they are learned, ms, if not as they arrive. */
  arrive (rows: Readings, learnedAt?: number): Batch {
    this.memory.appear(this.series.devices)
    const { data } = this.memory.held.progress, { deviceOf } = this.series, { lateness } = this.options, { slowest } = this
    const { time, series, ingest, position } = rows, n = time.length
    const arrival = new Float64Array(n), moves = new Int32Array(n)       // moves: the rows that move their device
    let count = 0
    for (let i = 0, before = -1; i < n; i++) {
      const d = deviceOf[series[i]], at = d * WIDTH, t = time[i] - lateness, reached = data[at + REACHED]
      arrival[i] = reached
      data[at + HEARD] = ingest[i]
      if (d !== before) {
        before = d
        if (data[at + SINCE] === -Infinity) data[at + SINCE] = learnedAt ?? ingest[i]
        if (d === slowest[d >>> BITS] || data[at + SILENT] !== 0 || reached === -Infinity) slowest[d >>> BITS] = LOOK
        data[at + SILENT] = 0
        data[at + TOLD] = 0
      }
      if (t > reached) {
        data[at + REACHED] = t
        moves[count++] = i
      }
    }
    const moved = { device: new Int32Array(count), time: new Float64Array(count), position: new Float64Array(count) }
    for (let k = 0; k < count; k++) {
      const i = moves[k]
      moved.device[k] = deviceOf[series[i]]
      moved.time[k] = time[i] - lateness
      moved.position[k] = position[i]
    }
    const progress: Progress = { ...noProgress, ...moved }
    return new Batch({ ...rows, arrival, progress, watermark: this.least() })
  }

  /** The devices that a tick of the ingest clock would find to have gone silent, or to be forgotten. Changes nothing. */
  gone (ingest: number): Gone {
    this.memory.appear(this.series.devices)
    const { data } = this.memory.held.progress
    const gone: number[] = [], forgotten: number[] = [], quiet: number[] = [], silences: number[] = []
    for (let d = 0, at = 0; d < this.series.devices; d++, at += WIDTH) {
      if (data[at + SILENT] === 2 || data[at + HEARD] === -Infinity) continue
      const silence = ingest - data[at + HEARD]
      if (data[at + SILENT] === 0 && silence >= this.options.idle) gone.push(d)
      if (silence >= this.options.forget && (data[at + SILENT] === 1 || silence >= this.options.idle)) forgotten.push(d)
      if (silence >= this.options.idle && silence >= 2 * data[at + TOLD]) { quiet.push(d); silences.push(silence) }
    }
    return { silent: new Int32Array(gone), forgotten: new Int32Array(forgotten), quiet: new Int32Array(quiet), silence: new Float64Array(silences) }
  }

  /** The tick that found them, after the record at `position`. Nothing when there are none. */
  tick ({ silent: gone, forgotten, quiet, silence }: Gone, position: number): Batch | undefined {
    if (gone.length + forgotten.length + quiet.length === 0) return undefined
    const { data } = this.memory.held.progress
    quiet.forEach((d, k) => { data[d * WIDTH + TOLD] = silence[k] })
    for (const d of gone) data[d * WIDTH + SILENT] = 1
    for (const d of forgotten) data[d * WIDTH + SILENT] = 2
    for (const devices of [gone, forgotten]) for (const d of devices) this.slowest[d >>> BITS] = LOOK
    return new Batch({ ...empty, progress: { ...noProgress, silent: gone, forgotten, tick: position, quiet, silence }, watermark: this.least() })
  }

  /** The stream is over: every device has reached the end of time. */
  end (position: number): Batch {
    const count = this.series.devices
    const progress: Progress = { ...noProgress, device: Int32Array.from({ length: count }, (_, d) => d), time: new Float64Array(count).fill(Infinity), position: new Float64Array(count).fill(position) }
    return new Batch({ ...empty, progress, watermark: Infinity })
  }

  /** Starts every device's silence anew: an engine that was not listening counts nobody as silent. A batch without rows that says so. */
  listen (ingest: number): Batch {
    this.memory.appear(this.series.devices)
    const { data } = this.memory.held.progress
    for (let d = 0, at = HEARD; d < this.series.devices; d++, at += WIDTH) if (data[at] !== -Infinity) data[at] = ingest
    return new Batch({ ...empty, progress: { ...noProgress, resumed: true }, watermark: this.least() })
  }

  /** Since when what is remembered of a device is learned, on the ingest clock, ms: 0 when that is not known any more, -Infinity when nothing was heard of it. */
  since (device: number): number {
    this.memory.appear(this.series.devices)
    return device < 0 ? -Infinity : this.memory.held.progress.data[device * WIDTH + SINCE] ?? -Infinity
  }
  /** From `time` on. */
  relearn (device: number, time: number): void { this.memory.held.progress.data[device * WIDTH + SINCE] = time }

  /** The least progress of the devices that are not silent. Looks through a block of devices only when its slowest one has moved. */
  private least (): number {
    const { data } = this.memory.held.progress, { slowest } = this
    let least = Infinity
    for (let block = 0; block << BITS < this.series.devices; block++) {
      if (slowest[block] === LOOK) slowest[block] = this.slowestOf(block)
      if (slowest[block] !== NOBODY) least = Math.min(least, data[slowest[block] * WIDTH + REACHED])
    }
    return least === Infinity ? -Infinity : least
  }

  private slowestOf (block: number): number {
    const { data } = this.memory.held.progress, end = Math.min(this.series.devices, block + 1 << BITS)
    let slowest = NOBODY
    for (let d = block << BITS; d < end; d++) {
      const reached = data[d * WIDTH + REACHED]
      if (reached !== -Infinity && data[d * WIDTH + SILENT] === 0 && (slowest === NOBODY || reached < data[slowest * WIDTH + REACHED])) slowest = d
    }
    return slowest
  }

  /** A column for each name, as it has always been kept. */
  readonly forms: readonly Form[] = names.map(name => [name, 'cells', 1])
  write (to: Tape, devices: Ids): void {
    this.memory.appear(this.series.devices)
    const { data } = this.memory.held.progress
    let at = to.reserve(WIDTH * devices.length)
    for (let k = 0; k < WIDTH; k++) for (let i = 0; i < devices.length; i++) to.data[at++] = data[devices[i] * WIDTH + k]
  }
  /** A copy, of all devices when none are given. */
  save (devices: Ids = Int32Array.from({ length: this.series.devices }, (_, d) => d)): Saved {
    const to = new Tape()
    this.write(to, devices)
    return new TapeReader(to.data).read(this.forms, devices.length)
  }
  load (saved: Saved, devices?: Ids): void {
    const { heard, told = new Float64Array((heard as Float64Array).length), since = (heard as Float64Array).map(at => Math.min(at, 0)) } = saved      // absent in older snapshots
    const columns = { ...saved, told, since } as Record<string, Float64Array>
    const progress = new Float64Array(columns.heard.length * WIDTH)
    names.forEach((name, k) => { for (let d = 0, at = k; at < progress.length; d++, at += WIDTH) progress[at] = columns[name][d] })
    this.memory.load({ progress }, devices)
    this.slowest.fill(LOOK)
  }
}
