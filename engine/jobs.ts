import { backoff, clock, sleep } from './clock.ts'
import { MillraceError } from './errors.ts'
import type { Logger } from './log.ts'

export const jobStates = ['running', 'done', 'failed', 'cancelled', 'interrupted'] as const
export type JobState = typeof jobStates[number]
export type Asked = Readonly<Record<string, unknown>>
/** `target`: the pipeline or table that it is about; `done` of `total`: rows or records. Times are ISO 8601. */
export interface Job {
  readonly id: string, readonly kind: string, readonly tenant: string | null, readonly target: string, readonly asked: Asked, readonly state: JobState
  readonly done: number, readonly total: number | null, readonly detail: string | null, readonly author: string, readonly created: string, readonly ended: string | null
}
/** `cancelled`: its end had been asked for. */
export interface Left extends Job { readonly cancelled: boolean }
export interface NewJob extends Pick<Job, 'id' | 'kind' | 'tenant' | 'target' | 'asked' | 'author'> { readonly instance: string, readonly request?: string | undefined }
export interface Progress { readonly done: number, readonly total?: number | undefined, readonly detail?: string | undefined }
/** Who does not want a job any more, and in which request. */
export interface Canceller { readonly actor: string, readonly request?: string | undefined }
export interface JobFilter { readonly tenant: string | undefined, readonly kind?: string | undefined, readonly state?: JobState | undefined }

/** How many jobs of a tenant are kept when they are over, and for how long, ms. */
export interface Kept { readonly most: number, readonly age: number }

/** Where jobs are kept. What somebody does is one statement with its line of the audit log. `tenant` undefined: of every tenant. */
export interface JobStore {
  /** Creates what is missing in the database. */
  open (): Promise<void>
  add (job: NewJob): Promise<Job>
  /** Newest first. */
  list (filter: JobFilter, limit: number): Promise<readonly Job[]>
  find (id: string, tenant: string | undefined): Promise<Job | undefined>
  /** Of this instance, as its last process left them. */
  left (instance: string): Promise<readonly Left[]>
  progress (id: string, progress: Progress): Promise<void>
  /** Who asks for the end of one that is running; the first one counts. */
  cancel (id: string, by: Canceller): Promise<void>
  /** `cancelled`: a line of the audit log says who has asked for it. */
  end (id: string, state: Exclude<JobState, 'running'>, progress: Partial<Progress>): Promise<void>
  /** Of this instance, those that have ended, the newest first. */
  over (instance: string): Promise<readonly Pick<Job, 'id' | 'kind' | 'tenant' | 'ended'>[]>
  remove (ids: readonly string[]): Promise<void>
  close (): Promise<void>
}

export interface JobHost {
  /** Aborted with CANCEL when somebody does not want it any more, without it when the process ends. */
  readonly signal: AbortSignal
  readonly progress: (progress: Progress) => void
}
/** A kind of work. Resolves with a sentence about what has come of it. `resume`: goes on after a restart, or says (undefined) that there is nothing to go on with; absent: a restart is its end. */
export interface JobKind {
  run (job: Pick<Job, 'id' | 'tenant' | 'asked'>, host: JobHost): Promise<string>
  resume? (job: Pick<Job, 'id' | 'tenant' | 'asked'>, host: JobHost): Promise<string | undefined>
  /** It has ended: what it leaves that nobody needs goes. */
  clear? (job: Pick<Job, 'id'>, state: JobState): Promise<void>
  /** It is not kept any longer: nor are its files. */
  remove? (job: Pick<Job, 'id'>): Promise<void>
  /** At the start of a process: what the one before has left for jobs that are none of these goes. */
  sweep? (left: ReadonlySet<string>): Promise<void>
}

export const CANCEL = 'cancel'
/** Thrown by work that was cancelled, or whose process ends. */
export class Stopped extends Error {}

const MOST = 4, OF_A_TENANT = 2      // at once
const SAY = 500                      // ms between two words about progress
const PATIENCE = 3000                // ms that who cancels waits for the end
const TIDY = 3_600_000               // ms

/**
 * Work that takes longer than a request: bounded in number, kept in the database before it begins. What a process leaves behind goes
 * on in the next one where its kind can, and is interrupted otherwise: nothing is running that nobody works on.
 */
export class Jobs {
  private readonly options: { readonly store: JobStore, readonly kinds: Readonly<Record<string, JobKind>>, readonly instance: () => string, readonly kept: (tenant: string | null) => Kept, readonly log: Logger }
  private readonly running = new Map<string, { readonly tenant: string | null, readonly stop: AbortController, readonly ended: Promise<void> }>()
  private readonly closing = new AbortController()
  private readonly taken: (string | null)[] = []       // tenants of those that are being added
  private opening: Promise<void> = Promise.resolve()
  private stopTidying = () => {}

  constructor (options: Jobs['options']) { this.options = options }

  get store (): Pick<JobStore, 'list' | 'find'> { return this.options.store }

  /** Takes up what the last process of this instance has left, once that is known. */
  open (): void {
    this.opening = this.takeUp().catch(error => { if (!this.closing.signal.aborted) this.options.log.error({ err: (error as Error).message }, 'jobs that were under way could not be taken up') })
    this.stopTidying = clock.interval(() => { void this.tidy() }, TIDY)
  }

  /** `prepare`: what it needs before it is there, such as a body that is still to come; it counts as under way meanwhile. @throws api/too-many when as many are under way as may be */
  async start (kind: string, { id = clock.id(), target, asked, tenant, author, request }: Pick<NewJob, 'target' | 'asked' | 'tenant' | 'author' | 'request'> & { readonly id?: string }, prepare?: () => Promise<void>): Promise<Job> {
    const { store, instance } = this.options, owner = instance(), all = [...Array.from(this.running.values(), r => r.tenant), ...this.taken], of = all.filter(other => other === tenant).length
    if (this.closing.signal.aborted) throw new MillraceError('api/busy', 'the process is stopping')
    if (all.length >= MOST || of >= OF_A_TENANT) throw new MillraceError('api/too-many', of >= OF_A_TENANT ? `${of} jobs of this tenant are under way, and no more may be` : `${all.length} jobs are under way`, { help: 'wait for one of them, or cancel it' })
    this.taken.push(tenant)
    try {
      await prepare?.()
      const job = await store.add({ id, kind, tenant, target, asked, author, request, instance: owner })
      this.work(job, host => this.options.kinds[kind].run(job, host))
      return job
    } finally { this.taken.splice(this.taken.indexOf(tenant), 1) }
  }

  /** Undefined: there is no such job. One that has ended stays what it is; one that cannot end yet is still running, and ends as soon as it can: in the next process if this one ends first. */
  async cancel (id: string, { tenant, id: actor, request }: { readonly tenant: string | undefined, readonly id: string, readonly request?: string }): Promise<Job | undefined> {
    const { store } = this.options, work = this.running.get(id), job = await store.find(id, tenant)      // in this order: it may end meanwhile
    if (job === undefined || job.state !== 'running') return job
    if (work === undefined) throw new MillraceError('api/conflict', `the job ${id} is another process's`, { help: 'ask that one' })
    await store.cancel(id, { actor, request })
    work.stop.abort(CANCEL)
    await Promise.race([work.ended, sleep(PATIENCE)])    // a backfill ends when its pipeline works, and that may be paused
    return await store.find(id, tenant)
  }

  async close (): Promise<void> {
    this.closing.abort()
    this.stopTidying()
    for (const { stop } of this.running.values()) stop.abort()
    await Promise.race([Promise.all([this.opening, ...Array.from(this.running.values(), r => r.ended)]), sleep(1000)])
    await this.options.store.close()
  }

  private async takeUp (): Promise<void> {
    const { store, kinds, log } = this.options
    let owner: string | undefined
    for (const wait of backoff(200, 5000)) {
      if (this.closing.signal.aborted) return
      try {
        owner = this.options.instance()
        await store.open()
        break
      } catch (error) {
        if (error instanceof MillraceError && error.code !== 'store/unreachable') throw error
        await sleep(wait, this.closing.signal)
      }
    }
    const left = await store.left(owner!), ids = new Set(left.map(job => job.id))
    for (const kind of Object.values(kinds)) await kind.sweep?.(ids)
    for (const job of left) {
      if (this.running.has(job.id)) continue
      log.info({ id: job.id, kind: job.kind, target: job.target }, 'a job was under way when the last process ended')
      this.work(job, async host => await kinds[job.kind]?.resume?.(job, host), job.cancelled)
    }
    await this.tidy()
  }

  /** Removes what is over and not to be kept: files first, as nobody would find them any more. */
  private async tidy (): Promise<void> {
    const { store, kinds, instance, kept, log } = this.options, there = new Map<string | null, number>()
    try {
      const gone = (await store.over(instance())).filter(({ tenant, ended }) => {
        const { most, age } = kept(tenant), n = (there.get(tenant) ?? 0) + 1
        there.set(tenant, n)
        return n > most || Date.parse(ended!) < clock.now() - age
      })
      for (const job of gone) await kinds[job.kind]?.remove?.(job)
      if (gone.length === 0) return
      await store.remove(gone.map(job => job.id))
      log.info({ jobs: gone.length }, 'jobs that were over were removed, with their files: there are newer ones, or they were old')
    } catch (error) {
      if (!this.closing.signal.aborted) log.warn({ err: (error as Error).message }, 'jobs that are over could not be removed')
    }
  }

  private work (job: Job, act: (host: JobHost) => Promise<string | undefined>, cancelled = false): void {
    const { store, kinds, log } = this.options, stop = new AbortController()
    if (cancelled) stop.abort(CANCEL)
    let last: Progress | undefined, said = -Infinity, saying = Promise.resolve()
    const progress = (now: Progress) => {
      last = now
      if (performance.now() - said < SAY) return
      said = performance.now()
      saying = saying.then(() => store.progress(job.id, now)).catch(() => {})      // the next one may get through
    }
    const end = async (state: Exclude<JobState, 'running'>, detail: string) => {
      await saying
      for (const wait of backoff()) {
        try { return await store.end(job.id, state, { ...last, detail }) } catch (error) {
          if (!(error instanceof MillraceError) || error.code !== 'store/unreachable' || this.closing.signal.aborted) throw error
          await sleep(wait, this.closing.signal)
        }
      }
    }
    const worked = async () => {
      let state: Exclude<JobState, 'running'> = 'done', detail: string
      try {
        const said = await act({ signal: stop.signal, progress })
        if (said === undefined) state = 'interrupted'
        detail = said ?? 'the process ended before it was done, and nothing was begun that had to go on'
        if (stop.signal.aborted && stop.signal.reason === CANCEL) state = 'cancelled'
      } catch (error) {
        if (stop.signal.aborted && stop.signal.reason !== CANCEL) return       // the next process goes on
        state = stop.signal.aborted && error instanceof Stopped ? 'cancelled' : 'failed'
        detail = (error as Error).message
        if (state === 'failed') log.error({ id: job.id, kind: job.kind, err: detail }, 'a job has failed')
      }
      await end(state, detail)
      await kinds[job.kind]?.clear?.(job, state)
      await this.tidy()
    }
    const ended = worked().catch(error => { log.error({ id: job.id, err: (error as Error).message }, 'what has become of a job could not be recorded') }).finally(() => { this.running.delete(job.id) })
    this.running.set(job.id, { tenant: job.tenant, stop, ended })
    if (this.closing.signal.aborted) stop.abort()
  }
}
