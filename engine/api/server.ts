import type { Server as SecureServer } from 'node:https'
import rateLimit from '@fastify/rate-limit'
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { fastify, type FastifyInstance, type FastifyRequest } from 'fastify'
import type { AlertActions } from '../alert-actions.ts'
import { Attempts } from '../attempts.ts'
import type { Backfill } from '../backfill.ts'
import type { Clock } from '../clock.ts'
import type { Components } from '../components.ts'
import type { Control } from '../control.ts'
import { MillraceError } from '../errors.ts'
import type { Jobs } from '../jobs.ts'
import type { Keys } from '../keys.ts'
import type { Inlet } from '../listener.ts'
import type { Live } from '../live.ts'
import { Limits } from '../limits.ts'
import type { Logger } from '../log.ts'
import { isExposed, isLoopback } from '../loopback.ts'
import { openMetrics } from '../metrics.ts'
import type { Query } from '../query.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Pipelines } from '../pipelines.ts'
import type { Run } from '../run.ts'
import type { PlantAsked, Planted } from '../simulated.ts'
import { keyPair, renewing, type TlsFiles } from '../tls.ts'
import type { Tokens } from '../token.ts'
import { alerts } from './alerts.ts'
import { deliveries } from './deliveries.ts'
import { incidents } from './incidents.ts'
import { simulate } from './simulate.ts'
import { silences } from './silences.ts'
import { analyse } from './analyse.ts'
import { authorise } from './auth.ts'
import { bodies } from './bodies.ts'
import { broken, HEAD, WHOLE } from './broken.ts'
import { changes } from './changes.ts'
import { deadLetters } from './dead-letters.ts'
import { health } from './health.ts'
import { ingest } from './ingest.ts'
import { jobs } from './jobs.ts'
import { keys } from './keys.ts'
import { metrics } from './metrics.ts'
import { openapi } from './openapi.ts'
import { origin } from './origin.ts'
import { pace } from './pace.ts'
import { parameters } from './parameters.ts'
import { pipelines } from './pipelines.ts'
import { answer, problems } from './problem.ts'
import { query } from './query.ts'
import { tenantQuota } from './quota.ts'
import { status } from './status.ts'
import { reports } from './reports.ts'
import { requestId, requestIds } from './request-id.ts'
import { stream } from './stream.ts'
import { trials } from './try.ts'

/** What the plane shows, and who may see it. What is undefined is not there: routes that need it answer 404 or 503 and say so. */
export interface Plane {
  readonly runs: () => readonly Run[]
  readonly stopping: () => boolean
  readonly components: Components
  readonly keys: Keys | undefined                        // undefined: nobody has one
  readonly tokens?: Tokens | undefined                   // undefined: none is taken
  readonly limits: Limits
  readonly attempts: Attempts
  readonly query: Query | undefined                      // undefined, as with actions: there is no database to ask
  readonly actions?: AlertActions | undefined
  readonly control?: Control | undefined
  readonly live?: Live | undefined                       // undefined: nothing commits here
  readonly inlets?: () => Iterable<Inlet>                // undefined: nothing is read that is posted
  readonly pipelines?: () => readonly Pipeline[]         // undefined: none is paused
  readonly jobs?: { readonly all: Jobs, readonly backfill: Backfill, readonly pipelines: Pipelines, readonly folder: string } | undefined
  readonly closed?: boolean                              // metrics and state need a key, and health says nothing more
  readonly plant?: (asked: PlantAsked) => Planted        // simulated faults
  readonly clock?: Clock                                 // undefined: the machine's
}

/** Without limits: those by default. */
export type GivenPlane = Omit<Plane, 'limits' | 'attempts'> & { readonly limits?: Limits | undefined, readonly attempts?: Attempts }

/** Where the plane listens. Port 0: any free one. `proxies`: networks of proxies that are believed from where a request comes. `closed`: as in Plane; by default where others can come. */
export interface Address { readonly host: string, readonly port: number, readonly tls?: TlsFiles | undefined, readonly proxies?: readonly string[] | undefined, readonly closed?: boolean }

/** Starts the HTTP plane. Without TLS it listens on loopback only. */
export async function serve (plane: GivenPlane, { host, port, tls, proxies, closed = isExposed({ host, proxies }), log }: Address & { readonly log: Logger }): Promise<{ url: string, close: () => Promise<void> }> {
  if (tls === undefined && !isLoopback(host)) throw new MillraceError('config/exposed', `http: ${host} is more than loopback, and without TLS keys would be read on the way`, { help: 'give --tls-cert and --tls-key; or listen on 127.0.0.1, and put a proxy with TLS in front' })
  const app = await plan({ ...plane, closed }, log, { tls, proxies })
  const url = await app.listen({ host, port }), still = tls === undefined ? () => {} : renewing(tls, app.server as SecureServer, log)
  return { url, close: async () => { still(); await app.close() } }
}

const LOOK = 2000                    // ms between looks at requests that are not there

/** What is sent in a body has the right types already; what stands in a URL is text. */
const ajv = (coerceTypes: boolean) => {
  const made = formats.default(new Ajv({ allErrors: false, useDefaults: true, coerceTypes, strict: false }), ['date-time']), { validate } = made.formats['date-time'] as { validate: (text: string) => boolean }
  return made.addFormat('date-time', text => validate(text) && !Number.isNaN(Date.parse(text)))        // a leap second is a time in RFC 3339, and none here
}
const exact = ajv(false), lenient = ajv(true)

const serializer = SerializerSelector()({}, {})

type Made<A, R> = ((of: A) => R) & { errors?: unknown }
/** A function that is made when it is called first: those of all routes together would be a good part of a start. `errors` are what Fastify reads of validators. */
function lately<A, R> (make: () => Made<A, R>): Made<A, R> {
  let made: Made<A, R> | undefined
  const run: Made<A, R> = of => {
    made ??= make()
    const result = made(of)
    run.errors = made.errors
    return result
  }
  return run
}

/** The plane with all its routes, not listening yet. */
export async function plan (given: GivenPlane, log: Logger, { tls, proxies = [] }: Pick<Address, 'tls' | 'proxies'> = {}): Promise<FastifyInstance> {
  const limits = given.limits ?? new Limits(), attempts = given.attempts ?? new Attempts(limits.process.failures, log)
  const plane: Plane = { ...given, limits, attempts }
  const app = fastify({
    ...tls === undefined ? { http: { connectionsCheckingInterval: LOOK, headersTimeout: HEAD } } : { https: { ...keyPair(tls), connectionsCheckingInterval: LOOK, headersTimeout: HEAD } as never },
    loggerInstance: log.child({}, { level: 'warn' }), forceCloseConnections: true, trustProxy: proxies.length > 0 && [...proxies], bodyLimit: 2 ** 20, requestTimeout: WHOLE, routerOptions: { maxParamLength: 200 }, frameworkErrors: answer as never, clientErrorHandler: broken, genReqId: requestId
  }) as unknown as FastifyInstance
  app.removeContentTypeParser('text/plain')
  app.setValidatorCompiler(({ schema, httpPart }) => lately(() => (httpPart === 'body' ? exact : lenient).compile(schema as object)) as never)
  app.setSerializerCompiler(route => lately(() => serializer(route as never)) as never)
  requestIds(app)
  problems(app)
  pace(app)
  authorise(app, plane)
  bodies(app, limits)
  parameters(app)
  await app.register(rateLimit, {
    enableDraftSpec: true, max: (request: FastifyRequest) => request.actor === undefined ? Infinity : limits.ofKey(request.actor.id).requests, timeWindow: '1 minute', hook: 'preHandler', keyGenerator: (request: FastifyRequest) => request.actor?.id ?? request.ip,
    allowList: (request: FastifyRequest) => request.routeOptions.config.scope === 'public'
  })
  tenantQuota(app, limits)
  await openapi(app, plane)
  await app.register(health, plane)
  await app.register(metrics, { metrics: openMetrics(plane.runs, attempts), closed: plane.closed })
  await app.register(status, plane)
  await app.register(pipelines, plane)
  await app.register(changes, plane)
  await app.register(trials, plane)
  await app.register(deadLetters, plane)
  await app.register(origin, plane)
  await app.register(query, plane)
  await app.register(reports, plane)
  await app.register(alerts, plane)
  await app.register(incidents, plane)
  await app.register(silences, plane)
  await app.register(deliveries, plane)
  await app.register(analyse, plane)
  await app.register(ingest, plane)
  await app.register(stream, plane)
  await app.register(jobs, plane)
  await app.register(keys, plane)
  await app.register(simulate, plane)
  await app.ready()
  return app
}
