import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError, type Reason } from './errors.ts'
import { disk } from './files.ts'
import type { Outputs } from './outputs.ts'
import type { SeriesName } from './series.ts'
import type { Position } from './source.ts'
import { syncFolder } from './wal-segment.ts'

/** What arrived at once, ms: readings (null: no value), and what of it cannot be one, with its bytes in base64. */
export interface PastRecord {
  readonly at: number
  readonly readings?: readonly (SeriesName & { readonly time: number, readonly value: number | null })[]
  readonly topic?: string
  readonly payload?: string
  readonly rejected?: readonly (readonly [reason: Reason, detail: string])[]
}
/** Rows of event time from `from` up to, without, `to` are written, ms; without one of them there is no such bound. */
export interface Span { readonly from?: number | undefined, readonly to?: number | undefined }
/** Some at a time, in their order. */
export type PastRecords = AsyncIterable<readonly PastRecord[]>

/** `join`: where the pipeline goes on with its own source when the past is over; undefined: where that begins. */
export interface Past extends Span {
  readonly id: string
  readonly pipeline: string
  readonly asked: number             // wall clock, ms
  readonly records: number
  readonly join: { readonly origin: string | undefined, readonly position: Position | undefined }
  readonly end?: number              // records after which it is cut off
  readonly over?: boolean            // all of it is committed, and remembered
}

const ORIGIN = 'history:'
const folderOf = (folder: string, id: string): string => join(folder, 'history', id)
const RECORDS = 'records.ndjson'
const BYTES = 64 * 1024              // that are read or written at once
const SOME = 2000                    // records

/**
 * The past that a pipeline works through before it goes on with its own source: records in the order in which they are to arrive,
 * in a file that does not change. Positions count its records, so a pipeline recovers in it as in a log. What a pipeline stands in is
 * in its store, with the position: `history:` and an id. The folder says where it joins its own source, before anything else changes.
 */
export class History {
  readonly folder: string
  private known: Past

  private constructor (folder: string, past: Past) {
    this.folder = folder
    this.known = past
  }

  /** Durable, all or nothing. */
  static async write (data: string, past: Omit<Past, 'records'>, records: PastRecords): Promise<History> {
    const folder = folderOf(data, past.id)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const count = await writeRecords(join(folder, RECORDS), records), history = new History(folder, { ...past, records: count })
    await history.save()
    await syncFolder(disk, dirname(folder))
    return history
  }

  /** The one that positions of this origin count in; undefined when they count in something else. @throws log/missing */
  static async of (data: string, origin: string | undefined): Promise<History | undefined> {
    if (origin?.startsWith(ORIGIN) !== true) return undefined
    const found = await History.find(data, origin.slice(ORIGIN.length))
    if (found === undefined) throw new MillraceError('log/missing', `a backfill is under way, and what it reads is not there: ${folderOf(data, origin.slice(ORIGIN.length))}`, { help: 'bring the folder back; or start with --accept-loss to go on without the rest of it' })
    return found
  }

  static async find (data: string, id: string): Promise<History | undefined> {
    const folder = folderOf(data, id), text = await readFile(join(folder, 'past.json'), 'utf8').catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return undefined; throw error })
    return text === undefined ? undefined : new History(folder, JSON.parse(text) as Past)
  }

  /** Removes all that this pipeline has had: it stands in none of them. */
  static async sweep (data: string, pipeline: string): Promise<void> {
    for (const id of await readdir(join(data, 'history')).catch(() => [])) {
      const history = await History.find(data, id)
      if (history?.past.pipeline === pipeline) await history.remove()
    }
  }

  get past (): Past { return this.known }
  get origin (): string { return ORIGIN + this.known.id }
  /** How many of its records are read. */
  get end (): number { return Math.min(this.known.records, this.known.end ?? Infinity) }

  /** Nothing more of it is read: the pipeline joins its own source where it is. */
  async cut (): Promise<void> { await this.change({ end: 0 }) }
  async finish (): Promise<void> { await this.change({ over: true }) }
  /** The pipeline stands in its own source now, and will not read any of it again. What it was is still known. */
  async drop (): Promise<void> { await rm(join(this.folder, RECORDS), { force: true }) }
  async remove (): Promise<void> { await rm(this.folder, { recursive: true, force: true }) }

  /** The records after the first `from`. */
  async* records (from = 0): AsyncGenerator<readonly PastRecord[]> {
    let n = 0
    for await (const lines of linesOf(join(this.folder, RECORDS))) {
      const some = lines.slice(Math.max(0, from - n))
      n += lines.length
      if (some.length > 0) yield some.map(parse)
    }
  }

  private async change (more: Partial<Past>): Promise<void> {
    this.known = { ...this.known, ...more }
    await this.save()
  }

  private async save (): Promise<void> {
    const file = join(this.folder, 'past.json'), handle = await open(`${file}.new`, 'w', 0o600)
    try {
      await handle.writeFile(JSON.stringify(this.known))
      await handle.sync()
    } finally { await handle.close() }
    await rename(`${file}.new`, file)
    await syncFolder(disk, this.folder)
  }
}

const parse = (line: string): PastRecord => JSON.parse(line) as PastRecord

/** One a line, durable. Returns how many. */
export async function writeRecords (file: string, records: PastRecords): Promise<number> {
  const handle = await open(file, 'w', 0o600)
  let count = 0, text = ''
  try {
    for await (const some of records) {
      count += some.length
      for (const record of some) text += `${JSON.stringify(record)}\n`
      if (text.length < BYTES) continue
      await handle.appendFile(text)
      text = ''
    }
    await handle.appendFile(text)
    await handle.sync()
  } finally { await handle.close() }
  return count
}

export async function* readRecords (file: string): AsyncGenerator<readonly PastRecord[]> {
  for await (const lines of linesOf(file)) yield lines.map(parse)
}

async function* linesOf (file: string): AsyncGenerator<readonly string[]> {
  let rest = ''
  for await (const text of createReadStream(file, { encoding: 'utf8', highWaterMark: BYTES })) {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    if (lines.length > 0) yield lines
  }
}

/** Two in the order of their arrival as one; of equals those of `a` come first. Arrival never goes back. */
export async function* merged (a: PastRecords, b: PastRecords): AsyncGenerator<readonly PastRecord[]> {
  const sides = [new Cursor(a), new Cursor(b)]
  let newest = -Infinity
  try {
    for (;;) {
      for (const side of sides) await side.fill()
      const [left, right] = sides, out: PastRecord[] = []
      if (left.head === undefined && right.head === undefined) return
      while (!(left.isEmpty || right.isEmpty) && out.length < SOME) {
        const side = right.head === undefined || left.head !== undefined && left.head.at <= right.head.at ? left : right, record = side.head!
        newest = Math.max(newest, record.at)
        out.push(record.at === newest ? record : { ...record, at: newest })
        side.at++
        if (left.head === undefined && right.head === undefined) break
      }
      yield out
    }
  } finally { for (const side of sides) await side.close() }
}

/** A place in records that come some at a time. */
class Cursor {
  at = 0
  private some: readonly PastRecord[] = []
  private over = false
  private readonly more: AsyncIterator<readonly PastRecord[]>
  constructor (records: PastRecords) { this.more = records[Symbol.asyncIterator]() }

  /** Undefined when there is none here: for good, or until fill(). */
  get head (): PastRecord | undefined { return this.some[this.at] }
  /** More has to be had before the next one is known. */
  get isEmpty (): boolean { return !this.over && this.at >= this.some.length }

  async fill (): Promise<void> {
    while (this.isEmpty) {
      const { done, value } = await this.more.next()
      this.over = done === true
      this.some = done === true ? [] : value
      this.at = 0
    }
  }

  async close (): Promise<void> { await this.more.return?.(undefined) }
}

/** What of some outputs the past may leave behind: nothing goes to followers, and no alert outside the span is kept. */
export const pastOutputs = (outputs: Outputs, { from = -Infinity, to = Infinity }: Span): Outputs =>
  ({ ...outputs, counts: outcomes => outputs.counts(outcomes), follow: [], alerts: outputs.alerts.filter(({ event: { time } }) => time >= from && time < to) })
