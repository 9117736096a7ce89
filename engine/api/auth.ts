import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isScope, readKey, sameDigest, type KeyParts, type Scope } from '../api-key.ts'
import { MillraceError } from '../errors.ts'
import { isValid, type KeyRecord } from '../keys.ts'
import { later } from './quota.ts'
import type { Plane } from './server.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key needs to use the route; 'public': no key at all. A route without it is refused when it is added. */
    scope?: Scope | 'public'
  }
  interface FastifyInstance {
    /** Whether a key that was let in still would be. Rejects when that cannot be known. */
    isValid (key: KeyRecord): Promise<boolean>
  }
  interface FastifyRequest {
    /** Whose request it is; undefined on public routes. */
    actor?: KeyRecord
  }
}

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]*$/       // three parts of base64url
const HOW = 'Authorization: Bearer mr_...; millrace keys create makes one'
const FRESH = 1000                   // ms that a key is believed after it was looked up: so long a revocation may take
const KNOWN = 10_000                 // keys looked up lately
const OUTAGE = 24 * 3_600_000        // ms that a key is believed for ingestion after it was last found, while the database cannot be asked
const AGAIN = 10_000                 // ms from one such question to the next
const MARK = 65_000                  // ms from one mark that a key is used to the next: a little more than the minute in which one is written

/**
 * Every route says which scope it needs, and a request has a key that has it: `Authorization: Bearer mr_...`. What is no key is
 * refused without asking anybody, an unknown key after the same work as a wrong one. While the database of keys cannot be reached
 * readings are taken in with keys that were valid when it last could: nobody can revoke one meanwhile. With `tokens`, one of these does as well as a key.
 *
 * From where too many have failed, see Attempts, nobody is asked about a key: 429. One that has been found valid here lately is let in all
 * the same, and so is a good token: to check these asks nobody, and neither can be guessed.
 */
export function authorise (app: FastifyInstance, { keys, tokens, attempts }: Pick<Plane, 'keys' | 'tokens' | 'attempts'>): void {
  const lately = new Map<string, { readonly at: number, readonly found: Promise<KeyRecord | undefined> }>()
  const find = (id: string): Promise<KeyRecord | undefined> => {
    const now = performance.now(), known = lately.get(id)
    if (known !== undefined && now - known.at < FRESH) return known.found
    if (lately.size >= KNOWN) lately.clear()
    const found = keys!.find(id)
    lately.set(id, { at: now, found })
    found.then(record => {
      if (valid.size >= KNOWN) valid.clear()
      if (record === undefined) valid.delete(id)
      else valid.set(id, { at: now, record })
    }, () => {
      away = performance.now()
      lately.delete(id)
    })
    return found
  }
  const marked = new Map<string, number>()
  /** Kept beside the request, which does not wait; what fails is tried with a later one. */
  const mark = (id: string): void => {
    const now = performance.now()
    if (now - (marked.get(id) ?? -Infinity) < MARK) return
    if (marked.size >= KNOWN) marked.clear()
    marked.set(id, now)
    keys!.used(id).catch(() => { marked.set(id, now - MARK + AGAIN) })
  }
  const valid = new Map<string, { readonly at: number, readonly record: KeyRecord }>()
  let away = -Infinity               // when the database was last found so
  /** For readings, which are to get in also while the database is away. */
  const findAnyhow = async (id: string): Promise<KeyRecord | undefined> => {
    const { at, record } = valid.get(id) ?? { at: -Infinity, record: undefined }, now = performance.now()
    if (record === undefined || now - at > OUTAGE) return await find(id)
    return now - away < AGAIN ? record : await find(id).catch(() => record)
  }

  app.addHook('onRoute', ({ url, method, config }) => {
    const scope = config?.scope
    if (scope !== 'public' && (scope === undefined || !isScope(scope))) throw new Error(`the route ${String(method)} ${url} declares no scope`)
  })
  app.decorateRequest('actor')
  app.decorate('isValid', async ({ id, digest, token, ...rest }: KeyRecord) => {
    if (token === true) return isValid({ id, digest, ...rest }, Date.now())
    const record = await find(id)
    const still = record !== undefined && sameDigest(record.digest, digest) && isValid(record, Date.now())
    if (still) mark(id)
    return still
  })
  const isKnown = ({ id, digest }: KeyParts): boolean => {
    const { record } = valid.get(id) ?? {}
    return record !== undefined && sameDigest(record.digest, digest) && isValid(record, Date.now())
  }
  const putOff = (reply: FastifyReply, seconds: number) => later(reply, seconds, 'too many attempts from this address, or under this name, have failed')

  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const { ip, headers, routeOptions: { config: { scope } } } = request
    if (scope === 'public' || request.is404) return
    const [, text] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
    if (text === undefined) throw new MillraceError('api/unauthorised', 'the request has no key', { help: HOW })
    if (tokens !== undefined && TOKEN.test(text)) {
      const record = await tokens.verify(text)
      if (!('wrong' in record)) return letIn(request, scope!, record)
      const wait = attempts.wait(ip)
      if (wait > 0) throw putOff(reply, wait)
      attempts.failed(ip)
      throw new MillraceError('api/unauthorised', `this token is not valid: ${record.wrong}`)
    }
    const given = readKey(text), wait = given !== undefined && isKnown(given) ? 0 : attempts.wait(ip, given?.id)
    if (wait > 0) throw putOff(reply, wait)
    if (given === undefined) {
      attempts.failed(ip)
      throw new MillraceError('api/unauthorised', 'this is no key of Millrace, or not the whole of one', { help: HOW })
    }
    if (keys === undefined) throw new MillraceError('api/unauthorised', 'no key is valid here: keys are kept in a database, and there is none', { help: 'start with --database, or set MILLRACE_DATABASE' })
    const record = await (scope === 'ingest:write' ? findAnyhow : find)(given.id)
    const same = sameDigest(record?.digest ?? given.digest, given.digest)
    if (record === undefined || !same || !isValid(record, Date.now())) {
      attempts.failed(ip, given.id)
      throw new MillraceError('api/unauthorised', 'this key is not known, or not valid any more')
    }
    mark(record.id)
    letIn(request, scope!, record)
  })
}

function letIn (request: FastifyRequest, scope: Scope, record: KeyRecord): void {
  request.actor = record
  if (!record.scopes.includes(scope)) throw new MillraceError('api/forbidden', `the ${record.token === true ? 'token of' : 'key'} ${record.id} has not the scope ${scope}`, { help: `it has ${record.scopes.join(', ') || 'none'}` })
}
