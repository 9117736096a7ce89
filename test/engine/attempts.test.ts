/** Who fails to say who he is too often is not tried for a while; who is known is not held up by it. */
import t, { type Test } from 'tap'
import { Attempts, networkOf } from '../../engine/attempts.ts'
import { newKey } from '../../engine/api-key.ts'
import { plan, type Plane } from '../../engine/api/server.ts'
import { Limits } from '../../engine/limits.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { PostgresKeys } from '../../sinks/postgres-keys.ts'
import { migrate } from '../../sinks/postgres-migrate.ts'
import { freshDatabase, quiet } from '../support/postgres.ts'

const components = { sources, operators, sinks } as unknown as Plane['components']
function clocked (most = 20) {
  const said: object[] = [], time = { ms: 0 }
  return { attempts: new Attempts(most, { warn: (what: object) => { said.push(what) } } as never, () => time.ms), said, time }
}

t.test('twenty fail in a minute, then one every three seconds; it is said once', async t => {
  const { attempts, said, time } = clocked()
  let failed = 0
  for (let k = 0; k < 1000; k++) if (attempts.wait('192.0.2.1') === 0) { attempts.failed('192.0.2.1'); failed++ }
  t.equal(failed, 20)
  t.equal(attempts.wait('192.0.2.1'), 3)
  t.equal(attempts.wait('192.0.2.2'), 0, 'another address')
  t.strictSame(said, [{ from: '192.0.2.1', failures: 20 }])
  for (let s = 1; s <= 60; s++) {
    time.ms = s * 1000
    if (attempts.wait('192.0.2.1') === 0) { attempts.failed('192.0.2.1'); failed++ }
  }
  t.equal(failed, 40, 'twenty in the minute after')
  time.ms += 60_000
  for (let k = 0; k < 100; k++) if (attempts.wait('192.0.2.1') === 0) { attempts.failed('192.0.2.1'); failed++ }
  t.equal(failed, 60, 'all is forgotten after a minute')
})

t.test('an address of IPv6 counts as its /64, a mapped one as the IPv4 address that it is', async t => {
  for (const [address, network] of [['192.0.2.1', '192.0.2.1'], ['::ffff:192.0.2.1', '192.0.2.1'], ['2001:db8:0:1::5', '2001:db8:0:1::/64'], ['2001:DB8:0000:0001:9:9:9:9', '2001:db8:0:1::/64'], ['2001:db8::1', '2001:db8:0:0::/64'], ['::1', '0:0:0:0::/64'], ['fe80::1%eth0', 'fe80:0:0:0::/64'], ['1:2:3:4:5:6:7::', '1:2:3:4::/64']]) t.equal(networkOf(address), network, address)
  const { attempts } = clocked()
  for (let k = 0; k < 20; k++) attempts.failed(`2001:db8::${k.toString(16)}`)
  t.ok(attempts.wait('2001:db8::ffff') > 0)
  t.equal(attempts.wait('2001:db8:0:1::1'), 0)
})

t.test('a name is tried two hundred times in a minute from anywhere; who came in under it before, from where he is, has tries of his own', async t => {
  const { attempts } = clocked()
  attempts.passed('198.51.100.1', 'pump')
  for (let k = 0; k < 200; k++) attempts.failed(`192.0.2.${k}`, 'pump')
  t.ok(attempts.wait('203.0.113.1', 'pump') > 0, 'from a new address')
  t.equal(attempts.wait('203.0.113.1', 'valve'), 0)
  for (let k = 0; k < 20; k++) attempts.failed('198.51.100.1', `other-${k}`)
  t.ok(attempts.wait('198.51.100.1', 'valve') > 0)
  t.equal(attempts.wait('198.51.100.1', 'pump'), 0, 'others behind the same address')
  for (let k = 0; k < 20; k++) attempts.failed('198.51.100.1', 'pump')
  t.ok(attempts.wait('198.51.100.1', 'pump') > 0, 'his own')
})

t.test('a million addresses and names take no more memory than ten thousand', async t => {
  const { attempts } = clocked(), maps = attempts as unknown as { readonly buckets: Map<string, unknown>, readonly trusted: Map<string, unknown> }
  for (let k = 0; k < 100_000; k++) {
    attempts.failed(`10.${k >> 16}.${k >> 8 & 255}.${k & 255}`, 'x'.repeat(8000) + k)
    attempts.passed(`10.${k >> 16}.${k >> 8 & 255}.${k & 255}`, 'x'.repeat(8000))
  }
  t.strictSame([maps.buckets.size, maps.trusted.size], [10_000, 10_000])
  t.ok(Math.max(...[...maps.buckets.keys(), ...maps.trusted.keys()].map(k => k.length)) < 200)
})

async function open (t: Test, limits?: Limits) {
  const url = (await freshDatabase(t))!
  await migrate(url, quiet)
  const keys = new PostgresKeys(url), asked: string[] = [], counting = Object.assign(Object.create(keys) as PostgresKeys, { find: async (id: string) => { asked.push(id); return await keys.find(id) } })
  const app = await plan({ runs: () => [], stopping: () => false, components, keys: counting, query: undefined, limits }, quiet)
  t.teardown(async () => { await app.close(); await keys.close() })
  const add = async () => {
    const { key, id, digest } = newKey()
    await keys.add({ id, digest, name: 'test', tenant: null, scopes: ['pipelines:read'], expires: null }, 'test')
    return key
  }
  const ask = async (key: string, from = '192.0.2.1') => await app.inject({ url: '/api/v1/pipelines', remoteAddress: from, headers: { authorization: `Bearer ${key}` } })
  const metrics = async () => (await app.inject({ url: '/metrics' })).body
  return { add, ask, asked, metrics, app }
}

t.test('after twenty wrong keys from an address: 429 and no question to the database, but for a key that was good a while ago', async t => {
  const { add, ask, asked, metrics } = await open(t), known = await add(), fresh = await add()
  t.equal((await ask(known)).statusCode, 200)
  for (let k = 0; k < 20; k++) t.equal((await ask(k % 2 === 0 ? newKey().key : 'mr_cut')).statusCode, 401)
  const before = asked.length, refused = await ask(newKey().key)
  t.match(refused.json(), { status: 429, code: 'api/too-many', detail: /failed/ })
  t.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 3)
  t.strictSame([(await ask('mr_cut')).statusCode, (await ask(fresh)).statusCode], [429, 429], 'also one that is right, and was never seen')
  t.equal(asked.length, before, 'nobody was asked')
  t.equal((await ask(known)).statusCode, 200, 'one that is known')
  t.equal((await ask(`${known.slice(0, -7)}B${known.slice(-6)}`)).statusCode, 429, 'its id with another secret')
  t.strictSame([(await ask(fresh, '192.0.2.2')).statusCode, (await ask(newKey().key, '192.0.2.2')).statusCode], [200, 401], 'another address')
  t.equal((await ask(fresh)).statusCode, 200, 'known now')
  const text = await metrics()
  t.match(text, 'millrace_attempts_total{outcome="failed"} 21')
  t.match(text, 'millrace_attempts_total{outcome="put_off"} 4')
})

t.test('requests without any key are no attempts; how many there may be is a limit', async t => {
  const { app, ask } = await open(t, new Limits({ process: { failures: 3 } }))
  for (let k = 0; k < 30; k++) t.equal((await app.inject({ url: '/api/v1/pipelines', remoteAddress: '192.0.2.1' })).statusCode, 401)
  t.strictSame([(await ask('no')).statusCode, (await ask('no')).statusCode, (await ask('no')).statusCode, (await ask('no')).statusCode], [401, 401, 401, 429])
})
