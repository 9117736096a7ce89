import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError, type Reason } from './errors.ts'
import { disk } from './files.ts'
import type { Outputs } from './flow.ts'
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
const LINES = 64 * 1024              // bytes that are written at once

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
  static async write (data: string, past: Omit<Past, 'records'>, records: AsyncIterable<PastRecord>): Promise<History> {
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
  async* records (from = 0): AsyncGenerator<PastRecord> {
    let n = 0
    for await (const line of linesOf(join(this.folder, RECORDS))) if (n++ >= from) yield JSON.parse(line) as PastRecord
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

/** One a line, durable. Returns how many. */
export async function writeRecords (file: string, records: AsyncIterable<PastRecord>): Promise<number> {
  const handle = await open(file, 'w', 0o600)
  let count = 0, text = ''
  try {
    for await (const record of records) {
      count++
      text += `${JSON.stringify(record)}\n`
      if (text.length < LINES) continue
      await handle.appendFile(text)
      text = ''
    }
    await handle.appendFile(text)
    await handle.sync()
  } finally { await handle.close() }
  return count
}

export async function* readRecords (file: string): AsyncGenerator<PastRecord> {
  for await (const line of linesOf(file)) yield JSON.parse(line) as PastRecord
}

async function* linesOf (file: string): AsyncGenerator<string> {
  let rest = ''
  for await (const text of createReadStream(file, { encoding: 'utf8', highWaterMark: LINES })) {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    yield* lines
  }
}

/** Two in the order of their arrival as one; of equals those of `a` come first. Arrival never goes back. */
export async function* merged (a: AsyncIterable<PastRecord>, b: AsyncIterable<PastRecord>): AsyncGenerator<PastRecord> {
  const sides = [a[Symbol.asyncIterator](), b[Symbol.asyncIterator]()], heads = await Promise.all(sides.map(side => side.next()))
  let newest = -Infinity
  try {
    for (;;) {
      const side = heads[0].done === true ? 1 : heads[1].done === true || heads[0].value.at <= heads[1].value.at ? 0 : 1
      if (heads[side].done === true) return
      const record: PastRecord = heads[side].value
      newest = Math.max(newest, record.at)
      yield record.at === newest ? record : { ...record, at: newest }
      heads[side] = await sides[side].next()
    }
  } finally { for (const side of sides) await side.return?.(undefined) }
}

/** What of some outputs the past may leave behind: nothing goes to followers, and no alert outside the span is kept. */
export const pastOutputs = (outputs: Outputs, { from = -Infinity, to = Infinity }: Span): Outputs =>
  ({ ...outputs, counts: outcomes => outputs.counts(outcomes), follow: [], alerts: outputs.alerts.filter(({ event: { time } }) => time >= from && time < to) })
