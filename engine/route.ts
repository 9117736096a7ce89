import { openAlert, type Pending } from './alert.ts'
import type { Batch, Ids } from './batch.ts'
import type { Clock } from './clock.ts'
import { explainedBy } from './explain.ts'
import type { Host, Stage } from './operator.ts'
import type { Gathered } from './outputs.ts'
import type { Pipeline, Route } from './pipeline.ts'
import { versionOf } from './pipeline-file.ts'
import { columnsAfter } from './plan.ts'
import { receiversOf } from './receivers.ts'
import type { SeriesTable } from './series.ts'
import type { Part } from './snapshot.ts'
import { BUDGET, spare, StepError, type StepStatus } from './spare.ts'

export type Stopwatch = Pick<Clock, 'monotonic'>

/** The trunk of a pipeline, or one of its branches, with its stages and alerts open: rows in, what becomes of them into the outputs of the pass. */
export class OpenRoute {
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
