import type { FastifyInstance } from 'fastify'
import { Type } from '../options.ts'
import { version } from '../version.ts'
import { failures } from './problem.ts'
import type { Plane } from './server.ts'

const open = (summary: string, response: object) => ({ config: { scope: 'public' as const }, schema: { summary, tags: ['meta'], response } })
const Ready = Type.Object({ status: Type.String(), trouble: Type.Optional(Type.Record(Type.String(), Type.Record(Type.String(), Type.String()), { description: 'By pipeline and component: what keeps it from working. Not on more than loopback.' })) })

/** /livez: the process answers, whatever it depends on. /readyz: 503 names what is in trouble, unless anybody may ask. */
export async function health (app: FastifyInstance, { runs, stopping, control, closed = false }: Plane): Promise<void> {
  app.get('/livez', open('The process answers.', { 200: Type.Object({ status: Type.String() }) }), async () => ({ status: 'alive' }))
  app.get('/version', { config: { scope: closed ? 'metrics:read' : 'public' }, schema: { summary: 'Which version this is.', tags: ['meta'], response: { 200: Type.Object({ version: Type.String(), node: Type.String() }), ...closed ? failures() : {} } } }, async () => ({ version, node: process.versions.node }))
  const ready = async (_: unknown, reply: { code (status: number): unknown }) => {
    const unknown = control?.trouble()
    const trouble = Object.fromEntries([...runs().map(run => [run.pipeline.name, run.trouble()] as const).filter(([, t]) => Object.keys(t).length > 0), ...unknown === undefined ? [] : [['(put over HTTP)', { pipelines: unknown }]]])
    const well = Object.keys(trouble).length === 0 && !stopping()
    reply.code(well ? 200 : 503)
    return { status: stopping() ? 'stopping' : well ? 'ready' : 'not ready', ...closed ? {} : { trouble } }
  }
  app.get('/readyz', open('Whether all pipelines can work; 503 names what is in trouble, on loopback.', { 200: Ready, 503: Ready }), ready)
  app.get('/healthz', open('The same as /readyz.', { 200: Ready, 503: Ready }), ready)
}
