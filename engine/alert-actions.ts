import type { Maintenance } from './relearning.ts'
import type { AlertRow, Asker, Found, Page } from './query.ts'

/** Who does it, and for which tenant: undefined is every tenant. Of another tenant nothing exists. */
export interface Actor extends Asker { readonly id: string }

export interface Comment { readonly time: string, readonly author: string, readonly text: string }
export type Judgement = 'real' | 'false alarm'
/** An incident: its transitions by time, and what people have said of it. Times are ISO 8601. */
export interface Incident {
  readonly incident: string, readonly acknowledged: { readonly at: string, readonly by: string } | null, readonly judgement: { readonly verdict: Judgement, readonly at: string, readonly by: string } | null
  readonly comments: readonly Comment[], readonly alerts: readonly AlertRow[]
}

/** A span of the wall clock in which nobody is told of what fires. undefined: any. `device`: a pattern with *; of a maintenance window a name. `relearn`: after it the device is learned anew. */
export interface NewSilence { readonly kind: 'silence' | 'maintenance', readonly tenant: string | undefined, readonly device?: string | undefined, readonly pipeline?: string | undefined, readonly alert?: string | undefined, readonly from: number, readonly to: number, readonly reason: string, readonly relearn?: boolean }
export interface Silence {
  readonly id: string, readonly kind: string, readonly tenant: string | null, readonly device: string | null, readonly pipeline: string | null, readonly alert: string | null
  readonly from: string, readonly to: string, readonly reason: string, readonly author: string, readonly active: boolean
  readonly relearn: boolean, readonly relearned: Readonly<Record<string, string>>       // of a maintenance window; since when, by pipeline
}

export interface DeliveryFilter { readonly tenant: string | undefined, readonly pipeline?: string | undefined, readonly receiver?: string | undefined, readonly state?: string | undefined, readonly incident?: string | undefined }
/** What has become of an alert with a receiver. `notification`: the id under which it went, or will. */
export interface Delivery {
  readonly event: string, readonly receiver: string, readonly pipeline: string, readonly tenant: string, readonly notification: string, readonly state: string, readonly held: string | null, readonly posted: string, readonly due: string
  readonly attempts: number, readonly error: string | null, readonly tries: readonly { readonly time: string, readonly outcome: string, readonly error: string | null }[]
}
export interface DisabledEndpoint { readonly endpoint: string, readonly name: string, readonly reason: string, readonly since: string }

/**
 * What people do about alerts, kept in the database, by its wall clock. Each change writes a line of the audit log in the same
 * transaction. undefined, or false: there is no such thing, or not for this actor.
 */
export interface AlertActions extends Maintenance {
  incident (incident: string, actor: Actor): Promise<Incident | undefined>
  /** The first one counts; later ones only comment. */
  acknowledge (incident: string, comment: string | undefined, actor: Actor): Promise<Incident | undefined>
  comment (incident: string, text: string, actor: Actor): Promise<Incident | undefined>
  judge (incident: string, verdict: Judgement, comment: string | undefined, actor: Actor): Promise<Incident | undefined>
  /** Those that are not over, or all; the newest first. */
  silences (kind: Silence['kind'], all: boolean, page: Page, actor: Actor): Promise<Found<Silence>>
  /** undefined: `most` of its tenant are not over yet (about: two that come at the same time may both get in). */
  silence (silence: NewSilence, most: number, actor: Actor): Promise<Silence | undefined>
  /** Ends it now; one that has not begun never does. */
  endSilence (id: string, kind: Silence['kind'], actor: Actor): Promise<Silence | undefined>
  /** The newest first. */
  deliveries (filter: DeliveryFilter, page: Page, actor: Actor): Promise<Found<Delivery>>
  /** Sends it again under the same id, with all that went along, whatever became of it. What is still to be sent stays as it is: it is undefined then too. */
  replay (event: string, receiver: string, actor: Actor): Promise<Delivery | undefined>
  disabled (): Promise<readonly DisabledEndpoint[]>
  enable (endpoint: string, actor: Actor): Promise<boolean>
  close (): Promise<void>
}
