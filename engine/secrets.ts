import { MillraceError } from './errors.ts'
import { isLoopback } from './loopback.ts'
import { isSecret } from './mask.ts'
import type { Pipeline } from './pipeline.ts'
import { partsOf } from './plan.ts'
import { hostOf } from './reach.ts'

const LEAST = 16                     // bytes
const FEWEST = 5                     // different bytes, fewer than in any random 16
/** What is tried first, and stands in examples. */
const COMMON = ['changeme', 'change', 'me', 'password', 'passwd', 'pass', 'millrace', 'secret', 'super', 'admin', 'administrator', 'root', 'postgres', 'postgresql', 'timescale', 'timescaledb', 'mqtt', 'mosquitto', 'broker', 'nats', 'redis', 'questdb', 'quest', 'guest', 'user', 'default', 'example', 'test', 'token', 'key', 'webhook', 'whsec', 'letmein', 'welcome', 'qwerty', 'iot', 'please', 'your', 'my', 'the', 'this', 'in', 'production']
const LONGEST_FIRST = COMMON.toSorted((a, b) => b.length - a.length)
/** Nothing but such words, with anything but letters between. In a time that grows with the length alone. */
const isCommon = (secret: string): boolean => /\p{L}/u.test(secret) && LONGEST_FIRST.reduce((rest, word) => rest.replaceAll(word, ' '), secret.toLowerCase().replaceAll(/\P{L}/gu, ' ')).trim() === ''

/** Passwords that would be tried for `username`. */
export const guesses = (username: string): string[] => ['', ...COMMON, ...COMMON.map(word => `${word}123`), '1234', '12345', '123456', '12345678', username, username.split('/').at(-1)!]

/** What is wrong with a secret, in words that do not tell it; undefined: nothing that can be seen. */
export function weakness (secret: string): string | undefined {
  const bytes = Buffer.from(/^whsec_[A-Za-z0-9+/=]+$/.test(secret) ? secret.slice(6) : secret, secret.startsWith('whsec_') ? 'base64' : 'utf8')
  if (secret === '') return 'is empty'
  if (isCommon(secret)) return 'is made of words that are tried first'
  if (bytes.length < LEAST) return `has ${bytes.length} bytes`
  return new Set(bytes).size < FEWEST ? 'is a few characters again and again' : undefined
}

/** Throws config/weak-secret when `secret`, as the setting says it, can be guessed. */
export function insistOnSecret (setting: string, secret: string): void {
  const wrong = weakness(secret)
  if (wrong !== undefined) throw new MillraceError('config/weak-secret', `${setting} ${wrong}, and this process listens on more than loopback`, { help: `at least ${LEAST} random bytes: openssl rand -base64 32` })
}

/** The password of a URL, and secrets of its query. */
export function insistOnUrl (setting: string, url: string): void {
  const [, given] = /^[a-z][a-z0-9+.-]*:\/\/[^/@:?#]*:([^/@?#]*)@/i.exec(url) ?? [], asked = new URLSearchParams(url.split('?')[1] ?? '')
  if (given !== undefined) insistOnSecret(`the password of ${setting}`, decoded(given))
  for (const [name, value] of asked) if (isSecret(name)) insistOnSecret(`${name} of ${setting}`, value)
}

/** Of a database or broker elsewhere: the secrets of those on this machine open nothing to others. */
export function insistOnServer (setting: string, url: string): void { if (!isNear(url)) insistOnUrl(setting, url) }

/** All secrets of what a pipeline connects to, or signs with; headers are the affair of who asks for them. */
export function insistOnSecrets (pipeline: Pipeline): void {
  for (const { name, definition, options } of partsOf(pipeline)) {
    const reached: readonly string[] = 'reaches' in definition ? definition.reaches?.(options) ?? [] : []
    if (reached.length === 0 || !reached.every(isNear)) insist(options, `${name}`, pipeline.name)
  }
}

function insist (value: unknown, setting: string, pipeline: string): void {
  if (typeof value === 'string') {
    const of = `${setting} of the pipeline "${pipeline}"`
    if (isSecret(setting) && !/\.headers\./i.test(setting)) insistOnSecret(of, value)
    else insistOnUrl(of, value)
  } else if (typeof value === 'object' && value !== null) for (const [key, inner] of Object.entries(value)) insist(inner, `${setting}.${key}`, pipeline)
}

const isNear = (url: string): boolean => isLoopback(hostOf(url) ?? '')
function decoded (text: string): string { try { return decodeURIComponent(text) } catch { return text } }
