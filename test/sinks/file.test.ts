import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { closeSync, existsSync, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { pino } from 'pino'
import { Batch, SeriesTable, sleep, Transient, type SinkHost } from '#engine'
import { file, fileStore } from '../../sinks/file.ts'
import { FileStore } from '../../sinks/file/store.ts'
import { alert, Bench, pagesOf, snapshot, type StoredRow, type StoreHarness } from '../fixtures/bench.ts'
import { storeLaws } from '../laws/store.ts'
import { startTypeScript } from '../support/program.ts'

const never = new AbortController().signal
const folderOf = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-store-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
const linesOf = async (name: string): Promise<any[]> => existsSync(name) ? (await readFile(name, 'utf8')).split('\n').filter(l => l !== '').map(l => JSON.parse(l)) : []
/** The id of a process that was there and is not any more. */
const gone = (): number => spawnSync(process.execPath, ['-e', '']).pid

const harness = (folder: string, options = {}): StoreHarness => ({
  make: (plan, host) => new FileStore(join(folder, plan.pipeline), plan, host, options),
  rows: async (pipeline, table) => (await linesOf(join(folder, pipeline, `${table}.ndjson`))).map((r): StoredRow => ({ device: r.device, metric: r.metric, time: Date.parse(r.time), value: r.value })),
  async abandon (pipeline) {
    const lock = join(folder, pipeline, 'lock')
    await writeFile(lock, JSON.stringify({ ...JSON.parse(await readFile(lock, 'utf8')), pid: gone() }))
  }
})
storeLaws('file store', async t => harness(await folderOf(t)))
storeLaws('file store with a segment per commit', async t => harness(await folderOf(t), { segment: 1 }))

void t.test('a row is a line with its names, its time to the microsecond and its columns', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder))
  const one = await bench.open()
  const series = Int32Array.of(one.series.id('acme', 'boiler "1"', 'temp'))
  const provisional = new Batch({ time: Float64Array.of(1), series, value: Float64Array.of(NaN) })
  const batch = new Batch({ time: Float64Array.of(1773057600000.001), series, value: Float64Array.of(1e21), columns: { score: Float64Array.of(Infinity) }, provisional })
  await one.commit([], { writes: [{ branch: '', table: 'readings', batch }] })
  t.equal(await readFile(join(folder, 'p', 'readings.ndjson'), 'utf8'), [
    '{"tenant":"acme","device":"boiler \\"1\\"","metric":"temp","time":"2026-03-09T12:00:00.000001Z","value":1e+21,"score":null}',
    '{"tenant":"acme","device":"boiler \\"1\\"","metric":"temp","time":"1970-01-01T00:00:00.001000Z","value":null,"provisional":true}\n'
  ].join('\n'))
  await bench.close()
})

void t.test('late rows, dead letters and alerts are kept by day and deleted after the retention', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder, { retention: 864e5 }))
  const one = await bench.open()
  const day = (n: number) => Date.UTC(2026, 2, n, 12)
  const series = Int32Array.of(one.series.id('acme', 'b', 'temp'))
  const late = [{ branch: 'minutes', step: 'tumbling', batch: new Batch({ time: Float64Array.of(day(1)), series, value: Float64Array.of(5) }) }]
  const deadLetters = [{ position: 1, part: 0, reason: 'unparseable', detail: 'no JSON', topic: 'a/b', payload: Buffer.from('{"a'), ingest: day(9) } as const]
  await one.commit([], { late, deadLetters, alerts: [{ ...alert('a', []), stale: true }], ingest: day(9) })
  t.match(await linesOf(join(folder, 'p', 'late.2026-03-09.ndjson')), [{ branch: 'minutes', step: 'tumbling', device: 'b', value: 5 }])
  t.match(await linesOf(join(folder, 'p', 'dead_letters.2026-03-09.ndjson')), [{ reason: 'unparseable', payload: 'eyJh', ingest: '2026-03-09T12:00:00.000000Z' }])
  t.match(await linesOf(join(folder, 'p', 'alerts.2026-03-09.ndjson')), [{ id: 'a.firing', stale: true, time: '2026-03-09T12:00:00.000125Z' }])
  await one.commit([], { late, ingest: day(10) })
  await one.commit([], { late, ingest: day(12) })
  const days = async () => (await readdir(join(folder, 'p'))).filter(n => n.startsWith('late')).toSorted()
  t.strictSame(await days(), ['late.2026-03-10.ndjson', 'late.2026-03-12.ndjson'])
  await one.store.close()
  await bench.open()
  t.strictSame(await days(), ['late.2026-03-10.ndjson', 'late.2026-03-12.ndjson'], 'and opens without those that were deleted')
  await bench.close()
})

void t.test('at every point of a commit a crash leaves all of it or nothing', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder))
  const one = await bench.open()
  await one.commit([1, 2])
  const before = join(folder, 'before'), after = join(folder, 'after')
  await cp(join(folder, 'p'), before, { recursive: true })
  await one.commit([3], { alerts: [alert('a')] })
  await cp(join(folder, 'p'), after, { recursive: true })
  await bench.close()
  const segment = join('log', (await readdir(join(after, 'log'))).toSorted().at(-1)!)
  const [short, long] = [await readFile(join(before, segment)), await readFile(join(after, segment))]
  const rows = await readFile(join(after, 'readings.ndjson'))
  const committed = await readFile(join(before, 'readings.ndjson'))

  const crashed = async (log: Buffer, table: Buffer) => {
    const at = join(folder, 'crashed')
    await rm(at, { recursive: true, force: true })
    await cp(before, join(at, 'p'), { recursive: true })
    await writeFile(join(at, 'p', segment), log)
    await writeFile(join(at, 'p', 'readings.ndjson'), table)
    await harness(at).abandon('p')
    const bench = new Bench(harness(at))
    const { recovered, store } = await bench.open()
    const found = [recovered.version, recovered.position, recovered.counts[''].written, await bench.values(), (await store.due(9, Date.now())).length]
    await bench.close()
    return found
  }
  const nothing = [1, 2, 2, [1, 2], 0], all = [2, 3, 3, [1, 2, 3], 1]
  for (let cut = committed.length; cut <= rows.length; cut += 7) t.strictSame(await crashed(short, rows.subarray(0, cut)), nothing, `row cut at byte ${cut}`)
  for (let cut = short.length; cut < long.length; cut += 11) t.strictSame(await crashed(long.subarray(0, cut), rows), nothing, `record cut at byte ${cut}`)
  const zeros = Buffer.from(long)
  zeros.fill(0, short.length + 40)
  t.strictSame(await crashed(zeros, rows), nothing, 'a record of which the disk has only the length')
  t.strictSame(await crashed(long, rows), all)
  await t.rejects(crashed(long, committed), { code: 'store/damaged', message: /readings\.ndjson has \d+ bytes, \d+ were committed/ })
})

void t.test('a crash in the very first commit leaves no rows', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder))
  await bench.open()
  await writeFile(join(folder, 'p', 'readings.ndjson'), '{"tenant":"acme"}\n{"ten')
  await harness(folder).abandon('p')
  const again = new Bench(harness(folder))
  await again.open()
  t.strictSame(await again.values(), [])
  await again.close()
  await bench.close()
})

void t.test('a flipped bit in the log is an error that names file and place, and is never read', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder))
  const one = await bench.open()
  for (let v = 1; v <= 5; v++) await one.commit([v])
  await bench.close()
  const segment = join(folder, 'p', 'log', (await readdir(join(folder, 'p', 'log'))).toSorted().at(-1)!)
  const whole = await readFile(segment)
  let last = 0
  for (let at = 0; at < whole.length; at += 12 + whole.readUInt32LE(at)) last = at
  const random = lcg(7)
  for (let n = 0; n < 300; n++) {
    const bytes = Buffer.from(whole)
    const at = Math.floor(random() * last)
    bytes[at] ^= 1 << Math.floor(random() * 8)
    await writeFile(segment, bytes)
    const error = await new Bench(harness(folder)).open().then(() => undefined, e => e)
    if (error?.code !== 'store/damaged' || !error.message.includes(segment) || !/at byte \d+/.test(error.message)) t.fail(`bit at byte ${at}: ${error}`)
  }
  await writeFile(segment, whole)
  t.equal((await new Bench(harness(folder)).open().then(async b => { await b.store.close(); return b })).recovered.version, 5)
})

void t.test('rows without a log are not taken for an empty store', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder))
  await (await bench.open()).commit([1])
  await bench.close()
  await rm(join(folder, 'p', 'log'), { recursive: true })
  await t.rejects(new Bench(harness(folder)).open(), { code: 'store/damaged', message: /readings\.ndjson/ })
  t.equal((await linesOf(join(folder, 'p', 'readings.ndjson'))).length, 1)
})

void t.test('old segments of the log go, the one before the newest stays', async t => {
  const folder = await folderOf(t)
  const bench = new Bench(harness(folder, { segment: 2000 }))
  const one = await bench.open()
  for (let v = 1; v <= 40; v++) await one.commit([v])
  const names = (await readdir(join(folder, 'p', 'log'))).toSorted()
  t.equal(names.length, 2)
  t.ok(Number.parseInt(names[1]) > 3)
  await one.store.close()
  await truncate(join(folder, 'p', 'log', names[1]), 5)
  const { recovered } = await new Bench(harness(folder)).open().then(async b => { await b.store.close(); return b })
  t.ok(recovered.version >= 20, 'a newest segment that was never finished is left out')
  t.equal((await bench.values()).length, recovered.version)
})

void t.test('a second process is refused while the first lives, and takes over when it is dead', async t => {
  const folder = await folderOf(t)
  const child = writer(folder)
  t.teardown(() => child.process.kill('SIGKILL'))
  await child.acknowledged(3)
  await t.rejects(new Bench(harness(folder)).open(), { code: 'store/locked', message: new RegExp(`process ${child.process.pid} uses`) })
  child.process.kill('SIGKILL')
  await once(child.process, 'exit')
  const bench = new Bench(harness(folder))
  t.ok((await bench.open()).recovered.version >= 3)
  await t.rejects(new Bench(harness(folder)).open(), { code: 'store/locked' }, 'also within one process')
  await bench.close()
})

void t.test('killed with kill -9 again and again, it has every acknowledged commit and every row once', async t => {
  const folder = await folderOf(t)
  let acknowledged = 0
  for (let kill = 0; kill < 4; kill++) {
    const child = writer(folder)
    acknowledged = await child.acknowledged(acknowledged + 20 + kill * 7)
    child.process.kill('SIGKILL')
    await once(child.process, 'exit')
    acknowledged = Math.max(acknowledged, child.last())
    const bench = new Bench(harness(folder))
    const { recovered } = await bench.open()
    t.ok(recovered.version >= acknowledged, `${recovered.version} committed, ${acknowledged} acknowledged`)
    t.strictSame(await bench.values(), Array.from({ length: recovered.position! }, (_, i) => i + 1))
    await bench.close()
  }
})

void t.test('a lock of another host is waited for until its last sign of life is 30 s ago', async t => {
  const folder = await folderOf(t)
  const lock = join(folder, 'p', 'lock')
  await mkdir(join(folder, 'p'))
  await writeFile(lock, JSON.stringify({ pid: 1, started: '1', host: 'elsewhere', token: 'x' }))
  const host: SinkHost = { pipeline: 'p', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder }
  const store = new FileStore(join(folder, 'p'), { pipeline: 'p', tables: [] }, host)
  await t.rejects(store.open(AbortSignal.timeout(50)), { code: 'store/locked', message: /on elsewhere/ })
  const { utimes } = await import('node:fs/promises')
  await utimes(lock, new Date(), new Date(Date.now() - 31_000))
  t.equal((await store.open(never)).version, 0)
  await store.close()
})

/** A disk of so many KiB at this folder until the test ends; false where this user may not mount one. */
function smallDisk (t: Test, folder: string, size: number): boolean {
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}k`, 'millrace', folder]).status === 0
  if (mounted) t.teardown(() => { spawnSync('umount', ['-l', folder]) })
  return mounted
}

/** Fills a disk to its last byte. */
function fill (folder: string): () => Promise<void> {
  const file = join(folder, 'ballast'), descriptor = openSync(file, 'w')
  try {
    for (let size = 2 ** 16; size > 0;) try { writeSync(descriptor, Buffer.alloc(size)) } catch { size = Math.floor(size / 4) }
  } finally { closeSync(descriptor) }
  return () => rm(file)
}

void t.test('a full disk is waited for, whatever is to be written: rows, snapshots, the log, at the start', async t => {
  const folder = await folderOf(t)
  if (!smallDisk(t, folder, 512)) return void t.pass('mounted', { skip: 'this user may not mount a small disk' })
  const bench = new Bench(harness(folder)), one = await bench.open()
  await one.commit([1], snapshot(1, { '0/0': 'old' }, { pages: 1, position: 0, version: 0 }))
  const pages = { '0/0': 'a'.repeat(9000), '1/0': 'b'.repeat(9000) }, whole = { pages: 2, position: 1, version: 1 }
  for (const [what, values, more] of [
    ['rows', Array.from({ length: 100 }, (_, i) => i), {}],
    ['pages of a snapshot', [], snapshot(2, pages, whole)],
    ['alerts', [], { alerts: Array.from({ length: 30 }, (_, i) => alert(`a${i}`)) }]
  ] as const) {
    const room = fill(folder)
    for (let tries = 0; tries < 2; tries++) await t.rejects(one.commit(values, more), Transient, what)
    t.match(one.store.trouble(), /the disk of .* is full/)
    await room()
    await one.commit(values, more)
    t.equal(one.store.trouble(), undefined)
  }
  const [entry] = await one.store.due(1, Date.now()), room = fill(folder)
  let settled = 0
  while (await one.store.settle(entry, { state: 'retry', after: 0 }).then(() => true, error => { t.type(error, Transient); return false })) if (settled++ > 1000) throw new Error('never full')
  await one.store.close()
  const again = bench.open()
  t.equal(await Promise.race([again, sleep(500)]), undefined, 'a start waits too')
  await room()
  const { recovered, store } = await again
  t.equal(recovered.version, 4)
  t.strictSame((await bench.values()).length, 101)
  t.strictSame(await pagesOf(recovered.snapshots[0]), pages)
  t.equal((await store.due(100, Date.now() + 1e9)).length, 30)
  t.strictSame((await readdir(join(folder, 'p'))).filter(name => name.startsWith('lock')), ['lock'])
  await bench.close()
})

void t.test('the sink names a table; names that the store uses itself are refused', async t => {
  t.throws(() => file({ table: 'late' }), { code: 'config/invalid' })
  t.throws(() => file({ table: '../x' }), { code: 'config/invalid' })
  t.throws(() => file({}), { code: 'config/missing' })
  const folder = await folderOf(t)
  const host: SinkHost = { pipeline: '../up', series: new SeriesTable(1), log: pino({ level: 'silent' }), database: undefined, folder }
  const store = fileStore({ pipeline: '../up', tables: [] }, host)
  await store.open(never)
  await store.close()
  t.strictSame(await readdir(folder), ['store'], 'a pipeline\'s name cannot lead out of the folder')
  t.strictSame(await readdir(join(folder, 'store')), ['%2E.%2Fup'])
})

/** A process that commits one reading after the other and prints the version after each. */
function writer (folder: string) {
  const process_ = startTypeScript('test/fixtures/file-writer.ts', folder)
  let last = 0
  const lines = createInterface(process_.stdout)
  lines.on('line', line => { last = Number(line) })
  return {
    process: process_,
    last: () => last,
    async acknowledged (version: number): Promise<number> {
      while (last < version) await once(lines, 'line')
      return last
    }
  }
}

const lcg = (seed: number) => () => (seed = (seed * 1664525 + 1013904223) % 2 ** 32) / 2 ** 32
