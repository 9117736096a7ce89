import { backoff, sleep } from './clock.ts'
import type { Components } from './components.ts'
import { compareMemory, readDefinition } from './definition.ts'
import { MillraceError, Transient } from './errors.ts'
import { takeInstance, type Instance } from './instance.ts'
import type { Logger } from './log.ts'
import type { Pipeline } from './pipeline.ts'
import { sameSource, type Pipelines } from './pipelines.ts'
import type { Run } from './run.ts'
import { Reach } from './reach.ts'
import type { Registry, Version, Wanted } from './registry.ts'
import { insistOnSecrets } from './secrets.ts'
import type { Compared } from './snapshot.ts'

export interface ControlOptions {
  readonly pipelines: Pipelines
  readonly registry: Registry
  readonly components: Components
  readonly log: Logger
  readonly folder: string
  readonly files: ReadonlyMap<string, string>          // pipelines of the command line -> their files
  readonly reach?: Reach | undefined                   // absent: pipelines connect to nothing but the database of the process
  readonly exposed?: boolean                           // the process listens on more than loopback: secrets must be some
  /** What a pipeline remembers, and how far it has come, is given up. */
  readonly forget: (pipeline: Pipeline) => Promise<void>
}
/** `expected`: the version that the sender knows; absent: none is to be there. `accept`: memory that does not fit is given up. */
export interface Change { readonly actor: string, readonly request?: string | undefined, readonly expected?: number | undefined, readonly accept?: boolean, readonly dry?: boolean }
/** `memory` and `source`: compared with the version before. */
export interface Changed { readonly name: string, readonly version: number, readonly state: Wanted['state'], readonly created: boolean, readonly memory?: Compared | undefined, readonly source?: 'same' | 'other' | undefined }

/**
 * What is wanted of pipelines, kept in the database before it is made so: a process that dies between is followed by one that makes
 * it so. Pipelines of the command line are what their files say, and are not changed here.
 */
export class Control {
  private readonly options: ControlOptions
  private readonly wanted = new Map<string, Wanted>()
  private readonly closing = new AbortController()
  private instance: Instance | undefined
  private obstacle: Error | undefined = new MillraceError('store/unreachable', 'what is kept of pipelines has not been read yet')
  private opening: Promise<void> | undefined
  private restoring = true
  private readonly reach: Reach

  constructor (options: ControlOptions) {
    this.options = options
    this.reach = options.reach ?? new Reach()
  }

  /** Brings back what is wanted, as soon as the database can be reached. */
  open (): void { this.opening = this.restore().catch(error => { this.refuse(error as Error) }).finally(() => { this.restoring = false }) }

  /** By name, of this process; without those that were deleted. */
  list (): readonly Wanted[] { return [...this.wanted.values()].filter(w => w.state !== 'deleted').sort((a, b) => a.name < b.name ? -1 : 1) }
  find (name: string): Wanted | undefined { return this.list().find(w => w.name === name) }
  runOf (name: string): Run | undefined { return this.options.pipelines.runOf(name) }
  fileOf (name: string): string | undefined { return this.options.files.get(name) }
  /** Pipelines are being brought back or changed: what is not there may be there soon. */
  get isChanging (): boolean { return this.restoring || this.options.pipelines.isChanging }
  /** Whose pipelines these are. @throws why that is not known, or not ours */
  get owner (): string {
    if (this.obstacle !== undefined) throw this.obstacle
    return this.instance!.id
  }

  /** Newest first; also of one that was deleted. */
  async versions (name: string): Promise<readonly Version[]> { return await this.options.registry.versions(name) }
  async definition (name: string, version: number): Promise<Pipeline | undefined> {
    const text = await this.options.registry.definition(name, version)
    return text === undefined ? undefined : readDefinition(text, this.options.components)
  }

  /** Why not all that is wanted is there. */
  trouble (): string | undefined {
    if (this.obstacle instanceof MillraceError && this.obstacle.code === 'store/unreachable') return this.obstacle.message
    const missing = this.list().filter(({ name }) => this.runOf(name) === undefined).map(w => w.name)
    return missing.length === 0 ? undefined : `not brought back: ${missing.join(', ')}`
  }

  /** Creates or replaces. What is said again is not a new version; it is started when it has stopped by itself. */
  async put (name: string, text: string, change: Change, restores: number | null = null): Promise<Changed> {
    const { pipelines, registry, components } = this.options
    const next = readDefinition(text, components, name)
    this.admit(next)
    return await this.alone(name, async instance => {
      const now = await this.current(name)
      if (now === undefined && change.dry !== true) await this.finishNow(name)
      if (now === undefined && change.expected !== undefined) throw outdated(name, change.expected, undefined)
      if (now !== undefined && now.definition === text && now.settled && (change.expected ?? now.version) === now.version) {
        if (now.state !== 'running' || pipelines.isWorking(name) || change.dry === true) return { ...summary(now), created: false }
        if (!await registry.set(name, 'running', now.version, change.actor, change.request)) throw outdated(name, now.version, (await registry.find(name))?.version)
        await this.startAgain(now, next, change)
        return { ...await this.settled(now), created: false }
      }
      if (now !== undefined && change.expected === undefined) throw new MillraceError('api/conflict', `there is a pipeline "${name}", in version ${now.version}`, { help: `say which version is to be replaced: If-Match: "${now.version}"` })
      if (now !== undefined && now.version !== change.expected) throw outdated(name, change.expected!, now.version)
      const before = now === undefined ? undefined : this.readable(now)
      const memory = before === undefined ? undefined : compareMemory(next, before), source = before === undefined ? undefined : sameSource(before, next) ? 'same' as const : 'other' as const
      if (change.dry === true) return { name, version: now?.version ?? 0, state: now?.state ?? 'running', created: now === undefined, memory, source }
      if (memory !== undefined && memory.changed.length > 0 && change.accept !== true) throw new MillraceError('engine/changed', `${memory.changed.map(step => `"${step}"`).join(', ')}: what is remembered does not fit`, { help: 'give back the former options, or an id of its own to begin without that memory; or say acceptLoss=true' })
      const kept = await registry.put({ name, instance: instance.id, definition: text, restores }, now?.version, change.actor, change.request)
      if (kept === undefined) throw outdated(name, change.expected ?? 0, (await registry.find(name))?.version)
      if (kept.state === 'paused') await pipelines.pause(next)
      else await this.effect(kept, change, async () => { await (now === undefined ? pipelines.start(next, { accept: change.accept === true }) : this.swap(next, change.accept === true)) })
      return { ...await this.settled(kept), created: now === undefined, memory, source }
    })
  }

  /** A new version that says what an older one did. */
  async rollback (name: string, version: number, change: Change): Promise<Changed> {
    const text = await this.options.registry.definition(name, version)
    if (text === undefined) throw new MillraceError('api/not-found', `the pipeline "${name}" has no version ${version}`)
    return await this.put(name, text, { ...change, expected: change.expected ?? this.find(name)?.version }, version)
  }

  /** Its log goes on as long as it may; it goes on from where it stops. */
  async pause (name: string, change: Change): Promise<Changed> {
    return await this.turn(name, 'paused', change, async (_, pipeline) => { await this.options.pipelines.pause(pipeline) })
  }

  /** Also one that has failed. */
  async resume (name: string, change: Change): Promise<Changed> {
    return await this.turn(name, 'running', change, async (kept, pipeline) => { if (!this.options.pipelines.isWorking(name)) await this.startAgain(kept, pipeline, change) })
  }

  /** Rows, alerts and versions stay; what it remembers and how far it has come does not. */
  async delete (name: string, change: Change): Promise<Changed> {
    return await this.turn(name, 'deleted', change, async kept => {
      await this.options.pipelines.remove(name)
      return await this.finish(kept).catch(error => {
        if (!isAway(error)) throw error
        this.wanted.set(name, kept)
        this.finishLater(kept)
        return summary(kept)
      })
    })
  }

  /** What a pipeline that is deleted remembers is given up; until then none can be put under its name. */
  private async finish (kept: Wanted): Promise<ReturnType<typeof summary>> {
    await this.options.forget(readDefinition(kept.definition, this.options.components))
    return await this.settled(kept)
  }

  /** As soon as its database can be reached. */
  private finishLater ({ name, version }: Wanted): void {
    const { pipelines, registry, log } = this.options, { signal } = this.closing
    const keepTrying = async () => {
      for (const wait of backoff(1000)) {
        await sleep(wait, signal)
        if (signal.aborted || pipelines.isStopping) return
        try {
          return await pipelines.exclusive(name, async () => {
            const now = await registry.find(name)
            if (now?.state === 'deleted' && now.version === version && !now.settled) await this.finish(now)
          })
        } catch (error) { if (!isAway(error)) throw error }
      }
    }
    log.warn({ pipeline: name }, 'this pipeline is deleted; what it remembers will be given up when its database can be reached')
    void keepTrying().catch(error => { if (!pipelines.isStopping) log.error({ pipeline: name, err: (error as Error).message }, 'what a deleted pipeline remembers could not be given up: the next start tries again') })
  }

  async close (): Promise<void> {
    this.closing.abort()
    await Promise.race([this.opening, sleep(1000)])        // a database that does not answer
    await this.options.registry.close()
    await this.instance?.release()
  }

  private async turn (name: string, state: Wanted['state'], { expected, actor, request }: Change, effect: (kept: Wanted, pipeline: Pipeline) => Promise<ReturnType<typeof summary> | void>): Promise<Changed> {
    const { registry, components } = this.options
    return await this.alone(name, async () => {
      const now = await this.current(name)
      if (now === undefined) throw new MillraceError('api/not-found', `there is no pipeline "${name}"`)
      if (expected !== undefined && expected !== now.version) throw outdated(name, expected, now.version)
      const kept = { ...now, state, settled: false }
      const moves = now.state !== state || state === 'running' && !this.options.pipelines.isWorking(name)
      if (moves && !await registry.set(name, state, now.version, actor, request)) throw outdated(name, now.version, (await registry.find(name))?.version)
      const done = await effect(now.state === state ? now : kept, readDefinition(now.definition, components))
      return { ...done ?? await this.settled(kept), created: false }
    })
  }

  /** Throws when it may not be run here. */
  private admit (pipeline: Pipeline): void {
    this.reach.admit(pipeline)
    if (this.options.exposed === true) insistOnSecrets(pipeline)
  }

  /** Undefined when this program does not understand it any more. */
  private readable ({ definition }: Wanted): Pipeline | undefined {
    try { return readDefinition(definition, this.options.components) } catch { return undefined }
  }

  private async startAgain (kept: Wanted, pipeline: Pipeline, change: Change): Promise<void> {
    await this.effect(kept, change, async () => {
      this.admit(pipeline)
      await this.options.pipelines.start(pipeline, { accept: change.accept === true })
    })
  }

  /** Another version of one that works, or has failed. */
  private async swap (next: Pipeline, accept: boolean): Promise<void> {
    const { pipelines } = this.options
    if (pipelines.runOf(next.name) === undefined) await pipelines.start(next, { accept })
    else await pipelines.replace(next, { accept })
  }

  /** What does not start is not wanted any more. */
  private async effect (kept: Wanted, { actor, request }: Change, act: () => Promise<void>): Promise<void> {
    const { registry, log } = this.options
    try {
      await act()
    } catch (error) {
      if (this.options.pipelines.isStopping) throw error     // the next process will see
      const { message, code } = error as MillraceError, { name, version, previous } = kept, was = this.wanted.get(name)
      const to = previous === null ? { version, state: was === undefined || was.state === 'deleted' ? 'deleted' as const : was.state === 'running' ? 'running' as const : 'paused' as const } : { version: previous, state: 'running' as const }
      log.error({ pipeline: name, version, err: message }, 'a pipeline has not started')
      await registry.revert(name, version, to, message, actor, request)
      const found = await registry.find(name)
      if (found !== undefined) this.wanted.set(name, found)
      throw new MillraceError('pipeline/not-started', `version ${version} of "${name}" could not be started: ${message}${code === undefined || code === 'pipeline/not-started' ? '' : ` (${code})`}. ${previous === null ? to.state === 'paused' ? 'It is paused as before' : to.state === 'deleted' ? 'It is not kept' : 'It stays stopped' : `Version ${previous} runs as before`}`, { help: (error as MillraceError).help, cause: error })
    }
  }

  private async settled (kept: Wanted): Promise<ReturnType<typeof summary>> {
    await this.options.registry.settle(kept.name, kept.version)
    const now = { ...kept, settled: true, previous: null }
    this.wanted.set(kept.name, now)
    return summary(now)
  }

  /** One change of a pipeline at a time, when it is ours to change. */
  private async alone<T> (name: string, act: (instance: Instance) => Promise<T>): Promise<T> {
    const { pipelines, files } = this.options
    if (files.has(name)) throw new MillraceError('api/conflict', `the pipeline "${name}" is what its file says: ${files.get(name)}`, { help: 'change the file and start again; or give the other pipeline another name' })
    if (this.obstacle !== undefined) throw this.obstacle
    return await pipelines.exclusive(name, async () => await act(this.instance!))
  }

  /** One that was deleted under this name, and of which something is left, is given up first. */
  private async finishNow (name: string): Promise<void> {
    const left = await this.options.registry.find(name)
    if (left?.state === 'deleted' && !left.settled && left.instance === this.instance!.id) await this.finish(left)
  }

  /** As it is kept, when it is there and of this instance. */
  private async current (name: string): Promise<Wanted | undefined> {
    const now = await this.options.registry.find(name)
    if (now === undefined || now.state === 'deleted') return undefined
    if (now.instance !== this.instance!.id) throw new MillraceError('api/conflict', `the pipeline "${name}" belongs to another instance, ${now.instance}`, { help: 'ask the process that has its folder' })
    return now
  }

  private async restore (): Promise<void> {
    const { registry, log, folder, files } = this.options, instance = this.instance = await takeInstance(folder, this.closing.signal)
    let all: readonly Wanted[] = []
    for (const wait of backoff(500)) {
      if (this.closing.signal.aborted) return
      try {
        await registry.open()
        all = await registry.all()
        break
      } catch (error) {
        this.obstacle = error as Error
        if (!(error instanceof MillraceError) || error.code !== 'store/unreachable') throw error
        await sleep(wait, this.closing.signal)
      }
    }
    this.obstacle = undefined
    await Promise.all(all.filter(w => w.instance === instance.id && !(w.state === 'deleted' && w.settled)).map(async kept => {
      const { name } = kept
      if (files.has(name)) return log.warn({ pipeline: name, version: kept.version, file: files.get(name) }, 'a pipeline of this name has been put too: the file is what runs')
      this.wanted.set(name, kept)
      await this.options.pipelines.exclusive(name, () => this.bringBack(kept)).catch(error => { if (!this.options.pipelines.isStopping) log.error({ pipeline: name, version: kept.version, err: (error as Error).message }, 'a pipeline that is wanted could not be brought back') })
    }))
  }

  /** After a start of the process. A change that was under way when the last one ended is made from the version that ran then. */
  private async bringBack (kept: Wanted): Promise<void> {
    const { pipelines, registry, components, forget, log } = this.options, { name, version, state, previous, settled } = kept
    const pipeline = readDefinition(kept.definition, components)
    log.info({ pipeline: name, version, state }, 'brought back')
    if (state === 'deleted') {
      await forget(pipeline).catch(error => { if (isAway(error)) this.finishLater(kept); throw error })
    }
    else if (state === 'paused') await pipelines.pause(pipeline)
    else if (settled || previous === null) {
      this.admit(pipeline)
      await pipelines.start(pipeline, { patient: true })
    } else {
      const before = readDefinition((await registry.definition(name, previous))!, components)
      await this.effect(kept, { actor: 'restart' }, async () => {
        this.admit(pipeline)
        this.admit(before)
        await pipelines.start(before).catch(() => {})          // it may be that the new one had begun already
        await this.swap(pipeline, false)
      })
    }
    if (!settled) await this.settled(kept)
  }

  private refuse (error: Error): void {
    if (this.closing.signal.aborted) return
    this.obstacle = error
    const { log } = this.options, held = error instanceof MillraceError && error.code === 'store/locked'
    log[held ? 'info' : 'warn']({ err: error.message }, 'pipelines can not be put here, and those that were are not brought back')
  }
}

/** A database cannot be reached. */
const isAway = (error: unknown): boolean => error instanceof Transient || error instanceof MillraceError && error.code === 'store/unreachable'
const summary = ({ name, version, state }: Wanted) => ({ name, version, state })
const outdated = (name: string, expected: number, now: number | undefined): MillraceError => new MillraceError('api/outdated', now === undefined ? `there is no pipeline "${name}"` : `the pipeline "${name}" is in version ${now}, not ${expected}`, { help: 'look at what it is now, and change that' })
