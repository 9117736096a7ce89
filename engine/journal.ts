import { Attempts } from './attempts.ts'
import { clock as real, sleep, type Clock } from './clock.ts'
import { disk, type FileSystem } from './files.ts'
import type { Self } from './lock.ts'
import { LogSource } from './log-source.ts'
import type { Inlet, Listener, ListenerHost, Message, Requested } from './listener.ts'
import { Limits } from './limits.ts'
import type { Logger } from './log.ts'
import { MessageHead } from './message.ts'
import { hashOf } from './redelivery.ts'
import { barrier, RedeliveryLog } from './redelivery-log.ts'
import { identify } from './journal-identity.ts'
import { JournalKeys } from './journal-keys.ts'
import { Places } from './journal-places.ts'
import { JournalRoom, redeliveryBytes } from './journal-room.ts'
import { JournalWal } from './journal-wal.ts'
import type { ReadingQuota } from './quota.ts'
import { relearnBody, type Relearn } from './relearn.ts'
import { takeUp } from './requeue.ts'
import type { Reserved, SharedKeysOptions } from './shared-keys.ts'
import type { Position, Source, SourceHost, SourceSpec } from './source.ts'
import { kinds, type Kind } from './wal-segment.ts'
import type { Wal } from './wal.ts'

export interface JournalOptions {
  readonly folder: string
  readonly log: Logger
  readonly client: string            // name that the source is to go by, when this log is new and no other one beside it goes by it
  readonly pipelines: readonly string[]      // that are to read it
  readonly tick: number              // ms between ticks
  readonly budget?: number           // bytes on disk
  readonly keep?: number             // of them for what nobody needs any more, see Wal
  readonly retain?: number           // ms that the place of a pipeline that is not running is kept
  readonly quota?: ReadingQuota      // what is heard counts there, and waits for it
  readonly attempts?: Attempts       // of the whole process; absent: of this log
  readonly shared?: SharedKeysOptions        // its keys are those of other instances too
  readonly clock?: Clock
  readonly fs?: FileSystem
  readonly self?: Self               // who takes its folder
  readonly failed?: (error: unknown) => void     // it cannot go on; called once
}

const NOTHING = new Uint8Array(0)

/**
 * A source that cannot be read again, made one that can: its listener, the write-ahead log that it fills, and the places of the
 * pipelines that read it. What a listener appends is acknowledged when it is durable. Ticks and times of not listening are records
 * too, so every reader meets them at the same place. A segment goes when every pipeline's older snapshot has passed it.
 */
export class Journal implements ListenerHost {
  readonly name: string
  readonly origin: string
  readonly log: Logger
  readonly clock: Clock
  readonly spec: SourceSpec
  suppressed = 0                     // messages that were sent again, and were in the log already
  lost = 0                           // records that a pipeline was too late for
  found: Position = 0                // of the newest record when it was opened
  failure: unknown
  private readonly options: JournalOptions
  private readonly fs: FileSystem
  private readonly file: JournalWal
  private readonly redeliveries: RedeliveryLog
  private readonly keys: JournalKeys | undefined
  private readonly places: Places
  private readonly space: JournalRoom
  private readonly head = new MessageHead()
  private readonly hash = Buffer.alloc(8)
  private readonly stopping = new AbortController()
  private listener: Listener | undefined
  private able = false               // the listener hears what comes
  private counted: Position = 0      // for quotas, up to here
  private hears = false              // and it is recorded
  private newest = 0                 // ingest time of the newest record, ms
  private start: number              // ingest time at which the monotonic clock was 0, ms
  private stopTicks = () => {}
  private ticking = 0                // ms between ticks
  private requeueing = false
  private closed = false

  private constructor (spec: SourceSpec, identity: { readonly id: string, readonly client: string }, options: JournalOptions) {
    const { clock = real, fs = disk } = options
    this.start = clock.now() - clock.monotonic()
    this.clock = clock
    this.fs = fs
    this.spec = spec
    this.options = options
    this.log = options.log
    this.name = identity.client
    this.origin = `log:${identity.id}`
    this.redeliveries = new RedeliveryLog({ folder: options.folder, fs, log: options.log, most: redeliveryBytes(this.budget), put: bytes => this.put(kinds.senders, bytes) })
    this.places = new Places(options.folder, { log: options.log, fs, clock: () => clock.now(), ...options.retain === undefined ? {} : { retain: options.retain } })
    this.now = () => this.newest = Math.max(this.newest, this.start + clock.monotonic())
    const { quota } = options
    this.attempts = options.attempts ?? new Attempts(new Limits().process.failures, options.log)
    this.wait = quota === undefined ? undefined : tenant => quota.wait(tenant, this.now() / 1000)
    this.file = new JournalWal({
      folder: options.folder, log: options.log, clock, fs, budget: options.budget, keep: options.keep, self: options.self, stopping: this.stopping.signal,
      durable: upTo => {
        this.listener?.durable(upTo)
        if (this.redeliveries.durable(upTo)) void this.space.tidy()
        this.space.wake()
      },
      begun: () => {
        this.redeliveries.save()
        void this.keys?.own.save(this.wal.durable)
      },
      opened: wal => this.opened(wal),
      lost: () => {
        this.hears = false
        this.listener?.lost()
        return this.space.tidy()
      },
      again: () => { this.space.wake() },
      failed: error => { this.fail(error) }
    })
    this.keys = spec.definition.keyed === true ? new JournalKeys({ folder: options.folder, fs, log: options.log, clock, now: this.now, file: this.file, shared: options.shared, space: String(spec.options.path), owner: this.origin, saved: () => { void this.space.tidy() } }) : undefined
    this.space = new JournalRoom({ budget: this.budget, file: this.file, places: this.places, redeliveries: this.redeliveries, keys: this.keys?.own, log: this.log, stopping: this.stopping.signal, failed: () => this.failure !== undefined, fail: error => { this.fail(error) } })
  }

  /** Opens the log and finds out what may come again. Nothing is heard before listen(). */
  static async open (spec: SourceSpec, options: JournalOptions, signal: AbortSignal): Promise<Journal> {
    const journal = new Journal(spec, await identify(options), options)
    await journal.places.open()
    await journal.file.open(signal)
    journal.found = journal.wal.durable
    journal.keys?.share()
    for (const pipeline of options.pipelines) journal.places.expect(pipeline, journal.wal.first - 1)
    return journal
  }

  readonly now: () => number
  readonly attempts: Attempts
  readonly wait: ((tenant: string) => number) | undefined
  get wal (): Wal { return this.file.wal }
  get folder (): string { return this.options.folder }
  get heard (): boolean { return this.wal.durable > 1 }
  get open (): boolean { return this.space.open }
  get durableUpTo (): Position { return this.wal.durable }
  get largest (): number { return Math.min(2 ** 20, this.budget / 8) }
  get budget (): number { return this.options.budget ?? 2 ** 30 }

  /** A pipeline reads; its place stays where it is until it moves it. `expel`: it has lost its place, and lets go of it. */
  attach (pipeline: string, expel: () => void): void { this.places.attach(pipeline, expel) }
  detach (pipeline: string): void { this.places.detach(pipeline) }
  /** A pipeline that was not named when it was opened will read it: nothing that it needs may go from now on. */
  expect (pipeline: string): void { this.places.expect(pipeline, this.wal.first - 1) }
  /** There is no such pipeline any more: nothing is kept for it. */
  dismiss (pipeline: string): void {
    this.places.forget(pipeline)
    void this.space.tidy()
  }
  /** A pipeline that knows nothing of it reads it from its beginning, whatever it had read with another database. */
  begin (pipeline: string): void { this.places.move(pipeline, this.wal.first - 1) }
  /** Up to where this pipeline needs nothing of it. */
  placeOf (pipeline: string): Position | undefined { return this.places.of(pipeline) }

  /** The log as a source of one pipeline. */
  source (host: SourceHost): Source { return new LogSource(this, host) }

  listen (): void {
    if (this.listener !== undefined || this.stopping.signal.aborted) return
    this.counted = this.wal.durable
    this.listener = this.spec.definition.listen!(this.spec.options, this)
    this.every(this.options.tick)
  }

  /** Ticks come every `ms` from now on. */
  every (ms: number): void {
    if (this.listener === undefined || this.stopping.signal.aborted || ms === this.ticking) return
    this.ticking = ms
    this.stopTicks()
    this.stopTicks = this.clock.interval(() => {
      if (!this.hears) this.resume()
      else if (this.open) this.put(kinds.tick)
      this.requeue().catch(error => { this.log.error({ err: error }, 'log: what was to be read once more could not be taken up') })
    }, ms)
  }

  trouble (): string | undefined { return this.file.full?.message ?? (this.listener === undefined ? 'not listening yet' : this.listener.trouble()) }
  address (): string | undefined { return this.listener?.address?.() }
  /** Where requests feed it, if they do. */
  get inlet (): Inlet | undefined { return this.listener?.inlet }

  /** What has happened to messages that should be known. */
  get events (): Readonly<Record<string, number>> { return { redelivery_suppressed: this.suppressed, redelivery_forgotten: this.redeliveries.forgotten, record_lost: this.lost, ...this.keys?.events, ...this.listener?.events } }

  /** Bytes of the log that a pipeline still needs: all but what is kept. */
  get needed (): number { return this.space.needed }
  /** Is so much of the log behind what a reader at `position` has read that a snapshot would make room? */
  crowdedAt (position: Position): boolean { return this.space.crowdedAt(position) }

  append (given: Message): Position | undefined {
    if (!this.open) return this.crowded(1)
    const message = given.payload.length <= this.largest ? given : tooLarge(given, this.largest)
    const { topic, payload, sender, key } = message
    const hash = sender === undefined && key === undefined ? this.hash : hashOf(topic, payload, this.hash)
    if (sender?.again) {
      const known = this.redeliveries.entries.find(sender.client, sender.packet, hash.readBigUInt64LE(0))
      if (known !== undefined) {
        this.suppressed++
        return known
      }
    }
    const head = this.head.write(message, hash)
    if (!this.space.takes(head.length + payload.length, this.hears ? 0 : 1)) return this.crowded(head.length + payload.length)
    if (!this.hears) this.resume()
    const position = this.put(kinds.message, head, payload)
    if (position === undefined) return this.crowded(head.length + payload.length)
    if (key !== undefined) this.keys?.own.put(key, { hash: hash.readBigUInt64LE(0), position, at: this.newest })
    if (sender !== undefined) this.redeliveries.entries.put(sender.client, sender.packet, hash.readBigUInt64LE(0), position)
    return position
  }

  keyed (key: string, message: Message): Position | 'other' | undefined { return this.keys?.find(key, message) }
  reserve (message: Message): Promise<Reserved | Position> | undefined { return this.keys?.reserve(message) }
  room (go: () => void): void { this.space.wait(go) }

  listening (yes: boolean): void {
    this.able = yes
    if (yes) this.resume()
    else this.hears = false
  }

  /** What comes after a pause begins with a record that says so. */
  private resume (): void {
    if (this.able && !this.hears && this.open) this.hears = this.put(kinds.start) !== undefined
  }

  /** Every reader meets it where it stands. Resolves when it is durable; to false when there is no room for it now. */
  async relearn (of: Relearn): Promise<boolean> {
    if (!this.open || this.put(kinds.relearn, relearnBody(of)) === undefined) return false
    await this.wal.flush()
    return true
  }

  confirm (client: string, upTo: Position, recorded = true): void {
    this.redeliveries.entries.confirm(client, upTo)
    if (recorded) this.put(kinds.barrier, barrier(client, upTo))
  }

  forget (client: string): void { this.confirm(client, Infinity) }

  fail (error: unknown): void {
    if (this.failure !== undefined) return
    this.failure = error
    this.options.failed?.(error)
    this.places.expelAll()
    this.space.wake()
  }

  get counts (): boolean { return this.options.quota !== undefined }

  /** So many readings were in a message; each reader says so. What was there before it listened counts for nobody; over MQTT what is none of them counts as one. */
  wasRead (position: Position, topic: string, request: Requested | undefined, readings: number, at: number): void {
    if (position <= this.counted) return
    this.counted = position
    const tenant = request?.tenant ?? this.listener?.tenantOf?.(topic)
    if (tenant !== undefined) this.options.quota!.take(tenant, request === undefined ? Math.max(1, readings) : readings, at / 1000)
  }

  /** A reader is out of the way. */
  passed (): void { void this.space.tidy() }

  /** Nothing up to here will be read by this pipeline again. */
  move (pipeline: string, position: Position): void {
    this.places.move(pipeline, position)
    void this.space.tidy()
  }

  /** The same; resolves when that is on the disk. */
  async stay (pipeline: string, position: Position): Promise<void> {
    this.places.move(pipeline, position)
    await this.places.saved
  }

  /** Hears nothing more; resolves when all that was heard is durable and acknowledged. */
  async stop (): Promise<void> {
    if (this.stopping.signal.aborted) return
    this.stopping.abort()
    this.stopTicks()
    this.listener?.stop()
    await this.wal.flush().catch(() => {})
    this.space.wake()
  }

  async close (): Promise<void> {
    await this.stop()
    await this.listener?.close()
    await this.keys?.close()
    this.closed = true
    await this.places.saved
    await this.wal.close()
  }

  /** Resolves when the log that has failed because its disk was full is open again. */
  async reopened (): Promise<void> {
    while (this.file.full !== undefined && this.failure === undefined && !this.stopping.signal.aborted) await sleep(20, undefined, this.clock)
  }

  private async opened (wal: Wal): Promise<void> {
    this.newest = Math.max(this.newest, await this.redeliveries.open(wal))
    await this.keys?.open(wal)
    this.start = Math.max(this.start, this.newest - this.clock.monotonic())       // the wall clock may stand before the newest record: ingest time goes on from there
    this.redeliveries.save()
    this.keys?.settle(wal)
  }

  /** Messages that are to be read once more. */
  private async requeue (): Promise<void> {
    if (this.requeueing || !this.open) return
    this.requeueing = true
    try {
      await takeUp(this.fs, this.options.folder, this.log, { append: message => this.append(message), flush: () => this.wal.flush(), confirm: client => { this.forget(client) } })
    } finally { this.requeueing = false }
  }

  private put (kind: Kind, body: Uint8Array = NOTHING, more: Uint8Array = NOTHING): Position | undefined {
    if (this.file.full !== undefined || this.closed || this.wal.failure !== undefined) return undefined
    if (kind !== kinds.senders && !this.space.takes(body.length + more.length)) return undefined
    return this.wal.append(kind, this.now(), body, more)
  }

  /** No room: nobody is silent while we do not listen. */
  private crowded (bytes: number): undefined {
    this.hears = false
    this.space.refuse(bytes)
    return undefined
  }
}

/** No codec takes more: its beginning is kept. */
const tooLarge = (message: Message, most: number): Message =>
  ({ ...message, payload: message.payload.subarray(0, 1024), rejected: { reason: 'too_large', detail: `the payload has ${message.payload.length} bytes, ${most} are possible` } })
