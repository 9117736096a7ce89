import { History } from './history.ts'
import type { Logger } from './log.ts'
import type { RunOptions } from './run-options.ts'
import type { SnapshotHeader } from './snapshot.ts'
import type { SourceHost } from './source.ts'
import type { Recovered } from './store.ts'

/** `history`: what it reads first. `joined`: what it has read to the end and may be removed once a commit says so; then `join`, where in its own source it goes on. */
export interface PastOf { readonly history?: History, readonly joined?: History, readonly join?: Pick<SourceHost, 'origin' | 'committed' | 'committedAt'> }

/**
 * Is a pipeline in the middle of its past? Then that is what it reads, and its own source keeps what comes. When it has come to the
 * end of it, and remembers all of it, where in its own source it goes on. Nothing when it has no past.
 */
export async function pastOf ({ folder, journal, acceptLoss }: Pick<RunOptions, 'folder' | 'journal' | 'acceptLoss'>, name: string, log: Logger, recovered: Recovered, header: SnapshotHeader | undefined): Promise<PastOf> {
  const history = await History.of(folder, recovered.origin).catch(error => {
    if (acceptLoss !== true) throw error
    log.error({ err: (error as Error).message }, 'the rest of a backfill is given up')
  })
  if (history === undefined) return {}
  const { join, over } = history.past
  if (over === true && header?.origin === recovered.origin && header?.position === recovered.position) return { joined: history, join: { origin: join.origin, committed: join.position, committedAt: undefined } }
  if (journal !== undefined && journal.origin === join.origin && join.position !== undefined) await journal.stay(name, join.position)
  log.info({ id: history.past.id, done: recovered.position, records: history.end }, 'works through its past before it goes on')
  return { history }
}
