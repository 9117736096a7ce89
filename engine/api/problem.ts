import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errors, MillraceError, Transient, type Code } from '../errors.ts'
import { Type, type Static } from '../options.ts'
import { REQUEST_ID } from './request-id.ts'

const PROBLEM = 'application/problem+json'
const LATER = '5', SOON = '2'        // s after which to try again
const DEEP = 32                      // objects and arrays in each other in a body

/** Errors as RFC 9457 has them. `code` is that of the error table; `type` the same as a name (RFC 8141). */
const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: Type.String(),
  help: Type.Optional(Type.String()),
  instance: Type.Optional(Type.String({ description: 'Id of the request, as in the log.' }))
}, { additionalProperties: false })

/** How a route declares the ways in which it fails. Every route behind a key may fail with 400 (its address), 401, 403, 429, 500, and 503 while the database of keys cannot be reached. */
export const failures = (...more: readonly number[]) => Object.fromEntries([400, 401, 403, 429, 500, 503, ...more].map(status => [status, {
  description: Object.values(errors).filter(e => e.status === status).map(e => e.title).at(-1) ?? 'A failure.', content: { [PROBLEM]: { schema: Problem } }
}]))

/** What goes wrong before, in and behind a route, said in one form. A fault of ours says nothing of itself but the request's id. */
export function answer (error: FastifyError | MillraceError | Transient, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof MillraceError) {
    if (error.status >= 500 && error.code !== 'api/busy') request.log.warn({ err: error.message, code: error.code }, 'a request failed')
    if (error.status === 503) void reply.header('retry-after', LATER)
    if (error.code === 'api/key-pending') void reply.header('retry-after', SOON)
    return send(reply, error.code, error.message, error.help)
  }
  if (error instanceof Transient) {
    request.log.warn({ err: error.message }, 'a request failed')
    return send(reply, 'store/unreachable', `what it is about cannot be reached: ${error.message}`)
  }
  const status = error.statusCode ?? 500
  if (status >= 500) {
    request.log.error({ err: error }, 'a request failed')
    return send(reply, 'api/failed', 'something went wrong here; the log has it under this instance')
  }
  return send(reply, status === 429 ? 'api/too-many' : status === 413 ? 'api/too-large' : status === 415 ? 'api/media-type' : 'api/invalid', error.message)
}

export function problems (app: FastifyInstance): void {
  app.addHook('preValidation', async ({ body }) => { if (typeof body === 'object' && !Buffer.isBuffer(body) && hasNul(body, DEEP)) throw new MillraceError('api/invalid', 'the body has a NUL character (\\u0000), which no text contains') })
  app.addHook('onRequest', async ({ raw: { url = '' } }) => { if (url.includes('%00')) throw new MillraceError('api/invalid', 'the address has a NUL character (%00), which no name contains') })
  app.setErrorHandler(answer)
  app.setNotFoundHandler((request, reply) => send(reply, 'api/not-found', `there is no ${request.method} ${request.url.split('?')[0]}`, 'GET /openapi.json lists what there is'))
}

/** Answers on the connection itself where there is no reply to answer with, and ends it. Nothing is said in the middle of another answer. */
export function refuse (socket: Socket & { readonly _httpMessage?: { readonly headersSent: boolean } | null }, code: Code, detail: string, instance?: string): void {
  if (!socket.writable || socket._httpMessage?.headersSent === true) return void socket.destroy()
  const problem = problemOf(code, detail, { instance }), body = JSON.stringify(problem)
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ${PROBLEM}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${instance === undefined ? '' : `${REQUEST_ID}: ${instance}\r\n`}connection: close\r\n\r\n${body}`, () => { socket.destroy() })
}

function send (reply: FastifyReply, code: Code, detail: string, help?: string): FastifyReply {
  const instance = String(reply.request.id), problem = problemOf(code, detail, { help, instance })
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="millrace"')
  return reply.header(REQUEST_ID, instance).code(problem.status).type(PROBLEM).serializer(JSON.stringify).send(problem)
}

function problemOf (code: Code, detail: string, { help, instance }: { readonly help?: string | undefined, readonly instance?: string | undefined }): Static<typeof Problem> {
  const { title, status } = errors[code]
  return { type: `urn:millrace:error:${code.replace('/', ':')}`, title, status, detail, code, ...help === undefined ? {} : { help }, ...instance === undefined ? {} : { instance } }
}

function hasNul (value: unknown, deep: number): boolean {
  if (typeof value === 'string') return value.includes('\0')
  if (typeof value !== 'object' || value === null) return false
  if (deep === 0) throw new MillraceError('api/invalid', `the body is nested more than ${DEEP} deep`)
  return Object.values(value).some(part => hasNul(part, deep - 1))
}
