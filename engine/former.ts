import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from './errors.ts'
import { identityOf } from './journal-identity.ts'
import { Places } from './journal-places.ts'
import type { Logger } from './log.ts'
import type { Position } from './source.ts'
import { kinds } from './wal-segment.ts'
import { Wal } from './wal.ts'

/** A log that a pipeline has read before another one. */
export interface Former {
  /** How many messages after a position stand in it. What has been heard since this process opened it does not count. */
  unread (after: Position): Promise<number>
  /** The pipeline needs nothing of it up to this position: where it begins should it come back. */
  leave (pipeline: string, position: Position): Promise<void>
  close (): Promise<void>
}

interface Open { readonly origin: string, readonly wal: Wal, readonly found: Position, move (pipeline: string, position: Position): void }

/** The log of this origin, among those that this process has open and those in `folder`. */
export async function former (folder: string, origin: string, log: Logger, open: Iterable<Open> = []): Promise<Former | 'gone' | 'in use'> {
  for (const journal of open) if (journal.origin === origin) {
    return { unread: after => count(journal.wal, after, journal.found), leave: async (pipeline, position) => { journal.move(pipeline, position) }, close: async () => {} }
  }
  for (const name of await readdir(folder).catch(() => [])) {
    const place = join(folder, name), identity = await identityOf(place).catch(() => undefined)
    if (identity === undefined || `log:${identity.id}` !== origin) continue
    const wal = await Wal.open(place, { log }, new AbortController().signal).catch(error => { if (error instanceof MillraceError && error.code === 'log/locked') return 'in use' as const; throw error })
    if (wal === 'in use') return wal
    return {
      unread: after => count(wal, after, wal.durable),
      async leave (pipeline, position) {
        const places = new Places(place, { log, clock: Date.now })
        await places.open()
        places.move(pipeline, position)
        await places.saved
      },
      close: () => wal.close()
    }
  }
  return 'gone'
}

async function count (wal: Wal, after: Position, upTo: Position): Promise<number> {
  const reader = wal.reader(Math.max(after, wal.first - 1))
  let messages = 0
  while (reader.position < upTo) await reader.read((position, kind) => { if (kind === kinds.message && position <= upTo) messages++ })
  await reader.close()
  return messages
}
