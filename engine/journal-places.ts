import { join } from 'node:path'
import { disk, type FileSystem } from './files.ts'
import type { Logger } from './log.ts'
import type { Position } from './source.ts'

/** at: wall clock, ms, when it was last moved; lost: nothing is kept for it any more. */
interface Place { readonly position: Position, readonly at: number, readonly lost?: true }

const RETAIN = 24 * 3_600_000        // ms
const CROWDED = 0.8                  // share of the budget

/**
 * Up to where the pipelines that read a log need it no more; kept in a file, so that those that do not run at present keep their
 * places for a while. A place in the file may be older than the truth, never newer.
 */
export class Places {
  saved: Promise<void> = Promise.resolve()
  private readonly folder: string
  private readonly log: Logger
  private readonly clock: () => number
  private readonly retain: number
  private readonly fs: FileSystem
  private readonly places = new Map<string, Place>()
  private readonly running = new Map<string, () => void>()     // pipeline -> how it is told that it has lost its place

  constructor (folder: string, { log, clock, retain = RETAIN, fs = disk }: { readonly log: Logger, readonly clock: () => number, readonly retain?: number, readonly fs?: FileSystem }) {
    this.folder = folder
    this.log = log
    this.clock = clock
    this.retain = retain
    this.fs = fs
  }

  async open (): Promise<void> {
    const text = await this.fs.readFile(join(this.folder, 'places.json'), 'utf8').catch(() => '{}')
    let kept: Record<string, Place> = {}
    try { kept = JSON.parse(text) } catch (error) { this.log.error({ err: error }, 'log: the places of its pipelines cannot be read: those that do not run now begin where the log begins') }
    for (const [pipeline, place] of Object.entries(kept)) this.places.set(pipeline, place)
  }

  /** Up to where this pipeline needs nothing, also when nothing is kept for it any more. */
  of (pipeline: string): Position | undefined { return this.places.get(pipeline)?.position }

  /** This pipeline will read: until it says from where, nothing after `first` may go. */
  expect (pipeline: string, first: Position): void {
    this.running.set(pipeline, () => {})
    this.places.set(pipeline, { position: this.of(pipeline) ?? first, at: this.clock() })
  }

  attach (pipeline: string, expel: () => void): void { this.running.set(pipeline, expel) }
  /** It does not read any more; from now on its place is kept for a while. */
  detach (pipeline: string): void {
    this.running.delete(pipeline)
    const place = this.places.get(pipeline)
    if (place !== undefined && place.lost === undefined) this.move(pipeline, place.position)
  }

  /** Nothing is kept for it any more. */
  forget (pipeline: string): void {
    this.running.delete(pipeline)
    this.places.delete(pipeline)
    this.keep()
  }

  move (pipeline: string, position: Position): void {
    this.places.set(pipeline, { position, at: this.clock() })
    this.keep()
  }

  private keep (): void {
    this.saved = this.saved.then(() => this.save()).catch(error => { this.log.warn({ err: error }, 'log: the places of its pipelines could not be saved') })
  }

  /** No pipeline reads on: each is told. */
  expelAll (): void { for (const expel of this.running.values()) expel() }

  get least (): Position { return Math.min(...Array.from(this.kept, ([, place]) => place.position)) }
  private get kept (): [string, Place][] { return [...this.places].filter(([, place]) => place.lost === undefined) }

  /**
   * Up to where nobody needs the log, which ends at `newest` and of whose budget `full` is the share in use. Where one that lags
   * would stop another that does not (that is past the middle of what it keeps), it loses its place, and one that does not run loses
   * it after `retain` too: loudly.
   */
  oldest (full: number, newest: Position): Position {
    for (const [pipeline, { position, at }] of this.kept.sort(([, a], [, b]) => a.position - b.position)) {
      const others = this.kept.filter(([other]) => other !== pipeline && this.running.has(other)).map(([, place]) => place.position)
      const crowded = full > CROWDED && Math.max(...others) > (position + newest) / 2
      const gone = !this.running.has(pipeline) && this.clock() - at >= this.retain
      if (!crowded && !gone) break
      this.places.set(pipeline, { position, at, lost: true })
      this.log.error({ pipeline, position, at: new Date(at).toISOString() }, `log: the pipeline "${pipeline}" has lost its place: ${gone ? `it has not run for ${Math.round(this.retain / 3_600_000)} h` : `the log is ${Math.round(100 * full)} % full, and others need the room`}`)
      this.running.get(pipeline)?.()
      if (crowded) break             // its room may be enough
    }
    return this.least
  }

  private async save (): Promise<void> {
    const file = join(this.folder, 'places.json')
    await this.fs.writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(this.places)), { flush: true })
    await this.fs.rename(`${file}.new`, file)
  }
}
