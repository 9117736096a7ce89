import t from 'tap'
import { parse } from 'yaml'
import { catalog } from '../engine/catalog.ts'
import { jsonSchema } from '../../engine/schema.ts'
import { call, files, good } from './call.ts'

const here = files({ 'good.yaml': good, 'bad.yaml': good.replace('ewma ]', 'ewam ]') })
t.teardown(() => here.remove())

void t.test('a pipeline is shown as it runs: dedupe put in, defaults filled in, spans readable, secrets masked', async t => {
  const { code, out } = await call('show', here.path('good.yaml'))
  t.equal(code, 0)
  const shown = parse(out)
  t.strictSame(shown.pipe, [{ dedupe: { within: '10m' } }, { ewma: { alpha: 0.1 } }])
  t.strictSame(shown.time, { lateness: '5s', ahead: '5m', idle: '30s', forget: '1w' })
  t.strictSame(shown.from, { plant: { password: '***', url: 'plant://me:***@host', topic: '{device}/{metric}', qos: 1, retain: false } })
  t.strictSame(shown.alerts.hot.to, [{ hook: { url: 'http://x', secret: '***' } }])
  t.notOk(/hush|whsec|:pw@/.test(out))
})

void t.test('what is shown is itself a pipeline, and shows as itself', async t => {
  const once = (await call('show', here.path('good.yaml'))).out
  const again = files({ 'shown.yaml': once })
  t.teardown(() => again.remove())
  t.equal((await call('show', again.path('shown.yaml'))).out, once)
  t.strictSame(JSON.parse((await call('show', again.path('shown.yaml'), '--json')).out), parse(once))
})

void t.test('a component is shown as its page', async t => {
  const { out } = await call('show', 'sums')
  t.match(out, /^# sums\n\nOperator\. The sum of each window\.\n/)
  t.match(out, /\| `every` \| span \| required \| Length of a window\. \|/)
  t.equal(JSON.parse((await call('show', 'ewma', '--json')).out)[0].kind, 'operator')
  t.equal(JSON.parse((await call('show', 'ewma', '--schema')).out).properties.alpha.default, 0.1)
})

void t.test('--schema is the JSON Schema of pipeline files', async t => {
  t.strictSame(JSON.parse((await call('show', '--schema')).out), JSON.parse(JSON.stringify(jsonSchema(catalog))))
})

void t.test('what is neither is exit code 2, a pipeline with errors 78', async t => {
  t.match(await call('show', 'ewam'), { code: 2, err: /did you mean "ewma"/ })
  t.match(await call('show'), { code: 2, err: /nothing to show/ })
  t.match(await call('show', here.path('bad.yaml')), { code: 78, err: /there is no operator "ewam"/ })
})
