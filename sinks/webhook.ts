import { createHash } from 'node:crypto'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { asks, defineSink, Duration, isLoopback, plainNotice, Transient, Type, type SinkHost } from '#engine'
import { RowText } from './format/rows.ts'
import { keyOf, Poster, type Target } from './http/post.ts'

/** An alert may still arrive when a server or a key is set right: only 410, which is Gone, says that the receiver is not there any more. */
const isNever = (): boolean => false
/** Rows are kept by their source: what the receiver refuses stops the pipeline, and goes on from there. */
const isRefused = (status: number): boolean => status >= 400 && status < 500 && ![408, 425, 429].includes(status)
const OURS = ['content-length', 'content-type', 'transfer-encoding', 'host', 'connection']

/**
 * POSTs alerts, or rows, as JSON. Both arrive at least once: what was sent before a crash may be sent again. An alert then has
 * the same `webhook-id`, which is the id of its event; rows that are cut in the same way do too. With a `secret`, requests
 * are signed after Standard Webhooks (HMAC-SHA256). 2xx is delivered; redirects are not followed. An alert is tried again after every other
 * answer but 410, after which nothing is sent until the endpoint is enabled again; rows after 3xx, 408, 425, 429 and 5xx, and other answers stop the pipeline.
 *
 * An alert: `{"type":"alert.firing","timestamp":"...","data":{id, incident, state, tenant, pipeline, alert, severity, device,
 * metric, since, time, value, evidence, message, ...}}`, times in ISO 8601; several of a group: `{"type":"alert.group", ...,
 * "data":{id, alerts}}`. engine/notice.ts has the schema. A receiver orders the states of an incident by `time`.
 * Rows: `{"type":"rows","pipeline":"...","data":[{tenant, device, metric, time, value, ...columns}]}`.
 */
export const webhook = defineSink({
  name: 'webhook',
  summary: 'Sends alerts, or rows, as JSON to an HTTP server. At least once.',
  options: Type.Object({
    url: Type.String({ description: 'Where to send: http or https, without user and password. Path and query are not shown.', pattern: '^https?://', 'x-secret-path': true }),
    headers: Type.Optional(Type.Record(Type.String(), Type.String(), { description: 'Headers to send along, such as authorization.' })),
    timeout: Duration({ description: 'How long an answer may take, at most 1m.', default: '15s' }),
    secret: Type.Optional(Type.String({ description: 'Signs requests: whsec_ and the base64 of 24 to 64 random bytes.' })),
    oldSecret: Type.Optional(Type.String({ description: 'The secret before, while receivers change over: requests are signed with both.' })),
    rows: Type.Integer({ description: 'Most rows in one request. For rows only.', minimum: 1, maximum: 100_000, default: 1000 }),
    ...asks
  }),
  check ({ url, headers = {}, timeout, secret, oldSecret }) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    if (parsed === undefined) return 'url is not a URL'
    if (parsed.username !== '' || parsed.password !== '') return 'url has a user or password in it, which would show in logs; use headers: { authorization: ... }'
    if (!(timeout > 0 && timeout <= 60_000)) return 'timeout must be more than 0 and at most 1m'
    if (oldSecret !== undefined && secret === undefined) return 'oldSecret stands beside secret, the new one'
    for (const [name, given] of Object.entries({ secret, oldSecret })) if (given !== undefined && keyOf(given) === undefined) return `${name} must be whsec_ and the base64 of 24 to 64 bytes, such as one made by: echo whsec_$(openssl rand -base64 32)`
    for (const [name, value] of Object.entries(headers)) {
      if (OURS.includes(name.toLowerCase()) || name.toLowerCase().startsWith('webhook-')) return `headers.${name} is set by the sink itself`
      try { validateHeaderName(name); validateHeaderValue(name, value) } catch { return `headers.${name} cannot be sent: a header's name or value has a character that HTTP forbids` }
    }
    return undefined
  },

  address: ({ url }) => url,
  receive (options, host) {
    const { poster, stop } = connect(options, host, isNever)
    return {
      endpoint: poster.endpoint,
      send: (notice, signal) => poster.post(notice.id, JSON.stringify(plainNotice(notice)), signal),
      close: stop
    }
  },

  follow (options, host) {
    const { poster, stop, signal } = connect(options, host, isRefused)
    const text = new RowText(host.series)
    let trouble: string | undefined
    return {
      async write (batch) {
        const lines = text.lines(batch)
        for (let i = 0; i < lines.length; i += options.rows) {
          const body = `{"type":"rows","pipeline":${JSON.stringify(host.pipeline)},"data":[${lines.slice(i, i + options.rows).join(',')}]}`
          try {
            await poster.post(createHash('sha256').update(body).digest('hex').slice(0, 32), body, signal)
            trouble = undefined
          } catch (error) {
            trouble = (error as Error).message
            if (error instanceof Transient && error.after !== undefined) await rest(Math.min(error.after, 60_000), signal)
            throw error
          }
        }
      },
      close: stop,
      trouble: () => trouble
    }
  }
})

function connect ({ secret, oldSecret, ...rest }: Omit<Target, 'secrets'> & { readonly secret?: string | undefined, readonly oldSecret?: string | undefined }, host: SinkHost, isFinal: (status: number) => boolean) {
  const target: Target = { ...rest, secrets: [secret, oldSecret].filter(s => s !== undefined) }
  const { protocol, hostname, origin } = new URL(target.url)
  if (protocol === 'http:' && !isLoopback(hostname)) host.log.warn({ origin }, 'webhook: sends over plain http, which others on the way can read')
  const poster = new Poster('webhook', target, host.egress, isFinal)
  const closing = new AbortController()
  return { poster, signal: closing.signal, stop: async () => { closing.abort(); poster.close() } }
}

const rest = (ms: number, signal: AbortSignal): Promise<void> => new Promise(resolve => {
  const timer = setTimeout(resolve, ms)
  signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
})
