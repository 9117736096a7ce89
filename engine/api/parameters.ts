import type { FastifyInstance } from 'fastify'
import { MillraceError } from '../errors.ts'

const SHOWN = 100                    // characters of a name

/** A parameter that a route does not have is refused: a filter whose name is mistyped would filter nothing. Public routes have none, and whatever probes them may add some. Behind the keys. */
export function parameters (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ is404, query, routeOptions: { config, schema } }) => {
    if (is404 || config.scope === 'public') return
    const known = (schema?.querystring as { readonly properties?: object } | undefined)?.properties ?? {}, odd = Object.keys(query as object).find(name => !Object.hasOwn(known, name))
    if (odd === undefined) return
    const names = Object.keys(known)
    throw new MillraceError('api/invalid', `there is no parameter "${odd.slice(0, SHOWN)}"`, { help: names.length === 0 ? 'this route has none' : `there are: ${names.join(', ')}` })
  })
}
