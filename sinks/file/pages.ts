import { mkdir, open, readdir, readFile, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { SnapshotPage } from '#engine'
import { frame, readFrames, syncFolder, writeAt } from './log.ts'

/** Snapshots in files, one a generation, each of all pages: `<generation>.pages`, framed as the records of a log are. */
export class PageFiles {
  private readonly folder: string
  private handle: FileHandle | undefined
  private generation = 0             // of the handle
  private length = 0                 // of it, committed
  private appended = 0               // and not yet

  constructor (folder: string) { this.folder = folder }

  /** Removes what was never completed, or is not needed any more. */
  async recover (generations: readonly number[]): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    await this.keepOnly(generations)
  }

  /** Adds pages; durable, when it is the `last` of them. The same pages again, after a failure, are written over themselves. */
  async append (generation: number, pages: readonly SnapshotPage[], last: boolean): Promise<void> {
    if (this.generation !== generation) {
      await this.handle?.close()
      this.handle = await open(this.file(generation), 'w', 0o600)
      this.generation = generation
      this.length = 0
    }
    let at = this.length
    for (const page of pages) {
      const bytes = frame(page)
      await writeAt(this.handle!, bytes, at)
      at += bytes.length
    }
    if (last) {
      await this.handle!.truncate(at)
      await this.handle!.datasync()
      await syncFolder(this.folder)
    }
    this.appended = at
  }

  /** What was appended last is part of a commit. */
  committed (): void { this.length = this.appended }

  /** What of it can be read. */
  async read (generation: number): Promise<SnapshotPage[]> {
    const file = this.file(generation)
    try {
      return readFrames(await readFile(file), file).records as SnapshotPage[]
    } catch { return [] }
  }

  async keepOnly (generations: readonly number[]): Promise<void> {
    const keep = new Set(generations.map(g => `${g}.pages`))
    for (const name of await readdir(this.folder)) if (name.endsWith('.pages') && !keep.has(name)) await unlink(join(this.folder, name))
  }

  async close (): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
    this.generation = 0
  }

  private file (generation: number): string { return join(this.folder, `${generation}.pages`) }
}
