import { createHash, createHmac } from 'node:crypto'
import * as http from 'node:http'
import * as https from 'node:https'
import { Gone, MillraceError, span, Transient, withoutSecrets } from '#engine'
import { Guard } from './guard.ts'

const MOST = 65_536                  // bytes of an answer that are read

export interface Target { readonly url: string, readonly headers?: Readonly<Record<string, string>>, readonly timeout: number, readonly secrets?: readonly string[] }

/**
 * POSTs JSON to one URL over connections that are kept, as https://www.standardwebhooks.com says, signed with each of the secrets.
 * Redirects are not followed, and `guard` says where it may go.
 */
export class Poster {
  readonly endpoint: { readonly id: string, readonly name: string }
  private readonly url: URL
  private readonly target: Target
  private readonly agent: http.Agent
  private readonly keys: readonly Buffer[]
  private readonly guard: Guard
  private readonly who: string
  private readonly isFinal: (status: number) => boolean

  /** `egress`: networks that are allowed although they are not public; `isFinal`: of an answer, that the same will never work. */
  constructor (kind: string, target: Target, egress: readonly string[] | undefined, isFinal: (status: number) => boolean) {
    this.target = target
    this.guard = new Guard(egress)
    this.isFinal = isFinal
    this.url = new URL(target.url)
    this.who = `${kind} ${this.url.origin}`        // a path or query may be a secret: messages name the origin only
    this.endpoint = { id: `${kind}:${createHash('sha256').update(this.url.href).digest('hex').slice(0, 16)}`, name: this.who }
    this.agent = new (this.url.protocol === 'https:' ? https : http).Agent({ keepAlive: true, lookup: this.guard.lookup(this.url) } as https.AgentOptions)
    this.keys = (target.secrets ?? []).map(secret => keyOf(secret)!)
  }

  /** Resolves, with what was answered, when that is 2xx. Throws Gone on 410, Transient when the same may work later: no answer, or one that is not final. */
  async post (id: string, body: string, signal: AbortSignal): Promise<string> {
    const { status, text, wait } = await this.request(id, body, signal).catch((cause: Error) => { throw new Transient(`${this.who}: ${cause.message}`, { cause }) })
    const said = `${this.who} answered ${status}${text === '' ? '' : `: ${text}`}`
    if (status >= 200 && status < 300) return said
    if (status === 410) throw new Gone(said)
    if (!this.isFinal(status)) throw new Transient(said, { after: wait })
    throw new MillraceError('sink/failed', said, { help: 'see that url, headers and secret are what the receiver expects' })
  }

  close (): void { this.agent.destroy() }

  private async request (id: string, body: string, signal: AbortSignal): Promise<Answer> {
    this.guard.check(this.url)
    const timestamp = Math.floor(Date.now() / 1000)
    const headers = {
      'user-agent': 'Millrace', ...this.target.headers,
      'content-type': 'application/json', 'content-length': Buffer.byteLength(body),
      'webhook-id': id, 'webhook-timestamp': timestamp,
      ...this.keys.length === 0 ? {} : { 'webhook-signature': this.keys.map(key => signature(key, id, timestamp, body)).join(' ') }
    }
    return await new Promise((resolve, reject) => {
      const request = (this.url.protocol === 'https:' ? https : http).request(this.url, { method: 'POST', agent: this.agent, headers, signal })
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${span(this.target.timeout)}`)), this.target.timeout)
      request.on('error', reject)
      request.on('close', () => clearTimeout(timer))
      request.on('response', response => {
        const status = response.statusCode!
        const chunks: Buffer[] = []
        let size = 0
        const answer = () => resolve({ status, text: this.sentence(Buffer.concat(chunks).toString()), wait: retryAfter(response.headers['retry-after']) })
        if (status >= 200 && status < 300) answer()        // the rest is read so that the connection can be used again
        response.on('data', (chunk: Buffer) => {
          if (size === 0) chunks.push(chunk)
          if ((size += chunk.length) > MOST) response.destroy()
        })
        response.on('error', () => {})
        response.on('close', answer)
      })
      request.end(body)
    })
  }

  /** What a server says, as a part of one line of a log: some say back what they were sent. */
  private sentence (text: string): string {
    const { target: { headers = {}, secrets = [] }, url: { pathname, searchParams } } = this
    return withoutSecrets(text, [...Object.values(headers), ...secrets, pathname, ...searchParams.values()]).replace(/[\p{C}\s]+/gu, ' ').trim().slice(0, 200)
  }
}

interface Answer { readonly status: number, readonly text: string, readonly wait: number | undefined }

/** `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`: Standard Webhooks, "Signature scheme". */
export const signature = (key: Buffer, id: string, timestamp: number, body: string): string =>
  `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`

/** The key in `whsec_<base64>`: 24 to 64 bytes; undefined when it is none. */
export function keyOf (secret: string): Buffer | undefined {
  const [, text] = /^whsec_([A-Za-z0-9+/]+=*)$/.exec(secret) ?? []
  const key = text === undefined ? undefined : Buffer.from(text, 'base64')
  return key !== undefined && key.length >= 24 && key.length <= 64 ? key : undefined
}

/** Milliseconds that a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3). */
function retryAfter (header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
