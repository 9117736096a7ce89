/** The only file that imports jose. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose'
import { isScope } from './api-key.ts'
import { MillraceError } from './errors.ts'
import type { KeyRecord } from './keys.ts'
import type { Logger } from './log.ts'
import { Duration, File, options, Type, type Values } from './options.ts'
import { weakness } from './secrets.ts'
import { readSettings } from './settings-file.ts'

const SIGNED = ['RS256', 'ES256', 'EdDSA']               // by keys that anybody may know; never HS256 with them, which would take the public key for a secret
const SECRET = 32                    // bytes at least: as many as the hash has (RFC 7518, 3.2)
const RANDOM = `at least ${SECRET} random bytes: openssl rand -base64 48`
const LEEWAY = 5                     // s that clocks may be apart
const SUBJECT = /^[\x21-\x7e]{1,128}$/
const TENANT = /^\P{Cc}{1,200}$/u
const FRESH = 600_000, COOL = 30_000, LAST = 24 * 3_600_000        // ms: keys are fetched anew after; not more often, also for a kid that is not among them; they are good while they cannot be fetched
const RETRY = 5000                   // ms: where there are none, an issuer that could not be asked is not asked again before

const settings = Type.Object({
  issuer: Type.String({ description: '`iss` of tokens.', minLength: 1 }),
  audience: Type.String({ description: '`aud` of tokens, or one of them.', minLength: 1 }),
  keys: Type.Optional(Type.String({ description: 'Public keys of the issuer, a JWKS: its URL, or a file. RS256, ES256 and EdDSA.', minLength: 1 })),
  secretFile: Type.Optional(File({ description: 'A file with the secret that the issuer shares, at least 32 bytes: HS256.', minLength: 1 })),
  tenant: Type.String({ description: 'The claim that says the tenant.', default: 'tenant', minLength: 1 }),
  allTenants: Type.Optional(Type.String({ description: 'What that claim says of who may see every tenant; without it nobody may.', minLength: 1 })),
  scope: Type.String({ description: 'The claim that says the scopes: text with spaces between, or a list. Others than those of Millrace are passed over.', default: 'scope', minLength: 1 }),
  lifetime: Duration({ description: 'How far ahead `exp` may be.', default: '15m' })
})
export type TokenSettings = Values<typeof settings.properties>

export interface TokenParts {
  readonly log: Pick<Logger, 'warn'>
  /** Fetches JSON where that is allowed. */
  readonly get: (url: string) => Promise<unknown>
  readonly cool?: number             // ms
  readonly folder?: string           // of the settings
}

const isUrl = (text: string): boolean => /^https?:\/\//.test(text)

/** Tokens of an identity provider (JWT, RFC 7519) in the place of API keys. */
export class Tokens {
  private readonly settings: TokenSettings
  private readonly parts: TokenParts
  private readonly verifies: { readonly key: JWTVerifyGetKey, readonly options: JWTVerifyOptions }
  private last: { readonly at: number, readonly keys: unknown } | undefined
  private failed: { readonly at: number, readonly busy: MillraceError } | undefined

  /** Throws config/invalid, usage/file. */
  constructor (given: unknown, parts: TokenParts) {
    const { issuer, audience, keys, secretFile } = this.settings = options('jwt', settings, given)
    this.parts = parts
    if ((keys === undefined) === (secretFile === undefined)) throw new MillraceError('config/invalid', 'jwt: one of keys and secretFile is needed', { help: 'keys: the URL of the JWKS of your issuer' })
    const claims = { issuer, audience, requiredClaims: ['exp', 'sub'], clockTolerance: LEEWAY }
    if (secretFile !== undefined) {
      const secret = Buffer.from(this.read(secretFile).replace(/\r?\n$/, ''))
      if (secret.length < SECRET) throw new MillraceError('config/invalid', `jwt: the secret in ${secretFile} has ${secret.length} bytes, and whoever guesses it makes tokens for everybody`, { help: RANDOM })
      const wrong = weakness(secret.toString())
      if (wrong !== undefined) throw new MillraceError('config/weak-secret', `jwt: the secret in ${secretFile} ${wrong}, and whoever guesses it makes tokens for everybody`, { help: RANDOM })
      this.verifies = { key: async () => secret, options: { ...claims, algorithms: ['HS256'] } }
    } else {
      if (!isUrl(keys!)) this.check(this.parse(keys!))
      this.verifies = { options: { ...claims, algorithms: SIGNED }, key: createRemoteJWKSet(new URL('https://keys.invalid'), { cacheMaxAge: FRESH, cooldownDuration: parts.cool ?? COOL, [customFetch]: async () => Response.json(await this.load()) }) }
    }
  }

  /** Whose token it is; undefined: not a valid one, with why. Throws api/busy when the keys of the issuer cannot be had. */
  async verify (text: string): Promise<KeyRecord | { readonly wrong: string }> {
    const { key, options } = this.verifies, { lifetime } = this.settings
    let payload: JWTPayload
    try {
      ({ payload } = await jwtVerify(text, key, options))
    } catch (error) {
      if (error instanceof MillraceError) throw error
      return { wrong: reasonOf(error) }
    }
    const { sub = '', exp = 0 } = payload, said = payload[this.settings.tenant], scopes = payload[this.settings.scope]
    if (!SUBJECT.test(sub)) return { wrong: 'sub is not 1 to 128 visible characters' }
    if (exp * 1000 > Date.now() + lifetime + LEEWAY * 1000) return { wrong: `exp is further ahead than ${lifetime / 1000} s (lifetime)` }
    if (typeof said !== 'string' || !TENANT.test(said)) return { wrong: `the claim ${this.settings.tenant} does not say the tenant` }
    return {
      id: `jwt:${sub}`, digest: new Uint8Array(0), name: sub, tenant: said === this.settings.allTenants ? null : said, token: true, created: new Date((payload.iat ?? 0) * 1000), expires: new Date(exp * 1000), revoked: null, used: null,
      scopes: (Array.isArray(scopes) ? scopes : typeof scopes === 'string' ? scopes.split(' ') : []).filter((scope): scope is KeyRecord['scopes'][number] => typeof scope === 'string' && isScope(scope))
    }
  }

  /** The keys now; while they cannot be had, those from before. */
  private async load (): Promise<unknown> {
    const { keys } = this.settings, { cool = COOL } = this.parts
    if (this.failed !== undefined && Date.now() - this.failed.at < Math.min(RETRY, cool)) throw this.failed.busy
    try {
      const found = isUrl(keys!) ? await this.parts.get(keys!) : this.parse(keys!)
      this.check(found)
      this.last = { at: Date.now(), keys: found }
      return found
    } catch (error) {
      this.parts.log.warn({ err: (error as Error).message }, 'jwt: the keys of the issuer cannot be had')
      if (this.last !== undefined && Date.now() - this.last.at < LAST) return this.last.keys
      const busy = new MillraceError('api/busy', 'the keys of the issuer of tokens cannot be had', { cause: error })
      this.failed = { at: Date.now(), busy }
      throw busy
    }
  }

  private read (file: string): string {
    try { return readFileSync(resolve(this.parts.folder ?? '.', file), 'utf8') } catch (cause) { throw new MillraceError('usage/file', `jwt: ${file} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { cause }) }
  }

  private parse (file: string): unknown {
    try { return JSON.parse(this.read(file)) } catch (cause) { throw cause instanceof MillraceError ? cause : new MillraceError('config/invalid', `jwt: ${file} is not JSON`, { help: 'a JWKS: { "keys": [ ... ] }', cause }) }
  }

  private check (found: unknown): void {
    try { createLocalJWKSet(found as never) } catch (cause) { throw new MillraceError('config/invalid', `jwt: ${isUrl(this.settings.keys!) ? 'what the issuer gives' : this.settings.keys!} is no JWKS`, { help: '{ "keys": [ ... ] }', cause }) }
  }
}

/** Tokens as a file of YAML says; paths in it are from its folder. */
export const readTokens = (file: string, parts: TokenParts): Tokens => new Tokens(readSettings(file, 'tokens'), { ...parts, folder: dirname(file) })

/** What is wrong, in words that tell whoever holds the token what to mend. */
function reasonOf (error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `the claim ${error.claim} is ${error.reason === 'missing' ? 'missing' : 'not what it must be'}`
  if (error instanceof errors.JOSEAlgNotAllowed) return 'it is signed in a way that is not taken here'
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys || error instanceof errors.JWSSignatureVerificationFailed) return 'it is not signed by a key of the issuer'
  return 'it is no token'
}
