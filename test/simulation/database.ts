import { imbalance, noCounts, PARTITIONS, type AlertEvent, type Commit, type Counts, type DeadLetter, type Mark, type Outcome, type SeriesTable, type SnapshotPage } from '#engine'
import type { World } from './world.ts'

type Header = NonNullable<NonNullable<Commit['snapshot']>['complete']>
export interface Row { readonly value: number, readonly ewma: number }
export interface Window { readonly values: readonly number[], readonly revision: number, readonly provisional: boolean }
export interface Outbox { readonly event: AlertEvent, readonly receiver: string, attempts: number, due: number, state: 'due' | 'delivered' | 'dead' }
const copied = (counts: Readonly<Record<string, Counts>>): Record<string, Counts> => Object.fromEntries(Object.entries(counts).map(([branch, count]) => [branch, { ...count }]))
export const FEATURES = ['count', 'mean', 'min', 'max', 'first', 'last'] as const

/** One that holds the rows of the checkpoint until it ends; the others wait in order. */
export class Transaction {
  ended = false
  private readonly database: Database
  constructor (database: Database) { this.database = database }
  /** Calls when the rows are its own. */
  lock (then: () => void): void { this.database.enter(this, then) }
  end (): void {
    if (this.ended) return
    this.ended = true
    this.database.leave(this)
  }
}

/**
 * What a pipeline's store keeps, as a database would: transactions that lock the checkpoint, one after the other. Holds at every commit
 * what must hold: the owner's epoch, one version after the other, no row twice, no position before the last, counts that add up.
 */
export class Database {
  readonly world: World
  epoch = 0
  readonly owners: string[] = []     // processes that took it over, in order
  readonly versions = new Float64Array(PARTITIONS)
  version = 0
  damages = false                    // before it is opened next
  position: number | undefined
  origin: string | undefined
  counts: Record<string, Counts> = {}
  snapshots: Header[] = []           // newest first
  marks: (Mark & { readonly position: number, readonly version: number })[] = []
  pages: { readonly generation: number, page: SnapshotPage }[] = []
  readonly rows = new Map<string, Row>()
  readonly windows = new Map<string, Window>()
  readonly late: string[] = []
  readonly dead = new Map<string, string>()
  readonly alerts = new Map<string, AlertEvent>()
  readonly outbox = new Map<string, Outbox>()
  private owner: Transaction | undefined
  private readonly waiting: { readonly who: Transaction, readonly go: () => void }[] = []

  constructor (world: World) { this.world = world }

  /** Up to where nobody would read the log again. */
  get needed (): number { return this.snapshots.length === 0 ? 0 : Math.min(...this.snapshots.map(s => s.position)) }

  enter (who: Transaction, then: () => void): void {
    if (who.ended) return
    if (this.owner === undefined || this.owner === who) { this.owner = who; then() }
    else this.waiting.push({ who, go: then })
  }

  leave (who: Transaction): void {
    if (this.owner !== who) return
    this.owner = undefined
    while (this.owner === undefined && this.waiting.length > 0) {
      const next = this.waiting.shift()!
      if (!next.who.ended) this.enter(next.who, next.go)
    }
  }

  /** What became of each write, were it done now. */
  outcomes ({ writes }: Commit, series: SeriesTable): Outcome[] {
    return writes.map(({ table, batch }) => {
      if (table === 'windows') return { written: batch.length, duplicates: 0, refused: 0 }
      let duplicates = 0
      for (let i = 0; i < batch.length; i++) if (this.rows.has(keyOf(series, batch, i))) duplicates++
      return { written: batch.length - duplicates, duplicates, refused: 0 }
    })
  }

  apply (commit: Commit, counts: Record<string, Counts>, series: SeriesTable, by: string): void {
    const { world } = this
    const { position, version, epoch, partitions, snapshot } = commit
    world.note(`commit ${version} of ${by}: position ${position}, ${commit.writes.reduce((n, w) => n + w.batch.length, 0)} rows${snapshot === undefined ? '' : `, ${snapshot.pages.length} pages of ${snapshot.generation}${snapshot.complete === undefined ? '' : `, complete: state after ${snapshot.complete.position}`}`}`)
    world.count('commits')
    world.check(epoch === this.epoch, () => `${by} commits with epoch ${epoch}, it is ${this.epoch}`)
    world.check(version === this.version, () => `${by} commits after version ${version}, it is ${this.version}`)
    world.check(position >= (this.position ?? 0), () => `the position goes back from ${this.position} to ${position}`)
    for (const [branch, count] of Object.entries(counts)) world.check(imbalance(count, 0) === 0, () => `the counts of "${branch}" are off by ${imbalance(count, 0)}: ${JSON.stringify(count)}`)
    const before = this.counts[''] ?? noCounts()
    world.check((counts['']?.received ?? 0) >= before.received, () => 'fewer readings have been received than before')
    Object.assign(this, { version: version + 1, position, origin: commit.origin, counts: copied(counts) })
    for (const p of partitions.length === 0 ? [0] : partitions) this.versions[p] = version + 1
    this.store(commit, series)
    this.marks.push(...commit.marks.map(mark => ({ ...mark, position, version: version + 1 })))
    for (const page of snapshot?.pages ?? []) this.pages.push({ generation: snapshot!.generation, page })
    if (snapshot?.complete !== undefined) this.complete(snapshot.complete)
  }

  private store ({ writes, late, deadLetters, alerts }: Commit, series: SeriesTable): void {
    const { world } = this
    for (const { table, batch } of writes) {
      for (let i = 0; i < batch.length; i++) {
        const key = keyOf(series, batch, i)
        if (table === 'windows') this.window(key, windowOf(batch, i, false))
        else if (this.rows.has(key)) world.violate(`the row ${key} is written twice`)
        else this.rows.set(key, { value: batch.value[i], ewma: (batch.columns as any).ewma[i] })
      }
      const { provisional } = batch
      if (provisional !== undefined && table === 'windows') for (let i = 0; i < provisional.length; i++) this.window(keyOf(series, provisional, i), windowOf(provisional, i, true))
    }
    for (const { batch } of late) for (let i = 0; i < batch.length; i++) this.late.push(`${keyOf(series, batch, i)} = ${batch.value[i]} @${batch.position[i]}`)
    for (const letter of deadLetters) {
      const key = `${letter.position}/${letter.part}`
      world.check(!this.dead.has(key), () => `the dead letter ${key} is kept twice`)
      this.dead.set(key, nameOf(letter))
    }
    for (const { event, receivers } of alerts) {
      world.check(!this.alerts.has(event.id), () => `the alert ${event.id} is written twice`)
      this.alerts.set(event.id, event)
      for (const receiver of receivers) this.outbox.set(`${event.id} ${receiver}`, { event, receiver, attempts: 0, due: 0, state: 'due' })
    }
  }

  private window (key: string, row: Window): void {
    const old = this.windows.get(key)
    if (old !== undefined && !(row.revision > old.revision || row.revision === old.revision && old.provisional)) {
      this.world.violate(`the window ${key} is written again: ${JSON.stringify(row)} after ${JSON.stringify(old)}`)
    }
    this.windows.set(key, row)
  }

  private complete (header: Header): void {
    this.world.count('snapshots')
    this.snapshots = [header, ...this.snapshots.slice(0, 1)]
    const oldest = this.snapshots.at(-1)!
    if (this.snapshots.length < 2) return
    this.pages = this.pages.filter(({ generation, page }) => !this.pages.some(other => other.generation > generation && other.generation <= oldest.generation && same(other.page, page)))
    this.marks = this.marks.filter(mark => mark.version > oldest.version)
  }

  /** The pages of a snapshot. */
  content (generation: number, whole: boolean): SnapshotPage[] {
    const newest = new Map<string, { generation: number, page: SnapshotPage }>()
    for (const entry of this.pages) {
      const key = `${entry.page.partition}/${entry.page.page}`
      if (whole ? entry.generation === generation : entry.generation <= generation && entry.generation >= (newest.get(key)?.generation ?? 0)) newest.set(key, entry)
    }
    return [...newest.values()].map(e => e.page)
  }

  /** If it is to be: a page of the newest snapshot loses a bit. */
  damage (): void {
    const [newest, older] = this.snapshots
    if (!this.damages) return
    this.damages = false
    const at = this.pages.findIndex(p => p.generation === newest?.generation)
    if (older === undefined || at < 0) return
    const { generation, page } = this.pages[at], data = Buffer.from(page.data)
    data[data.length >> 1] ^= 4
    this.pages[at] = { generation, page: { ...page, data } }
  }
}

const same = (a: SnapshotPage, b: SnapshotPage): boolean => a.partition === b.partition && a.page === b.page
const nameOf = ({ reason }: DeadLetter): string => reason

/** Device, metric, event time and seq of a row. */
export function keyOf (series: SeriesTable, { series: ids, time, columns }: { readonly series: Readonly<Int32Array>, readonly time: Readonly<Float64Array>, readonly columns: any }, i: number): string {
  const { device, metric } = series.name(ids[i])
  const seq = columns.seq?.[i] ?? 0
  return `${device}/${metric} ${time[i]}${seq === 0 ? '' : ` #${seq}`}`
}

const windowOf = ({ columns }: { readonly columns: any }, i: number, provisional: boolean): Window => ({ values: FEATURES.map(f => columns[f][i]), revision: columns.revision[i], provisional })
