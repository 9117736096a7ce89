import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'
import { failures } from './problem.ts'

export async function metrics (app: FastifyInstance, { metrics, closed = false }: { readonly metrics: Metrics, readonly closed?: boolean | undefined }): Promise<void> {
  app.get('/metrics', { config: { scope: closed ? 'metrics:read' : 'public' }, schema: { summary: 'Metrics for Prometheus.', tags: ['meta'], response: { 200: { description: 'OpenMetrics text.', content: { [metrics.contentType.split(';')[0]]: { schema: { type: 'string' } } } }, ...closed ? failures() : {} } } }, async (_, reply) => {
    void reply.type(metrics.contentType)
    return metrics.text()
  })
}
