import t from 'tap'
import fc from 'fast-check'
import { Batch } from '#engine'
import { CopyEncoder, type Target } from '../../sinks/postgres-copy.ts'
import { micros } from '../../sinks/postgres-time.ts'

/** A plain reader of COPY BINARY, after the PostgreSQL manual. */
function decode (bytes: Buffer): (Buffer | null)[][] {
  t.equal(bytes.toString('latin1', 0, 19), 'PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0')
  const rows: (Buffer | null)[][] = []
  let at = 19
  for (;;) {
    const fields = bytes.readInt16BE(at)
    at += 2
    if (fields === -1) break
    rows.push(Array.from({ length: fields }, () => {
      const length = bytes.readInt32BE(at)
      at += 4
      if (length === -1) return null
      at += length
      return bytes.subarray(at - length, at)
    }))
  }
  t.equal(at, bytes.length)
  return rows
}
const time = (b: Buffer | null) => Number(b!.readBigInt64BE() + 946_684_800_000_000n)

t.test('what is encoded can be decoded, whatever the values, and the buffer can be used again', async () => {
  const encoder = new CopyEncoder()
  const row = fc.record({ us: fc.integer({ min: -8e15, max: 8e15 }), series: fc.nat(9), value: fc.double(), column: fc.double(), position: fc.maxSafeNat(), whole: fc.nat(0x7fff) })
  fc.assert(fc.property(fc.array(row, { maxLength: 40 }), fc.boolean(), fc.maxSafeNat(), (rows, readings, ingest) => {
    const target: Target = { name: 'x', kind: readings ? 'readings' : 'windows', columns: new Set(['c']) }
    const of = (f: (r: typeof rows[number]) => number) => Float64Array.from(rows, f)
    const batch = new Batch<any>({ time: of(r => r.us / 1000), series: Int32Array.from(rows, r => r.series), value: of(r => r.value), columns: { other: of(() => 1), c: of(r => r.column), [readings ? 'seq' : 'revision']: of(r => r.whole) }, position: of(r => r.position) })
    const ids = Int32Array.from({ length: 10 }, (_, i) => i * 1e8)
    const double = (x: number) => Number.isNaN(x) ? null : x
    const got = decode(Buffer.from(encoder.encode(target, batch, ids, Math.floor(ingest / 1000), !readings))).map(([at, s, p, i, w, v, c]) => [
      time(at), s!.readInt32BE(), Number(p!.readBigInt64BE()), time(i), readings ? w!.readInt16BE() : w!.readInt32BE(), readings ? v?.readDoubleBE() ?? null : v!.readInt8(), c?.readDoubleBE() ?? null])
    const wanted = rows.map(r => [micros(r.us / 1000), ids[r.series], r.position, micros(Math.floor(ingest / 1000)), r.whole, readings ? double(r.value) : 1, double(r.column)])
    return got.length === wanted.length && got.every((fields, i) => fields.every((f, k) => Object.is(f, wanted[i][k])))
  }), { numRuns: 300 })
})

t.test('microseconds of this century go through milliseconds and back unchanged', async () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4_102_444_800_000_000 }), us => micros(us / 1000) === us))
})

t.test('the buffer has room for any number of rows and columns', async t => {
  for (const length of [1000, 1100, 3000]) {
    for (const columns of [[], ['a'], ['a', 'b', 'c']]) {
      for (const kind of ['readings', 'windows'] as const) {
        const ones = new Float64Array(length).fill(1)
        const batch = new Batch<any>({ time: ones, series: new Int32Array(length), value: ones, columns: Object.fromEntries(columns.map(name => [name, ones])), position: ones })
        t.equal(decode(Buffer.from(new CopyEncoder().encode({ name: 'x', kind, columns: new Set(columns) }, batch, new Int32Array(1), 0))).length, length)
      }
    }
  }
})
