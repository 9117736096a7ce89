import { sleep, type Clock } from './clock.ts'
import { MillraceError } from './errors.ts'
import type { FileSystem } from './files.ts'
import type { Self } from './lock.ts'
import type { Logger } from './log.ts'
import { Wal, type WalOptions } from './wal.ts'

const AGAIN = 500                    // ms between tries to open a log whose disk is full

export interface JournalWalOptions extends Required<Pick<WalOptions, 'durable' | 'begun'>> {
  readonly folder: string
  readonly log: Logger
  readonly clock: Clock
  readonly fs: FileSystem
  readonly budget: number | undefined
  readonly keep: number | undefined
  readonly self: Self | undefined
  readonly stopping: AbortSignal
  /** It is open, with these records; nothing is appended before this has resolved. */
  readonly opened: (wal: Wal) => Promise<void>
  /** The disk is full: what was not durable has to be sent again, its positions will be those of other records. Resolves when nothing is left that nobody needs. */
  readonly lost: () => Promise<void>
  /** There is room again, and what was lost can come. */
  readonly again: () => void
  readonly failed: (error: unknown) => void
}

/** The write-ahead log of a source that is opened again when the disk was full. One of any other error is not: nobody knows what the disk holds. */
export class JournalWal {
  wal!: Wal
  full: MillraceError | undefined    // the disk is: opening again
  private readonly options: JournalWalOptions
  private readonly salts = new Set<number>()   // of the segments that this process knows

  constructor (options: JournalWalOptions) { this.options = options }

  async open (signal: AbortSignal): Promise<void> {
    const { folder, log, clock, fs, budget, keep, self, stopping, durable, begun, opened } = this.options
    const wal = this.wal = await Wal.open(folder, {
      log, fs, clock, durable, begun, ...budget === undefined ? {} : { budget }, ...keep === undefined ? {} : { keep }, ...self === undefined ? {} : { self },
      failed: error => {
        if (wal !== this.wal || stopping.aborted) return
        if (error.code === 'log/full') void this.reopen(error)
        else this.options.failed(error)
      }
    }, signal)
    const known = this.salts.size === 0 || wal.segments.slice(0, -1).every(({ salt }) => this.salts.has(salt))       // the last one is new
    if (!known) throw new MillraceError('log/locked', `log: another process has had ${folder} meanwhile`, { help: 'stop one of them' })
    for (const { salt } of wal.segments) this.salts.add(salt)
    await opened(wal).catch(async (error: unknown) => {
      await wal.close().catch(() => {})
      throw error
    })
  }

  private async reopen (error: MillraceError): Promise<void> {
    const { log, clock, stopping, lost, again, failed } = this.options
    this.full = error
    log.error({ err: error.message }, 'log: the disk is full, nothing is taken in until there is room')
    await lost()
    while (!stopping.aborted) {
      await this.wal.close().catch(() => {})
      await sleep(AGAIN, undefined, clock)
      try {
        await this.open(stopping)
        this.full = undefined
        log.info('log: there is room on the disk again')
        return again()
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'log/full') return failed(error)
      }
    }
  }
}
