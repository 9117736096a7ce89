import t from 'tap'
import type { Components } from '../../engine/components.ts'
import { readDefinition } from '../../engine/definition.ts'
import { isSecret, MASK, masked, maskedPath } from '../../engine/mask.ts'
import { plainOf } from '../../engine/pipeline-file.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'

const components = { sources, operators, sinks } as unknown as Components

t.test('a URL is shown without its password and without the secrets of its query', async t => {
  for (const [url, shown] of [
    ['postgres://me:secret@host/db', 'postgres://me:***@host/db'], ['postgres://me:se@cret@host/db', 'postgres://me:***@host/db'], ['postgres://host/db?user=me&password=secret&sslmode=require', 'postgres://host/db?user=me&password=***&sslmode=require'],
    ['https://host/a?access_token=secret#x', 'https://host/a?access_token=***#x'], ['mqtt://host:1883', 'mqtt://host:1883'], ['postgres://me:se/cr+et@host/db', 'postgres://me:***@host/db'], ['postgres://me:se?cr#et@host/db?password=x@y', 'postgres://me:***@host/db?password=***'], ['https://host:8443/a?token=sec@ret', 'https://host:8443/a?token=***'],
    ['acme/pump:secret@x', 'acme/pump:secret@x']
  ] as const) t.equal(masked(url), shown)
  t.strictSame(['https://host/services/T0/B0/secret', 'https://host/?key=secret', 'https://host', 'https://host:8443/', 'no url'].map(maskedPath), ['https://host/***', 'https://host/***', 'https://host', 'https://host:8443', '***'])
  t.ok(['password', 'sasl.passphrase', 'apiKey', 'api-key', '.headers.cookie', 'webhook.headers.x-auth'].every(isSecret))
  t.notOk(['url', 'topic', 'headers'].some(isSecret))
})

t.test('a pipeline that is sent with a mask in the place of a secret is refused by name', async t => {
  const text = (secret: string) => `name: p\nfrom: { simulator: {} }\nalerts: { hot: { when: { value: { above: 1 } }, to: [ webhook: { url: "https://x.example/services/abc", headers: { cookie: "${secret}" } } ] } }\nto: [ stdout ]\n`
  t.throws(() => readDefinition(text(MASK), components), { code: 'config/invalid', message: /webhook\.headers\.cookie has \*\*\* in it/ })
  const shown = plainOf(readDefinition(text('session=1'), components))
  t.match(shown, { alerts: { hot: { to: [{ webhook: { url: 'https://x.example/***', headers: { cookie: MASK } } }] } } })
  t.notMatch(JSON.stringify(shown), /abc|session/)
})
