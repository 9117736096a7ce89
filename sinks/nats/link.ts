import { readFile } from 'node:fs/promises'
import { jetstream, JetStreamApiError, jetstreamManager, type JetStreamClient, type StreamConfig } from '@nats-io/jetstream'
import { connect, credsAuthenticator, errors, type NatsConnection } from '@nats-io/transport-node'
import { masked, MillraceError, span, Transient } from '#engine'

export interface LinkOptions {
  readonly servers: string | string[]
  readonly stream: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
  readonly credentials?: string
  readonly tls?: { readonly ca?: string, readonly cert?: string, readonly key?: string }
  readonly timeout: number
}

/** A connection, and what its stream is like. */
export interface Link {
  readonly connection: NatsConnection
  readonly client: JetStreamClient
  readonly subjects: readonly string[]
  readonly warnings: readonly string[]
  readonly takes: (subject: string) => boolean
  readonly failure: typeof failure
}

/**
 * Connects once and looks at the stream. The connection does not come back by itself: whoever loses it takes a new one, so that
 * nothing waits in a buffer that nobody bounds, and the stream is looked at again.
 */
export async function link (options: LinkOptions, name: string): Promise<Link> {
  const { servers, stream, timeout } = options
  let connection: NatsConnection | undefined
  try {
    connection = await connect({ servers, name, reconnect: false, timeout, pingInterval: 20_000, noAsyncTraces: true, ...await identity(options) })
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout })
    const { config } = await manager.streams.info(stream)
    const subjects = config.subjects ?? []
    return { connection, client: jetstream(connection, { timeout }), subjects, warnings: judge(config), takes: subject => subjects.some(filter => takes(filter, subject)), failure }
  } catch (error) {
    void connection?.close()
    throw failure(`nats at ${[servers].flat().map(masked).join(', ')}, stream "${stream}"`, error)
  }
}

async function identity ({ user, password, token, credentials, tls }: LinkOptions) {
  return {
    ...user === undefined ? {} : { user },
    ...password === undefined ? {} : { pass: password },
    ...token === undefined ? {} : { token },
    ...credentials === undefined ? {} : { authenticator: credsAuthenticator(await readFile(credentials)) },
    ...tls === undefined ? {} : { tls: { ...tls.ca && { caFile: tls.ca }, ...tls.cert && { certFile: tls.cert }, ...tls.key && { keyFile: tls.key } } }
  }
}

/** What the stream does with rows, as far as it bears on "once". Throws when no row can ever be known to be in it. */
function judge ({ name, no_ack, sealed, retention, storage, duplicate_window }: StreamConfig): string[] {
  if (no_ack) throw new MillraceError('sink/failed', `nats: the stream "${name}" acknowledges nothing (no_ack), so no row is ever known to be stored`, { help: 'set no_ack to false' })
  if (sealed) throw new MillraceError('sink/failed', `nats: the stream "${name}" is sealed`, { help: 'choose another stream' })
  const window = span(duplicate_window / 1e6)
  return [
    `nats: the stream "${name}" remembers the ids of rows for ${window} (its duplicate_window): rows that are sent again later than that, after a crash or an outage, come twice`,
    ...retention === 'interest' ? [`nats: the stream "${name}" keeps a row only while a consumer waits for it (retention interest)`] : [],
    ...storage === 'memory' ? [`nats: the stream "${name}" is in memory: a restart of the server loses acknowledged rows`] : []
  ]
}

const REFUSALS = [errors.AuthorizationError, errors.UserAuthenticationExpiredError, errors.PermissionViolationError, errors.InvalidArgumentError]

/** What a failure means: worth another try, unless the server has understood and refused. */
export function failure (what: string, error: unknown): Error {
  if (error instanceof MillraceError || error instanceof Transient) return error
  const { message, name, cause } = error as Error
  const refused = error instanceof JetStreamApiError ? error.status < 500
    : [error, cause].some(e => REFUSALS.some(kind => e instanceof kind)) || (error as NodeJS.ErrnoException).syscall === 'open'
  const why = `${what}: ${name === 'JetStreamNotEnabled' ? 'nobody answers: JetStream is not enabled or not ready, or no stream takes the subject' : message}`
  return refused ? new MillraceError('sink/failed', why, { cause: error }) : new Transient(why, { cause: error })
}

/** Whether a stream's subject, with its wildcards, takes a subject. */
export function takes (filter: string, subject: string): boolean {
  const wanted = filter.split('.'), tokens = subject.split('.')
  const rest = wanted.at(-1) === '>'
  return (rest ? tokens.length >= wanted.length : tokens.length === wanted.length)
    && wanted.every((token, i) => token === '*' || token === tokens[i] || (rest && i === wanted.length - 1))
}
