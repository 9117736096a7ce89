import type { Socket } from 'node:net'
import type { ConnectionError } from 'fastify'
import { refuse } from './problem.ts'

export const HEAD = 15_000           // ms within which the head of a request has to be there,
export const WHOLE = 3_600_000       // and all of it; of bodies that hardly come see pace.ts

/** What comes on a connection and is no request: it has no route, no key and no id. */
export function broken ({ code, message }: ConnectionError, socket: Socket): void {
  if (code === 'ECONNRESET') return
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') refuse(socket, 'api/slow', `a request has to be there within ${WHOLE / 60_000} min, its head within ${HEAD / 1000} s`)
  else if (code === 'HPE_HEADER_OVERFLOW') refuse(socket, 'api/long-head', 'line and headers of the request are longer than 16 KiB')
  else refuse(socket, 'api/invalid', `what came is no HTTP request: ${message}`)
}
