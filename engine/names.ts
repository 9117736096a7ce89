import { MillraceError, type Reason } from './errors.ts'

/** Why something cannot be read. */
export interface Fault { readonly reason: Reason, readonly detail: string }

/** Characters of the name of a tenant, device, metric or tag, UTF-16 units: what is taken in can be asked for. */
export const LONGEST_NAME = 256

const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])
// eslint-disable-next-line no-control-regex
const UNFIT = /[\0-\x1f\x7f\ufeff\ufffd+#]|\p{Surrogate}/u         // with the u flag a surrogate matches only when it stands alone

/** What is wrong with the name of a tenant, device, metric or tag: 1 to LONGEST_NAME characters, none of them a control character, a lone surrogate, `+` or `#`. */
export function nameFault (kind: string, name: string): Fault | undefined {
  if (name.length === 0) return { reason: 'bad_name', detail: `the ${kind} is empty` }
  if (name.length > LONGEST_NAME) return { reason: 'bad_name', detail: `the ${kind} "${short(name)}" is ${name.length} characters long, ${LONGEST_NAME} are allowed` }
  if (isForbidden(name)) return { reason: 'forbidden_key', detail: `the ${kind} is called ${name}` }
  if (UNFIT.test(name)) return { reason: 'bad_name', detail: `the ${kind} ${JSON.stringify(short(name))} has a control character, a byte order mark, a lone surrogate, bytes that are not UTF-8, + or # in it` }
  return undefined
}

/** A name of a tenant, as one may be. @throws api/invalid: every reading under it would become a dead letter */
export function tenantName (name: string): string {
  const fault = nameFault('tenant', name)
  if (fault !== undefined) throw new MillraceError('api/invalid', fault.detail, { help: `1 to ${LONGEST_NAME} characters, no control characters, no + and no #` })
  return name
}

/** Whether JSON may not use this as a key. */
export const isForbidden = (key: string): boolean => FORBIDDEN.has(key)

/** A text from data for people, on a page or a terminal: characters that print nothing, move the cursor or turn the direction of writing are shown as such. */
export const visible = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, c => `\\u${c.codePointAt(0)!.toString(16).padStart(4, '0')}`)

/** A text shortened for a message. */
export const short = (text: string, most = 80): string => text.length <= most ? text : `${text.slice(0, most - 3)}...`
