/** A thread of Workers: a flow of its own for its partitions. Answers each message, in their order. */
import { parentPort, workerData } from 'node:worker_threads'
import { MillraceError } from './errors.ts'
import { Flow } from './flow.ts'
import type { Gathered } from './outputs.ts'
import { pack, readingsIn, type Packed } from './packed.ts'
import type { Pipeline } from './pipeline.ts'
import type { Relearn } from './relearn.ts'
import { SeriesTable, type Tags } from './series.ts'
import type { Compared, Layout, SnapshotPage } from './snapshot.ts'
import type { Position } from './source.ts'

export interface ThreadData { readonly module: string, readonly given: unknown, readonly capacity: number }
export interface Named { readonly series: readonly (readonly [id: number, tenant: string, device: string, metric: string])[], readonly tags: readonly (readonly [tenant: string, device: string, tags: Tags])[] }
export type Request =
  | ({ readonly kind: 'process', readonly buffer: ArrayBuffer, readonly rows: number, readonly upTo: Position, readonly ingest: number } & Named)
  | { readonly kind: 'tick' | 'end' | 'listen', readonly position: Position, readonly ingest: number }
  | { readonly kind: 'relearn', readonly of: Relearn, readonly ingest: number }
  | { readonly kind: 'begin', readonly whole: boolean }
  | { readonly kind: 'advance', readonly bytes: number }
  | { readonly kind: 'load', readonly pages: readonly SnapshotPage[], readonly layout: Layout }
  | { readonly kind: 'past', readonly at: number | undefined }

/** `born`: the series that have appeared since the last answer, in the order of their ids here: by the id that was said, or by name when a step has made them. */
export interface Outcome { readonly packed: Packed | undefined, readonly born: readonly (number | readonly [tenant: string, device: string, metric: string])[], readonly watermark: number }
export interface Copied { readonly pages: readonly SnapshotPage[], readonly left: number, readonly isGivenUp: boolean }
export type Answer = Outcome | Copied | { readonly pages: number } | Compared | undefined

const { module, given, capacity } = workerData as ThreadData
const series = new SeriesTable(capacity), known = new Int32Array(capacity), said: number[] = []      // known: id of the others -> own + 1; said: own -> that of the others
const flow = new Flow(((await import(module)) as { default: (given: unknown) => Pipeline }).default(given), series)
let told = 0

function name ({ series: named, tags }: Named): void {
  for (const [id, tenant, device, metric] of named) {
    const own = series.id(tenant, device, metric)
    known[id] = own + 1
    said[own] = id
  }
  for (const [tenant, device, of] of tags) series.tag(series.device(tenant, device), of)
}

function outcome (outputs: Gathered | undefined): Outcome {
  const born: (number | readonly [string, string, string])[] = []
  for (; told < series.size; told++) {
    const { tenant, device, metric } = series.name(told)
    born.push(said[told] ?? [tenant, device, metric])
  }
  return { packed: outputs && pack(outputs), born, watermark: flow.watermark }
}

function answer (request: Request): Answer {
  switch (request.kind) {
    case 'process': {
      name(request)
      const { buffer, rows: received, upTo, ingest } = request, rows = readingsIn(buffer, received)
      for (let i = 0; i < received; i++) rows.series[i] = known[rows.series[i]] - 1
      return outcome(flow.process({ rows, dead: [], received, messages: 0, upTo, ingest, bytes: 0, ended: false }))
    }
    case 'tick': flow.position = request.position; return outcome(flow.tick(request.ingest))
    case 'end': flow.position = request.position; return outcome(flow.end(request.ingest))
    case 'listen': flow.position = request.position; flow.listen(request.ingest); return undefined
    case 'relearn': flow.relearn(request.of, request.ingest); return undefined
    case 'past': flow.past = request.at; return undefined
    case 'begin': return { pages: flow.snapshots.begin(request.whole) }
    case 'advance': {
      flow.snapshots.advance(request.bytes)
      const { left, isGivenUp } = flow.snapshots
      return { pages: flow.snapshots.take(), left, isGivenUp }
    }
    case 'load': {
      for (const page of request.pages) flow.snapshots.load(page, request.layout)
      return flow.snapshots.loaded(request.layout)
    }
  }
}

parentPort!.on('message', (request: Request) => {
  try {
    const done = answer(request)
    parentPort!.postMessage({ done }, done !== undefined && 'packed' in done && done.packed !== undefined ? [done.packed.buffer] : [])
  } catch (error) {
    parentPort!.postMessage({ failed: error, code: error instanceof MillraceError ? error.code : undefined })
  }
})
