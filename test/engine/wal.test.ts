import { writeFileSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { clock, type Clock } from '../../engine/clock.ts'
import { disk, type FileSystem } from '../../engine/files.ts'
import { HEADER } from '../../engine/wal-segment.ts'
import type { Wal } from '../../engine/wal.ts'
import { all, append, behavesLikeAnArray, entry, openWal, take } from '../laws/wal.ts'
import { RecordedDisk } from '../laws/wal-disk.ts'
import { Disk } from '../support/disk.ts'
import { temporary } from '../support/program.ts'

const segmentsOf = async (folder: string) => (await readdir(folder)).filter(name => name.endsWith('.log')).toSorted()

/** The file system, except that one call fails, and all after it: `syncs` calls of datasync are good before. */
const failing = (code: string, syncs: number): FileSystem => ({
  ...disk,
  async open (path, flags, mode) {
    const handle = await disk.open(path, flags, mode)
    const real = handle.datasync.bind(handle)
    handle.datasync = () => syncs-- > 0 ? real() : Promise.reject(Object.assign(new Error(`${code}: no`), { code }))
    return handle
  }
})

void t.test('a log behaves like an array of its records, through any appends, flushes, drops, readers, stops and kills', async t => {
  await behavesLikeAnArray(150)
  t.ok(true)
})

void t.test('what is appended while a group is written becomes durable with the next, by one sync', async t => {
  const folder = temporary(t), recorder = new RecordedDisk(folder), told: number[] = []
  const wal = await openWal(folder, { fs: recorder.fs, durable: upTo => { told.push(upTo) } })
  const before = recorder.ops.length
  for (let n = 1; n <= 1000; n++) append(wal, n)
  t.equal(wal.durable, 0, 'appending waits for nothing')
  const flushed = wal.flush()
  await new Promise(resolve => { setImmediate(resolve) })
  for (let n = 1001; n <= 1500; n++) append(wal, n)
  await flushed
  await wal.flush()
  t.strictSame(told, [1000, 1500])
  t.strictSame(recorder.ops.slice(before).map(op => op.do), ['write', 'sync', 'write', 'sync'])
  await wal.close()
})

/** A clock on which `wait` says what becomes of who waits so many ms; by itself it stands still. */
class Virtual implements Clock {
  time = 1000
  readonly wait: (ms: number, act: () => void) => void
  constructor (wait: Virtual['wait']) { this.wait = wait }
  readonly now = () => clock.now()
  readonly interval = (act: () => void, every: number, aside?: boolean) => clock.interval(act, every, aside)
  readonly soon = (act: () => void) => { clock.soon(act) }
  readonly random = () => clock.random()
  readonly id = () => clock.id()
  readonly monotonic = () => this.time
  readonly timeout = (act: () => void, ms: number) => {
    let over = false
    this.wait(ms, () => { if (!over) { over = true; act() } })
    return () => { over = true }
  }
}

void t.test('a sync every 20 ms is enough where records come all the time', async t => {
  let wal: Wal | undefined, n = 0, groups = 0
  const by = new Virtual((ms, act) => {
    for (; ms > 0; ms--, by.time++) if (n < 600) append(wal!, ++n)
    setImmediate(act)
  })
  wal = await openWal(temporary(t), { clock: by, durable: () => { groups++; by.time += 3; if (n < 600) append(wal!, ++n) } })
  append(wal, ++n)
  while (wal.durable < 600) await wal.flush()
  t.ok(groups >= 20 && groups <= 40, `${groups} groups`)
  await wal.close()
})

void t.test('who waits for an acknowledgement before sending more is not kept waiting, nor is a single record', async t => {
  const waits: number[] = []
  let wal: Wal | undefined, n = 0
  const by = new Virtual((ms, act) => { waits.push(ms); by.time += ms; setImmediate(act) }), send = () => { for (let k = 0; k < 20; k++) append(wal!, ++n) }
  wal = await openWal(temporary(t), { clock: by, durable: () => { if (n < 600) { by.time += 0.5; send() } } })
  send()
  while (wal.durable < 600) await wal.flush()
  const waited = waits.reduce((sum, ms) => sum + ms, 0)
  t.ok(waits.length > 20 && waited < 80, `${waited} ms for 30 times 20 records`)
  by.time += 1000
  waits.length = 0
  append(wal, ++n)
  await wal.flush()
  t.strictSame(waits, [])
  await wal.close()
})

void t.test('256 records wait for nothing', async t => {
  const wal = await openWal(temporary(t), { clock: new Virtual(() => {}) })
  append(wal, 1)
  await wal.flush()
  for (let n = 2; n <= 257; n++) append(wal, n)
  await wal.flush()
  append(wal, 258)
  await new Promise(resolve => { setTimeout(resolve, 30) })
  t.equal(wal.durable, 257, 'one record does')
  for (let n = 259; n <= 600; n++) append(wal, n)
  await wal.flush()
  t.equal(wal.durable, 600)
  await wal.close()
})

void t.test('the body is copied, and may come in two parts', async t => {
  const wal = await openWal(temporary(t))
  const body = Buffer.from('abc')
  wal.append(1, 5, body)
  body.fill('x')
  wal.append(2, 6.5, body, Buffer.from('yz'))
  wal.append(3, 7, Buffer.alloc(0))
  await wal.flush()
  t.strictSame(await all(wal), [{ position: 1, kind: 1, ingest: 5, body: 'abc' }, { position: 2, kind: 2, ingest: 6.5, body: 'xxxyz' }, { position: 3, kind: 3, ingest: 7, body: '' }])
  await wal.close()
})

void t.test('a log that is full takes nothing, loses nothing, and says when there is room again', async t => {
  const wal = await openWal(temporary(t), { budget: 4000, segment: 500 })
  let n = 1
  const fill = async () => { for (let refused = false; !refused; await wal.flush()) for (refused = true; append(wal, n) !== undefined; n++) refused = false }
  await fill()
  t.ok(wal.bytes > 3900 && wal.bytes <= 4000, String(wal.bytes))
  const reader = wal.reader(0)
  let roomy = false
  const room = wal.room(50).then(() => { roomy = true })
  await wal.drop(wal.durable)
  t.notOk(roomy, 'a reader still needs all of it')
  t.equal(wal.first, 1)
  while (reader.position < wal.durable) await take(reader)
  await wal.drop(wal.durable)
  await room
  t.ok(wal.first > 1)
  await fill()
  t.ok(wal.bytes <= 4000)
  t.equal((await all(wal)).length, n - wal.first)
  await reader.close()
  await wal.close()
})

void t.test('a reader follows the live end, sees only what is durable, and ends when the log is closed', async t => {
  const folder = temporary(t), wal = await openWal(folder, { segment: 3000 })
  const reader = wal.reader(0), seen: number[] = []
  const reading = (async () => {
    while (await reader.read(position => { if (position > wal.durable) t.fail('not durable'); seen.push(position) }));
  })()
  for (let n = 1; n <= 500; n++) {
    append(wal, n)
    if (n % 7 === 0) await new Promise(resolve => { setImmediate(resolve) })
  }
  await wal.close()
  await reading
  t.strictSame(seen, Array.from({ length: 500 }, (_, i) => i + 1))
  await reader.close()
  t.equal(await reader.read(() => {}), false)
})

void t.test('a reader that is closed while it waits ends', async t => {
  const wal = await openWal(temporary(t)), reader = wal.reader(0)
  const reading = reader.read(() => {})
  await reader.close()
  t.equal(await reading, false)
  await wal.close()
})

void t.test('records larger than what a reader reads at once come whole', async t => {
  const wal = await openWal(temporary(t))
  for (const [n, size] of [300_000, 10, 2_000_000, 262_144, 5].entries()) append(wal, n + 1, size)
  await wal.flush()
  t.strictSame((await all(wal)).map(e => e.body.length), [300_000, 10, 2_000_000, 262_144, 5])
  t.strictSame((await all(wal, 2)).map(e => e.position), [3, 4, 5])
  await wal.close()
})

void t.test('a record that a reader could not handle comes again', async t => {
  const wal = await openWal(temporary(t)), reader = wal.reader(0)
  for (let n = 1; n <= 5; n++) append(wal, n)
  await wal.flush()
  await t.rejects(reader.read(position => { if (position === 3) throw new Error('not today') }), { message: 'not today' })
  t.strictSame(await take(reader), [entry(3), entry(4), entry(5)])
  await reader.close()
  await wal.close()
})

void t.test('positions go on after everything has been dropped and the log was opened again', async t => {
  const folder = temporary(t)
  for (let round = 0; round < 3; round++) {
    const wal = await openWal(folder)
    for (let k = 1; k <= 4; k++) append(wal, round * 4 + k)
    await wal.close()
    const again = await openWal(folder)
    await again.drop(again.durable)
    t.equal(again.first, round * 4 + 5)
    await again.close()
    t.strictSame((await segmentsOf(folder)).length, 1)
  }
})

void t.test('places that are not in the log are refused by name', async t => {
  const folder = temporary(t)
  let wal = await openWal(folder, { segment: 100 })
  for (let n = 1; n <= 20; n++) { append(wal, n); await wal.flush() }
  await wal.drop(10)
  t.throws(() => wal.reader(3), { code: 'log/dropped', message: /position 4 was asked for, .* begins at \d+/ })
  t.throws(() => wal.reader(21), { code: 'log/damaged', message: /position 22 was asked for, .* ends at 20/ })
  t.throws(() => wal.append(1, 0, Buffer.alloc(9 * 2 ** 20)), { code: 'log/too-large' })
  await wal.close()
  t.throws(() => wal.append(1, 0, Buffer.alloc(1)), { code: 'log/failed', message: /is closed/ })
  wal = await openWal(folder)
  t.strictSame((await all(wal)).at(-1), entry(20))
  await wal.close()
})

for (const [code, named] of [['EIO', 'log/failed'], ['ENOSPC', 'log/full']] as const) {
  void t.test(`after ${code} nothing is acknowledged or taken any more, and it is said once`, async t => {
    const folder = temporary(t), told: number[] = [], failures: Error[] = []
    let wal = await openWal(folder, { fs: failing(code, 1), durable: upTo => { told.push(upTo) }, failed: error => { failures.push(error) } })
    append(wal, 1)
    await wal.flush()
    append(wal, 2)
    const reader = wal.reader(1), reading = t.rejects(reader.read(() => {}), { code: named })
    await t.rejects(wal.flush(), { code: named, message: /nothing after position 1 is durable/ })
    await reading
    t.throws(() => append(wal, 3), { code: named })
    await t.rejects(wal.flush(), { code: named })
    t.strictSame(told, [1])
    t.equal(failures.length, 1)
    t.strictSame(await all(wal), [entry(1)], 'what was durable can be read')
    await reader.close()
    await wal.close()
    wal = await openWal(folder)
    t.ok(wal.durable >= 1)
    await wal.close()
  })
}

void t.test('who has lost the folder to another process acknowledges nothing more, and begins no segment', async t => {
  const folder = temporary(t), told: number[] = []
  const wal = await openWal(folder, { segment: HEADER + 1, durable: upTo => { told.push(upTo) } })
  append(wal, 1)
  await wal.flush()
  writeFileSync(join(folder, 'lock'), '{"pid":1}')
  const before = await readdir(folder)
  append(wal, 2)
  await t.rejects(wal.flush(), { code: 'log/locked', message: /another process has taken over/ })
  t.strictSame(told, [1])
  t.strictSame(await readdir(folder), before, 'the next segment is that of who took it over')
  await wal.close()
  t.equal(await readFile(join(folder, 'lock'), 'utf8'), '{"pid":1}')
  await rm(join(folder, 'lock'))
})

void t.test('a log whose last flush fails says so when it is closed', async t => {
  const wal = await openWal(temporary(t), { fs: failing('EIO', 0) })
  append(wal, 1)
  await t.rejects(wal.close(), { code: 'log/failed' })
})

t.test('what a reader is late for comes from the disk when its place in memory has been used again', async t => {
  const held = new Disk(), wal = await openWal(temporary(t), { fs: held.fs }), reader = wal.reader(0)
  const durable = async (position: number) => { append(wal, position); await wal.flush() }
  await durable(1)
  t.strictSame(await take(reader), [entry(1)])
  await durable(2)
  held.hold()
  append(wal, 3)
  await new Promise(resolve => setTimeout(resolve, 50))      // its group is under way
  append(wal, 4)
  t.strictSame(await take(reader), [entry(2)])
  held.release()
  await wal.flush()
  t.strictSame(await all(wal, 2), [entry(3), entry(4)])
  while (reader.position < 4) await take(reader)
  await reader.close()
  await wal.close()
})
