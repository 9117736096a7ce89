import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from './errors.ts'
import { identityOf } from './journal-identity.ts'
import type { Logger } from './log.ts'
import type { Position } from './source.ts'
import { kinds } from './wal-segment.ts'
import { Wal } from './wal.ts'

/**
 * How many messages after a position stand in the log of this origin, among those that this process has open and those in `folder`.
 * What has been heard since this process opened it does not count.
 */
export async function unread (folder: string, origin: string, after: Position, log: Logger, open: Iterable<{ readonly origin: string, readonly wal: Wal, readonly found: Position }> = []): Promise<number | 'gone' | 'in use'> {
  for (const { origin: other, wal, found } of open) if (other === origin) return count(wal, after, found)
  for (const name of await readdir(folder).catch(() => [])) {
    const identity = await identityOf(join(folder, name)).catch(() => undefined)
    if (identity === undefined || `log:${identity.id}` !== origin) continue
    const wal = await Wal.open(join(folder, name), { log }, new AbortController().signal).catch(error => { if (error instanceof MillraceError && error.code === 'log/locked') return 'in use' as const; throw error })
    if (wal === 'in use') return wal
    try { return await count(wal, after, wal.durable) } finally { await wal.close() }
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
