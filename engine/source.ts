import type { Observable } from './stream.ts'
import type { Credits } from './credits.ts'
import type { DeadLetter, Intake } from './intake.ts'
import type { Decode, Listener, ListenerHost } from './listener.ts'
import type { Logger } from './log.ts'
import type { Relearn } from './relearn.ts'
import type { SeriesTable } from './series.ts'
import type { Readings } from './watermark.ts'
import { options as checked, type Given, type TObject, type TProperties, type Values } from './options.ts'

/** Number of a record (= a message) in what the engine reads. Grows by one; the store keeps the last committed one. */
export type Position = number

/** Reason of the abort that ends one reader of a log and not the source: what is durable so far is read, and the source goes on for others, or for who comes next. */
export const LEAVE = 'leave'

/** What a source hands over at once: some messages, already columns. */
export interface Delivery {
  readonly rows: Readings
  readonly dead: readonly DeadLetter[]
  readonly received: number          // readings, dead ones included
  readonly messages: number
  readonly upTo: Position            // of the last message
  readonly ingest: number            // wall clock at the start plus monotonic time, ms: never goes back
  readonly bytes: number             // to be given back to the credits
  readonly ended: boolean            // nothing will follow: the source has come to its end
  readonly mark?: Mark               // instead of rows
}

/** Something that is no reading and decides nevertheless. `time`: ingest clock, ms. */
export type Mark =
  | { readonly kind: 'tick' | 'listen', readonly time: number }      // so late it is; or: nobody has been listening until now, so nobody was silent
  | { readonly kind: 'relearn', readonly time: number, readonly of: Relearn }

/** A running source. Reads only while `credits.open`, and nothing after `signal`. */
export interface Source {
  /** Starts after `from` (undefined: from the beginning). An error ends the source; connection losses are handled inside. */
  open (from: Position | undefined, credits: Credits, signal: AbortSignal): Observable<Delivery>
  /** Everything up to here is safe in the store: acknowledge it. */
  commit (upTo: Position): Promise<void>
  /** Lets go of its connections. Called once, after the last commit: until then it can acknowledge. */
  close? (): Promise<void>
  /** Connected and reading? For /readyz: undefined when well, else a sentence. */
  trouble (): string | undefined
  /** The URL that a source listens on, once it does. */
  address? (): string | undefined
  /** The ingest clock of a source that brings its own, such as the time in the files of a replay; absent: the engine's. */
  now? (): number
  /** What positions count in: kept with each commit, given back at the next start. Before it is known: what was given, when that is of such a source, else undefined. */
  origin? (): string | undefined
  /** Whether it had to begin anew since this was last asked: its positions have nothing to do with those before. */
  restarted? (): boolean
  /** Nothing up to here will be asked for again. */
  done? (upTo: Position): void
  /** What it reads is history: its time says nothing about ours. */
  readonly past?: boolean
  /** It has marks in its log, and the engine makes none. */
  readonly marks?: boolean
  /** Records that wait to be read. */
  behind? (): number
  /** It wants room: what nobody needs any more should be given up soon, see done(). */
  crowded? (): boolean
  /** How often something has happened that an operator of the process should know of, by name. */
  events? (): Readonly<Record<string, number>>
}

export interface SourceHost {
  readonly pipeline: string
  readonly series: SeriesTable
  readonly ahead: number             // ms, for Intake
  readonly log: Logger
  readonly now: () => number         // the ingest clock
  readonly origin: string | undefined    // what the stored position counts in, as the source said it; undefined at the first run
  readonly committed?: Position | undefined      // the stored position: what comes up to it is read again only to be remembered
  readonly committedAt?: number | undefined      // ingest clock of its commit, ms: what stands there came before
}

export interface SourceDefinition<P extends TProperties> {
  readonly name: string
  readonly summary: string
  readonly options: TObject<P>
  readonly check?: (options: Values<P>) => string | undefined
  /** URLs, or host:port, that it connects to: see Reach. Absent: none. */
  readonly reaches?: (options: Values<P>) => readonly string[]
  /** The server deals the readings of one device out to several readers (such as $share of MQTT): then no step may remember. */
  readonly shares?: (options: Values<P>) => boolean
  /** A source that can be read again from a position. */
  readonly open?: (options: Values<P>, host: SourceHost) => Source
  /** One that cannot: what it hears goes into a log, and the log is read. */
  readonly listen?: (options: Values<P>, host: ListenerHost) => Listener
  /** Messages may come with an Idempotency-Key. Goes with `listen`. */
  readonly keyed?: boolean
  /** How what it has heard becomes columns. Goes with `listen`. */
  readonly decode?: (options: Values<P>, series: SeriesTable, intake: Intake) => Decode
  /** Options of a source that listens which say how it reads and not what: with others of them it goes on with the same log. */
  readonly tuning?: readonly string[]
}

/** A source of a pipeline: a value, not a connection. */
export interface SourceSpec {
  readonly name: string
  readonly definition: SourceDefinition<any>
  readonly options: Readonly<Record<string, unknown>>
  readonly given: Readonly<Record<string, unknown>>
  readonly listens: boolean
}

export function defineSource<const P extends TProperties> (definition: SourceDefinition<P>): ((given?: Given<P>) => SourceSpec) & { readonly definition: SourceDefinition<P> } {
  const make = (given: Given<P> = {}): SourceSpec => {
    const options = checked(definition.name, definition.options, given, definition.check)
    return { name: definition.name, definition, options: options as Readonly<Record<string, unknown>>, given, listens: definition.listen !== undefined }
  }
  return Object.assign(make, { definition })
}
