import { createHash } from 'node:crypto'
import type { Ids } from './batch.ts'
import { MillraceError } from './errors.ts'
import { Kept } from './kept.ts'
import type { Forms, Match } from './operator.ts'
import { PARTITIONS } from './partition.ts'
import { Tape, type Saved } from './saved.ts'
import type { SeriesTable } from './series.ts'
import { decodePage, encodePage } from './snapshot-page.ts'

/** Something that remembers: a step, an alert, the progress of devices. */
export interface Part {
  readonly key: string               // branch/step or branch/alert:name
  readonly fingerprint: string
  match (fingerprint: string): Match         // see Stage
  readonly remembers: boolean
  readonly forms: Forms
  write (to: Tape, series: Ids, devices: Ids): void          // what it remembers, in these forms
  load (saved: { readonly series: Saved, readonly devices: Saved }, series: Ids, devices: Ids, fingerprint: string): void
}
/** Steps by what becomes of their memory, see Snapshots.compare. */
export interface Compared { readonly same: readonly string[], readonly tuned: readonly string[], readonly fresh: readonly string[], readonly changed: readonly string[], readonly gone: readonly string[] }
export type Layout = readonly (readonly [key: string, fingerprint: string])[]

/** All that is remembered about a few devices of one partition, as bytes. A later page of the same number replaces it. */
export interface SnapshotPage { readonly partition: number, readonly page: number, readonly digest: Uint8Array, readonly data: Uint8Array }
/** A snapshot: the state after `position`, of all pages whose newest generation is not above its own. */
export interface SnapshotHeader { readonly generation: number, readonly position: number, readonly origin: string | undefined, readonly pages: number, readonly layout: Layout }

const DEVICES = 8                    // of a page
const MOST = 2 * 2 ** 20, PER_KEPT = 512       // bytes copied at once, and for each device that is kept
const MANY = 500, PIECE = 256        // pages to be copied from which on a delivery is cut; rows
const FITS: readonly Match[] = ['same', 'tuned']

/**
 * Snapshots of all memory while the flow goes on. A snapshot is begun between two batches; what is remembered of a device whose page
 * is still to be copied is kept before it is touched, the pages are copied a few at a time. What is copied is the state at the beginning,
 * with the tags of now. What is kept are numbers in a few large arrays: half a million small ones would occupy the collector of garbage.
 * A page belongs to one partition and is never split: a partition's snapshot is that of its pages. 15 bytes per device.
 */
export class Snapshots {
  /** Pages still to be copied for the snapshot under way. */
  left = 0
  /** All changed while one was under way: it was given up, and the next one is of everything. */
  isGivenUp = false
  private readonly series: SeriesTable
  private readonly parts: readonly Part[]
  private readonly pageOf: Int32Array            // device -> its page
  private readonly pages: { readonly partition: number, readonly number: number, readonly devices: number[] }[] = []
  private readonly newest: number[] = Array.from({ length: PARTITIONS }, () => -1)       // partition -> its last page
  private readonly counts = new Int32Array(PARTITIONS)     // partition -> how many pages
  private readonly dirty: Uint8Array             // page -> changed since it was last copied
  private readonly pending: Uint8Array           // page -> to be copied
  private readonly kept = new Kept()         // of devices of such pages: what was remembered of them at the beginning, if that has changed
  private readonly tape = new Tape()
  private ids = new Int32Array(64)               // series of a device
  private known = 0                              // devices that have a page
  private cursor = 0
  private copied: SnapshotPage[] = []
  private readonly touched = new Uint8Array(PARTITIONS)    // partition -> changed since the last partitions()

  constructor (series: SeriesTable, parts: readonly Part[]) {
    this.series = series
    this.parts = parts
    this.pageOf = new Int32Array(series.capacity)
    this.dirty = new Uint8Array(series.capacity)
    this.pending = new Uint8Array(series.capacity)
  }

  get layout (): Layout { return this.parts.map(({ key, fingerprint }) => [key, fingerprint]) }

  /** What is remembered about these devices is about to change. */
  touch (devices: Ids): void {
    this.appear()
    for (let i = 0; i < devices.length; i++) this.change(devices[i])
  }
  touchRows (series: Ids): void {
    this.appear()
    const { deviceOf } = this.series
    for (let i = 0, last = -1; i < series.length; i++) {
      const device = deviceOf[series[i]]
      if (device !== last) this.change(last = device)
    }
  }
  /** To keep all of it would take too long: a snapshot under way is given up. */
  touchAll (): void {
    this.appear()
    if (this.left > 0) {
      this.isGivenUp = true
      this.left = 0
      this.pending.fill(0, 0, this.pages.length)
      this.kept.clear()
      this.copied = []
    }
    this.dirty.fill(1, 0, this.pages.length)
    for (const { partition } of this.pages) this.touched[partition] = 1
  }

  /** Begins a snapshot of the state as it is now; with `whole`, of all pages and not of the changed ones alone. What one under way has not copied yet belongs to this one. Returns of how many pages it consists. */
  begin (whole = false): number {
    this.appear()
    this.isGivenUp = false
    this.kept.clear()
    this.left = 0
    for (let page = 0; page < this.pages.length; page++) {
      if (whole || this.dirty[page] === 1) this.pending[page] = 1
      this.dirty[page] = 0
      this.left += this.pending[page]
    }
    this.cursor = 0
    return this.pages.length
  }

  /** Of how many rows at once to process a delivery, so that what has to be kept of their devices takes no more than some ms: all of them, unless much is still to be copied. */
  get piece (): number { return this.left > MANY ? PIECE : Infinity }

  /** Copies further pages, about `bytes` of them, and more the more is kept meanwhile: up to MOST. */
  advance (bytes: number): void {
    const enough = Math.max(bytes, Math.min(MOST, this.kept.size * PER_KEPT))
    for (let done = 0; this.left > 0 && done < enough; this.cursor++) if (this.pending[this.cursor] === 1) done += this.copy(this.cursor)
  }

  /** The pages copied since the last call. */
  take (): readonly SnapshotPage[] {
    const { copied } = this
    this.copied = []
    return copied
  }

  /** The pages of these devices as they are now, beside any snapshot: to be put back by load(). */
  keep (devices: Ids): readonly SnapshotPage[] {
    this.appear()
    return [...new Set(Array.from(devices, d => this.pageOf[d]))].map(page => this.encode(page, false))
  }

  /**
   * Takes up an intact page: of a fresh state, or one kept of this one. Of series that have come since it was kept nothing is
   * remembered then. `layout` is that of its snapshot: what it says of steps that are not there any more, or not in the same form,
   * is left out.
   */
  load ({ partition, page: number, data }: SnapshotPage, layout: Layout = this.layout): void {
    const [names, saved] = decodePage(data)
    const devices = names.map(([tenant, device, tags, metrics]) => {
      const d = this.series.device(tenant, device)
      if (d < 0 || metrics.some(metric => this.series.of(d, metric) < 0)) throw this.full()
      this.series.tag(d, tags)
      return d
    })
    this.place(devices, partition, number)
    const then = devices.flatMap((d, i) => names[i][3].map(metric => this.series.find(d, metric)))
    const ids = Int32Array.from(devices), series = Int32Array.from(new Set([...then, ...devices.flatMap(d => this.seriesOf(d))]))
    layout.forEach(([key, fingerprint], k) => {
      this.parts.find(part => part.key === key && FITS.includes(part.match(fingerprint)))?.load(saved[k], series, ids, fingerprint)
    })
  }

  /**
   * After all pages: what the snapshot did not have is remembered anew and stands in the next one. Returns the steps that are not
   * as they were: those that begin without memory because it knows none of theirs, those that have other values of `tuning`, and
   * those whose memory in it means something else and was left out.
   */
  loaded (layout: Layout): Compared {
    if (JSON.stringify(layout) !== JSON.stringify(this.layout)) this.touchAll()
    return this.compare(layout)
  }

  /** What would become of the memory of a snapshot of this layout. `same`: goes on; `gone`: of steps that there are not any more. */
  compare (layout: Layout): Compared {
    const before = new Map(layout), keys = new Set(this.parts.map(part => part.key))
    const those = (match: Match) => this.parts.filter(part => part.remembers && match === (before.has(part.key) ? part.match(before.get(part.key)!) : 'none')).map(part => part.key)
    return { same: those('same'), fresh: those('none'), tuned: those('tuned'), changed: those('other'), gone: layout.map(([key]) => key).filter(key => !keys.has(key)) }
  }

  /** The partitions of what was touched since the last call. */
  partitions (): number[] {
    const found: number[] = []
    this.touched.forEach((touched, partition) => { if (touched === 1) found.push(partition) })
    this.touched.fill(0)
    return found
  }

  private change (device: number): void {
    const page = this.pageOf[device]
    this.touched[this.series.partitionOf[device]] = 1
    if (this.pending[page] === 1 && !this.kept.has(device)) {
      this.tape.length = 0
      this.capture(device)
      this.kept.keep(device, this.tape)
    }
    this.dirty[page] = 1
  }

  private copy (page: number): number {
    const copy = this.encode(page, true)
    this.copied.push(copy)
    this.pending[page] = 0
    this.left--
    if (this.left === 0) this.kept.clear()
    return copy.data.length
  }

  /** A page as it was when the snapshot under way began (`then`), or as it is now. */
  private encode (page: number, then: boolean): SnapshotPage {
    const { tape, kept, series } = this, { partition, number, devices } = this.pages[page]
    tape.length = 0
    const names = devices.map(d => {
      const { tenant, device, tags } = series.deviceName(d), from = tape.length
      if (then && kept.has(d)) kept.move(d, tape)
      else this.capture(d)
      return [tenant, device, tags, this.metrics(d, tape.data[from])] as const
    })
    const data = encodePage(names, this.parts.map(({ forms }) => forms), tape)
    return { partition, page: number, digest: digestOf(data), data }
  }

  /** Appends what is remembered of a device now, behind the number of its series. */
  private capture (device: number): void {
    const { series, tape } = this
    let count = 0
    for (let s = series.firstOf(device); s >= 0; s = series.nextOf(s)) {
      if (count === this.ids.length) this.ids = Int32Array.of(...this.ids, ...this.ids)
      this.ids[count++] = s
    }
    tape.data[tape.reserve(1)] = count
    const all = this.ids.subarray(0, count), own = Int32Array.of(device)
    for (const part of this.parts) part.write(tape, all, own)
  }

  /** Names of the first series of a device. */
  private metrics (device: number, count: number): string[] {
    const names: string[] = []
    for (let s = this.series.firstOf(device); names.length < count; s = this.series.nextOf(s)) names.push(this.series.metric(s))
    return names
  }

  private seriesOf (device: number): number[] {
    const ids: number[] = []
    for (let s = this.series.firstOf(device); s >= 0; s = this.series.nextOf(s)) ids.push(s)
    return ids
  }

  /** Gives pages to devices that are new. */
  private appear (): void {
    for (; this.known < this.series.devices; this.known++) {
      const partition = this.series.partitionOf[this.known]
      let page = this.newest[partition]
      if (page < 0 || this.pages[page].devices.length >= DEVICES) page = this.open(partition, this.counts[partition])
      this.pages[page].devices.push(this.known)
      this.pageOf[this.known] = page
      this.dirty[page] = 1
    }
  }

  private place (devices: readonly number[], partition: number, number: number): void {
    if (devices[0] < this.known) return      // of this very state
    const page = this.open(partition, number)
    this.pages[page].devices.push(...devices)
    for (const d of devices) this.pageOf[d] = page
    this.known += devices.length
  }

  private open (partition: number, number: number): number {
    this.counts[partition] = Math.max(this.counts[partition], number + 1)
    return this.newest[partition] = this.pages.push({ partition, number, devices: [] }) - 1
  }

  private full (): MillraceError {
    return new MillraceError('config/invalid', `more series are remembered than memory is reserved for (${this.series.capacity})`, { help: 'start with a larger --max-series' })
  }
}

const digestOf = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest()

/** Is a page as it was written? */
export const isIntact = ({ digest, data }: SnapshotPage): boolean => digestOf(data).equals(digest)
