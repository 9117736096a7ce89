/** The loop: read, process, commit, acknowledge. One delivery after the other; while one commits the next one grows. */
import { createHistogram } from 'node:perf_hooks'
import { deserialize, serialize } from 'node:v8'
import { backoff, ingestClock, sleep } from './clock.ts'
import { Credits } from './credits.ts'
import { Dispatcher } from './dispatch.ts'
import { Transient } from './errors.ts'
import { Flow, receiverKey, settle, type FlowSnapshot, type Outputs } from './flow.ts'
import { planTables, routesOf, storeSinks } from './plan.ts'
import type { Pipeline } from './pipeline.ts'
import { SeriesTable } from './series.ts'
import type { Receiver, Sink, SinkHost, SinkSpec } from './sink.ts'
import type { Delivery, Source, SourceSpec } from './source.ts'
import type { Commit, Outcome, Store, StorePlan } from './store.ts'
import { loop } from './stream.ts'
import { imbalance, noCounts, type Counts } from './tally.ts'
import type { Logger } from './log.ts'

export interface RunOptions {
  readonly log: Logger
  readonly folder: string                    // files of this process, such as the local store
  readonly database?: string | undefined     // where postgres sinks go that do not say
  readonly maxSeries?: number
  readonly fallback: (plan: StorePlan, host: SinkHost) => Store       // the store of a pipeline whose sinks bring none
  readonly source?: SourceSpec               // read this instead of the pipeline's own
  readonly now?: () => number
}

const STOP_WITHIN = 10_000           // ms that what is under way may take after a stop was asked for

/** A pipeline at work. */
export class Run {
  readonly pipeline: Pipeline
  readonly series: SeriesTable
  readonly credits = new Credits()
  readonly latency = createHistogram()       // event time to commit, in microseconds, one entry per written reading
  readonly commits = createHistogram()       // duration of commits, in microseconds
  readonly counts: Record<string, Counts> = { '': noCounts() }        // as committed
  readonly reasons: Record<string, number> = {}        // dead letters of this process
  readonly alerts = { firing: 0, resolved: 0 }         // transitions of this process
  recovered: Record<string, Counts> = {}     // as they were when this run began
  received = 0                               // readings, ever, counted as they come in
  inFlight = 0                               // readings received but not settled: enters minus leaves
  position = 0
  failure: unknown
  source: Source | undefined
  store: Store | undefined
  flow: Flow | undefined
  dispatcher: Dispatcher | undefined
  private readonly options: RunOptions
  private readonly log: Logger
  private readonly now: () => number
  private readonly host: SinkHost
  private readonly followers = new Map<SinkSpec, Sink>()
  private epoch = 0
  private version = 0
  private blocked = false

  constructor (pipeline: Pipeline, options: RunOptions) {
    this.pipeline = pipeline
    this.options = options
    this.log = options.log.child({ pipeline: pipeline.name })
    this.now = options.now ?? ingestClock()
    this.series = new SeriesTable(options.maxSeries)
    this.host = { pipeline: pipeline.name, series: this.series, log: this.log, database: options.database, folder: options.folder }
  }

  /** Works until the source ends or `signal`; then commits what it has, acknowledges and closes. Rejects when it cannot go on. */
  async run (signal: AbortSignal): Promise<void> {
    const { pipeline } = this
    const spec = this.options.source ?? pipeline.source!
    const store = this.store = this.openStore()
    try {
      const recovered = await store.open(signal).catch(error => { if (!signal.aborted) throw error })
      if (recovered === undefined || signal.aborted) return
      this.position = recovered.position ?? 0
      this.epoch = recovered.epoch
      this.version = recovered.version
      this.recovered = structuredClone(recovered.counts)
      settle(this.counts, recovered.counts)
      this.received = this.counts[''].received
      const flow = this.flow = new Flow(pipeline, this.series, this.position)
      const snapshot = recovered.snapshot === undefined ? undefined : deserialize(recovered.snapshot as Uint8Array) as FlowSnapshot
      if (snapshot !== undefined && snapshot.position === this.position) {
        const anew = flow.load(snapshot)
        if (anew.length > 0) this.log.warn({ steps: anew }, 'new or changed since the last stop: these start without memory')
        flow.listen(this.now())
      }
      for (const [, route] of routesOf(pipeline)) for (const sink of route.sinks) if (sink.definition.store === undefined) this.followers.set(sink, sink.definition.follow!(sink.options, this.host))
      const dispatcher = this.dispatcher = new Dispatcher({ store, receivers: this.openReceivers(), log: this.log })
      dispatcher.start()
      const source = this.source = spec.open({ pipeline: pipeline.name, series: this.series, ahead: pipeline.time.ahead, log: this.log, now: this.now, origin: undefined })
      this.log.info({ position: this.position, epoch: this.epoch }, 'running')
      const ended = await loop<Delivery>(source.open(recovered.position, this.credits, signal), {
        every: Math.min(1000, Math.max(50, pipeline.time.idle / 4)),
        delivery: delivery => this.deliver(delivery, signal),
        tick: () => this.tick(signal)
      })
      if (ended) await this.settle(flow.end(this.ingest()), signal)
      else await this.leave(signal)
    } catch (error) {
      this.failure = error
      throw error
    } finally {
      await this.source?.close?.()
      await this.dispatcher?.stop()
      for (const follower of this.followers.values()) await follower.close()
      await store.close()
    }
  }

  /** By how much the accounting identity is off, on the trunk. */
  get imbalance (): number { return imbalance({ ...this.counts[''], received: this.received }, this.inFlight) }

  /** What keeps the run from working, by component. Empty when all is well. */
  trouble (): Record<string, string> {
    const found: Record<string, string | undefined> = {
      store: this.store === undefined ? 'not open yet' : this.store.trouble(),
      source: this.source === undefined ? 'not open yet' : this.source.trouble(),
      ...Object.fromEntries([...this.followers].map(([spec, sink]) => [`sink ${spec.name}`, sink.trouble?.()])),
      pipeline: this.failure === undefined ? undefined : `stopped: ${(this.failure as Error).message}`
    }
    return Object.fromEntries(Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== undefined))
  }

  /** Now, on the clock that readings are judged by: the source's when it brings one. */
  private ingest (): number { return this.source?.now?.() ?? this.now() }

  private async deliver (delivery: Delivery, signal: AbortSignal): Promise<void> {
    this.received += delivery.received
    this.inFlight += delivery.received
    if (!this.credits.open) this.blocked = true
    await this.settle(this.flow!.process(delivery), signal)
    this.credits.give(delivery.bytes)
    await this.source!.commit(delivery.upTo)
  }

  private async tick (signal: AbortSignal): Promise<void> {
    const now = this.ingest()
    if (this.blocked || this.source!.trouble() !== undefined) {
      this.blocked = false
      this.flow!.listen(now)          // nobody is silent while we do not listen
    }
    const outputs = this.flow!.tick(now)
    if (outputs !== undefined) await this.settle(outputs, signal)
  }

  /** Followers first, then the commit; both tried until they work. Then the counts are true. */
  private async settle (outputs: Outputs, signal: AbortSignal): Promise<void> {
    for (const { branch, sink, batch } of outputs.follow) {
      const route = branch === '' ? this.pipeline : this.pipeline.branches[branch]
      await this.insist(`sink ${route.sinks[sink].name}`, signal, () => this.followers.get(route.sinks[sink])!.write(batch))
    }
    await this.commit(outputs, signal)
    this.inFlight -= outputs.received
    this.position = outputs.position
    if (outputs.alerts.length > 0) this.dispatcher?.wake()
  }

  /** A last commit with everything remembered, so that a planned restart goes on as if nothing had happened. */
  private async leave (signal: AbortSignal): Promise<void> {
    const nothing: Outputs = { writes: [], alerts: [], late: [], deadLetters: [], follow: [], position: this.position, ingest: this.ingest(), received: 0, counts: () => ({}) }
    await this.commit(nothing, signal, serialize(this.flow!.save()))
  }

  private async commit (outputs: Outputs, signal: AbortSignal, snapshot?: Uint8Array): Promise<void> {
    const started = performance.now()
    const total = (outcomes: readonly Outcome[]) => {
      const sum = structuredClone(this.counts)
      settle(sum, outputs.counts(outcomes))
      return sum
    }
    const { follow: _, received: __, ...content } = outputs
    const commit: Commit = { ...content, counts: total, epoch: this.epoch, version: this.version, ...snapshot === undefined ? {} : { snapshot } }
    const outcomes = await this.insist('store', signal, () => this.store!.commit(commit))
    this.version++
    settle(this.counts, outputs.counts(outcomes))
    this.commits.record(Math.max(1, Math.round((performance.now() - started) * 1000)))
    this.observe(outputs)
  }

  private observe ({ writes, alerts, deadLetters }: Outputs): void {
    for (const { reason, count = 1 } of deadLetters) this.reasons[reason] = (this.reasons[reason] ?? 0) + count
    for (const { event } of alerts) this.alerts[event.state]++
    if (this.source?.now !== undefined) return        // history: its time says nothing about ours
    const now = Date.now()
    for (const { branch, batch } of writes) {
      if (branch !== '') continue
      for (let i = 0; i < batch.length; i++) this.latency.record(Math.max(1, Math.round((now - batch.time[i]) * 1000)))
    }
  }

  /** Tries again while the failure is transient. Gives up at once on anything else, and 10 s after a stop was asked for, also in the middle of a try. */
  private async insist<T> (what: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const waits = backoff()
    let timer: NodeJS.Timeout | undefined
    let over = false
    let late!: () => void
    const tooLate = new Promise<never>((_, reject) => { late = () => { timer = setTimeout(() => { over = true; reject(new Transient(`${what} did not succeed within ${STOP_WITHIN / 1000} s of the stop`)) }, STOP_WITHIN) } })
    if (signal.aborted) late()
    else signal.addEventListener('abort', late, { once: true })
    try {
      for (;;) {
        try {
          return await Promise.race([act(), tooLate])
        } catch (error) {
          if (!(error instanceof Transient) || over) throw error
          this.log.warn({ err: error.message }, `${what} failed, trying again`)
          await Promise.race([sleep(waits.next().value), tooLate])
        }
      }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', late)
    }
  }

  private openStore (): Store {
    const sinks = storeSinks(this.pipeline)
    const plan = planTables(this.pipeline)
    return sinks.length === 0 ? this.options.fallback(plan, this.host) : sinks[0].definition.store!(sinks.map(s => s.options), plan, this.host)
  }

  private openReceivers (): Map<string, Receiver> {
    const receivers = new Map<string, Receiver>()
    for (const [, route] of routesOf(this.pipeline)) {
      for (const alert of route.alerts) alert.receivers.forEach((sink, i) => receivers.set(receiverKey(alert.name, sink, i), sink.definition.receive!(sink.options, this.host)))
    }
    return receivers
  }
}
