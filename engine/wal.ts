import type { FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { clock as real, type Clock } from './clock.ts'
import { MillraceError } from './errors.ts'
import { disk, type FileSystem } from './files.ts'
import { Lock, type Self } from './lock.ts'
import type { Logger } from './log.ts'
import { Pace } from './wal-pace.ts'
import { WalReader, type Recent, type Tail } from './wal-reader.ts'
import { recover, type Found } from './wal-recover.ts'
import { BEGINS, create, HEAD, HEADER, seal, syncFolder, writeAll, type Kind, type Segment } from './wal-segment.ts'

export interface WalOptions {
  readonly log: Pick<Logger, 'warn'>
  /** Bytes that may be in the log and not yet dropped: on disk about as much, in memory at most a quarter of it or 8 MiB. */
  readonly budget?: number
  /** Bytes after which a new segment begins; at most a quarter of the budget. */
  readonly segment?: number
  /**
   * Bytes of the newest records that stay although nobody needs them, in at most 64 segments; at most half of the budget, of which they take
   * nothing: what is needed counts first. None while the disk is full.
   */
  readonly keep?: number
  /** Everything up to here is durable: acknowledge it. Called once per flush. */
  readonly durable?: (upTo: number) => void
  /** A new segment has begun: what is appended now is the first in it, or near to it. */
  readonly begun?: () => void
  /** Nothing more will become durable. Called once. */
  readonly failed?: (error: MillraceError) => void
  readonly fs?: FileSystem
  readonly clock?: Clock
  /** Who takes the folder, and who else lives. */
  readonly self?: Self
}

const MiB = 2 ** 20
const NOTHING = new Uint8Array(0)
const FULL = ['ENOSPC', 'EDQUOT']
const KEPT = 64                      // segments that stay at most: each is a file that a start looks at, and each start begins one

/**
 * The write-ahead log of a source: records of opaque bytes with a position that grows by one and is never used twice,
 * durable in groups. While one group is written and synced, and for up to 20 ms after it began, everything appended gathers for the next, so the
 * number of syncs does not grow with the rate. A folder of segments, of one process at a time.
 *
 * After an error of the disk nobody knows what it holds: nothing more is taken or acknowledged until the log is opened
 * again. That keeps every record it finds whole, so some may be there that were never acknowledged.
 */
export class Wal implements Tail {
  readonly fs: FileSystem
  readonly segments: Segment[]
  /** Of the last record that is durable. */
  durable: number
  failure: MillraceError | undefined
  ended = false
  recent: Recent | undefined
  private readonly folder: string
  private readonly options: WalOptions
  private readonly lock: Lock
  private readonly clock: Clock
  private readonly budget: number
  private readonly limit: number     // bytes of a segment
  private readonly keep: number
  private readonly most: number      // bytes of a group
  private readonly salt: number
  private readonly readers = new Set<WalReader>()
  private handle: FileHandle | undefined       // of the last segment
  private next: number               // position of the next record
  private readonly pace: Pace
  private used = 0                   // bytes on disk and in memory
  private filling = Buffer.allocUnsafeSlow(64 * 1024)
  private filled = 0
  private writing = Buffer.allocUnsafeSlow(64 * 1024)
  private running: Promise<void> | undefined
  private closing: Promise<void> | undefined
  private dropping: Promise<void> = Promise.resolve()
  private change: { readonly promise: Promise<void>, readonly tell: () => void } | undefined

  private constructor (folder: string, lock: Lock, { segments, next }: Found, options: WalOptions) {
    const { budget = 1024 * MiB, segment = 16 * MiB, keep = 0, fs = disk, clock = real } = options
    this.folder = folder
    this.lock = lock
    this.options = options
    this.fs = fs
    this.budget = budget
    this.limit = Math.min(segment, Math.floor(budget / 4))
    this.keep = Math.min(keep, Math.floor(budget / 2))
    this.most = Math.min(8 * MiB, Math.floor(budget / 4))
    this.segments = segments
    this.salt = Math.floor(clock.random() * 2 ** 32)
    this.next = next
    this.clock = clock
    this.pace = new Pace(clock)
    this.durable = next - 1
    for (const { bytes } of segments) this.used += bytes
  }

  /** Throws log/locked when another living process has the folder, log/damaged when a file is not as it was written, log/full. */
  static async open (folder: string, options: WalOptions, signal: AbortSignal): Promise<Wal> {
    const { fs = disk, log, clock = real } = options
    folder = resolve(folder)
    let lock: Lock | undefined
    try {
      const made = await fs.mkdir(folder, { recursive: true, mode: 0o700 })
      for (let at = folder; made !== undefined && at.length >= made.length; at = dirname(at)) await syncFolder(fs, dirname(at))
      lock = await Lock.take(join(folder, 'lock'), { name: 'log', code: 'log/locked', help: 'stop that process, or give this one another folder' }, signal, { fs, clock, ...options.self === undefined ? {} : { self: options.self } })
      const found = await recover(fs, folder, log)
      const wal = new Wal(folder, lock, found, options)
      await wal.begin(found.begun)
      return wal
    } catch (error) {
      await lock?.release()
      throw error instanceof MillraceError ? error : failed(folder, error)
    }
  }

  /** The oldest position that can be read. */
  get first (): number { return this.segments[0].first }
  /** Bytes on disk and in memory, of `budget`. */
  get bytes (): number { return this.used }

  /**
   * Takes a record with the body `body` and then `more` (both are copied), which arrived at `ingest` (ms). Returns its position, or undefined
   * when there is no room: then `room` tells when to try again. Durable only when `durable` has reached it. Throws the error
   * of a log that has failed or is closed, and log/too-large.
   */
  append (kind: Kind, ingest: number, body: Uint8Array, more: Uint8Array = NOTHING): number | undefined {
    if (this.failure !== undefined) throw this.failure
    if (this.closing !== undefined) throw this.closedError()
    const size = HEAD + body.length + more.length
    if (size > this.most) throw new MillraceError('log/too-large', `log: a record of ${size} bytes, ${this.most} are possible in ${this.folder}`, { help: 'give the log a larger budget, or limit the size of messages' })
    if (!this.fits(size)) return undefined
    const at = this.filled
    if (this.recent?.bytes === this.filling) this.recent = undefined
    if (at + size > this.filling.length) this.grow(at + size)
    this.filling.set(body, at + HEAD)
    if (more.length > 0) this.filling.set(more, at + HEAD + body.length)
    seal(this.filling, at, size, this.next, kind, at === 0 ? BEGINS : 0, ingest, this.salt)
    this.filled += size
    this.used += size
    this.pace.add()
    this.running ??= new Promise<void>(go => { this.clock.soon(go) }).then(() => this.run())
    return this.next++
  }

  /** Resolves when all that has been appended is durable. */
  async flush (): Promise<void> {
    for (const upTo = this.next - 1; this.durable < upTo;) {
      if (this.failure !== undefined) throw this.failure
      await this.changed()
    }
  }

  /** Resolves when there is room for a record with a body of so many bytes. */
  async room (body: number): Promise<void> {
    while (!this.fits(HEAD + body)) {
      if (this.failure !== undefined) throw this.failure
      if (this.closing !== undefined) throw this.closedError()
      await this.changed()
    }
  }

  /** A reader of all records after the position. Throws log/dropped when one of them is not there any more, log/damaged when the log ends before it. */
  reader (after: number): WalReader {
    if (after + 1 < this.first) throw new MillraceError('log/dropped', `log: position ${after + 1} was asked for, ${this.folder} begins at ${this.first}`, { help: 'what lies between is lost for this pipeline; start it at the beginning of the log or at its end' })
    if (after > this.durable) throw new MillraceError('log/damaged', `log: position ${after + 1} was asked for, ${this.folder} ends at ${this.durable}`, { help: 'this is not the log that was read before, or its newest files are missing' })
    const reader = new WalReader(this, after)
    this.readers.add(reader)
    return reader
  }

  /** Everything up to here is not needed any more: removes the segments that end before it and that every reader has passed, but for what is to stay. */
  drop (upTo: number): Promise<void> {
    const dropped = this.dropping.then(() => this.remove(upTo))
    this.dropping = dropped.catch(() => {})
    return dropped
  }

  /** Makes everything durable, then lets go of the folder. Readers end when they have read all. Throws when something could not be made durable. */
  close (): Promise<void> { return this.closing ??= this.end() }

  changed (): Promise<void> {
    if (this.change === undefined) {
      let tell!: () => void
      const promise = new Promise<void>(go => { tell = go })
      this.change = { promise, tell }
    }
    return this.change.promise
  }

  left (reader: WalReader): void {
    this.readers.delete(reader)
    this.tell()
  }

  /** Is there room for a record with a body of so many bytes, and for `others` small ones before it? */
  takes (body: number, others = 0): boolean { return this.fits((1 + others) * HEAD + body) }

  private fits (size: number): boolean { return this.used + size <= this.budget && this.filled + size <= this.most }

  /** Writes group after group until nothing is left, and acknowledges, only while the folder is ours: who took it over has read what was durable then, and may go on in the same file. */
  private async run (): Promise<void> {
    try {
      while (this.filled > 0) {
        await this.pace.ready()
        const bytes = this.filling, length = this.filled, upTo = this.next - 1
        this.filling = this.writing
        this.writing = bytes
        this.filled = 0
        this.guard()
        if (this.segments.at(-1)!.bytes >= this.limit) {
          await this.begin()
          this.guard()
          this.options.begun?.()
        }
        const segment = this.segments.at(-1)!
        await writeAll(this.handle!, bytes, length, segment.bytes)
        await this.handle!.datasync()
        this.guard()
        this.recent = { segment, from: segment.bytes, bytes, length }
        segment.bytes += length
        this.durable = upTo
        this.tell()
        this.options.durable?.(upTo)
      }
    } catch (error) {
      this.fail(error)
    } finally {
      this.running = undefined
    }
  }

  /** A new segment for what comes after the durable records: its presence says that all before it is whole. */
  private async begin (again = false): Promise<void> {
    const { segment, handle } = await create(this.fs, this.folder, this.durable + 1, this.segments.at(-1), this.salt, again, () => this.guard())
    const before = this.handle
    this.handle = handle
    this.segments.push(segment)
    this.used += HEADER
    await before?.close()
  }

  private async remove (upTo: number): Promise<void> {
    while (this.segments.length > 1 && this.closing === undefined) {
      const [oldest, { first: next }] = this.segments
      let passed = upTo
      for (const { position } of this.readers) passed = Math.min(passed, position)
      if (next - 1 > passed || this.keeps(oldest)) return
      this.guard()
      this.segments.shift()
      try {
        await this.fs.unlink(oldest.file)
      } catch (error) {
        this.segments.unshift(oldest)
        throw error
      }
      await syncFolder(this.fs, this.folder)     // before the next is removed: a gap would look like damage
      this.used -= oldest.bytes
      this.tell()
    }
  }

  /** Nobody needs the oldest segment: does it stay all the same? */
  private keeps ({ bytes }: Segment): boolean { return this.failure === undefined && this.segments.length <= KEPT && this.used - bytes < this.keep }

  private async end (): Promise<void> {
    const already = this.failure
    try {
      await this.running
      if (this.failure === undefined && this.segments.at(-1)!.bytes > HEADER && this.lock.mineNow()) await this.begin().catch(error => this.fail(error))
      await this.dropping
    } finally {
      this.ended = true
      this.tell()
      await this.handle?.close().catch(() => {})
      await this.lock.release()
    }
    if (this.failure !== undefined && already === undefined) throw this.failure
  }

  private fail (error: unknown): void {
    this.failure = error instanceof MillraceError ? error : failed(this.folder, error, this.durable)
    this.tell()
    this.options.failed?.(this.failure)
  }

  private guard (): void {
    if (!this.lock.mineNow()) throw new MillraceError('log/locked', `log: another process has taken over ${this.folder}`)
  }

  private tell (): void {
    const { change } = this
    this.change = undefined
    change?.tell()
  }

  private closedError (): MillraceError { return new MillraceError('log/failed', `log: ${this.folder} is closed`) }

  private grow (size: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(this.most, Math.max(size, this.filling.length * 2)))
    larger.set(this.filling.subarray(0, this.filled))
    this.filling = larger
  }
}

const failed = (folder: string, cause: unknown, durable?: number): MillraceError => {
  const { code = '', message } = cause as NodeJS.ErrnoException
  const full = FULL.includes(code)
  return new MillraceError(full ? 'log/full' : 'log/failed', `log: ${folder}: ${message}${durable === undefined ? '' : `; nothing after position ${durable} is durable`}`, { cause, ...full ? { help: 'make room on the disk, then open the log again' } : {} })
}
