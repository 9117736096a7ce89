import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sleep } from '#engine'
import { clock as real } from '../../engine/clock.ts'
import { Disk } from '../support/disk.ts'
import { budget, fill, from, HOUR, killed, messages, open, reading, records, temporary, until } from '../support/journal.ts'

t.test('what is heard is acknowledged when it is durable, in the order heard, and not before', async t => {
  const disk = new Disk(), { journal, ear } = await open(t, temporary(t), { fs: disk.fs })
  await journal.wal.flush()
  disk.hold()
  const positions = ['a', 'b', 'c'].map(text => ear.hear(text)!)
  t.ok(positions.every((p, i) => i === 0 || p > positions[i - 1]))
  await sleep(50)
  t.strictSame(ear.acknowledged, [])
  t.ok(journal.durableUpTo < positions[0])
  disk.release()
  await journal.wal.flush()
  t.strictSame(ear.acknowledged, ['a', 'b', 'c'])
  t.equal(journal.durableUpTo, positions[2])
  t.strictSame(await messages(journal), ['a', 'b', 'c'])
})

t.test('a stop resolves when what was heard is durable and acknowledged', async t => {
  const disk = new Disk(), { journal, ear } = await open(t, temporary(t), { fs: disk.fs })
  await journal.wal.flush()
  disk.hold()
  ear.hear('a')
  let stopped = false
  const stop = journal.stop().then(() => { stopped = true })
  await sleep(50)
  t.strictSame([stopped, ear.acknowledged, ear.hear('b')], [false, [], undefined], 'and nothing more is heard')
  disk.release()
  await stop
  t.strictSame(ear.acknowledged, ['a'])
})

t.test('its name and what its positions count in stay the same', async t => {
  const folder = temporary(t), one = await open(t, folder)
  const { name, origin } = one.journal
  t.equal(name, 'me')
  t.match(origin, /^log:[0-9a-f-]{36}$/)
  await one.journal.close()
  const two = await open(t, folder, { client: 'another' })
  t.strictSame([two.journal.name, two.journal.origin], [name, origin])
  t.not((await open(t, temporary(t))).journal.origin, origin)
})

t.test('what is sent again is known: same sender, same packet id, same bytes, and it says so', async t => {
  const { journal, ear } = await open(t, temporary(t))
  const at = ear.hear('a', from('x', 7))
  t.equal(ear.hear('a', from('x', 7, true)), at, 'before it is durable')
  await journal.wal.flush()
  t.equal(ear.hear('a', from('x', 7, true)), at)
  t.equal(journal.suppressed, 2)
  t.strictSame(ear.acknowledged, ['a', 'a', 'a'], 'and acknowledged each time')
  ear.hear('a', from('x', 8, true))
  ear.hear('a', from('y', 7, true))
  ear.hear('b', from('x', 7, true))
  t.equal(journal.suppressed, 2, 'another packet id, sender or payload is another message')
  ear.hear('b', from('x', 7))
  ear.hear('b', undefined)
  t.equal(journal.suppressed, 2, 'what does not say so too')
  t.strictSame(await messages(journal), ['a', 'a', 'a', 'b', 'b', 'b'])
})

t.test('it is known after a restart and after a kill, until its sender has confirmed the acknowledgement or forgotten it', async t => {
  const folder = temporary(t), one = await open(t, folder)
  for (const [i, client] of ['x', 'y', 'z', 'w'].entries()) one.ear.hear(client, from(client, i))
  const late = one.ear.hear('late', from('x', 9))!
  one.journal.confirm('x', late - 1)
  one.journal.forget('y')
  one.journal.confirm('w', late, false)
  await one.journal.wal.flush()
  const crashed = killed(t, folder)
  await one.journal.close()
  for (const place of [folder, crashed]) {
    const { journal, ear } = await open(t, place)
    ear.hear('z', from('z', 2, true))
    ear.hear('late', from('x', 9, true))
    t.equal(journal.suppressed, 2)
    ear.hear('w', from('w', 3, true))
    t.equal(journal.suppressed, 3, 'a confirmation that was not to be recorded holds until then')
    ear.hear('x', from('x', 0, true))
    ear.hear('y', from('y', 1, true))
    t.equal(journal.suppressed, 3, 'confirmed and forgotten: it can only be another message')
  }
})

t.test('what may come again survives the segments that it came in', async t => {
  const folder = temporary(t), one = await open(t, folder, { budget })
  const at = one.ear.hear('a', from('x', 7))!
  await fill(one, 0.7)
  one.journal.move('p', one.journal.wal.durable)
  await until(() => one.journal.wal.first > at)
  t.equal(one.ear.hear('a', from('x', 7, true)), at)
  await one.journal.wal.drop(0)      // what is being dropped is gone
  const crashed = killed(t, folder)
  await one.journal.close()
  for (const place of [folder, crashed]) {
    const two = await open(t, place, { budget })
    t.equal(two.ear.hear('a', from('x', 7, true)), at)
    t.equal(two.journal.suppressed, 1)
  }
})

t.test('it is found whatever has become of the note that says where to look', async t => {
  const folder = temporary(t), one = await open(t, folder)
  one.ear.hear('a', from('x', 1))
  const later = one.ear.hear('b', from('x', 2))!
  await one.journal.wal.flush()
  for (const note of ['', 'nonsense', '0', '-5', '999999', String(later)]) {
    const place = killed(t, folder)
    writeFileSync(join(place, 'senders'), note)
    const { journal, ear } = await open(t, place)
    ear.hear('a', from('x', 1, true))
    ear.hear('b', from('x', 2, true))
    t.equal(journal.suppressed, 2, `"${note}"`)
  }
})

t.test('ingest time never goes back: not over a restart with a wall clock that has gone back an hour', async t => {
  const folder = temporary(t), one = await open(t, folder)
  for (let i = 0; i < 5; i++) {
    one.ear.hear(String(i))
    await sleep(2)
  }
  const before = await records(one.journal)
  await one.journal.close()
  const two = await open(t, folder, { clock: { ...real, now: () => Date.now() - HOUR } })
  two.ear.hear('5')
  const all = await records(two.journal)
  t.ok(all.length > before.length)
  t.ok(all.every((r, i) => i === 0 || r.ingest >= all[i - 1].ingest))
  t.ok(two.journal.now() >= all.at(-1)!.ingest)
})

t.test('what is heard after a pause begins with a record that says so; ticks are recorded only while something can be heard', async t => {
  const { journal, ear } = await open(t, temporary(t), { tick: 20 })
  const kindsOf = async () => (await records(journal)).map(r => r.kind).filter(kind => kind !== 'senders')
  while (!(await kindsOf()).includes('tick')) await sleep(20)
  const first = await kindsOf()
  t.equal(first[0], 'start')
  t.ok(first.length > 1 && first.slice(1).every(kind => kind === 'tick'), first.join(' '))
  journal.listening(false)
  const { length } = await kindsOf()
  await sleep(100)
  t.equal((await kindsOf()).length, length, 'a pause leaves nothing')
  journal.listening(true)
  while (!(await kindsOf()).slice(length).includes('tick')) await sleep(20)
  ear.hear('1')
  const rest = (await kindsOf()).slice(length)
  t.equal(rest[0], 'start')
  t.strictSame([...new Set(rest.slice(1))], ['tick', 'message'])
})

t.test('having no room is a pause too', async t => {
  const one = await open(t, temporary(t), { budget, tick: 20 })
  const { journal, ear, journal: { wal } } = one
  while (ear.hear('1'.padStart(1000, '0')) !== undefined) await wal.flush()
  await wal.flush()                  // a tick before it
  const end = wal.durable
  await sleep(60)
  t.equal(wal.durable, end, 'no ticks')
  journal.move('p', Math.floor(end / 2))
  await until(() => journal.open)
  ear.hear('2')
  const rest = (await records(journal)).filter(r => r.position > end && r.kind !== 'senders')
  t.equal(rest[0].kind, 'start')
})

t.test('a log that is closed while it is read is at its end: nothing more is read, and nothing goes round', async t => {
  const { journal, ear } = await open(t, temporary(t)), reader = reading(journal, 'p', 0)
  ear.hear('1')
  await until(() => reader.values.length === 1)
  await journal.close()
  await sleep(20)
  t.equal(reader.failure, undefined)
  reader.stop()
})
