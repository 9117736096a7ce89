import type { AlertEvent } from './alert.ts'
import type { Batch } from './batch.ts'
import type { DeadLetter } from './intake.ts'
import type { Reason } from './errors.ts'
import type { Span } from './history.ts'
import type { Policy } from './policy.ts'
import type { Notice } from './sink.ts'
import type { SnapshotHeader, SnapshotPage } from './snapshot.ts'
import type { Mark, Position } from './source.ts'
import type { Counts } from './tally.ts'

/** A table that a pipeline writes: made, or widened by new columns, when the store opens. */
export interface TablePlan {
  readonly name: string
  readonly kind: 'readings' | 'windows'      // windows: key (series, time), with revision and provisional; readings: key (series, time, seq)
  readonly columns: readonly string[]        // what operators added, in order; all double precision
  readonly options: Readonly<Record<string, unknown>>   // of the sink that names the table
}
/** `receivers`: of alerts. What is kept under a former key of one is of the one that it has now from when the store opens. */
export interface StorePlan { readonly pipeline: string, readonly tables: readonly TablePlan[], readonly receivers?: readonly { readonly key: string, readonly former: readonly string[] }[] }

/** Rows for one table. `batch.provisional` rows, if any, belong to the same table; rows with revision > 0 replace an earlier one. */
export interface Write { readonly branch: string, readonly table: string, readonly batch: Batch<any> }
/** What became of a Write: rows stored (provisional ones not counted), rows that were there already, rows refused (they are dead letters now). */
export interface Outcome { readonly written: number, readonly duplicates: number, readonly refused: number }
export interface LateRows { readonly branch: string, readonly step: string, readonly batch: Batch<any> }

/** Everything that one step of the loop leaves behind: all of it durable at once, or none. */
export interface Commit {
  readonly writes: readonly Write[]
  /**
   * Stored all; `stale` ones (see Alert) are marked and come with no receivers, so that nothing is sent. One that comes again without
   * the mark replaces itself.
   */
  readonly alerts: readonly { readonly event: AlertEvent, readonly receivers: readonly string[], readonly stale?: boolean }[]
  readonly late: readonly LateRows[]
  readonly deadLetters: readonly DeadLetter[]
  readonly position: Position
  readonly origin?: string | undefined       // what positions count in, see Source.origin
  readonly partitions: readonly number[]     // that it is about
  readonly marks: readonly Mark[]            // that followed `position` and that cannot be read again
  readonly ingest: number
  /** The counts to keep, given what became of each write (in their order). Called before a transaction ends, of each that is tried. */
  readonly counts: (outcomes: readonly Outcome[]) => Record<string, Counts>
  /** Pages of a snapshot; with the last of them its header, which makes it the one to recover from. */
  readonly snapshot?: { readonly generation: number, readonly pages: readonly SnapshotPage[], readonly complete?: SnapshotHeader & { readonly version: number } }
  readonly epoch: number
  readonly version: number                   // how many commits came before this one
  /** Rows in this span of event time take the place of those with their key; others are there already, whatever they say. */
  readonly replace?: Span
}
export interface Recovered {
  readonly position: Position | undefined
  readonly version: number
  readonly epoch: number
  readonly counts: Record<string, Counts>    // branch -> counts; '' is the trunk
  readonly origin?: string | undefined       // as committed with the position
  readonly ingest?: number | undefined       // ingest clock of the newest commit, ms
  /** Newest first: the next is for the case that one is damaged. What a commit never completed is gone. */
  readonly snapshots: readonly RecoveredSnapshot[]
  /** Since the oldest of the snapshots, in order; `version` of the commit that kept it. */
  readonly marks: readonly (Mark & { readonly position: Position, readonly version: number })[]
}
export interface RecoveredSnapshot extends SnapshotHeader {
  readonly version: number                   // commits up to this one are in it
  /** Its pages, as far as they can be read. */
  content (): Promise<readonly SnapshotPage[]>
}

/** One delivery to one receiver, still to be made. `tried`: when it was first, ms; where that is not kept, attempts alone say when to give up. */
export interface OutboxEntry extends Notice { readonly receiver: string, readonly attempts: number, readonly tried?: number }
/** An endpoint that said it is gone. */
export interface Disabled { readonly endpoint: string, readonly name: string, readonly reason: string }
/** `after`, of a retry: when it is due again, ms since 1970. */
export interface Settled { readonly state: 'delivered' | 'retry' | 'dead', readonly after?: number, readonly error?: string }

/** A dead letter, or a late row, as it is kept. */
export interface Letter {
  readonly origin: string
  readonly position: Position
  readonly part: number
  readonly reason: Reason | 'late'
  readonly detail: string
  readonly topic: string
  readonly payload: Uint8Array
  readonly ingest: number                    // ms
  readonly requeued: boolean                 // it has been given to the source once more
}
export interface LetterQuery { readonly late?: boolean, readonly reason?: string | undefined, readonly position?: number | undefined, readonly requeued?: boolean, readonly limit: number }

/** Where a pipeline's results live: exactly one per pipeline. */
export interface Store {
  /**
   * Connects (trying again until `signal`), migrates, makes tables, takes over the pipeline's checkpoint by raising its epoch. `epoch`: only
   * where it is still this one. @throws store/fenced
   */
  open (signal: AbortSignal, epoch?: number): Promise<Recovered>
  /** Durable when it resolves. Transient: not committed, try the same again. An unknown outcome is settled inside. */
  commit (commit: Commit): Promise<readonly Outcome[]>
  /** It has no pages of its own to keep between snapshots: each is to be of all pages. */
  readonly whole?: boolean
  /**
   * Leases due entries of the outbox for a minute; none of the receivers in `except`, which have enough to do. Of receivers that `policies`
   * does not name nothing is decided for a day: they may come back. @throws store/fenced when another process has opened the store since
   */
  due (limit: number, now: number, except?: readonly string[], policies?: ReadonlyMap<string, Policy>): Promise<readonly OutboxEntry[]>
  /** It heeds policies, silences and what people say; one that does not takes no policies. */
  readonly decides?: boolean
  settle (entry: OutboxEntry, how: Settled): Promise<void>
  /** How many entries of the outbox are neither delivered nor given up; of those that are due until then, ms. */
  waiting? (until?: number): Promise<number>
  /** What is kept of endpoints that are gone; a store without it forgets them with the process. */
  readonly endpoints?: { disabled (): Promise<readonly string[]>, disable (endpoint: Disabled): Promise<void> }
  /** What could not become a row, or came too late, newest first. Needs no open(). */
  letters (query: LetterQuery): Promise<readonly Letter[]>
  /** These have been given to the source once more, `by` whom. Needs no open(). */
  requeued (letters: readonly Letter[], by: string, request?: string): Promise<void>
  /** Gives up what the pipeline remembers and how far it has come; rows, alerts, dead letters stay, and what fires ends: `pipeline deleted`. Needs no open(), and nobody may have it open. */
  forget (): Promise<void>
  /** Open, it gives up what the pipeline remembers: it stands at the beginning of `origin` now. Of a store that can replace rows. */
  restart? (origin: string): Promise<void>
  close (): Promise<void>
  trouble (): string | undefined
  /** What has happened to it that should be known, by how often. */
  readonly events?: Readonly<Record<string, number>>
}
export type { Reason }
