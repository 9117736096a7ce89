/** Lives of a process that dies: what happens, what has to come of it, a store that dies in a commit, and a clock that ticks when it is told. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSink, defineSource, pipeline, Type, type Commit, type Counts, type Mark, type Pipeline, type SourceSpec, type Store } from '#engine'
import { clock as real, type Clock } from '../../engine/clock.ts'
import { settle } from '../../engine/tally.ts'
import { normalise } from '../../engine/lint.ts'
import { openLog } from '../../engine/log.ts'
import { apply } from '../../engine/recovery.ts'
import { Run } from '../../engine/run.ts'
import * as components from '../../index.ts'
import { fileStore } from '../../sinks/file.ts'
import { RowText } from '../../sinks/format/rows.ts'
import { Driven, markOf, START, type Step } from './flow.ts'
const { dedupe, ewma, tumbling, webhook, zscore } = components

export const log = openLog({ level: 'silent' })
export const IDLE = 30_000
export const work = (spec: SourceSpec, store = fileStore): Pipeline => normalise(pipeline('p')
  .from(spec, { lateness: '2s', idle: '30s', forget: '10m' })
  .pipe(dedupe({ within: '1m' }), ewma({ alpha: 0.5 }), zscore({ over: '2m', samples: 3 }))
  .alert('high', { when: { value: { above: 7 } }, for: '2s' }, webhook({ url: 'http://127.0.0.1:9' }))
  .branch('tens', b => b.pipe(tumbling({ every: '10s', features: ['mean', 'count', 'max'] })).to(to(store, 'w')))
  .to(to(store, 'r')), components as any)
export const to = (store: typeof fileStore, table: string) => defineSink({ name: 'to', summary: 'A table of this store.', options: Type.Object({ table: Type.String() }), store: (_, plan, host) => store(plan, host), storeKey: () => '' })({ table })

/** What happens: a message, or a while in which nothing does, at the end of which the clock ticks; or nobody listens for a while. */
export type Event = Step
export const messageOf = (event: Event): boolean => event.do === 'readings'

/** Six devices that go silent and come back, or are learned anew, with repeats, stragglers and spikes. No chance in it: the same at every start. */
export function history (n: number): Event[] {
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
    if (i % 4 === 2) events.push({ do: 'relearn', time: clock += 100, device: i % 3, end: clock - 50 })
  }
  return events
}

export interface Result { readonly rows: Record<string, string[]>, readonly alerts: string[], readonly late: number, readonly counts: Record<string, Counts> }

/** What has to come out: one flow that is given everything in order, and no crash. */
export function expected (events: readonly Event[]): Result {
  const driven = new Driven(work(none)), text = new RowText(driven.series)
  const rows: Record<string, string[]> = { r: [], w: [] }, alerts: string[] = [], counts = {}
  let late = 0
  for (const event of events) {
    const outputs = event.do === 'readings' ? driven.flow.process(driven.message(event.of, event.ingest)) : apply(driven.flow, markOf(event))
    if (outputs === undefined) continue
    for (const { table, batch } of outputs.writes) rows[table].push(...text.lines(batch))
    for (const { event } of outputs.alerts) alerts.push(event.id)
    for (const { batch } of outputs.late) late += batch.length
    settle(counts, outputs.counts(outputs.writes.map(({ batch }) => ({ written: batch.length, duplicates: 0, refused: 0 }))))
  }
  return { rows: { r: rows.r.toSorted(), w: rows.w.toSorted() }, alerts: alerts.toSorted(), late, counts }
}
export const none = defineSource({ name: 'none', summary: '', options: Type.Object({}), open: () => { throw new Error('not opened') } })()
export const unplaced = (lines: readonly string[]) => lines.map(line => line.replace(/,"position":\d+/, ''))

/** What has come out. */
export function stored (folder: string, run: Run): Result {
  const lines = (name: RegExp) => readdirSync(join(folder, 'store', 'p')).filter(f => name.test(f)).flatMap(f => readFileSync(join(folder, 'store', 'p', f), 'utf8').split('\n')).filter(line => line !== '')
  return { rows: { r: lines(/^r\.ndjson$/).toSorted(), w: lines(/^w\.ndjson$/).toSorted() }, alerts: lines(/^alerts/).map(line => JSON.parse(line).id as string).toSorted(), late: lines(/^late/).length, counts: run.counts }
}

/** When the process dies: in its so-manieth commit, before the store has it, when the store had all but its last word, or when it has it and nobody was told. */
export interface Crash { readonly commit: number, readonly how: 'before' | 'torn' | 'after' }
export class Crashed extends Error {}

/** A file store that dies; what it has committed is known. */
export class Mortal {
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
export class Hand {
  readonly acts = new Set<() => void>()
  readonly clock: Clock = { ...real, interval: (act, every) => every === 1000 ? this.add(act) : real.interval(act, every) }
  private add (act: () => void): () => void {
    this.acts.add(act)
    return () => { this.acts.delete(act) }
  }
  tick (): void { for (const act of this.acts) act() }
}

export const soon = () => new Promise<void>(resolve => { setImmediate(resolve) })
export async function until (holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; !holds();) {
    if (Date.now() > end) throw new Error(`not within 60 s: ${String(holds)}`)
    await new Promise(resolve => { setTimeout(resolve, 1) })
  }
}
export const temporary = (t: { teardown (f: () => unknown): void }): string => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-recovery-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
/** Snapshots all the time, a page in each commit. */
export const snapshots = { replay: -1, slice: 1 }

export interface Life { readonly crash?: Crash | undefined, readonly fails?: number | undefined, readonly together?: number }

export const events = history(15)
export const hows = ['before', 'torn', 'after'] as const
