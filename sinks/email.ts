import { createHash } from 'node:crypto'
import { asks, defineSink, Duration, isLoopback, MillraceError, readableNotice, span, Transient, Type, withoutSecrets, type Notice } from '#engine'

const ADDRESS = /^[^\s@<>,;"]+@[^\s@<>,;"]+$/
const PORTS = { 'smtp:': 587, 'smtps:': 465 } as const

/**
 * Alerts by e-mail, over SMTP (RFC 5321). The Message-ID is made of the id of the event, so a message that is sent again has the same one,
 * and mail programs show it once. Delivered when the server has taken it for at least one recipient. 5xx answers about addresses or the message are final;
 * all else, such as a login that is refused, may be set right and is tried again. Names of devices cannot become headers: line breaks end where they are.
 */
export const email = defineSink({
  name: 'email',
  summary: 'Sends alerts by e-mail, over SMTP.',
  options: Type.Object({
    server: Type.String({ description: 'The SMTP server: smtp://host:587 (STARTTLS) or smtps://host:465, without user and password.', pattern: '^smtps?://' }),
    from: Type.String({ description: 'Whom it is from, such as millrace@example.com.' }),
    to: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1, maxItems: 50 })], { description: 'To whom: an address, or several.' }),
    user: Type.Optional(Type.String({ description: 'Name to log in with.' })),
    password: Type.Optional(Type.String({ description: 'Password to log in with.' })),
    insecure: Type.Boolean({ description: 'Also without TLS. For servers of this machine that is always allowed.', default: false }),
    timeout: Duration({ description: 'How long the server may take, at most 1m.', default: '30s' }),
    ...asks
  }),
  check ({ server, from, to, user, password, timeout }) {
    const url = URL.canParse(server) ? new URL(server) : undefined
    if (url === undefined || url.hostname === '') return 'server is not a URL such as smtp://mail.example.com:587'
    if (url.username !== '' || url.password !== '') return 'server has a user or password in it, which would show in logs; use user and password'
    const wrong = [from, ...[to].flat()].find(address => !ADDRESS.test(address))
    if (wrong !== undefined) return `"${wrong}" is no address: name@example.com is`
    if ((user === undefined) !== (password === undefined)) return 'user and password belong together'
    return timeout > 0 && timeout <= 60_000 ? undefined : 'timeout must be more than 0 and at most 1m'
  },
  reaches: ({ server }) => [server],

  address: ({ to }) => [to].flat().toSorted(),
  receive ({ server, from, to, user, password, insecure, timeout }, host) {
    const { protocol, hostname, port } = new URL(server), own = isLoopback(hostname), who = `email ${hostname}`, recipients = [to].flat()
    if (insecure && !own) host.log.warn({ server: hostname }, 'email: without TLS if the server has none, which others on the way can read')
    const open = async () => (await import('nodemailer')).createTransport({
      host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? PORTS[protocol as 'smtp:'] : Number(port), secure: protocol === 'smtps:', requireTLS: protocol === 'smtp:' && !insecure && !own, ignoreTLS: own && protocol === 'smtp:',
      ...user === undefined ? {} : { auth: { user, pass: password! } }, connectionTimeout: timeout, greetingTimeout: timeout, socketTimeout: timeout, dnsTimeout: timeout,
      disableFileAccess: true, disableUrlAccess: true, pool: true, maxConnections: 2
    })
    let transport: ReturnType<typeof open> | undefined
    return {
      endpoint: { id: `email:${createHash('sha256').update(JSON.stringify([server, user ?? '', recipients])).digest('hex').slice(0, 16)}`, name: who },
      async send (notice, signal) {
        const stop = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
        const sent = (await (transport ??= open())).sendMail(mailOf(notice, from, recipients))
        try {
          const { response } = await Promise.race([sent, new Promise<never>((_, reject) => { stop.addEventListener('abort', () => { reject(new Error(`no answer within ${span(timeout)}`)) }, { once: true }) })])
          return `${who} answered ${withoutSecrets(response, [password])}`
        } catch (cause) {
          sent.catch(() => {})
          throw failure(who, cause as SmtpError, password)
        }
      },
      close: async () => { (await transport)?.close() }
    }
  }
})

/** What the server refuses of these addresses or this message; a login and TLS may be set right. */
const FINAL = ['EENVELOPE', 'EMESSAGE']

type SmtpError = Error & { readonly code?: string, readonly responseCode?: number, readonly response?: string }

function failure (who: string, cause: SmtpError, password: string | undefined): Error {
  const said = `${who}: ${withoutSecrets(cause.message, [password]).replace(/[\p{C}\s]+/gu, ' ').slice(0, 200)}`
  const { responseCode = 0, code } = cause
  if (responseCode >= 500 && FINAL.includes(code ?? '')) return new MillraceError('sink/failed', said, { help: 'see that the server takes mail from and to these addresses', cause })
  return new Transient(said, { cause })
}

/** A message whose id and text are the same for the same notice. */
export function mailOf (notice: Notice, from: string, to: readonly string[]) {
  const { title, lines } = readableNotice(notice), { id, events: [first] } = notice
  return {
    from, to: [...to], subject: title.replace(/[\p{C}\s]+/gu, ' ').slice(0, 200), text: `${lines.join('\n')}\n`,
    messageId: `<${messageName(id)}@${from.split('@')[1]}>`, date: new Date(Math.max(...notice.events.map(e => e.time))),
    // one conversation for all that is said of an incident
    references: `<${first.incident}@${from.split('@')[1]}>`, headers: { 'X-Millrace-Id': id, 'Auto-Submitted': 'auto-generated' }
  }
}
const messageName = (id: string): string => id.replace(/[^\w.-]/g, '_')
