import { open, type FileHandle } from 'node:fs/promises'
import { deserialize, serialize } from 'node:v8'
import { crc32 } from 'node:zlib'
import { MillraceError } from '#engine'

/**
 * A log of records in one file. A record is framed as: length of the body (u32, little endian), CRC-32 of these four
 * bytes (u32), CRC-32 of the body (u32), body (v8 serialisation). One record at a time, each durable before the next.
 */
const HEAD = 12
const MOST = 2 ** 31 - 1

export function frame (record: unknown): Buffer {
  const body = serialize(record)
  const head = Buffer.alloc(HEAD)
  head.writeUInt32LE(body.length, 0)
  head.writeUInt32LE(crc32(head.subarray(0, 4)), 4)
  head.writeUInt32LE(crc32(body), 8)
  return Buffer.concat([head, body])
}

/**
 * The records of a log and where the last whole one ends. What follows it was never acknowledged, if no whole record comes
 * after it: a record is only written when the one before is durable. If one does, the file was damaged, which throws.
 */
export function readFrames (bytes: Buffer, file: string): { records: unknown[], end: number } {
  const records: unknown[] = []
  let at = 0
  for (let size = frameAt(bytes, at); size > 0; size = frameAt(bytes, at)) {
    records.push(deserialize(bytes.subarray(at + HEAD, at + size)))
    at += size
  }
  for (let later = at + 1; later + HEAD <= bytes.length; later++) {
    if (frameAt(bytes, later) > 0) throw new MillraceError('store/damaged', `file store: the record at byte ${at} of ${file} is damaged, and whole ones follow it from byte ${later}`, { help: 'restore the folder from a backup; the rows in its .ndjson files can still be read' })
  }
  return { records, end: at }
}

/** Bytes of the whole and undamaged frame that begins at `at`; 0 when none does. */
function frameAt (bytes: Buffer, at: number): number {
  if (at + HEAD >= bytes.length) return 0
  const length = bytes.readUInt32LE(at)
  if (length === 0 || length > bytes.length - at - HEAD) return 0
  if (crc32(bytes.subarray(at, at + 4)) !== bytes.readUInt32LE(at + 4)) return 0
  return crc32(bytes.subarray(at + HEAD, at + HEAD + length)) === bytes.readUInt32LE(at + 8) ? HEAD + length : 0
}

/** A log that is being written. After a failed sync nobody knows what the disk holds: it takes nothing more. */
export class LogWriter {
  size = 0
  readonly file: string
  private readonly handle: FileHandle
  private broken: unknown

  private constructor (file: string, handle: FileHandle) { this.file = file; this.handle = handle }

  /** A new file; fails when it exists. Its name is durable once the folder is synced. */
  static async create (file: string): Promise<LogWriter> { return new LogWriter(file, await open(file, 'wx', 0o600)) }

  /** Durable when it resolves. A disk that is full leaves the log as it was. */
  async append (record: unknown): Promise<void> {
    if (this.broken !== undefined) throw this.broken
    const bytes = frame(record)
    if (bytes.length > MOST) throw new MillraceError('store/failed', `file store: a record of ${bytes.length} bytes is too large`)
    try {
      await writeAt(this.handle, bytes, this.size)
    } catch (error) {
      await this.handle.truncate(this.size).catch((cause: unknown) => { this.broken = cause })
      throw error
    }
    try {
      await this.handle.datasync()
    } catch (cause) {
      throw this.broken = new MillraceError('store/failed', `file store: ${this.file} cannot be made durable: ${(cause as Error).message}`, { cause })
    }
    this.size += bytes.length
  }

  async close (): Promise<void> { await this.handle.close() }
}

/** All of the bytes, at this place. */
export async function writeAt (handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
}

/** Makes the names in a folder durable. */
export async function syncFolder (folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try { await handle.sync() } finally { await handle.close() }
}
