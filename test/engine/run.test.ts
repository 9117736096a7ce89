import t from 'tap'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineOperator, defineSink, defineSource, gather, imbalance, Intake, pipeline, Transient, Type, type Batch, type Pipeline, type SinkSpec, type Store } from '#engine'
import { normalise } from '../../engine/lint.ts'
import { openLog } from '../../engine/log.ts'
import { Run } from '../../engine/run.ts'
import type { RunOptions } from '../../engine/run-options.ts'
import * as components from '../../index.ts'
import { fileStore } from '../../sinks/file.ts'
import { CRASH, given, type Message } from '../support/source.ts'
const { dedupe, ewma, file, tumbling, validate } = components

const log = openLog({ level: 'silent' })
const folder = (t: any) => {
  const path = mkdtempSync(join(tmpdir(), 'millrace-run-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}
const rowsOf = (folder: string, name: string, table: string): any[] => {
  const path = join(folder, 'store', name, `${table}.ndjson`)
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').filter(line => line !== '').map(line => JSON.parse(line)) : []
}
const open = (p: Pipeline, folder: string, more: Partial<RunOptions> = {}) =>
  new Run(normalise(p, components as any), { log, folder, fallback: fileStore, ...more })

const T0 = Date.UTC(2026, 0, 1)
const bound = (store: any, key: PropertyKey) => typeof store[key] === 'function' ? store[key].bind(store) : store[key]
/** Messages of one reading each: device a every second, value = its number. */
const readings = (n: number, device = 'a'): Message[] => Array.from({ length: n }, (_, i) => [[T0 + i * 1000, `${device}/x`, i] as const])
const stored = (source: SinkSpec[] = []) => pipeline('p').pipe(dedupe()).to(file({ table: 'readings' }), ...source)

t.test('readings become committed rows, then they are acknowledged, and every one has one fate', async t => {
  const dir = folder(t)
  const source = given(readings(50))
  const run = open(stored().from(source.spec), dir)
  await run.run(new AbortController().signal)
  t.strictSame(rowsOf(dir, 'p', 'readings').map(r => r.value), Array.from({ length: 50 }, (_, i) => i))
  t.equal(source.committed.at(-1), 50)
  t.equal(run.received, 50)
  t.equal(run.counts[''].written, 50)
  t.equal(run.inFlight, 0)
  t.equal(run.imbalance, 0)
})

t.test('the accounting identity is off by exactly what vanished or was multiplied', async t => {
  const lossy = defineOperator({ name: 'lossy', summary: 'Planted: loses the second batch without saying so.', options: Type.Object({}), perDevice: { n: 0 }, process: (batch, _, { n }) => ++n[0] === 2 ? batch.take(new Int32Array(0)) : batch })
  const double = defineOperator({ name: 'double', summary: 'Planted: gives the second batch twice without saying so.', options: Type.Object({}), perDevice: { n: 0 }, process: (batch, _, { n }) => ++n[0] === 2 ? batch.take(Int32Array.from([...Array(batch.length).keys(), ...Array(batch.length).keys()])) : batch })
  const messages: Message[] = Array.from({ length: 5 }, (_, m) => Array.from({ length: 7 }, (_, i) => [T0 + (m * 7 + i) * 1000, 'a/x', i] as const))
  const run = async (p: Pipeline, fallback: RunOptions['fallback'] = fileStore) => {
    const run = open(p, folder(t), { fallback })
    await run.run(new AbortController().signal)
    return run.imbalance
  }
  const base = () => pipeline('p').from(given(messages).spec, { dedupe: false })
  t.equal(await run(base().to(file({ table: 'r' }))), 0, 'nothing planted')
  t.equal(await run(base().pipe(lossy()).to(file({ table: 'r' }))), 7, 'one batch dropped')
  t.equal(await run(base().pipe(double()).to(file({ table: 'r' }))), -7, 'one batch written twice')

  const forgetful = defineSink({
    name: 'forgetful', summary: 'Planted: a store that leaves out one write.', options: Type.Object({ table: Type.String() }),
    store (_, plan, host) {
      const inner = fileStore(plan, host)
      let n = 0
      return new Proxy(inner, { get: (store, key) => key === 'commit'
        ? async (c: Parameters<Store['commit']>[0]) => ++n === 3 ? await store.commit({ ...c, writes: [], counts: () => c.counts(c.writes.map(() => ({ written: 0, duplicates: 0, refused: 0 }))) }).then(() => c.writes.map(() => ({ written: 0, duplicates: 0, refused: 0 }))) : await store.commit(c)
        : bound(store, key) })
    }
  })
  t.equal(await run(base().to(forgetful({ table: 'r' }))), 7, 'one batch acknowledged but not stored')
})

t.test('a crash at every position: after the restart every row is there once', async t => {
  const n = 12
  for (let at = 0; at <= n; at++) {
    const dir = folder(t)
    const messages = readings(n)
    const crashing = given([...messages.slice(0, at), CRASH, ...messages.slice(at)])
    await t.rejects(open(stored().from(crashing.spec), dir).run(new AbortController().signal), { message: 'CRASH' })
    const again = open(stored().from(given(messages).spec), dir)
    await again.run(new AbortController().signal)
    t.strictSame(rowsOf(dir, 'p', 'readings').map(r => r.value), Array.from({ length: n }, (_, i) => i), `crash before message ${at + 1}`)
    t.equal(imbalance(again.counts[''], 0), 0)
  }
})

t.test('a stop closes no window, and the next start goes on with what was remembered', async t => {
  const dir = folder(t), whole = folder(t)
  const windows = () => pipeline('p').pipe(dedupe(), tumbling({ every: '10s', features: ['sum', 'mean', 'count'].filter(f => f !== 'sum') as ['mean', 'count'] })).to(file({ table: 'w' }))
  const time = { lateness: '0s', idle: '1h' }
  const messages = readings(35)
  const first = given(messages.slice(0, 17), { stay: true })
  const stop = new AbortController()
  const run = open(windows().from(first.spec, time), dir)
  const running = run.run(stop.signal)
  while (first.committed.at(-1) !== 17) await new Promise(resolve => setTimeout(resolve, 5))
  stop.abort()
  await running
  t.strictSame(rowsOf(dir, 'p', 'w').map(r => r.count), [10], 'only the window that was over')
  await open(windows().from(given(messages).spec, time), dir).run(new AbortController().signal)
  await open(windows().from(given(messages).spec, time), whole).run(new AbortController().signal)
  const plain = (rows: any[]) => rows.map(({ time, mean, count, revision }) => [time, mean, count, revision])
  t.strictSame(plain(rowsOf(dir, 'p', 'w')), plain(rowsOf(whole, 'p', 'w')))
  t.strictSame(rowsOf(dir, 'p', 'w').map(r => r.count), [10, 10, 10, 5])
})

t.test('what has come to its end and is started again writes nothing twice; what has come to it since is read', async t => {
  const dir = folder(t)
  const p = () => pipeline('p').pipe(dedupe(), tumbling({ every: '10s', features: ['count'] })).alert('high', { when: { count: { above: 1 } } }).to(file({ table: 'w' }))
  const time = { lateness: '0s', idle: '1h' }
  for (const n of [25, 25, 25, 45]) {
    const run = open(p().from(given(readings(n)).spec, time), dir)
    await run.run(new AbortController().signal)
    t.equal(run.imbalance, 0)
    const rows = rowsOf(dir, 'p', 'w')
    t.strictSame(rows.slice(0, 3).map(r => r.count), [10, 10, 5])
    if (n === 25) t.equal(rows.length, 3)
    else t.strictSame(rows.slice(-1).map(r => r.count), [5])
  }
})

t.test('a pipeline that was changed while it was stopped goes on: what is the same remembers, what is new starts anew, what does not fit is refused by name', async t => {
  const dir = folder(t)
  const seen: string[] = []
  const note = (fields: { steps?: string[] }) => { seen.push(...fields.steps ?? []) }
  const noting: any = { ...log, info: note, error: note, child: () => noting }
  const stopped = async (p: Pipeline, source: ReturnType<typeof given>, at: number, more: Partial<RunOptions> = {}) => {
    const stop = new AbortController()
    const running = open(p, dir, { log: noting, ...more }).run(stop.signal)
    while (source.committed.at(-1) !== at) await new Promise(resolve => setTimeout(resolve, 5))
    stop.abort()
    await running
  }
  const first = given(readings(3), { stay: true }), second = given(readings(6), { stay: true })
  await stopped(pipeline('p').from(first.spec).pipe(dedupe(), ewma({ alpha: 0.5 }), ewma({ alpha: 0.5, id: 'other' })).to(file({ table: 'r' })), first, 3)
  await stopped(pipeline('p').from(second.spec).pipe(dedupe(), validate({ min: -1 }), ewma({ alpha: 0.5 })).alert('high', { when: { value: { above: 9 } } }).to(file({ table: 'r' })), second, 6)
  t.strictSame(seen, ['/alert:high'])
  t.strictSame(rowsOf(dir, 'p', 'r').map(r => r.ewma), [0, 0.5, 1.25, 2.125, 3.0625, 4.03125], 'the mean goes on')
  const third = given(readings(7), { stay: true })
  await stopped(pipeline('p').from(third.spec).pipe(dedupe(), ewma({ alpha: 0.1 })).to(file({ table: 'r' })), third, 7)
  t.strictSame(seen, ['/alert:high'], 'a tuned one goes on')
  t.equal(rowsOf(dir, 'p', 'r').at(-1).ewma, 4.03125 + 0.1 * (6 - 4.03125))
  const windows = (every: string, source: ReturnType<typeof given>) => pipeline('p').from(source.spec).pipe(dedupe(), ewma({ alpha: 0.1 })).branch('b', b => b.pipe(tumbling({ every })).to(file({ table: 'w' }))).to(file({ table: 'r' }))
  const fourth = given(readings(8), { stay: true }), fifth = given(readings(9), { stay: true })
  await stopped(windows('1m', fourth), fourth, 8)
  await t.rejects(open(windows('2m', fifth), dir, { log: noting }).run(new AbortController().signal), { code: 'engine/changed', message: /"p": "b\/tumbling" is not as at the last stop, and what it remembers does not fit/, help: /--accept-loss/ })
  await stopped(windows('2m', fifth), fifth, 9, { acceptLoss: true })
  t.strictSame(seen, ['/alert:high', 'b/tumbling', 'b/tumbling'], 'new, then given up')
})

t.test('after a crash a pipeline starts as it was: what is to be worked out again would be worked out otherwise', async t => {
  const dir = folder(t), source = given([...readings(3), CRASH, ...readings(6).slice(3)])
  const plan = (alpha: number, from: ReturnType<typeof given>) => pipeline('p').from(from.spec).pipe(dedupe(), ewma({ alpha })).to(file({ table: 'r' }))
  await t.rejects(open(plan(0.5, source), dir, { snapshots: { replay: -1 } }).run(new AbortController().signal))
  const again = () => given(readings(6))
  await t.rejects(open(plan(0.1, again()), dir).run(new AbortController().signal), { code: 'engine/changed', message: /"\/ewma" is not as at the last stop, and what came after the last snapshot \(\d+ messages\)/, help: /start it once as it was and stop it/ })
  await open(plan(0.5, again()), dir).run(new AbortController().signal)
  t.strictSame(rowsOf(dir, 'p', 'r').map(r => r.ewma), [0, 0.5, 1.25, 2.125, 3.0625, 4.03125])
  await open(plan(0.1, again()), dir).run(new AbortController().signal)
})

t.test('other steps leave a snapshot before they read: killed soon after, they work out again what they had committed', async t => {
  const dir = folder(t), plan = (alpha: number, from: ReturnType<typeof given>) => pipeline('p').from(from.spec).pipe(dedupe(), ewma({ alpha })).to(file({ table: 'r' }))
  await open(plan(0.5, given(readings(3))), dir).run(new AbortController().signal)
  await t.rejects(open(plan(0.1, given([...readings(6), CRASH])), dir).run(new AbortController().signal))
  await open(plan(0.1, given(readings(7))), dir).run(new AbortController().signal)
  const rows = rowsOf(dir, 'p', 'r').map(r => r.ewma)
  let mean = 1.25
  t.strictSame(rows, [0, 0.5, 1.25, ...[3, 4, 5, 6].map(x => mean += 0.1 * (x - mean))])
})

t.test('what had been read when the stop came is committed, though every slot was taken', async t => {
  const dir = folder(t)
  const stop = new AbortController()
  const spec = defineSource({
    name: 'all', summary: 'Takes in 500 messages at once and stays.', options: Type.Object({}),
    open: (_, host) => ({
      open (_from, credits, signal) {
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: 0 })
        return gather(intake, credits, signal, host.now, g => {
          for (let i = 0; i < 500; i++) {
            intake.message('test', new Uint8Array(10), host.now())
            intake.reading(host.series.id('default', 'a', 'x'), T0 + i, i)
            g.pushed()
          }
          setTimeout(() => stop.abort(), 10)
          return () => {}
        }, { rows: 10, linger: 60_000 })
      },
      commit: async () => {},
      trouble: () => undefined
    })
  })
  const run = open(stored().from(spec()), dir)
  await run.run(stop.signal)
  t.equal(rowsOf(dir, 'p', 'readings').length, 500)
  t.equal(run.imbalance, 0)
})

t.test('a silent device gets provisional rows, which its own later readings replace', async t => {
  const dir = folder(t)
  const p = pipeline('p').pipe(dedupe(), tumbling({ every: '10s', features: ['count'] })).to(file({ table: 'w' }))
  const source = given(readings(5), { stay: true })
  const stop = new AbortController()
  const running = open(p.from(source.spec, { lateness: '0s', idle: '200ms' }), dir).run(stop.signal)
  while (rowsOf(dir, 'p', 'w').length === 0) await new Promise(resolve => setTimeout(resolve, 20))
  stop.abort()
  await running
  const [row] = rowsOf(dir, 'p', 'w')
  t.equal(row.provisional, true)
  t.equal(row.count, 5)
  await open(p.from(given(readings(12)).spec, { lateness: '0s', idle: '1h' }), dir).run(new AbortController().signal)
  const finals = rowsOf(dir, 'p', 'w').filter(r => r.provisional !== true)
  t.strictSame(finals.map(r => [r.count, r.revision]), [[10, 1], [2, 0]])
})

t.test('a commit that fails for a while is tried again; nothing is acknowledged before it works', async t => {
  const dir = folder(t)
  const source = given(readings(3))
  let failures = 0
  const flaky: RunOptions['fallback'] = (plan, host) => {
    const inner = fileStore(plan, host)
    return new Proxy(inner, { get: (store, key) => key === 'commit'
      ? async (c: Parameters<Store['commit']>[0]) => {
          if (failures++ < 3) { t.equal(source.committed.length, 0); throw new Transient('not now') }
          return await store.commit(c)
        }
      : bound(store, key) })
  }
  const run = open(pipeline('p').from(source.spec).pipe(ewma()), dir, { fallback: flaky })
  await run.run(new AbortController().signal)
  t.ok(failures > 3)
  t.equal(source.committed.at(-1), 3)
  t.equal(run.imbalance, 0)
})

t.test('an operator that throws stops the run, is named, and nothing is acknowledged', async t => {
  const broken = defineOperator({ name: 'broken', summary: 'Throws.', options: Type.Object({}), process () { throw new RangeError('planted') } })
  const source = given(readings(3))
  const run = open(pipeline('p').from(source.spec).pipe(broken({ id: 'mine' })).to(file({ table: 'r' })), folder(t))
  await t.rejects(run.run(new AbortController().signal), { code: 'engine/operator', message: 'step "mine" threw: planted' })
  t.strictSame(source.committed, [])
  t.match(run.trouble().pipeline, /step "mine" threw/)
})

t.test('a follower has the rows before they are committed, and holds the commit while it is down', async t => {
  const seen: number[] = []
  let down = 2
  const source = given(readings(4))
  const follower = defineSink({
    name: 'follower', summary: 'Takes rows after two failures.', options: Type.Object({}),
    follow: () => ({
      async write (batch: Batch<any>) {
        if (down-- > 0) throw new Transient('down')
        t.ok(source.committed.every(position => position <= seen.length))
        seen.push(...batch.value)
      },
      async close () {}
    })
  })
  const run = open(stored([follower()]).from(source.spec), folder(t))
  await run.run(new AbortController().signal)
  t.strictSame(seen, [0, 1, 2, 3])
  t.equal(run.counts[''].written, 4)
})

t.test('a follower knows the branch that it stands on', async t => {
  const seen: (readonly [string | undefined, number])[] = []
  const follower = defineSink({
    name: 'follower', summary: 'Says where it stands.', options: Type.Object({}),
    follow: (_, { branch }) => ({ write: async (batch: Batch<any>) => { for (const x of batch.value) seen.push([branch, x]) }, close: async () => {} })
  })
  const p = pipeline('p').from(given(readings(1)).spec).branch('high', b => b.to(follower())).to(file({ table: 'r' })).to(follower())
  await open(p, folder(t)).run(new AbortController().signal)
  t.strictSame(seen.sort(([a = ''], [b = '']) => a.localeCompare(b)), [['', 0], ['high', 0]])
})

t.test('a branch has its own account: late there, written on the trunk', async t => {
  const messages: Message[] = [[[T0, 'a/x', 1]], [[T0 + 30_000, 'a/x', 2]], [[T0 + 1000, 'a/x', 3]]]
  const dir = folder(t)
  const p = pipeline('p').from(given(messages).spec, { lateness: '0s', idle: '1h' }).pipe(dedupe())
    .branch('windows', b => b.pipe(tumbling({ every: '10s', features: ['count'] })).to(file({ table: 'w' })))
    .to(file({ table: 'r' }))
  const run = open(p, dir)
  await run.run(new AbortController().signal)
  t.match(run.counts[''], { received: 3, written: 3, late: 0 })
  t.match(run.counts.windows, { received: 3, aggregated: 2, late: 1, written: 0, rows: 2 })
  t.equal(imbalance(run.counts.windows, 0), 0)
})

t.test('while many pages of a snapshot are still to be copied a delivery is several commits, and every reading has one fate', async t => {
  const dir = folder(t), devices = 4400, deliveries = 12, each = devices / 4
  const source = defineSource({
    name: 'many', summary: 'A message of each device in turn, many to a delivery.', options: Type.Object({}),
    open: (_, host) => ({
      open (_from, credits, signal) {
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: 0 })
        return gather(intake, credits, signal, host.now, g => {
          void (async () => {
            for (let n = 0; n < deliveries; n++) {
              while (intake.waiting > 0 || !credits.slot) await new Promise(resolve => { setTimeout(resolve, 1) })
              for (let i = 0; i < each; i++) {
                intake.message('test', new Uint8Array(10), host.now())
                intake.reading(host.series.id('default', `d${n % 4 * each + i}`, 'x'), T0 + n * 1000, n)
              }
              g.pushed()
            }
            while (intake.waiting > 0) await new Promise(resolve => { setTimeout(resolve, 1) })
            g.end()
          })()
          return () => {}
        }, { linger: 0 })
      },
      commit: async () => {}, trouble: () => undefined
    })
  })()
  const run = open(pipeline('p').pipe(ewma()).to(file({ table: 'r' })).from(source), dir, { maxSeries: 5000, snapshots: { replay: 0, slice: 1 } })
  await run.run(new AbortController().signal)
  t.ok(run.observed.commits.count > 2 * deliveries, `${run.observed.commits.count} commits`)
  t.equal(run.counts[''].written, deliveries * each)
  const rows = rowsOf(dir, 'p', 'r')
  t.equal(new Set(rows.map(row => `${row.device} ${row.time}`)).size, deliveries * each)
  t.equal(rows.length, deliveries * each)
  t.equal(run.position, deliveries * each)
  t.equal(run.imbalance, 0)
})

t.test('a tick that finds thousands of devices silent is worked out in slices, and is one commit', async t => {
  const dir = folder(t), devices = 9000, stop = new AbortController(), ticks: { readonly slices: number, readonly rows: number, readonly marks: number }[] = []
  const source = defineSource({
    name: 'once', summary: 'A message of each device, then nothing; its ticks are in no log.', options: Type.Object({}),
    open: (_, host) => ({
      open (_from, credits, signal) {
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: 0 })
        return gather(intake, credits, signal, host.now, g => {
          setImmediate(() => {
            const now = host.now()     // all fall silent at once
            for (let d = 0; d < devices; d++) {
              intake.message('test', new Uint8Array(10), now)
              intake.reading(host.series.id('default', `d${d}`, 'x'), T0, d)
            }
            g.pushed()
          })
          return () => {}
        }, { linger: 0 })
      },
      commit: async () => {}, trouble: () => undefined
    })
  })()
  const watched = defineSink({
    name: 'watched', summary: 'A store that says what ticks commit.', options: Type.Object({ table: Type.String() }),
    store: (_, plan, host) => new Proxy(fileStore(plan, host), { get: (store, key) => key === 'commit'
      ? async (c: Parameters<Store['commit']>[0]) => {
        const open = c.writes.map(({ batch }) => batch.provisional?.length ?? 0).filter(n => n > 0)
        if (open.length > 0) {
          ticks.push({ slices: open.length, rows: open.reduce((a, b) => a + b, 0), marks: c.marks.length })
          setTimeout(() => stop.abort(), 100)
        }
        return await store.commit(c)
      }
      : bound(store, key) })
  })
  await open(pipeline('p').pipe(tumbling({ every: '1m', features: ['count'] })).to(watched({ table: 'w' })).from(source, { lateness: '0s', idle: '100ms' }), dir, { maxSeries: devices }).run(stop.signal)
  t.strictSame(ticks, [{ slices: 5, rows: devices, marks: 1 }])
})
