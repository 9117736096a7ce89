import { MillraceError } from './errors.ts'
import type { IdempotencyKeys } from './idempotency.ts'
import type { Places } from './journal-places.ts'
import type { JournalWal } from './journal-wal.ts'
import type { Logger } from './log.ts'
import type { RedeliveryLog } from './redelivery-log.ts'
import type { Position } from './source.ts'
import type { Wal } from './wal.ts'

const SLACK = 128                    // bytes of headers that come with a record

/** Bytes of a record that says all that may come again, its headers not included; for one of them there is always room, because older segments wait for it. */
export const redeliveryBytes = (budget: number): number => reservedOf(budget) - SLACK
const reservedOf = (budget: number): number => Math.min(7 * 2 ** 20, budget / 8)

export interface JournalRoomOptions {
  readonly budget: number            // bytes
  readonly file: JournalWal
  readonly places: Places
  readonly redeliveries: RedeliveryLog
  readonly keys: IdempotencyKeys | undefined
  readonly log: Pick<Logger, 'warn'>
  readonly failed: () => boolean     // it cannot go on
  readonly stopping: AbortSignal
  readonly fail: (error: unknown) => void
}

/** How much a log still takes, who waits until it takes more, and what may go for that. */
export class JournalRoom {
  private readonly options: JournalRoomOptions
  private refused = 0                // bytes of a record that there was no room for: until there is, nothing is taken
  private waiting: (() => void)[] = []
  private tidying: Promise<void> | undefined
  private untidy = false

  constructor (options: JournalRoomOptions) { this.options = options }

  private get wal (): Wal { return this.options.file.wal }
  private get usable (): number { return this.options.budget - reservedOf(this.options.budget) }

  /** There is room for more. */
  get open (): boolean { return this.refused === 0 && this.options.file.full === undefined && !this.options.failed() && !this.options.stopping.aborted && this.wal.bytes < this.usable }

  /** Is there room for a record with a body of so many bytes, and for `others` small ones before it? What is reserved is not for them. */
  takes (body: number, others = 0): boolean { return this.wal.takes(body, others) && this.wal.bytes + body + (1 + others) * SLACK <= this.usable }

  /** There was no room for so many bytes: until there is, nothing is taken. */
  refuse (bytes: number): void {
    this.refused = Math.max(this.refused, bytes)
    void this.tidy()
  }

  /** Calls back once when there may be room again. */
  wait (go: () => void): void {
    if (this.open) go()
    else this.waiting.push(go)
  }

  /** There may be room again, or never. */
  wake (): void {
    if (this.refused > 0 && this.takes(this.refused, 1)) this.refused = 0
    if (this.waiting.length === 0 || !this.open) return
    const { waiting } = this
    this.waiting = []
    for (const go of waiting) go()
  }

  /** Bytes of the log that a pipeline still needs, in whole segments: all but what is kept. */
  get needed (): number {
    const { wal: { segments, bytes }, options: { places: { least } } } = this
    let kept = 0
    for (let k = 1; k < segments.length && segments[k].first - 1 <= least; k++) kept += segments[k - 1].bytes
    return bytes - kept
  }

  /** Is so much of the log behind what a reader at `position` has read that a snapshot would make room? */
  crowdedAt (position: Position): boolean {
    const { wal: { durable }, options: { budget, places: { least } } } = this
    return this.needed >= budget / 4 && position - least > (durable - least) / 4
  }

  /** Drops what nobody will read. Wakes only when that has made room: whoever is woken without room asks for it again at once. */
  tidy (): Promise<void> {
    this.untidy = true
    return this.tidying ??= this.tidyUp()
  }

  private async tidyUp (): Promise<void> {
    await Promise.resolve()          // who is told that it has lost its place may ask for this once more
    try {
      while (this.untidy) {
        this.untidy = false
        await this.make()
      }
    } finally { this.tidying = undefined }
  }

  private async make (): Promise<void> {
    const { wal, options: { budget, places, redeliveries, keys, log, fail } } = this
    if (this.options.failed()) return
    const needless = places.oldest(wal.bytes / budget, wal.durable), passed = keys?.passed ?? Infinity, upTo = Math.min(redeliveries.position - 1, passed, needless)
    const second = wal.segments[1]?.first ?? Infinity
    if (needless >= second - 1 && passed < second - 1) void keys!.save(wal.durable)
    if (needless >= second - 1 && redeliveries.position - 1 < second - 1 && !redeliveries.isSaving) redeliveries.save()      // it alone is in the way
    const { first } = wal
    if (Number.isFinite(upTo) && upTo >= first) await wal.drop(upTo).then(() => { if (wal.first > first) this.wake() }, error => {
      if (error instanceof MillraceError && error.code === 'log/locked') fail(error)           // without room nothing would be appended, and nobody would find out
      else log.warn({ err: error }, 'log: an old segment could not be removed')
    })
  }
}
