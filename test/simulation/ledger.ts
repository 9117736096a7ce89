import { basename } from 'node:path'
import { readMessage } from '../../engine/message.ts'
import { firstOf, HEAD, HEADER, kinds, readHeader, sizeAt, type Kind } from '../../engine/wal-segment.ts'
import type { Disk, File } from './disk.ts'
import type { World } from './world.ts'

/** A record of the log. `body` and `again` are of messages. */
export interface Entry { readonly position: number, readonly kind: Kind, readonly ingest: number, readonly topic: string, readonly body: string }

/**
 * Watches the log on its disk from outside: what is durable, and every record that ever was for good. Keeps the segments that the
 * engine drops, and holds that nobody needs them any more.
 */
export class Ledger {
  /** Everything up to here is on the disk. */
  durable = 0
  /** The newest message among that. */
  message = 0
  private readonly disk: Disk
  private readonly gone = new Map<string, Buffer>()
  private readonly parsed = new WeakMap<File, { at: number, next: number, salt: number }>()

  /** `needed`: the position after which the store would have the log read. */
  constructor (world: World, disk: Disk, needed: () => number) {
    this.disk = disk
    disk.synced = (path, file) => { if (isSegment(path)) this.read(file) }
    disk.unlinked = (path, file) => {
      if (!isSegment(path)) return
      const bytes = Buffer.from(file.cache.all), next = [...disk.names.keys()].filter(name => isSegment(name) && name > path).toSorted()[0]
      const last = next === undefined ? Infinity : firstOf(basename(next))! - 1        // what an overtaken process wrote behind it is no part of it
      world.check(last <= needed(), () => `the segment ${basename(path)} with records up to ${last} is dropped, a recovery needs those after ${needed()}`)
      if (readHeader(bytes) !== undefined) this.gone.set(basename(path), bytes)
      world.count('segments dropped')
    }
  }

  /** All records in order. Throws when one is missing. */
  entries (): Entry[] {
    const files = new Map(this.gone)
    for (const [path, file] of this.disk.names) if (isSegment(path)) files.set(basename(path), file.cache.all)
    const segments = [...files].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, bytes]) => bytes)
    const all: Entry[] = []
    segments.forEach((bytes, i) => {
      const next = segments[i + 1] === undefined ? undefined : readHeader(segments[i + 1])
      for (const entry of parse(next === undefined ? bytes : bytes.subarray(0, next.before.bytes))) {
        if (entry.position !== all.length + 1) throw new Error(`the log has record ${entry.position} after ${all.length}`)
        all.push(entry)
      }
    })
    return all
  }

  private read (file: File): void {
    const bytes = file.kept.all
    const header = readHeader(bytes)
    if (header === undefined) return
    let place = this.parsed.get(file)
    if (place === undefined || place.at > bytes.length || place.salt !== header.salt) {
      this.parsed.set(file, place = { at: HEADER, next: header.first, salt: header.salt })
    }
    for (let size = sizeAt(bytes, place.at, bytes.length, place.next, place.salt); size > 0; size = sizeAt(bytes, place.at, bytes.length, place.next, place.salt)) {
      this.durable = Math.max(this.durable, place.next)
      if (bytes[place.at + 12] === kinds.message) this.message = Math.max(this.message, place.next)
      place.next++
      place.at += size
    }
  }
}

const isSegment = (path: string): boolean => firstOf(basename(path)) !== undefined

function parse (bytes: Buffer): Entry[] {
  const header = readHeader(bytes), entries: Entry[] = []
  if (header === undefined) return entries
  let position = header.first
  for (let at = HEADER, size = sizeAt(bytes, at, bytes.length, position, header.salt); size > 0; at += size, size = sizeAt(bytes, at, bytes.length, ++position, header.salt)) {
    const kind = bytes[at + 12] as Kind
    let topic = '', body = ''
    if (kind === kinds.message) {
      const message = readMessage(bytes, at + HEAD)
      topic = message.topic
      body = bytes.toString('utf8', message.payload, at + size)
    }
    entries.push({ position, kind, ingest: bytes.readDoubleLE(at + 14), topic, body })
  }
  return entries
}
