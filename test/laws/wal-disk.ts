import { mkdirSync, writeFileSync } from 'node:fs'
import * as disk from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { disk as files, type FileSystem } from '../../engine/files.ts'

/** What has been done to one folder. A file is known by a number of its own, whatever its name. */
type Op =
  | { readonly do: 'create' | 'unlink', readonly file: number, readonly name: string }
  | { readonly do: 'rename', readonly file: number, readonly from: string, readonly name: string }
  | { readonly do: 'write', readonly file: number, readonly at: number, readonly bytes: Buffer }
  | { readonly do: 'truncate', readonly file: number, readonly length: number }
  | { readonly do: 'sync', readonly file: number }
  | { readonly do: 'syncFolder' }
  | { readonly do: 'mark', readonly mark: Mark }

/** What the log had promised at a moment. */
export interface Mark { readonly durable: number, readonly dropped: number }

/** A folder as a loss of power may leave it. */
export interface State { readonly files: ReadonlyMap<string, Buffer>, readonly mark: Mark, readonly after: string }

/** Lets a log write to a real folder and keeps what it did, in order: then says what a loss of power could have left of it. */
export class RecordedDisk {
  readonly ops: Op[] = []
  /** From this number of operations on nothing is done any more: every call fails, as if the process were gone. */
  diesAt = Infinity
  readonly fs: FileSystem
  private readonly folder: string
  private readonly names = new Map<string, number>()
  private count = 0

  constructor (folder: string) {
    this.folder = folder
    this.fs = {
      ...files,
      open: async (path, flags, mode) => {
        const name = basename(String(path))
        if (path === folder) return this.handle(await disk.open(path, flags), () => ({ do: 'syncFolder' }), -1)
        if (flags === 'wx') {
          const file = ++this.count
          await this.step({ do: 'create', file, name }, async () => { await (await disk.open(path, 'wx', mode)).close() })
          this.names.set(name, file)
          flags = 'r+'
        }
        const file = this.names.get(name)!
        return this.handle(await disk.open(path, flags), () => ({ do: 'sync', file }), file)
      },
      rename: async (from, to) => {
        const old = basename(String(from)), name = basename(String(to)), file = this.names.get(old)
        if (file === undefined) return await disk.rename(from, to)      // the lock
        await this.step({ do: 'rename', file, from: old, name }, () => disk.rename(from, to))
        this.names.delete(old)
        this.names.set(name, file)
      },
      unlink: async path => {
        const name = basename(String(path))
        if (!this.names.has(name)) return await disk.unlink(path)       // the lock
        await this.step({ do: 'unlink', file: this.names.get(name)!, name }, () => disk.unlink(path))
      }
    }
  }

  mark (mark: Mark): void { this.ops.push({ do: 'mark', mark }) }

  /** Every state that a loss of power can leave after operation `from` or a later one, each once. */
  * states (from = 0): Generator<State> {
    const seen = new Set<string>()
    let mark: Mark = { durable: 0, dropped: 0 }
    for (let n = 0; n <= this.ops.length; n++) {
      const last = this.ops[n - 1]
      if (last?.do === 'mark') mark = last.mark
      if (n < from) continue
      for (const files of variants(this.ops.slice(0, n))) {
        const key = JSON.stringify([mark, [...files].map(([name, bytes]) => [name, bytes.toString('latin1')])])
        if (seen.has(key)) continue
        seen.add(key)
        yield { files, mark, after: `${n} operations, the last of them ${last === undefined ? 'none' : `${last.do}${'file' in last ? ` of file ${last.file}` : ''}`}` }
      }
    }
  }

  private handle (real: FileHandle, sync: () => Op, file: number): FileHandle {
    const wrapped = {
      read: real.read.bind(real),
      write: (bytes: Buffer, from: number, length: number, at: number) => this.step({ do: 'write', file, at, bytes: Buffer.from(bytes.subarray(from, from + length)) }, () => real.write(bytes, from, length, at)),
      truncate: (length: number) => this.step({ do: 'truncate', file, length }, () => real.truncate(length)),
      sync: () => this.step(sync(), () => real.sync()),
      datasync: () => this.step(sync(), () => real.datasync()),
      close: () => real.close()
    }
    return wrapped as unknown as FileHandle
  }

  private async step<T> (op: Op, act: () => Promise<T>): Promise<T> {
    if (this.ops.length >= this.diesAt) throw new Error(`killed before ${op.do} in ${this.folder}`)
    const done = await act()
    this.ops.push(op)
    return done
  }
}

/** Puts the state into an empty folder. */
export function lay (folder: string, { files }: State): void {
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
}

/**
 * What is left: of a file at least what was there at its last sync, and any part of what was done since; of the names those of the
 * folder's last sync, and any of the changes since.
 */
function* variants (ops: readonly Op[]): Generator<Map<string, Buffer>> {
  const content = new Map<number, Buffer>(), pending = new Map<number, Op[]>()
  let names = new Map<string, number>(), changes: Op[] = []
  for (const op of ops) {
    if (op.do === 'create' || op.do === 'unlink' || op.do === 'rename') changes.push(op)
    else if (op.do === 'write' || op.do === 'truncate') pending.set(op.file, [...pending.get(op.file) ?? [], op])
    else if (op.do === 'sync') {
      content.set(op.file, (pending.get(op.file) ?? []).reduce((b, o) => applied(b, o, o.do === 'write' ? o.bytes : undefined), content.get(op.file) ?? Buffer.alloc(0)))
      pending.delete(op.file)
    } else if (op.do === 'syncFolder') {
      names = renamed(names, changes)
      changes = []
    }
  }
  for (let subset = 0; subset < 2 ** changes.length; subset++) {
    const there = renamed(names, changes.filter((_, i) => (subset >> i & 1) !== 0))
    let folders: Map<string, Buffer>[] = [new Map()]
    for (const [name, file] of there) {
      const contents = outcomes(content.get(file) ?? Buffer.alloc(0), pending.get(file) ?? [])
      folders = folders.flatMap(folder => contents.map(bytes => new Map([...folder, [name, bytes]])))
    }
    yield* folders
  }
}

function renamed (names: ReadonlyMap<string, number>, changes: readonly Op[]): Map<string, number> {
  const after = new Map(names)
  for (const op of changes) {
    if (op.do === 'create') after.set(op.name, op.file)
    else if (op.do === 'unlink') after.delete(op.name)
    else if (op.do === 'rename') { after.delete(op.from); after.set(op.name, op.file) }
  }
  return after
}

/** The contents that a file with unsynced operations may have: each done, not done, or of a write some of its bytes. */
function outcomes (synced: Buffer, ops: readonly Op[]): Buffer[] {
  let all = [synced]
  for (const op of ops) all = all.flatMap(bytes => [bytes, ...op.do === 'write' ? torn(op.bytes, bytes.subarray(op.at)).map(part => applied(bytes, op, part)) : [applied(bytes, op, undefined)]])
  return all
}

/** A write of which the disk has all, a beginning, an end behind zeros, or only the length; where something was there before, that instead of zeros. */
function torn (bytes: Buffer, before: Buffer): Buffer[] {
  const cuts = [1, 21, 22, 23, bytes.length >> 1, bytes.length - 1, bytes.length].filter((n, i, a) => n > 0 && n <= bytes.length && a.indexOf(n) === i)
  const holed = (from: number, to: number) => {
    const left = Buffer.from(bytes)
    left.fill(0, from, to)
    if (from < before.length) before.copy(left, from, from, to)
    return left
  }
  return [...cuts.map(n => bytes.subarray(0, n)), holed(0, bytes.length >> 1), holed(bytes.length >> 2, bytes.length >> 1), holed(0, bytes.length)]
}

function applied (bytes: Buffer, op: Op, part: Buffer | undefined): Buffer {
  if (op.do === 'truncate') return Buffer.from(bytes.subarray(0, op.length))
  if (op.do !== 'write' || part === undefined) return bytes
  const after = Buffer.alloc(Math.max(bytes.length, op.at + part.length))
  bytes.copy(after)
  part.copy(after, op.at)
  return after
}
