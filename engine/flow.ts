import type { Pending } from './alert.ts'
import type { Batch } from './batch.ts'
import { clock } from './clock.ts'
import { Gathered } from './outputs.ts'
import type { Pipeline } from './pipeline.ts'
import type { Relearn } from './relearn.ts'
import { OpenRoute, type Stopwatch } from './route.ts'
import type { SeriesTable } from './series.ts'
import { Snapshots, type Part } from './snapshot.ts'
import type { Delivery } from './source.ts'
import type { Spared, StepStatus } from './spare.ts'
import { Watermarks, type Gone } from './watermark.ts'

const SLICE = 2000                   // series of a tick that are worked on at once

/**
 * A pipeline's dataflow: deliveries in, contents of commits out. Synchronous and deterministic: no clock, no waiting,
 * no chance. The run loop, the tests of a pipeline and a replay all drive the same Flow.
 */
export class Flow {
  readonly steps: StepStatus[] = []
  position: number
  watermark = -Infinity              // of the last batch
  readonly snapshots: Snapshots      // of all it remembers; begun between two deliveries
  past: number | undefined           // all of it is a backlog that came then, ms: nobody is told of what happens now
  private readonly series: SeriesTable
  private readonly time: Watermarks
  private readonly trunk: OpenRoute
  private readonly branches: readonly OpenRoute[]
  private readonly devices: NonNullable<Pipeline['devices']>
  private told = false

  /** `by`: its monotonic time says what steps cost, and nothing else. */
  constructor (pipeline: Pipeline, series: SeriesTable, position = 0, by: Stopwatch = clock) {
    this.series = series
    this.position = position
    this.time = new Watermarks(series, pipeline.time)
    this.devices = pipeline.devices ?? []
    this.trunk = new OpenRoute('', pipeline, pipeline, series, this.steps, by)
    this.branches = Object.entries(pipeline.branches).map(([name, route]) => new OpenRoute(name, route, pipeline, series, this.steps, by))
    this.snapshots = new Snapshots(series, [progressOf(this.time), ...[this.trunk, ...this.branches].flatMap(route => route.parts)])
  }

  /** `rows`: all those of its records, when these are some of them. */
  process (delivery: Delivery, spared?: Spared, rows = delivery.rows): Gathered {
    this.position = delivery.upTo
    const outputs = new Gathered(this.position, delivery.ingest, delivery.received, delivery.dead, rows, spared, this.past)
    this.snapshots.touchRows(delivery.rows.series)
    this.pass(this.time.arrive(delivery.rows, this.past), outputs)
    return outputs
  }

  /** The devices that a tick would be about; some of them more than once. */
  gone (ingest: number): Int32Array {
    const { silent, forgotten, quiet } = this.time.gone(ingest)
    return Int32Array.from([...silent, ...forgotten, ...quiet])
  }

  /** The ingest clock has come to `ingest`. Nothing when that changes nothing. */
  tick (ingest: number, spared?: Spared): Gathered | undefined { return this.expire(this.time.gone(ingest), ingest, spared) }

  /** The same in slices of devices with about `series` series each, so that no one of them takes long: for each device what tick() gives. */
  * ticks (ingest: number, series = SLICE): Generator<Gathered> {
    for (const gone of this.sliced(this.time.gone(ingest), series)) yield this.expire(gone, ingest)!
  }

  private expire (gone: Gone, ingest: number, spared?: Spared): Gathered | undefined {
    for (const devices of [gone.silent, gone.forgotten, gone.quiet]) this.snapshots.touch(devices)
    const batch = this.time.tick(gone, this.position)
    if (batch === undefined) return undefined
    const outputs = new Gathered(this.position, ingest, 0, [], undefined, spared, this.past)
    this.pass(batch, outputs)
    return outputs
  }

  /** In the order of their ids, as they are in each of the lists. */
  private * sliced ({ silent, forgotten, quiet, silence }: Gone, series: number): Generator<Gone> {
    const lists = [silent, forgotten, quiet], from = [0, 0, 0]
    while (lists.some((list, k) => from[k] < list.length)) {
      const to = [...from]
      for (let left = series; left > 0;) {
        const next = Math.min(...lists.map((list, k) => to[k] < list.length ? list[to[k]] : Infinity))
        if (next === Infinity) break
        lists.forEach((list, k) => { if (list[to[k]] === next) to[k]++ })
        for (let s = this.series.firstOf(next); s >= 0; s = this.series.nextOf(s)) left--
      }
      const [a, b, c] = lists.map((list, k) => list.subarray(from[k], to[k]))
      yield { silent: a, forgotten: b, quiet: c, silence: silence.subarray(from[2], to[2]) }
      from.splice(0, 3, ...to)
    }
  }

  /** The source has come to its end: every window closes. */
  end (ingest: number, spared?: Spared): Gathered {
    const outputs = new Gathered(this.position, ingest, 0, [], undefined, spared, this.past)
    this.snapshots.touchAll()
    this.pass(this.time.end(this.position), outputs)
    return outputs
  }

  /** Nobody has been silent until now: see Watermarks.listen. Operators are told, and make no rows of it. */
  listen (ingest: number): void {
    this.snapshots.touchAll()
    this.pass(this.time.listen(ingest), new Gathered(this.position, ingest, 0, []))
  }

  /** Since when what is remembered of a device is learned, see Watermarks.since; -Infinity also for one that is not known. */
  since (tenant: string, device: string): number { return this.time.since(this.series.known(tenant, device)) }

  /**
   * Steps that learn begin anew with a device, at `time` on the ingest clock; what others remember stays, and so do alerts. Not once
   * more for what has been before, so it may come again, and not for a device that has been heard only after `end`.
   */
  relearn ({ tenant, device, end }: Relearn, time: number): void {
    const since = this.since(tenant, device)
    if (since === -Infinity || since >= end) return
    const d = this.series.known(tenant, device), series: number[] = []
    for (let s = this.series.firstOf(d); s >= 0; s = this.series.nextOf(s)) series.push(s)
    const ids = Int32Array.of(d)
    this.snapshots.touch(ids)
    this.time.relearn(d, Math.max(time, end))
    for (const route of [this.trunk, ...this.branches]) route.relearn(Int32Array.from(series), ids)
  }

  /** Of all alerts; see Alert.pending. */
  pending (): Pending[] { return [this.trunk, ...this.branches].flatMap(route => route.pending()) }

  private pass (batch: Batch, outputs: Gathered): void {
    this.watermark = batch.watermark
    if (!this.told) this.tell()
    const out = this.trunk.process(batch, outputs)
    for (const branch of this.branches) {
      outputs.tally(branch.name).received += branch.reads === 'readings' ? out.length : 0
      branch.process(out, outputs)
    }
  }

  /** Tags of the pipeline's devices. Not before the first batch: a snapshot wants an empty table. */
  private tell (): void {
    this.told = true
    for (const { tenant, device, tags } of this.devices) {
      const d = this.series.device(tenant, device)
      if (d >= 0) this.series.tag(d, tags)
    }
  }
}

const progressOf = (time: Watermarks): Part => ({
  key: 'time', fingerprint: 'time', match: other => other === 'time' ? 'same' : 'other', remembers: true,
  forms: { series: [], devices: time.forms }, write: (to, _, devices) => { time.write(to, devices) },
  load: (saved, _, devices) => { time.load(saved.devices, devices) }
})

export const openFlow = (pipeline: Pipeline, series: SeriesTable, position = 0): Flow => new Flow(pipeline, series, position)
