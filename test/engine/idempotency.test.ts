import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { clock as real } from '../../engine/clock.ts'
import { IdempotencyKeys } from '../../engine/idempotency.ts'
import { disk } from '../../engine/files.ts'
import { Journal, type JournalOptions } from '../../engine/journal.ts'
import { RedeliveryLog } from '../../engine/redelivery-log.ts'
import { http } from '../../connectors/http.ts'
import { quiet } from '../support/collect.ts'
import { HOUR, killed, messages, never, temporary, until } from '../support/journal.ts'

async function open (t: Test, folder: string, options: Partial<JournalOptions> = {}) {
  const { log, lines } = quiet()
  const journal = await Journal.open(http({}), { folder, log, client: 'me', pipelines: ['p'], tick: HOUR, ...options }, never)
  t.teardown(() => journal.close().catch(() => {}))
  journal.listen()
  const send = (key: string | undefined, text: string) => journal.inlet!.take({ topic: 'default/d/m', payload: Buffer.from(text), key })
  return { journal, send, lines }
}

t.test('the same request under the same key is one record, before and after it is durable, after a kill, and for 24 h', async t => {
  const folder = temporary(t)
  let time = Date.now()
  const clock = { ...real, now: () => time, monotonic: () => time }
  const one = await open(t, folder, { clock })
  const both = await Promise.all([one.send('k', '1'), one.send('k', '1')])
  t.strictSame(both.map(b => b.again), [false, true])
  t.equal(both[0].position, both[1].position)
  t.equal((await one.send('other', '1')).again, false)
  t.equal((await one.send(undefined, '1')).again, false)
  await t.rejects(one.send('k', '2'), { code: 'api/key-used' })
  const two = await open(t, killed(t, folder), { clock })
  t.strictSame(await two.send('k', '1'), { position: both[0].position, again: true }, 'known from the log alone')
  await t.rejects(two.send('k', '2'), { code: 'api/key-used' })
  t.strictSame(await messages(two.journal), ['1', '1', '1'])
  time += 23 * HOUR
  t.equal((await two.send('k', '1')).again, true)
  time += 2 * HOUR
  t.equal((await two.send('k', '1')).again, false, 'a day later it is another request')
  t.equal((await two.send('k', '1')).again, true)
})

t.test('segments that held keys go when the file has them, and the keys stay known after a kill', async t => {
  const folder = temporary(t), one = await open(t, folder, { budget: 200_000 })
  const sent: string[] = []
  while (one.journal.wal.first === 1) {
    for (let i = 0; i < 50; i++) await one.send(`key-${sent.length}`, sent[sent.push('x'.repeat(100)) - 1])
    one.journal.move('p', one.journal.wal.durable)
    if (sent.length > 20_000) return t.fail('no segment was ever dropped')
  }
  t.ok(existsSync(join(folder, 'keys')))
  const copy = killed(t, folder), two = await open(t, copy, { budget: 200_000 })
  for (const k of [0, 1, Math.floor(sent.length / 2), sent.length - 1]) t.equal((await two.send(`key-${k}`, sent[k])).again, true, `key-${k} of ${sent.length}`)
  t.equal((await two.send('new', 'x')).again, false)
})

t.test('a start reads what lies behind the file, not the whole log, whether keys came or not', async t => {
  const folder = temporary(t), one = await open(t, folder, { budget: 400_000 }), { journal: { wal } } = one
  while (wal.segments.length < 3) await one.send(undefined, 'x'.repeat(1000))
  let from = -1
  for (let tries = 0; from !== wal.segments.at(-1)!.first - 1 && tries < 600; tries++) {
    await new Promise(resolve => { setTimeout(resolve, 100) })         // until the file is written
    await new IdempotencyKeys({ folder, fs: disk, log: quiet().log }).open({ durable: wal.durable, first: wal.first, reader: (after: number) => wal.reader(from = after) } as never)
  }
  t.equal(from, wal.segments.at(-1)!.first - 1)
})

t.test('starts alone do not make the next one read more: not of keys, and not of what may come again', async t => {
  const folder = temporary(t)
  for (let k = 0; k < 6; k++) {
    const { journal, send } = await open(t, folder, { budget: 4_000_000, keep: 2_000_000 })
    await send(`key-${k}`, String(k))
    journal.move('p', journal.wal.durable)
    await journal.close()
  }
  const { journal: { wal }, send } = await open(t, folder, { budget: 4_000_000, keep: 2_000_000 }), from: number[] = []
  t.ok(wal.segments.length >= 6, 'all are kept')
  await until(() => Number(readFileSync(join(folder, 'senders'), 'utf8')) >= wal.segments.at(-1)!.first)
  const looked = { durable: wal.durable, first: wal.first, reader: (after: number) => { from.push(after); return wal.reader(after) } } as never
  await new IdempotencyKeys({ folder, fs: disk, log: quiet().log }).open(looked)
  await new RedeliveryLog({ folder, fs: disk, log: quiet().log, most: 1000, put: () => undefined }).open(looked)
  t.ok(from.length > 0 && from.every(after => after >= wal.segments.at(-4)!.first - 1), `${from.join()} of ${wal.durable}`)
  for (let k = 0; k < 6; k++) t.equal((await send(`key-${k}`, String(k))).again, true)
})

t.test('as long as the file cannot be written no segment goes that has keys', async t => {
  let able = false
  const writeFile = ((path: string, ...rest: [any, any]) => !able && path.endsWith('keys.new') ? Promise.reject(new Error('no')) : disk.writeFile(path, ...rest)) as typeof disk.writeFile
  const one = await open(t, temporary(t), { budget: 200_000, fs: { ...disk, writeFile } }), { journal, journal: { wal } } = one
  for (let n = 0; wal.bytes < 120_000 && n < 500; n++) {
    await one.send(`key-${n}`, 'x'.repeat(500))
    journal.move('p', wal.durable)
  }
  await until(() => one.lines.some(l => /keys could not be written/.test(l.text)))
  await new Promise(resolve => { setTimeout(resolve, 100) })
  t.equal(wal.first, 1)
  able = true
  journal.move('p', wal.durable)
  await until(() => wal.first > 1)
})

t.test('the file never knows a key whose record is not durable: it would be answered and lost', async t => {
  const folder = temporary(t), one = await open(t, folder)
  await one.send('durable', '1')
  const keys = new IdempotencyKeys({ folder, fs: disk, log: quiet().log }), { durable } = one.journal.wal
  await keys.open(one.journal.wal)
  keys.put('not yet', { hash: 1n, position: durable + 1, at: Date.now() })
  await keys.save(durable)
  t.equal(keys.passed, durable)
  await one.send(undefined, 'another record in its place, after a crash')
  t.ok(one.journal.wal.durable > durable)
  const again = new IdempotencyKeys({ folder, fs: disk, log: quiet().log })
  await again.open(one.journal.wal)
  t.ok(again.find('durable', Date.now()) !== undefined)
  t.equal(again.find('not yet', Date.now()), undefined)
})

t.test('beyond its bound the oldest is forgotten, and it is said', async t => {
  const { log, lines } = quiet(), keys = new IdempotencyKeys({ folder: temporary(t), fs: disk, log, most: 3 })
  for (let n = 1; n <= 4; n++) keys.put(`k${n}`, { hash: 1n, position: n, at: 1000 + n })
  t.strictSame([1, 2, 3, 4].map(n => keys.find(`k${n}`, 1010)?.position), [undefined, 2, 3, 4])
  t.equal(keys.forgotten, 1)
  t.match(lines, [{ level: 'error', text: /forgotten/ }])
})

t.test('of many keys the oldest go, and one that has come again counts from then', async t => {
  const { log } = quiet(), keys = new IdempotencyKeys({ folder: temporary(t), fs: disk, log, most: 50 }), at = (n: number) => ({ hash: 1n, position: n, at: 1000 + n })
  const there = (names: readonly number[], now: number) => names.filter(n => keys.find(`k${n}`, now) !== undefined), all = Array.from({ length: 200 }, (_, n) => n)
  for (let n = 0; n < 50; n++) keys.put(`k${n}`, at(n))
  keys.put('k0', at(50))
  for (let n = 51; n < 91; n++) keys.put(`k${n}`, at(n))
  t.strictSame(there(all, 1100), [0, ...all.slice(41, 50), ...all.slice(51, 91)])
  t.equal(keys.forgotten, 40)
  t.strictSame(there(all, 24 * HOUR + 1070), all.slice(71, 91), 'and all by time')
  t.equal(keys.size, 20)
})

t.test('a tenant that sends keys without end makes no other forget: whoever has most loses its oldest, as if there had been no start between', async t => {
  const most = 12, tenants = ['a', 'b', 'c', 'd']
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ tenant: fc.constantFrom('a', 'a', 'a', ...tenants), hours: fc.constantFrom(0, 0, 0, 1, 20) }), { minLength: 40, maxLength: 60 }), fc.nat(60), async (sent, start) => {
    const folder = temporary(t), make = () => new IdempotencyKeys({ folder, fs: disk, log: quiet().log, most })
    let keys = make(), now = 1e12, left: { readonly tenant: string, readonly key: string, readonly at: number }[] = []
    for (const [k, { tenant, hours }] of sent.entries()) {
      if (k === start) {
        await keys.save(k)
        keys = make()
        await keys.open({ durable: k, first: 1, reader: (position: number) => ({ position, close: async () => {} }) } as never)
      }
      now += hours * HOUR
      const key = `${tenant}\n${k}`
      keys.put(key, { hash: 1n, position: k + 1, at: now })
      left = [...left.filter(({ at }) => at > now - 24 * HOUR), { tenant, key, at: now }]
      const [crowd] = left.map(({ tenant }) => tenant).toSorted((a, b) => left.filter(l => l.tenant === b).length - left.filter(l => l.tenant === a).length)       // stable: the first that comes is the oldest
      if (left.length > most) left.splice(left.findIndex(l => l.tenant === crowd), 1)
    }
    t.strictSame(sent.map(({ tenant }, k) => `${tenant}\n${k}`).filter(key => keys.find(key, now) !== undefined), left.map(({ key }) => key))
  }), { numRuns: 50 })
})

t.test('a file that does not say whose keys they are yet is read', async t => {
  const folder = temporary(t), made = () => new IdempotencyKeys({ folder, fs: disk, log: quiet().log }), wal = { durable: 2, first: 1, reader: (position: number) => ({ position, close: async () => {} }) } as never
  const keys = made(), file = join(folder, 'keys')
  for (const k of [1, 2]) keys.put(`a\n${k}`, { hash: 1n, position: k, at: 1000 })
  await keys.save(2)
  const now = readFileSync(file), before = Buffer.concat([now.subarray(0, 16), now.subarray(16, 56), now.subarray(64, 104)])
  before.write('MIK1')
  before.writeUInt32LE(crc32(before.subarray(8)), 4)
  writeFileSync(file, before)
  const again = made()
  await again.open(wal)
  t.strictSame([1, 2, 3].map(k => again.find(`a\n${k}`, 1000)?.position), [1, 2, undefined])
})

t.test('a flipped bit in the file is refused by name', async t => {
  const folder = temporary(t), one = await open(t, folder)
  await one.send('k', '1')
  const keys = new IdempotencyKeys({ folder, fs: disk, log: quiet().log })
  await keys.open(one.journal.wal)
  keys.put('k2', { hash: 1n, position: one.journal.wal.durable, at: Date.now() })
  await keys.save(one.journal.wal.durable)
  const copy = killed(t, folder), file = join(copy, 'keys')
  cpSync(join(folder, 'keys'), file)
  const bytes = readFileSync(file)
  for (let bit = 0; bit < 8 * bytes.length; bit += 37) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    writeFileSync(file, flipped)
    await t.rejects(open(t, copy), { code: 'log/damaged' }, `bit ${bit}`)
  }
})

t.test('without room a request waits a second, then it is told to come later; with room again it is taken, once', async t => {
  const one = await open(t, temporary(t), { budget: 60_000 })
  let n = 0
  await t.rejects(async () => { for (;;) await one.send(`k${n}`, String(n++).padStart(1000, '0')) }, { code: 'api/busy', message: /full/ })
  t.match(one.journal.events, { request_put_off: 1 })
  const again = one.send(`k${n - 1}`, String(n - 1).padStart(1000, '0'))
  await one.journal.wal.flush()
  one.journal.move('p', one.journal.wal.durable)
  await until(() => one.journal.open)
  const taken = await again.catch(() => undefined) ?? await one.send(`k${n - 1}`, String(n - 1).padStart(1000, '0'))
  t.equal(taken.again, false)
})
