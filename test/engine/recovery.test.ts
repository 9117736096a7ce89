import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { defineSink, defineSource, gather, Intake, pipeline, Type, type Commit, type Counts, type Listener, type ListenerHost, type Mark, type Pipeline, type SourceSpec, type Store } from '#engine'
import { clock as real, type Clock } from '../../engine/clock.ts'
import { settle } from '../../engine/flow.ts'
import { Journal } from '../../engine/journal.ts'
import { normalise } from '../../engine/lint.ts'
import { openLog } from '../../engine/log.ts'
import { apply } from '../../engine/recovery.ts'
import { Run } from '../../engine/run.ts'
import * as components from '../../index.ts'
import { fileStore } from '../../sinks/file.ts'
import { RowText } from '../../sinks/format/rows.ts'
import { DEVICES, Driven, START, type Step } from '../support/flow.ts'
const { dedupe, ewma, tumbling, webhook, zscore } = components

const log = openLog({ level: 'silent' })
const IDLE = 30_000
const work = (spec: SourceSpec, store = fileStore): Pipeline => normalise(pipeline('p')
  .from(spec, { lateness: '2s', idle: '30s', forget: '10m' })
  .pipe(dedupe({ within: '1m' }), ewma({ alpha: 0.5 }), zscore({ over: '2m', samples: 3 }))
  .alert('high', { when: { value: { above: 7 } }, for: '2s' }, webhook({ url: 'http://127.0.0.1:9' }))
  .branch('tens', b => b.pipe(tumbling({ every: '10s', features: ['mean', 'count', 'max'] })).to(to(store, 'w')))
  .to(to(store, 'r')), components as any)
const to = (store: typeof fileStore, table: string) => defineSink({ name: 'to', summary: 'A table of this store.', options: Type.Object({ table: Type.String() }), store: (_, plan, host) => store(plan, host), storeKey: () => '' })({ table })

/** What happens: a message, or a while in which nothing does, at the end of which the clock ticks; or nobody listens for a while. */
type Event = Step
const messageOf = (event: Event): boolean => event.do === 'readings'

/** Six devices that go silent and come back, with repeats, stragglers and spikes. No chance in it: the same at every start. */
function history (n: number): Event[] {
  const events: Event[] = []
  let seed = 7, clock = START
  const below = (most: number) => { seed = (seed * 1103515245 + 12345) % 2 ** 31; return Math.floor(seed / 2 ** 31 * most) }
  for (let i = 0; i < n; i++) {
    clock += 500 + below(4000)
    const readings = Array.from({ length: 1 + below(3) }, () => [below(3) + 12 * below(2), below(2), clock - (below(4) === 0 ? below(14_000) : 0), below(10)] as const)
    const before = events.findLast(messageOf)
    events.push({ do: 'readings', ingest: clock, of: before?.do === 'readings' && below(6) === 0 ? before.of : readings })
    if (i % 7 === 3) events.push({ do: 'tick', time: clock += 5000 })
    if (i % 7 === 5) events.push({ do: 'tick', time: clock += IDLE + 1000 }, { do: 'tick', time: clock += 1000 })
    if (i % 11 === 9) events.push({ do: 'listen', time: clock += 20_000 })
  }
  return events
}

interface Result { readonly rows: Record<string, string[]>, readonly alerts: string[], readonly late: number, readonly counts: Record<string, Counts> }

/** What has to come out: one flow that is given everything in order, and no crash. */
function expected (events: readonly Event[]): Result {
  const driven = new Driven(work(none)), text = new RowText(driven.series)
  const rows: Record<string, string[]> = { r: [], w: [] }, alerts: string[] = [], counts = {}
  let late = 0
  for (const event of events) {
    const outputs = event.do === 'readings' ? driven.flow.process(driven.message(event.of, event.ingest)) : apply(driven.flow, { kind: event.do, time: event.time })
    if (outputs === undefined) continue
    for (const { table, batch } of outputs.writes) rows[table].push(...text.lines(batch))
    for (const { event } of outputs.alerts) alerts.push(event.id)
    for (const { batch } of outputs.late) late += batch.length
    settle(counts, outputs.counts(outputs.writes.map(({ batch }) => ({ written: batch.length, duplicates: 0, refused: 0 }))))
  }
  return { rows: { r: rows.r.toSorted(), w: rows.w.toSorted() }, alerts: alerts.toSorted(), late, counts }
}
const none = defineSource({ name: 'none', summary: '', options: Type.Object({}), open: () => { throw new Error('not opened') } })()
const unplaced = (lines: readonly string[]) => lines.map(line => line.replace(/,"position":\d+/, ''))

/** What has come out. */
function stored (folder: string, run: Run): Result {
  const lines = (name: RegExp) => readdirSync(join(folder, 'store', 'p')).filter(f => name.test(f)).flatMap(f => readFileSync(join(folder, 'store', 'p', f), 'utf8').split('\n')).filter(line => line !== '')
  return { rows: { r: lines(/^r\.ndjson$/).toSorted(), w: lines(/^w\.ndjson$/).toSorted() }, alerts: lines(/^alerts/).map(line => JSON.parse(line).id as string).toSorted(), late: lines(/^late/).length, counts: run.counts }
}

/** When the process dies: in its so-manieth commit, before the store has it, when the store had all but its last word, or when it has it and nobody was told. */
interface Crash { readonly commit: number, readonly how: 'before' | 'torn' | 'after' }
class Crashed extends Error {}

/** A file store that dies; what it has committed is known. */
class Mortal {
  busy = false
  commits = 0
  readonly committed: { readonly position: number, readonly marks: readonly Mark[] }[] = []
  private readonly folder: string
  private readonly crash: Crash | undefined
  private saved: string | undefined

  constructor (folder: string, crash: Crash | undefined) {
    this.folder = join(folder, 'store', 'p')
    this.crash = crash
  }

  readonly make: typeof fileStore = (plan, host) => {
    const store: Store = fileStore(plan, host)
    const commit = store.commit.bind(store)
    store.commit = async given => {
      this.busy = true
      try { return await this.commit(given, commit) } finally { this.busy = false }
    }
    store.due = async () => []
    return store
  }

  private async commit (given: Commit, commit: Store['commit']) {
    const how = ++this.commits === this.crash?.commit ? this.crash.how : undefined
    if (how === 'before') throw new Crashed()
    if (how === 'torn') cpSync(this.folder, this.saved = mkdtempSync(join(tmpdir(), 'millrace-torn-')), { recursive: true })
    const outcomes = await commit(given)
    if (how === 'torn') throw new Crashed()
    this.committed.push(given)
    if (how !== undefined) throw new Crashed()
    return outcomes
  }

  /** As the disk is when rows and pages are written and the record of the commit is not. */
  async tear (): Promise<void> {
    if (this.saved === undefined) return
    rmSync(join(this.folder, 'log'), { recursive: true })
    cpSync(join(this.saved, 'log'), join(this.folder, 'log'), { recursive: true })
    cpSync(join(this.saved, 'snapshots'), join(this.folder, 'snapshots'), { recursive: true, force: false })
    rmSync(this.saved, { recursive: true })
  }
}

/** A clock whose intervals tick when they are told. */
class Hand {
  readonly acts = new Set<() => void>()
  readonly clock: Clock = { ...real, interval: (act, every) => every === 1000 ? this.add(act) : real.interval(act, every) }
  private add (act: () => void): () => void {
    this.acts.add(act)
    return () => { this.acts.delete(act) }
  }
  tick (): void { for (const act of this.acts) act() }
}

const soon = () => new Promise<void>(resolve => { setImmediate(resolve) })
async function until (holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds();) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${String(holds)}`)
    await new Promise(resolve => { setTimeout(resolve, 1) })
  }
}
const temporary = (t: { teardown (f: () => unknown): void }): string => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recovery-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
/** Snapshots all the time, a page in each commit. */
const snapshots = { replay: -1, slice: 1 }

/** A source that can be read again and has no marks: the ticks are the engine's. `fails`: it dies before that message. `together`: messages in a delivery, where no tick stands between. */
function scripted (events: readonly Event[], hand: Hand, mortal: () => Mortal, { fails = Infinity, together = 1 }: Life) {
  const script = { over: false, spec: none }
  script.spec = defineSource({
    name: 'scripted', summary: 'What a test has written down.', options: Type.Object({}),
    open: (_, host) => {
      let time = START
      return {
        now: () => time, origin: () => 'script', trouble: () => undefined, commit: async () => {},
        open (from, credits, signal) {
          const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
          let stopped = false
          return gather(intake, credits, signal, () => time, g => {
            const idle = async () => {
              await soon()
              while (!stopped && (intake.waiting > 0 || credits.delivered > 0 || mortal().busy)) await new Promise(resolve => { setTimeout(resolve, 1) })
            }
            void (async () => {
              let position = 0
              for (const [i, event] of events.entries()) {
                if (stopped) return
                if (event.do === 'readings') {
                  if (++position <= (from ?? 0)) continue
                  if (position === fails) return g.fail(new Crashed())
                  time = event.ingest
                  intake.message('test', new Uint8Array(10), time)
                  for (const [device, metric, at, value] of event.of) intake.reading(host.series.id('default', DEVICES[device], `m${metric}`), at, value)
                  g.pushed()
                  if (position % together !== 0 && events[i + 1]?.do === 'readings' && position + 1 !== fails) continue
                } else if (position >= (from ?? 0)) {
                  time = event.time
                  hand.tick()
                }
                await idle()
                await idle()
              }
              script.over = true
            })()
            return () => { stopped = true }
          }, { linger: 0, rows: 1000 })
        }
      }
    }
  })()
  return script
}

interface Life { readonly crash?: Crash | undefined, readonly fails?: number | undefined, readonly together?: number }

/** Lives one after the other; the last one comes to the end. Returns what is stored, and what of the ticks became marks. */
async function live (t: { teardown (f: () => unknown): void }, events: readonly Event[], lives: readonly Life[]): Promise<{ readonly result: Result, readonly happened: Event[], readonly died: boolean }> {
  const folder = temporary(t)
  const committed: Mortal['committed'][number][] = []
  let died = false
  for (const life of [...lives, { together: 3 } as Life]) {
    const { crash } = life
    const hand = new Hand(), mortal = new Mortal(folder, crash), stop = new AbortController()
    const script = scripted(events, hand, () => mortal, life)
    const run = new Run(work(script.spec, mortal.make), { log, folder, fallback: fileStore, clock: hand.clock, snapshots, maxSeries: 100 })
    let over = false
    const running = run.run(stop.signal).finally(() => { over = true })
    running.catch(() => {})
    await until(() => script.over || over)
    stop.abort()
    const end = await running.then(() => undefined, (error: unknown) => error)
    committed.push(...mortal.committed)
    if (end instanceof Crashed) {
      died = true
      await mortal.tear()
    } else if (end !== undefined) throw end
    else if (run.imbalance !== 0) throw new Error(`off by ${run.imbalance}`)
    else return { result: stored(folder, run), happened: withMarks(events, committed), died }
  }
  throw new Error('it dies whenever it lives')
}

/** The messages, each followed by the marks that were committed behind it. */
function withMarks (events: readonly Event[], committed: Mortal['committed']): Event[] {
  const messages = events.filter(messageOf)
  const at = (position: number): Event[] => committed.filter(c => c.position === position).flatMap(c => c.marks.map(({ kind, time }): Event => ({ do: kind, time })))
  return [...at(0), ...messages.flatMap((message, i) => [message, ...at(i + 1)])]
}

const events = history(15)
const hows = ['before', 'torn', 'after'] as const

t.test('without a crash what is stored is what one flow makes of it, with silent devices, alerts, late readings and repeats in it', async t => {
  const { result, happened } = await live(t, events, [])
  t.strictSame(result, expected(happened))
  t.ok(result.rows.w.some(line => line.includes('"provisional":true')))
  t.ok(result.alerts.length > 1 && result.late > 0 && result.counts[''].deduplicated > 0, JSON.stringify([result.alerts.length, result.late, result.counts['']]))
  t.ok(happened.filter(e => e.do === 'tick').length > 2 && happened.some(e => e.do === 'listen') === false)
})

t.test('a source that dies before any message: the rows, alerts and counts are those of one flow', async t => {
  const messages = events.filter(messageOf).length
  for (let fails = 1; fails <= messages; fails++) {
    const { result, happened, died } = await live(t, events, [{ fails }])
    t.ok(died)
    t.strictSame(result, expected(happened), `before message ${fails}`)
    const rest = events.slice(events.indexOf(events.filter(messageOf)[fails - 1]))
    if (fails > 1 && rest.some(e => e.do === 'tick')) t.ok(happened.some(e => e.do === 'listen'), 'and nobody was silent meanwhile')
  }
})

t.test('a process that dies in any commit, wherever in it: the rows, alerts and counts are those of one flow', async t => {
  for (const how of hows) {
    for (let commit = 1; ; commit++) {
      const { result, happened, died } = await live(t, events, [{ crash: { commit, how } }])
      if (!died) {
        t.ok(commit > 15, `${commit - 1} commits`)
        break
      }
      t.strictSame(result, expected(happened), `${how} commit ${commit}`)
    }
  }
})

t.test('a process that dies again and again comes to the end', async t => {
  for (const how of hows) {
    const { result, happened } = await live(t, events, Array.from({ length: 20 }, (_, i) => ({ crash: { commit: how === 'after' ? 1 + i % 3 : 2 + i % 4, how } })))
    t.strictSame(result, expected(happened), how)
  }
})

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
