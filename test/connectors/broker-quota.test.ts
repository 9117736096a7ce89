/** A tenant that publishes more than its quota to the embedded broker: it is slowed down, and nothing of it is lost. */
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { Holds } from '../../connectors/broker-holds.ts'
import { Limits } from '../../engine/limits.ts'
import { ReadingQuota } from '../../engine/quota.ts'
import { client, listen, pause } from '../support/mqtt.ts'

const many = (n: number) => JSON.stringify(Array.from({ length: n }, (_, i) => ({ value: i, ts: 1_700_000_000_000 + i })))

/** A quota that is asked anew every 50 ms, whose tenants have paid all that they owe as soon as `pay` is called. */
function payable (limits: Limits): { readonly quota: ReadingQuota, readonly pay: () => void } {
  const quota = new ReadingQuota(limits), wait = quota.wait.bind(quota)
  let ahead = 0
  quota.wait = (tenant, now) => Math.min(0.05, wait(tenant, now + ahead))
  return { quota, pay () { ahead = 1e9 } }
}

t.test('beyond its quota a tenant waits, at every QoS and on every connection; the others do not, and nothing is lost', async t => {
  const { quota, pay } = payable(new Limits({ tenants: { noisy: { readings: 2 } } }))         // 20 over ten seconds: it waits for ten minutes and more
  const { reader, url } = await listen(t, {}, { log: { quota } }), journal = (await reader.journal)!
  const [quiet, one, two] = await Promise.all(Array.from({ length: 3 }, () => client(t, url)))
  const noisy = () => reader.readings.filter(r => r.name.startsWith('noisy/')).length
  await one.publishAsync('noisy/d/m', many(3200), { qos: 1 })
  await reader.until(() => noisy() === 3200)
  let acknowledged = 0
  for (let n = 0; n < 60; n++) [one, two][n % 2].publish('noisy/d/late', String(n), { qos: n % 3 as 0 | 1 | 2 }, () => { acknowledged += n % 3 > 0 ? 1 : 0 })
  for (let n = 0; n < 20; n++) {
    await quiet.publishAsync('quiet/d/m', '1', { qos: 1 })
    await pause(20)
  }
  t.strictSame([noisy(), acknowledged], [3200, 0], 'the other one is answered, and nothing of it until it owes less')
  pay()
  await reader.until(() => noisy() === 3260 && acknowledged === 40)
  t.strictSame(reader.readings.filter(r => r.name === 'noisy/d/late').map(r => r.value).toSorted((a, b) => a - b), Array.from({ length: 60 }, (_, n) => n))
  t.ok(journal.events.publish_held > 0, `${journal.events.publish_held} messages were held`)
})

t.test('a device that leaves while it waits sends again, and is stored once; what is no reading counts as one', async t => {
  const { quota, pay } = payable(new Limits({ tenant: { readings: 2 } })), { reader, url } = await listen(t, {}, { log: { quota } })
  const one = await client(t, url, { clientId: 'me', clean: false, reconnectPeriod: 50 })
  for (let n = 0; n < 10; n++) one.publish('acme/d/m', 'nonsense', { qos: 1 })
  one.publish('acme/d/m', many(290), { qos: 1 })
  await reader.until(() => reader.received === 300)
  let acknowledged = false
  one.publish('acme/d/late', '7', { qos: 1 }, () => { acknowledged = true })
  await pause(300)
  t.equal(acknowledged, false)
  one.stream.destroy()
  await pause(300)
  pay()
  await reader.until(() => acknowledged)
  await pause(1000)
  t.strictSame(reader.readings.filter(r => r.name === 'acme/d/late').map(r => r.value), [7])
  t.equal(reader.received, 301)
})

t.test('what was sent at QoS 0 and then left waits, up to a number of messages; beyond, the oldest is taken at once', async t => {
  const gone: string[] = [], holds = new Holds(tenant => tenant === 'noisy' ? 3600 : 0, 3)
  t.teardown(() => { holds.close() })
  const [a, b, open, late] = Array.from({ length: 4 }, () => new PassThrough())
  for (const [name, connection, n] of [['a', a, 2], ['b', b, 2], ['open', open, 9]] as const) for (let k = 0; k < n; k++) holds.pass(connection, k === 1 ? 'other' : 'noisy', () => { gone.push(`${name}${k}`) })
  holds.pass(late, 'other', () => { gone.push('late') })
  t.strictSame(gone, ['late'])
  let read = false
  holds.next(open, () => { read = true })
  for (const connection of [b, a]) {
    connection.destroy()
    await once(connection, 'close')
  }
  t.strictSame(gone, ['late', 'a0', 'a1'], 'in the order in which they began to wait')
  t.strictSame([holds.has(a), holds.has(b), holds.has(open), read, holds.held], [false, true, true, false, 13])
})
