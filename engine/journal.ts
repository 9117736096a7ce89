import { clock as real, sleep, type Clock } from './clock.ts'
import { MillraceError } from './errors.ts'
import { disk, type FileSystem } from './files.ts'
import type { Self } from './lock.ts'
import { LogSource } from './log-source.ts'
import type { Listener, ListenerHost, Message } from './listener.ts'
import type { Logger } from './log.ts'
import { MessageHead } from './message.ts'
import { hashOf, Redeliveries } from './redelivery.ts'
import { barrier, noteSenders, readSenders } from './redelivery-log.ts'
import { identify } from './journal-identity.ts'
import { Places } from './journal-places.ts'
import { doneWith, readRequests } from './requeue.ts'
import type { Position, Source, SourceHost, SourceSpec } from './source.ts'
import { kinds, type Kind } from './wal-segment.ts'
import { Wal } from './wal.ts'

export interface JournalOptions {
  readonly folder: string
  readonly log: Logger
  readonly client: string            // name that the source is to go by, when this log is new and no other one beside it goes by it
  readonly pipelines: readonly string[]      // that are to read it
  readonly tick: number              // ms between ticks
  readonly budget?: number           // bytes on disk
  readonly retain?: number           // ms that the place of a pipeline that is not running is kept
  readonly clock?: Clock
  readonly fs?: FileSystem
  readonly self?: Self               // who takes its folder
  readonly failed?: (error: unknown) => void     // it cannot go on; called once
}

const AGAIN = 500                    // ms between tries to open a log whose disk is full
const SLACK = 128                    // bytes of headers that come with a record
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
  forgotten = 0                      // messages that would not be recognised any more if they came again
  wal!: Wal
  found: Position = 0                // of the newest record when it was opened
  failure: unknown
  private readonly options: JournalOptions
  private readonly fs: FileSystem
  private readonly redeliveries: Redeliveries
  private readonly places: Places
  private readonly head = new MessageHead()
  private readonly hash = Buffer.alloc(8)
  private readonly stopping = new AbortController()
  private listener: Listener | undefined
  private able = false               // the listener hears what comes
  private hears = false              // and it is recorded
  private refused = false            // there was no room
  private newest = 0                 // ingest time of the newest record, ms
  private start: number              // ingest time at which the monotonic clock was 0, ms
  private senders = 0                // position of the newest durable record that says what may come again
  private saying = 0                 // of one that is not durable yet
  private stopTicks = () => {}
  private requeueing = false
  private tidying = false
  private untidy = false
  private closed = false
  private waiting: (() => void)[] = []
  private full: MillraceError | undefined      // the disk is: opening again
  private readonly salts = new Set<number>()   // of the segments that this process knows

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
    this.redeliveries = new Redeliveries(this.reserved - SLACK, (client, entries) => { this.giveUp(client, entries) })
    this.places = new Places(options.folder, { log: options.log, fs, clock: () => clock.now(), ...options.retain === undefined ? {} : { retain: options.retain } })
    this.now = () => this.newest = Math.max(this.newest, this.start + clock.monotonic())
  }

  /** Opens the log and finds out what may come again. Nothing is heard before listen(). */
  static async open (spec: SourceSpec, options: JournalOptions, signal: AbortSignal): Promise<Journal> {
    const journal = new Journal(spec, await identify(options), options)
    await journal.places.open()
    await journal.openWal(signal)
    journal.found = journal.wal.durable
    for (const pipeline of options.pipelines) journal.places.expect(pipeline, journal.wal.first - 1)
    return journal
  }

  readonly now: () => number
  get heard (): boolean { return this.wal.durable > 1 }
  get open (): boolean { return !this.refused && this.full === undefined && this.failure === undefined && !this.stopping.signal.aborted && this.wal.bytes < this.usable }
  get durableUpTo (): Position { return this.wal.durable }
  private get largest (): number { return Math.min(2 ** 20, this.budget / 8) }
  get budget (): number { return this.options.budget ?? 2 ** 30 }
  /** Bytes of a record that says all that may come again; for one of them there is always room, because older segments wait for it. */
  private get reserved (): number { return Math.min(7 * 2 ** 20, this.budget / 8) }
  private get usable (): number { return this.budget - this.reserved }

  /** A pipeline reads; its place stays where it is until it moves it. `expel`: it has lost its place, and lets go of it. */
  attach (pipeline: string, expel: () => void): void { this.places.attach(pipeline, expel) }
  detach (pipeline: string): void { this.places.detach(pipeline) }
  /** Up to where this pipeline needs nothing of it. */
  placeOf (pipeline: string): Position | undefined { return this.places.of(pipeline) }

  /** The log as a source of one pipeline. */
  source (host: SourceHost): Source { return new LogSource(this, host) }

  listen (): void {
    if (this.listener !== undefined || this.stopping.signal.aborted) return
    this.listener = this.spec.definition.listen!(this.spec.options, this)
    this.stopTicks = this.clock.interval(() => {
      if (!this.hears) this.resume()
      else if (this.open) this.put(kinds.tick)
      this.requeue().catch(error => { this.log.error({ err: error }, 'log: what was to be read once more could not be taken up') })
    }, this.options.tick)
  }

  trouble (): string | undefined { return this.full?.message ?? (this.listener === undefined ? 'not listening yet' : this.listener.trouble()) }
  address (): string | undefined { return this.listener?.address?.() }

  /** What has happened to messages that should be known. */
  get events (): Readonly<Record<string, number>> { return { redelivery_suppressed: this.suppressed, redelivery_forgotten: this.forgotten, record_lost: this.lost, ...this.listener?.events } }

  /** Is so much of the log behind what a reader at `position` has read that a snapshot would make room? */
  crowdedAt (position: Position): boolean {
    const { wal, places } = this
    return wal.bytes >= this.budget / 4 && position - places.least > (wal.durable - wal.first) / 4
  }

  append (given: Message): Position | undefined {
    if (!this.open) return this.crowded()
    const message = given.payload.length <= this.largest ? given : tooLarge(given, this.largest)
    const { topic, payload, sender } = message
    const hash = sender === undefined ? this.hash : hashOf(topic, payload, this.hash)
    if (sender?.again) {
      const known = this.redeliveries.find(sender.client, sender.packet, hash.readBigUInt64LE(0))
      if (known !== undefined) {
        this.suppressed++
        return known
      }
    }
    const head = this.head.write(message, hash)
    if (!this.takes(head.length + payload.length, this.hears ? 0 : 1)) return this.crowded()
    if (!this.hears) this.resume()
    const position = this.put(kinds.message, head, payload)
    if (position === undefined) return this.crowded()
    if (sender !== undefined) this.redeliveries.put(sender.client, sender.packet, hash.readBigUInt64LE(0), position)
    return position
  }

  room (go: () => void): void {
    if (this.open) go()
    else this.waiting.push(go)
  }

  listening (yes: boolean): void {
    this.able = yes
    if (yes) this.resume()
    else this.hears = false
  }

  /** What comes after a pause begins with a record that says so. */
  private resume (): void {
    if (this.able && !this.hears && this.open) this.hears = this.put(kinds.start) !== undefined
  }

  confirm (client: string, upTo: Position, recorded = true): void {
    this.redeliveries.confirm(client, upTo)
    if (recorded) this.put(kinds.barrier, barrier(client, upTo))
  }

  forget (client: string): void { this.confirm(client, Infinity) }

  /** There is no room for all that may come again: what this client sends again now would be read twice. */
  private giveUp (client: string, entries: number): void {
    if (this.forgotten === 0) this.log.error({ client, entries }, 'log: more messages are unconfirmed than there is room for; what the clients that have been silent longest send again is not recognised any more. Give the log a larger budget')
    this.forgotten += entries
  }

  fail (error: unknown): void {
    if (this.failure !== undefined) return
    this.failure = error
    this.options.failed?.(error)
    this.places.expelAll()
    this.wake()
  }

  /** A reader is out of the way. */
  passed (): void { void this.tidy() }

  /** Nothing up to here will be read by this pipeline again. */
  move (pipeline: string, position: Position): void {
    this.places.move(pipeline, position)
    void this.tidy()
  }

  /** Hears nothing more; resolves when all that was heard is durable and acknowledged. */
  async stop (): Promise<void> {
    if (this.stopping.signal.aborted) return
    this.stopping.abort()
    this.stopTicks()
    this.listener?.stop()
    await this.wal.flush().catch(() => {})
    this.wake()
  }

  async close (): Promise<void> {
    await this.stop()
    await this.listener?.close()
    this.closed = true
    await this.places.saved
    await this.wal.close()
  }

  /** Resolves when the log that has failed because its disk was full is open again. */
  async reopened (): Promise<void> {
    while (this.full !== undefined && this.failure === undefined && !this.stopping.signal.aborted) await sleep(20, undefined, this.clock)
  }

  private async openWal (signal: AbortSignal): Promise<void> {
    const { fs, clock, options: { folder, log, budget, self } } = this
    const wal = this.wal = await Wal.open(folder, {
      log, fs, clock, ...budget === undefined ? {} : { budget }, ...self === undefined ? {} : { self },
      durable: upTo => {
        this.listener?.durable(upTo)
        if (this.saying > 0 && upTo >= this.saying) this.said()
        this.wake()
      },
      begun: () => { this.putSenders() },
      failed: error => {
        if (wal !== this.wal || this.stopping.signal.aborted) return
        if (error.code === 'log/full') void this.reopen(error)
        else this.fail(error)
      }
    }, signal)
    const known = this.salts.size === 0 || wal.segments.slice(0, -1).every(({ salt }) => this.salts.has(salt))       // the last one is new
    if (!known) throw new MillraceError('log/locked', `log: another process has had ${folder} meanwhile`, { help: 'stop one of them' })
    for (const { salt } of wal.segments) this.salts.add(salt)
    this.saying = 0
    const { position, newest } = await readSenders(wal, this.fs, folder, this.redeliveries)
    this.senders = position
    this.newest = Math.max(this.newest, newest)
    this.start = Math.max(this.start, this.newest - this.clock.monotonic())       // the wall clock may stand before the newest record: ingest time goes on from there
    this.putSenders()
  }

  /** The disk is full: nothing is heard until there is room, and what was not durable is sent again: its positions will be those of other records. */
  private async reopen (error: MillraceError): Promise<void> {
    this.full = error
    this.log.error({ err: error.message }, 'log: the disk is full, nothing is taken in until there is room')
    this.hears = false
    this.listener?.lost()
    while (!this.stopping.signal.aborted) {
      await this.wal.close().catch(() => {})
      await sleep(AGAIN, undefined, this.clock)
      try {
        this.redeliveries.clear()
        await this.openWal(this.stopping.signal)
        this.full = undefined
        this.log.info('log: there is room on the disk again')
        return this.wake()
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'log/full') return this.fail(error)
      }
    }
  }

  /** Messages that are to be read once more: in the log once each, however often this is cut short. */
  private async requeue (): Promise<void> {
    if (this.requeueing || !this.open) return
    this.requeueing = true
    try {
      for (const request of await readRequests(this.fs, this.options.folder, this.log)) {
        const client = `requeue:${request.key}`
        if (this.append({ ...request.message, sender: { client, packet: 0, again: true } }) === undefined) return
        await this.wal.flush()
        await doneWith(this.fs, request)
        this.confirm(client, Infinity)
      }
    } finally { this.requeueing = false }
  }

  private putSenders (): void {
    const bytes = this.redeliveries.save()
    const fits = bytes.length <= this.reserved - SLACK    // else older segments stay until there is less to say
    const position = fits ? this.put(kinds.senders, bytes) : undefined
    if (position === undefined) return
    this.saying = position
    void noteSenders(this.fs, this.options.folder, position)
  }

  private said (): void {
    this.senders = this.saying
    this.saying = 0
    void this.tidy()
  }

  private put (kind: Kind, body: Uint8Array = NOTHING, more: Uint8Array = NOTHING): Position | undefined {
    if (this.full !== undefined || this.closed || this.wal.failure !== undefined) return undefined
    if (kind !== kinds.senders && !this.takes(body.length + more.length)) return undefined
    return this.wal.append(kind, this.now(), body, more)
  }

  /** Is there room for a record with a body of so many bytes, and for `others` small ones before it? What is reserved is not for them. */
  private takes (body: number, others = 0): boolean { return this.wal.takes(body, others) && this.wal.bytes + body + (1 + others) * SLACK <= this.usable }

  /** No room: nobody is silent while we do not listen. */
  private crowded (): undefined {
    this.hears = false
    this.refused = true
    void this.tidy()
    return undefined
  }

  private wake (): void {
    this.refused = false
    if (this.waiting.length === 0 || !this.open) return
    const { waiting } = this
    this.waiting = []
    for (const go of waiting) go()
  }

  /** Drops what nobody will read. Wakes only when that has made room: whoever is woken without room asks for it again at once. */
  private async tidy (): Promise<void> {
    this.untidy = true
    if (this.tidying) return
    this.tidying = true
    try {
      while (this.untidy) {
        this.untidy = false
        await this.makeRoom()
      }
    } finally { this.tidying = false }
  }

  private async makeRoom (): Promise<void> {
    const { wal, places } = this
    if (this.failure !== undefined) return
    const needless = places.oldest(wal.bytes / this.budget, wal.durable), upTo = Math.min(this.senders - 1, needless)
    const second = wal.segments[1]?.first ?? Infinity
    if (needless >= second - 1 && upTo < second - 1 && this.saying === 0) this.putSenders()      // it alone is in the way
    const { first } = wal
    if (Number.isFinite(upTo) && upTo >= first) await wal.drop(upTo).then(() => { if (wal.first > first) this.wake() }, error => {
      if (error instanceof MillraceError && error.code === 'log/locked') this.fail(error)      // without room nothing would be appended, and nobody would find out
      else this.log.warn({ err: error }, 'log: an old segment could not be removed')
    })
  }
}

/** No codec takes more: its beginning is kept. */
const tooLarge = (message: Message, most: number): Message =>
  ({ ...message, payload: message.payload.subarray(0, 1024), rejected: { reason: 'too_large', detail: `the payload has ${message.payload.length} bytes, ${most} are possible` } })
