import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { scopes } from '../api-key.ts'
import { version } from '../version.ts'
import type { Plane } from './server.ts'

/** GET /openapi.json: every route from its own declaration, with the scope that it needs. Register it before the routes. */
export async function openapi (app: FastifyInstance, { closed = false }: Pick<Plane, 'closed'>): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Millrace', version: closed ? 'v1' : version, description: 'Control and query plane. Errors are problem+json (RFC 9457) with the codes of the error reference; also, before any route, 400 for what is no HTTP, 408 for a request that did not come in time or hardly comes, and 431 for line and headers longer than 16 KiB, each of which ends its connection.' },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: `An API key, mr_...: millrace keys create; or a token (JWT) of the issuer that the process was told of. Scopes: ${Object.entries(scopes).map(([scope, use]) => `\`${scope}\`: ${use}`).join('; ')}.` } } }
    },
    transform: ({ schema, url, route }) => {
      const scope = route.config?.scope
      return { url, schema: { ...schema, ...scope === 'public' ? {} : { security: [{ key: [scope] }], description: `${(schema as { description?: string } | undefined)?.description ?? ''} Needs \`${scope}\`.`.trim() } } as object }
    }
  })
  app.get('/openapi.json', { config: { scope: 'public' }, schema: { summary: 'This document.', tags: ['meta'], response: { 200: { type: 'object', additionalProperties: true } } } }, async () => app.swagger())
}
