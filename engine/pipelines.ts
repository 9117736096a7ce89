import { clock, sleep } from './clock.ts'
import { MillraceError } from './errors.ts'
import { canonical } from './fingerprint.ts'
import type { Journal } from './journal.ts'
import type { Inlet } from './listener.ts'
import { Journals, type JournalsOptions } from './journals.ts'
import type { Pipeline } from './pipeline.ts'
import { Run } from './run.ts'
import type { RunOptions } from './run-options.ts'
import { LEAVE } from './source.ts'

export interface PipelinesOptions extends Pick<RunOptions, 'log' | 'folder' | 'database' | 'fallback' | 'maxSeries' | 'seriesOf' | 'maxPoison' | 'acceptLoss' | 'source' | 'snapshots' | 'live' | 'egress' | 'links'>, Pick<JournalsOptions, 'failed' | 'shared' | 'quota' | 'attempts'> {
  readonly logBudget?: number | undefined    // bytes of each write-ahead log
  readonly retain?: number | undefined       // ms, see Journal
  readonly logKeep?: number | undefined      // bytes, see Wal
  readonly within?: number                   // ms in which a pipeline that is changed must have started
}
interface Entry {
  pipeline: Pipeline
  run: Run                           // the newest
  stop: AbortController | undefined  // while it works
  ended: Promise<void>               // never rejects
  standing: { readonly stop: AbortController, readonly ended: Promise<void>, readonly isOver: () => boolean } | undefined        // while it does not work, and what it has committed is sent
  failure: unknown
  paused: boolean
  accept: boolean                    // what its start would otherwise refuse
}

const WITHIN = 10_000, LOOK = 20     // ms

/**
 * The pipelines of a process at work, side by side, with the logs that they share. One that fails does not stop the others. A
 * change of one leaves the others alone, and its devices too: a log stays open for who comes next with the same source. What one that stands,
 * paused, failed or at its end, has committed goes on being sent.
 */
export class Pipelines {
  private readonly options: PipelinesOptions
  private readonly journals: Journals
  private readonly entries = new Map<string, Entry>()
  private readonly queue = new Map<string, Promise<unknown>>()         // name -> its last change
  private readonly stopping = new AbortController()

  constructor (options: PipelinesOptions) {
    this.options = options
    const { folder, log, logBudget: budget, logKeep: keep, retain, shared, quota, attempts, failed } = options
    this.journals = new Journals({ folder, log, budget, keep, retain, shared, quota, attempts, failed })
  }

  /** Of all but those that are paused. */
  get runs (): readonly Run[] { return [...this.entries.values()].filter(e => !e.paused).map(e => e.run) }
  /** All, also those that are paused. */
  get all (): readonly Pipeline[] { return [...this.entries.values()].map(e => e.pipeline) }
  /** Where requests feed pipelines that run or are paused. */
  /** With those that read them, paused ones too. */
  get logs (): readonly { readonly journal: Journal, readonly pipelines: readonly string[] }[] { return this.journals.users }
  get inlets (): readonly Inlet[] { return [...this.journals].flatMap(j => j.inlet ?? []) }
  runOf (name: string): Run | undefined { return this.entries.get(name)?.run }
  get isStopping (): boolean { return this.stopping.signal.aborted }
  /** A pipeline is being changed: its log may be closed for a moment, and another one opened. */
  get isChanging (): boolean { return this.queue.size > 0 }
  isWorking (name: string): boolean { return this.entries.get(name)?.stop !== undefined }
  /** Of the first that has failed. */
  get failure (): unknown { return [...this.entries.values()].find(e => e.failure !== undefined)?.failure }

  /** Opens the logs of pipelines that are to run from the start of the process, and returns their runs, in their order: begin() sets them to work. */
  async open (pipelines: readonly Pipeline[], signal: AbortSignal): Promise<readonly Run[]> {
    for (const pipeline of pipelines.toSorted((a, b) => a.name < b.name ? -1 : 1)) await this.claim(pipeline, { signal })
    for (const pipeline of pipelines) {
      this.journals.trust(pipeline.name)
      this.entries.set(pipeline.name, this.entry(pipeline))
    }
    return [...this.entries.values()].map(e => e.run)
  }

  begin (): void {
    for (const journal of this.journals) journal.listen()
    for (const entry of this.entries.values()) this.work(entry)
  }

  /** One change of a pipeline after the other. */
  async exclusive<T> (name: string, act: () => Promise<T>): Promise<T> {
    const change = (this.queue.get(name) ?? Promise.resolve()).then(() => {
      if (this.stopping.signal.aborted) throw stopped()
      return act()
    })
    const quiet = change.catch(() => {}).then(() => { if (this.queue.get(name) === quiet) this.queue.delete(name) })
    this.queue.set(name, quiet)
    return await change
  }

  /** A pipeline that is not there, or has been stopped, at work; or nothing of it, and an error. `patient`: however long that takes. */
  async start (pipeline: Pipeline, { accept = false, patient = false } = {}): Promise<void> {
    const there = this.entries.get(pipeline.name)
    if (there !== undefined) await this.halt(there)
    let entry: Entry | undefined
    try {
      await this.claim(pipeline)
      this.entries.set(pipeline.name, entry = this.entry(pipeline, accept))
      await this.launch(entry, { patient })
    } catch (error) {
      if (entry !== undefined) await this.halt(entry)
      if (there === undefined) {
        this.entries.delete(pipeline.name)
        await this.journals.release(pipeline.name)           // its place is kept for a while: it may be older than this try
      } else {
        this.entries.set(pipeline.name, there)
        this.stand(there)
      }
      throw error
    }
  }

  /** It does not work, and its log is kept as long as it may; so it is too for one that has not worked yet. */
  async pause (pipeline: Pipeline): Promise<void> {
    const entry = this.entries.get(pipeline.name) ?? this.entry(pipeline)
    this.entries.set(pipeline.name, entry)
    await this.halt(entry)
    entry.failure = undefined
    entry.paused = true
    try {
      if (entry.pipeline !== pipeline) {
        const stood = entry.run
        entry.run = this.make(pipeline, false, false)
        entry.run.standAs(stood)
      }
      entry.pipeline = pipeline
      const journal = await this.claim(pipeline, { reads: false })
      journal?.listen()
    } finally {
      this.stand(entry)
    }
  }

  /**
   * Another pipeline instead of the one of its name: that one commits what it has read and leaves a snapshot, this one goes on from
   * there. With an equal source the log stays open. When the new one does not start, the old one works again, and the error says so.
   */
  async replace (next: Pipeline, { accept = false } = {}): Promise<void> {
    const { name } = next, entry = this.entries.get(name)!, before = entry.pipeline
    const same = sameSource(before, next), { within = WITHIN } = this.options
    for (const end = clock.monotonic() + within; entry.stop !== undefined && !entry.run.isUp && clock.monotonic() < end;) await sleep(LOOK, this.stopping.signal)      // what it works out again needs the steps that it had
    entry.accept = accept
    try {
      await this.change(entry, next, same)
      await this.launch(entry, { same })
    } catch (error) {
      this.options.log.error({ pipeline: name, err: (error as Error).message }, 'the new version has not started, going back to the one before')
      try {
        await this.change(entry, before, same)
        await this.launch(entry, { same })
      } catch (cause) {
        entry.failure ??= entry.stop === undefined ? cause : undefined
        this.stand(entry)
        this.options.log.error({ pipeline: name, err: (cause as Error).message }, 'the version before has not started again yet')
      }
      throw error
    } finally {
      entry.accept = false
    }
  }

  /**
   * It stands still while `act` changes what it goes on from; then it works again, whatever became of that. Its log stays open.
   * @throws api/conflict when it does not work
   */
  async still (name: string, act: (pipeline: Pipeline) => Promise<void>): Promise<void> {
    const entry = this.entries.get(name)
    if (entry?.stop === undefined || entry.paused) throw new MillraceError('api/conflict', `the pipeline "${name}" does not work`, { help: 'resume it first' })
    await this.halt(entry)
    try {
      if (entry.failure !== undefined) throw entry.failure
      await act(entry.pipeline)
    } finally {
      if (entry.failure === undefined) {
        await this.claim(entry.pipeline)
        entry.run = this.make(entry.pipeline, false, false)
        await this.launch(entry, { same: true, patient: true })
      } else this.stand(entry)
    }
  }

  /** Nothing of it is left here, and its log is not kept for it. */
  async remove (name: string): Promise<void> {
    const entry = this.entries.get(name)
    if (entry !== undefined) await this.halt(entry)
    this.entries.delete(name)
    await this.journals.release(name, { forget: true })
  }

  /** Resolves when no pipeline works, and no change is under way. */
  async idle (): Promise<void> {
    for (;;) {
      const busy = [...this.queue.values(), ...[...this.entries.values()].filter(e => e.stop !== undefined).map(e => e.ended)]
      if (busy.length === 0) return
      await Promise.all(busy)
    }
  }

  /** What those that stand have committed is sent, as far as it is due and can be within `within` ms. What is left is said: it waits for the next start. */
  async tell (within: number): Promise<void> {
    const end = clock.now() + within
    await Promise.all([...this.entries.values()].filter(e => e.standing !== undefined).map(async ({ standing, run }) => {
      const isDone = async () => standing!.isOver() || run.isTold && await run.dispatcher!.waiting(end) === 0
      while (!await isDone() && clock.now() < end && !this.isStopping) await sleep(LOOK, this.stopping.signal)
      const alerts = standing!.isOver() ? 0 : await run.dispatcher?.waiting()
      if (alerts !== 0) this.options.log.warn({ pipeline: run.pipeline.name, ...alerts === undefined ? {} : { alerts } }, 'alerts that are not sent yet wait: the next start of this pipeline sends them')
    }))
  }

  /** All commit what is under way and stop. */
  async stop (): Promise<void> {
    this.stopping.abort()
    for (const { stop } of this.entries.values()) stop?.abort()
    await this.idle()
    await Promise.all([...this.entries.values()].map(entry => this.unstand(entry)))
  }

  async close (): Promise<void> {
    await this.stop()
    await this.journals.close()
  }

  private entry (pipeline: Pipeline, accept = false): Entry {
    return { pipeline, run: this.make(pipeline, false, accept), stop: undefined, ended: Promise.resolve(), standing: undefined, failure: undefined, paused: false, accept }
  }

  private async claim (pipeline: Pipeline, { signal = this.stopping.signal, reads = true } = {}): Promise<Journal | undefined> {
    return this.options.source === undefined ? await this.journals.claim(pipeline, signal, { reads }) : undefined
  }

  private make (pipeline: Pipeline, careful: boolean, accept: boolean): Run {
    const { log, folder, database, egress, links, fallback, maxSeries, seriesOf, maxPoison, acceptLoss = false, source, snapshots, live } = this.options
    return new Run(pipeline, {
      log, folder, database, egress, links, fallback, acceptLoss: acceptLoss || accept, careful, live, seriesOf, journal: this.journals.of(pipeline.name), journals: this.journals,
      ...maxSeries === undefined ? {} : { maxSeries }, ...maxPoison === undefined ? {} : { maxPoison }, ...source === undefined ? {} : { source }, ...snapshots === undefined ? {} : { snapshots }
    })
  }

  private work (entry: Entry): void {
    const stop = entry.stop = new AbortController()
    entry.failure = undefined
    entry.ended = this.drive(entry, stop.signal).catch(error => {
      entry.failure = error
      this.options.log.error({ pipeline: entry.pipeline.name, err: (error as Error).message }, 'this pipeline has stopped')
    }).finally(() => {
      entry.stop = undefined
      if (!stop.signal.aborted) this.stand(entry)
    })
    if (this.stopping.signal.aborted) stop.abort()
  }

  /** Unless it works, or the process is about to end. */
  private stand (entry: Entry): void {
    if (entry.stop !== undefined || entry.standing !== undefined) return
    const stop = new AbortController(), { signal } = stop
    let over = false
    const send = async () => {
      await sleep(LOOK, signal)
      if (!signal.aborted && !this.isStopping) await entry.run.stand(signal)
    }
    const ended = send().catch(error => { if (!signal.aborted) this.options.log.warn({ pipeline: entry.pipeline.name, err: (error as Error).message }, 'this pipeline stands, and what it has committed is not sent from here') }).finally(() => { over = true })
    entry.standing = { stop, ended, isOver: () => over }
  }

  private async unstand (entry: Entry): Promise<void> {
    entry.standing?.stop.abort()
    await entry.standing?.ended
    entry.standing = undefined
  }

  /** After an operator has thrown, the pipeline recovers as after a crash and goes on carefully. */
  private async drive (entry: Entry, signal: AbortSignal): Promise<void> {
    try {
      await entry.run.run(signal)
      if (!entry.run.isPast || signal.aborted) return
      entry.run = this.make(entry.pipeline, false, entry.accept)
      await this.drive(entry, signal)
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'engine/operator' || entry.run.isCareful || signal.aborted) throw error
      this.options.log.error({ pipeline: entry.pipeline.name, err: error.message }, 'an operator threw: going back to the last commit, to find the readings on which it does')
      entry.run = this.make(entry.pipeline, true, entry.accept)
      await this.drive(entry, signal)
    }
  }

  /** At work, and nothing in its way. `same`: its source was there before, well or not. */
  private async launch (entry: Entry, { same = false, patient = false }): Promise<void> {
    const { within = WITHIN } = this.options, { name } = entry.pipeline, end = clock.monotonic() + within
    if (this.stopping.signal.aborted) throw stopped()
    this.journals.of(name)?.listen()
    this.work(entry)
    for (;; await sleep(LOOK, this.stopping.signal)) {
      const failure = entry.failure ?? this.journals.of(name)?.failure
      if (failure !== undefined) throw failure
      const { source, ...trouble } = entry.run.trouble(), found = Object.entries({ ...trouble, ...source === undefined || same ? {} : { source } })
      if (patient || entry.run.isUp && found.length === 0 || entry.stop === undefined) break
      if (this.stopping.signal.aborted) throw stopped()
      if (clock.monotonic() > end) throw new MillraceError('pipeline/not-started', `the pipeline "${name}" did not start within ${within / 1000} s: ${found.map(([what, why]) => `${what}: ${why}`).join('; ') || 'it is still working out what came after its last snapshot'}`)
    }
  }

  /** Stops it, and gives it another definition with the log that belongs to it. */
  private async change (entry: Entry, next: Pipeline, same: boolean): Promise<void> {
    const { name } = next
    await this.halt(entry, !same && this.journals.isAlone(name))
    if (!same) await this.journals.release(name)
    await this.claim(next)
    entry.pipeline = next
    entry.run = this.make(next, false, entry.accept)
  }

  /** `silence`: its source hears nothing from now on, and what it has heard is read. */
  private async halt (entry: Entry, silence = false): Promise<void> {
    entry.stop?.abort(silence ? undefined : LEAVE)
    await entry.ended
    await this.unstand(entry)
    this.journals.of(entry.pipeline.name)?.detach(entry.pipeline.name)         // also when it has not come to read
  }
}

export const sameSource = ({ source: a }: Pipeline, { source: b }: Pipeline): boolean => a!.name === b!.name && canonical(a!.options) === canonical(b!.options)
const stopped = (): MillraceError => new MillraceError('pipeline/not-started', 'the process is stopping')
