import { deserialize, serialize } from 'node:v8'
import type { Forms } from './operator.ts'
import { joined, TapeReader, type Saved, type Tape } from './saved.ts'
import type { Tags } from './series.ts'

type Names = readonly (readonly [tenant: string, device: string, tags: Tags, metrics: readonly string[]])[]
type Memories = readonly { readonly series: Saved, readonly devices: Saved }[]
/** What a page says of its devices: their names, and of each part what it remembers of them, one device behind the other. */
export type Content = readonly [devices: Names, parts: Memories]

const MAGIC = 0x3150524d             // "MRP1"; what older versions wrote begins with ff
const START = 8                      // bytes before the names

/**
 * A page as bytes, in the order of bytes of this machine: "MRP1", the length of what follows, names and forms as of v8.serialize, zeros up
 * to a multiple of 8, then the numbers: device by device how many series it has, and part by part those of its series and its own.
 */
export function encodePage (names: Names, forms: readonly Forms[], { data, length }: Tape): Buffer {
  const head = serialize([names, forms]), from = START + head.length + 7 & ~7, page = Buffer.alloc(from + 8 * length)
  page.writeUint32LE(MAGIC, 0)
  page.writeUint32LE(head.length, 4)
  page.set(head, START)
  page.set(new Uint8Array(data.buffer, 0, 8 * length), from)
  return page
}

/** What stands on a page, also on one of an older version. */
export function decodePage (page: Uint8Array): Content {
  const bytes = Buffer.from(page.buffer, page.byteOffset, page.length)
  if (bytes.readUint32LE(0) !== MAGIC) return deserialize(bytes) as Content
  const from = START + bytes.readUint32LE(4)
  const [names, forms] = deserialize(bytes.subarray(START, from)) as [Names, readonly Forms[]]
  const reader = new TapeReader(new Float64Array(Uint8Array.prototype.slice.call(bytes, from + 7 & ~7).buffer))
  const ofDevices = names.map(([, , , { length }]) => {
    reader.past(1)
    return forms.map(({ series, devices }) => ({ series: reader.read(series, length), devices: reader.read(devices, 1) }))
  })
  return [names, forms.map((_, k) => ({ series: joined(ofDevices.map(parts => parts[k].series)), devices: joined(ofDevices.map(parts => parts[k].devices)) }))]
}
