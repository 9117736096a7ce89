import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { defineSource, Type, type Listener, type ListenerHost } from '#engine'
import { Journal } from '../../engine/journal.ts'
import { Run } from '../../engine/run.ts'
import { fileStore } from '../../sinks/file.ts'
import { DEVICES, START } from '../support/flow.ts'
import { Crashed, type Event, events, expected, Hand, hows, type Life, log, Mortal, type Result, snapshots, stored, temporary, unplaced, until, work } from '../support/lives.ts'

/** A log that has it all: messages, ticks and pauses. */
async function logOf (t: { teardown (f: () => unknown): void }, events: readonly Event[]): Promise<{ readonly folder: string, readonly last: number }> {
  const folder = temporary(t), hand = new Hand()
  let time = START, ear!: ListenerHost
  const spec = heard(host => { ear = host })
  const journal = await Journal.open(spec, { folder, log, client: 'me', pipelines: ['p'], tick: 1000, clock: { ...hand.clock, now: () => time, monotonic: () => time }, budget: 200_000 }, new AbortController().signal)
  journal.listen()
  ear.listening(true)
  for (const event of events) {
    time = event.do === 'readings' ? event.ingest : event.time
    if (event.do === 'readings') ear.append({ topic: '', payload: Buffer.from(JSON.stringify(event.of).padEnd(400)) })
    else if (event.do === 'tick') hand.tick()
    else if (event.do === 'relearn') await journal.relearn({ tenant: 'default', device: DEVICES[event.device], end: event.end })
    else {
      ear.listening(false)
      ear.listening(true)
    }
  }
  await journal.wal.flush()
  const last = journal.wal.durable
  await journal.close()
  return { folder, last }
}
const heard = (opened: (host: ListenerHost) => void = () => {}) => defineSource({
  name: 'heard', summary: 'What a test has said.', options: Type.Object({}),
  listen (_, host): Listener {
    opened(host)
    return { durable () {}, lost () {}, trouble: () => undefined, stop () {}, async close () {} }
  },
  decode: (_, series, intake) => (topic, payload, ingest, _stamp, position) => {
    const at = intake.message(topic, payload, ingest, position)
    for (const [device, metric, time, value] of JSON.parse(Buffer.from(payload).toString()) as [number, number, number, number][]) intake.reading(series.id('default', DEVICES[device], `m${metric}`), time, value)
    return at
  }
})()

/** The same for a pipeline that reads a log: nobody listens any more, so that each life finds the same. */
async function liveOn (t: { teardown (f: () => unknown): void }, { folder: from, last }: { readonly folder: string, readonly last: number }, lives: readonly Life[], damage: (folder: string) => void = () => {}): Promise<{ readonly result: Result, readonly died: boolean, readonly commits: number, readonly lost: number }> {
  const folder = temporary(t), place = join(folder, 'log', 'heard')
  cpSync(from, place, { recursive: true })
  let died = false
  for (const { crash } of [...lives, {} as Life]) {
    const mortal = new Mortal(folder, crash), stop = new AbortController()
    const journal = await Journal.open(heard(), { folder: place, log, client: 'me', pipelines: ['p'], tick: 1000, budget: 200_000 }, new AbortController().signal)
    const run = new Run(work(heard(), mortal.make), { log, folder, fallback: fileStore, journal, snapshots, maxSeries: 100 })
    let over = false
    const running = run.run(stop.signal).finally(() => { over = true })
    running.catch(() => {})
    await until(() => over || run.flow !== undefined && run.flow.position >= last && !mortal.busy)
    stop.abort()
    const end = await running.then(() => undefined, (error: unknown) => error)
    await journal.close()
    if (end instanceof Crashed) {
      died = true
      await mortal.tear()
      damage(folder)
    } else if (end !== undefined) throw end
    else if (run.imbalance !== 0) throw new Error(`off by ${run.imbalance}`)
    else return { result: stored(folder, run), died, commits: mortal.commits, lost: journal.lost }
  }
  throw new Error('it dies whenever it lives')
}
/** Positions of a log have gaps: they are compared by the order of their rows. */
const plain = ({ rows, ...rest }: Result) => ({ rows: { r: unplaced(rows.r).toSorted(), w: unplaced(rows.w).toSorted() }, ...rest })

t.test('read from a log, where ticks and pauses are records, nothing differs from a run without a crash, wherever it dies', async t => {
  const whole = await logOf(t, events)
  const { result: calm, commits } = await liveOn(t, whole, [])
  t.strictSame(plain(calm), plain(expected([{ do: 'listen', time: START }, ...events])), 'and that is what one flow makes of it')
  t.ok(commits > 10, `${commits} commits`)
  for (const how of hows) {
    for (let commit = 1; ; commit++) {
      const { result, died, lost } = await liveOn(t, whole, [{ crash: { commit, how } }])
      if (!died) break
      t.strictSame(result, calm, `${how} commit ${commit}`)
      t.equal(lost, 0)
    }
    t.strictSame((await liveOn(t, whole, Array.from({ length: 8 }, (_, i) => ({ crash: { commit: 2 + i % 3, how } })))).result, calm, `${how}, again and again`)
  }
})

t.test('when the newest snapshot is damaged, the one before is taken up, and nothing differs either', async t => {
  const whole = await logOf(t, events)
  const { result: calm } = await liveOn(t, whole, [])
  let damaged = 0
  const damage = (folder: string) => {
    const place = join(folder, 'store', 'p', 'snapshots')
    const newest = !existsSync(place) ? [] : readdirSync(place).filter(f => f.endsWith('.pages')).sort((a, b) => Number.parseInt(b) - Number.parseInt(a))
    if (newest.length < 2) return
    rmSync(join(place, newest[0]))
    damaged++
  }
  for (let commit = 2; commit < 14; commit += 2) {
    const { result, lost } = await liveOn(t, whole, [{ crash: { commit, how: 'after' } }], damage)
    t.strictSame(result, calm, `died after commit ${commit}`)
    t.equal(lost, 0)
  }
  t.ok(damaged > 2, `${damaged} were damaged`)
})

t.test('a record of a kind that only a newer program knows is refused, and not passed over', async t => {
  const { folder } = await logOf(t, events.slice(0, 2))
  const journal = await Journal.open(heard(), { folder, log, client: 'me', pipelines: ['p'], tick: 1000, budget: 200_000 }, new AbortController().signal)
  journal.wal.append(9 as never, START, new Uint8Array(0))
  await journal.wal.flush()
  const run = new Run(work(heard()), { log, folder: temporary(t), fallback: fileStore, journal, maxSeries: 100 })
  await t.rejects(run.run(new AbortController().signal), { code: 'log/newer', message: /at position \d+ is of kind 9/ })
  await journal.close()
})
