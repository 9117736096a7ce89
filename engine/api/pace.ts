import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'

const EVERY = 15_000                 // ms between looks
const LEAST = 1024                   // bytes a second of a body, from one look to the next

/**
 * A body may take its time, as 256 MiB of CSV do, or one MiB over a poor line; one that hardly comes holds a connection for nothing, and
 * is ended with 408. So is what follows a request that was refused: nobody reads it. Before all hooks that may refuse.
 */
export function pace (app: FastifyInstance, every = EVERY): void {
  app.addHook('onRequest', async ({ raw }) => { watch(raw, every) })
}

function watch (request: IncomingMessage, every: number): void {
  const { socket } = request
  let before = socket.bytesRead
  const timer = setInterval(() => {
    if (request.complete) return clearInterval(timer)
    if (socket.writableEnded) request.destroy()          // told so, and does not listen
    else if (socket.bytesRead - before < LEAST * every / 1000) socket.end('HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n', () => { request.destroy() })
    before = socket.bytesRead
  }, every).unref()
  request.once('close', () => { clearInterval(timer) })
}
