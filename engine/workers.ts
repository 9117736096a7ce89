import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MillraceError, type Code } from './errors.ts'
import type { Answer, Copied, Named, Outcome, Request, ThreadData } from './flow-thread.ts'
import { Gathered, merged, type Outputs } from './outputs.ts'
import { roomFor, unpack } from './packed.ts'
import { PARTITIONS, workerOf } from './partition.ts'
import type { Relearn } from './relearn.ts'
import type { SeriesTable } from './series.ts'
import type { Compared, Layout, SnapshotPage } from './snapshot.ts'
import type { Delivery, Position } from './source.ts'

/**
 * `module`: URL of a module whose default export makes the pipeline of `given`, which must be data: each thread makes its own.
 * `workers`: 1 to 64.
 */
export interface WorkersOptions { readonly module: string, readonly given?: unknown, readonly workers: number }

/**
 * A pipeline's flow spread over threads by the partitions of its devices. What comes out for a device, and in which order, does not depend
 * on how many there are; rows of several devices come out one thread after the other. Answers come in the order of the
 * calls. A call does not wait for the one before: whoever calls bounds what is under way. Snapshots are those of one Flow: pages of
 * partitions, which any number of workers takes up. Costs the calling thread a copy of the readings, and a look at each row that comes back.
 */
export class Workers {
  position: Position
  private readonly series: SeriesTable
  private readonly threads: readonly Thread[]
  private readonly told: Uint8Array          // series -> its thread knows it
  private readonly tagged: Int32Array        // device -> how often its tags had changed when its thread was told, + 1

  constructor (series: SeriesTable, { module, given, workers }: WorkersOptions, position: Position = 0) {
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= PARTITIONS)) throw new MillraceError('config/invalid', `${workers} is no number of workers`, { help: `an integer from 1 to ${PARTITIONS}` })
    this.series = series
    this.position = position
    this.told = new Uint8Array(series.capacity)
    this.tagged = new Int32Array(series.capacity)
    this.threads = Array.from({ length: workers }, (_, n) => new Thread(n, series, { module, given, capacity: series.capacity }))
  }

  /** The least progress of a device that is not silent, as of the newest answers. */
  get watermark (): number { return Math.min(...this.threads.map(({ watermark }) => watermark)) }

  async process ({ rows, dead, received, upTo, ingest }: Delivery): Promise<Outputs> {
    this.position = upTo
    const parts = this.split(rows).flatMap(({ room, named }, n) => room.time.length === 0 ? []
      : [this.threads[n].outcome({ kind: 'process', buffer: room.buffer, rows: room.time.length, upTo, ingest, ...named }, [room.buffer])])
    const own = new Gathered(upTo, ingest, received - rows.time.length, dead)
    return merged([own, ...(await Promise.all(parts)).filter(part => part !== undefined)])
  }

  tick (ingest: number): Promise<Outputs | undefined> { return this.all({ kind: 'tick', position: this.position, ingest }) }
  async end (ingest: number): Promise<Outputs> { return (await this.all({ kind: 'end', position: this.position, ingest })) ?? new Gathered(this.position, ingest, 0, []) }
  async listen (ingest: number): Promise<void> { await this.each({ kind: 'listen', position: this.position, ingest }) }
  async relearn (of: Relearn, ingest: number): Promise<void> { await this.each({ kind: 'relearn', of, ingest }) }
  /** See Flow.past. */
  async past (at: number | undefined): Promise<void> { await this.each({ kind: 'past', at }) }

  /** See Snapshots.begin. */
  async begin (whole = false): Promise<number> { return (await this.each<{ readonly pages: number }>({ kind: 'begin', whole })).reduce((sum, { pages }) => sum + pages, 0) }

  /** The next pages, about `bytes` of them, and how many are left; see Snapshots.advance. When it was given up in one thread it is void. */
  async advance (bytes: number): Promise<Copied> {
    const copied = await this.each<Copied>({ kind: 'advance', bytes: Math.ceil(bytes / this.threads.length) })
    return { pages: copied.flatMap(({ pages }) => pages), left: copied.reduce((sum, { left }) => sum + left, 0), isGivenUp: copied.some(({ isGivenUp }) => isGivenUp) }
  }

  /** All pages of a snapshot, of any number of workers. See Snapshots.loaded. */
  async load (pages: readonly SnapshotPage[], layout: Layout): Promise<Compared> {
    const { threads } = this
    const [compared] = await Promise.all(threads.map((thread, n) => thread.ask<Compared>({ kind: 'load', pages: pages.filter(({ partition }) => workerOf(partition, threads.length) === n), layout })))
    return compared
  }

  async close (): Promise<void> { await Promise.all(this.threads.map(thread => thread.close())) }

  /** The rows of each thread, in their order, with what it does not know of them yet. */
  private split ({ time, series: ids, value, position, ingest }: Delivery['rows']): { readonly room: ReturnType<typeof roomFor>, readonly named: Named }[] {
    const { series, threads } = this, { deviceOf, partitionOf } = series, workers = threads.length
    const owner = new Uint8Array(ids.length), counts = new Int32Array(workers)
    for (let i = 0; i < ids.length; i++) counts[owner[i] = workerOf(partitionOf[deviceOf[ids[i]]], workers)]++
    const parts = Array.from(counts, rows => ({ room: roomFor(rows), named: { series: [] as Named['series'][number][], tags: [] as Named['tags'][number][] } })), filled = new Int32Array(workers)
    for (let i = 0; i < ids.length; i++) {
      const n = owner[i], { room, named } = parts[n], k = filled[n]++, s = ids[i]
      this.tell(s, named)
      room.time[k] = time[i]
      room.value[k] = value[i]
      room.position[k] = position[i]
      room.ingest[k] = ingest[i]
      room.series[k] = s
    }
    return parts
  }

  private tell (s: number, { series: names, tags }: { readonly series: Named['series'][number][], readonly tags: Named['tags'][number][] }): void {
    const { series, told, tagged } = this, d = series.deviceOf[s]
    if (told[s] === 0) {
      const { tenant, device, metric } = series.name(s)
      names.push([s, tenant, device, metric])
      told[s] = 1
    }
    if (tagged[d] <= series.tagged[d]) {
      const { tenant, device, tags: of } = series.deviceName(d)
      tags.push([tenant, device, of])
      tagged[d] = series.tagged[d] + 1
    }
  }

  private async all (request: Request): Promise<Outputs | undefined> {
    const parts = (await Promise.all(this.threads.map(thread => thread.outcome(request)))).filter(part => part !== undefined)
    return parts.length === 0 ? undefined : merged(parts)
  }

  private each<T extends Answer> (request: Request): Promise<T[]> { return Promise.all(this.threads.map(thread => thread.ask<T>(request))) }
}

/** One of them, as its owner sees it. */
class Thread {
  watermark = -Infinity
  private readonly worker: Worker
  private readonly series: SeriesTable
  private readonly ids: number[] = []        // id there -> id here
  private readonly waiting: { readonly resolve: (done: any) => void, readonly reject: (error: unknown) => void }[] = []
  private failure: Error | undefined

  constructor (number: number, series: SeriesTable, data: ThreadData) {
    this.series = series
    this.worker = new Worker(new URL(`./flow-thread${extname(import.meta.url)}`, import.meta.url), { workerData: data, name: `flow ${number}` })
    this.worker.on('message', ({ done, failed, code }: { readonly done: unknown, readonly failed?: Error, readonly code?: Code }) => {
      const { resolve, reject } = this.waiting.shift()!
      if (failed === undefined) resolve(done)
      else reject(code === undefined ? failed : new MillraceError(code, failed.message, { cause: failed }))
    })
    this.worker.on('error', error => { this.fail(error) })
    this.worker.on('exit', code => { this.fail(new Error(`thread ${number} of the pipeline has ended with ${code}`)) })
  }

  ask<T extends Answer> (request: Request, transfer: readonly ArrayBuffer[] = []): Promise<T> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.worker.postMessage(request, transfer)
    })
  }

  async outcome (request: Request, transfer?: readonly ArrayBuffer[]): Promise<Outputs | undefined> {
    const { packed, born, watermark } = await this.ask<Outcome>(request, transfer)
    this.watermark = watermark
    for (const one of born) this.ids.push(typeof one === 'number' ? one : this.series.id(...one))
    return packed && unpack(packed, this.ids)
  }

  async close (): Promise<void> {
    this.failure ??= new Error('the pipeline has ended')
    await this.worker.terminate()
  }

  private fail (error: Error): void {
    this.failure ??= error
    for (const { reject } of this.waiting.splice(0)) reject(this.failure)
  }
}
