import { createHash, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { ALPHABET, randomText } from './random-text.ts'

/** What a key may be used for. A route names one of them, and none is here that no route names. */
export const scopes = {
  'metrics:read': 'metrics of the process, and its version, where these are not open to everybody',
  'pipelines:read': 'pipelines, how they stand, what they are, their dead letters',
  'pipelines:write': 'checking and trying pipelines, putting, pausing and deleting them, giving back their dead letters',
  'query:read': 'series, newest values, rows; questions on demand',
  'alerts:read': 'alerts, their deliveries, what people say of them, silences',
  'alerts:write': 'acknowledging and judging alerts, comments, silences and maintenance windows, replaying deliveries, enabling endpoints',
  'ingest:write': 'sending readings',
  'jobs:read': 'jobs, how far they are, what they have made',
  'jobs:write': 'starting and cancelling jobs: backfills, evaluations, exports',
  'keys:read': 'keys: whose they are and what for, never the keys themselves',
  'keys:write': 'making, rotating and revoking keys, with no more than one has'
} as const
export type Scope = keyof typeof scopes
export const isScope = (text: string): text is Scope => Object.hasOwn(scopes, text)

const ID = 8, SECRET = 43, CHECK = 6            // characters; 43 of 62 hold 256 bits
const FORM = new RegExp(`^mr_([0-9A-Za-z]{${ID}})_([0-9A-Za-z]{${SECRET}})_([0-9A-Za-z]{${CHECK}})$`)

/** What is known of a key: its name and the digest of its secret. Neither is secret. */
export interface KeyParts { readonly id: string, readonly digest: Buffer }

/** A new key, and what is to be kept of it. The key itself is shown once and kept nowhere. */
export function newKey (): KeyParts & { readonly key: string } {
  const id = randomText(ID), body = `mr_${id}_${randomText(SECRET)}`
  return { id, digest: digestOf(body), key: checked(body) }
}

/** What claims to be a key, with its check. */
export const checked = (body: string): string => `${body}_${check(body)}`

/**
 * The parts of what claims to be a key: mr_<id>_<secret>_<check>. The check is a CRC-32, so that a key that was cut off or
 * mistyped is told from one that is not known without asking anybody, and scanners find keys that leaked. undefined: no key.
 */
export function readKey (text: string): KeyParts | undefined {
  const [, id, , sum] = FORM.exec(text) ?? []
  if (id === undefined) return undefined
  const body = text.slice(0, -CHECK - 1)
  return check(body) === sum ? { id, digest: digestOf(body) } : undefined
}

/** Whether two digests are equal, in a time that does not tell where they differ. */
export const sameDigest = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

/** A secret of 256 random bits cannot be guessed from a fast digest; a slow one would only help who floods us. */
const digestOf = (body: string): Buffer => createHash('sha256').update(body).digest()

function check (body: string): string {
  let rest = crc32(body), out = ''
  for (let k = 0; k < CHECK; k++) {
    out = ALPHABET[rest % ALPHABET.length] + out
    rest = Math.floor(rest / ALPHABET.length)
  }
  return out
}
