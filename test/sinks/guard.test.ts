/** Where a webhook may go: every dial is looked at, and what is dialled is what was looked at. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { pino } from 'pino'
import { SeriesTable, Transient, type SinkHost } from '#engine'
import { faultOfNetwork, Guard, isPublic } from '../../sinks/http/guard.ts'
import { webhook } from '../../sinks/webhook.ts'
import { alert } from '../fixtures/bench.ts'

const own = `0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.8.8.8 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1
  192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::a00:1 64:ff9b:1::1
  100::1 2001::1 2001:db8::1 2002:7f00:1::1 2002:a00:1:: fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 5f00::1 4000::1`.split(/\s+/)
const others = '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.254 2606:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8'.split(' ')

t.test('addresses of own networks and machines, and ways into them, are not public', async t => {
  for (const address of own) t.notOk(isPublic(address), address)
  for (const address of others) t.ok(isPublic(address), address)
})

type Answer = readonly string[]
/** A guard whose names are answered in turn. */
const guardOf = (allowed: readonly string[], ...answers: Answer[]) => {
  let asked = 0
  const guard = new Guard(allowed, ((_: string, __: unknown, found: (error: null, addresses: object[]) => void) => { found(null, answers[asked++].map(address => ({ address, family: address.includes(':') ? 6 : 4 }))) }) as never)
  return { ask: (url: string, all = true) => new Promise<{ error: Error | null, addresses: unknown }>(resolve => { guard.lookup(new URL(url))(new URL(url).hostname, { all }, (error, addresses) => { resolve({ error, addresses }) }) }), asked: () => asked }
}

t.test('a name is good when all of its addresses are, each time anew', async t => {
  const { ask } = guardOf([], ['1.1.1.1', '2606:4700::1'], ['1.1.1.1', '10.0.0.1'], ['1.1.1.1'], ['127.0.0.1'], [], ['1.1.1.1'])
  t.strictSame((await ask('https://a.example')).addresses, [{ address: '1.1.1.1', family: 4 }, { address: '2606:4700::1', family: 6 }])
  t.match((await ask('https://a.example')).error, { message: /^a\.example is 10\.0\.0\.1, an address that is not public/ }, 'one of them is not')
  t.equal((await ask('https://a.example', false)).addresses, '1.1.1.1')
  t.match((await ask('https://a.example')).error, { message: /127\.0\.0\.1/ }, 'it was another a moment ago')
  t.match((await ask('https://a.example')).error, { message: /no address/ })
  t.equal((await ask('https://a.example:8443')).error, null)
})

t.test('of a name with several addresses each has to be allowed, or public', async t => {
  const { ask } = guardOf(['10.1.0.0/16'], ['10.1.0.1', '192.168.0.1'], ['192.168.0.1', '10.1.0.1'], ['10.1.0.1', '1.1.1.1'], ['10.1.0.1', '1.1.1.1'], ['10.1.0.1', '10.1.0.2'])
  for (const url of ['https://a.example', 'https://a.example']) t.match((await ask(url)).error, { message: /192\.168\.0\.1, an address that is not public/ })
  t.match((await ask('http://a.example')).error, { message: /plain http/ }, 'what is public by https only')
  t.equal((await ask('https://a.example')).error, null)
  t.equal((await ask('http://a.example:9000')).error, null)
})

t.test('public ones by https on 443 and 8443; what is allowed in any way', async t => {
  const guard = new Guard(['10.1.0.0/16', '192.0.2.7', 'fd00::/8'])
  const wrong = (url: string) => { try { guard.check(new URL(url)); return undefined } catch (error) { return (error as Error).message } }
  for (const url of ['https://1.1.1.1/', 'https://1.1.1.1:8443/', 'http://10.1.2.3:9000/', 'http://192.0.2.7/', 'http://[fd00::1]:81/', 'http://[::ffff:10.1.2.3]/']) t.equal(wrong(url), undefined, url)
  t.match(wrong('http://1.1.1.1/'), /plain http/)
  t.match(wrong('https://1.1.1.1:22/'), /port 22/)
  for (const url of ['http://10.2.0.1/', 'https://192.0.2.8/', 'https://127.0.0.1/', 'https://2130706433/', 'https://0x7f.1/', 'https://0177.0.0.1/', 'https://127.1/', 'https://[::ffff:7f00:1]/', 'https://[::1]/', 'http://169.254.169.254/latest/meta-data']) t.match(wrong(url), /not public/, url)
  t.strictSame(['10.0.0.0/8', 'fd00::/8', '192.0.2.7', '10.0.0.0/33', 'localhost', ''].map(n => faultOfNetwork(n) === undefined), [true, true, true, false, false, false])
})

async function listening (t: Test, answer: Parameters<typeof createServer>[1]) {
  const server = createServer(answer as never).listen(0, '127.0.0.1')
  let dialled = 0
  server.on('connection', () => { dialled++ })
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  return { port: (server.address() as AddressInfo).port, dialled: () => dialled }
}

t.test('nothing of it reaches a server of this machine, by name or by address, nor by a redirect; allowed, it does', async t => {
  const inside = await listening(t, (_: unknown, response: any) => { response.end() })
  const { event } = alert('inc'), host: SinkHost = { pipeline: 'p', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder: '.' }
  const send = async (url: string, egress?: readonly string[]) => {
    const to = webhook.definition.receive!(webhook({ url, timeout: '2s' }).options as never, { ...host, egress })
    try { await to.send({ id: event.id, events: [event] }, new AbortController().signal); return undefined } catch (error) { t.ok(error instanceof Transient); return (error as Error).message } finally { await to.close() }
  }
  for (const name of ['127.0.0.1', 'localhost', '2130706433', '0x7f000001', '0177.1', '[::ffff:127.0.0.1]', '[::1]']) t.match(await send(`http://${name}:${inside.port}/`), /not public/, name)
  t.equal(inside.dialled(), 0)
  const away = await listening(t, (_: unknown, response: any) => { response.writeHead(307, { location: `http://127.0.0.1:${inside.port}/` }).end() })
  t.match(await send(`http://127.0.0.1:${away.port}/`, ['127.0.0.0/8']), /answered 307/)
  t.equal(inside.dialled(), 0)
  t.equal(await send(`http://127.0.0.1:${inside.port}/`, ['127.0.0.0/8']), undefined)
  t.equal(inside.dialled(), 1)
})
