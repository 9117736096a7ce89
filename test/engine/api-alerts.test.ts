/** What people do about alerts, over HTTP: each with its line of the audit log, and nothing of another tenant. */
import t, { type Test } from 'tap'
import { newKey, type Scope } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { PostgresQuery } from '../../sinks/postgres-query.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { alertEvent, Opened, table } from '../support/store.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
const iso = (after: number) => new Date(Date.now() + after).toISOString()

/** A plane over two incidents, `mine` of acme and `theirs` of another tenant, with keys of either and one of all. */
async function open (t: Test) {
  const url = (await freshDatabase(t))!, opened = await new Opened(url, [table('readings', 'readings')]).open()
  await opened.commit({ ingest: Date.now(), alerts: [alertEvent('mine'), alertEvent('theirs', { tenant: 'other' })].map(event => ({ event, receivers: ['hot/hook', 'hot/slack'] })) })
  const keys = new PostgresKeys(url), query = new PostgresQuery(url), actions = new PostgresActions(url)
  const app = await plan({ runs: () => [], stopping: () => false, components, keys, query, actions }, quiet)
  t.teardown(async () => { await app.close(); await keys.close(); await query.close(); await actions.close(); await opened.store.close() })
  const keyOf = async (tenant: string | null, scopes: readonly Scope[] = ['alerts:read', 'alerts:write']) => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant, scopes, expires: null }, 'test')
    return { key, id }
  }
  const acme = await keyOf('acme'), everybody = await keyOf(null)
  const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, as = acme.key) => {
    const reply = await app.inject({ method, url: `/api/v1${path}`, headers: { authorization: `Bearer ${as}` }, ...body === undefined ? {} : { payload: body } })
    return { status: reply.statusCode, body: reply.body, json: reply.json() as any }
  }
  const audit = async () => await rowsOf(url, "SELECT actor, tenant, action, target, change FROM audit WHERE action NOT LIKE 'key.%' ORDER BY id")
  return { url, opened, ask, audit, keyOf, acme, everybody }
}

t.test('an incident is acknowledged, commented and judged; each is a line of the audit log', async t => {
  const { ask, audit, keyOf, acme } = await open(t), colleague = await keyOf('acme')
  t.match((await ask('GET', '/alerts/mine')).json, { incident: 'mine', acknowledged: null, judgement: null, comments: [], alerts: [{ id: 'mine.firing', deliveries: [{ receiver: 'hot/hook', state: 'due' }, { receiver: 'hot/slack' }] }] })
  t.match((await ask('POST', '/alerts/mine/acknowledge', { comment: 'on it' })).json, { acknowledged: { by: acme.id }, comments: [{ author: acme.id, text: 'on it' }] })
  const { acknowledged } = (await ask('GET', '/alerts/mine')).json
  t.strictSame((await ask('POST', '/alerts/mine/acknowledge', {}, colleague.key)).json.acknowledged, acknowledged, 'whoever comes later changes neither when nor by whom')
  t.match(await ask('POST', '/alerts/mine/comments', { text: 'a bearing\0' }), { status: 400, body: /NUL/ })
  t.match((await ask('POST', '/alerts/mine/comments', { text: 'a bearing' })).json, { acknowledged, comments: [{ text: 'on it' }, { text: 'a bearing' }] }, 'the first one counts')
  const judged = (await ask('POST', '/alerts/mine/feedback', { verdict: 'false alarm' })).json
  t.match(judged, { acknowledged, judgement: { verdict: 'false alarm', by: acme.id } })
  t.ok(Date.parse(judged.judgement.at) >= Date.parse(judged.comments.at(-1).time), 'it was judged when it was, after the last comment, and not when it was acknowledged')
  t.match((await ask('POST', '/alerts/mine/feedback', { verdict: 'real', comment: 'it was' })).json, { judgement: { verdict: 'real' }, comments: [{}, {}, { text: 'it was' }] }, 'the last one counts')
  t.strictSame((await audit()).map(({ actor, tenant, action, target }) => [actor, tenant, action, target]), ['acknowledge', 'acknowledge', 'comment', 'judge', 'judge'].map((what, i) => [i === 1 ? colleague.id : acme.id, 'acme', `alert.${what}`, 'mine']))
  t.strictSame((await audit())[4].change, { verdict: 'real', comment: 'it was' })
})

t.test('what fires now, and what nobody looks after, can be asked for', async t => {
  const { opened, ask } = await open(t), ids = async (query: string) => (await ask('GET', `/alerts?from=2000-01-01T00:00:00Z${query}`)).json.rows.map((row: any) => row.id).sort()
  await opened.commit({ ingest: Date.now(), alerts: [alertEvent('over'), alertEvent('over', { id: 'over.resolved', state: 'resolved' }), alertEvent('seen')].map(event => ({ event, receivers: [] })) })
  t.equal((await ask('POST', '/alerts/seen/acknowledge', {})).status, 200)
  for (const [query, found] of [
    ['', ['mine.firing', 'over.firing', 'over.resolved', 'seen.firing']], ['&open=true', ['mine.firing', 'seen.firing']], ['&open=false', ['over.firing', 'over.resolved']], ['&acknowledged=true', ['seen.firing']],
    ['&open=true&acknowledged=false', ['mine.firing']], ['&open=true&device=none', []]
  ] as const) t.strictSame(await ids(query), found, query)
  const recent = async (query: string) => (await ask('GET', `/alerts?${query}`)).json.rows.map((row: any) => row.id).sort()
  await opened.commit({ ingest: Date.now(), alerts: [{ event: alertEvent('old', { since: Date.now() - 3 * 864e5, time: Date.now() - 3 * 864e5 }), receivers: [] }] })
  t.ok((await recent('open=true')).includes('old.firing'), 'of whatever age')
  t.notOk((await recent('')).includes('old.firing'), 'all alerts: of the last hour')
  t.notOk((await recent(`open=true&from=${encodeURIComponent(iso(-864e5))}`)).includes('old.firing'), 'unless it is said from when on')
})

t.test('what fires when its pipeline is deleted is over then, nobody is told, and what others have open stays', async t => {
  const { url, opened, ask, everybody } = await open(t), ids = async () => (await ask('GET', '/alerts?from=2000-01-01T00:00:00Z&open=true', undefined, everybody.key)).json.rows.map((row: any) => row.id).sort()
  await opened.commit({ ingest: Date.now(), alerts: [alertEvent('elsewhere', { pipeline: 'q' }), alertEvent('over'), alertEvent('over', { id: 'over.resolved', state: 'resolved', message: 'it was mended' }), alertEvent('unreal', { details: { simulated: true, p: 0.5, version: 'v1' } })].map(event => ({ event, receivers: [] })) })
  t.strictSame(await ids(), ['elsewhere.firing', 'mine.firing', 'theirs.firing', 'unreal.firing'])
  await opened.store.close()
  const before = Date.now(), { store } = new Opened(url, [table('readings', 'readings')])
  t.teardown(async () => { await store.close() })
  await store.forget()
  await store.forget()
  t.strictSame(await ids(), ['elsewhere.firing'])
  const { alerts } = (await ask('GET', '/alerts/mine')).json
  t.match(alerts, [{ state: 'firing', deliveries: [{ state: 'suppressed' }, { state: 'suppressed' }] }, { id: 'mine.resolved', state: 'resolved', severity: 'warning', value: null, message: 'hot is over: d m: pipeline deleted', details: { reason: 'pipeline deleted' }, deliveries: [] }])
  t.equal(alerts.length, 2)
  t.ok(Date.parse(alerts[1].time) >= before - 1000, 'it ends when the pipeline does')
  t.strictSame((await ask('GET', '/alerts/unreal')).json.alerts[1].details, { simulated: true, version: 'v1', reason: 'pipeline deleted' })
  t.equal((await ask('GET', '/alerts/over')).json.alerts[1].message, 'it was mended', 'what was over stays as it was')
})

t.test('of another tenant there is nothing, whatever is asked, and nothing is changed or noted', async t => {
  const { url, ask, audit, everybody } = await open(t)
  const silence = (await ask('POST', '/silences', { device: 'x', to: iso(60_000), reason: 'all' }, everybody.key)).json.id, before = (await audit()).length
  const missing = (await ask('GET', '/alerts/none')).json
  for (const [method, path, body] of [['GET', '/alerts/theirs'], ['POST', '/alerts/theirs/acknowledge', {}], ['POST', '/alerts/theirs/comments', { text: 'x' }], ['POST', '/alerts/theirs/feedback', { verdict: 'real' }], ['POST', '/deliveries/replay', { event: 'theirs.firing', receiver: 'hot/hook' }], ['DELETE', `/silences/${silence}`]] as const) {
    const { status, json } = await ask(method, path, body)
    t.strictSame([status, json.code], [404, missing.code], `${method} ${path}`)
  }
  t.strictSame((await ask('GET', '/alerts/theirs')).json.detail.replace('theirs', 'none'), missing.detail)
  t.strictSame((await ask('GET', '/silences')).json.rows, [])
  t.ok(((await ask('GET', '/deliveries')).json.rows as any[]).every(row => row.tenant === 'acme'))
  t.equal((await ask('POST', '/silences', { tenant: 'other', to: iso(60_000), reason: 'x' })).status, 404)
  t.equal((await ask('GET', '/deliveries?tenant=other')).status, 404)
  t.equal((await ask('GET', '/endpoints/disabled')).status, 403)
  t.equal((await ask('POST', '/endpoints/x/enable', {})).status, 403)
  t.equal((await audit()).length, before)
  t.strictSame(await rowsOf(url, 'SELECT (SELECT count(*)::int FROM alert_incidents) AS said, (SELECT count(*)::int FROM alert_comments) AS comments'), [{ said: 0, comments: 0 }])
})

t.test('silences and maintenance windows are made, listed and ended; a key of one tenant silences that one', async t => {
  const { ask, audit, everybody } = await open(t)
  const made = await ask('POST', '/silences', { device: 'pump-*', alert: 'hot', to: iso(3_600_000), reason: 'new seals' })
  t.match([made.status, made.json], [201, { kind: 'silence', tenant: 'acme', device: 'pump-*', pipeline: null, alert: 'hot', reason: 'new seals', active: true }])
  const later = (await ask('POST', '/maintenance', { device: 'pump-1', from: iso(60_000), to: iso(120_000), reason: 'oil' })).json
  t.match(later, { kind: 'maintenance', device: 'pump-1', active: false, relearn: true, relearned: {} })
  t.strictSame([(await ask('GET', '/silences')).json.rows, (await ask('GET', '/maintenance')).json.rows], [[made.json], [later]])
  t.equal((await ask('DELETE', `/maintenance/${made.json.id}`)).status, 404, 'it is a silence')
  t.match((await ask('DELETE', `/silences/${made.json.id}`)).json, { id: made.json.id, active: false })
  t.match((await ask('DELETE', `/maintenance/${later.id}`)).json, { active: false })
  t.equal((await ask('DELETE', `/silences/${made.json.id}`)).status, 404, 'it is over')
  t.strictSame([(await ask('GET', '/silences')).json.rows.length, (await ask('GET', '/maintenance')).json.rows.length, (await ask('GET', '/silences?all=true')).json.rows.length], [0, 0, 1])
  t.match((await ask('POST', '/silences', { tenant: 'other', to: iso(60_000), reason: 'x' }, everybody.key)).json, { tenant: 'other' })
  t.match((await ask('POST', '/silences', { to: iso(60_000), reason: 'x' }, everybody.key)).json, { tenant: null })
  t.match((await ask('POST', '/maintenance', { device: 'pump-1', to: iso(60_000), reason: 'x' }, everybody.key)).json, { tenant: 'default' }, 'one device is meant, not that of each tenant')
  t.match((await ask('POST', '/maintenance', { tenant: 'other', device: 'pump-1', to: iso(60_000), reason: 'x' }, everybody.key)).json, { tenant: 'other' })
  for (const wrong of [{ to: iso(-1000), reason: 'x' }, { from: iso(2000), to: iso(1000), reason: 'x' }, { to: 'soon', reason: 'x' }, { to: iso(1000) }, { to: iso(1000), reason: 'x', author: 'me' }]) t.equal((await ask('POST', '/silences', wrong)).status, 400, JSON.stringify(wrong))
  t.equal((await ask('POST', '/maintenance', { to: iso(1000), reason: 'x' })).status, 400, 'of which device?')
  t.strictSame((await audit()).map(a => a.action), ['silence.create', 'maintenance.create', 'silence.end', 'maintenance.end', 'silence.create', 'silence.create', 'maintenance.create', 'maintenance.create'])
})

t.test('deliveries with their tries, page by page; a replay sends again', async t => {
  const { opened, ask } = await open(t)
  const entries = await opened.store.due(10, Date.now() + 1000)
  for (const entry of entries) await opened.store.settle(entry, entry.receiver === 'hot/hook' ? { state: 'delivered' } : { state: 'retry', after: Date.now() + 60_000, error: 'slack answered 503' })
  const { rows } = (await ask('GET', '/deliveries')).json
  t.match(rows, [{ event: 'mine.firing', receiver: 'hot/slack', state: 'due', attempts: 1, error: 'slack answered 503', tries: [{ time: /Z$/, outcome: 'retry', error: 'slack answered 503' }] }, { receiver: 'hot/hook', state: 'delivered', notification: 'mine.firing', tries: [{ outcome: 'delivered', error: null }] }])
  const first = (await ask('GET', '/deliveries?limit=1')).json
  t.strictSame([...first.rows, ...(await ask('GET', `/deliveries?limit=1&cursor=${encodeURIComponent(first.next)}`)).json.rows], rows)
  t.equal((await ask('GET', '/deliveries?state=delivered&receiver=hot/hook&pipeline=p&incident=mine')).json.rows.length, 1)
  t.equal((await ask('POST', '/deliveries/replay', { event: 'mine.firing', receiver: 'hot/slack' })).status, 404, 'it is still to be sent')
  t.match((await ask('POST', '/deliveries/replay', { event: 'mine.firing', receiver: 'hot/hook' })).json, { state: 'due', attempts: 0, tries: [{ outcome: 'delivered' }, { outcome: 'replay' }] })
  const again = await opened.store.due(10, Date.now() + 1000)
  t.strictSame(again.map(e => [e.id, e.receiver]), [['mine.firing', 'hot/hook']])
  t.strictSame(again[0].events, entries.find(e => e.receiver === 'hot/hook' && e.id === 'mine.firing')!.events)
  await opened.commit({ ingest: Date.now(), alerts: [{ event: alertEvent('i'.repeat(32)), receivers: [`${'a'.repeat(63)}/escalation/webhook:${'b'.repeat(63)}`] }] })
  const { next } = (await ask('GET', '/deliveries?limit=1')).json
  t.equal((await ask('GET', `/deliveries?cursor=${encodeURIComponent(next)}`)).json.rows.length, 2, 'behind the longest names')
})

t.test('an endpoint that said it is gone is listed and enabled again, by keys of every tenant', async t => {
  const { opened, ask, audit, everybody } = await open(t)
  await opened.store.endpoints!.disable({ endpoint: 'webhook:1', name: 'webhook https://x', reason: 'it answered 410' })
  t.match((await ask('GET', '/endpoints/disabled', undefined, everybody.key)).json, { rows: [{ endpoint: 'webhook:1', name: 'webhook https://x', reason: 'it answered 410' }] })
  t.strictSame(await opened.store.endpoints!.disabled(), ['webhook:1'])
  t.strictSame((await ask('POST', '/endpoints/webhook:1/enable', {}, everybody.key)).json, { enabled: 'webhook:1' })
  t.equal((await ask('POST', '/endpoints/webhook:1/enable', {}, everybody.key)).status, 404)
  t.strictSame(await opened.store.endpoints!.disabled(), [])
  t.strictSame((await audit()).map(a => [a.actor, a.action, a.target]), [['engine', 'endpoint.disable', 'webhook:1'], [everybody.id, 'endpoint.enable', 'webhook:1']])
})

t.test('who may only read changes nothing; the schema of alerts needs no key', async t => {
  const { ask, keyOf } = await open(t), { key } = await keyOf('acme', ['alerts:read'])
  t.equal((await ask('GET', '/alerts/mine', undefined, key)).status, 200)
  for (const [method, path, body] of [['POST', '/alerts/mine/acknowledge', {}], ['POST', '/silences', { to: iso(1000), reason: 'x' }], ['DELETE', '/silences/1', undefined], ['POST', '/deliveries/replay', { event: 'a', receiver: 'b' }]] as const) t.equal((await ask(method, path, body, key)).status, 403, path)
  t.match((await ask('GET', '/alert-schema', undefined, '')).json, { title: 'Millrace alert', properties: { type: {}, data: {} } })
})
