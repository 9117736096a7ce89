import { createClient } from '@redis/client'
import t, { type Test } from 'tap'
import type { Journal, JournalOptions } from '../../engine/journal.ts'
import { Journal as Log } from '../../engine/journal.ts'
import type { KeyServer, Reserved, SharedKeysOptions } from '../../engine/shared-keys.ts'
import { http } from '../../connectors/http.ts'
import { RedisKeys } from '../../connectors/redis-keys.ts'
import { quiet } from '../support/collect.ts'
import { Disk } from '../support/disk.ts'
import { HOUR, killed, messages, never, temporary } from '../support/journal.ts'
import { redisServer, withoutRedis, type RedisServer } from '../support/redis.ts'

const skip = withoutRedis

interface Instance { readonly journal: Journal, readonly folder: string, readonly lines: ReturnType<typeof quiet>['lines'], readonly send: (key: string | undefined, text: string, tenant?: string) => Promise<{ position: number, again: boolean }> }
interface Setting { readonly folder?: string, readonly down?: SharedKeysOptions['down'], readonly around?: (server: KeyServer) => KeyServer, readonly path?: string, readonly journal?: Partial<JournalOptions> }

/** An instance with a log of its own, on a connection of its own. */
async function instance (t: Test, url: string, { folder = temporary(t), down = 'refuse', around = server => server, path = '', journal: more = {} }: Setting = {}): Promise<Instance> {
  const { log, lines } = quiet(), redis = new RedisKeys(url, log)
  const journal = await Log.open(http({ path }), { folder, log, client: 'me', pipelines: ['p'], tick: HOUR, shared: { server: around(redis), down }, ...more }, never)
  t.teardown(async () => { await journal.close().catch(() => {}); redis.close() })
  journal.listen()
  const send = (key: string | undefined, text: string, tenant = 'default') => journal.inlet!.take({ topic: `${tenant}/d/m`, payload: Buffer.from(text), key: key === undefined ? undefined : `${tenant}\n${key}` })
  return { journal, folder, lines, send }
}

async function server (t: Test, options: Parameters<typeof redisServer>[0] = {}): Promise<RedisServer & { readonly ask: (...command: string[]) => Promise<unknown> }> {
  const redis = await redisServer(options)
  t.teardown(() => redis.stop())
  const ask = async (...command: string[]) => {
    const client = createClient({ url: redis.url })
    client.on('error', () => {})
    await client.connect()
    try { return await client.sendCommand(command) } finally { client.destroy() }
  }
  return { ...redis, ask }
}

/** Sends until it is taken or known; returns what was answered before, by code. */
async function insist (send: () => Promise<{ position: number, again: boolean }>, within = 60_000): Promise<{ position: number, again: boolean, codes: string[] }> {
  const codes = new Set<string>()
  for (const end = Date.now() + within; ;) {
    try { return { ...await send(), codes: [...codes] } } catch (error) {
      codes.add((error as { code: string }).code)
      if (Date.now() > end) throw error
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
}
const ready = async (...all: readonly Instance[]) => { for (const [i, { send }] of all.entries()) await insist(() => send(`ready ${i} ${Math.random()}`, 'ready')) }

t.test('what one instance has taken is known at the other: answered again, another body refused; tenants and paths are apart', { skip }, async t => {
  const { url } = await server(t), [a, b, line] = [await instance(t, url), await instance(t, url), await instance(t, url, { path: 'line-2' })]
  await ready(a, b, line)
  const first = await a.send('k', '1')
  t.strictSame(await b.send('k', '1'), { position: first.position, again: true })
  await t.rejects(b.send('k', '2'), { code: 'api/key-used' })
  t.equal((await b.send('k', '2', 'acme')).again, false, 'of another tenant')
  t.equal((await line.send('k', '2')).again, false, 'of another path')
  t.strictSame(await a.send('k', '1'), { position: first.position, again: true }, 'at the same one, by its own log')
  t.strictSame([(await messages(a.journal)).filter(m => m !== 'ready'), (await messages(b.journal)).filter(m => m !== 'ready')], [['1'], ['2']])
  t.equal(b.journal.events.request_repeated, 1)
})

t.test('the same request at both at once is taken by one; the other one puts it off, and soon knows it', { skip }, async t => {
  const { url } = await server(t), a = await instance(t, url), b = await instance(t, url)
  await ready(a, b)
  let put = 0
  for (let k = 0; k < 100; k++) {
    const answers = await Promise.all([a, b, a, b].map(i => i.send(`k${k}`, String(k)).catch((error: { code: string }) => error.code)))
    put += answers.filter(x => x === 'api/key-pending').length
    t.equal(answers.filter(x => typeof x === 'object' && !x.again).length, 1, `request ${k}`)
    t.strictSame(answers.filter(x => typeof x === 'string' && x !== 'api/key-pending'), [])
    t.equal((await b.send(`k${k}`, String(k))).again, true)
  }
  t.ok(put > 50, `${put} were put off`)
  t.equal([...await messages(a.journal), ...await messages(b.journal)].filter(m => m !== 'ready').length, 100)
})

t.test('killed after it has reserved: put off at the other one until it has started again, then taken there', { skip }, async t => {
  const { url } = await server(t), a = await instance(t, url), b = await instance(t, url)
  await ready(a, b)
  t.type(await a.journal.reserve({ topic: 'default/d/m', payload: Buffer.from('1'), key: 'default\nk' }), 'object')
  await t.rejects(b.send('k', '1'), { code: 'api/key-pending' })
  await t.rejects(a.send('k', '1'), { code: 'api/key-pending' }, 'as long as it lives, at itself too')
  await instance(t, url, { folder: killed(t, a.folder) })
  const { again } = await insist(() => b.send('k', '1'))
  t.equal(again, false)
  t.strictSame((await messages(b.journal)).filter(m => m === '1'), ['1'])
})

t.test('what an instance has in flight it keeps, however often it tells what it has', { skip }, async t => {
  let joins = 0, tell = () => {}
  const { url } = await server(t), b = await instance(t, url)
  const a = await instance(t, url, { around: s => ({ ...bound(s), watch: reached => { tell = reached; return s.watch(reached) }, join: async (...args) => { joins++; return await s.join(...args) } }) })
  await ready(a, b)
  const reserved = await a.journal.reserve({ topic: 'default/d/m', payload: Buffer.from('1'), key: 'default\nk' })
  t.type(reserved, 'object')
  const before = joins
  await waitFor(() => { tell(); return joins >= before + 2 })          // the first of them is over: what it gives back is given back
  await t.rejects(b.send('k', '1'), { code: 'api/key-pending' })
  ;(reserved as Reserved).refused()
  t.equal((await insist(() => b.send('k', '1'), 1000)).again, false, 'nothing of it was taken: it is free at once')
})

t.test('killed after the sync and before the key is taken: put off at the other one, known there as soon as it has started again', { skip }, async t => {
  const { url, ask } = await server(t)
  const a = await instance(t, url, { around: s => ({ ...bound(s), take: () => new Promise(() => {}) }) }), b = await instance(t, url)
  await insist(() => b.send('ready', ''))
  void insist(() => a.send('k', '1'))
  await waitFor(async () => (await messages(a.journal)).includes('1'))
  t.match((await insist(() => b.send('k', '1'), 300).catch((error: { code: string }) => error.code)), 'api/key-pending')
  const left = Number(await ask('PTTL', (await ask('KEYS', '{millrace}:keys::????????????????????????????????') as string[]).find(k => !k.includes('pending'))!))
  t.ok(left > 23 * HOUR, 'not for a lease that runs out before it has started again')
  await instance(t, url, { folder: killed(t, a.folder) })
  const { again, codes } = await insist(() => b.send('k', '1'))
  t.equal(again, true, String(codes))
  t.strictSame((await messages(b.journal)).filter(m => m === '1'), [])
})

t.test('a request that there is no room for gives its key back; one whose record was lost with the disk as soon as the log is open again', { skip }, async t => {
  const { url } = await server(t), disk = new Disk(), a = await instance(t, url, { journal: { fs: disk.fs } }), b = await instance(t, url)
  t.teardown(() => disk.release())
  await ready(a, b)
  disk.full = true
  await t.rejects(a.send('k', '1'), { code: 'api/busy' })
  disk.full = false
  t.equal((await insist(() => b.send('k', '1'))).again, false)
  const small = await instance(t, url, { journal: { budget: 60_000 } })
  await ready(small)
  while (small.journal.open) await small.send(undefined, 'x'.repeat(1000)).catch(() => {})
  await t.rejects(small.send('l', '1'), { code: 'api/busy' })
  t.equal((await insist(() => b.send('l', '1'), 1000)).again, false)
})

t.test('Redis away: requests with a key are refused, all others taken; with `local` they are taken, and told when it is back', { skip }, async t => {
  const redis = await server(t, { durable: true }), a = await instance(t, redis.url), b = await instance(t, redis.url, { down: 'local' })
  await ready(a, b)
  await a.send('k', '1')
  const size = Number(await redis.ask('DBSIZE'))
  await redis.halt()
  await t.rejects(a.send('l', '1'), { code: 'api/busy' })
  t.equal((await a.send(undefined, '2')).again, false)
  t.equal((await a.send('k', '1')).again, true, 'what its own log knows is known')
  t.equal((await b.send('m', '1')).again, false)
  t.equal((await b.send('m', '1')).again, true)
  t.match([a.journal.events.key_refused, b.journal.events.key_alone], [Number, 1])
  t.ok(a.journal.events.key_refused > 0)
  await redis.start()
  await waitFor(async () => Number(await redis.ask('DBSIZE')) === size + 1)          // the one that was taken meanwhile
  t.equal((await insist(() => a.send('l', '1'))).again, false)
  t.equal((await insist(() => a.send('m', '1'))).again, true)
  t.strictSame((await messages(a.journal)).filter(m => m !== 'ready'), ['1', '2', '1'])
  t.ok(a.lines.some(l => /is not reached/.test(l.text)) && a.lines.some(l => /reached again/.test(l.text)))
})

t.test('Redis forgets all: nothing is reserved until all have told what they have, also when it is emptied while they are connected', { skip }, async t => {
  const redis = await server(t), a = await instance(t, redis.url), b = await instance(t, redis.url)
  await ready(a, b)
  for (const [k, forget] of [async () => { await redis.halt(); await redis.start() }, async () => { await redis.ask('FLUSHALL') }].entries()) {
    await insist(() => a.send(`k${k}`, '1'))
    await forget()
    const { again, codes } = await insist(() => b.send(`k${k}`, '1'))
    t.equal(again, true, String(codes))
    await t.rejects(b.send(`new ${k}`, '1'), { code: 'api/busy' }, 'nothing is reserved yet')
    await redis.ask('DEL', '{millrace}:keys::waiting')
  }
})

t.test('Redis that does not answer: refused, the first time after a second, then at once; what it had reserved is given back', { skip }, async t => {
  const redis = await server(t), a = await instance(t, redis.url), b = await instance(t, redis.url)
  await ready(a, b)
  redis.signal('SIGSTOP')
  const began = performance.now()
  for (let n = 0; n < 30; n++) await t.rejects(a.send('k', '1'), { code: 'api/busy' })
  t.ok(performance.now() - began < 15_000, `${performance.now() - began} ms: not each waited for a second`)
  redis.signal('SIGCONT')
  t.equal((await insist(() => b.send('k', '1'))).again, false, 'at the other one')
})

t.test('what both took while neither could ask is found and said', { skip }, async t => {
  const redis = await server(t), a = await instance(t, redis.url, { down: 'local' }), b = await instance(t, redis.url, { down: 'local' })
  await ready(a, b)
  await redis.halt()
  await a.send('k', '1')
  await b.send('k', '1')
  await redis.start()
  await waitFor(() => a.journal.events.key_twice + b.journal.events.key_twice === 1)
  t.ok([...a.lines, ...b.lines].some(l => l.text.includes('stand in the log of another instance too')))
})

t.test('a key that is taken at one instance is told by it again after its restart, though its own connection came late', { skip }, async t => {
  const { url } = await server(t), folder = temporary(t), { log } = quiet()
  const alone = await Log.open(http({}), { folder, log, client: 'me', pipelines: ['p'], tick: HOUR }, never)
  alone.listen()
  await alone.inlet!.take({ topic: 'default/d/m', payload: Buffer.from('1'), key: 'default\nk' })
  await alone.close()
  await instance(t, url, { folder })
  const b = await instance(t, url)
  t.equal((await insist(() => b.send('k', '1'))).again, true, 'it was taken before there was a Redis')
})

t.test('URLs that are none are refused, and no secret is said', { skip }, async t => {
  const { log, lines } = quiet()
  for (const url of ['http://x', 'redis://', 'redis:///0', 'redis://u:hunter2@h/name']) t.throws(() => new RedisKeys(url, log), { code: 'usage/command', message: /^(?!.*hunter2)/ }, url)
  const redis = await server(t, { args: ['--requirepass', 'right'] }), keys = new RedisKeys(redis.url.replace('//', '//:hunter2@'), log)
  t.teardown(() => keys.close())
  await waitFor(() => lines.some(l => /is not reached/.test(l.text)))
  t.match(JSON.stringify(lines), /WRONGPASS/)
  t.notMatch(JSON.stringify(lines), /hunter2/)
  await t.rejects(keys.join('', 'me', undefined, false), { name: 'Transient' })
})

const bound = (s: KeyServer): KeyServer => ({ watch: s.watch.bind(s), join: s.join.bind(s), reserve: s.reserve.bind(s), take: s.take.bind(s), release: s.release.bind(s), close: s.close.bind(s) })
async function waitFor (holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  for (const end = Date.now() + ms; !await holds();) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${String(holds)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
