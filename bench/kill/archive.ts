import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { crc32 } from 'node:zlib'

/** A message as a source took it in. */
export interface Message { readonly position: number, readonly ingest: number, readonly topic: string, readonly payload: string }

const COPIED = ''
const EVERY = 20                     // ms
const HEADER = 36, HEAD = 22, MESSAGE = 1

/** Keeps every segment of the log in `log` that ever was, also those that the engine drops, as hard links in `folder`. */
export class Archive {
  private log: string
  private readonly folder: string
  private readonly seen = new Map<string, string>()     // name -> path
  private readonly timer = setInterval(() => { try { this.look() } catch (error) { this.failure ??= error } }, EVERY)
  private failure: unknown

  constructor (log: string, folder: string) {
    this.log = log
    this.folder = folder
    mkdirSync(folder)
  }

  /** Looks once more. Throws when a segment could not be kept, or there is more than one log. */
  finish (): void {
    this.stop()
    this.look()
    if (this.failure !== undefined) throw this.failure
  }

  stop (): void { clearInterval(this.timer) }

  /** From here on the log goes on in another folder, which began as a copy of this one. */
  turn (log: string): void {
    this.look()
    this.log = log
    for (const name of this.seen.keys()) this.seen.set(name, COPIED)
  }

  /** An empty segment is begun anew as another file of the same name. */
  private isKept (path: string): boolean {
    try { return statSync(path).ino === statSync(join(this.folder, basename(path))).ino } catch { return true }      // dropped: what is kept stays
  }

  private look (): void {
    for (const path of segmentsIn(this.log)) {
      const name = basename(path)
      const before = this.seen.get(name)
      if (before === COPIED || before === path && this.isKept(path)) continue
      if (before !== undefined && before !== path) throw new Error(`two logs: ${before} and ${path}`)
      try {
        if (before === path) rmSync(join(this.folder, name))
        linkSync(path, join(this.folder, name))
        this.seen.set(name, path)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error       // dropped just now: reading says so
      }
    }
  }
}

function segmentsIn (log: string): string[] {
  try { return (readdirSync(log, { recursive: true }) as string[]).filter(f => f.endsWith('.log')).map(f => join(log, f)) } catch { return [] }
}

/**
 * The messages of an archived log, in order. A plain reader of its own: see engine/wal-segment.ts for the format. Throws when a
 * record or segment between the first and the last one is missing.
 */
export function* readArchive (folder: string): Generator<Message> {
  const names = readdirSync(folder).filter(name => name.endsWith('.log')).toSorted()
  const read = (name: string | undefined) => name === undefined ? undefined : readFileSync(join(folder, name))
  let position = 0, next = read(names[0])
  if (next === undefined) throw new Error('the engine has written no log')
  for (let i = 1; next !== undefined && next.length >= HEADER; i++) {
    const bytes = next
    next = read(names[i])
    const first = bytes.readDoubleLE(8), salt = bytes.readUInt32LE(32)
    const end = Math.min(bytes.length, next !== undefined && next.length >= HEADER ? next.readDoubleLE(24) : Infinity)       // what stands behind was never durable
    if (first !== position + 1) throw new Error(`the archive ends at position ${position} and goes on at ${first}`)
    for (let at = HEADER; at + HEAD <= end;) {
      const size = HEAD + bytes.readUInt32LE(at + 4)
      if (at + size > end || bytes.readUInt32LE(at + 8) !== (position + 1) >>> 0 || crc32(bytes.subarray(at + 4, at + size), salt) !== bytes.readUInt32LE(at)) break
      position++
      if (bytes[at + 12] === MESSAGE) yield { position, ingest: bytes.readDoubleLE(at + 14), ...decode(bytes.subarray(at + HEAD, at + size)) }
      at += size
    }
  }
}

/** Topic and payload of a message; between them what nobody asks for here: its stamp (flag 1), its client and packet id with a hash (flag 2), why it is none (flag 4), its key (flag 16), the request that brought it (flag 32). */
function decode (body: Buffer): { topic: string, payload: string } {
  const after = (at: number) => at + 2 + body.readUInt16LE(at)       // a text
  let at = after(0)
  const topic = body.toString('utf8', 2, at), flags = body[at++]
  if ((flags & 1) !== 0) at = after(at)
  if ((flags & 2) !== 0) at = after(at) + 2 + 8
  if ((flags & 4) !== 0) at = after(after(at))
  if ((flags & 16) !== 0) at = after(at)
  if ((flags & 32) !== 0) at = after(after(after(at)))
  return { topic, payload: body.toString('utf8', at) }
}
