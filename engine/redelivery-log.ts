import { join } from 'node:path'
import type { FileSystem } from './files.ts'
import type { Logger } from './log.ts'
import { readMessage } from './message.ts'
import { Redeliveries } from './redelivery.ts'
import type { Position } from './source.ts'
import { kinds, type Kind } from './wal-segment.ts'
import type { Wal } from './wal.ts'

const HINT = 'senders'

/** The body of the record that says that a sender has been told of everything up to a position. */
export const barrier = (client: string, upTo: Position): Buffer => {
  const bytes = Buffer.alloc(8 + Buffer.byteLength(client))
  bytes.writeDoubleLE(upTo, 0)
  bytes.write(client, 8)
  return bytes
}

export interface RedeliveryLogOptions {
  readonly folder: string
  readonly fs: FileSystem
  readonly log: Pick<Logger, 'error'>
  readonly most: number              // bytes of a record that says all that may come again
  readonly put: (body: Buffer) => Position | undefined       // such a record into the log; undefined: there is no room
}

/**
 * What may come again, and the records of the log that say all of it: the first of each segment, or near to it, so that older
 * segments can go. After a start it is known from the newest such record and what came after it.
 */
export class RedeliveryLog {
  readonly entries: Redeliveries
  position: Position = 0             // of the newest durable record that says all of it
  forgotten = 0                      // messages that would not be recognised any more if they came again
  private saying: Position = 0       // of one that is not durable yet
  private readonly options: RedeliveryLogOptions

  constructor (options: RedeliveryLogOptions) {
    this.options = options
    this.entries = new Redeliveries(options.most, (client, entries) => { this.giveUp(client, entries) })
  }

  get isSaving (): boolean { return this.saying > 0 }

  /** Reads what a log that was just opened says. Returns the ingest time of its newest record of any kind (ms; 0: none). Reads at most a segment or two. */
  async open (wal: Wal): Promise<number> {
    const { entries, options: { fs, folder } } = this
    const noted = await fs.readFile(join(folder, HINT), 'utf8').then(Number, () => NaN)
    const reader = wal.reader((noted >= wal.first && noted <= wal.durable && await kindAt(wal, noted) === kinds.senders ? noted : wal.first) - 1)
    entries.clear()                  // what was put there and never became durable has to come again
    this.saying = 0
    let senders = 0, newest = 0
    try {
      while (reader.position < wal.durable) {
        await reader.read((position, kind, ingest, bytes, from, to) => {
          newest = Math.max(newest, ingest)
          if (kind === kinds.message) {
            const { client, packet, hash } = readMessage(bytes, from)
            if (client !== undefined) entries.put(client, packet, hash, position)
          } else if (kind === kinds.barrier) entries.confirm(bytes.toString('utf8', from + 8, to), bytes.readDoubleLE(from))
          else if (kind === kinds.senders) {
            entries.load(bytes, from, to)
            senders = position
          }
        })
      }
    } finally { await reader.close() }
    this.position = senders
    return newest
  }

  /** Into the log, where older segments wait for it; they wait on while there is more to say than fits. */
  save (): void {
    const { most, put } = this.options
    const bytes = this.entries.save(), position = bytes.length <= most ? put(bytes) : undefined
    if (position === undefined) return
    this.saying = position
  }

  /** The log is durable up to here. True when older segments have waited for that. Where the newest such record is is noted then, so that a start need not look for it. */
  durable (upTo: Position): boolean {
    if (this.saying === 0 || upTo < this.saying) return false
    this.position = this.saying
    this.saying = 0
    void this.note(this.position).catch(() => {})
    return true
  }

  /** A start that finds half of it reads the whole log, so there is never half of it. */
  private async note (position: Position): Promise<void> {
    const { fs, folder } = this.options, file = join(folder, HINT)
    await fs.writeFile(`${file}.new`, String(position))
    await fs.rename(`${file}.new`, file)
  }

  /** There is no room for all that may come again: what this client sends again now would be read twice. */
  private giveUp (client: string, entries: number): void {
    if (this.forgotten === 0) this.options.log.error({ client, entries }, 'log: more messages are unconfirmed than there is room for; what the clients that have been silent longest send again is not recognised any more. Give the log a larger budget')
    this.forgotten += entries
  }
}

/** A file may say anything. */
async function kindAt (wal: Wal, at: Position): Promise<Kind | undefined> {
  const reader = wal.reader(at - 1)
  let found: Kind | undefined
  try { await reader.read((position, kind) => { if (position === at) found = kind }) } finally { await reader.close() }
  return found
}
