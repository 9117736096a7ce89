import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { FileHandle } from 'node:fs/promises'
import { MillraceError } from './errors.ts'
import type { FileSystem } from './files.ts'

/** What a record is. Every one has a position, whatever its kind. */
export const kinds = { message: 1, tick: 2, start: 3, barrier: 4, senders: 5, relearn: 6 } as const
export type Kind = typeof kinds[keyof typeof kinds]

/** A file of the log, with the records from `first` on. Every one but the last is whole and durable. */
export interface Segment {
  readonly file: string
  readonly first: number             // position of its first record
  readonly salt: number
  bytes: number                      // that are durable, its header included
}

/**
 * A segment begins with: magic (u32), CRC-32 of the rest of the header (u32), position of its first record (f64), that of
 * the segment before it and its length in bytes (f64, 0 when there was none), salt (u32). All little endian.
 */
export const HEADER = 36
const MAGIC = 0x314c574d             // "MWL1"
const NAME = /^(\d{16})\.log$/

/**
 * A record: CRC-32 of all that follows, begun with the salt (u32), length of the body (u32), position modulo 2^32 (u32), kind
 * (u8), flags (u8), ingest time (f64, ms), body. The salt keeps a body that contains a record from being taken for one.
 */
export const HEAD = 22
/** The first record of a group, which is written when all before it are durable. */
export const BEGINS = 1

/** Writes everything of a record but its body, which stands at `at + HEAD` already. */
export function seal (bytes: Buffer, at: number, size: number, position: number, kind: Kind, flags: number, ingest: number, salt: number): void {
  bytes.writeUInt32LE(size - HEAD, at + 4)
  bytes.writeUInt32LE(position >>> 0, at + 8)
  bytes[at + 12] = kind
  bytes[at + 13] = flags
  bytes.writeDoubleLE(ingest, at + 14)
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, at + size), salt), at)
}

/** Bytes of the whole, undamaged record of this position that begins at `at` and ends before `end`; 0 when there is none. */
export function sizeAt (bytes: Buffer, at: number, end: number, position: number, salt: number): number {
  if (end - at < HEAD) return 0
  const size = HEAD + bytes.readUInt32LE(at + 4)
  if (size > end - at || bytes.readUInt32LE(at + 8) !== position >>> 0) return 0
  return crc32(bytes.subarray(at + 4, at + size), salt) === bytes.readUInt32LE(at) ? size : 0
}

/**
 * Where the whole records of the last segment end, and the position after them. What follows may be a group that was
 * being written when the machine stopped, of which the disk kept any part. It is not, and this throws log/damaged, when
 * a later group follows: then what is damaged had been durable.
 */
export function endOf (bytes: Buffer, { file, first, salt }: Segment): { end: number, next: number } {
  let end = HEADER, next = first
  for (let size = sizeAt(bytes, end, bytes.length, next, salt); size > 0; size = sizeAt(bytes, end, bytes.length, next, salt)) {
    end += size
    next++
  }
  const most = (bytes.length - end) / HEAD
  for (let at = end + 1; at + HEAD <= bytes.length; at++) {
    const ahead = (bytes.readUInt32LE(at + 8) - next) >>> 0
    if (ahead > 0 && ahead <= most && (bytes[at + 13] & BEGINS) !== 0 && sizeAt(bytes, at, bytes.length, next + ahead, salt) > 0) throw damaged(file, end, `, and later ones follow it from byte ${at}`)
  }
  return { end, next }
}

export const nameOf = (first: number): string => `${String(first).padStart(16, '0')}.log`
/** Position of the first record of the segment of this name; undefined for any other file. */
export const firstOf = (name: string): number | undefined => { const found = NAME.exec(name); return found === null ? undefined : Number(found[1]) }

export function header (first: number, before: Pick<Segment, 'first' | 'bytes'> | undefined, salt: number): Buffer {
  const bytes = Buffer.alloc(HEADER)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeDoubleLE(first, 8)
  bytes.writeDoubleLE(before?.first ?? 0, 16)
  bytes.writeDoubleLE(before?.bytes ?? 0, 24)
  bytes.writeUInt32LE(salt, 32)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** What a header says; undefined when it is none. */
export function readHeader (bytes: Buffer): { first: number, before: Pick<Segment, 'first' | 'bytes'>, salt: number } | undefined {
  if (bytes.length < HEADER || bytes.readUInt32LE(0) !== MAGIC || crc32(bytes.subarray(8, HEADER)) !== bytes.readUInt32LE(4)) return undefined
  return { first: bytes.readDoubleLE(8), before: { first: bytes.readDoubleLE(16), bytes: bytes.readDoubleLE(24) }, salt: bytes.readUInt32LE(32) }
}

/**
 * A new segment after `before`, durable with its name. `again`: one that has no records yet is there, and another file takes its
 * place: a process that was overtaken may still have that one open. `guard` throws unless the folder is ours.
 */
export async function create (fs: FileSystem, folder: string, first: number, before: Segment | undefined, salt: number, again: boolean, guard: () => void): Promise<{ segment: Segment, handle: FileHandle }> {
  const file = join(folder, nameOf(first)), made = again ? `${file}.${salt.toString(36)}` : file
  const handle = await fs.open(made, 'wx', 0o600)
  try {
    await writeAll(handle, header(first, before, salt), HEADER, 0)
    await handle.sync()
    if (again) {
      guard()
      await fs.rename(made, file)
    }
    await syncFolder(fs, folder)
  } catch (error) {
    await handle.close().catch(() => {})
    throw error
  }
  return { segment: { file, first, salt, bytes: HEADER }, handle }
}

/** The first `length` of the bytes, at this place of the file. */
export async function writeAll (handle: FileHandle, bytes: Uint8Array, length: number, place: number): Promise<void> {
  for (let done = 0; done < length;) done += (await handle.write(bytes, done, length - done, place + done)).bytesWritten
}

/** Makes the names in a folder durable. */
export async function syncFolder (fs: FileSystem, folder: string): Promise<void> {
  const handle = await fs.open(folder, 'r')
  try { await handle.sync() } finally { await handle.close() }
}

export const damaged = (file: string, at: number, more = ''): MillraceError =>
  new MillraceError('log/damaged', `log: the record at byte ${at} of ${file} is damaged${more}`, { help: 'restore the file from a copy; or move the folder away to begin a new log, which gives up what was acknowledged but not yet stored' })
