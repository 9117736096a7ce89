import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'

export async function metrics (app: FastifyInstance, { metrics }: { readonly metrics: Metrics }): Promise<void> {
  app.get('/metrics', async (_, reply) => {
    void reply.type(metrics.contentType)
    return metrics.text()
  })
}
