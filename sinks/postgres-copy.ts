import type { Batch, Numbers } from '#engine'
import type { TablePlan } from '#engine'
import { identifier } from './postgres-session.ts'
import { micros } from './postgres-time.ts'

/** 2000-01-01, where PostgreSQL counts time from, in microseconds since 1970. */
const EPOCH = 946_684_800_000_000
/** What every COPY BINARY begins with. */
export const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const HIGH = 2 ** 32
const SLICE = 1000                   // rows

/** A table as rows are written to it. */
export interface Target { readonly name: string, readonly kind: TablePlan['kind'], readonly columns: ReadonlySet<string> }

/** The columns of a table that a batch brings. */
export const brought = (target: Target, batch: Batch<any>): string[] => Object.keys(batch.columns).filter(name => target.columns.has(name))

export const fixedColumns = { readings: ['time', 'series', 'position', 'ingested_at', 'seq', 'value'], windows: ['time', 'series', 'position', 'ingested_at', 'revision', 'provisional'] } as const

/** The column list that `encode` writes, for COPY and INSERT. */
export const columnList = (target: Target, batch: Batch<any>): string => [...fixedColumns[target.kind], ...brought(target, batch)].map(identifier).join(', ')

/**
 * Batches as COPY BINARY, in one buffer that grows and is used again: what `encode` returns is valid until its next call.
 * Format: https://www.postgresql.org/docs/current/sql-copy.html (binary format). NaN is written as NULL.
 */
export class CopyEncoder {
  private bytes = Buffer.alloc(0)
  private view = new DataView(new ArrayBuffer(0))

  /** `ids`: process id of a series -> durable id. `ingest` in ms. Of a part of the rows: what the whole would be, when such parts are put together. */
  encode (target: Target, batch: Batch<any>, ids: Readonly<Int32Array>, ingest: number, provisional = false, from = 0, to = batch.length): Uint8Array {
    const columns: Numbers[] = brought(target, batch).map(name => batch.columns[name])
    const readings = target.kind === 'readings'
    const { time, series, position, value, length } = batch
    const begin = from === 0 ? 0 : HEADER.length
    const whole: Numbers | undefined = readings ? batch.columns.seq : batch.columns.revision
    this.reserve(HEADER.length + (to - from) * (64 + 12 * columns.length) + 2)
    const { view } = this
    const ingested = micros(ingest) - EPOCH
    let at = HEADER.length
    for (let i = from; i < to; i++) {
      view.setInt16(at, 6 + columns.length)
      at = int64(view, at + 2, micros(time[i]) - EPOCH)
      view.setInt32(at, 4)
      view.setInt32(at + 4, ids[series[i]])
      at = int64(view, at + 8, position[i])
      at = int64(view, at, ingested)
      if (readings) {
        view.setInt32(at, 2)
        view.setInt16(at + 4, whole === undefined ? 0 : whole[i])
        at = double(view, at + 6, value[i])
      } else {
        view.setInt32(at, 4)
        view.setInt32(at + 4, whole === undefined ? 0 : whole[i])
        view.setInt32(at + 8, 1)
        view.setInt8(at + 12, provisional ? 1 : 0)
        at += 13
      }
      for (let c = 0; c < columns.length; c++) at = double(view, at, columns[c][i])
    }
    if (to < length) return this.bytes.subarray(begin, at)
    view.setInt16(at, -1)
    return this.bytes.subarray(begin, at + 2)
  }

  /** All of a batch in slices, so that the server can work at one while the next is made; each is valid until the next. */
  * slices (target: Target, batch: Batch<any>, ids: Readonly<Int32Array>, ingest: number): Generator<Uint8Array> {
    for (let from = 0; from < batch.length; from += SLICE) yield this.encode(target, batch, ids, ingest, false, from, Math.min(from + SLICE, batch.length))
  }

  private reserve (bytes: number): void {
    if (bytes <= this.bytes.length) return
    this.bytes = Buffer.allocUnsafeSlow(Math.max(1 << 16, 2 * this.bytes.length, bytes))
    this.view = new DataView(this.bytes.buffer)
    HEADER.copy(this.bytes)
  }
}

function int64 (view: DataView, at: number, value: number): number {
  const high = Math.floor(value / HIGH)
  view.setInt32(at, 8)
  view.setInt32(at + 4, high)
  view.setUint32(at + 8, value - high * HIGH)
  return at + 12
}

function double (view: DataView, at: number, value: number): number {
  if (Number.isNaN(value)) { view.setInt32(at, -1); return at + 4 }
  view.setInt32(at, 8)
  view.setFloat64(at + 4, value)
  return at + 12
}
