import t, { type Test } from 'tap'
import { pino } from 'pino'
import { SeriesTable, Transient, type SinkHost } from '#engine'
import { email } from '../../sinks/email.ts'
import { alert } from '../fixtures/bench.ts'
import { mailServer } from '../fixtures/mail.ts'

const host: SinkHost = { pipeline: 'p', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder: '.' }
const never = new AbortController().signal
const { event } = alert('inc'), notice = { id: event.id, events: [event] } as const
const receive = (t: Test, given: Parameters<typeof email>[0]) => {
  const to = email.definition.receive!(email({ from: 'millrace@example.com', to: 'ops@example.com', ...given }).options as never, host)
  t.teardown(() => to.close())
  return to
}
/** A failure of an SMTP server at one of its steps. */
const refusal = (responseCode: number) => Object.assign(new Error('no'), { responseCode })

t.test('an alert arrives as a message for people, whose id is the same when it is sent again', async t => {
  const { url, mails } = await mailServer(t)
  const to = receive(t, { server: url, to: ['ops@example.com', 'night@example.com'] })
  const full = { ...event, details: { expected: { low: 20, high: 30.5 }, p: 0.00012, signals: [{ name: 'level', by: 'anomaly' }, { name: 'flow', by: 'forest', weight: -0.4 }], verdict: 'sensor', version: 'abc' } }
  t.match(await to.send({ ...notice, events: [full], links: { incident: 'https://m.example/api/v1/alerts/inc' } }, never), /^email 127\.0\.0\.1 answered 250/)
  await to.send({ ...notice, events: [full] }, never)
  const [first, again] = mails
  t.strictSame([first.from, first.to], ['millrace@example.com', ['ops@example.com', 'night@example.com']])
  t.match(first.headers, { subject: '[WARNING] hot: boiler-1 temp', 'message-id': '<inc.firing@example.com>', references: '<inc@example.com>', 'x-millrace-id': 'inc.firing', 'auto-submitted': 'auto-generated', date: 'Mon, 09 Mar 2026 12:00:00 +0000' })
  for (const line of ['temp of boiler-1 is 90.5, above 80', 'since 2026-03-09T11:59:58.999500Z', 'value 90.5, expected 20 to 30.5', 'p-value 0.00012', 'signals level (anomaly), flow (forest -0.4)', 'verdict sensor', 'pipeline p abc', 'incident: https://m.example/api/v1/alerts/inc']) t.match(first.text.replaceAll('=\r\n', ''), line)
  t.equal(again.headers['message-id'], first.headers['message-id'])
  await to.send({ id: 'inc.resolved', events: [{ ...event, id: 'inc.resolved', state: 'resolved' }] }, never)
  t.match(mails[2].headers, { subject: '[RESOLVED] hot: boiler-1 temp', references: first.headers.references })
  t.not(mails[2].headers['message-id'], first.headers['message-id'])
})

t.test('names cannot make headers, recipients or another message', async t => {
  const { url, mails } = await mailServer(t)
  await receive(t, { server: url }).send({ id: 'inc.firing', events: [{ ...event, device: 'a\r\nBcc: x@evil.example\r\n\r\nbody', message: 'one\r\n.\r\nMAIL FROM:<x@evil.example>' }] }, never)
  t.equal(mails.length, 1)
  t.strictSame(mails[0].to, ['ops@example.com'])
  t.equal(mails[0].headers.bcc, undefined)
})

t.test('5xx is final, but not for a login; 4xx, hanging and not being there is tried again', async t => {
  const failure = async (options: Parameters<typeof mailServer>[1], more = {}) => {
    const { url } = await mailServer(t, options)
    return await receive(t, { server: url, timeout: '500ms', ...more }).send(notice, never).then(() => undefined, (error: Error) => error)
  }
  t.match(await failure({ onRcptTo: (_, __, done) => { done(refusal(550)) } }), { name: 'MillraceError', code: 'sink/failed' })
  t.type(await failure({ onRcptTo: (_, __, done) => { done(refusal(451)) } }), Transient)
  t.type(await failure({ onAuth: (_, __, done) => { done(refusal(535)) } }, { user: 'me', password: 'wrong' }), Transient)
  t.match(await failure({ onMailFrom: () => {} }), { name: 'Transient', message: /no answer within 500ms/ })
  t.type(await receive(t, { server: 'smtp://127.0.0.1:1' }).send(notice, never).catch((e: Error) => e), Transient)
})

t.test('a login is what the options say, and the password is in no message', async t => {
  const seen: unknown[] = []
  const { url, mails } = await mailServer(t, { authOptional: false, onAuth: ({ username, password }, _, done) => { seen.push([username, password]); if (password === 'right') done(null, { user: 1 }); else done(new Error('no')) } })
  await receive(t, { server: url, user: 'me', password: 'right' }).send(notice, never)
  t.strictSame([seen, mails.length], [[['me', 'right']], 1])
  t.notMatch((await receive(t, { server: url, user: 'me', password: 'hush' }).send(notice, never).catch((e: Error) => e) as Error).message, /hush/)
})

t.test('to a server of another machine nothing goes without TLS', async t => {
  const { url } = await mailServer(t)
  const elsewhere = url.replace('127.0.0.1', '0.0.0.0')          // this machine, by an address that does not say so
  t.match(await receive(t, { server: elsewhere, timeout: '2s' }).send(notice, never).then(() => undefined, (e: Error) => e), { name: 'Transient', message: /TLS/ })
  t.equal(await receive(t, { server: elsewhere, timeout: '2s', insecure: true }).send(notice, never).then(() => undefined, (e: Error) => e.message), undefined)
})

t.test('a server may be named by an IPv6 address', async t => {
  const { url, mails } = await mailServer(t, {}, '::1')
  t.match(await receive(t, { server: url, timeout: '5s' }).send(notice, never), /^email \[::1\] answered 250/)
  t.equal(mails.length, 1)
})

t.test('options that cannot work are refused when the pipeline is read', async t => {
  const wrong = (given: Parameters<typeof email>[0], message: RegExp) => t.throws(() => email({ server: 'smtp://host', from: 'a@b.c', to: 'd@e.f', ...given }), { message })
  wrong({ server: 'http://host' }, /email\.server/)
  wrong({ server: 'smtp://me:pw@host' }, /use user and password/)
  wrong({ from: 'nobody' }, /"nobody" is no address/)
  wrong({ to: ['d@e.f', 'x@y.z, evil@e.f'] }, /no address/)
  wrong({ user: 'me' }, /belong together/)
  wrong({ timeout: '2m' }, /at most 1m/)
})
