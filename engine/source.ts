import type { Observable } from './stream.ts'
import type { Credits } from './credits.ts'
import type { DeadLetter } from './intake.ts'
import type { Logger } from './log.ts'
import type { SeriesTable } from './series.ts'
import type { Readings } from './watermark.ts'
import { options as checked, type Given, type TObject, type TProperties, type Values } from './options.ts'

/** Number of a record (= a message) in what the engine reads. Grows by one; the store keeps the last committed one. */
export type Position = number

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
}

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
  /** What positions count in: kept with each commit, given back at the next start. */
  origin? (): string | undefined
}

export interface SourceHost {
  readonly pipeline: string
  readonly series: SeriesTable
  readonly ahead: number             // ms, for Intake
  readonly log: Logger
  readonly now: () => number         // the ingest clock
  readonly origin: string | undefined        // what the stored position counts in, as the source said it; undefined at the first run
}

export interface SourceDefinition<P extends TProperties> {
  readonly name: string
  readonly summary: string
  readonly options: TObject<P>
  readonly check?: (options: Values<P>) => string | undefined
  /** The server deals the readings of one device out to several readers (such as $share of MQTT): then no step may remember. */
  readonly shares?: (options: Values<P>) => boolean
  open (options: Values<P>, host: SourceHost): Source
}

/** A source of a pipeline: a value, not a connection. */
export interface SourceSpec {
  readonly name: string
  readonly definition: SourceDefinition<any>
  readonly options: Readonly<Record<string, unknown>>
  readonly given: Readonly<Record<string, unknown>>
  open (host: SourceHost): Source
}

export function defineSource<const P extends TProperties> (definition: SourceDefinition<P>): ((given?: Given<P>) => SourceSpec) & { readonly definition: SourceDefinition<P> } {
  const make = (given: Given<P> = {}): SourceSpec => {
    const options = checked(definition.name, definition.options, given, definition.check)
    return { name: definition.name, definition, options: options as Readonly<Record<string, unknown>>, given, open: host => definition.open(options, host) }
  }
  return Object.assign(make, { definition })
}
