import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { randomText } from '../random-text.ts'

export const REQUEST_ID = 'x-request-id'
const FORM = /^[\w.:-]{1,128}$/      // what may stand in logs, headers and addresses as it is
const MADE = 16                      // characters: 95 bits

/** The id of a request: the X-Request-Id that it came with, if that has the form of one, else a new one. It stands in the log, in the answer, in the audit log and with the readings that the request brought. */
export function requestId ({ headers: { [REQUEST_ID]: given } }: Pick<IncomingMessage, 'headers'>): string {
  return typeof given === 'string' && FORM.test(given) ? given : randomText(MADE)
}

/** Every answer says its id, and that it is of the type that it says. Before all other hooks, so that a refusal does too. */
export function requestIds (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ id }, reply) => { void reply.header(REQUEST_ID, id).header('x-content-type-options', 'nosniff') })
}
