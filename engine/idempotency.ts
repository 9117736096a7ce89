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

const FILE = 'keys', MAGIC = 0x314b494d        // "MIK1"
const HEAD = 16, ENTRY = 40                    // bytes
const DAY = 24 * 3_600_000, MOST = 2 ** 18

/** What came under a key: hash of the message, position of its record, ingest time (ms). */
export interface Keyed { readonly hash: bigint, readonly position: Position, readonly at: number }

export interface IdempotencyOptions {
  readonly folder: string
  readonly fs: FileSystem
  readonly log: Pick<Logger, 'error' | 'warn'>
  /** Keys that are kept; beyond, the oldest are forgotten, and it is said. About 220 bytes each in memory. */
  readonly most?: number
  /** A file was written: older segments need not wait any more. */
  readonly saved?: () => void
}

/**
 * Keys of requests to a log, for 24 h of ingest time: key -> hash and position of the message that came under it. A key is a field of
 * the message's own record, so both are durable by one fsync and nothing else is asked. Whenever a segment begins a file is written of
 * the keys of all records that are durable then; after a start they are known from it and from the records behind it, for which
 * older segments wait. Kept by 128 bits of SHA-256, as keys may be long.
 */
export class IdempotencyKeys {
  forgotten = 0                      // keys of the last 24 h that would not be recognised any more
  private readonly options: IdempotencyOptions
  private readonly entries = new Map<string, Keyed>()
  private order: (readonly [name: string, keyed: Keyed])[] = []        // as they came, from `gone` on: a map would look for its oldest among all that were
  private gone = 0
  covered: Position = 0              // by the file
  private newest: Position = 0       // record with a key
  private saving = false

  constructor (options: IdempotencyOptions) { this.options = options }

  get size (): number { return this.entries.size }
  /** Up to here no record is needed any more for its key. */
  get passed (): Position { return this.newest > this.covered ? this.covered : Infinity }

  /** Of all keys, see nameOf; oldest first. */
  get names (): Iterable<string> { return this.entries.keys() }
  at (name: string): Keyed | undefined { return this.entries.get(name) }

  find (key: string, now: number): Keyed | undefined {
    this.expire(now)
    return this.entries.get(nameOf(key))
  }

  put (key: string, keyed: Keyed): void {
    const { most = MOST } = this.options
    this.expire(keyed.at)
    this.keep(nameOf(key), keyed)
    this.newest = keyed.position
    if (this.entries.size <= most) return
    const { at } = this.oldest()!
    this.drop()
    if (this.forgotten++ === 0) this.options.log.error({ keys: most, hours: Math.round((keyed.at - at) / 36e4) / 10 }, 'log: more Idempotency-Keys came within 24 h than are kept; the oldest are forgotten, and a request that comes again under one of them is taken once more. Send more readings in each request')
  }

  /** What a log that was just opened says. Throws log/damaged for a file that is not as it was written. */
  async open (wal: Wal): Promise<void> {
    this.entries.clear()             // what was put there and never became durable has to come again
    this.order = []
    this.gone = 0
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

  private expire (now: number): void { for (let oldest = this.oldest(); oldest !== undefined && oldest.at <= now - DAY; oldest = this.oldest()) this.drop() }

  private keep (name: string, keyed: Keyed): void {
    this.entries.delete(name)
    this.entries.set(name, keyed)
    this.order.push([name, keyed])
  }

  /** The one that came first; one whose name has come again since is passed by. */
  private oldest (): Keyed | undefined {
    for (; this.gone < this.order.length; this.gone++) {
      const [name, keyed] = this.order[this.gone]
      if (this.entries.get(name) === keyed) return keyed
    }
    return undefined
  }

  private drop (): void {
    this.entries.delete(this.order[this.gone++][0])
    if (2 * this.gone < this.order.length) return
    this.order = this.order.slice(this.gone)
    this.gone = 0
  }

  /** Magic (u32), CRC-32 of the rest (u32), position up to which it goes (f64); for each key: 16 bytes of it, hash (u64), position (f64), ingest time (f64, ms). All little endian. */
  private bytes (durable: Position): Buffer {
    const kept = [...this.entries].filter(([, { position }]) => position <= durable), bytes = Buffer.alloc(HEAD + ENTRY * kept.length)
    bytes.writeDoubleLE(durable, 8)
    kept.forEach(([name, { hash, position, at }], i) => {
      const to = HEAD + ENTRY * i
      bytes.write(name, to, 'latin1')
      bytes.writeBigUInt64LE(hash, to + 16)
      bytes.writeDoubleLE(position, to + 24)
      bytes.writeDoubleLE(at, to + 32)
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
    if (bytes.length < HEAD || (bytes.length - HEAD) % ENTRY !== 0 || bytes.readUInt32LE(0) !== MAGIC || crc32(bytes.subarray(8)) !== bytes.readUInt32LE(4)) {
      throw new MillraceError('log/damaged', `log: the file ${file} is damaged`, { help: 'restore it from a copy; without it what comes again under an Idempotency-Key of the last 24 h may be taken twice' })
    }
    for (let at = HEAD; at < bytes.length; at += ENTRY) {
      const position = bytes.readDoubleLE(at + 24)
      if (position <= durable) this.keep(bytes.toString('latin1', at, at + 16), { hash: bytes.readBigUInt64LE(at + 16), position, at: bytes.readDoubleLE(at + 32) })
    }
    return bytes.readDoubleLE(8)
  }
}

/** What a key is kept as: 128 bits of its SHA-256, as 16 characters. */
export const nameOf = (key: string): string => createHash('sha256').update(key).digest().toString('latin1', 0, 16)
