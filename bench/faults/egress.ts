/** S4: alerts sent where a pipeline must not reach. S5: what a receiver makes of a signature. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { Webhook } from 'standardwebhooks'
import { SeriesTable, type AlertEvent, type SinkHost } from '#engine'
import { Guard } from '../../sinks/http/guard.ts'
import { webhook } from '../../sinks/webhook.ts'
import { chance } from './data-rig.ts'
import { unless, type Bench, type Report } from './row.ts'

const host: SinkHost = { pipeline: 'p', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder: '.' }
const event = (id: string): AlertEvent => ({
  id: `${id}.firing`, incident: id, state: 'firing', tenant: 'acme', pipeline: 'p', alert: 'hot', severity: 'warning', device: 'd', metric: 'm', since: Date.now(), time: Date.now(), value: 1, evidence: {}, message: 'Störung: m of d is 1'
} as unknown as AlertEvent)

/** The ways in which an address of IPv4 can be written in a URL, and what WHATWG makes one of. */
const spellings = (address: string): string[] => {
  const [a, b, c, d] = address.split('.').map(Number), all = ((a * 256 + b) * 256 + c) * 256 + d, hex = (n: number) => `0x${n.toString(16)}`, octal = (n: number) => `0${n.toString(8)}`
  return [address, `${all}`, hex(all), octal(all), [a, b, c, d].map(hex).join('.'), [a, b, c, d].map(octal).join('.'), `${a}.${(b * 256 + c) * 256 + d}`, `${a}.${b}.${c * 256 + d}`, `[::ffff:${address}]`, `[::ffff:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}]`, `[64:ff9b::${address}]`, `${address}.`]
}
const OWN4 = ['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.9.9.9', '169.254.169.254', '172.16.5.4', '172.31.255.254', '192.0.0.1', '192.168.1.1', '198.18.0.1', '203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255']
const OWN6 = ['[::]', '[::1]', '[::127.0.0.1]', '[100::1]', '[2001:db8::1]', '[2002:7f00:1::1]', '[fc00::1]', '[fd12:3456::1]', '[fe80::1]', '[fec0::1]', '[ff02::1]']

/** A name server that answers the questions for A of one name in turn, the last answer for ever, with no time to live. */
async function nameServer (answers: readonly (readonly string[])[], closing: (() => unknown)[]): Promise<{ readonly resolver: Resolver, asked: () => number }> {
  const socket = createSocket('udp4')
  let asked = 0
  socket.on('message', (question, from) => {
    const end = question.indexOf(0, 12) + 5, type = question.readUInt16BE(end - 4), found = type === 1 ? answers[Math.min(asked++, answers.length - 1)] : []
    const head = Buffer.from(question.subarray(0, end))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(found.length, 6)
    head.writeUInt32BE(0, 8)
    socket.send(Buffer.concat([head, ...found.map(address => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]))]), from.port, from.address)
  }).bind(0, '127.0.0.1')
  await once(socket, 'listening')
  closing.push(() => { socket.close() })
  const resolver = new Resolver({ timeout: 2000, tries: 1 })
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return { resolver, asked: () => asked }
}

async function listening (answer: Parameters<typeof createServer>[1], closing: (() => unknown)[], address = '0.0.0.0'): Promise<{ readonly port: number, dialled: () => number }> {
  const server = createServer(answer as never).listen(0, address)
  let dialled = 0
  server.on('connection', () => { dialled++ })
  await once(server, 'listening')
  closing.push(() => { server.closeAllConnections(); server.close() })
  return { port: (server.address() as AddressInfo).port, dialled: () => dialled }
}

export async function privateAddresses ({ closing }: Bench): Promise<Report> {
  const inside = await listening((_: unknown, response: any) => { response.end() }, closing), wrong: string[] = []
  const send = async (url: string, egress?: readonly string[]): Promise<string | undefined> => {
    const to = webhook.definition.receive!(webhook({ url, timeout: '3s' }).options as never, { ...host, egress })
    try { await to.send({ id: 'a.firing', events: [event('a')] }, new AbortController().signal); return undefined } catch (error) { return (error as Error).message } finally { await to.close() }
  }

  // addresses as they can be written
  let cases = 0
  for (const name of [...OWN4.flatMap(spellings), ...OWN6]) {
    const url = `http://${name}:${inside.port}/latest/meta-data`
    if (!URL.canParse(url)) continue
    cases++
    const said = await send(url)
    if (!/not public/.test(said ?? 'it was sent')) wrong.push(`${url}: ${said ?? 'it was sent'}`)
  }

  // names, by a name server that says one thing first and another then
  let names = 0
  for (const own of OWN4) {
    for (const answers of [[[own]], [['1.1.1.1', own]], [[own, '1.1.1.1']], [['1.1.1.1'], [own]]]) {
      const { resolver, asked } = await nameServer(answers, closing)
      const guard = new Guard([], ((name: string, _: unknown, found: (error: Error | null, addresses: object[]) => void) => { resolver.resolve4(name, (error, addresses) => { found(error, (addresses ?? []).map(address => ({ address, family: 4 }))) }) }) as never)
      const dial = () => new Promise<string>(resolve => { guard.lookup(new URL('https://hooks.example'))('hooks.example', { all: true }, (error, addresses) => { resolve(error?.message ?? JSON.stringify(addresses)) }) })
      const said: string[] = []
      for (const _ of answers) said.push(await dial())
      names++
      if (!said.at(-1)!.includes('not public')) wrong.push(`${JSON.stringify(answers)}: ${said.at(-1)!}`)
      if (answers.length === 2 && said[0] !== '[{"address":"1.1.1.1","family":4}]') wrong.push(`the public one of ${JSON.stringify(answers)} was refused: ${said[0]}`)
      if (asked() !== answers.length) wrong.push(`${JSON.stringify(answers)}: looked up ${asked()} times for ${answers.length} connections`)
    }
  }

  // redirects of every kind from a server that is allowed to one that is not
  const redirects = [301, 302, 303, 307, 308]
  for (const status of redirects) {
    const away = await listening((_: unknown, response: any) => { response.writeHead(status, { location: `http://127.0.0.1:${inside.port}/` }).end() }, closing, '127.0.0.2')
    const said = await send(`http://127.0.0.2:${away.port}/`, ['127.0.0.2'])
    if (!said?.includes(`answered ${status}`)) wrong.push(`${status}: ${said ?? 'it was sent'}`)
  }
  const dialled = inside.dialled()
  const allowed = await send(`http://127.0.0.1:${inside.port}/`, ['127.0.0.0/8'])         // the trap works
  return { figures: { addresses: cases, names, redirects: redirects.length, connections: dialled }, wrong: [...wrong, ...unless(cases + names >= 200, `only ${cases + names} cases`), ...unless(dialled === 0, `${dialled} connections to an address that is not public`), ...unless(allowed === undefined && inside.dialled() === 1, `what is allowed does not arrive: ${allowed}`)] }
}

/** Receivers that verify with the reference library, through a change of secrets; and what they are given in its place. */
export async function signatures ({ rounds, seed, closing }: Bench): Promise<Report> {
  const [first, second, other] = [1, 2, 3].map(() => `whsec_${randomBytes(32).toString('base64')}`), random = chance(seed), wrong: string[] = []
  type Heard = { readonly body: string, readonly headers: Record<string, string> }
  const heard: Heard[] = []
  const { port } = await listening((request: IncomingMessage, response: any) => {
    const pieces: Buffer[] = []
    request.on('data', piece => { pieces.push(piece) }).on('end', () => { heard.push({ body: Buffer.concat(pieces).toString(), headers: request.headers as Record<string, string> }); response.end() })
  }, closing, '127.0.0.1')
  const verifies = (secret: string, { body, headers }: Heard): boolean => { try { new Webhook(secret).verify(body, headers); return true } catch { return false } }
  const at = async (options: object, count: number): Promise<Heard[]> => {
    const to = webhook.definition.receive!(webhook({ url: `http://127.0.0.1:${port}/`, ...options }).options as never, { ...host, egress: ['127.0.0.0/8'] }), before = heard.length
    for (let k = 0; k < count; k++) await to.send({ id: `i${before + k}.firing`, events: [event(`i${before + k}`)] }, new AbortController().signal)
    await to.close()
    return heard.slice(before)
  }
  // the sender knows the new secret too, then receivers change over, then it forgets the old one: at no time does one of them miss anything
  const [before, both, after] = [await at({ secret: first }, rounds), await at({ secret: second, oldSecret: first }, rounds), await at({ secret: second }, rounds)]
  const missed = [...before.map(h => verifies(first, h)), ...both.flatMap(h => [verifies(first, h), verifies(second, h)]), ...after.map(h => verifies(second, h))].filter(is => !is).length
  const forged = { 'another secret': 0, 'a changed body': 0, 'another id': 0, 'a changed signature': 0, 'a later timestamp under the old signature': 0, 'six minutes old': 0, 'six minutes ahead': 0, 'no signature': 0 }
  const genuine = Date.now
  for (const h of [...before, ...both, ...after]) {
    const secret = before.includes(h) ? first : second, { body, headers } = h, cut = Math.floor(random() * (body.length - 1)), id = headers['webhook-id'], time = Number(headers['webhook-timestamp']), signature = headers['webhook-signature']
    const is = (what: keyof typeof forged, taken: boolean) => { if (taken) forged[what]++ }
    const flip = (text: string, k: number) => text.slice(0, k) + (text[k] === 'a' ? 'b' : 'a') + text.slice(k + 1)
    is('another secret', verifies(other, h))
    is('a changed body', verifies(secret, { body: flip(body, cut), headers }))
    is('another id', verifies(secret, { body, headers: { ...headers, 'webhook-id': `${id}x` } }))
    is('a changed signature', verifies(secret, { body, headers: { ...headers, 'webhook-signature': signature.split(' ').map(s => flip(s, 5)).join(' ') } }))
    is('a later timestamp under the old signature', verifies(secret, { body, headers: { ...headers, 'webhook-timestamp': String(time + 1) } }))
    is('no signature', verifies(secret, { body, headers: { ...headers, 'webhook-signature': '' } }))
    for (const [what, by] of [['six minutes old', 360_000], ['six minutes ahead', -360_000]] as const) {
      Date.now = () => genuine() + by                // what is sent again later, or by a clock that is wrong
      try { is(what, verifies(secret, h)) } finally { Date.now = genuine }
    }
  }
  return { figures: { sent: heard.length, missed, ...Object.fromEntries(Object.entries(forged).map(([what, n]) => [what.replaceAll(' ', '_'), n])) }, wrong: [...wrong, ...unless(heard.length === 3 * rounds, `${heard.length} of ${3 * rounds} arrived`), ...unless(missed === 0, `${missed} were not verified`), ...Object.entries(forged).filter(([, n]) => n > 0).map(([what, n]) => `${n} taken: ${what}`)] }
}
