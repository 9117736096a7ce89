import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from './log.ts'
import type { Position } from './source.ts'
import { kinds } from './wal-segment.ts'
import { Wal } from './wal.ts'

/** How many messages after a position stand in the log of this origin, if it is among those in `folder`. Undefined when it is not there. */
export async function unread (folder: string, origin: string, after: Position, log: Logger): Promise<number | undefined> {
  for (const name of await readdir(folder).catch(() => [])) {
    const identity = await readFile(join(folder, name, 'log.json'), 'utf8').then(text => JSON.parse(text) as { id: string }, () => undefined)
    if (identity === undefined || `log:${identity.id}` !== origin) continue
    const wal = await Wal.open(join(folder, name), { log }, new AbortController().signal)
    try {
      const reader = wal.reader(Math.max(after, wal.first - 1))
      let messages = 0
      while (reader.position < wal.durable) await reader.read((_, kind) => { if (kind === kinds.message) messages++ })
      await reader.close()
      return messages
    } finally { await wal.close() }
  }
  return undefined
}
