import type { Position } from './source.ts'

const NAMED = 6, ENTRY = 18          // bytes of a client beside its name, and of each of its entries, when saved

interface Entry { readonly hash: bigint, readonly position: Position }
/** A sender between those that were heard before and after it: in a map, whoever was silent longest would be looked for among all that have moved. */
interface Client { readonly name: string, readonly entries: Map<number, Entry>, older: Client | undefined, newer: Client | undefined }

/**
 * What senders may send again: (client, packet id) -> hash and position of the message that came under it. It is durable with
 * the records it comes from; a message that is sent again, under the same id and with the same hash, is in the log already.
 * What a sender has certainly been told (confirm) is forgotten. At most 65,535 entries per client, by the protocol. Two equal
 * messages under one id, of which the first was acknowledged and not confirmed, cannot be told apart. About 150 bytes an entry.
 */
export class Redeliveries {
  private readonly clients = new Map<string, Client>()
  private readonly most: number
  private readonly givenUp: (client: string, entries: number) => void
  private oldest: Client | undefined
  private newest: Client | undefined
  private count = 0
  private bytes = 0                  // that save() takes

  /** `most`: bytes that save() may take. Beyond, the entries of the client that has been silent longest are given up, and `givenUp` is told. */
  constructor (most = 2 ** 20, givenUp: (client: string, entries: number) => void = () => {}) {
    this.most = most
    this.givenUp = givenUp
  }

  /** The position of the message that this one repeats. */
  find (client: string, packet: number, hash: bigint): Position | undefined {
    const entry = this.clients.get(client)?.entries.get(packet)
    return entry?.hash === hash ? entry.position : undefined
  }

  put (client: string, packet: number, hash: bigint, position: Position): void {
    const { entries } = this.heard(client)
    if (!entries.delete(packet)) this.counted(1)       // in the order of positions
    entries.set(packet, { hash, position })
    while (this.bytes > this.most && this.clients.size > 1) {
      const { name, entries: { size } } = this.oldest!
      this.forget(name)
      this.givenUp(name, size)
    }
  }

  /** It is the newest one now. */
  private heard (name: string): Client {
    if (this.newest?.name === name) return this.newest
    let client = this.clients.get(name)
    if (client === undefined) {
      this.clients.set(name, client = { name, entries: new Map(), older: undefined, newer: undefined })
      this.bytes += NAMED + Buffer.byteLength(name)
    } else this.leave(client)
    client.older = this.newest
    client.newer = undefined
    if (this.newest === undefined) this.oldest = client
    else this.newest.newer = client
    return this.newest = client
  }

  private leave ({ older, newer }: Client): void {
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
  }

  confirm (client: string, upTo: Position): void {
    const entries = this.clients.get(client)?.entries
    if (entries === undefined) return
    for (const [packet, { position }] of entries) {
      if (position > upTo) break
      entries.delete(packet)
      this.counted(-1)
    }
    if (entries.size === 0) this.forget(client)
  }

  clear (): void {
    this.clients.clear()
    this.oldest = this.newest = undefined
    this.count = this.bytes = 0
  }
  forget (name: string): void {
    const client = this.clients.get(name)
    if (client === undefined) return
    this.counted(-client.entries.size)
    this.bytes -= NAMED + Buffer.byteLength(name)
    this.clients.delete(name)
    this.leave(client)
  }
  private counted (more: number): void {
    this.count += more
    this.bytes += ENTRY * more
  }

  get size (): number { return this.count }

  /** All of it: for each client its name (u16 length, UTF-8), number of entries (u32), and those: packet id (u16), hash (u64), position (f64). */
  save (): Buffer {
    const parts: Buffer[] = []
    for (let client = this.oldest; client !== undefined; client = client.newer) {
      const { entries } = client, name = Buffer.from(client.name), head = Buffer.alloc(NAMED + name.length), body = Buffer.alloc(ENTRY * entries.size)
      head.writeUInt16LE(name.length, 0)
      name.copy(head, 2)
      head.writeUInt32LE(entries.size, 2 + name.length)
      let at = 0
      for (const [packet, { hash, position }] of entries) {
        body.writeUInt16LE(packet, at)
        body.writeBigUInt64LE(hash, at + 2)
        body.writeDoubleLE(position, at + 10)
        at += ENTRY
      }
      parts.push(head, body)
    }
    return Buffer.concat(parts)
  }

  load (bytes: Buffer, start: number, end: number): void {
    this.clear()
    for (let at = start; at < end;) {
      const length = bytes.readUInt16LE(at), client = bytes.toString('utf8', at + 2, at + 2 + length)
      at += 2 + length
      const count = bytes.readUInt32LE(at)
      at += 4
      for (let i = 0; i < count; i++, at += ENTRY) this.put(client, bytes.readUInt16LE(at), bytes.readBigUInt64LE(at + 2), bytes.readDoubleLE(at + 10))
    }
  }
}

/**
 * 64 bits over topic and payload: two 32-bit multiply-and-mix lanes with different constants. Not against an enemy: who can
 * forge it can publish. About 1 ns per byte. Written to `to`, which is returned.
 */
export function hashOf (topic: string, payload: Uint8Array, to: Buffer): Buffer {
  let a = 0x9e3779b9 ^ topic.length, b = 0x85ebca6b ^ payload.length
  for (let i = 0; i < topic.length; i++) {
    const c = topic.charCodeAt(i)
    a = Math.imul(a ^ c, 0x9e3779b1)
    b = Math.imul(b ^ c, 0x5f356495) + 0x27d4eb2f | 0
    b ^= b >>> 15
  }
  for (let i = 0; i < payload.length; i++) {
    const c = payload[i]
    a = Math.imul(a ^ c, 0x9e3779b1)
    b = Math.imul(b ^ c, 0x5f356495) + 0x27d4eb2f | 0
    b ^= b >>> 15
  }
  a = Math.imul(a ^ a >>> 16, 0x85ebca6b)
  b = Math.imul(b ^ b >>> 13, 0xc2b2ae35)
  to.writeUInt32LE((a ^ b >>> 16) >>> 0, 0)
  to.writeUInt32LE((b ^ a >>> 15) >>> 0, 4)
  return to
}
