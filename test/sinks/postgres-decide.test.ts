/** Who is told of what, and when: decided in a real database, once. */
import { setTimeout as wait } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import type { AlertEvent, OutboxEntry, Policy } from '#engine'
import { Dispatcher } from '../../engine/dispatch.ts'
import { PostgresActions } from '../../sinks/postgres-actions.ts'
import { webhook } from '../../sinks/webhook.ts'
import { receiver } from '../fixtures/receiver.ts'
import { freshDatabase, quiet, rowsOf } from '../support/postgres.ts'
import { alertEvent, Opened, table } from '../support/store.ts'

const MINUTE = 60_000
const all = { id: 'test', tenant: undefined }

async function open (t: Test, given: Policy = {}, keys: readonly string[] = ['hot/hook']) {
  const url = (await freshDatabase(t))!, opened = await new Opened(url, [table('readings', 'readings')]).open(), actions = new PostgresActions(url)
  t.teardown(async () => { await opened.store.close(); await actions.close() })
  const start = Date.now(), policies = new Map(keys.map(key => [key, key.includes('escalation') ? { escalate: given.escalate! } : Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'escalate'))]))
  let position = 0
  /** Commits events, `at` ms after the start, each for all receivers. */
  const post = async (at: number, ...events: readonly AlertEvent[]) => {
    await opened.commit({ ingest: start + at, alerts: events.map(event => ({ event: { ...event, position: ++position }, receivers: keys })) })
  }
  /** What is leased `at` ms after the start. */
  const leased = async (at: number) => await opened.store.due(100, start + at, [], policies)
  const settle = async (entries: readonly OutboxEntry[]) => { for (const entry of entries) await opened.store.settle(entry, { state: 'delivered' }) }
  /** What is sent `at` ms after the start: all of it arrives. */
  const sent = async (at: number) => {
    const entries = await leased(at)
    await settle(entries)
    return entries.map(({ id, receiver }) => keys.length === 1 ? id : `${id} ${receiver}`)
  }
  const states = async () => Object.fromEntries((await rowsOf(url, 'SELECT event, receiver, state, error FROM alert_outbox ORDER BY event, receiver')).map(r => [keys.length === 1 ? r.event : `${r.event} ${r.receiver}`, r.error === null ? r.state : `${r.state}: ${r.error}`]))
  const silence = async (more: Partial<Parameters<typeof actions.silence>[0]>, from = 0, to = 10 * MINUTE) => (await actions.silence({ kind: 'silence', tenant: undefined, from: start + from, to: start + to, reason: 'work', ...more }, 1000, all))!.id
  return { url, opened, actions, policies, post, sent, leased, settle, states, silence, start }
}
const sorted = (ids: Iterable<string>): string[] => [...new Set(ids)].sort((a, b) => a < b ? -1 : 1)
const fires = (incident: string, parts: Partial<AlertEvent> = {}) => alertEvent(incident, parts)
const ends = (incident: string, parts: Partial<AlertEvent> = {}) => alertEvent(incident, { id: `${incident}.resolved`, state: 'resolved', ...parts })

t.test('without policies everything goes at once, in order', async t => {
  const { post, sent, states } = await open(t)
  await post(0, fires('a'), ends('a'), fires('b'))
  t.strictSame([await sent(0), await sent(0)], [['a.firing', 'b.firing'], ['a.resolved']])
  t.strictSame(await sent(10 * MINUTE), [])
  t.strictSame(await states(), { 'a.firing': 'delivered', 'a.resolved': 'delivered', 'b.firing': 'delivered' })
})

t.test('a silence keeps back what fires while it lasts, by tenant, device pattern, pipeline and alert; it is stored and marked, and so is its end', async t => {
  const cases: readonly (readonly [string, Parameters<Awaited<ReturnType<typeof open>>['silence']>[0], Partial<AlertEvent>, Partial<AlertEvent>])[] = [
    ['tenant', { tenant: 'acme' }, {}, { tenant: 'other' }], ['device', { device: 'pump-*' }, { device: 'pump-1' }, { device: 'fan-pump-1' }], ['pipeline', { pipeline: 'other' }, { alert: 'none' }, {}], ['alert', { alert: 'hot' }, {}, { alert: 'cold' }],
    ['maintenance', { kind: 'maintenance', device: 'pump-*' }, { device: 'pump-*' }, { device: 'pump-1' }]
  ]
  for (const [name, given, meant, others] of cases) {
    const { post, sent, states, silence } = await open(t), id = await silence(given)
    await post(0, fires('in', meant), fires('out', others))
    t.strictSame(await sent(1000), name === 'pipeline' ? ['in.firing', 'out.firing'] : ['out.firing'], name)
    await post(20 * MINUTE, ends('in', meant), ends('out', others))
    t.strictSame(await sent(20 * MINUTE), name === 'pipeline' ? ['in.resolved', 'out.resolved'] : ['out.resolved'], `${name}: an end is told to whoever was told of the beginning`)
    const marked = `silenced: ${given.kind ?? 'silence'} ${id}`
    if (name !== 'pipeline') t.match(await states(), { 'in.firing': marked, 'in.resolved': marked }, name)
  }
})

t.test('what was told before a silence is also told to be over during it; before and behind it everything is told', async t => {
  const { post, sent, silence } = await open(t)
  await silence({}, 5 * MINUTE, 10 * MINUTE)
  await post(0, fires('a'))
  t.strictSame(await sent(0), ['a.firing'])
  await post(6 * MINUTE, fires('b'), ends('a'))
  t.strictSame(await sent(6 * MINUTE), ['a.resolved'])
  await post(10 * MINUTE, fires('c'))
  t.strictSame(await sent(10 * MINUTE), ['c.firing'])
})

t.test('an end is told to nobody that was not to be told of the beginning, such as a receiver that came meanwhile', async t => {
  const { post, sent, states, opened, start, policies } = await open(t)
  policies.set('hot/mail', {})
  await post(0, fires('a'))
  await sent(0)
  await opened.commit({ ingest: start + MINUTE, alerts: [{ event: ends('a', { position: 2 }), receivers: ['hot/hook', 'hot/mail'] }] })
  t.strictSame(await sent(MINUTE), ['a.resolved'])
  await post(2 * MINUTE, ends('b'))
  t.strictSame(await sent(2 * MINUTE), [])
  t.strictSame(await states(), { 'a.firing': 'delivered', 'a.resolved': 'suppressed: not told of the beginning', 'b.resolved': 'suppressed: not told of the beginning' })
})

t.test('an end that comes while its receiver is not there waits for it as the beginning does', async t => {
  const { post, sent, opened, policies, start } = await open(t), hook = policies.get('hot/hook')!
  await post(0, fires('a'))
  t.strictSame(await sent(0), ['a.firing'])
  policies.delete('hot/hook')
  await opened.commit({ ingest: start + MINUTE, alerts: [{ event: ends('a', { position: 2 }), receivers: [] }] })
  t.strictSame(await sent(MINUTE), [])
  policies.set('hot/hook', hook)
  t.strictSame(await sent(3 * MINUTE), ['a.resolved'])
})

t.test('alerts of a pipeline that was deleted are not sent when its name is put again', async t => {
  const { url, post, leased, states, opened } = await open(t, { escalate: 15 * MINUTE }, ['hot/hook', 'hot/escalation-1/email'])
  await post(0, fires('a'))
  const [entry] = await leased(0)
  await opened.store.settle(entry, { state: 'retry', after: Date.now() + 1000, error: 'down' })
  await opened.store.forget()
  const again = await new Opened(url, [table('readings', 'readings')]).open()
  t.teardown(() => again.store.close())
  t.strictSame(await again.store.due(100, Date.now() + 60 * MINUTE), [])
  t.strictSame(await states(), Object.fromEntries(['hot/escalation-1/email', 'hot/hook'].map(key => [`a.firing ${key}`, 'suppressed: the pipeline was deleted'])))
})

t.test('of a receiver that is not there nothing is decided: it comes back as it was, or after a day nobody is told', async t => {
  const keys = ['hot/hook', 'hot/escalation-1/email'], { post, sent, states, policies } = await open(t, { cooldown: 10 * MINUTE, escalate: 15 * MINUTE }, keys), [hook, mail] = keys.map(key => policies.get(key)!)
  await post(0, fires('a'), fires('b', { device: 'other' }))
  t.strictSame(await sent(0), ['a.firing hot/hook', 'b.firing hot/hook'])
  policies.delete(keys[1])
  t.strictSame(await sent(15 * MINUTE + 5000), [], 'it would be its turn')
  policies.delete(keys[0])
  await post(16 * MINUTE, ends('b', { device: 'other' }), fires('c', { device: 'third' }))
  t.strictSame(await sent(16 * MINUTE), [])
  policies.set(keys[0], hook).set(keys[1], mail)
  t.strictSame(sorted(await sent(17 * MINUTE)), ['a.firing hot/escalation-1/email', 'b.resolved hot/hook', 'c.firing hot/hook'])
  policies.delete(keys[1])
  await sent(40 * MINUTE)
  t.equal((await states())['c.firing hot/escalation-1/email'], 'due')
  await sent(25 * 60 * MINUTE)
  t.match(await states(), { 'b.firing hot/escalation-1/email': 'suppressed: over before anybody was told', 'c.firing hot/escalation-1/email': 'suppressed: the pipeline has no such receiver' })
})

t.test('what fired when its pipeline was deleted, and comes again with it, goes on: who was not told is, and its end is that of the data', async t => {
  const { url, post, sent, states, opened } = await open(t), alerts = () => rowsOf(url, "SELECT id, details ->> 'reason' AS reason FROM alerts ORDER BY id"), none = { reason: null }
  await post(0, fires('told'))
  t.strictSame(await sent(0), ['told.firing'])
  await post(1000, fires('untold'), fires('over'), ends('over'))
  await opened.store.forget()
  t.strictSame((await alerts()).filter(a => a.reason !== null).map(a => a.id), ['told.resolved', 'untold.resolved'])
  const again = await new Opened(url, [table('readings', 'readings')]).open(), next = async (...events: readonly AlertEvent[]) => { await again.commit({ ingest: Date.now(), alerts: events.map(event => ({ event, receivers: ['hot/hook'] })) }) }
  t.teardown(() => again.store.close())
  const told = async () => {
    const entries = await again.store.due(100, Date.now() + 1000)
    for (const entry of entries) await again.store.settle(entry, { state: 'delivered' })
    return entries.map(e => e.id)
  }
  await next(fires('told'), fires('untold'))
  t.match(await alerts(), [{ id: 'over.firing', ...none }, { id: 'over.resolved', ...none }, { id: 'told.firing' }, { id: 'untold.firing' }], 'they fire')
  t.strictSame(await told(), ['untold.firing'], 'and nobody is told twice')
  await next(ends('told'), ends('untold'))
  t.strictSame(sorted(await told()), ['told.resolved', 'untold.resolved'])
  t.strictSame((await alerts()).filter(a => a.reason !== null), [])
  await next(fires('over'), ends('over'))
  t.strictSame(await told(), ['over.firing'])
  t.strictSame(await told(), ['over.resolved'])
  t.strictSame(Object.values(await states()).filter(state => state !== 'delivered'), [])
})

t.test('what has been leased once goes on being sent, whatever is silenced afterwards: it may have arrived', async t => {
  const { post, leased, sent, silence } = await open(t)
  await post(0, fires('a'))
  t.equal((await leased(0)).length, 1)
  await silence({})
  t.strictSame(await sent(1 * MINUTE + 1), ['a.firing'], 'its lease has ended')
  await post(2 * MINUTE, ends('a'))
  t.strictSame(await sent(2 * MINUTE), ['a.resolved'])
})

t.test('cooldown: after a notification of a series the next waits, and goes only if it lasts; other series do not wait', async t => {
  const { post, sent, states } = await open(t, { cooldown: 10 * MINUTE })
  await post(0, fires('a'))
  t.strictSame(await sent(0), ['a.firing'])
  await post(MINUTE, ends('a'), fires('b'), fires('x', { device: 'other' }))
  t.strictSame(await sent(MINUTE), ['a.resolved', 'x.firing'])
  await post(2 * MINUTE, ends('b'), fires('c'))
  t.strictSame(await sent(9 * MINUTE), [])
  t.strictSame(await sent(10 * MINUTE), ['c.firing'], 'it still fires')
  t.match(await states(), { 'b.firing': 'suppressed: over before anybody was told', 'b.resolved': 'suppressed: over before anybody was told' })
  await post(11 * MINUTE, ends('c'))
  t.strictSame(await sent(11 * MINUTE), ['c.resolved'])
})

t.test('flapping: what has fired too often is told when it has lasted, and its ends with it', async t => {
  const { post, sent, states } = await open(t, { flapping: { times: 2, within: 10 * MINUTE } })
  for (const [k, name] of ['a', 'b', 'c', 'd'].entries()) {
    await post(k * MINUTE, fires(name))
    t.strictSame(await sent(k * MINUTE), k < 2 ? [`${name}.firing`] : [], name)
    if (name === 'd') continue
    await post(k * MINUTE + 1000, ends(name))
    t.strictSame(await sent(k * MINUTE + 1000), k < 2 ? [`${name}.resolved`] : [], name)
  }
  t.strictSame(await sent(12 * MINUTE), [])
  t.strictSame(await sent(13 * MINUTE), ['d.firing'], 'it has lasted for 10 minutes')
  t.match(await states(), { 'c.firing': /suppressed/, 'c.resolved': /suppressed/ })
})

t.test('flapping: what is of a backlog was not told to anybody, and does not count', async t => {
  const { opened, post, sent, start } = await open(t, { flapping: { times: 2, within: 10 * MINUTE } })
  await opened.commit({ ingest: start, alerts: ['x', 'y', 'z'].map(name => ({ event: fires(name), receivers: [], stale: true })) })
  await post(MINUTE, fires('a'))
  t.strictSame(await sent(MINUTE), ['a.firing'])
})

t.test('escalation: the next receiver is told of what nobody acknowledged in time, and of its end', async t => {
  const keys = ['hot/hook', 'hot/escalation-1/email']
  const { post, sent, actions, states } = await open(t, { escalate: 15 * MINUTE }, keys)
  await post(0, ...['acked', 'left', 'over'].map(name => fires(name, { device: name })))
  t.strictSame(await sent(1000), ['acked', 'left', 'over'].map(name => `${name}.firing hot/hook`))
  t.match(await actions.acknowledge('acked', 'I am on it', all), { acknowledged: { by: 'test' }, comments: [{ text: 'I am on it' }] })
  await post(5 * MINUTE, ends('over', { device: 'over' }))
  t.strictSame(await sent(5 * MINUTE), ['over.resolved hot/hook'])
  t.strictSame(await sent(14 * MINUTE), [])
  t.strictSame(await sent(15 * MINUTE + 5000), ['left.firing hot/escalation-1/email'])
  await post(20 * MINUTE, ends('left', { device: 'left' }), ends('acked', { device: 'acked' }))
  t.strictSame(await sent(20 * MINUTE), ['left.resolved hot/hook', 'left.resolved hot/escalation-1/email', 'acked.resolved hot/hook'])
  t.match(await states(), { 'acked.firing hot/escalation-1/email': 'suppressed: acknowledged', 'acked.resolved hot/escalation-1/email': 'suppressed: acknowledged', 'over.firing hot/escalation-1/email': /over before/ })
})

t.test('a group: what comes within its wait goes as one, under one id, the same when it is sent again', async t => {
  const { post, leased, sent, settle, states, opened } = await open(t, { group: { by: 'device', wait: 30_000 } })
  await post(0, fires('a', { metric: 'temp' }), fires('x', { device: 'other' }))
  t.strictSame(await leased(0), [])
  await post(10_000, fires('b', { metric: 'flow' }))
  t.strictSame(await leased(10_000), [])
  const first = await leased(30_000), group = first.find(e => e.events.length > 1)!
  t.strictSame(first.map(e => [e.id, e.events.map(e => e.id)]), [['a.firing.group', ['a.firing', 'b.firing']], ['x.firing', ['x.firing']]])
  await post(31_000, fires('c', { metric: 'rpm' }))
  t.strictSame(await leased(60_000), [], 'leased already')
  const again = (await leased(91_000)).find(e => e.id === group.id)!
  t.strictSame(again.events, group.events, 'a lease that ended: the same')
  await opened.store.settle(again, { state: 'retry', after: Date.now() + 100_000, error: 'down' })
  t.match(await states(), { 'a.firing': 'due: down', 'b.firing': 'due: down' })
  await settle([{ ...again, attempts: 1 }])
  t.match(await states(), { 'a.firing': 'delivered', 'b.firing': 'delivered' })
  await post(200_000, ends('a', { metric: 'temp' }), ends('b', { metric: 'flow' }))
  await sent(200_000)
  t.ok((await sent(230_000)).includes('a.resolved.group'), 'ends too')
})

t.test('a group with an end goes when the beginning has arrived', async t => {
  const { post, leased, sent, settle, opened, start } = await open(t, { group: { by: 'device', wait: 30_000 } })
  await post(0, fires('a', { metric: 'temp' }))
  await leased(0)
  const [firing] = await leased(30_000)
  await opened.store.settle(firing, { state: 'retry', after: start + 600_000, error: 'down' })
  await post(31_000, fires('b', { metric: 'flow' }), ends('a', { metric: 'temp' }), fires('c', { device: 'other' }))
  await leased(31_000)
  t.strictSame(await sent(61_000), ['c.firing'])
  t.strictSame(await sent(599_000), [])
  await settle(await leased(600_000))
  t.strictSame(await sent(600_000), ['b.firing.group'])
})

t.test('a group by site has the devices of one site and tenant; what is over within the wait is not told', async t => {
  const { url, post, leased } = await open(t, { group: { by: 'site', wait: 30_000 } })
  await rowsOf(url, "INSERT INTO devices (tenant, name, site, position, ingested_at) SELECT tenant, name, site, 1, now() FROM (VALUES ('acme', 'p1', 'north'), ('acme', 'p2', 'north'), ('acme', 'p3', 'south'), ('other', 'p4', 'north')) v (tenant, name, site)")
  await post(0, ...['p1', 'p2', 'p3'].map(device => fires(device, { device })), fires('p4', { device: 'p4', tenant: 'other' }), fires('gone', { device: 'p1' }))
  await leased(0)
  await post(1000, ends('gone', { device: 'p1' }))
  t.strictSame((await leased(30_000)).map(e => e.events.map(e => e.device)), [['p1', 'p2'], ['p3'], ['p4']])
})

t.test('24 hours of tries count from the first one, or the first of a replay, however long it waited before', async t => {
  const { post, leased, actions, states, opened: { store, series }, start, url } = await open(t), { url: to } = await receiver(t, response => { response.writeHead(503).end() })
  const hook = webhook.definition.receive!(webhook({ url: to, timeout: '2s' }).options as never, { pipeline: 'p', series, log: quiet, database: undefined, folder: '.', egress: ['127.0.0.0/8'] })
  const tried = async (at: number) => {
    const dispatcher = new Dispatcher({ store, receivers: new Map([['hot/hook', hook]]), log: quiet, poll: 10, now: () => start + at })
    dispatcher.start()
    for (const end = Date.now() + 60_000; dispatcher.counts.retried + dispatcher.counts.dead === 0 && Date.now() < end;) await wait(5)
    await dispatcher.stop()
    return await states()
  }
  await post(0, fires('a'))
  await rowsOf(url, "UPDATE alert_outbox SET posted_at = posted_at - interval '25 hours'")
  t.match(await tried(0), { 'a.firing': /^due: / }, 'it waited for 25 hours, because the pipeline was paused or the breaker open')
  t.match(await tried(23 * 60 * MINUTE), { 'a.firing': /^due: / })
  t.match(await tried(25 * 60 * MINUTE), { 'a.firing': /^dead: / })
  await rowsOf(url, "UPDATE alert_deliveries SET time = time - interval '25 hours'")
  await actions.replay('a.firing', 'hot/hook', all)
  t.match(await tried(0), { 'a.firing': /^due: / })
  const [{ attempts, tried: at }] = await leased(60 * MINUTE)
  t.ok(attempts === 1 && at! >= start)
})

t.test('one process after the other opens the store while the one before decides and leases: every notification once', async t => {
  const { url, post, start } = await open(t, { group: { by: 'device', wait: 1000 } })
  await post(0, ...Array.from({ length: 300 }, (_, k) => fires(`i${k}`, { device: `d${k % 20}`, metric: `m${k}` })))
  const stores: Opened[] = [], opened = async () => {
    const next = new Opened(url, [table('readings', 'readings')])
    stores.push(next)
    return await next.open()
  }
  t.teardown(async () => { for (const { store } of stores) await store.close() })
  const policies = new Map([['hot/hook', { group: { by: 'device', wait: 1000 } } as const]]), seen: string[] = []
  let last = await opened()
  for (const at of [0, 2000, 2000, 2000]) {
    const due = async ({ store }: Opened) => await store.due(10, start + at, [], policies), asked = due(last).catch(error => { if (error.code !== 'store/fenced') throw error; return [] })
    last = await opened()
    for (const entries of [await asked, await due(last)]) seen.push(...entries.flatMap(e => e.events.map(e => e.id)))
    await t.rejects(due(stores.at(-2)!), { code: 'store/fenced' })
  }
  t.strictSame([seen.length, new Set(seen).size], [300, 300])
})

t.test('a replay goes again under the same id, with all of its group, and stands in the log of deliveries', async t => {
  const { post, sent, actions, url } = await open(t, { group: { by: 'device', wait: 1000 } })
  await post(0, fires('a', { metric: 'temp' }), fires('b', { metric: 'flow' }))
  await sent(0)
  t.strictSame(await sent(1000), ['a.firing.group'])
  t.equal(await actions.replay('b.firing', 'hot/hook', { id: 'key', tenant: 'other' }), undefined, 'not for another tenant')
  t.match(await actions.replay('b.firing', 'hot/hook', { id: 'key', tenant: 'acme' }), { event: 'b.firing', notification: 'a.firing.group', state: 'due', attempts: 0 })
  t.equal(await actions.replay('b.firing', 'hot/hook', all), undefined, 'it is under way')
  t.strictSame(await sent(2000), ['a.firing.group'])
  const { rows } = await actions.deliveries({ tenant: 'acme', receiver: 'hot/hook' }, { limit: 10 }, all)
  t.strictSame(rows.toSorted((a, b) => a.event < b.event ? -1 : 1).map(r => [r.event, r.tries.map(d => d.outcome)]), [['a.firing', ['delivered', 'replay', 'delivered']], ['b.firing', ['delivered', 'replay', 'delivered']]])
  t.strictSame((await rowsOf(url, 'SELECT actor, tenant, action, target FROM audit ORDER BY target')), ['a', 'b'].map(name => ({ actor: 'key', tenant: 'acme', action: 'delivery.replay', target: `${name}.firing` })))
})

t.test('dispatchers that die between the answer and its record, again and again: every id arrives, repeats are the same, with groups, holds and replays', async t => {
  const { url, received } = await receiver(t, (response, _, nth) => { response.writeHead(nth % 7 === 3 ? 500 : 204).end() })
  const secret = `whsec_${Buffer.from('a secret key of 32 random bytes!').toString('base64')}`
  const keys = ['hot/hook', 'hot/escalation-1/email'], given = { group: { by: 'device', wait: 5000 }, cooldown: 20_000, escalate: 60_000 } as const
  const { url: database, start, actions } = await open(t, given, keys)
  const policies = new Map([['hot/hook', { group: given.group, cooldown: given.cooldown }], [keys[1], { escalate: given.escalate }]])
  let now = start
  const made: string[] = []
  for (let k = 0; k < 12; k++) {
    const first = await new Opened(database, [table('readings', 'readings')]).open()
    const host = { pipeline: 'p', series: first.series, log: quiet, database: undefined, folder: '.', egress: ['127.0.0.0/8'] }, hook = () => webhook.definition.receive!(webhook({ url, secret, timeout: '2s' }).options as never, host)
    if (k < 8) {
      const events = ['a', 'b', 'c'].map(name => fires(`${name}${k}`, { device: `d${k % 3}`, metric: name }))
      await first.commit({ ingest: now, alerts: [...events, ends(`a${k}`, { device: `d${k % 3}`, metric: 'a' })].map(event => ({ event, receivers: keys })) })
      made.push(...events.map(e => e.id))
    }
    let settled = 0
    const dying = k % 2 === 0 ? 1 + k % 3 : Infinity      // after so many answers this one does not get to record the next
    const store = { due: first.store.due.bind(first.store), endpoints: first.store.endpoints!, settle: (...args: Parameters<typeof first.store.settle>) => ++settled > dying ? new Promise<void>(() => {}) : first.store.settle(...args) }
    const dispatcher = new Dispatcher({ store, receivers: new Map(keys.map(key => [key, hook()])), policies, log: quiet, poll: 10, now: () => now })
    dispatcher.start()
    for (let step = 0; step < 6; step++) { await wait(60); now += 15_000; dispatcher.wake() }
    await Promise.race([dispatcher.stop(0), wait(2500)])
    await first.store.close()
    if (k === 9) t.ok(await actions.replay(made[1], 'hot/hook', all))
  }
  const outbox = await rowsOf(database, "SELECT o.event, o.receiver, o.state, o.error, coalesce(o.leader, o.event) || CASE WHEN (SELECT count(*) FROM alert_outbox m WHERE m.leader = o.leader AND m.receiver = o.receiver) > 1 THEN '.group' ELSE '' END AS id FROM alert_outbox o")
  t.strictSame(outbox.filter(o => !['delivered', 'suppressed'].includes(o.state)), [])
  const bodies = new Map<string, string>()
  for (const { headers, body } of received) {
    const id = headers['webhook-id'] as string
    new Webhook(secret).verify(body, headers as Record<string, string>)
    t.equal(bodies.get(id) ?? body, body, `${id} is the same each time`)
    bodies.set(id, body)
  }
  t.strictSame(sorted(bodies.keys()), sorted(outbox.filter(o => o.state === 'delivered').map(o => o.id)), 'all that was to be told, and nothing else')
  t.ok(received.length > bodies.size, `${received.length - bodies.size} repeats`)
  t.ok([...bodies.keys()].some(id => id.endsWith('.group')) && outbox.some(o => o.state === 'suppressed'))
  const inside = [...bodies.values()].flatMap(body => { const { data } = JSON.parse(body); return (data.alerts ?? [data]).map((a: any) => a.id as string) })
  t.strictSame(sorted(inside), sorted(outbox.filter(o => o.state === 'delivered').map(o => o.event)))
})
