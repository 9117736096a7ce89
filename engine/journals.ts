import { join } from 'node:path'
import type { Attempts } from './attempts.ts'
import { MillraceError } from './errors.ts'
import { canonical } from './fingerprint.ts'
import { Journal } from './journal.ts'
import { logFolder } from './journal-identity.ts'
import type { Logger } from './log.ts'
import type { Pipeline } from './pipeline.ts'
import type { ReadingQuota } from './quota.ts'
import type { SharedKeysOptions } from './shared-keys.ts'
import type { SourceSpec } from './source.ts'
import { lookEvery } from './watermark.ts'

export interface JournalsOptions {
  readonly folder: string
  readonly log: Logger
  readonly budget?: number | undefined       // bytes of each
  readonly retain?: number | undefined       // ms, see Journal
  readonly keep?: number | undefined         // bytes, see Wal
  readonly quota?: ReadingQuota | undefined
  readonly attempts?: Attempts | undefined
  readonly shared?: SharedKeysOptions | undefined        // see Journal
  /** One that was trusted has failed: nobody knows what its disk holds. */
  readonly failed: (error: unknown) => void
}

interface Shared { readonly journal: Journal, readonly users: Map<string, Pipeline>, trusted: boolean }

/** The logs of a process: one for each source that cannot be read again, for all pipelines that have it. The last one that leaves closes it. */
export class Journals implements Iterable<Journal> {
  private readonly options: JournalsOptions
  private readonly byKey = new Map<string, Shared>()
  private last: Promise<unknown> = Promise.resolve()   // one is opened or closed after the other

  constructor (options: JournalsOptions) { this.options = options }

  * [Symbol.iterator] (): Iterator<Journal> { for (const { journal } of this.byKey.values()) yield journal }

  get users (): { readonly journal: Journal, readonly pipelines: readonly string[] }[] { return Array.from(this.byKey.values(), ({ journal, users }) => ({ journal, pipelines: [...users.keys()] })) }

  of (pipeline: string): Journal | undefined { return this.find(pipeline)?.[1].journal }

  /** Whether this pipeline would find its log open under the very options that it has: then its devices notice nothing of it. */
  fits ({ source }: Pipeline): boolean {
    const shared = source!.listens ? this.byKey.get(logFolder(source!)) : undefined
    return shared !== undefined && canonical(shared.journal.spec.options) === canonical(source!.options)
  }

  /** Is it the only one with its log? */
  isAlone (pipeline: string): boolean { return this.find(pipeline)?.[1].users.size === 1 }

  /** The log of a pipeline's source, opened if need be; undefined when its source needs none. It hears nothing before listen(). `reads`: it is to run. */
  claim (pipeline: Pipeline, signal: AbortSignal, { reads = true } = {}): Promise<Journal | undefined> { return this.alone(() => this.join(pipeline, signal, reads)) }

  private async join (pipeline: Pipeline, signal: AbortSignal, reads: boolean): Promise<Journal | undefined> {
    const { name, source } = pipeline, { folder, log, budget, retain, keep, shared: sharing, quota, attempts } = this.options
    const key = source!.listens ? logFolder(source!) : undefined
    const rival = key === undefined ? undefined : this.rivalOf(source!, key)
    const { path } = source!.options
    if (rival !== undefined) throw new MillraceError('config/invalid', `the pipelines "${rival}" and "${name}" read POST /api/v1/ingest${path === '' ? '' : `/${String(path)}`} with different options of http, and a request can be in one log only`, { help: 'give one of them a path of its own: from: { http: { path: ... } }' })
    if (this.find(name)?.[0] !== key) await this.leave(name)
    if (key === undefined) return undefined
    let shared = this.byKey.get(key)
    const others = new Map(shared?.users)
    if (shared?.journal.failure !== undefined) {         // who read it has stopped
      this.byKey.delete(key)
      await shared.journal.close()
      shared = undefined
    }
    if (shared === undefined) {
      const opened: { shared?: Shared } = {}
      const journal = await Journal.open(source!, {
        folder: join(folder, 'log', key), log, client: `millrace-${name}`, pipelines: reads ? [name] : [], tick: lookEvery(pipeline.time.idle),
        failed: error => { if (opened.shared?.trusted === true) this.options.failed(error) },
        ...budget === undefined ? {} : { budget }, ...retain === undefined ? {} : { retain }, ...keep === undefined ? {} : { keep }, ...quota === undefined ? {} : { quota }, ...attempts === undefined ? {} : { attempts }, ...sharing === undefined ? {} : { shared: sharing }
      }, signal)
      shared = opened.shared = { journal, users: others, trusted: false }
      this.byKey.set(key, shared)
    } else {
      if (reads) shared.journal.expect(name)
      if (!this.fits(pipeline)) log.warn({ pipeline: name, source: source!.name }, 'the options with which this source is read stay as they are, since other pipelines read it too')
    }
    shared.users.set(name, pipeline)
    shared.journal.every(lookEvery(Math.min(...Array.from(shared.users.values(), p => p.time.idle))))
    return shared.journal
  }

  /** From now on its failure is that of the process. */
  trust (pipeline: string): void {
    const found = this.find(pipeline)
    if (found !== undefined) found[1].trusted = true
  }

  /** This pipeline has done with it; with `forget` nothing is kept for it either. */
  release (pipeline: string, { forget = false } = {}): Promise<void> { return this.alone(() => this.leave(pipeline, forget)) }

  private async leave (pipeline: string, forget = false): Promise<void> {
    const [key, shared] = this.find(pipeline) ?? []
    if (key === undefined || shared === undefined) return
    if (forget) shared.journal.dismiss(pipeline)
    shared.users.delete(pipeline)
    if (shared.users.size > 0) return
    this.byKey.delete(key)
    await shared.journal.close()
  }

  async close (): Promise<void> {
    const all = [...this]
    this.byKey.clear()
    for (const journal of all) await journal.close()
  }

  private alone<T> (act: () => Promise<T>): Promise<T> {
    const result = this.last.then(act)
    this.last = result.catch(() => {})
    return result
  }

  /** A pipeline that reads requests of the same path into another log. */
  private rivalOf ({ definition, options: { path } }: SourceSpec, key: string): string | undefined {
    if (definition.keyed !== true) return undefined
    for (const [other, { users }] of this.byKey) for (const { name, source } of users.values()) if (other !== key && source!.definition.keyed === true && source!.options.path === path) return name
    return undefined
  }

  private find (pipeline: string): [string, Shared] | undefined { return [...this.byKey].find(([, { users }]) => users.has(pipeline)) }
}
