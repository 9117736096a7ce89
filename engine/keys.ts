import type { Scope } from './api-key.ts'
import type { Found, Page } from './query.ts'

/** A key as it is kept: never the key itself. */
export interface KeyRecord {
  readonly id: string
  readonly digest: Uint8Array
  readonly name: string                      // whose it is, or what for
  readonly tenant: string | null             // null: every tenant
  readonly scopes: readonly Scope[]
  readonly created: Date
  readonly expires: Date | null
  readonly revoked: Date | null
  readonly used: Date | null                 // when a request last came with it, to a minute
  readonly token?: true                      // a token of an issuer, not kept here: nothing but its end is known of it
}
export type NewKey = Omit<KeyRecord, 'created' | 'revoked' | 'used'>

/** Where keys are kept. Each change writes a line of the audit log in the same transaction; `actor` is who makes it, `request` the id of the request by which. What a key is for never changes. */
export interface Keys {
  find (id: string): Promise<KeyRecord | undefined>
  /** Those of a tenant, or of every tenant; without `all` those that are valid. In the order in which they were made; without a page all of them. */
  list (which: { readonly tenant?: string | undefined, readonly all: boolean }, page?: Page): Promise<Found<KeyRecord>>
  /** @throws api/invalid for a tenant whose name none can have. False: its tenant has as many that are valid as it may, `most`. Two that are made at the same moment may both be the last. */
  add (key: NewKey, actor: string, most?: number, request?: string): Promise<boolean>
  /** Makes one with the name, tenant and scopes of `id`, valid for as long as that is in all, or to `most`; `id` ends at `until`, if not before. False: there is no such key that is valid. */
  rotate (id: string, next: Pick<NewKey, 'id' | 'digest'>, until: Date, actor: string, by?: { readonly most: Date | null, readonly request: string }): Promise<boolean>
  /** False: there is no such key, or it was revoked already. */
  revoke (id: string, actor: string, request?: string): Promise<boolean>
  /** A request has come with it. Written once a minute at most, however many say so; no line of the audit log. */
  used (id: string): Promise<void>
  close (): Promise<void>
}

export const isValid = ({ revoked, expires }: KeyRecord, now: number): boolean => revoked === null && (expires === null || expires.getTime() > now)
