import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'

export async function metrics (app: FastifyInstance, { metrics }: { readonly metrics: Metrics }): Promise<void> {
  app.get('/metrics', { config: { scope: 'public' }, schema: { summary: 'Metrics for Prometheus.', tags: ['meta'], response: { 200: { description: 'OpenMetrics text.', content: { [metrics.contentType.split(';')[0]]: { schema: { type: 'string' } } } } } } }, async (_, reply) => {
    void reply.type(metrics.contentType)
    return metrics.text()
  })
}
