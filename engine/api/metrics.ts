import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'

export async function metrics (app: FastifyInstance, { metrics }: { readonly metrics: Metrics }): Promise<void> {
  app.get('/metrics', { config: { scope: 'public' }, schema: { summary: 'Metrics for Prometheus.', tags: ['meta'] } }, async (_, reply) => {
    void reply.type(metrics.contentType)
    return metrics.text()
  })
}
