/** S6: requests that are sent a byte at a time, headers without end, types of content that are nearly right, beside clients that do all well. */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Plane } from './plane.ts'
import { percentiles, unless, type Bench, type Report } from './row.ts'

const SLOW = 200, EVERY = 1000       // connections, ms between their bytes
const REQUESTS = 300, PAUSE = 4      // of a good client in a turn, ms between them
const MORE = 1.2, SPARE = 5          // times p99 of a good client, and ms
const OVER = 20_000                  // ms after which a request that is not whole is over: 15 s, and looks between

/** What a raw request is answered with: the status, or 0 when the connection ends without. */
function raw (port: number, text: string | Buffer, within = 10_000): Promise<number> {
  return new Promise(resolve => {
    let got = ''
    const socket = connect(port, '127.0.0.1', () => { socket.write(text) })
    const done = () => { clearTimeout(late); socket.destroy(); resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(got)?.[1] ?? 0)) }
    const late = setTimeout(done, within)
    socket.setEncoding('latin1').on('data', data => { got += String(data); if (got.includes('\r\n\r\n')) done() }).on('error', () => {}).on('close', done)
  })
}

/** Types of content that are not application/json, or only nearly: a body behind one of them is checked like any other, or refused. */
const TYPES = ['application/json\t', 'application/json ', '\tapplication/json', 'application/json;', 'application/json; charset', 'application/json;charset=utf-7', 'application/json, text/plain', 'application/jsonx', 'application/json/x', 'application/json\x0b', 'application/json\x0c', 'application/json\xa0', 'APPLICATION/JSON', 'application/ json', 'text/json', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', '*/*', 'json', '', 'application/json; a="\\"', 'application/json\r\n\tx']
const WRONG = ['{"text":1}', '{"text":""}', '{"text":"x","author":"root"}', '{}', '[]', 'null', '"x"', '{"__proto__":{"text":"x"}}', '{"constructor":{"prototype":{"text":"x"}}}']

export async function slowAndOdd (bench: Bench): Promise<Report> {
  const { rounds, stretch, signal, closing, say } = bench, plane = await Plane.open(bench), { key } = await plane.key(null), port = Number(new URL(plane.url).port), wrong: string[] = []
  const head = (more: string, body = '') => `POST /api/v1/alerts/none/comments HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

  let odd = 0
  for (const type of TYPES) {
    for (const body of WRONG) {
      const status = await raw(port, Buffer.from(head(`content-type: ${type}\r\n`, body), 'latin1'))
      odd++
      if (![400, 415].includes(status)) wrong.push(`${status} for ${body} as ${JSON.stringify(type)}`)
      await sleep(1)
    }
  }
  const right = await raw(port, head('content-type: application/json\r\n', '{"text":"x"}'))
  if (right !== 404) wrong.push(`${right} for a comment on an alert that is not there`)
  const long = 'x'.repeat(20_000), bombs = {
    'a header of 20 KB': `GET /livez HTTP/1.1\r\nhost: x\r\na: ${long}\r\n\r\n`, '3,000 headers': `GET /livez HTTP/1.1\r\nhost: x\r\n${Array.from({ length: 3000 }, (_, i) => `a${i}: b\r\n`).join('')}\r\n`, 'a path of 20 KB': `GET /${long} HTTP/1.1\r\nhost: x\r\n\r\n`,
    'two lengths': `POST /api/v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab`, 'a length and chunks': `POST /api/v1/ingest HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    'no HTTP': 'hello\r\n\r\n', 'a body of 2 MiB': head('content-type: application/json\r\n', `{"text":"${'x'.repeat(2 * 2 ** 20)}"}`)
  }
  for (const [what, text] of Object.entries(bombs)) {
    const status = await raw(port, text)
    if (status >= 500 || (status > 0 && status < 400)) wrong.push(`${status} for ${what}`)
  }

  // good clients, in turns without and beside connections that never come to the end of a request
  const turn = async (): Promise<number[]> => {
    const times: number[] = []
    for (let k = 0; k < REQUESTS; k++) {
      const began = performance.now(), { status } = await plane.ask('GET', '/livez')
      times.push(performance.now() - began)
      if (status !== 200) wrong.push(`${status} for a good client`)
      await sleep(PAUSE, undefined, { signal })
    }
    return times
  }
  let cut = false
  const listener = connect(port, '127.0.0.1', () => { listener.write(`GET /api/v1/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`) }).on('error', () => {}).on('close', () => { cut = true }).resume()       // whole, and long
  closing.push(() => { listener.destroy() })
  let halves = 0
  const honest = connect(port, '127.0.0.1', () => { honest.write(head('content-type: application/json\r\n', '').replace('content-length: 0', `content-length: ${20 * 2 ** 14}`)) }).on('error', () => {})         // 16 KiB a second: slow, but it comes to its end
  const steady = setInterval(() => { if (halves++ < 20) honest.write(Buffer.alloc(2 ** 14, 0x20)) }, 1000), answered = new Promise<string>(resolve => { honest.once('data', data => { resolve(String(data)) }).once('close', () => { resolve('closed') }) })
  closing.push(() => { clearInterval(steady); honest.destroy() })
  await turn()
  const alone: number[] = [], beside: number[] = []
  let ended = 0
  for (let round = 0; round < rounds; round++) {
    alone.push(...await turn())
    const sockets = new Set<Socket>(), began = performance.now()
    for (let k = 0; k < SLOW; k++) {
      const socket = connect(port, '127.0.0.1').on('error', () => {})
      sockets.add(socket)
      socket.on('close', () => { sockets.delete(socket) })
      socket.write(k % 2 === 0 ? `GET /livez HTTP/1.1\r\na` : head('content-type: application/json\r\n', '').replace('content-length: 0', 'content-length: 1000'))
    }
    const drip = setInterval(() => { for (const socket of sockets) socket.write('a') }, EVERY)
    closing.push(() => { clearInterval(drip); for (const socket of sockets) socket.destroy() })
    beside.push(...await turn())
    if (round === rounds - 1) {
      while (sockets.size > 0 && performance.now() - began < OVER) await sleep(200, undefined, { signal })
      ended = Math.round((performance.now() - began) / 1000)
      if (sockets.size > 0) wrong.push(`${sockets.size} requests that are not whole are still open after ${OVER / 1000} s`)
    }
    clearInterval(drip)
    for (const socket of sockets) socket.destroy()
    say(`round ${round + 1}`)
  }
  const said = await answered
  if (!said.startsWith('HTTP/1.1 400')) wrong.push(`a body that comes slowly and whole: ${said.slice(0, 40)}`)
  if (cut) wrong.push('who listens was cut off')
  const at = (of: readonly number[]) => percentiles(of.map(ms => ms * 1000)), [one, two] = [at(alone), at(beside)]
  return {
    figures: { odd_types: odd, bombs: Object.keys(bombs).length, slow_connections: SLOW, closed_after_s: ended, alone_us: one, beside_us: two, ratio_p99: Math.round(two.p99 / one.p99 * 100) / 100 },
    wrong: [...wrong, ...unless(two.p99 <= stretch * (MORE * one.p99 + SPARE * 1000), `a good client waits ${two.p99} us instead of ${one.p99}`)]
  }
}
