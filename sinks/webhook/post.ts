import { createHmac } from 'node:crypto'
import * as http from 'node:http'
import * as https from 'node:https'
import { MillraceError, span, Transient } from '#engine'

const MOST = 65_536                  // bytes of an answer that are read

export interface Target { readonly url: string, readonly headers?: Readonly<Record<string, string>>, readonly timeout: number, readonly secret?: string | undefined }

/** POSTs JSON to one URL over connections that are kept, as https://www.standardwebhooks.com says. Redirects are not followed. */
export class Poster {
  private readonly url: URL
  private readonly target: Target
  private readonly agent: http.Agent
  private readonly key: Buffer | undefined
  private readonly isFinal: (status: number) => boolean

  /** `isFinal`: of an answer, that the same will never work. */
  constructor (target: Target, isFinal: (status: number) => boolean) {
    this.target = target
    this.isFinal = isFinal
    this.url = new URL(target.url)
    this.agent = new (this.url.protocol === 'https:' ? https : http).Agent({ keepAlive: true })
    this.key = target.secret === undefined ? undefined : keyOf(target.secret)
  }

  /** Resolves when the answer is 2xx. Throws Transient when the same may work later: no answer, or one that is not final. */
  async post (id: string, body: string, signal: AbortSignal): Promise<void> {
    // a path or query may be a secret: messages name the origin only
    const who = `webhook ${this.url.origin}`
    const { status, text, wait } = await this.request(id, body, signal).catch((cause: Error) => { throw new Transient(`${who}: ${cause.message}`, { cause }) })
    if (status >= 200 && status < 300) return
    const said = `${who} answered ${status}${text === '' ? '' : `: ${text}`}`
    if (!this.isFinal(status)) throw new Transient(said, { after: wait })
    throw new MillraceError('sink/failed', said, { help: 'see that url, headers and secret are what the receiver expects' })
  }

  close (): void { this.agent.destroy() }

  private request (id: string, body: string, signal: AbortSignal): Promise<Answer> {
    const timestamp = Math.floor(Date.now() / 1000)
    const headers = {
      'user-agent': 'Millrace', ...this.target.headers,
      'content-type': 'application/json', 'content-length': Buffer.byteLength(body),
      'webhook-id': id, 'webhook-timestamp': timestamp,
      ...this.key === undefined ? {} : { 'webhook-signature': signature(this.key, id, timestamp, body) }
    }
    return new Promise((resolve, reject) => {
      const request = (this.url.protocol === 'https:' ? https : http).request(this.url, { method: 'POST', agent: this.agent, headers, signal })
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${span(this.target.timeout)}`)), this.target.timeout)
      request.on('error', reject)
      request.on('close', () => clearTimeout(timer))
      request.on('response', response => {
        const status = response.statusCode!
        const chunks: Buffer[] = []
        let size = 0
        const answer = () => resolve({ status, text: sentence(Buffer.concat(chunks).toString()), wait: retryAfter(response.headers['retry-after']) })
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

/** What a server says, as a part of one line of a log. */
const sentence = (text: string): string => text.replace(/[\p{C}\s]+/gu, ' ').trim().slice(0, 200)
