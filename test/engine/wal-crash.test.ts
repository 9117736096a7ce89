import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Wal } from '../../engine/wal.ts'
import { HEADER, seal } from '../../engine/wal-segment.ts'
import { all, append, copyOf, entry, memory, never, openWal, survivesLossOfPower, warnings, type Entry } from '../laws/wal.ts'
import { startTypeScript, temporary } from '../support/program.ts'

const inMemory = (t: Test): string => {
  const folder = mkdtempSync(join(memory, 'millrace-wal-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The files of a small log of ten records in three segments, the group sizes given; `closed` or as a kill leaves it. */
async function small (t: Test, { groups, closed = false }: { groups: readonly number[], closed?: boolean }): Promise<Map<string, Buffer>> {
  const folder = inMemory(t), copy = join(folder, 'copy')
  const wal = await openWal(join(folder, 'log'), { segment: 120 })
  let n = 1
  for (const size of groups) {
    for (let k = 0; k < size; k++) append(wal, n++)
    await wal.flush()
  }
  if (!closed) await copyOf(join(folder, 'log'), copy)
  await wal.close()
  if (closed) await copyOf(join(folder, 'log'), copy)
  return new Map(await Promise.all((await readdir(copy)).toSorted().map(async name => [name, await readFile(join(copy, name))] as const)))
}

/** Opens the files as a log and reads it. */
async function opened (folder: string, files: ReadonlyMap<string, Buffer>): Promise<{ entries: Entry[], said: any[], error?: any }> {
  rmSync(folder, { recursive: true, force: true })        // thousands of times: what waits for the disk otherwise takes longer than the log
  mkdirSync(folder)
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
  const log = warnings()
  let wal: Wal | undefined
  try {
    wal = await Wal.open(folder, { log }, never)
    return { entries: await all(wal), said: log.said }
  } catch (error) {
    return { entries: [], said: log.said, error }
  } finally { await wal?.close() }
}
const upTo = (n: number): Entry[] => Array.from({ length: n }, (_, i) => entry(i + 1))
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

void t.test('whatever a loss of power leaves of unsynced work, nothing that was durable is lost', async t => {
  const states = await survivesLossOfPower()
  t.comment(`${states} states`)
  t.ok(states > 500)
})

void t.test('wherever the last segment ends, the whole records before are there, and the warning says what was cut', async t => {
  const files = await small(t, { groups: [4, 1, 2, 2, 3] }), folder = join(inMemory(t), 'log')
  const [name, whole] = [...files].at(-1)!, first = Number.parseInt(name)
  t.equal(files.size, 3)
  const ends = [HEADER]
  for (let at = HEADER; at < whole.length;) ends.push(at += 22 + whole.readUInt32LE(at + 4))
  t.ok(ends.length > 3)
  for (let length = 0; length < whole.length; length++) {
    const { entries, said, error } = await opened(folder, new Map(files).set(name, whole.subarray(0, length)))
    const records = ends.filter(end => end <= length).length - 1, cut = length > HEADER && !ends.includes(length)
    const expected = cut ? [{ file: join(folder, name), at: ends[records], bytes: length - ends[records] }] : []
    if (error !== undefined || !same(entries, upTo(first - 1 + Math.max(0, records))) || !same(said, expected)) t.fail(`${length} bytes`, { entries: entries.length, said, error })
  }
})

void t.test('a segment in the middle that is shorter or missing is an error that names it', async t => {
  const files = await small(t, { groups: [4, 1, 2, 2, 3] }), folder = join(inMemory(t), 'log')
  const names = [...files.keys()]
  for (let length = 0; length < files.get(names[1])!.length; length++) {
    const { error } = await opened(folder, new Map(files).set(names[1], files.get(names[1])!.subarray(0, length)))
    if (error?.code !== 'log/damaged' || !error.message.includes(names[1]) || !/byte \d+/.test(error.message)) t.fail(`${length} bytes: ${error}`)
  }
  const missing = new Map(files)
  missing.delete(names[1])
  t.match((await opened(folder, missing)).error, { code: 'log/damaged', message: /is missing/ })
})

void t.test('a flipped bit anywhere is reported with file and byte; only in a record of which nobody can know that it was durable it is a torn end', async t => {
  const files = await small(t, { groups: [2, 2, 1, 1, 1, 1, 1] }), folder = join(inMemory(t), 'log')
  let cut = 0, reported = 0
  for (const [name, whole] of files) {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = Buffer.from(whole)
      bytes[bit >> 3] ^= 1 << (bit & 7)
      const { entries, error } = await opened(folder, new Map(files).set(name, bytes))
      if (error?.code === 'log/damaged' && error.message.includes(name) && /byte \d+/.test(error.message)) reported++
      else if (error === undefined && same(entries, upTo(8))) cut++
      else t.fail(`bit ${bit} of ${name}: ${entries.length} records, ${error}`)
    }
  }
  const last = [...files.values()].at(-1)!
  t.equal(cut, (22 + entry(9).body.length) * 8, 'cut are the bits of the last record')
  t.comment(`${reported} flips reported, ${cut} cut; the last segment has ${last.length} bytes`)
})

void t.test('after a clean stop every flipped bit of a record is reported', async t => {
  const files = await small(t, { groups: [2, 1], closed: true }), folder = join(inMemory(t), 'log')
  for (const [name, whole] of files) {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = Buffer.from(whole)
      bytes[bit >> 3] ^= 1 << (bit & 7)
      const { entries, error } = await opened(folder, new Map(files).set(name, bytes))
      if (error === undefined ? whole.length > HEADER || !same(entries, upTo(3)) : error.code !== 'log/damaged') t.fail(`bit ${bit} of ${name}: ${entries.length} records, ${error}`)
    }
  }
})

void t.test('a torn group with whole records behind the tear is cut, even if a body contains a record', async t => {
  const folder = inMemory(t), copy = join(folder, 'copy')
  const wal = await openWal(join(folder, 'log'))
  append(wal, 1)
  await wal.flush()
  const forged = Buffer.alloc(122)
  seal(forged, 0, 122, 4, 1, 1, 0, 12345)
  for (const body of [Buffer.alloc(50), Buffer.alloc(60), forged, Buffer.alloc(70)]) wal.append(1, 0, body)
  await wal.flush()
  await copyOf(join(folder, 'log'), copy)
  await wal.close()
  const [name] = await readdir(copy), bytes = await readFile(join(copy, name))
  bytes.fill(0, HEADER + 22 + entry(1).body.length, HEADER + 22 + entry(1).body.length + 100)
  const { entries, error } = await opened(join(folder, 'again'), new Map([[name, bytes]]))
  t.equal(error, undefined)
  t.strictSame(entries, upTo(1))
})

void t.test('a log whose newest files are gone is not taken for the one that was read', async t => {
  const files = await small(t, { groups: [4, 4, 4] }), folder = join(inMemory(t), 'log')
  await opened(folder, files)
  for (const name of (await readdir(folder)).filter(n => n.endsWith('.log')).toSorted().slice(1)) await unlink(join(folder, name))
  const wal = await openWal(folder)
  t.throws(() => wal.reader(12), { code: 'log/damaged', message: /ends at 4/ })
  await wal.close()
})

function write (t: Test, folder: string) {
  const child = startTypeScript('test/fixtures/wal-writer.ts', folder)
  const out = { child, text: '', err: '', last: () => Number(out.text.slice(0, out.text.lastIndexOf('\n')).split('\n').at(-1)) }
  child.stdout.on('data', d => { out.text += d })
  child.stderr.on('data', d => { out.err += d })
  t.teardown(() => { child.kill('SIGKILL') })
  return out
}

void t.test('what a process said was durable is there after kill -9, and the folder is free again; before that it is refused to others', async t => {
  const folder = join(temporary(t), 'log')
  let known = 0
  for (let round = 0; round < 6; round++) {
    const one = write(t, folder)
    while (!one.text.includes('\n')) await Promise.race([once(one.child.stdout, 'data'), once(one.child, 'exit').then(() => { throw new Error(one.err) })])
    await new Promise(resolve => setTimeout(resolve, 50 + round * 67))
    if (round === 0) {
      await t.rejects(openWal(folder), { code: 'log/locked', message: new RegExp(`process ${one.child.pid} uses`) })
      const two = write(t, folder)
      const [code] = await once(two.child, 'exit')
      t.strictSame([code, two.err.slice(0, 10)], [3, 'log/locked'])
    }
    one.child.kill('SIGKILL')
    await once(one.child, 'close')
    t.ok(one.last() > known, `${one.last()} durable`)
    known = one.last()
    const wal = await openWal(folder, { segment: 20_000, budget: 400_000 })
    t.ok(wal.durable >= known)
    const entries = await all(wal)
    t.ok(same(entries, entries.map((_, i) => entry(wal.first + i))))
    t.equal(entries.at(-1)!.position, wal.durable)
    await wal.close()
  }
})

const canMount = (): boolean => {
  const at = mkdtempSync(join(memory, 'millrace-mount-'))
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'millrace', at]).status === 0
  if (done) spawnSync('umount', [at])
  rmSync(at, { recursive: true, force: true })
  return done
}
void t.test('a disk that is full ends the log by name, and it goes on when opened again with room', { skip: canMount() ? false : 'this user may not mount a small disk' }, async t => {
  const at = temporary(t), folder = join(at, 'log'), ballast = join(at, 'ballast')
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'millrace', at])
  try {
    await writeFile(ballast, Buffer.alloc(200_000))
    const failures: any[] = []
    let wal = await openWal(folder, { failed: error => { failures.push(error) } }), n = 1
    await t.rejects(async () => { for (;; await wal.flush()) for (let k = 0; k < 20; k++) append(wal, n++, 400) }, { code: 'log/full', message: /ENOSPC/ })
    const { durable } = wal
    t.ok(durable > 100 && durable < n - 1)
    t.equal(failures[0]?.code, 'log/full')
    t.throws(() => append(wal, n), { code: 'log/full' })
    await wal.close()
    await t.rejects(openWal(folder), { code: 'log/full' }, 'still full')
    await unlink(ballast)
    wal = await openWal(folder)
    t.ok(wal.durable >= durable)
    const from = wal.durable + 1
    append(wal, from, 400)
    await wal.flush()
    t.strictSame(await all(wal), Array.from({ length: from }, (_, i) => entry(i + 1, 400)))
    await wal.close()
  } finally { spawnSync('umount', ['-l', at]) }
})
