/** What comes on a connection and is no request: by raw sockets. */
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { newKey, type Scope } from '../../engine/api-key.ts'
import { plan } from '../../engine/api/server.ts'
import type { Keys } from '../../engine/keys.ts'
import { Live } from '../../engine/live.ts'
import { components } from '../support/control.ts'
import { quiet } from '../support/postgres.ts'

async function open (t: Test) {
  const { key, id, digest } = newKey(), scopes: Scope[] = ['query:read'], find = async () => ({ id, digest, name: 'test', tenant: null, scopes, created: new Date(), expires: null, revoked: null, used: null })
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: { find, used: async () => {} } as unknown as Keys, query: undefined, live: new Live() }, quiet)
  t.teardown(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  /** All that comes back until the connection is closed; `then` is sent when something has come. */
  const say = (text: string, then?: string): Promise<string> => new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => { socket.write(text) })
    let said = ''
    socket.setEncoding('utf8').on('data', part => {
      said += String(part)
      if (then !== undefined) socket.write(then)
      then = undefined
    }).on('error', () => {}).on('end', () => { socket.destroy() }).on('close', () => { resolve(said) })
  })
  return { app, say, key }
}
const problemOf = (said: string) => {
  const [head, body] = said.split('\r\n\r\n')
  return { line: head.split('\r\n')[0], type: /content-type: (.*)/.exec(head)?.[1], length: Number(/content-length: (.*)/.exec(head)?.[1]) - Buffer.byteLength(body), problem: JSON.parse(body) }
}

t.test('what is no HTTP, or has a head without end, is told so as problem+json, and its connection ends', async t => {
  const { say } = await open(t), type = 'application/problem+json', length = 0
  for (const odd of ['GARBAGE\r\n\r\n', 'GET / HTTP/1.1\r\nhost: x\r\nodd header: 1\r\n\r\n', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', '\x16\x03\x01\x02\x00']) {
    t.match(problemOf(await say(odd)), { line: 'HTTP/1.1 400 Bad Request', type, length, problem: { type: 'urn:millrace:error:api:invalid', status: 400, code: 'api/invalid', detail: /^what came is no HTTP request: Parse Error: ./ } }, JSON.stringify(odd))
  }
  t.match(problemOf(await say(`GET / HTTP/1.1\r\nhost: x\r\nlong: ${'x'.repeat(20_000)}\r\n\r\n`)), { line: 'HTTP/1.1 431 Request Header Fields Too Large', type, length, problem: { status: 431, code: 'api/long-head' } })
})

t.test('a head that does not come is over', async t => {
  const { app, say } = await open(t)
  app.server.headersTimeout = 100
  t.match(problemOf(await say('GET / HTTP/1.1\r\nhost: x\r\n')), { line: 'HTTP/1.1 408 Request Timeout', problem: { status: 408, code: 'api/slow', detail: /head within 15 s/ } })
})

t.test('what follows while an answer is under way ends the connection, and is not told in the middle of it', async t => {
  const { say, key } = await open(t), said = await say(`GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`, 'GARBAGE\r\n\r\n')
  t.match(said, /^HTTP\/1\.1 200 OK/)
  t.notMatch(said, /HTTP\/1\.1 400|problem/)
})
