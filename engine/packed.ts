/** Rows side by side in one buffer, which goes from one thread to another without being copied. */
import { Batch, type Numbers } from './batch.ts'
import { countsOf, type Gathered, type Outputs, type Tallied } from './outputs.ts'
import type { Readings } from './watermark.ts'

/** A batch, without its progress: `at` bytes into the buffer stand time, value, arrival, position and the columns, 8 bytes a row each, then the ids of its series, 4 bytes a row. */
interface PackedBatch { readonly rows: number, readonly at: number, readonly columns: readonly string[], readonly provisional: PackedBatch | undefined }
type Packing<T> = Omit<T, 'batch'> & { readonly batch: PackedBatch }

/** What a flow has made of something, as a message. Its ids are those of the thread that packed it. */
export interface Packed extends Pick<Outputs, 'alerts' | 'deadLetters' | 'position' | 'ingest' | 'received'>, Pick<Tallied, 'tallies' | 'as'> {
  readonly buffer: ArrayBuffer
  readonly writes: readonly Packing<Outputs['writes'][number]>[]
  readonly late: readonly Packing<Outputs['late'][number]>[]
  readonly follow: readonly Packing<Outputs['follow'][number]>[]
}

const align = (bytes: number) => bytes + 7 & ~7

export function pack ({ writes, late, follow, alerts, deadLetters, position, ingest, received, tallies, as }: Gathered): Packed {
  const filling: ((buffer: ArrayBuffer) => void)[] = []
  let bytes = 0
  const packed = (batch: Batch<any>): PackedBatch => {
    const { length: rows, provisional } = batch, columns = Object.keys(batch.columns), at = bytes
    bytes = align(at + rows * (8 * (4 + columns.length) + 4))
    filling.push(buffer => {
      const numbers = new Float64Array(buffer, at, rows * (4 + columns.length))
      const all = [batch.time, batch.value, batch.arrival, batch.position, ...columns.map(name => batch.columns[name])]
      all.forEach((column, k) => { numbers.set(column, k * rows) })
      new Int32Array(buffer, at + numbers.byteLength, rows).set(batch.series)
    })
    return { rows, at, columns, provisional: provisional && packed(provisional) }
  }
  const each = <T extends { readonly batch: Batch<any> }>(of: readonly T[]) => of.map(one => ({ ...one, batch: packed(one.batch) }))
  const message = { writes: each(writes), late: each(late), follow: each(follow), alerts, deadLetters, position, ingest, received, tallies, as }
  const buffer = new ArrayBuffer(bytes)
  for (const fill of filling) fill(buffer)
  return { ...message, buffer }
}

/** `ids`: those of this thread, by those of the other. */
export function unpack ({ buffer, writes, late, follow, tallies, as, ...rest }: Packed, ids: ArrayLike<number>): Outputs {
  const unpacked = ({ rows, at, columns, provisional }: PackedBatch): Batch<any> => {
    const column = (k: number): Numbers => new Float64Array(buffer, at + 8 * k * rows, rows)
    const series = new Int32Array(buffer, at + 8 * rows * (4 + columns.length), rows)
    for (let i = 0; i < rows; i++) series[i] = ids[series[i]]
    return new Batch({ time: column(0), value: column(1), arrival: column(2), position: column(3), columns: Object.fromEntries(columns.map((name, k) => [name, column(4 + k)])), series, provisional: provisional && unpacked(provisional) })
  }
  const each = <T extends { readonly batch: PackedBatch }>(of: readonly T[]) => of.map(one => ({ ...one, batch: unpacked(one.batch) }))
  const own = each(writes)
  return { ...rest, writes: own, late: each(late), follow: each(follow), counts: outcomes => countsOf({ tallies, writes: own, as }, outcomes) }
}

/** Readings in one buffer: time, value, position, ingest, 8 bytes a row each, then series, 4 bytes a row. */
export function roomFor (rows: number): Readings & { readonly time: Float64Array, readonly value: Float64Array, readonly position: Float64Array, readonly ingest: Float64Array, readonly series: Int32Array, readonly buffer: ArrayBuffer } {
  return readingsIn(new ArrayBuffer(rows * 36), rows)
}

export function readingsIn (buffer: ArrayBuffer, rows: number): ReturnType<typeof roomFor> {
  const column = (k: number) => new Float64Array(buffer, 8 * k * rows, rows)
  return { buffer, time: column(0), value: column(1), position: column(2), ingest: column(3), series: new Int32Array(buffer, 32 * rows, rows) }
}
