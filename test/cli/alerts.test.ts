import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { alerts } from '../../engine/cli/alerts.ts'
import { main } from '../../engine/cli/program.ts'
import type { Parts } from '../../engine/components.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { mailServer } from '../fixtures/mail.ts'
import { receiver } from '../fixtures/receiver.ts'
import { files } from './call.ts'

const secret = `whsec_${Buffer.from('a secret key of 32 random bytes!').toString('base64')}`

t.test('alerts test: every receiver of a pipeline gets a marked alert, and what it answered is printed', async t => {
  const hook = await receiver(t, (response, { path }) => { response.writeHead(path === '/bad' ? 500 : 204).end() }), mail = await mailServer(t)
  const there = files({ 'p.yaml': `name: p
from: simulator
alerts:
  hot:
    when: { value: { above: 90 } }
    to: [ webhook: { url: "${hook.url}/", secret: "${secret}" }, slack: { url: "${hook.url}/slack", name: shift } ]
    escalate: [ { after: 15m, to: [ email: { server: "${mail.url}", from: m@example.com, to: ops@example.com } ] } ]
  cold: { when: { value: { below: 0 } }, to: [ webhook: { url: "${hook.url}/bad" } ] }
to: [ stdout ]
` })
  t.teardown(() => there.remove())
  const call = async (...argv: string[]) => {
    let out = '', err = ''
    const code = await main(['alerts', 'test', there.path('p.yaml'), ...argv], { sources, operators, sinks } as unknown as Parts, [alerts], { writeOut: text => { out += text }, writeErr: text => { err += text }, getErrHasColors: () => false })
    return { code, out, err }
  }
  const all = await call('--egress', '127.0.0.0/8', '--public-url', 'https://m.example')
  t.equal(all.code, 1, 'one of them fails')
  t.match(all.out, new RegExp(`^delivered  hot/webhook:[0-9a-f]{8}  webhook ${hook.url} answered 204\\ndelivered  hot/slack:shift  slack ${hook.url} answered 204\\ndelivered  hot/escalation/email:[0-9a-f]{8}  email 127.0.0.1 answered 250.*\\nfailed     cold/webhook:[0-9a-f]{8}  webhook ${hook.url} answered 500\\n$`))
  const [first] = hook.received
  t.match(new Webhook(secret).verify(first.body, first.headers as Record<string, string>), { type: 'alert.firing', test: true, data: { pipeline: 'p', alert: 'hot', severity: 'info', message: /test/, expected: { low: 10, high: 20 } }, links: { api: 'https://m.example' } })
  t.match(mail.mails[0].headers.subject, /^TEST /)
  const one = await call('hot', '--json', '--egress', '127.0.0.1')
  t.strictSame([one.code, one.out.trim().split('\n').map(line => JSON.parse(line).receiver.replace(/[0-9a-f]{8}$/, '...'))], [0, ['hot/webhook:...', 'hot/slack:shift', 'hot/escalation/email:...']])
  for (const who of ['slack', 'shift', 'hot/slack:shift']) t.match(await call(who), { code: 1, out: /^failed     hot\/slack:shift  slack .*not public/ }, `${who}: not without --egress`)
  t.match(await call('slak'), { code: 2, err: /slack/ })
  t.match(await call('--egress', '10.0.0.0/99'), { code: 2, err: /no network/ })
})
