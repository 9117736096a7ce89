/** The loop: read, process, commit, acknowledge. One delivery after the other; while one commits the next one grows. */
import type { Checkpoints } from './checkpoint.ts'
import { clock as real, ingestClock, type Clock } from './clock.ts'
import { Credits } from './credits.ts'
import { dispatcherOf } from './delivery.ts'
import type { Dispatcher } from './dispatch.ts'
import type { Flow } from './flow.ts'
import { pastOutputs, type History } from './history.ts'
import { insist } from './insist.ts'
import type { Journal } from './journal.ts'
import type { Logger } from './log.ts'
import { Observed } from './observed.ts'
import { merged, type Outputs } from './outputs.ts'
import { columnsOf, openStore, planTables, receiversIn, routesOf } from './plan.ts'
import type { Pipeline } from './pipeline.ts'
import { Poison } from './poison.ts'
import { apply, feed, pieces, type Recovery } from './recovery.ts'
import type { Relearn } from './relearn.ts'
import { restore, type Restored } from './restore.ts'
import type { RunOptions } from './run-options.ts'
import { SeriesTable } from './series.ts'
import type { Sink, SinkHost, SinkSpec } from './sink.ts'
import type { Delivery, Mark, Source } from './source.ts'
import type { Commit, Outcome, Recovered, Store } from './store.ts'
import { loop } from './stream.ts'
import { imbalance, noCounts, settle, type Counts } from './tally.ts'
import { lookEvery } from './watermark.ts'

/** A pipeline at work. */
export class Run {
  readonly pipeline: Pipeline
  series: SeriesTable
  readonly credits = new Credits()
  readonly counts: Record<string, Counts> = { '': noCounts() }        // as committed
  readonly observed: Observed
  recovered: Record<string, Counts> = {}     // as they were when this run began
  received = 0                               // readings, ever, counted as they come in
  inFlight = 0                               // readings received but not settled: enters minus leaves
  position = 0
  failure: unknown
  isOver = false                             // it does not work any more, and its store is closed
  private readonly failed = new AbortController()      // with that: nothing is tried again
  source: Source | undefined
  store: Store | undefined
  flow: Flow | undefined
  dispatcher: Dispatcher | undefined
  history: History | undefined               // what it works through before its own source
  private joined: History | undefined        // that it has worked through, until a commit says so
  private readonly options: RunOptions
  private readonly log: Logger
  private readonly now: () => number
  private readonly clock: Clock
  private readonly host: SinkHost
  private readonly scores: ReadonlySet<string>
  private readonly followers = new Map<SinkSpec, Sink>()
  private epoch = 0
  private version = 0
  private readonly began: number
  checkpoints: Checkpoints | undefined
  private poison: Poison | undefined         // while rows that an operator throws on are looked for
  private origin: string | undefined         // of what is to be recovered
  private recovery: Recovery | undefined     // while what the store has is processed again
  private replaying: number | undefined      // since when, on the monotonic clock
  private relearns: Relearn[] = []           // not committed yet; for sources whose log does not say so
  private deaf = false                       // not listening until now; for sources whose log does not say so

  constructor (pipeline: Pipeline, options: RunOptions) {
    this.pipeline = pipeline
    this.options = options
    this.log = options.log.child({ pipeline: pipeline.name })
    this.clock = options.clock ?? real
    this.observed = new Observed(this.log, this.clock)
    this.began = this.clock.monotonic()
    this.now = options.now ?? ingestClock(this.clock)
    this.series = new SeriesTable(options.maxSeries)
    this.scores = columnsOf(pipeline, 'scores')
    if (options.careful === true) this.poison = new Poison(options.maxPoison ?? 10)
    this.host = { pipeline: pipeline.name, series: this.series, log: this.log, database: options.database, folder: options.folder, egress: options.egress }
  }

  /** Works until the source ends or `signal`; then commits what it has and closes. Rejects when it cannot go on. */
  async run (signal: AbortSignal): Promise<void> {
    const { pipeline } = this
    const store = this.store = openStore(pipeline, planTables(pipeline), this.host, this.options.fallback)
    try {
      const dispatcher = this.dispatcher = this.openDispatcher(store)
      const recovered = await store.open(signal).catch(error => { if (!signal.aborted) throw error })
      if (recovered === undefined || signal.aborted) return
      dispatcher.start()
      const { from, renewed } = await this.recover(recovered)
      for (const [branch, route] of routesOf(pipeline)) for (const sink of route.sinks) if (sink.definition.store === undefined) this.followers.set(sink, sink.definition.follow!(sink.options, { ...this.host, branch }))
      this.log.info({ position: this.position, epoch: this.epoch, from: from ?? 0 }, 'running')
      if (renewed) await this.leave(signal)          // what these steps commit could not be worked out again from a snapshot of others
      const ended = await loop<Delivery>(this.source!.open(from, this.credits, signal), {
        clock: this.clock,
        every: lookEvery(pipeline.time.idle),
        delivery: delivery => this.deliver(delivery, signal),
        tick: () => this.tick(signal)
      })
      if (ended && this.history === undefined) await this.settle(this.poison?.end(this.flow!, this.ingest(), this.series) ?? this.flow!.end(this.ingest()), signal)
      if (this.recovery === undefined) await this.leave(signal)      // after an end too: started again, it must not close the same windows once more
      if (ended) await this.history?.finish()
    } catch (error) {
      this.failure = error
      this.failed.abort()
      throw error
    } finally {
      this.isOver = true
      await this.source?.close?.()
      await this.dispatcher?.stop()
      for (const follower of this.followers.values()) await follower.close()
      await store.close()
    }
  }

  /** Stands where another one, that has stopped, had come to: this one is not to work, and says so of itself. */
  standAs ({ series, source, counts, received, position }: Run): void {
    Object.assign(this, { series, source, received, position })
    settle(this.counts, counts)
  }

  /**
   * Sends what is committed and reads nothing, until `signal`: while the pipeline stands. Takes the store over as run() does; what run() had
   * taken over, only when nobody else has since.
   */
  async stand (signal: AbortSignal): Promise<void> {
    const { pipeline, options, host } = this
    if (receiversIn(pipeline).length === 0) return
    const store = openStore(pipeline, { ...planTables(pipeline), tables: [] }, host, options.fallback), dispatcher = this.openDispatcher(store)
    try {
      this.epoch = (await store.open(signal, this.epoch === 0 ? undefined : this.epoch)).epoch
      this.dispatcher = dispatcher
      dispatcher.start()
      if (!signal.aborted) await new Promise(resolve => { signal.addEventListener('abort', resolve, { once: true }) })
    } finally {
      await dispatcher.stop()
      await store.close()
    }
  }

  /** Takes up what the store has kept. */
  private async recover (recovered: Recovered): Promise<Pick<Restored, 'from' | 'renewed'>> {
    this.position = recovered.position ?? 0
    this.epoch = recovered.epoch
    this.version = recovered.version
    this.recovered = structuredClone(recovered.counts)
    settle(this.counts, recovered.counts)
    this.received = this.counts[''].received
    this.deaf = recovered.position !== undefined
    const { from, renewed, ...restored } = await restore(this.pipeline, this.options, this.host, recovered, { now: this.now, clock: this.clock, whole: this.store!.whole === true })
    ;({ history: this.history, joined: this.joined, source: this.source, flow: this.flow, checkpoints: this.checkpoints, recovery: this.recovery, origin: this.origin } = restored)
    return { from, renewed }
  }

  /** Its past is over, and it is to go on with its own source. */
  get isPast (): boolean { return this.history?.past.over === true }

  /** Is it looking for the readings that an operator throws on? What still throws then does so on none of them. */
  get isCareful (): boolean { return this.poison !== undefined }

  /** Has it taken up everything that it had done before? Then it works, or would if nothing were in trouble. */
  get isUp (): boolean { return this.flow !== undefined && this.recovery === undefined }

  /** Has it tried to tell everybody of what is due? */
  get isTold (): boolean { return this.dispatcher?.isQuiet === true }

  get journal (): Journal | undefined { return this.options.journal }

  /** Has it learned of the device before that maintenance was over, or may it have, in what it has not read yet? */
  isToRelearn ({ tenant, device, end }: Relearn): boolean {
    const since = this.flow!.since(tenant, device)
    return since === -Infinity ? (this.source?.behind?.() ?? 0) > 0 : since < end
  }

  /** Where a source's log does not say so: at its next tick, with a commit of its own. */
  relearn (of: Relearn): void { this.relearns.push(of) }

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

  /** When positions count in something else than before, nothing of it is in the store, and the older snapshots are not of it. */
  private follow (delivery: Delivery): void {
    const origin = this.source!.origin?.()
    if (this.source!.restarted?.() !== true && origin === this.origin) return
    if (this.origin !== undefined) {
      this.recovery = undefined
      this.flow!.position = (delivery.rows.position[0] ?? delivery.dead[0]?.position ?? delivery.upTo) - 1
      this.checkpoints!.hurry()
    }
    this.origin = origin
  }

  private async deliver (delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { flow, checkpoints } = this
    this.follow(delivery)
    const { recovery } = this
    const started = this.clock.monotonic()
    if (recovery !== undefined) this.replaying ??= started
    if (!this.credits.open) this.deaf = true
    const rest = recovery === undefined ? delivery : recovery.replay(flow!, delivery, this.feed)
    if (recovery !== undefined && (rest !== undefined || recovery.caughtUp(flow!))) {
      this.recovery = undefined
      checkpoints!.again(started - (this.replaying ?? started))
      this.log.info({ position: flow!.position, ms: Math.round(this.clock.monotonic() - this.began) }, 'recovered')
    }
    if (rest === undefined) checkpoints!.did(this.clock.monotonic() - started, delivery.messages, delivery.received)
    else {
      this.received += rest.received
      this.inFlight += rest.received
      if (checkpoints!.due(this.source!.crowded?.() === true)) checkpoints!.begin(this.version, this.source!.origin?.())
      const outputs = rest.mark?.kind === 'tick' && this.poison === undefined ? await this.expire(rest.mark, rest.upTo) : await this.process(rest, signal)
      checkpoints!.did(this.clock.monotonic() - started, delivery.messages, delivery.received)
      if (outputs !== undefined || checkpoints!.isUnderWay) await this.settle(outputs ?? this.nothing(), signal)
    }
    this.credits.give(delivery.bytes)
    await this.source!.commit(this.position)
  }

  /** What a delivery leads to; while much is to be kept for a snapshot, in pieces that are commits of their own. Returns the last one, which is not committed yet. */
  private async process (delivery: Delivery, signal: AbortSignal): Promise<Outputs | undefined> {
    const { flow } = this, { piece } = flow!.snapshots
    if (delivery.rows.time.length <= piece) return this.feed(flow!, delivery)
    let last: Outputs | undefined
    for (const part of pieces(delivery, piece)) {
      if (last !== undefined) await this.settle(last, signal)
      last = this.feed(flow!, part)
    }
    return last
  }

  /** What a tick leads to: one commit, worked out in slices between which others have their turn. */
  private async expire (mark: Mark, position = this.flow!.position): Promise<Outputs | undefined> {
    const { flow, clock } = this, slices: Outputs[] = []
    flow!.position = position
    for (const outputs of flow!.ticks(mark.time)) {
      slices.push(outputs)
      await new Promise<void>(resolve => { clock.soon(resolve) })
    }
    return slices.length === 0 ? undefined : merged(slices)
  }

  /** Carefully, for a while after an operator has thrown. */
  private readonly feed: typeof feed = (flow, delivery) => {
    const { poison } = this
    if (poison === undefined) return feed(flow, delivery)
    const before = poison.isolated
    const outputs = poison.feed(flow, delivery, this.series)
    if (poison.isolated > before) this.log.error({ rows: poison.isolated - before, position: delivery.upTo }, 'an operator throws on these readings, or rows of windows: they are dead letters now')
    if (poison.over) this.poison = undefined
    return outputs
  }

  /** Marks of sources that have none in their log, and what a snapshot still needs when nothing arrives. */
  private async tick (signal: AbortSignal): Promise<void> {
    if (this.recovery !== undefined) return
    const { source, flow, checkpoints } = this
    if (source!.marks !== true) {
      const time = this.ingest()
      if (source!.trouble() !== undefined) this.deaf = true
      else if (!this.deaf || !checkpoints!.isUnderWay) {       // a snapshot would be given up, and nobody is silent meanwhile
        if (this.relearns.length > 0) await this.relearnAll(time, signal)
        const mark: Mark = { kind: this.deaf ? 'listen' : 'tick', time }      // nobody is silent while we do not listen
        this.deaf = false
        const outputs = this.poison !== undefined ? this.poison.apply(flow!, mark, this.series) : mark.kind === 'tick' ? await this.expire(mark) : apply(flow!, mark)
        if (outputs !== undefined || mark.kind === 'listen') return await this.settle(outputs ?? this.nothing(), signal, [mark])
      }
    }
    if (checkpoints!.due(this.source!.crowded?.() === true)) checkpoints!.begin(this.version, source!.origin?.())
    if (checkpoints!.isUnderWay) await this.settle(this.nothing(), signal)
  }

  private async relearnAll (time: number, signal: AbortSignal): Promise<void> {
    const marks = this.relearns.map((of): Mark => ({ kind: 'relearn', time, of }))
    this.relearns = []
    for (const mark of marks) apply(this.flow!, mark)
    await this.settle(this.nothing(), signal, marks)
  }

  private nothing (): Outputs {
    return { writes: [], alerts: [], late: [], deadLetters: [], follow: [], position: this.flow!.position, ingest: this.ingest(), received: 0, counts: () => ({}) }
  }

  /** Followers first, then the commit; both tried until they work. Then the counts are true. */
  private async settle (given: Outputs, signal: AbortSignal, marks: readonly Mark[] = [], last = false): Promise<void> {
    const { history } = this, outputs = history === undefined ? given : pastOutputs(given, history.past)
    for (const { branch, sink, batch } of outputs.follow) {
      const route = branch === '' ? this.pipeline : this.pipeline.branches[branch]
      await this.insist(`sink ${route.sinks[sink].name}`, signal, () => this.followers.get(route.sinks[sink])!.write(batch))
    }
    await this.commit(outputs, marks, signal, last)
    this.inFlight -= outputs.received
    this.position = outputs.position
    if (history === undefined) this.options.live?.commit(this.pipeline.name, this.series, outputs, this.scores)
    if (outputs.alerts.length > 0) this.dispatcher?.wake()
  }

  /** A snapshot of the committed position while nothing else is done, so that the next start has nothing to do again. */
  private async leave (signal: AbortSignal): Promise<void> {
    this.checkpoints!.begin(this.version, this.source!.origin?.())
    while (this.checkpoints!.isUnderWay) await this.settle(this.nothing(), signal, [], true)
  }

  private async commit (outputs: Outputs, marks: readonly Mark[], signal: AbortSignal, last: boolean): Promise<void> {
    const started = this.clock.monotonic()
    const total = (outcomes: readonly Outcome[]) => {
      const sum = structuredClone(this.counts)
      settle(sum, outputs.counts(outcomes))
      return sum
    }
    const { follow: _, received: __, ...content } = outputs
    const snapshot = this.checkpoints!.part(last)
    const commit: Commit = {
      ...content, marks, partitions: this.flow!.snapshots.partitions(), origin: this.source!.origin?.(), counts: total, epoch: this.epoch, version: this.version,
      ...snapshot === undefined ? {} : { snapshot }, ...this.history === undefined ? {} : { replace: this.history.past }
    }
    const outcomes = await this.insist('store', signal, () => this.store!.commit(commit))
    this.version++
    await this.joined?.drop().catch(error => { this.log.warn({ err: error }, 'what was read of the past could not be removed') })
    this.joined = undefined
    settle(this.counts, outputs.counts(outcomes))
    const done = this.checkpoints!.committed(snapshot, marks.length)
    if (done !== undefined) this.source!.done?.(done)
    this.observed.commit(outputs, this.clock.monotonic() - started, this.source?.past === true ? undefined : this.clock.now())
    this.observed.steps(this.flow?.steps ?? [], this.clock.monotonic())
  }

  private insist<T> (what: string, stop: AbortSignal, act: () => Promise<T>): Promise<T> {
    return insist(what, { stop, failed: this.failed.signal, clock: this.clock, log: this.log }, act)
  }

  private openDispatcher (store: Store): Dispatcher { return dispatcherOf(this.pipeline, store, this.host, { links: this.options.links, clock: this.clock }) }
}
