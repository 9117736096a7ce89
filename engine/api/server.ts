import { fastify, type FastifyInstance } from 'fastify'
import { MillraceError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { openMetrics } from '../metrics.ts'
import type { Run } from '../run.ts'
import { health } from './health.ts'
import { metrics } from './metrics.ts'
import { status } from './status.ts'

export interface Plane { readonly runs: () => readonly Run[], readonly stopping: () => boolean }

/** Starts the HTTP plane. Until there are credentials it listens on loopback only. Port 0: any free one. */
export async function serve (plane: Plane, { host, port, log }: { readonly host: string, readonly port: number, readonly log: Logger }): Promise<{ url: string, close: () => Promise<void> }> {
  if (!isLoopback(host)) throw new MillraceError('config/exposed', `http: ${host} is more than loopback, and there are no credentials yet`, { help: 'listen on 127.0.0.1, and put a proxy that checks credentials in front' })
  const app = fastify({ loggerInstance: log.child({}, { level: 'warn' }), forceCloseConnections: true, bodyLimit: 2 ** 20, requestTimeout: 15_000 }) as unknown as FastifyInstance
  await app.register(health, plane)
  await app.register(metrics, { metrics: openMetrics(plane.runs) })
  await app.register(status, plane)
  const url = await app.listen({ host, port })
  return { url, close: () => app.close() }
}

/** Is this a name or address that only this machine reaches? */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
