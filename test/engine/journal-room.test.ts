import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Credits, SeriesTable, sleep, type Delivery } from '#engine'
import { clock as real } from '../../engine/clock.ts'
import { Disk } from '../support/disk.ts'
import { budget, fill, from, HOUR, killed, never, open, reading, temporary, until } from '../support/journal.ts'

t.test('a segment is dropped when every pipeline has passed it, and not before', async t => {
  const folder = temporary(t), one = await open(t, folder, { budget, pipelines: ['p', 'q'] })
  await fill(one, 0.6)
  const { journal, journal: { wal } } = one, first = wal.first, end = wal.durable
  journal.move('p', end)
  await sleep(50)
  t.equal(wal.first, first)
  journal.move('q', 5)
  await sleep(50)
  t.equal(wal.first, first, 'five records are no segment')
  journal.move('q', Math.floor(end / 2))
  await until(() => wal.first > first)
  t.ok(wal.first <= end / 2)
  await journal.close()
  const two = await open(t, folder, { budget, pipelines: ['p', 'q'] })
  two.journal.move('p', two.journal.wal.durable)
  await sleep(50)
  t.ok(two.journal.wal.first <= end / 2, 'places are kept over a restart')
})

t.test('a pipeline that does not run keeps its place until it has not run for too long, and then loses it loudly', async t => {
  const folder = temporary(t), one = await open(t, folder, { budget, pipelines: ['p', 'q'] })
  await one.journal.wal.flush()
  one.journal.move('q', 1)
  one.journal.move('p', 2)
  await one.journal.close()
  let time = Date.now()
  const two = await open(t, folder, { budget, pipelines: ['p'], clock: { ...real, now: () => time }, retain: 24 * HOUR })
  await fill(two, 0.6)
  const { wal } = two.journal
  time += 23 * HOUR
  two.journal.move('p', wal.durable)
  await sleep(50)
  t.equal(wal.first, 1)
  t.notOk(two.lines.some(l => /lost its place/.test(l.text)))
  time += 2 * HOUR
  two.journal.move('p', wal.durable)
  await until(() => wal.first > 1)
  t.match(two.lines.filter(l => /lost its place/.test(l.text)), [{ level: 'error', text: /"q" has lost its place: it has not run for 24 h/ }])
  await two.journal.close()
  const three = await open(t, folder, { budget, pipelines: ['p', 'q'] })
  const { first } = three.journal.wal, q = reading(three.journal, 'q', 1)
  await until(() => q.values.length > 0)
  t.equal(three.journal.lost, first - 2, 'and is told how much, when it comes')
  t.ok(three.lines.some(l => l.level === 'error' && /these records are gone/.test(l.text)))
  q.stop()
})

t.test('a slow pipeline loses its place only where it would stop another one, and goes on where the log goes on', async t => {
  const one = await open(t, temporary(t), { budget: 1_000_000, pipelines: ['fast', 'slow'] })
  const { journal, ear, journal: { wal }, lines } = one
  const slow = reading(journal, 'slow', 0, true), fast = reading(journal, 'fast', 0)
  const losers = () => lines.flatMap(l => /"(.+)" has lost its place/.exec(l.text)?.[1] ?? [])
  let heard = 0
  const hear = async (upTo: number) => {
    while (heard < upTo) {
      await until(() => journal.open)
      for (let i = 0; i < 100 && ear.hear(String(heard).padStart(30, '0')) !== undefined; i++) heard++
      await wal.flush()
    }
    await until(() => fast.values.at(-1) === heard - 1)
  }
  await hear(10_000)
  t.strictSame(losers(), [], 'there is room for both')
  await hear(40_000)
  t.equal(fast.values.length, heard)
  t.strictSame([...new Set(losers())], ['slow'])
  slow.go()
  await until(() => slow.values.at(-1) === heard - 1)
  t.ok(slow.values.every((v, i) => i === 0 || v > slow.values[i - 1]), 'in order, nothing twice')
  const missing = heard - slow.values.length
  t.ok(missing > 0 && journal.lost >= missing && journal.lost < missing + 100, `${missing} messages are missing, ${journal.lost} records were said to be`)
  slow.stop()
  fast.stop()
})

t.test('where all are slow alike nobody loses a place: the source waits', async t => {
  const one = await open(t, temporary(t), { budget, pipelines: ['p', 'q'] })
  const { journal, journal: { wal }, lines } = one
  await fill(one, 0.85)
  const middle = Math.floor(wal.durable / 2)
  journal.move('p', 5)
  journal.move('q', middle - 5)
  await sleep(50)
  while (one.ear.hear('1'.padStart(1000, '0')) !== undefined) await wal.flush()
  await sleep(50)
  t.notOk(lines.some(l => /lost its place/.test(l.text)))
  t.equal(wal.first, 1)
})

t.test('without room nothing is taken, and who waits is told when there is some again', async t => {
  const one = await open(t, temporary(t), { budget })
  const { journal, ear, journal: { wal } } = one
  while (ear.hear('1'.padStart(1000, '0')) !== undefined) await wal.flush()
  t.ok(wal.bytes <= budget)
  t.equal(journal.open, false)
  let told = 0
  for (let i = 0; i < 3; i++) journal.room(() => told++)
  await sleep(50)
  t.equal(told, 0)
  journal.move('p', Math.floor(wal.durable / 2))
  await until(() => told > 0)
  t.equal(told, 3, 'each once')
  t.equal(journal.open, true)
  t.type(ear.hear('2'), 'number')
  journal.room(() => told++)
  t.equal(told, 4, 'at once while there is room')
  await journal.close()
})

t.test('a log that is full of messages that may come again finds room too', async t => {
  const one = await open(t, temporary(t), { budget })
  const { journal, ear, journal: { wal } } = one
  for (let i = 0; i < 2000; i++) {
    if (ear.hear('1'.padStart(300, '0'), from('x', i % 500)) === undefined) journal.move('p', wal.durable)
    if (i % 20 === 0 || !journal.open) await wal.flush()
    await until(() => journal.open)
  }
  t.ok(wal.first > 1000)
})

t.test('a disk that is full, at whatever write: nothing is acknowledged that is not kept, and when there is room nothing is lost and nothing doubled', async t => {
  for (let after = 0; after < 12; after++) {
    const folder = temporary(t), disk = new Disk()
    const { journal, ear } = await open(t, folder, { fs: disk.fs, budget: 20_000 })
    disk.fullAfter(after)
    const texts = Array.from({ length: 40 }, (_, i) => String(i).padStart(500, '0'))
    /** Sends each until it is acknowledged, as a device does: in order, again when the connection was lost. */
    const send = async () => {
      for (const [packet, text] of texts.entries()) {
        for (let again = false; !ear.acknowledged.includes(text); again = true) {
          if (ear.hear(text, from('x', packet, again)) === undefined) {
            disk.room()
            await new Promise<void>(resolve => { journal.room(resolve) })
            continue
          }
          await until(() => ear.acknowledged.includes(text) || ear.held.length === 0)
        }
        if (packet % 10 === 9) journal.move('p', journal.wal.durable - 1)
      }
    }
    const kept: string[] = []
    let upTo = 0
    const collector = journal.source({ pipeline: 'p', series: new SeriesTable(10), ahead: HOUR, log: journal.log, now: Date.now, origin: undefined })
    const credits = new Credits()
    const subscription = collector.open(0, credits, never).subscribe(d => {
      kept.push(...Array.from(d.rows.value, v => String(v).padStart(500, '0')))
      upTo = d.upTo
      setImmediate(() => credits.give(d.bytes))
    })
    await send()
    await until(() => kept.length >= texts.length)
    t.ok(upTo > 0)
    t.strictSame(kept, texts, `full after ${after} writes`)
    subscription.unsubscribe()
    await collector.close!()
    const crashed = killed(t, folder)
    const again = await open(t, crashed, { budget: 20_000 })
    for (const [packet, text] of texts.entries()) again.ear.hear(text, from('x', packet, true))
    t.equal(again.journal.suppressed, texts.length, 'also when all of them come again after a kill')
    await again.journal.close()
    await journal.close()
  }
})

t.test('a full log that another process has taken over fails, once', async t => {
  const folder = temporary(t), failures: any[] = []
  const one = await open(t, folder, { budget, pipelines: ['p', 'q'], failed: error => { failures.push(error) } })
  const readers = ['p', 'q'].map(pipeline => reading(one.journal, pipeline, 0, true))
  await fill(one, 0.7)
  writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 1, host: 'elsewhere', token: 'another' }))
  for (const pipeline of ['p', 'q']) one.journal.move(pipeline, one.journal.wal.durable)
  await until(() => failures.length > 0 && readers.every(reader => reader.failure !== undefined))
  await sleep(50)
  t.match(failures, [{ code: 'log/locked' }])
  t.equal(failures.length, 1)
  t.match(readers.map(reader => reader.failure), [{ code: 'log/locked' }, { code: 'log/locked' }], 'and whoever reads it is told')
})

t.test('while nothing is committed no more is read than the bytes that may be in memory, also of messages that cannot be read', async t => {
  const { journal } = await open(t, temporary(t), { budget: 2 ** 26 }), credits = new Credits({ bytes: 2 ** 20 }), payload = Buffer.alloc(100_000, 'x')
  for (let i = 0; i < 60; i++) journal.append({ topic: 'd/m', payload, rejected: { reason: 'unparseable', detail: 'no' } })
  await journal.wal.flush()
  const seen: Delivery[] = []
  const source = journal.source({ pipeline: 'p', series: new SeriesTable(10), ahead: HOUR, log: journal.log, now: Date.now, origin: undefined })
  const subscription = source.open(0, credits, never).subscribe(delivery => { seen.push(delivery) })
  await until(() => !credits.open)
  await sleep(100)
  t.ok(credits.used < 2 ** 20 + 512 * 1024, `${credits.used} bytes`)
  for (let dead = 0; dead < 60; dead += seen.shift()?.dead.length ?? 0) {
    await until(() => seen.length > 0)
    credits.give(seen[0].bytes)
  }
  t.equal(credits.used, 0)
  subscription.unsubscribe()
  await source.close!()
})

t.test('what is kept without being needed counts for nothing: the disk that is full has its room, and no snapshot is hurried by it', async t => {
  const folder = temporary(t), disk = new Disk(), one = await open(t, folder, { fs: disk.fs, budget, keep: budget / 2 }), { journal, ear } = one
  await fill(one, 0.52)
  const { wal } = journal, files = () => readdirSync(folder).filter(name => name.endsWith('.log')).length, before = files()
  journal.move('p', wal.durable)
  await sleep(50)
  t.equal(wal.first, 1, 'all of it is kept')
  t.ok(journal.needed < budget / 4 && wal.bytes >= budget / 2, `${journal.needed} of ${wal.bytes} bytes are needed`)
  for (let k = 0; k < 40; k++) ear.hear('1'.padStart(1000, '0'))
  await wal.flush()
  t.equal(journal.crowdedAt(wal.durable), false, 'though most of the budget is in use, and it is behind')
  journal.move('p', wal.durable)
  disk.full = true
  ear.hear('lost')
  await until(() => files() === 1)
  t.ok(before > 1)
  disk.room()
  await journal.reopened()
  t.type(ear.hear('2'), 'number')
  await journal.wal.flush()
  t.equal(journal.failure, undefined)
})
