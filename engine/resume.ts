/** What stands against going on where the last run stopped. Either is said by name; `acceptLoss` goes on all the same, and says so. */
import { join } from 'node:path'
import { MillraceError } from './errors.ts'
import { former } from './former.ts'
import type { Journal } from './journal.ts'
import type { Logger } from './log.ts'
import type { SnapshotHeader } from './snapshot.ts'
import type { Position } from './source.ts'
import type { Recovered } from './store.ts'

interface Resume {
  readonly pipeline: string
  readonly folder: string
  readonly log: Logger
  readonly acceptLoss?: boolean
  readonly journals?: Iterable<Journal>      // all that this process has open
}

/** Positions count in something else than before, in `now`: what was read must be in the memory, and all of it must have been read. @throws log/missing */
export async function checkMoved ({ pipeline, folder, log, acceptLoss, journals }: Resume, { origin, position = 0 }: Recovered, header: SnapshotHeader | undefined, now: string): Promise<void> {
  if (origin === undefined) return           // of a time when nothing was acknowledged before it was committed
  const before = origin.startsWith('log:') ? await former(join(folder, 'log'), origin, log, journals) : undefined
  try {
    const left = typeof before === 'object' ? await before.unread(position) : before ?? 0
    const remembered = header?.origin === origin && header.position === position
    if (remembered && (left === 0 || left === 'gone')) log.warn({ before: origin, now }, `reads another log or stream than before; what it remembers is kept${before === undefined ? '. Whether the former one had more for it was not looked at' : ''}`)
    else if (acceptLoss) log.error({ before: origin, now, position, remembered: header?.position, unread: left }, 'the log or stream that was read before is given up, with what was not read or not remembered of it')
    else throw missing(pipeline, origin, position, now, left)
    if (typeof before === 'object') await before.leave(pipeline, position)
  } finally { if (typeof before === 'object') await before.close() }
}

const missing = (pipeline: string, origin: string, position: Position, now: string, left: number | 'gone' | 'in use'): MillraceError =>
  new MillraceError('log/missing', `the pipeline "${pipeline}" stands at position ${position} of ${origin}${left === 'gone' ? ', which is not there' : left === 'in use' ? ', which another process has in use, with what it may still have for this pipeline' : `, of which it has ${left} messages still to read`}; its source is now ${now}`, {
    help: `${left === 'gone' ? 'bring the folder of that log back' : left === 'in use' ? 'stop that process' : 'run it once more with its former source until it has read them'}; or start with --accept-loss to go on without`
  })

/** Steps that are not as they were, where that would end windows and alerts in silence, or leave out what they would have said. @throws engine/changed */
export function checkChanged ({ pipeline, log, acceptLoss }: Resume, steps: readonly string[], why: string, help: string): void {
  if (acceptLoss) return log.error({ steps }, `these steps are not as they were, and ${why}: accepted`)
  throw new MillraceError('engine/changed', `the pipeline "${pipeline}": ${steps.map(step => `"${step}"`).join(', ')} ${steps.length === 1 ? 'is' : 'are'} not as at the last stop, and ${why}`, { help: `${help}; or start with --accept-loss` })
}
