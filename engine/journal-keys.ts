import type { Clock } from './clock.ts'
import type { FileSystem } from './files.ts'
import { IdempotencyKeys } from './idempotency.ts'
import type { JournalWal } from './journal-wal.ts'
import type { Message } from './listener.ts'
import type { Logger } from './log.ts'
import { hashOf } from './redelivery.ts'
import { SharedKeys, type Reserved, type SharedKeysOptions } from './shared-keys.ts'
import type { Position } from './source.ts'
import type { Wal } from './wal.ts'

export interface JournalKeysOptions {
  readonly folder: string
  readonly fs: FileSystem
  readonly log: Logger
  readonly clock: Clock
  readonly now: () => number         // ingest time, ms
  readonly file: JournalWal
  /** With which instances they are shared: of this path; `owner`: what this one goes by. */
  readonly shared: SharedKeysOptions | undefined
  readonly space: string
  readonly owner: string
  readonly saved: () => void         // see IdempotencyKeys
}

/** The Idempotency-Keys of a log that is fed by requests, and those of other instances where they share them. */
export class JournalKeys {
  readonly own: IdempotencyKeys
  private readonly options: JournalKeysOptions
  private readonly hash = Buffer.alloc(8)
  private shared: SharedKeys | undefined

  constructor (options: JournalKeysOptions) {
    const { folder, fs, log, saved } = options
    this.options = options
    this.own = new IdempotencyKeys({ folder, fs, log, saved })
  }

  get events (): Readonly<Record<string, number>> { return { key_forgotten: this.own.forgotten, ...this.shared?.events } }

  open (wal: Wal): Promise<void> { return this.own.open(wal) }

  /** The log is open: what it says is told to the other instances, and written down where much of it lies behind the file: starts alone would never do that, and each would read more. */
  settle (wal: Wal): void {
    if (this.own.covered < (wal.segments.at(-2)?.first ?? 0) - 1) void this.own.save(wal.durable)
    this.shared?.settle()
  }

  /** From here on keys are those of other instances too, if they are to be. */
  share (): void {
    const { shared, clock, file, space, owner, now, log } = this.options
    if (shared !== undefined) this.shared = new SharedKeys({ ...shared, space, owner, keys: this.own, now, log, durable: () => file.wal.durable, later: (act, ms) => clock.timeout(act, ms) })
  }

  /** Where the message is that came under a key; 'other': it was not this one. While the disk is full, what has not become durable is not known: its record is lost, and its position will be that of another. */
  find (key: string, { topic, payload }: Message): Position | 'other' | undefined {
    const { file, now } = this.options, known = this.own.find(key, now())
    if (known !== undefined && known.position > file.wal.durable && file.full !== undefined) return undefined
    return known === undefined || known.hash === hashOf(topic, payload, this.hash).readBigUInt64LE(0) ? known?.position : 'other'
  }

  /** Asks the other instances, see SharedKeys; undefined when there is nothing to ask. */
  reserve (message: Message): Promise<Reserved | Position> | undefined {
    const { key, topic, payload } = message
    return key === undefined || this.shared === undefined || this.find(key, message) !== undefined ? undefined : this.shared.reserve(key, hashOf(topic, payload, this.hash).readBigUInt64LE(0))
  }

  async close (): Promise<void> { await this.shared?.close() }
}
