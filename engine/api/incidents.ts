import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Actor, AlertActions, Incident, Judgement } from '../alert-actions.ts'
import { MillraceError } from '../errors.ts'
import { Type } from '../options.ts'
import { Alert } from './alerts.ts'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'

const Text = Type.String({ minLength: 1, maxLength: 4000 })
const Moment = Type.String({ format: 'date-time' })
const Nullable = (schema: any) => Type.Union([schema, Type.Null()] as any) as any
const IncidentBody = Type.Object({
  incident: Type.String(), acknowledged: Nullable(Type.Object({ at: Moment, by: Type.String() })), judgement: Nullable(Type.Object({ verdict: Type.String(), at: Moment, by: Type.String() })),
  comments: Type.Array(Type.Object({ time: Moment, author: Type.String(), text: Type.String() })), alerts: Type.Array(Alert)
})
const Params = Type.Object({ incident: Type.String({ description: 'The id of the incident.', minLength: 1, maxLength: 200 }) })

/** Who acts, by their key. */
export const actorOf = ({ actor, id: request }: FastifyRequest<any>): Actor => ({ id: actor!.id, tenant: actor!.tenant ?? undefined, request })

export function actionsOf ({ actions }: Plane): AlertActions {
  if (actions === undefined) throw new MillraceError('api/not-found', 'there is no database to ask', { help: 'start with --database, or set MILLRACE_DATABASE' })
  return actions
}

type Asked<B = unknown> = FastifyRequest<{ Params: { incident: string }, Body: B }>

/** What people say of an incident. Tenants are told apart by the key: of another one there is none. */
export async function incidents (app: FastifyInstance, plane: Plane): Promise<void> {
  const found = async (incident: string, asked: Promise<Incident | undefined>): Promise<Incident> => {
    const said = await asked
    if (said === undefined) throw new MillraceError('api/not-found', `there is no incident "${incident}"`)
    return said
  }
  const schema = (summary: string, body?: object) => ({ summary, tags: ['alerts'], params: Params, ...body === undefined ? {} : { body }, response: { 200: IncidentBody, ...failures(404, ...body === undefined ? [504] : [413, 415, 504]) } })
  const write = { config: { scope: 'alerts:write' as const } }

  app.get('/api/v1/alerts/:incident', { config: { scope: 'alerts:read' }, schema: schema('An incident: its transitions, what became of them, and what people say of it.') },
    async (request: Asked) => await found(request.params.incident, actionsOf(plane).incident(request.params.incident, actorOf(request))))

  app.post('/api/v1/alerts/:incident/acknowledge', { ...write, schema: schema('Says that somebody looks after it: nobody else is told later. The first one counts.', Type.Object({ comment: Type.Optional(Text) }, { additionalProperties: false })) },
    async (request: Asked<{ comment?: string }>) => await found(request.params.incident, actionsOf(plane).acknowledge(request.params.incident, request.body.comment, actorOf(request))))

  app.post('/api/v1/alerts/:incident/comments', { ...write, schema: schema('Adds a comment.', Type.Object({ text: Text }, { additionalProperties: false })) },
    async (request: Asked<{ text: string }>) => await found(request.params.incident, actionsOf(plane).comment(request.params.incident, request.body.text, actorOf(request))))

  app.post('/api/v1/alerts/:incident/feedback', {
    ...write, schema: schema('Says whether it was one. The last one counts.', Type.Object({ verdict: Type.Union([Type.Literal('real'), Type.Literal('false alarm')]), comment: Type.Optional(Text) }, { additionalProperties: false }))
  }, async (request: Asked<{ verdict: Judgement, comment?: string }>) => await found(request.params.incident, actionsOf(plane).judge(request.params.incident, request.body.verdict, request.body.comment, actorOf(request))))
}
