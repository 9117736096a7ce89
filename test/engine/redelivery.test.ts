import t from 'tap'
import { disk } from '../../engine/files.ts'
import { Redeliveries } from '../../engine/redelivery.ts'
import { RedeliveryLog } from '../../engine/redelivery-log.ts'
import { quiet } from '../support/collect.ts'
import { temporary } from '../support/journal.ts'

t.test('what was sent is found under its client, packet id and hash, until it is confirmed', async t => {
  const sent = new Redeliveries()
  sent.put('a', 1, 10n, 1)
  sent.put('b', 1, 10n, 2)
  sent.put('a', 2, 20n, 3)
  t.equal(sent.find('a', 1, 10n), 1)
  t.equal(sent.find('b', 1, 10n), 2)
  t.equal(sent.find('a', 1, 11n), undefined, 'another message under the same id')
  sent.confirm('a', 1)
  t.equal(sent.find('a', 1, 10n), undefined)
  t.equal(sent.find('a', 2, 20n), 3)
  t.equal(sent.size, 2)
})

t.test('a fleet that sends a lot does not push out the one message of another device', async t => {
  const sent = new Redeliveries(7 * 2 ** 20)
  sent.put('alone', 1, 1n, 1)
  for (let n = 0; n < 200_000; n++) sent.put(`gateway-${n % 20}`, Math.floor(n / 20) % 65_535 + 1, BigInt(n), n + 2)
  t.equal(sent.find('alone', 1, 1n), 1)
  t.equal(sent.size, 200_001)
})

t.test('without room those of the client that has been silent longest are given up, and it is said', async t => {
  const given: [string, number][] = [], sent = new Redeliveries(2 * 7 + 3 * 18, (client, entries) => { given.push([client, entries]) })
  sent.put('a', 1, 1n, 1)
  sent.put('b', 1, 1n, 2)
  sent.put('a', 2, 1n, 3)
  t.strictSame(given, [])
  sent.put('a', 3, 1n, 4)
  t.strictSame(given, [['b', 1]])
  t.equal(sent.size, 3)
  for (let n = 4; n < 100; n++) sent.put('a', n, 1n, n)
  t.equal(sent.size, 99, 'of the only client none')
  t.equal(sent.save().length, 7 + 99 * 18)
})

t.test('who is heard again is the newest, whoever has been forgotten between, and so it is saved', async t => {
  const given: string[] = [], sent = new Redeliveries(4 * 7 + 4 * 18, client => { given.push(client) }), again = new Redeliveries(4 * 7 + 4 * 18, client => { given.push(client) })
  for (const [n, client] of ['a', 'b', 'c', 'd', 'b'].entries()) sent.put(client, 1, 1n, n + 1)
  sent.forget('c')
  sent.put('a', 1, 1n, 6)
  sent.put('e', 1, 1n, 7)
  t.strictSame(given, [])
  again.load(sent.save(), 0, sent.save().length)
  for (const one of [sent, again]) for (const client of ['f', 'g', 'h', 'i', 'j']) one.put(client, 1, 1n, 8)
  t.strictSame(given, [...'dbaef', ...'dbaef'])
  sent.forget('j')
  sent.forget('g')
  sent.put('k', 1, 1n, 9)
  sent.put('l', 1, 1n, 10)
  sent.put('m', 1, 1n, 11)
  t.strictSame(given.slice(10), ['h'])
})

t.test('what is saved is what is loaded, and takes as much', async t => {
  const sent = new Redeliveries(1000), again = new Redeliveries(1000)
  for (let n = 1; n <= 20; n++) sent.put(`é${n % 3}`, n, BigInt(n), n)
  sent.confirm('é1', 7)
  again.put('gone', 1, 1n, 1)
  const bytes = sent.save()
  again.load(bytes, 0, bytes.length)
  t.strictSame(again.save(), bytes)
  t.equal(again.find('gone', 1, 1n), undefined)
  t.equal(again.find('é2', 5, 5n), 5)
})

t.test('older segments wait for the record that says all of it until it is durable, and for as long as it does not fit', async t => {
  const records: Buffer[] = [], { log } = quiet()
  const kept = new RedeliveryLog({ folder: temporary(t), fs: disk, log, most: 100, put: bytes => 10 * records.push(bytes) })
  kept.entries.put('a', 1, 1n, 4)
  kept.save()
  t.strictSame([kept.isSaving, kept.position], [true, 0])
  t.notOk(kept.durable(9))
  t.equal(kept.position, 0)
  t.ok(kept.durable(12))
  t.strictSame([kept.isSaving, kept.position], [false, 10])
  t.notOk(kept.durable(13), 'once')
  for (let packet = 2; packet < 8; packet++) kept.entries.put('a', packet, 1n, 10 + packet)
  kept.save()
  t.strictSame([records.length, kept.isSaving], [1, false])
  kept.entries.confirm('a', 17)
  kept.save()
  t.strictSame([records.length, records[1].length], [2, 0])
})
