import { isUtf8 } from 'node:buffer'
import { isForbidden, type Fault } from '#engine'

const DEEPEST = 32
const QUOTE = 0x22, BACKSLASH = 0x5c, BRACKET = 0x5b, BRACE = 0x7b, BRACKET_END = 0x5d, BRACE_END = 0x7d

/** Bytes as text, without a byte order mark (RFC 8259, section 8.1); a fault when they are not UTF-8. */
export function readText (payload: Uint8Array): string | Fault {
  const text = (payload instanceof Buffer ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.length)).toString('utf8')
  if (text.includes('\ufffd') && !isUtf8(payload)) return { reason: 'unparseable', detail: 'the payload is not UTF-8' }
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

/** Whether JSON text nests deeper than 32. Text with fewer brackets than that is not scanned. */
export function isTooDeep (text: string): boolean {
  if (text.length < 2 * DEEPEST || !hasMany(text)) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === QUOTE) {
      for (i++; i < text.length; i++) {
        const d = text.charCodeAt(i)
        if (d === BACKSLASH) i++
        else if (d === QUOTE) break
      }
    } else if (c === BRACKET || c === BRACE) {
      if (++depth > DEEPEST) return true
    } else if (c === BRACKET_END || c === BRACE_END) depth--
  }
  return false
}

function hasMany (text: string): boolean {
  let left = DEEPEST
  for (const opener of ['[', '{']) for (let i = text.indexOf(opener); i >= 0; i = text.indexOf(opener, i + 1)) if (--left < 0) return true
  return false
}

/** A forbidden key anywhere in a parsed payload. The text is looked at first: a forbidden key is written out in it, or with an escape. */
export function forbiddenKey (text: string, parsed: unknown): string | undefined {
  return text.includes('proto') || text.includes('constructor') || text.includes('\\') ? search(parsed) : undefined
}

function search (value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const key of Object.keys(value)) {
    const found = !Array.isArray(value) && isForbidden(key) ? key : search((value as Record<string, unknown>)[key])
    if (found !== undefined) return found
  }
  return undefined
}

/** The doubles that integers beyond 2^53 in this JSON text became. With an exponent or a point a number is a double by intention. */
export function unsafeIntegers (text: string): Set<number> {
  return new Set(Array.from(text.matchAll(/(?<![^\s,:[])-?\d{16,}(?![^\s,\]}])/g), m => m[0]).filter(n => BigInt(n) > BEYOND || BigInt(n) < -BEYOND).map(Number))
}
const BEYOND = 2n ** 53n
