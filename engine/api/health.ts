import type { FastifyInstance } from 'fastify'
import type { Plane } from './server.ts'
import { version } from '../version.ts'

const open = (summary: string) => ({ config: { scope: 'public' as const }, schema: { summary, tags: ['meta'] } })

/** /livez: the process answers, whatever it depends on. /readyz: 503 names what is in trouble. */
export async function health (app: FastifyInstance, { runs, stopping, control }: Plane): Promise<void> {
  app.get('/livez', open('The process answers.'), async () => ({ status: 'alive' }))
  app.get('/version', open('Which version this is.'), async () => ({ version, node: process.versions.node }))
  const ready = async (_: unknown, reply: { code (status: number): unknown }) => {
    const unknown = control?.trouble()
    const trouble = Object.fromEntries([...runs().map(run => [run.pipeline.name, run.trouble()] as const).filter(([, t]) => Object.keys(t).length > 0), ...unknown === undefined ? [] : [['(put over HTTP)', { pipelines: unknown }]]])
    const well = Object.keys(trouble).length === 0 && !stopping()
    reply.code(well ? 200 : 503)
    return { status: stopping() ? 'stopping' : well ? 'ready' : 'not ready', trouble }
  }
  app.get('/readyz', open('Whether all pipelines can work; 503 names what is in trouble.'), ready)
  app.get('/healthz', open('The same as /readyz.'), ready)
}
