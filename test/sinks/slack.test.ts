import t, { type Test } from 'tap'
import { pino } from 'pino'
import { SeriesTable, Transient, type SinkHost } from '#engine'
import { slack } from '../../sinks/slack.ts'
import { alert } from '../fixtures/bench.ts'
import { receiver } from '../fixtures/receiver.ts'

const host: SinkHost = { pipeline: 'p', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder: '.', egress: ['127.0.0.0/8'] }
const never = new AbortController().signal
const { event } = alert('inc'), notice = { id: event.id, events: [event] } as const
const receive = (t: Test, url: string) => {
  const to = slack.definition.receive!(slack({ url, timeout: '1s' }).options as never, host)
  t.teardown(() => to.close())
  return to
}
/** A server that answers as https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks says. */
const slackLike = (t: Test) => receiver(t, (response, { path, body, headers }) => {
  if (path === '/gone') return void response.writeHead(404).end('no_service')
  if (path === '/limited') return void response.writeHead(429, { 'retry-after': '30' }).end()
  if (headers['content-type'] !== 'application/json') return void response.writeHead(400).end('invalid_payload')
  const { text, ...rest } = JSON.parse(body)
  if (typeof text !== 'string' || text === '') return void response.writeHead(400).end('no_text')
  if (Object.keys(rest).some(key => !['blocks', 'mrkdwn', 'attachments', 'thread_ts'].includes(key))) return void response.writeHead(400).end('invalid_payload')
  response.end('ok')
})

t.test('an alert arrives as text, in which names mention nobody and hide no link', async t => {
  const { url, received } = await slackLike(t)
  await receive(t, `${url}/services/T0/B0/hush`).send({ ...notice, events: [{ ...event, device: '<!channel>', message: '<https://evil.example|look> & see', details: { p: 0.01, version: 'v1', expected: { low: 1, high: null } } }] }, never)
  const { text } = JSON.parse(received[0].body)
  t.match(text, /^\*\[WARNING\] hot: &lt;!channel&gt; temp\*\n&lt;https:\/\/evil\.example\|look&gt; &amp; see\n/)
  t.match(text, 'value 90.5, expected 1 to ...')
  t.match(text, 'p-value 0.01')
  t.match(text, /_inc\.firing_$/)
  t.notMatch(text.replaceAll(/_inc.firing_/g, ''), /<|>/)
})

t.test('a test says that it is one', async t => {
  const { url, received } = await slackLike(t)
  t.match(await receive(t, url).send({ ...notice, test: true }, never), /^slack http:\/\/127\.0\.0\.1:\d+ answered 200/)
  t.match(JSON.parse(received[0].body).text, /^\*TEST \[WARNING\]/)
})

t.test('a webhook that was taken away is given up; all else is tried again, when it asks for it', async t => {
  const { url } = await slackLike(t), failure = (path: string) => receive(t, url + path).send(notice, never).then(() => undefined, e => e)
  t.match(await failure('/gone'), { name: 'MillraceError', code: 'sink/failed' })
  t.match(await failure('/limited'), { name: 'Transient', after: 30_000 })
  t.type(await receive(t, 'http://127.0.0.1:1/hush').send(notice, never).catch((e: Error) => e), Transient)
})

t.test('a url with a user in it is refused: a server could say its password back', async t => {
  for (const url of ['https://u:hush@hooks.slack.com/services/x', 'https://u@hooks.slack.com/services/x']) t.throws(() => slack({ url }), { message: /^(?!.*hush).*slack: url has a user or password in it/ })
})

t.test('the url is a secret: it stands in no message and in no definition', async t => {
  const { url } = await slackLike(t)
  t.notMatch((await receive(t, `${url}/gone`).send(notice, never).catch((e: Error) => e) as Error).message, '/gone')
  t.equal((slack.definition.options.properties.url as any)['x-secret'], true)
})
