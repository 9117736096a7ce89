import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { refuse } from './problem.ts'

const EVERY = 15_000                 // ms between looks
const LEAST = 1024                   // bytes a second of a body, from one look to the next

/**
 * A body may take its time, as 256 MiB of CSV do, or one MiB over a poor line; one that hardly comes holds a connection for nothing, and
 * is ended with 408. So is what follows a request that was refused: nobody reads it. Before all hooks that may refuse.
 */
export function pace (app: FastifyInstance, every = EVERY): void {
  app.addHook('onRequest', async ({ raw, id }) => { watch(raw, every, id) })
}

function watch (request: IncomingMessage, every: number, id: string): void {
  const { socket } = request
  let before = socket.bytesRead
  const timer = setInterval(() => {
    if (request.complete) return clearInterval(timer)
    if (socket.writableEnded) request.destroy()          // told so, and does not listen
    else if (socket.bytesRead - before < LEAST * every / 1000) refuse(socket, 'api/slow', `the body came with less than ${LEAST} bytes a second`, id)
    before = socket.bytesRead
  }, every).unref()
  request.once('close', () => { clearInterval(timer) })
}
