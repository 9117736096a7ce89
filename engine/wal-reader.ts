import type { FileHandle } from 'node:fs/promises'
import { MillraceError } from './errors.ts'
import type { FileSystem } from './files.ts'
import { damaged, HEAD, HEADER, sizeAt, type Kind, type Segment } from './wal-segment.ts'

/** Takes a record: its body is `bytes` from `start` to `end`, valid only during the call. */
export type Each = (position: number, kind: Kind, ingest: number, bytes: Buffer, start: number, end: number) => void

/** The newest durable records, which are in memory still: what stands in `segment` from byte `from` on. */
export interface Recent { readonly segment: Segment, readonly from: number, readonly bytes: Buffer, readonly length: number }

/** What a reader needs of the log. */
export interface Tail {
  readonly fs: FileSystem
  readonly segments: readonly Segment[]
  readonly durable: number
  /** Gone as soon as something is appended over it. */
  readonly recent: Recent | undefined
  readonly ended: boolean            // closed, nothing will follow
  readonly failure: MillraceError | undefined
  /** At the next change of any of these. */
  changed (): Promise<void>
  left (reader: WalReader): void
}

const CHUNK = 256 * 1024

/**
 * Reads a log in order, from any position to its live end, only what is durable. One read at a time. Its place keeps the
 * segments behind it from being dropped until it is closed.
 */
export class WalReader {
  /** Of the last record that was taken. */
  position: number
  private readonly log: Tail
  private segment: Segment | undefined
  private handle: FileHandle | undefined
  private cursor = 0                 // position of the last record before `offset`
  private offset = HEADER
  private chunk = Buffer.allocUnsafeSlow(CHUNK)
  private length = 0                 // bytes of the chunk in use
  private closed = false
  private reading: Promise<boolean> = Promise.resolve(false)

  constructor (log: Tail, after: number) {
    this.log = log
    this.position = after
  }

  /**
   * Gives the next records, about 256 KiB of them; waits when there are none. Resolves to false when none will follow: the
   * reader or the log was closed. Throws log/damaged, with file and byte, at a record that is not as it was written; the
   * error of the log once all that is durable has been read; whatever `each` throws, then that record comes again.
   */
  read (each: Each): Promise<boolean> {
    return this.reading = this.next(each)
  }

  async close (): Promise<void> {
    this.closed = true
    this.log.left(this)
    await this.reading.catch(() => {})
    await this.handle?.close()
    this.handle = undefined
  }

  private async next (each: Each): Promise<boolean> {
    while (this.position >= this.log.durable) {
      if (this.closed) return false
      if (this.log.failure !== undefined) throw this.log.failure
      if (this.log.ended) return false
      await this.log.changed()
    }
    for (const before = this.position; this.position === before;) {
      if (this.closed) return false
      const recent = this.recent()
      if (recent !== undefined) this.give(each, recent)
      else if (await this.load()) this.give(each, this.chunk.subarray(0, this.length))
      else return false
    }
    return true
  }

  /** What comes next, if it is in memory still: until something is appended, which nobody does while `each` runs. */
  private recent (): Buffer | undefined {
    const { offset, segment, log: { recent } } = this
    if (recent === undefined || recent.segment !== segment || recent.length > CHUNK || offset < recent.from || offset >= recent.from + recent.length) return undefined
    return recent.bytes.subarray(offset - recent.from, recent.length)
  }

  /** Brings the chunk that begins with the record after the cursor, whole, to `this.chunk`; false when closed meanwhile. */
  private async load (): Promise<boolean> {
    const { segments } = this.log
    const at = segments.findLastIndex(s => s.first <= Math.max(this.cursor, this.position) + 1)
    if (segments[at] !== this.segment) await this.enter(segments[at])
    const left = this.segment!.bytes - this.offset
    let length = Math.min(left, this.chunk.length)
    await this.fill(length)
    if (length >= HEAD && this.chunk.readUInt32LE(4) + HEAD > length && length < left) {
      length = Math.min(left, this.chunk.readUInt32LE(4) + HEAD)
      this.chunk = Buffer.allocUnsafeSlow(length)
      await this.fill(length)
    }
    this.length = length
    return !this.closed
  }

  private async fill (length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const { bytesRead } = await this.handle!.read(this.chunk, done, length - done, this.offset + done)
      if (bytesRead === 0) throw damaged(this.segment!.file, this.offset + done, `: the file ends here, ${this.segment!.bytes} bytes were durable`)
      done += bytesRead
    }
  }

  private give (each: Each, chunk: Buffer): void {
    const { length } = chunk, { file, salt } = this.segment!
    let at = 0
    for (let size = sizeAt(chunk, 0, length, this.cursor + 1, salt); size > 0; size = sizeAt(chunk, at, length, this.cursor + 1, salt)) {
      const position = this.cursor + 1
      if (position > this.position) {
        each(position, chunk[at + 12] as Kind, chunk.readDoubleLE(at + 14), chunk, at + HEAD, at + size)
        this.position = position
      }
      this.cursor = position
      this.offset += size
      at += size
    }
    if (at === 0) throw damaged(file, this.offset)
  }

  private async enter (segment: Segment): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
    this.handle = await this.log.fs.open(segment.file, 'r')
    this.segment = segment
    this.cursor = segment.first - 1
    this.offset = HEADER
  }
}
