import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { clock as real, type Clock } from '../clock.ts'
import { refuse } from './problem.ts'

const EVERY = 15_000                 // ms between looks
const LEAST = 1024                   // bytes a second of a body, from one look to the next

/**
 * A body may take its time, as 256 MiB of CSV do, or one MiB over a poor line; one that hardly comes holds a connection for nothing, and
 * is ended with 408. So is what follows a request that was refused: nobody reads it. Before all hooks that may refuse.
 */
export function pace (app: FastifyInstance, clock = real): void {
  app.addHook('onRequest', async ({ raw, id }) => { watch(raw, id, clock) })
}

function watch (request: IncomingMessage, id: string, clock: Clock): void {
  const { socket } = request
  let before = socket.bytesRead
  const stop = clock.interval(() => {
    if (request.complete) return stop()
    if (socket.writableEnded) request.destroy()          // told so, and does not listen
    else if (socket.bytesRead - before < LEAST * EVERY / 1000) refuse(socket, 'api/slow', `the body came with less than ${LEAST} bytes a second`, id)
    before = socket.bytesRead
  }, EVERY, true)
  request.once('close', stop)
}
