import { open, readdir, stat, truncate, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '#engine'
import { syncFolder, writeAt } from './log.ts'

/** What is kept by day of ingest and deleted after the retention: `late.2026-03-09.ndjson`. */
export const KEPT = ['late', 'dead_letters', 'alerts'] as const
export type Kept = typeof KEPT[number]

const DAY = 864e5
const DATED = new RegExp(`^(${KEPT.join('|')})\\.(\\d{4}-\\d\\d-\\d\\d)\\.ndjson$`)

export const tableFile = (table: string): string => `${table}.ndjson`
export const dayFile = (kind: Kept, ingest: number): string => `${kind}.${new Date(ingest).toISOString().slice(0, 10)}.ndjson`

/**
 * Files of lines that grow with commits. `lengths` says how much of each is committed; what is beyond has never been
 * acknowledged and is cut off when the files are opened. The owner of `lengths` changes it when a commit is durable.
 */
export class DataFiles {
  private readonly folder: string
  private readonly lengths: Record<string, number>
  private readonly retention: number         // ms
  private readonly handles = new Map<string, FileHandle>()
  private readonly suspect = new Set<string>()     // may be longer than `lengths` says, from a commit that failed

  constructor (folder: string, lengths: Record<string, number>, retention: number) {
    this.folder = folder
    this.lengths = lengths
    this.retention = retention
  }

  /** Brings every file to its committed length. `tables` get their files. */
  async recover (tables: readonly string[]): Promise<void> {
    const there = new Set(await readdir(this.folder))
    for (const [name, length] of Object.entries(this.lengths)) {
      if (!there.has(name) && DATED.test(name)) { delete this.lengths[name]; continue }
      const size = there.has(name) ? (await stat(join(this.folder, name))).size : 0
      if (size < length) throw new MillraceError('store/damaged', `file store: ${join(this.folder, name)} has ${size} bytes, ${length} were committed`, { help: 'put the file back as it was, or give the pipeline a new folder' })
      if (size > length) await truncate(join(this.folder, name), length)
    }
    for (const name of there) if (DATED.test(name) && this.lengths[name] === undefined) await unlink(join(this.folder, name))
    for (const table of tables) await this.handle(tableFile(table))
    await syncFolder(this.folder)
  }

  /** Adds lines, durably. Returns the lengths that a commit is to keep; until it does, they are not there. */
  async append (lines: ReadonlyMap<string, readonly string[]>): Promise<Record<string, number>> {
    const lengths: Record<string, number> = {}
    const names = [...lines.keys()].filter(name => lines.get(name)!.length > 0)
    for (const name of names) {
      const handle = await this.handle(name)
      const bytes = Buffer.from(`${lines.get(name)!.join('\n')}\n`)
      const from = this.lengths[name] ?? 0
      if (this.suspect.has(name)) await handle.truncate(from)
      this.suspect.add(name)
      await writeAt(handle, bytes, from)
      lengths[name] = from + bytes.length
    }
    await Promise.all(names.map(name => this.handles.get(name)!.datasync()))
    return lengths
  }

  /** The lengths that append gave are committed. */
  committed (lengths: Record<string, number>): void { for (const name in lengths) this.suspect.delete(name) }

  async close (): Promise<void> { for (const handle of this.handles.values()) await handle.close() }

  private async handle (name: string): Promise<FileHandle> {
    let handle = this.handles.get(name)
    if (handle !== undefined) return handle
    const file = join(this.folder, name)
    try {
      handle = await open(file, 'r+')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      handle = await open(file, 'wx+', 0o600)
      await syncFolder(this.folder)
    }
    await handle.truncate(this.lengths[name] ?? 0)
    this.handles.set(name, handle)
    const [, kind, day] = DATED.exec(name) ?? []
    if (day !== undefined) await this.prune(kind, day)
    return handle
  }

  /** A new day has begun: yesterday's file is closed, those beyond the retention are deleted. */
  private async prune (kind: string, today: string): Promise<void> {
    for (const name of await readdir(this.folder)) {
      const [, of, day] = DATED.exec(name) ?? []
      if (of !== kind || day >= today) continue
      await this.handles.get(name)?.close()
      this.handles.delete(name)
      if (Date.parse(today) - Date.parse(day) <= this.retention + DAY) continue
      await unlink(join(this.folder, name))
      delete this.lengths[name]
    }
  }
}
