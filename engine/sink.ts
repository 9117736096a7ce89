import type { AlertEvent } from './alert.ts'
import type { Batch } from './batch.ts'
import type { Logger } from './log.ts'
import type { SeriesTable } from './series.ts'
import type { Store, StorePlan } from './store.ts'
import { options as checked, Type, type Given, type TObject, type TProperties, type Values } from './options.ts'

/** A follower: resolved = durable. The same rows again, cut differently, must come out once (keyed by row), or its docs say that they do not. */
export interface Sink {
  write (batch: Batch<any>): Promise<void>
  close (): Promise<void>
  trouble? (): string | undefined
}

/** What is sent at once: one event under its id, or several under the id of their group. The same id: the same events. `test`: somebody tries whether it arrives. */
export interface Notice { readonly id: string, readonly events: readonly [AlertEvent, ...AlertEvent[]], readonly links?: Readonly<Record<string, string>>, readonly test?: boolean }

/**
 * Takes alerts to people. Resolved = delivered, with what the other side said. Throws Transient to be tried again later, Gone when the
 * other side says that nothing more is to come, anything else to give up.
 */
export interface Receiver {
  /** Receivers of one endpoint are slow, down or gone together. `id` has no secret in it; `name` is for people. */
  readonly endpoint?: { readonly id: string, readonly name: string }
  send (notice: Notice, signal: AbortSignal): Promise<unknown>
  close (): Promise<void>
}

export interface SinkHost {
  readonly pipeline: string
  readonly branch?: string                   // the branch that a follower stands on; '' or nothing: the trunk
  readonly series: SeriesTable
  readonly log: Logger
  readonly database: string | undefined      // where postgres goes when its options do not say
  readonly folder: string                    // where files of this process live
  readonly egress?: readonly string[] | undefined       // networks that may be sent to although they are not public
}

/** The options of every receiver: what it is known by, and whether it wants alerts of devices that there are not. Who is called out of bed by a rehearsal trusts no alert. */
export const asks = {
  name: Type.Optional(Type.String({ description: 'What it is known by, instead of its address: what waits to be sent follows it to another one. For alerts only.', pattern: '^[A-Za-z][A-Za-z0-9_-]{0,62}$' })),
  simulated: Type.Boolean({ description: 'Also alerts of simulated devices. For alerts only.', default: false })
}

/** A kind of sink. `store`: can be a pipeline's one store; `follow`: takes rows; `receive`: takes alerts. At least one of them. */
export interface SinkDefinition<P extends TProperties> {
  readonly name: string
  readonly summary: string
  readonly options: TObject<P>
  readonly check?: (options: Values<P>) => string | undefined
  /** URLs, or host:port, that it connects to: see Reach. Absent: none, or what a Guard looks at. */
  readonly reaches?: (options: Values<P>) => readonly string[]
  /** Sinks with equal keys share one store. */
  readonly storeKey?: (options: Values<P>) => string
  readonly store?: (options: readonly Values<P>[], plan: StorePlan, host: SinkHost) => Store
  readonly follow?: (options: Values<P>, host: SinkHost) => Sink
  readonly receive?: (options: Values<P>, host: SinkHost) => Receiver
  /** What makes a receiver without a name this one and no other. Absent: an alert has one of the kind. */
  readonly address?: (options: Values<P>) => string | readonly string[]
}

/** A sink of a pipeline: a value, not a connection. */
export interface SinkSpec {
  readonly name: string
  readonly definition: SinkDefinition<any>
  readonly options: Readonly<Record<string, unknown>>
  readonly given: Readonly<Record<string, unknown>>
}

export function defineSink<const P extends TProperties> (definition: SinkDefinition<P>): ((given?: Given<P>) => SinkSpec) & { readonly definition: SinkDefinition<P> } {
  const make = (given: Given<P> = {}): SinkSpec => ({ name: definition.name, definition, options: checked(definition.name, definition.options, given, definition.check) as Readonly<Record<string, unknown>>, given })
  return Object.assign(make, { definition })
}
