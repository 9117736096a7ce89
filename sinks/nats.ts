import { createHash } from 'node:crypto'
import { defineSink, Duration, File, MillraceError, namesUser, Type, type Batch, type SinkHost } from '#engine'
import { RowText } from './format/rows.ts'
import type { Link } from './nats/link.ts'

const text = (description: string) => Type.Optional(Type.String({ description, minLength: 1 }))
const file = (description: string) => Type.Optional(File({ description, minLength: 1 }))
const LITERAL = /^[A-Za-z0-9_-]+$/, NAME = /^\{(tenant|device|metric)\}$/
const LONGEST = 2048                   // bytes of a subject: nats-server reads 4096 of a whole control line
const TOKEN = 512                      // of a name in it

/**
 * Rows as JSON in a JetStream stream, each with a `Nats-Msg-Id` that is the same whenever the same row is sent again: the stream
 * drops what it has seen within its duplicate_window. So once within that window, at least once beyond it. Resolved = every row
 * of the batch is acknowledged by the stream, which is as durable as the stream's storage (see its reference page).
 * Rows arrive in their order, except those of a batch that failed in part: they are filled in later.
 *
 * The body is `{tenant, device, metric, time, value, ...columns}`, `"provisional":true` in rows that will be replaced.
 * About 10 us per row, most of it the client's.
 */
export const nats = defineSink({
  name: 'nats',
  summary: 'Rows as JSON in a JetStream stream. Once within the duplicate_window of the stream.',
  options: Type.Object({
    servers: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'One or several servers of a cluster.', default: 'nats://localhost:4222' }),
    stream: Type.String({ description: 'Stream that takes the rows. It must be there.', pattern: '^[^\\s.*>/\\\\]+$' }),
    subject: Type.String({ description: 'Where rows go: literals, {tenant}, {device} and {metric}, with dots between. In names, bytes other than A-Z, a-z, 0-9, _ and - are percent-encoded; a name longer than 512 bytes then is cut and ends in ~ and a hash.', default: 'rows.{tenant}.{device}.{metric}' }),
    user: text('User name.'),
    password: text('Password of the user.'),
    token: text('Token, instead of a user.'),
    credentials: file('File with a JWT and its key (.creds), instead of a user.'),
    tls: Type.Optional(Type.Object({ ca: file('File with the certificates to trust.'), cert: file('File with the own certificate.'), key: file('File with its key.') }, { description: 'TLS, also without any of its options.' })),
    inFlight: Type.Integer({ description: 'Most rows that are sent and not acknowledged yet.', minimum: 1, maximum: 10_000, default: 500 }),
    timeout: Duration({ description: 'How long an acknowledgement may take, at most 1m.', default: '5s' })
  }),
  check ({ servers, subject, timeout }) {
    if ([servers].flat().some(namesUser)) return 'servers has a user or password in it, which is not read; use the options user and password'
    const wrong = subject.split('.').find(token => !LITERAL.test(token) && !NAME.test(token))
    if (wrong !== undefined) return `subject: the token "${wrong}" is neither {tenant}, {device}, {metric} nor made of A-Z, a-z, 0-9, _ and -`
    const longest = subject.split('.').reduce((n, token) => n + 1 + (NAME.test(token) ? TOKEN : token.length), -1)
    if (longest > LONGEST) return `subject: it may become ${longest} bytes long, with ${TOKEN} for each name in it; ${LONGEST} are allowed`
    if (!(timeout >= 1 && timeout <= 60_000)) return 'timeout must be from 1ms to 1m'
    return undefined
  },
  reaches: ({ servers }) => [servers].flat(),

  follow (options, host) {
    const rows = new RowText(host.series)
    const ids = new RowIds(options.subject, host)
    let open: Link | undefined
    let fits = new Set<number>()           // series whose subject the stream takes
    const said = new Set<string>()
    let closed = false
    let trouble: string | undefined

    const ready = async (): Promise<Link> => {
      if (open !== undefined && !open.connection.isClosed()) return open
      open = undefined
      fits = new Set()
      const fresh = await (await import('./nats/link.ts')).link(options, `millrace ${host.pipeline}`)
      for (const warning of fresh.warnings) if (!said.has(warning)) host.log.warn({ stream: options.stream }, warning)
      fresh.warnings.forEach(warning => said.add(warning))
      if (closed) await fresh.connection.close()
      return open = fresh
    }
    const check = ({ subjects, takes }: Link, series: number) => {
      if (fits.has(series)) return
      const subject = ids.subject(series)
      if (!takes(subject)) throw new MillraceError('sink/failed', `nats: the stream "${options.stream}" does not take the subject "${subject}"; it takes ${subjects.join(', ') || 'none'}`, { help: 'add the subject to the stream, or choose another template' })
      fits.add(series)
    }

    /** All of them, `inFlight` at a time; ends when nothing is under way any more. */
    const publish = async (to: Link, batch: Batch<any>, lines: readonly string[], provisional: boolean) => {
      for (const series of batch.series) check(to, series)
      let next = 0, failed: unknown
      const work = async () => {
        while (failed === undefined && next < lines.length) {
          const i = next++
          try {
            const ack = await to.client.publish(ids.subject(batch.series[i]), lines[i], { msgID: ids.of(batch, i, provisional), expect: { streamName: options.stream }, timeout: options.timeout })
            // somebody who answers requests on this subject is no stream
            if (ack.stream !== options.stream) throw new MillraceError('sink/failed', `nats: the subject "${ids.subject(batch.series[i])}" was answered by "${ack.stream}", not by the stream "${options.stream}"`)
          } catch (error) {
            failed ??= to.failure(`nats, stream "${options.stream}", subject "${ids.subject(batch.series[i])}"`, error)
          }
        }
      }
      await Promise.all(Array.from({ length: Math.min(options.inFlight, lines.length) }, work))
      if (failed !== undefined) throw failed
    }

    return {
      async write (batch) {
        const lines = rows.lines(batch)
        if (lines.length === 0) return
        try {
          const to = await ready()
          await publish(to, batch, lines.slice(0, batch.length), false)
          if (batch.provisional !== undefined) await publish(to, batch.provisional, lines.slice(batch.length), true)
          trouble = undefined
        } catch (error) {
          trouble = (error as Error).message
          void open?.connection.close()
          open = undefined
          throw error
        }
      },
      async close () {
        closed = true
        await open?.connection.close()
      },
      trouble: () => trouble
    }
  }
})

/**
 * Subjects, and ids of rows: 128 bits of SHA-256 over pipeline, branch, template, series, time, and `seq` of a reading or
 * `revision` and whether it is provisional of a window. Readings without `seq` (nobody has numbered them) are told apart by value.
 */
class RowIds {
  private readonly template: readonly string[]
  private readonly host: SinkHost
  private readonly known: { readonly subject: string, readonly key: string }[] = []       // by series

  constructor (template: string, host: SinkHost) {
    this.template = template.split('.')
    this.host = host
  }

  subject (series: number): string { return this.place(series).subject }

  of ({ time, series, value, columns: { seq, revision } }: Batch<any>, row: number, provisional: boolean): string {
    const which = revision !== undefined ? `revision ${revision[row]}${provisional ? ' provisional' : ''}` : seq !== undefined ? `seq ${seq[row]}` : `value ${value[row]}`
    return createHash('sha256').update(`${this.place(series[row]).key}\n${Math.round(time[row] * 1000)}\n${which}`).digest('base64url').slice(0, 22)
  }

  private place (series: number) {
    return this.known[series] ??= this.read(series)
  }

  private read (series: number) {
    const { pipeline, branch = '' } = this.host, name = this.host.series.name(series)
    return {
      subject: this.template.map(token => { const [, which] = NAME.exec(token) ?? []; return which === undefined ? token : encode(name[which as keyof typeof name]) }).join('.'),
      key: JSON.stringify([pipeline, branch, this.template.join('.'), name.tenant, name.device, name.metric])
    }
  }
}

/** A name as a token of a subject; decodeURIComponent gives it back, unless it is too long: then it is cut, and a hash tells it from others. */
function encode (name: string): string {
  const token = LITERAL.test(name) ? name : Array.from(Buffer.from(name), byte => LITERAL.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
  if (token.length <= TOKEN) return token
  const end = `~${createHash('sha256').update(name).digest('base64url').slice(0, 22)}`
  return token.slice(0, TOKEN - end.length).replace(/%.?$/, '') + end
}
