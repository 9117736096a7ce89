import { createHmac } from 'node:crypto'
import * as Ajv2020 from 'ajv/dist/2020.js'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { pino } from 'pino'
import { Batch, noticeSchema, SeriesTable, Transient, type SinkHost } from '#engine'
import { webhook } from '../../sinks/webhook.ts'
import { receiver } from '../fixtures/receiver.ts'
import { alert } from '../fixtures/bench.ts'

const host: SinkHost = { pipeline: 'boiler-room', series: new SeriesTable(10), log: pino({ level: 'silent' }), database: undefined, folder: '.', egress: ['127.0.0.0/8'] }
const never = new AbortController().signal
const { event } = alert('inc'), notice = { id: event.id, events: [event] } as const
const receive = (t: Test, given: Parameters<typeof webhook>[0]) => {
  const to = webhook.definition.receive!(webhook(given).options as never, host)
  t.teardown(() => to.close())
  return to
}
const failure = (t: Test, url: string, more = {}) => receive(t, { url, ...more }).send(notice, never).then(() => undefined, e => e)

void t.test('an alert arrives as documented JSON, with its id, over one kept connection', async t => {
  const { url, received } = await receiver(t)
  const to = receive(t, { url: `${url}/hook?a=b`, headers: { authorization: 'Bearer x' } }), before = Math.floor(Date.now() / 1000)
  await to.send(notice, never)
  await to.send(notice, never)
  t.equal(received.length, 2)
  const [{ headers, body, path }, second] = received
  t.equal(path, '/hook?a=b')
  t.match(headers, { 'content-type': 'application/json', authorization: 'Bearer x', 'webhook-id': 'inc.firing', 'webhook-timestamp': /^\d{10}$/ })
  t.equal(headers['webhook-signature'], undefined)
  t.ok(Number(headers['webhook-timestamp']) >= before && Number(headers['webhook-timestamp']) <= Date.now() / 1000)
  t.strictSame(JSON.parse(body), {
    type: 'alert.firing',
    timestamp: '2026-03-09T12:00:00.000125Z',
    data: {
      id: 'inc.firing', incident: 'inc', state: 'firing', tenant: 'acme', pipeline: 'p', alert: 'hot', severity: 'warning', device: 'boiler-1', metric: 'temp',
      since: '2026-03-09T11:59:58.999500Z', time: '2026-03-09T12:00:00.000125Z', value: 90.5, evidence: { score: 4.5, zscore: null }, message: 'temp of boiler-1 is 90.5, above 80', position: 1
    }
  })
  t.equal(second.body, body, 'a repeat is the same byte for byte')
  t.equal(second.connection, received[0].connection)
})

void t.test('with a secret it is signed after Standard Webhooks', async t => {
  const { url, received } = await receiver(t)
  const key = Buffer.from('a secret key of 32 random bytes!')
  await receive(t, { url, secret: `whsec_${key.toString('base64')}` }).send({ id: event.id, events: [{ ...event, message: 'Störung' }] }, never)
  const [{ headers, body }] = received
  const expected = createHmac('sha256', key).update(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.`).update(body, 'utf8').digest('base64')
  t.equal(headers['webhook-signature'], `v1,${expected}`)
  t.equal(JSON.parse(body).data.message, 'Störung')
})

void t.test('while secrets change over, a receiver with either of them takes it; with another, or another body, it does not', async t => {
  const { url, received } = await receiver(t)
  const [secret, oldSecret, other] = ['new', 'old', 'any'].map(name => `whsec_${Buffer.from(`the ${name} secret, of 32 random bytes`).toString('base64')}`)
  await receive(t, { url, secret, oldSecret }).send(notice, never)
  const [{ headers, body }] = received as unknown as { headers: Record<string, string>, body: string }[]
  for (const one of [secret, oldSecret]) t.match(new Webhook(one).verify(body, headers), { type: 'alert.firing', data: { id: 'inc.firing' } })
  t.throws(() => new Webhook(other).verify(body, headers), { message: /No matching signature/ })
  t.throws(() => new Webhook(secret).verify(body.replace('90.5', '20.5'), headers), { message: /No matching signature/ })
  t.throws(() => new Webhook(secret).verify(body, { ...headers, 'webhook-id': 'another' }), { message: /No matching signature/ })
  t.throws(() => new Webhook(secret).verify(body, { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 301) }), { message: /too old/ })
})

void t.test('several alerts of a group are one request under the id of the group', async t => {
  const { url, received } = await receiver(t)
  const second = { ...event, id: 'two.firing', incident: 'two', time: event.time + 1000, details: { version: 'v', p: 0.001, expected: { low: 1, high: null }, signals: [{ name: 'jump', by: 'anomaly' }], verdict: 'sensor' } }
  await receive(t, { url }).send({ id: 'inc.firing.group', events: [event, second], links: { incident: 'https://x/y' } }, never)
  const [{ headers, body }] = received
  t.equal(headers['webhook-id'], 'inc.firing.group')
  t.match(JSON.parse(body), { type: 'alert.group', timestamp: '2026-03-09T12:00:01.000125Z', links: { incident: 'https://x/y' }, data: { id: 'inc.firing.group', alerts: [{ id: 'inc.firing' }, { id: 'two.firing', p: 0.001, expected: { low: 1, high: null }, signals: [{ name: 'jump', by: 'anomaly' }], verdict: 'sensor', version: 'v' }] } })
  const check = new Ajv2020.Ajv2020({ strict: false, formats: { 'date-time': true } }).compile(noticeSchema())
  for (const one of received) t.ok(check(JSON.parse(one.body)), JSON.stringify(check.errors))
  t.notOk(check({ ...JSON.parse(body), data: { id: 'x' } }))
})

void t.test('an alert is tried again whatever the answer was, unless the receiver is gone', async t => {
  const { url, received } = await receiver(t, (response, { path }) => {
    response.statusCode = Number(path.slice(1))
    if (path === '/302') response.setHeader('location', '/200')
    if (path === '/429') response.setHeader('retry-after', '7')
    if (path === '/503') response.setHeader('retry-after', new Date(Date.now() + 3_600_000).toUTCString())
    if (path === '/500') response.setHeader('retry-after', 'soon')
    response.end('no:\n  out of \u0007 order ' + 'x'.repeat(1000))
  })
  for (const status of [301, 302, 307, 400, 401, 403, 404, 408, 409, 413, 415, 422, 425, 429, 451, 500, 501, 502, 503, 504]) {
    const error = await failure(t, `${url}/${status}`)
    t.ok(error instanceof Transient, `${status}`)
    t.match(error.message, new RegExp(`^webhook ${url} answered ${status}: no: out of order x+$`))
    t.ok(error.message.length < 300)
    if (status === 429) t.equal(error.after, 7000)
    else if (status === 503) t.ok(error.after > 3_000_000 && error.after <= 3_600_000)
    else t.equal(error.after, undefined)
  }
  t.notOk(received.some(r => r.path === '/200'), 'no redirect is followed')
  t.match(await failure(t, `${url}/410`), { name: 'MillraceError', code: 'sink/failed' })
  for (const status of [200, 202, 204]) t.equal(await failure(t, `${url}/${status}`), undefined)
})

void t.test('a server that hangs, drips, floods or is not there is transient, within the timeout', async t => {
  const { url, received, server } = await receiver(t, (response, { path }) => {
    if (path === '/hang') return
    if (path === '/drip') {
      response.statusCode = 500
      const timer = setInterval(() => response.write('.'), 20)
      response.on('close', () => clearInterval(timer))
      return
    }
    response.statusCode = path === '/flood-ok' ? 200 : 500
    let sent = 0
    const more = () => { while (!response.destroyed && sent < 1e9) { sent += 65536; if (!response.write(Buffer.alloc(65536, 46))) return void response.once('drain', more) } }
    response.on('close', () => { closed = sent })
    more()
  })
  let closed = 0
  const timed = async (path: string, timeout = '300ms') => {
    const started = Date.now()
    const error = await failure(t, url + path, { timeout })
    return { error, took: Date.now() - started }
  }
  const hang = await timed('/hang')
  t.ok(hang.error instanceof Transient && hang.took >= 290 && hang.took < 12_000, 'not by the 15 s that are the default')
  t.match(hang.error.message, /no answer within 300ms/)
  const drip = await timed('/drip')
  t.ok(drip.error instanceof Transient && drip.took < 12_000)
  t.ok((await timed('/flood', '1m')).error instanceof Transient)
  t.ok(closed < 2e7, `${closed} bytes sent: cut off at 64 KB, not by the timeout`)
  t.equal((await timed('/flood-ok')).error, undefined, 'delivered all the same')
  t.equal(received.length, 4)
  server.closeAllConnections()
  server.close()
  t.ok((await timed('/gone')).error instanceof Transient)
})

void t.test('a secret in the path of the URL is not in any message', async t => {
  const { url } = await receiver(t, response => { response.statusCode = 404; response.end() })
  t.notMatch((await failure(t, `${url}/T000/hush?key=hush`)).message, /hush/)
  t.notMatch((await failure(t, 'http://127.0.0.1:1/hush')).message, /hush/)
})

void t.test('a stop cuts a request short', async t => {
  const { url } = await receiver(t, () => {})
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 50)
  await t.rejects(receive(t, { url }).send(notice, stop.signal), Transient)
})

void t.test('rows that are refused stop the pipeline, which keeps them; what may work later is waited for', async t => {
  const { url } = await receiver(t, (response, { path }) => { response.writeHead(Number(path.slice(1))).end() })
  const s = host.series.id('acme', 'boiler-1', 'temp')
  const write = (status: number) => {
    const sink = webhook.definition.follow!(webhook({ url: `${url}/${status}` }).options as never, host)
    t.teardown(() => sink.close())
    return sink.write(new Batch({ time: Float64Array.of(1), series: Int32Array.of(s), value: Float64Array.of(5) }))
  }
  for (const status of [302, 408, 425, 429, 500, 503]) await t.rejects(write(status), Transient, `${status}`)
  for (const status of [400, 401, 403, 404, 410, 413, 422]) await t.rejects(write(status), { code: 'sink/failed' }, `${status}`)
})

void t.test('rows are sent in parts, in order, and equal parts have equal ids', async t => {
  let down = 1
  const { url, received } = await receiver(t, response => { response.statusCode = down-- > 0 ? 503 : 200; response.end() })
  const sink = webhook.definition.follow!(webhook({ url, rows: 2 }).options as never, host)
  t.teardown(() => sink.close())
  const s = host.series.id('acme', 'boiler-1', 'temp')
  const batch = new Batch({ time: Float64Array.of(1, 2, 3), series: Int32Array.of(s, s, s), value: Float64Array.of(5, NaN, 7), columns: { score: Float64Array.of(1, 2, 3) } })
  await t.rejects(sink.write(batch), Transient)
  t.match(sink.trouble!(), /503/)
  await sink.write(batch)
  t.equal(sink.trouble!(), undefined)
  t.strictSame(received.map(r => JSON.parse(r.body).data.map((d: any) => d.value)), [[5, null], [5, null], [7]])
  t.equal(received[0].headers['webhook-id'], received[1].headers['webhook-id'])
  t.not(received[1].headers['webhook-id'], received[2].headers['webhook-id'])
  t.match(JSON.parse(received[2].body), { type: 'rows', pipeline: 'boiler-room', data: [{ tenant: 'acme', device: 'boiler-1', metric: 'temp', time: '1970-01-01T00:00:00.003000Z', score: 3 }] })
})

void t.test('options that cannot work are refused when the pipeline is read', async t => {
  const wrong = (given: Parameters<typeof webhook>[0], message: RegExp) => t.throws(() => webhook(given), { message })
  wrong({ url: 'ftp://x' }, /webhook\.url/)
  wrong({ url: 'http://' }, /not a URL/)
  wrong({ url: 'https://user:pw@host/' }, /authorization/)
  wrong({ url: 'https://host', timeout: '2m' }, /at most 1m/)
  wrong({ url: 'https://host', secret: 'whsec_c2hvcnQ=' }, /24 to 64 bytes/)
  wrong({ url: 'https://host', secret: 'hunter2' }, /whsec_/)
  wrong({ url: 'https://host', oldSecret: `whsec_${'a'.repeat(32)}` }, /stands beside secret/)
  wrong({ url: 'https://host', headers: { 'Webhook-Id': 'x' } }, /set by the sink/)
  wrong({ url: 'https://host', headers: { 'x-a': 'a\nb' } }, /cannot be sent/)
  t.throws(() => webhook({}), { code: 'config/missing' })
})
