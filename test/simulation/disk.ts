import type { FileHandle } from 'node:fs/promises'
import { dirname, basename } from 'node:path'
import type { FileSystem } from '../../engine/files.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

type Op = { readonly at: number, readonly bytes: Buffer } | { readonly length: number }

/** Bytes that grow. */
class Bytes {
  buffer = Buffer.alloc(0)
  length = 0
  get all (): Buffer { return this.buffer.subarray(0, this.length) }
  apply (op: Op): void {
    if ('length' in op) { this.length = Math.min(this.length, op.length); return }
    const end = op.at + op.bytes.length
    if (end > this.buffer.length) { const larger = Buffer.alloc(Math.max(1024, 2 * end)); larger.set(this.all); this.buffer = larger }
    if (op.at > this.length) this.buffer.fill(0, this.length, op.at)
    this.buffer.set(op.bytes, op.at)
    this.length = Math.max(this.length, end)
  }
}

export class File {
  readonly cache = new Bytes()       // what processes see
  readonly kept = new Bytes()        // what a loss of power leaves for certain
  dirty: Op[] = []
  mtime = 0
}

/** `slow`: ms that an operation takes on average; `sync`: that one of them takes at most. */
export interface DiskTemper { readonly slow: number, readonly sync: number, readonly tail: number }

/**
 * A disk behind the memory of a system: what is not synced may be lost or torn, names and contents each for themselves. It can be full,
 * and a sync can fail; then what it should have kept is clean in memory and not on the disk, and a later sync does not know of it
 * (as Linux does, see fsyncgate).
 */
export class Disk {
  full = false
  /** How many of the next syncs fail. */
  failing = 0
  readonly names = new Map<string, File>()
  private readonly kept = new Map<string, File>()      // names that a loss of power leaves for certain
  private changes: { readonly folder: string, readonly names: readonly (readonly [path: string, file: File | undefined])[] }[] = []
  private readonly folders = new Set<string>(['/'])
  private readonly world: World
  private readonly temper: DiskTemper
  /** Told of every file that was synced, and before one goes. */
  synced: (path: string, file: File) => void = () => {}
  unlinked: (path: string, file: File) => void = () => {}

  constructor (world: World, temper: DiskTemper) {
    this.world = world
    this.temper = temper
  }

  /** The disk as a process has it. */
  mount (process: Process): FileSystem {
    const ask = <T>(what: string, effect: () => T, sync = false): Promise<T> => process.ask(what, this.delay(sync), effect)
    const find = (path: string): File => {
      const file = this.names.get(path)
      if (file === undefined) throw errno('ENOENT', path)
      return file
    }
    const put = (file: File, op: Op): void => {
      file.cache.apply(op)
      file.dirty.push(op)
      file.mtime = process.clock.now()
    }
    const write = (file: File, bytes: Buffer, at: number): number => {
      if (this.full) {
        if (this.world.chance(0.5)) throw errno('ENOSPC', 'write')
        bytes = bytes.subarray(0, Math.floor(bytes.length / 2))
        if (bytes.length === 0) throw errno('ENOSPC', 'write')
      }
      put(file, { at, bytes })
      return bytes.length
    }
    const handle = (path: string, file: File | undefined): FileHandle => ({
      read: (to: Buffer, from: number, length: number, at: number) => ask(`read ${basename(path)}`, () => ({ bytesRead: file!.cache.all.copy(to, from, at, at + length) })),
      write: (bytes: Buffer, from: number, length: number, at: number) => { const copy = Buffer.from(bytes.subarray(from, from + length)); return ask(`write ${basename(path)} ${at}+${length}`, () => ({ bytesWritten: write(file!, copy, at) })) },
      truncate: (length: number) => ask(`truncate ${basename(path)} ${length}`, () => put(file!, { length })),
      sync: () => ask(`sync ${basename(path)}`, () => file === undefined ? this.syncNames(path) : this.sync(path, file), true),
      datasync: () => ask(`datasync ${basename(path)}`, () => this.sync(path, file!), true),
      close: () => Promise.resolve()
    }) as unknown as FileHandle
    const create = (path: string): File => {
      if (this.full) throw errno('ENOSPC', path)
      const file = new File()
      this.rename([[path, file]])
      return file
    }
    const fs = {
      open: (path: string, flags = 'r') => ask(`open ${basename(path)}`, () => {
        if (this.folders.has(path)) return handle(path, undefined)
        if (flags !== 'wx') return handle(path, find(path))
        if (this.names.has(path)) throw errno('EEXIST', path)
        return handle(path, create(path))
      }),
      readdir: (path: string) => ask(`readdir ${path}`, () => {
        if (!this.folders.has(path)) throw errno('ENOENT', path)
        return [...this.names.keys()].filter(name => dirname(name) === path).map(name => basename(name)).toSorted()
      }),
      unlink: (path: string) => ask(`unlink ${basename(path)}`, () => {
        this.unlinked(path, find(path))
        this.rename([[path, undefined]])
      }),
      mkdir: (path: string) => ask(`mkdir ${path}`, () => {
        if (this.folders.has(path)) return undefined
        this.folders.add(path)       // folders are durable at once: what makes them so is tested elsewhere
        return path
      }),
      stat: (path: string) => ask(`stat ${basename(path)}`, () => { const { cache, mtime } = find(path); return { size: cache.length, mtimeMs: mtime } }),
      readFile: (path: string) => ask(`read ${basename(path)}`, () => find(path).cache.all.toString()),
      writeFile: (path: string, text: string, { flush = false } = {}) => ask(`write ${basename(path)}`, () => {
        const file = this.names.get(path) ?? create(path)
        put(file, { length: 0 })
        write(file, Buffer.from(text), 0)
        if (flush) this.sync(path, file)
      }, flush),
      rename: (from: string, to: string) => ask(`rename ${basename(to)}`, () => { this.rename([[to, find(from)], [from, undefined]]) }),
      utimes: (path: string, _: Date, to: Date) => ask(`utimes ${basename(path)}`, () => { find(path).mtime = to.getTime() }),
      readFileSync: (path: string) => find(path).cache.all.toString()
    }
    return fs as unknown as FileSystem
  }

  /** The machine loses its power: of what was not synced anything may be left. */
  lose (): void {
    const { world } = this
    const files = new Set([...this.names.values(), ...this.kept.values(), ...this.changes.flatMap(c => c.names.map(([, file]) => file)).filter(f => f !== undefined)])
    this.names.clear()
    for (const [path, file] of this.kept) this.names.set(path, file)
    for (const change of this.changes) if (world.chance(0.5)) for (const [path, file] of change.names) set(this.names, path, file)
    this.changes = []
    this.kept.clear()
    for (const [path, file] of this.names) this.kept.set(path, file)
    for (const file of files) {
      for (const op of file.dirty) {
        const left = 'length' in op ? op : torn(world, op, file.kept)
        if (left !== undefined && world.chance(0.7)) file.kept.apply(left)
      }
      file.dirty = []
      file.cache.length = 0
      file.cache.apply({ at: 0, bytes: Buffer.from(file.kept.all) })
    }
  }

  private sync (path: string, file: File): void {
    if (this.failing > 0) {
      this.failing--
      file.dirty = []                // clean, it says
      throw errno('EIO', path)
    }
    for (const op of file.dirty) file.kept.apply(op)
    file.dirty = []
    for (const [name, other] of this.names) if (other === file) this.synced(name, file)      // it may have another name by now
  }

  private syncNames (folder: string): void {
    for (const change of this.changes) if (change.folder === folder) for (const [path, file] of change.names) set(this.kept, path, file)
    this.changes = this.changes.filter(change => change.folder !== folder)
  }

  private rename (names: readonly (readonly [path: string, file: File | undefined])[]): void {
    for (const [path, file] of names) set(this.names, path, file)
    this.changes.push({ folder: dirname(names[0][0]), names })
  }

  private delay (sync: boolean): number {
    const { world, temper: { slow, sync: longest, tail } } = this
    if (!sync) return world.between(0, 2 * slow)
    return world.chance(tail) ? world.between(longest, 20 * longest) : world.between(slow, longest)
  }
}

function set (names: Map<string, File>, path: string, file: File | undefined): void {
  if (file === undefined) names.delete(path)
  else names.set(path, file)
}

/** What the disk has of a write: all, a beginning, an end or nothing but the length; the rest is what was there before, or zeros. */
function torn (world: World, { at, bytes }: { readonly at: number, readonly bytes: Buffer }, kept: Bytes): Op | undefined {
  const cut = Math.floor(world.random.next() * (bytes.length + 1)), how = world.random.next()
  if (how < 0.4) return { at, bytes }
  if (how < 0.7) return { at, bytes: bytes.subarray(0, cut) }
  const holed = Buffer.from(bytes)
  const hole = how < 0.9 ? cut : bytes.length
  holed.fill(0, 0, hole)
  if (at < kept.length) kept.all.copy(holed, 0, at, Math.min(at + hole, kept.length))
  return { at, bytes: holed }
}

const errno = (code: string, what: string): NodeJS.ErrnoException => Object.assign(new Error(`${code}: ${what}`), { code })
