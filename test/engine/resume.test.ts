import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { pipeline, sleep } from '#engine'
import type { Journal } from '../../engine/journal.ts'
import { normalise } from '../../engine/lint.ts'
import { Run } from '../../engine/run.ts'
import type { RunOptions } from '../../engine/run-options.ts'
import * as components from '../../index.ts'
import { fileStore } from '../../sinks/file.ts'
import { quiet } from '../support/collect.ts'
import { never, open, until } from '../support/journal.ts'

const { dedupe, ewma, file } = components
type T = { teardown (f: () => unknown): void }

function temporary (t: T): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-resume-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A pipeline that reads this log; the file store and the logs are in `folder`. */
function work (folder: string, journal: Journal, more: Partial<RunOptions> = {}) {
  const { log, lines } = quiet()
  const run = new Run(normalise(pipeline('p').from(journal.spec).pipe(dedupe({ within: '50ms' }), ewma({ alpha: 0.5 })).to(file({ table: 'r' })), components as any), { log, folder, fallback: fileStore, journal, journals: [journal], ...more })
  return { run, lines }
}

/** Hears these values in the log `name` of the folder, and reads them; `before`: as many have been stored. Stops cleanly. Nothing is dropped: q keeps it. */
async function heard (t: T, folder: string, name: string, values: readonly string[], more: Partial<RunOptions> = {}, before = 0): Promise<string> {
  const { journal, ear } = await open(t, join(folder, 'log', name), { pipelines: ['p', 'q'] }), { run } = work(folder, journal, more), stop = new AbortController()
  for (const value of values) ear.hear(value)
  const running = run.run(stop.signal)
  await until(() => run.counts[''].written + run.counts[''].deduplicated === before + values.length)
  stop.abort()
  await running
  await journal.close()
  return journal.origin
}

t.test('a pipeline that reads another log than before', async t => {
  await t.test('is refused while the former log has messages that it has not read, and told how many', async t => {
    const folder = temporary(t), origin = await heard(t, folder, 'a', ['1', '2', '3'])
    const again = await open(t, join(folder, 'log', 'a'))
    again.ear.hear('4')
    again.ear.hear('5')
    await again.journal.wal.flush()
    const { journal } = await open(t, join(folder, 'log', 'b'))
    await t.rejects(work(folder, journal).run.run(never), { code: 'log/missing', message: new RegExp(`^the pipeline "p" stands at position \\d+ of ${origin}, which another process has in use, .*; its source is now ${journal.origin}$`), help: /^stop that process; or/ })
    await again.journal.close()
    await t.rejects(work(folder, journal).run.run(never), { code: 'log/missing', message: /, of which it has 2 messages still to read; its source is now /, help: /^run it once more with its former source until it has read them; or start with --accept-loss/ })
    const { run, lines } = work(folder, journal, { acceptLoss: true }), stop = new AbortController(), running = run.run(stop.signal)
    await until(() => run.flow !== undefined)
    stop.abort()
    await running
    t.match(lines.filter(line => line.level === 'error'), [{ text: /is given up/ }])
  })

  await t.test('in one process: what the former log has heard since it was opened does not count', async t => {
    const folder = temporary(t)
    await heard(t, folder, 'a', ['1', '2'])
    const a = await open(t, join(folder, 'log', 'a')), b = await open(t, join(folder, 'log', 'b'))
    a.ear.hear('3')
    await a.journal.wal.flush()
    const { run } = work(folder, b.journal, { journals: [a.journal, b.journal] }), stop = new AbortController(), running = run.run(stop.signal)
    b.ear.hear('4')
    await until(() => run.counts[''].written === 3)
    stop.abort()
    await running
  })

  await t.test('goes on, and says so, when it has read and remembers all; also when the former log is gone', async t => {
    for (const gone of [false, true]) {
      const folder = temporary(t)
      await heard(t, folder, 'a', ['1', '2', '3'])
      if (gone) rmSync(join(folder, 'log', 'a'), { recursive: true })
      const b = await open(t, join(folder, 'log', 'b')), { run, lines } = work(folder, b.journal), stop = new AbortController(), running = run.run(stop.signal)
      b.ear.hear('4')
      await until(() => run.counts[''].written === 4)
      stop.abort()
      await running
      t.match(lines.filter(line => line.level !== 'info'), [{ level: 'warn', text: /reads another log or stream than before; what it remembers is kept/ }])
      t.equal(run.imbalance, 0)
    }
  })

  await t.test('is refused when the former log is gone and its memory is of an earlier position: that cannot be worked out again', async t => {
    const folder = temporary(t), copy = temporary(t)
    const origin = await heard(t, folder, 'a', ['1'])
    const { journal, ear } = await open(t, join(folder, 'log', 'a')), { run } = work(folder, journal, { snapshots: { replay: 1e9 } }), stop = new AbortController(), running = run.run(stop.signal)
    ear.hear('2')
    await until(() => run.counts[''].written === 2)
    t.equal(run.checkpoints!.complete, 0, 'the snapshot is that of the stop before')
    cpSync(join(folder, 'store'), join(copy, 'store'), { recursive: true })        // as a kill leaves it
    rmSync(join(copy, 'store', 'p', 'lock'), { recursive: true, force: true })
    stop.abort()
    await running
    const b = await open(t, join(copy, 'log', 'b'))
    await t.rejects(work(copy, b.journal).run.run(never), { code: 'log/missing', message: new RegExp(`of ${origin}, which is not there; its source is now`), help: /^bring the folder of that log back; or/ })
  })
})

t.test('what is dropped of a log is what no snapshot needs that counts in it', async t => {
  const folder = temporary(t)
  await heard(t, folder, 'a', Array.from({ length: 50 }, (_, i) => String(i)))
  const b = await open(t, join(folder, 'log', 'b')), { run } = work(folder, b.journal), stop = new AbortController(), running = run.run(stop.signal)
  const first = b.journal.placeOf('p')!
  b.ear.hear('50')
  await until(() => run.counts[''].written === 51 && run.checkpoints!.complete > 0)
  t.equal(b.journal.placeOf('p'), first, 'the snapshot before is of the former log')
  stop.abort()
  await running
  await b.journal.close()
  await heard(t, folder, 'b', ['51'], {}, 51)
  await heard(t, folder, 'b', ['52'], {}, 52)
  const { journal } = await open(t, join(folder, 'log', 'b'))
  t.ok(journal.placeOf('p')! > first && journal.placeOf('p')! <= journal.wal.durable, 'now both are of this one')
})

t.test('a pipeline that comes back to a log goes on where it has left it', async t => {
  for (const together of [false, true]) {
    const folder = temporary(t)
    await heard(t, folder, 'a', ['1', '2', '3'])
    if (together) {
      const a = await open(t, join(folder, 'log', 'a')), b = await open(t, join(folder, 'log', 'b'))
      const { run } = work(folder, b.journal, { journals: [a.journal, b.journal] }), stop = new AbortController(), running = run.run(stop.signal)
      b.ear.hear('4')
      await until(() => run.counts[''].written === 4)
      stop.abort()
      await running
      await Promise.all([a.journal.close(), b.journal.close()])
    } else await heard(t, folder, 'b', ['4'], {}, 3)
    const a = await open(t, join(folder, 'log', 'a')), { run } = work(folder, a.journal), stop = new AbortController(), running = run.run(stop.signal)
    a.ear.hear('5')
    await until(() => run.counts[''].written === 5)
    stop.abort()
    await running
    t.match(run.counts[''], { received: 5, written: 5, deduplicated: 0 }, together ? 'both logs are open' : 'one after the other')
  }
})

t.test('and when it is killed there soon, what it has read of that log before is not worked out again', async t => {
  const folder = temporary(t), hears = async (at: string, before: number) => {
    const { journal, ear } = await open(t, join(at, 'log', 'a')), { run, lines } = work(at, journal), stop = new AbortController(), running = run.run(stop.signal)
    ear.hear('0')
    await until(() => run.counts[''].written === before + 1)
    return { lines, end: async () => { stop.abort(); await running; await journal.close() } }
  }
  await heard(t, folder, 'a', ['64', '64', '64'])
  await heard(t, folder, 'b', ['0'], {}, 3)
  await sleep(100)                   // longer than dedupe looks back
  const killed = temporary(t), life = await hears(folder, 4), means: number[] = []
  cpSync(folder, killed, { recursive: true })
  for (const lock of [join('store', 'p'), join('log', 'a')]) rmSync(join(killed, lock, 'lock'), { recursive: true, force: true })
  await life.end()
  for (const at of [folder, killed]) {
    const { lines, end } = await hears(at, 5)
    await end()
    t.notOk(lines.some(line => line.level === 'error'), JSON.stringify(lines))
    means.push(JSON.parse(readFileSync(join(at, 'store', 'p', 'r.ndjson'), 'utf8').trim().split('\n').at(-1)!).ewma)
  }
  t.strictSame(means, [8, 8])
})

t.test('a new database reads a log from where that begins, also when it is killed before its first snapshot', async t => {
  const folder = temporary(t), killed = temporary(t), more = { snapshots: { replay: 1e9 } }
  await heard(t, folder, 'a', ['64', '64', '64'])
  rmSync(join(folder, 'store'), { recursive: true })
  const { journal } = await open(t, join(folder, 'log', 'a'), { pipelines: ['p', 'q'] }), { run } = work(folder, journal, more), stop = new AbortController(), running = run.run(stop.signal)
  await until(() => run.counts[''].written === 3)
  t.equal(run.checkpoints!.complete, 0)
  t.equal(journal.placeOf('p'), journal.wal.first - 1, 'nothing of it may go')
  cpSync(folder, killed, { recursive: true })
  for (const lock of [join('store', 'p'), join('log', 'a')]) rmSync(join(killed, lock, 'lock'), { recursive: true, force: true })
  stop.abort()
  await running
  await journal.close()
  await sleep(100)                   // longer than dedupe looks back
  await heard(t, killed, 'a', ['0'], more, 3)
  t.equal(JSON.parse(readFileSync(join(killed, 'store', 'p', 'r.ndjson'), 'utf8').trim().split('\n').at(-1)!).ewma, 32)
})

t.test('a name stays with its log: another log beside it goes by a name of its own', async t => {
  const folder = temporary(t)
  const one = await open(t, join(folder, 'log', 'mqtt-aaa')), two = await open(t, join(folder, 'log', 'mqtt-bbb'))
  t.strictSame([one.journal.name, two.journal.name], ['me', 'me-bbb'])
  t.match(two.lines, [{ level: 'warn', text: /the name "me" stays with the log of another source: this one goes by "me-bbb"/ }])
  await two.journal.close()
  t.equal((await open(t, join(folder, 'log', 'mqtt-bbb'))).journal.name, 'me-bbb')
})
