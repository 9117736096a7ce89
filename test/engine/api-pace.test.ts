/** Bodies that come slowly: what comes well may take its time, what hardly comes is over, whether it is read or not. */
import { request } from 'node:http'
import { fastify } from 'fastify'
import t, { type Test } from 'tap'
import { plan } from '../../engine/api/server.ts'
import { pace } from '../../engine/api/pace.ts'
import { components } from '../support/control.ts'
import { quiet } from '../support/postgres.ts'

const EVERY = 300                    // ms between looks

async function open (t: Test) {
  const app = fastify({ forceCloseConnections: true, bodyLimit: 2 ** 24 })
  pace(app, EVERY)
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, async (_: unknown, body: Buffer) => body)
  app.post('/read', async ({ body }) => ({ bytes: (body as Buffer).length }))
  app.post('/refused', { onRequest: async (_, reply) => await reply.code(401).send({}) }, async () => ({}))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  /** Status and text of the answer, and how many ms the connection was open. */
  return (path: string, { bytes, pieces }: { readonly bytes: number, readonly pieces: number }): Promise<{ status: number, text: string, ms: number }> => new Promise(resolve => {
    const began = performance.now(), asked = request(url + path, { method: 'POST', agent: false, headers: { 'content-type': 'text/csv' } })
    let status = 0, text = '', sent = 0
    const timer = setInterval(() => {
      if (sent++ < pieces) asked.write(Buffer.alloc(bytes, 97))
      else {
        clearInterval(timer)
        asked.end()
      }
    }, 50)
    asked.on('response', answer => { status = answer.statusCode!; answer.setEncoding('utf8').on('data', part => { text += part }) }).on('error', () => {})
    asked.on('socket', socket => { socket.on('close', () => { clearInterval(timer); resolve({ status, text, ms: performance.now() - began }) }) })
  })
}

t.test('a body that comes well takes several times as long as one look to the next', async t => {
  const send = await open(t), { status, ms } = await send('/read', { bytes: 1000, pieces: 30 })
  t.equal(status, 200)
  t.ok(ms > 4 * EVERY, `${ms} ms`)
})

t.test('one that hardly comes is over, also behind a refusal', async t => {
  const send = await open(t)
  const [read, refused] = await Promise.all([send('/read', { bytes: 1, pieces: 100 }), send('/refused', { bytes: 1, pieces: 100 })])
  t.equal(read.status, 408)
  t.match(JSON.parse(read.text), { status: 408, code: 'api/slow', detail: 'the body came with less than 1024 bytes a second', instance: /./ })
  t.equal(refused.status, 401)
  for (const { ms } of [read, refused]) t.ok(ms < 10 * EVERY, `${ms} ms`)
})

t.test('the plane goes by it, and does not end a whole request as soon as a head that is not there', async t => {
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: undefined, query: undefined }, quiet)
  t.teardown(() => app.close())
  t.strictSame([app.server.headersTimeout, app.server.requestTimeout], [15_000, 3_600_000])
})
