import type { Flow } from './flow.ts'
import type { Position } from './source.ts'
import type { Commit, Recovered, RecoveredSnapshot } from './store.ts'
import { isIntact, type SnapshotPage } from './snapshot.ts'
import type { Logger } from './log.ts'
import { MillraceError } from './errors.ts'

/**
 * ms of work after which the next snapshot begins: so many per byte of the last one, that snapshots cost little beside the work, within
 * these bounds; `large` per byte where that is more: five times as long as it takes to copy, and about as long as to take up.
 */
const REPLAY = { perByte: 150 / 2 ** 20, least: 500, most: 2000, large: 15 / 2 ** 20 }
const SLICE = 2 ** 20, LAST_SLICE = 8 * 2 ** 20      // bytes of pages in a commit: on the way, and when nothing else is done
const MARKS = 10_000                 // kept since the last snapshot
const MESSAGE = 0.01, READING = 0.0015         // ms each: what reading them again costs beside the flow, until that has been measured
const MEASURED = 50                  // ms of work that say how much longer it takes than it is thought to,
const SLOWEST = 5                    // but no more than so many times: some of it may have been waiting

/** `replay`: ms of work after which the next one begins, whatever the last one's size. `slice`: bytes of pages in a commit, `lastSlice` when nothing else is done. */
export interface SnapshotSizes { readonly replay?: number, readonly slice?: number, readonly lastSlice?: number }

type Place = Pick<RecoveredSnapshot, 'position' | 'origin'>
type Whole = NonNullable<NonNullable<Commit['snapshot']>['complete']>

/**
 * When snapshots are taken, and how they get into commits: one begins when what would be done again after a crash has come to
 * 0.5 s (2 s when a snapshot is large, more beyond 130 MB), goes on for as many commits as its pages need, and is the one to recover from when the last of them is committed. The one before
 * is kept in case this one is found damaged.
 */
export class Checkpoints {
  private readonly flow: Flow
  private readonly sizes: SnapshotSizes
  private readonly whole: boolean            // the store keeps no pages
  private generation: number
  private work = 0                           // ms since the newest snapshot that is complete
  private since = 0                          // of them, since the one under way began
  private marks = 0
  private slower = 1                         // how many times longer working out again takes than is thought
  private bytes = 0                          // of the newest snapshot that this process has completed
  private copied = 0                         // of the one under way
  complete = 0                               // taken by this process
  private underWay: Whole | undefined
  private kept: readonly Place[] = []        // of the complete ones, oldest first, at most two
  private urgent = false
  private renew: boolean                     // the next one has to be of everything

  constructor (flow: Flow, recovered: Recovered, { whole = false, renew = false, ...sizes }: SnapshotSizes & { readonly whole?: boolean, readonly renew?: boolean } = {}) {
    this.sizes = sizes
    this.flow = flow
    this.whole = whole
    this.renew = renew
    this.generation = recovered.snapshots[0]?.generation ?? 0
    this.kept = recovered.snapshots.toReversed()
  }

  /** Something was done that would have to be done again. */
  did (ms: number, messages: number, readings: number): void {
    const more = this.slower * (ms + messages * MESSAGE + readings * READING)
    this.work += more
    this.since += more
  }

  /** What was to be done again is done, and has taken so many ms: as long as a source takes to be read. */
  again (ms: number): void {
    if (this.work < MEASURED) return
    this.slower = Math.min(SLOWEST, Math.max(1, ms / this.work))
    this.work *= this.slower
  }

  /** The next one begins at once: those that there are do not lead to where the flow is. */
  hurry (): void { this.urgent = true }

  /** Is it time for one? `crowded`: the source has no room for what the older ones keep. */
  due (crowded: boolean): boolean { return this.underWay === undefined && (this.urgent || this.work > this.replay || this.marks > MARKS || crowded && this.flow.position > this.needless) }
  private get replay (): number { return this.sizes.replay ?? Math.max(Math.min(REPLAY.most, Math.max(REPLAY.least, this.bytes * REPLAY.perByte)), this.bytes * REPLAY.large) }
  /** Up to where neither of the two needs what was read: nowhere while the older one counts in another log than the newer one. */
  private get needless (): Position {
    const [older, newer = older] = this.kept
    return older === undefined || older.origin !== newer.origin ? 0 : older.position
  }

  get isUnderWay (): boolean { return this.underWay !== undefined }

  /** Begins one of the state as it is: between two deliveries, when all before is committed. What one under way has is part of it. */
  begin (version: number, origin: string | undefined): void {
    const pages = this.flow.snapshots.begin(this.whole || this.renew)
    this.renew = false
    this.urgent = false
    this.since = this.copied = 0
    this.underWay = { generation: ++this.generation, position: this.flow.position, version, origin, pages, layout: this.flow.snapshots.layout }
  }

  /** What the next commit is to keep of it. `last`: nothing else is done, so as much as fits. */
  part (last = false): Commit['snapshot'] {
    const { underWay, flow: { snapshots }, sizes: { slice = SLICE, lastSlice = LAST_SLICE } } = this
    if (underWay === undefined) return undefined
    if (snapshots.isGivenUp) {
      this.underWay = undefined
      this.hurry()
      return undefined
    }
    snapshots.advance(last ? lastSlice : slice)
    const pages = snapshots.take()
    for (const { data } of pages) this.copied += data.length
    return { generation: underWay.generation, pages, ...snapshots.left === 0 ? { complete: underWay } : {} }
  }

  /** A commit with this part of a snapshot, and so many marks, is done. Returns up to where nothing will be read again, when that is known and has changed. */
  committed (part: Commit['snapshot'], marks: number): Position | undefined {
    this.marks += marks
    if (part?.complete === undefined) return undefined
    this.underWay = undefined
    this.complete++
    this.work = this.since
    this.marks = 0
    this.bytes = this.copied
    this.kept = [...this.kept.slice(-1), part.complete]
    return this.needless > 0 ? this.needless : undefined
  }
}

/** The newest snapshot whose pages are all as they were written, with those. Nothing when there never was one; throws when there is one and none is intact. */
export async function intactOf (recovered: Recovered, log: Logger): Promise<{ readonly header: RecoveredSnapshot, readonly content: readonly SnapshotPage[], readonly older: boolean } | undefined> {
  for (const [i, snapshot] of recovered.snapshots.entries()) {
    const content = await snapshot.content()
    const damaged = content.filter(page => !isIntact(page))
    if (damaged.length === 0 && content.length === snapshot.pages) return { header: snapshot, content, older: i > 0 }
    log.error({ generation: snapshot.generation, position: snapshot.position, pages: snapshot.pages, found: content.length, damaged: damaged.map(({ partition, page }) => `${partition}/${page}`) }, 'a snapshot is damaged, going back to the one before')
  }
  if (recovered.snapshots.length === 0) return undefined
  throw new MillraceError('store/damaged', `the snapshots of generation ${recovered.snapshots.map(s => s.generation).join(' and ')} are both damaged`, { help: 'restore the database from a backup' })
}
