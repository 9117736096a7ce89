import type { SnapshotSizes } from './checkpoint.ts'
import type { Clock } from './clock.ts'
import type { Journal } from './journal.ts'
import type { Live } from './live.ts'
import type { Logger } from './log.ts'
import type { SinkHost } from './sink.ts'
import type { SourceSpec } from './source.ts'
import type { Store, StorePlan } from './store.ts'

/** What a run is given beside its pipeline. */
export interface RunOptions {
  readonly log: Logger
  readonly folder: string                    // files of this process, such as the local store
  readonly database?: string | undefined     // where postgres sinks go that do not say
  readonly maxSeries?: number
  readonly seriesOf?: ((tenant: string) => number) | undefined         // how many a tenant may have
  readonly fallback: (plan: StorePlan, host: SinkHost) => Store       // the store of a pipeline whose sinks bring none
  readonly source?: SourceSpec               // read this instead of the pipeline's own
  readonly journal?: Journal | undefined     // of the source, when it cannot be read again
  readonly journals?: Iterable<Journal>      // all that this process has open
  readonly careful?: boolean                 // an operator has thrown: find the readings on which it does
  readonly maxPoison?: number                // how many of them in a row are too many
  readonly acceptLoss?: boolean              // go on although what was read before is not there any more
  readonly now?: () => number
  readonly clock?: Clock
  readonly live?: Live | undefined           // who listens to what is committed
  readonly egress?: readonly string[] | undefined      // see SinkHost
  readonly links?: string | undefined        // where people reach the API: alerts link there
  readonly snapshots?: SnapshotSizes         // when they are taken, and in how small parts
}
