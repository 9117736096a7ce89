/** Bodies that come slowly: what comes well may take its time, what hardly comes is over, whether it is read or not. */
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { fastify } from 'fastify'
import t, { type Test } from 'tap'
import { clock } from '../../engine/clock.ts'
import { plan } from '../../engine/api/server.ts'
import { pace } from '../../engine/api/pace.ts'
import { components } from '../support/control.ts'
import { until } from '../support/journal.ts'
import { quiet } from '../support/postgres.ts'

const LOOK = 15 * 1024               // bytes that are to come from one look to the next

/** A server whose looks are taken when the test says so, and requests to it, whose bytes are at the server once they are sent. */
async function open (t: Test) {
  const app = fastify({ forceCloseConnections: true, bodyLimit: 2 ** 24 }), looks = new Set<() => void>(), arrivals: ((socket: Socket) => void)[] = []
  pace(app, { ...clock, interval (act) { looks.add(act); return () => { looks.delete(act) } } })
  app.addContentTypeParser('text/csv', { parseAs: 'buffer' }, async (_: unknown, body: Buffer) => body)
  app.addHook('onRequest', async ({ raw }) => { arrivals.shift()!(raw.socket) })
  app.post('/read', async ({ body }) => ({ bytes: (body as Buffer).length }))
  app.post('/refused', { onRequest: async (_, reply) => await reply.code(401).send({}) }, async () => ({}))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const ask = async (path: string, length: number) => {
    const arrived = new Promise<Socket>(resolve => { arrivals.push(resolve) }), asked = request(url + path, { method: 'POST', agent: false, headers: { 'content-type': 'text/csv', 'content-length': length } })
    const answered = new Promise<{ status: number, text: string }>(resolve => {
      asked.on('response', answer => {
        let text = ''
        answer.setEncoding('utf8').on('data', part => { text += part }).on('end', () => { resolve({ status: answer.statusCode!, text }) })
      })
    })
    const closed = new Promise<void>(resolve => { asked.on('error', () => {}).on('close', resolve) })
    asked.flushHeaders()
    const socket = await arrived, head = socket.bytesRead
    let sent = 0
    const send = async (bytes: number) => {
      asked.write(Buffer.alloc(bytes, 97))
      sent += bytes
      await until(() => socket.bytesRead - head === sent)
    }
    return { send, answered, closed }
  }
  return { ask, looks, look: () => { for (const act of looks) act() } }
}

t.test('a body that comes well may take many looks', async t => {
  const { ask, look, looks } = await open(t), { send, answered } = await ask('/read', 10 * LOOK)
  for (let k = 0; k < 10; k++) {
    await send(LOOK)
    look()
  }
  const { status, text } = await answered
  t.strictSame([status, JSON.parse(text)], [200, { bytes: 10 * LOOK }])
  look()
  t.equal(looks.size, 0, 'and then there are no more')
})

t.test('one that hardly comes is over, also behind a refusal', async t => {
  const { ask, look } = await open(t), { send, answered, closed } = await ask('/read', 10 * LOOK)
  await send(LOOK)
  look()
  await send(LOOK - 1)
  look()
  const { status, text } = await answered
  t.equal(status, 408)
  t.match(JSON.parse(text), { status: 408, code: 'api/slow', detail: 'the body came with less than 1024 bytes a second', instance: /./ })
  await closed
  const refused = await ask('/refused', LOOK)
  t.equal((await refused.answered).status, 401)
  look()
  look()
  await refused.closed
})

t.test('the plane goes by it, and does not end a whole request as soon as a head that is not there', async t => {
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: undefined, query: undefined }, quiet)
  t.teardown(() => app.close())
  t.strictSame([app.server.headersTimeout, app.server.requestTimeout], [15_000, 3_600_000])
})
