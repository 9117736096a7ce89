import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Credits, defineSource, SeriesTable, sleep, Type, type Delivery, type Listener, type ListenerHost, type Message } from '#engine'
import { clock as real } from '../../engine/clock.ts'
import { Journal, type JournalOptions } from '../../engine/journal.ts'
import { readMessage } from '../../engine/message.ts'
import { kinds } from '../../engine/wal-segment.ts'
import { quiet } from '../support/collect.ts'
import { Disk } from '../support/disk.ts'

type T = { teardown (f: () => unknown): void }
type Sender = Message['sender']
const never = new AbortController().signal
const HOUR = 3_600_000

function temporary (t: T): string {
  const parent = mkdtempSync(join(tmpdir(), 'millrace-journal-')), folder = join(parent, 'log')      // alone: a log looks at those beside it
  mkdirSync(folder)
  t.teardown(() => rmSync(parent, { recursive: true, force: true }))
  return folder
}

/** A listener that hears what a test says, and keeps what it has not acknowledged yet. */
class Ear implements Listener {
  readonly host: ListenerHost
  readonly acknowledged: string[] = []
  held: { readonly at: number, readonly text: string }[] = []
  constructor (host: ListenerHost) {
    this.host = host
    host.listening(true)
  }
  hear (text: string, sender?: Sender): number | undefined {
    const at = this.host.append({ topic: 'd/m', payload: Buffer.from(text), sender })
    if (at !== undefined) this.held.push({ at, text })
    if (at !== undefined && at <= this.host.durableUpTo) this.durable(this.host.durableUpTo)
    return at
  }
  durable (upTo: number): void {
    while (this.held.length > 0 && this.held[0].at <= upTo) this.acknowledged.push(this.held.shift()!.text)
  }
  lost (): void { this.held = [] }
  trouble (): string | undefined { return undefined }
  stop (): void {}
  async close (): Promise<void> {}
}

interface Open { readonly journal: Journal, readonly ear: Ear, readonly lines: ReturnType<typeof quiet>['lines'] }
async function open (t: T, folder: string, options: Partial<JournalOptions> = {}): Promise<Open> {
  let ear!: Ear
  const spec = defineSource({
    name: 'ear', summary: 'Hears what a test says.', options: Type.Object({}),
    listen: (_, host) => ear = new Ear(host),
    decode: (_, series, intake) => (topic, payload, ingest, _stamp, position) => {
      const at = intake.message(topic, payload, ingest, position)
      intake.reading(series.id('default', 'd', 'm'), ingest, Number(Buffer.from(payload).toString()))
      return at
    }
  })()
  const { log, lines } = quiet()
  const journal = await Journal.open(spec, { folder, log, client: 'me', pipelines: ['p'], tick: HOUR, ...options }, never)
  t.teardown(() => journal.close().catch(() => {}))
  journal.listen()
  return { journal, ear, lines }
}

/** What another process finds that starts when this one is killed. */
function killed (t: T, folder: string): string {
  const copy = temporary(t)
  cpSync(folder, copy, { recursive: true })
  rmSync(join(copy, 'lock'), { recursive: true, force: true })
  return copy
}

interface Record { readonly position: number, readonly kind: string, readonly ingest: number, readonly text: string }
const nameOf = Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [kind, name]))
/** All that is durable in it. */
async function records ({ wal }: Journal): Promise<Record[]> {
  await wal.flush()
  const found: Record[] = [], reader = wal.reader(wal.first - 1)
  while (reader.position < wal.durable) await reader.read((position, kind, ingest, bytes, from, to) => { found.push({ position, kind: nameOf[kind], ingest, text: kind === kinds.message ? bytes.toString('utf8', readMessage(bytes, from).payload, to) : '' }) })
  await reader.close()
  return found
}
const messages = async (journal: Journal): Promise<string[]> => (await records(journal)).filter(r => r.kind === 'message').map(r => r.text)
const until = async (holds: () => boolean, ms = 10_000) => {
  for (const end = Date.now() + ms; !holds();) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${String(holds)}`)
    await sleep(5)
  }
}
const from = (client: string, packet: number, again = false): Sender => ({ client, packet, again })
/** Fills the log until `share` of its budget is used, segment by segment. */
async function fill ({ journal, ear }: Open, share: number): Promise<void> {
  while (journal.wal.bytes < share * journal.budget) {
    ear.hear('1'.padStart(1000, '0'))
    await journal.wal.flush()
  }
}
const budget = 200_000

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

/** A pipeline at work: reads the log after `from`; with `stuck` it commits nothing. */
function reading (journal: Journal, pipeline: string, from: number, stuck = false) {
  const series = new SeriesTable(10), credits = new Credits(), stop = new AbortController()
  const source = journal.source({ pipeline, series, ahead: HOUR, log: journal.log, now: Date.now, origin: undefined })
  const values: number[] = [], held: Delivery[] = []
  const done = (delivery: Delivery) => {
    source.done!(delivery.upTo)
    credits.give(delivery.bytes)
  }
  const subscription = source.open(from, credits, stop.signal).subscribe(delivery => {
    values.push(...delivery.rows.value)
    if (stuck) held.push(delivery)
    else setImmediate(done, delivery)
  })
  return {
    values,
    go () { stuck = false; for (const delivery of held.splice(0)) done(delivery) },
    stop () { subscription.unsubscribe(); void source.close!() }
  }
}

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
  await sleep(100)
  const first = await kindsOf()
  t.equal(first[0], 'start')
  t.ok(first.length > 1 && first.slice(1).every(kind => kind === 'tick'), first.join(' '))
  journal.listening(false)
  const { length } = await kindsOf()
  await sleep(100)
  t.equal((await kindsOf()).length, length, 'a pause leaves nothing')
  journal.listening(true)
  await sleep(60)
  ear.hear('1')
  const rest = (await kindsOf()).slice(length)
  t.equal(rest[0], 'start')
  t.strictSame([...new Set(rest.slice(1))], ['tick', 'message'])
})

t.test('having no room is a pause too', async t => {
  const one = await open(t, temporary(t), { budget, tick: 20 })
  const { journal, ear, journal: { wal } } = one
  while (ear.hear('1'.padStart(1000, '0')) !== undefined) await wal.flush()
  const end = wal.durable
  await sleep(60)
  t.equal(wal.durable, end, 'no ticks')
  journal.move('p', Math.floor(end / 2))
  await until(() => journal.open)
  ear.hear('2')
  const rest = (await records(journal)).filter(r => r.position > end && r.kind !== 'senders')
  t.equal(rest[0].kind, 'start')
})
