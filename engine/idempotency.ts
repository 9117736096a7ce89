import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { MillraceError } from './errors.ts'
import type { FileSystem } from './files.ts'
import type { Logger } from './log.ts'
import { readMessage } from './message.ts'
import { hashOf } from './redelivery.ts'
import type { Position } from './source.ts'
import { kinds, syncFolder } from './wal-segment.ts'
import type { Wal } from './wal.ts'

const FILE = 'keys', MAGIC = 0x324b494d, BEFORE = 0x314b494d         // "MIK2"; "MIK1" did not say whose keys they are
const HEAD = 16, OWNER = 8, ENTRY = 40 + OWNER       // bytes; the owner comes last
const DAY = 24 * 3_600_000, MOST = 2 ** 18

/** What came under a key: hash of the message, position of its record, ingest time (ms). */
export interface Keyed { readonly hash: bigint, readonly position: Position, readonly at: number }

/** `name`: see nameOf. */
interface Entry extends Keyed { readonly name: string, readonly of: Owner }
/** A tenant, as 64 bits of its SHA-256; its keys as they came, from `gone` on: a map would look for its oldest among all that were. One that has come again since does not count. */
interface Owner { readonly id: string, size: number, order: Entry[], gone: number }

export interface IdempotencyOptions {
  readonly folder: string
  readonly fs: FileSystem
  readonly log: Pick<Logger, 'error' | 'warn'>
  /** Keys that are kept; beyond, the oldest of the tenant that has most are forgotten, and it is said. About 220 bytes each in memory. */
  readonly most?: number
  /** A file was written: older segments need not wait any more. */
  readonly saved?: () => void
}

/**
 * Keys of requests to a log, for 24 h of ingest time: key -> hash and position of the message that came under it. A key is a field of
 * the message's own record, so both are durable by one fsync and nothing else is asked. Whenever a segment begins a file is written of
 * the keys of all records that are durable then; after a start they are known from it and from the records behind it, for which
 * older segments wait. Kept by 128 bits of SHA-256, as keys may be long. Which are forgotten depends on what came and on nothing else:
 * a tenant that has no more than an equal share of all keys that are kept loses none, whatever others send.
 */
export class IdempotencyKeys {
  forgotten = 0                      // keys of the last 24 h that would not be recognised any more
  private readonly options: IdempotencyOptions
  private readonly entries = new Map<string, Entry>()
  private readonly owners = new Map<string, Owner>()
  covered: Position = 0              // by the file
  private newest: Position = 0       // record with a key
  private latest = 0                 // its ingest time, ms
  private saving = false

  constructor (options: IdempotencyOptions) { this.options = options }

  get size (): number { return this.entries.size }
  /** Up to here no record is needed any more for its key. */
  get passed (): Position { return this.newest > this.covered ? this.covered : Infinity }

  /** Of all keys, see nameOf; oldest first. */
  get names (): Iterable<string> { return this.entries.keys() }
  at (name: string): Keyed | undefined { return this.entries.get(name) }

  find (key: string, now: number): Keyed | undefined {
    const entry = this.entries.get(nameOf(key))
    if (entry === undefined || entry.at > now - DAY) return entry
    this.expire(entry.of, now)
    return undefined
  }

  /** A key is its tenant, a line break, and what the request said. */
  put (key: string, { hash, position, at }: Keyed): void {
    const { most = MOST, log } = this.options, of = this.owner(digest(key.slice(0, Math.max(0, key.indexOf('\n'))), OWNER))
    this.expire(of, at)
    this.keep({ name: nameOf(key), hash, position, at, of })
    this.newest = position
    this.latest = at
    if (this.entries.size > most) this.expireAll()
    if (this.entries.size <= most) return
    const crowd = this.crowd(), oldest = this.oldest(crowd)!
    this.drop(crowd)
    if (this.forgotten++ === 0) log.error({ keys: most, ofTenant: crowd.size, hours: Math.round((at - oldest.at) / 36e4) / 10 }, 'log: more Idempotency-Keys came within 24 h than are kept; the oldest of the tenant that has most are forgotten, and a request that comes again under one of them is taken once more. Send more readings in each request')
  }

  /** What a log that was just opened says. Throws log/damaged for a file that is not as it was written. */
  async open (wal: Wal): Promise<void> {
    this.entries.clear()             // what was put there and never became durable has to come again
    this.owners.clear()
    this.newest = this.covered = Math.min(await this.load(wal.durable), wal.durable)
    const reader = wal.reader(Math.max(this.covered, wal.first - 1)), bytes = Buffer.alloc(8)
    try {
      while (reader.position < wal.durable) {
        await reader.read((position, kind, at, body, from, to) => {
          if (kind !== kinds.message) return
          const { key, topic, payload } = readMessage(body, from)
          if (key !== undefined) this.put(key, { hash: hashOf(topic, body.subarray(payload, to), bytes).readBigUInt64LE(0), position, at })
        })
      }
    } finally { await reader.close() }
  }

  /** Writes the file, of all records up to `durable`; none beyond may stand in it, since they may never be. */
  async save (durable: Position): Promise<void> {
    if (this.saving || durable <= this.covered) return       // also without a new key: a start reads what lies behind the file
    this.saving = true
    this.expireAll()
    const { fs, folder, log, saved } = this.options, file = join(folder, FILE)
    try {
      await fs.writeFile(`${file}.new`, this.bytes(durable), { flush: true, mode: 0o600 })
      await fs.rename(`${file}.new`, file)
      await syncFolder(fs, folder)
      this.covered = durable
    } catch (error) {
      log.warn({ err: error }, 'log: its keys could not be written down; older segments wait for that')
      return
    } finally { this.saving = false }
    saved?.()
  }

  private owner (id: string): Owner {
    const owner = this.owners.get(id) ?? { id, size: 0, order: [], gone: 0 }
    this.owners.set(id, owner)
    return owner
  }

  private keep (entry: Entry): void {
    const { name, of } = entry, before = this.entries.get(name)
    if (before !== undefined) before.of.size--
    this.entries.delete(name)
    this.entries.set(name, entry)
    of.size++
    of.order.push(entry)
  }

  private expire (of: Owner, now: number): void { for (let oldest = this.oldest(of); oldest !== undefined && oldest.at <= now - DAY; oldest = this.oldest(of)) this.drop(of) }

  /** What is too old goes, and who has nothing. */
  private expireAll (): void {
    for (const of of this.owners.values()) {
      this.expire(of, this.latest)
      if (of.size === 0) this.owners.delete(of.id)
    }
  }

  /** Who has most; of several, whose oldest is the oldest: as after a start, when they are known in another order. */
  private crowd (): Owner {
    return [...this.owners.values()].reduce((most, of) => of.size > most.size || of.size === most.size && this.oldest(of)!.position < this.oldest(most)!.position ? of : most)
  }

  private oldest (of: Owner): Entry | undefined {
    for (; of.gone < of.order.length; of.gone++) {
      const entry = of.order[of.gone]
      if (this.entries.get(entry.name) === entry) return entry
    }
    return undefined
  }

  private drop (of: Owner): void {
    this.entries.delete(of.order[of.gone++].name)
    of.size--
    if (2 * of.gone < of.order.length) return
    of.order = of.order.slice(of.gone)
    of.gone = 0
  }

  /** Magic (u32), CRC-32 of the rest (u32), position up to which it goes (f64); for each key: 16 bytes of it, hash (u64), position (f64), ingest time (f64, ms), 8 bytes of its tenant. All little endian. */
  private bytes (durable: Position): Buffer {
    const kept = [...this.entries.values()].filter(({ position }) => position <= durable), bytes = Buffer.alloc(HEAD + ENTRY * kept.length)
    bytes.writeDoubleLE(durable, 8)
    kept.forEach(({ name, hash, position, at, of }, i) => {
      const to = HEAD + ENTRY * i
      bytes.write(name, to, 'latin1')
      bytes.writeBigUInt64LE(hash, to + 16)
      bytes.writeDoubleLE(position, to + 24)
      bytes.writeDoubleLE(at, to + 32)
      bytes.write(of.id, to + 40, 'latin1')
    })
    bytes.writeUInt32LE(MAGIC, 0)
    bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
    return bytes
  }

  /** Takes up the file, as far as the log is durable; returns how far it goes, 0 when there is none. */
  private async load (durable: Position): Promise<Position> {
    const { fs, folder } = this.options, file = join(folder, FILE)
    const bytes = await fs.readFile(file).catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return undefined; throw error })
    if (bytes === undefined) return 0
    const magic = bytes.length < HEAD ? 0 : bytes.readUInt32LE(0), owner = magic === BEFORE ? 0 : OWNER, entry = ENTRY - OWNER + owner
    if (magic !== MAGIC && magic !== BEFORE || (bytes.length - HEAD) % entry !== 0 || crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) {
      throw new MillraceError('log/damaged', `log: the file ${file} is damaged`, { help: 'restore it from a copy; without it what comes again under an Idempotency-Key of the last 24 h may be taken twice' })
    }
    for (let at = HEAD; at < bytes.length; at += entry) {
      const position = bytes.readDoubleLE(at + 24), of = this.owner(bytes.toString('latin1', at + 40, at + 40 + owner))
      if (position <= durable) this.keep({ name: bytes.toString('latin1', at, at + 16), hash: bytes.readBigUInt64LE(at + 16), position, at: bytes.readDoubleLE(at + 32), of })
    }
    return bytes.readDoubleLE(8)
  }
}

const digest = (text: string, bytes: number): string => createHash('sha256').update(text).digest().toString('latin1', 0, bytes)

/** What a key is kept as: 128 bits of its SHA-256, as 16 characters. */
export const nameOf = (key: string): string => digest(key, 16)
