import type { Attempts } from './attempts.ts'
import type { Logger } from './log.ts'
import type { Reserved } from './shared-keys.ts'
import type { Position } from './source.ts'
import type { Reason } from './errors.ts'
import type { SeriesName } from './series.ts'

/** What a listener has heard, as bytes. */
export interface Message {
  readonly topic: string
  readonly payload: Uint8Array
  readonly stamp?: string | undefined        // its timestamp, when the protocol carries one beside the payload
  /** Who sent it under which packet id, if it may be sent again under the same one; `again`: it says that it is. */
  readonly sender?: Sender | undefined
  /** An Idempotency-Key, with whose it is: what comes again under it within 24 h is found by keyed(). */
  readonly key?: string | undefined
  /** The request that brought it, the API key that the request had, and whose the readings are when they do not say. */
  readonly request?: Requested | undefined
  /** It is one reading, whatever topic and payload say: a dead letter or a late row that is read once more. NaN: no value. */
  readonly reading?: SeriesName & { readonly time: number, readonly value: number } | undefined
  /** It could not be taken as it is: it becomes a dead letter. */
  readonly rejected?: { readonly reason: Reason, readonly detail: string } | undefined
}
export interface Requested { readonly id: string, readonly key: string, readonly tenant: string }
export interface Sender { readonly client: string, readonly packet: number, readonly again: boolean }

/**
 * Reads one message into the intake and returns its position. Never throws; gives at least one reading or dead letter.
 * `ingest`: its arrival, ms. `stamp`: its timestamp when the payload has none. `position`: its place in a log, when it has one.
 */
export type Decode = (topic: string, payload: Uint8Array, ingest: number, stamp?: unknown, position?: Position) => Position

/** The ear of a source that cannot be read again. It starts when it is made, and cares for its connections itself. */
export interface Listener {
  /** Everything appended up to here is durable: acknowledge it, in the order received. */
  durable (upTo: Position): void
  /** What had been appended and was not durable is gone: nothing of it is acknowledged, and who sent it has to send it again. */
  lost (): void
  trouble (): string | undefined
  /** The URL that it listens on, once it does. */
  address? (): string | undefined
  /** Where requests hand messages over, of a source that is fed by the API. */
  readonly inlet?: Inlet
  /** Whose readings come under a topic, when they count for its quota. */
  tenantOf? (topic: string): string
  /** How often something has happened that an operator of the process should know of, by name. */
  readonly events?: Readonly<Record<string, number>>
  /** Hears nothing more; can still acknowledge. */
  stop (): void
  /** Lets go of its connections, after what was written to them has left. */
  close (): Promise<void>
}

/** Feeds a source by requests. */
export interface Inlet {
  readonly path: string              // POST /api/v1/ingest/<path>; '': without
  readonly tenant: string            // of readings, when nobody says whose they are
  readonly largest: number           // bytes of a body
  /** Seconds until a tenant may send more readings; 0: now. */
  wait (tenant: string): number
  /**
   * Resolves when the message is durable in the log: `again` when it had come under its key before, and is not taken twice. Throws
   * api/busy when it cannot be taken now, api/key-used when another one came under its key, api/key-pending when it may be under way.
   */
  take (message: Message): Promise<{ readonly position: Position, readonly again: boolean }>
}

export interface ListenerHost {
  /** Name of the log, made of letters, digits and -: the same at every start, different for every source of a machine. */
  readonly name: string
  readonly log: Logger
  /** The ingest clock: never goes back, over restarts either. */
  now (): number
  /** Bytes that may be read from sockets and not yet appended are the listener's own affair: keep them few. */
  append (message: Message): Position | undefined
  /** Where the message is that came under the key of this one, of a source that is `keyed`; 'other': it was not the same. */
  keyed (key: string, message: Message): Position | 'other' | undefined
  /** Asks the other instances for the key of a message, see SharedKeys; undefined when there is nothing to ask: no key, none that is shared, or known here. */
  reserve (message: Message): Promise<Reserved | Position> | undefined
  /** Seconds until a tenant may send more readings, 0: now; absent when nobody has a limit. */
  readonly wait?: ((tenant: string) => number) | undefined
  /** Failed attempts of those who have to say who they are. */
  readonly attempts: Attempts
  readonly largest: number           // bytes of a payload: of a larger one only the beginning is kept
  /** Has this log ever been filled before? */
  readonly heard: boolean
  /** There is room for more. */
  readonly open: boolean
  /** Calls back once when there may be room again. */
  room (go: () => void): void
  /** What has been appended up to here is durable. */
  readonly durableUpTo: Position
  /** Whether it hears anything at present: devices are not silent while it does not. */
  listening (yes: boolean): void
  /** The sender knows that everything of its that was appended up to here has been acknowledged: it will not come again. `recorded`: also after a restart. */
  confirm (client: string, upTo: Position, recorded?: boolean): void
  /** The sender has forgotten what it had sent. */
  forget (client: string): void
  /** It cannot go on. */
  fail (error: unknown): void
}
