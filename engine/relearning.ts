import { clock as real, sleep, type Clock } from './clock.ts'
import type { Journal } from './journal.ts'
import type { Logger } from './log.ts'
import type { Pipelines } from './pipelines.ts'
import type { Relearn } from './relearn.ts'
import type { Run } from './run.ts'

/** A maintenance window that is over, after which its device is to be learned anew. */
export interface Ended extends Relearn { readonly id: string }
/** What is kept of maintenance windows. */
export interface Maintenance {
  /** Of each device the newest that ended after this, ms; of all when it is undefined. */
  ended (after: number | undefined): Promise<readonly Ended[]>
  /** This pipeline learns its device anew since about then, ms. The last one counts. */
  relearned (id: string, pipeline: string, at: number): Promise<void>
}

type Log = Pipelines['logs'][number]
const LOOK = 1000                    // ms
const MARGIN = 60_000                // ms within which a change that has an end before others becomes known after them

/**
 * Tells every pipeline of this process when a maintenance window is over. Where it is told is a position: a record of its log, or a
 * mark of a commit. A pipeline that has its device from later on is not told, so what a process left undone the next one does, and
 * what is told twice counts once.
 */
export class Relearning {
  private readonly options: { readonly maintenance: Maintenance, readonly pipelines: Pick<Pipelines, 'runs' | 'logs' | 'isWorking'>, readonly log: Logger, readonly clock?: Clock }
  private readonly clock: Clock
  private readonly ended: Ended[] = []           // in the order in which they became known
  private readonly known = new Set<string>()
  private readonly told = new WeakMap<Run, number>()             // how many of them
  private readonly written = new WeakMap<Journal, Set<string>>() // windows
  private newest: number | undefined
  private looking: Promise<void> | undefined
  private trouble: string | undefined
  private stopTimer = () => {}

  constructor (options: Relearning['options']) {
    this.options = options
    this.clock = options.clock ?? real
  }

  open (): void {
    this.stopTimer = this.clock.interval(() => { this.looking ??= this.look().catch((error: Error) => { this.warn(error) }).finally(() => { this.looking = undefined }) }, LOOK)
  }

  async close (): Promise<void> {
    this.stopTimer()
    await Promise.race([this.looking, sleep(1000)])      // a database that does not answer
  }

  private async look (): Promise<void> {
    const { maintenance, pipelines } = this.options, before = this.newest
    for (const window of await maintenance.ended(before === undefined ? undefined : before - MARGIN)) {
      this.newest = Math.max(this.newest ?? 0, window.end)
      if (this.known.has(window.id)) continue
      this.known.add(window.id)
      this.ended.push(window)
      if (before !== undefined) for (const log of pipelines.logs) await this.write(log, window)      // also those whose pipelines are paused: it stands where it belongs
    }
    this.newest ??= 0
    this.trouble = undefined
    for (const run of pipelines.runs) await this.tell(run)
  }

  private async tell (run: Run): Promise<void> {
    const { pipelines } = this.options, { journal, pipeline: { name } } = run, log = pipelines.logs.find(l => l.journal === journal)
    if (!run.isUp || run.history !== undefined) return           // after its past another run follows
    if (journal === undefined ? !pipelines.isWorking(name) : log === undefined) return
    for (let next = this.told.get(run) ?? 0; next < this.ended.length; this.told.set(run, ++next)) {
      const window = this.ended[next]
      if (!run.isToRelearn(window)) continue
      if (log !== undefined) {
        if (!await this.write(log, window)) return       // at the next look
        continue
      }
      await this.note(window, [name])
      run.relearn(window)
    }
  }

  /** Once in each log, for all that read it; false when there is no room for it. */
  private async write ({ journal, pipelines }: Log, window: Ended): Promise<boolean> {
    let written = this.written.get(journal)
    if (written === undefined) this.written.set(journal, written = new Set())
    if (written.has(window.id)) return true
    if (!journal.open) return false
    await this.note(window, pipelines)
    if (!await journal.relearn(window)) return false
    written.add(window.id)
    return true
  }

  /** Before it is done: what is noted and not done, because the process ends between, the next one does. */
  private async note (window: Ended, pipelines: readonly string[]): Promise<void> {
    for (const name of pipelines) await this.options.maintenance.relearned(window.id, name, Math.max(this.clock.now(), window.end))
    this.options.log.info({ pipelines, tenant: window.tenant, device: window.device, maintenance: window.id }, 'a maintenance window is over: this device is learned anew')
  }

  private warn ({ message }: Error): void {
    if (message !== this.trouble) this.options.log.warn({ err: message }, 'which maintenance windows are over is not known now')
    this.trouble = message
  }
}
