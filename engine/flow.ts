import { openAlert, type Pending } from './alert.ts'
import type { Batch, Ids } from './batch.ts'
import { clock, type Clock } from './clock.ts'
import { explainedBy } from './explain.ts'
import type { DeadLetter } from './intake.ts'
import type { Host, Stage } from './operator.ts'
import { countsOf, type CountAs, type Tallied } from './outputs.ts'
import type { Pipeline, Route } from './pipeline.ts'
import { versionOf } from './pipeline-file.ts'
import { columnsAfter } from './plan.ts'
import { receiversOf } from './receivers.ts'
import type { Relearn } from './relearn.ts'
import type { SeriesTable } from './series.ts'
import { Snapshots, type Part } from './snapshot.ts'
import type { Delivery } from './source.ts'
import { BUDGET, spare, StepError, type Spared, type StepStatus } from './spare.ts'
import { arrivalOf } from './stale.ts'
import type { Commit, LateRows, Outcome, Write } from './store.ts'
import { addCounts, noCounts, type Counts } from './tally.ts'
import { Watermarks, type Gone } from './watermark.ts'

type Stopwatch = Pick<Clock, 'monotonic'>

const SLICE = 2000                   // series of a tick that are worked on at once

/** What one delivery, tick or end has led to: the content of one commit, and what followers are to write before it. */
export interface Outputs extends Pick<Commit, 'writes' | 'alerts' | 'late' | 'deadLetters' | 'position' | 'ingest'> {
  readonly follow: readonly { readonly branch: string, readonly sink: number, readonly batch: Batch<any> }[]
  readonly received: number          // readings that this commit settles
  /** Counts by branch ('' is the trunk), given what became of the writes. */
  readonly counts: (outcomes: readonly Outcome[]) => Record<string, Counts>
}

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

/** The outputs of one pass, while they gather. */
export class Gathered implements Outputs, Tallied {
  readonly writes: Write[] = []
  readonly alerts: Commit['alerts'][number][] = []
  readonly late: LateRows[] = []
  readonly deadLetters: DeadLetter[]
  readonly spared: Spared | undefined
  readonly follow: Outputs['follow'][number][] = []
  readonly position: number
  readonly ingest: number
  readonly received: number
  private readonly rows: Delivery['rows'] | undefined
  private readonly past: number | undefined
  readonly tallies: Record<string, Counts> = {}
  readonly as: CountAs[] = []        // beside writes

  constructor (position: number, ingest: number, received: number, dead: Outputs['deadLetters'], rows?: Delivery['rows'], spared?: Spared, past?: number) {
    this.spared = spared
    this.past = past
    this.position = position
    this.rows = rows
    this.ingest = ingest
    this.received = received
    this.deadLetters = [...dead]       // what is added is no reading
    const trunk = this.tally('')
    trunk.received = received
    trunk.dead_lettered = dead.reduce((sum, { count = 1 }) => sum + count, 0)
  }

  tally (branch: string): Counts { return this.tallies[branch] ??= noCounts() }

  readonly arrival = (time: number, position: number) => this.past === undefined ? arrivalOf(time, position, this.rows, this.ingest) : { at: this.past, stale: true }

  write (write: Write, as: CountAs): void {
    this.writes.push(write)
    this.as.push(as)
  }

  counts (outcomes: readonly Outcome[]): Record<string, Counts> { return countsOf(this, outcomes) }
}

/** A route with its stages open. */
class OpenRoute {
  readonly name: string
  readonly reads: 'readings' | 'rows'
  private readonly route: Route
  private readonly stages: { readonly stage: Stage, readonly status: StepStatus, readonly readings: boolean }[] = []
  private readonly alerts: { readonly name: string, readonly receivers: readonly string[], readonly rehearsing: readonly string[], readonly open: ReturnType<typeof openAlert> }[]
  private readonly writes: 'written' | 'rows'
  private readonly by: Stopwatch
  private out: Gathered | undefined

  constructor (name: string, route: Route, pipeline: Pipeline, series: SeriesTable, steps: StepStatus[], by: Stopwatch) {
    this.by = by
    this.name = name
    this.route = route
    let readings: boolean = route === pipeline || !columnsAfter(pipeline.steps).windowed
    this.reads = readings ? 'readings' : 'rows'
    for (const operator of route.steps) {
      const status: StepStatus = { branch: name, id: operator.id, in: 0, out: 0, ns: 0, slow: 0, errors: 0, watermark: -Infinity, newest: -Infinity, bytes: () => stage.bytes() }
      const counted = readings
      const host: Host = {
        series,
        late: rows => {
          this.out!.late.push({ branch: name, step: operator.id, batch: rows })
          if (counted) this.out!.tally(name).late += rows.length
        },
        aggregated: n => { if (counted) this.out!.tally(name).aggregated += n }
      }
      const stage = operator.open(host)
      steps.push(status)
      this.stages.push({ stage, status, readings })
      if (operator.definition.windows) readings = false
    }
    this.writes = readings ? 'written' : 'rows'
    const host: Host = { series, late () {}, aggregated () {} }
    const explained = explainedBy(route === pipeline ? route.steps : [...pipeline.steps, ...route.steps])
    this.alerts = route.alerts.map(spec => {
      const receivers = receiversOf(spec)
      return { name: spec.name, receivers: receivers.map(r => r.key), rehearsing: receivers.filter(r => r.simulated).map(r => r.key), open: openAlert(spec, { pipeline: pipeline.name, version: versionOf(pipeline), explains: explained }, host) }
    })
  }

  pending (): Pending[] { return this.alerts.flatMap(({ open }) => open.pending()) }

  relearn (series: Ids, devices: Ids): void {
    for (const { stage } of this.stages) stage.relearn(series, devices)
  }

  process (batch: Batch<any>, out: Gathered): Batch<any> {
    this.out = out
    const tally = out.tally(this.name)
    for (const { stage, status, readings } of this.stages) {
      const started = this.by.monotonic()
      const letter = out.spared?.get(status)
      if (letter !== undefined) batch = spare(stage, batch, row => { out.deadLetters.push(letter(batch, row)) })
      const given = batch, before = given.length
      try {
        batch = stage.process(batch)
      } catch (cause) {
        throw new StepError(status, { windows: !readings, remembers: stage.operator.remembers }, cause as Error)
      }
      const ns = 1e6 * (this.by.monotonic() - started)
      status.ns += ns
      if (status.in > 0 && before > 0 && ns > before * BUDGET) status.slow++
      status.in += before
      status.out += batch.length
      status.watermark = given.watermark
      if (before > 0) status.newest = Math.max(status.newest, given.time[before - 1])
      const { drops, derives } = stage.operator.definition
      if (readings && drops !== undefined) tally[drops] += before - batch.length
      if (readings && derives) tally.derived += batch.length - before
    }
    for (const { open, receivers, rehearsing } of this.alerts) {
      for (const { event, stale } of open.process(batch, out.arrival)) out.alerts.push(stale ? { event, receivers: [], stale } : { event, receivers: event.details?.simulated === true ? rehearsing : receivers })
    }
    this.hand(batch, out)
    return batch
  }

  /** Gives the rows at the end of the route to its sinks. The first sink counts them; without one, readings end here as filtered. */
  private hand (batch: Batch<any>, out: Gathered): void {
    if (batch.length === 0 && batch.provisional === undefined) return
    const { sinks } = this.route
    const store = sinks.findIndex(s => s.definition.store !== undefined)
    sinks.forEach((sink, i) => {
      if (sink.definition.store !== undefined) out.write({ branch: this.name, table: sink.options.table as string, batch }, i === store ? this.writes : undefined)
      else out.follow.push({ branch: this.name, sink: i, batch })
    })
    if (store >= 0) return
    const tally = out.tally(this.name)
    if (sinks.length > 0) tally[this.writes] += batch.length
    else if (this.writes === 'written') tally.filtered += batch.length
  }

  get parts (): Part[] {
    const part = (key: string, stage: Stage): Part => ({
      key: `${this.name}/${key}`, fingerprint: stage.fingerprint, match: fingerprint => stage.match(fingerprint), remembers: stage.operator.remembers,
      forms: stage.forms, write: (to, series, devices) => { stage.write(to, series, devices) },
      load: (saved, series, devices, fingerprint) => { stage.load({ fingerprint, ...saved }, series, devices) }
    })
    return [...this.stages.map(({ stage }) => part(stage.operator.id, stage)), ...this.alerts.map(({ name, open }) => part(`alert:${name}`, open.stage))]
  }
}

const progressOf = (time: Watermarks): Part => ({
  key: 'time', fingerprint: 'time', match: other => other === 'time' ? 'same' : 'other', remembers: true,
  forms: { series: [], devices: time.forms }, write: (to, _, devices) => { time.write(to, devices) },
  load: (saved, _, devices) => { time.load(saved.devices, devices) }
})

export const openFlow = (pipeline: Pipeline, series: SeriesTable, position = 0): Flow => new Flow(pipeline, series, position)

/** Adds what one commit settled to what all have. */
export function settle (total: Record<string, Counts>, counts: Record<string, Counts>): void {
  for (const branch in counts) addCounts(total[branch] ??= noCounts(), counts[branch])
}
