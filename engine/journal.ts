import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from './errors.ts'
import { LogSource } from './log-source.ts'
import type { Listener, ListenerHost, Message } from './listener.ts'
import type { Logger } from './log.ts'
import { MessageHead, readMessage } from './message.ts'
import { hashOf, Redeliveries } from './redelivery.ts'
import type { Position, Source, SourceHost, SourceSpec } from './source.ts'
import { kinds, syncFolder, type FileSystem, type Kind } from './wal-segment.ts'
import * as disk from 'node:fs/promises'
import { Wal } from './wal.ts'

export interface JournalOptions {
  readonly folder: string
  readonly log: Logger
  readonly client: string            // name that the source is to go by, when this log is new
  readonly pipelines: readonly string[]      // that are to read it
  readonly tick: number              // ms between ticks
  readonly budget?: number           // bytes on disk
  readonly retain?: number           // ms that the place of a pipeline that is not running is kept
  readonly clock?: () => number      // wall clock, ms
  readonly fs?: FileSystem
}
interface Place { readonly position: Position, readonly at: number }       // at: wall clock, ms, when it was last moved

const RETAIN = 24 * 3_600_000, AGAIN = 500, CROWDED = 0.8
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
  readonly spec: SourceSpec
  suppressed = 0                     // messages that were sent again, and were in the log already
  lost = 0                           // records that a pipeline was too late for
  wal!: Wal
  failure: unknown
  private readonly options: JournalOptions
  private readonly redeliveries = new Redeliveries()
  private readonly places = new Map<string, Place>()
  private readonly running = new Map<string, () => void>()
  private readonly head = new MessageHead()
  private readonly hash = Buffer.alloc(8)
  private readonly clock: () => number
  private readonly stopping = new AbortController()
  private listener: Listener | undefined
  private able = false               // the listener hears what comes
  private hears = false              // and it is recorded
  private refused = false            // there was no room
  private newest = 0                 // ingest time of the newest record, ms
  private senders = 0                // position of the newest record that says what may come again
  private ticks: NodeJS.Timeout | undefined
  private saving: Promise<void> = Promise.resolve()
  private waiting: (() => void)[] = []
  private full: MillraceError | undefined      // the disk is: opening again

  private constructor (spec: SourceSpec, identity: { readonly id: string, readonly client: string }, options: JournalOptions) {
    const { clock = Date.now } = options
    const start = clock() - performance.now()
    this.spec = spec
    this.options = options
    this.log = options.log
    this.name = identity.client
    this.origin = `log:${identity.id}`
    this.clock = clock
    this.now = () => this.newest = Math.max(this.newest, start + performance.now())
  }

  /** Opens the log and finds out what may come again. Nothing is heard before listen(). */
  static async open (spec: SourceSpec, options: JournalOptions, signal: AbortSignal): Promise<Journal> {
    const journal = new Journal(spec, await identify(options), options)
    for (const [pipeline, place] of Object.entries(await readPlaces(options.folder))) journal.places.set(pipeline, place)
    await journal.openWal(signal)
    for (const pipeline of options.pipelines) {
      journal.running.set(pipeline, () => {})
      if (!journal.places.has(pipeline)) journal.places.set(pipeline, { position: journal.wal.first - 1, at: journal.clock() })
    }
    return journal
  }

  readonly now: () => number
  get heard (): boolean { return this.wal.durable > 1 }
  get open (): boolean { return !this.refused && this.full === undefined && this.failure === undefined && !this.stopping.signal.aborted && this.wal.bytes < this.budget }
  get durableUpTo (): Position { return this.wal.durable }
  get budget (): number { return this.options.budget ?? 2 ** 30 }

  /** A pipeline reads from here on. `expel`: it has lost its place, and lets go of it. */
  attach (pipeline: string, place: Position, expel: () => void): void {
    this.running.set(pipeline, expel)
    this.move(pipeline, place)
  }

  /** The log as a source of one pipeline. */
  source (host: SourceHost): Source { return new LogSource(this, host) }

  listen (): void {
    if (this.listener !== undefined || this.stopping.signal.aborted) return
    this.listener = this.spec.definition.listen!(this.spec.options, this)
    this.ticks = setInterval(() => {
      if (!this.hears) this.resume()
      else if (this.open) this.put(kinds.tick)
    }, this.options.tick)
  }

  trouble (): string | undefined { return this.full?.message ?? (this.listener === undefined ? 'not listening yet' : this.listener.trouble()) }
  address (): string | undefined { return this.listener?.address?.() }

  /** What has happened to messages that should be known. */
  get events (): Readonly<Record<string, number>> { return { redelivery_suppressed: this.suppressed, record_lost: this.lost, ...this.listener?.events } }

  /** Is so much of the log behind what a reader at `position` has read that a snapshot would make room? */
  crowdedAt (position: Position): boolean {
    const { wal, places } = this
    if (wal.bytes < this.budget / 4) return false
    const oldest = Math.min(...[...places.values()].map(p => p.position))
    return position - oldest > (wal.durable - wal.first) / 4
  }

  append (message: Message): Position | undefined {
    if (!this.open) return this.crowded()
    if (!this.hears) this.resume()
    const { topic, payload, sender } = message
    const hash = sender === undefined ? this.hash : hashOf(topic, payload, this.hash)
    if (sender?.again) {
      const known = this.redeliveries.find(sender.client, sender.packet, hash.readBigUInt64LE(0))
      if (known !== undefined) {
        this.suppressed++
        return known
      }
    }
    const position = this.put(kinds.message, this.head.write(message, hash), payload)
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

  fail (error: unknown): void {
    this.failure ??= error
    this.wake()
  }

  /** Nothing up to here will be read by this pipeline again. */
  move (pipeline: string, position: Position): void {
    this.places.set(pipeline, { position, at: this.clock() })
    this.saving = this.saving.then(() => savePlaces(this.options.folder, Object.fromEntries(this.places))).catch(error => { this.log.warn({ err: error }, 'log: the places of its pipelines could not be saved') })
    void this.tidy()
  }

  /** Hears nothing more; resolves when all that was heard is durable and acknowledged. */
  async stop (): Promise<void> {
    if (this.stopping.signal.aborted) return
    this.stopping.abort()
    clearInterval(this.ticks)
    this.listener?.stop()
    await this.wal.flush().catch(() => {})
    this.wake()
  }

  async close (): Promise<void> {
    await this.stop()
    await this.listener?.close()
    await this.saving
    await this.wal.close()
  }

  /** Resolves when the log that has failed because its disk was full is open again. */
  async reopened (): Promise<void> {
    while (this.full !== undefined && this.failure === undefined && !this.stopping.signal.aborted) await new Promise(resolve => setTimeout(resolve, 20))
  }

  private async openWal (signal: AbortSignal): Promise<void> {
    const { folder, log, budget, fs } = this.options
    const wal = this.wal = await Wal.open(folder, {
      log, ...budget === undefined ? {} : { budget }, ...fs === undefined ? {} : { fs },
      durable: upTo => { this.listener?.durable(upTo); this.wake() },
      begun: () => { this.putSenders() },
      failed: error => {
        if (wal !== this.wal || this.stopping.signal.aborted) return
        if (error.code === 'log/full') void this.reopen(error)
        else this.fail(error)
      }
    }, signal)
    await this.readSenders()
    this.putSenders()
  }

  /** The disk is full: nothing is heard until there is room, and what was not durable is sent again: its positions will be those of other records. */
  private async reopen (error: MillraceError): Promise<void> {
    this.full = error
    this.listener?.reset?.()
    this.log.error({ err: error.message }, 'log: the disk is full, nothing is taken in until there is room')
    this.hears = false
    while (!this.stopping.signal.aborted) {
      await this.wal.close().catch(() => {})
      await new Promise(resolve => setTimeout(resolve, AGAIN))
      try {
        this.redeliveries.clear()
        await this.openWal(this.stopping.signal)
        this.full = undefined
        this.log.info('log: there is room on the disk again')
        this.listener?.durable(this.wal.durable)
        return this.wake()
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'log/full') return this.fail(error)
      }
    }
  }

  /** What may come again is in the records since the newest that says all of it. */
  private async readSenders (): Promise<void> {
    const { wal, redeliveries } = this
    const start = await readHint(this.options.folder)
    let reader
    try { reader = wal.reader(start >= wal.first && start <= wal.durable ? start - 1 : wal.first - 1) } catch { reader = wal.reader(wal.first - 1) }
    try {
      while (reader.position < wal.durable) {
        await reader.read((position, kind, ingest, bytes, from, to) => {
          this.newest = Math.max(this.newest, ingest)
          if (kind === kinds.message) {
            const { client, packet, hash } = readMessage(bytes, from)
            if (client !== undefined) redeliveries.put(client, packet, hash, position)
          } else if (kind === kinds.barrier) redeliveries.confirm(bytes.toString('utf8', from + 8, to), bytes.readDoubleLE(from))
          else if (kind === kinds.senders) {
            redeliveries.load(bytes, from, to)
            this.senders = position
          }
        })
      }
    } finally { await reader.close() }
  }

  private putSenders (): void {
    const position = this.put(kinds.senders, this.redeliveries.save())
    if (position === undefined) return
    this.senders = position
    void writeFile(join(this.options.folder, 'senders'), String(position)).catch(() => {})
  }

  private put (kind: Kind, body: Uint8Array = NOTHING, more: Uint8Array = NOTHING): Position | undefined {
    if (this.full !== undefined || this.wal.failure !== undefined) return undefined
    return this.wal.append(kind, this.now(), body, more)
  }

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

  /** Drops what nobody will read. Where a pipeline that lags would stop others that do not, it loses its place; one that is not running loses it after `retain` too. */
  private async tidy (): Promise<void> {
    const { wal, places, running, clock, options: { retain = RETAIN } } = this
    const crowded = wal.bytes > CROWDED * this.budget
    for (const [pipeline, { position, at }] of places) {
      const others = [...places].some(([other, place]) => running.has(other) && place.position > position)
      if (running.has(pipeline) ? !(crowded && others && this.isSlowest(pipeline)) : clock() - at < retain && !(crowded && others)) continue
      places.delete(pipeline)
      this.log.error({ pipeline, position, at: new Date(at).toISOString() }, `log: the pipeline "${pipeline}" has lost its place: ${crowded ? `its log is ${Math.round(100 * wal.bytes / this.budget)} % full and others need the room` : `it has not run for ${Math.round(retain / 3_600_000)} h`}`)
      running.get(pipeline)?.()
    }
    const upTo = Math.min(this.senders - 1, ...[...places.values()].map(p => p.position))
    if (Number.isFinite(upTo) && upTo >= wal.first) await wal.drop(upTo).then(() => this.wake(), error => { this.log.warn({ err: error }, 'log: an old segment could not be removed') })
  }

  private isSlowest (pipeline: string): boolean {
    const { position } = this.places.get(pipeline)!
    return [...this.places.values()].every(p => p.position >= position)
  }
}

const barrier = (client: string, upTo: Position): Buffer => {
  const bytes = Buffer.alloc(8 + Buffer.byteLength(client))
  bytes.writeDoubleLE(upTo, 0)
  bytes.write(client, 8)
  return bytes
}

/** Who this log is: written once, before its first record. */
async function identify ({ folder, client }: JournalOptions): Promise<{ readonly id: string, readonly client: string }> {
  const file = join(folder, 'log.json')
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw new MillraceError('log/damaged', `log: ${file} cannot be read: ${(cause as Error).message}`, { help: 'restore the file; it says which log this is', cause })
  }
  const identity = { id: randomUUID(), client }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(`${file}.new`, JSON.stringify(identity), { flush: true })
  await rename(`${file}.new`, file)
  await syncFolder(disk, folder)
  await syncFolder(disk, dirname(folder))
  return identity
}

const readPlaces = (folder: string): Promise<Record<string, Place>> => readFile(join(folder, 'places.json'), 'utf8').then(text => JSON.parse(text), () => ({}))
async function savePlaces (folder: string, places: Record<string, Place>): Promise<void> {
  await writeFile(join(folder, 'places.new'), JSON.stringify(places))
  await rename(join(folder, 'places.new'), join(folder, 'places.json'))
}
const readHint = (folder: string): Promise<number> => readFile(join(folder, 'senders'), 'utf8').then(Number, () => NaN)
