import type { Reason } from './errors.ts'
import type { Message } from './listener.ts'

const STAMP = 1, SENDER = 2, REJECTED = 4, READING = 8, KEY = 16, REQUEST = 32

/**
 * A message as the body of a log record, all little endian: topic (u16 length, UTF-8), flags (u8), then as they say: 1 stamp (u16
 * length, UTF-8); 2 sender: client (u16 length, UTF-8), packet id (u16), hash (8 bytes); 4 rejected: reason, detail (u16 length,
 * UTF-8, each); 8 reading: tenant, device, metric (u16 length, UTF-8, each), time and value (f64); 16 key (u16 length, UTF-8); 32
 * request: its id, its API key, the tenant (u16 length, UTF-8, each); then the payload, to the end. Returns what stands before the payload: valid until the next call.
 */
export class MessageHead {
  private bytes = Buffer.allocUnsafeSlow(1024)

  write ({ topic, stamp, sender, rejected, reading, key, request }: Message, hash: Buffer): Buffer {
    let at = this.text(topic, 0)
    this.bytes[at++] = (stamp === undefined ? 0 : STAMP) | (sender === undefined ? 0 : SENDER) | (rejected === undefined ? 0 : REJECTED) | (reading === undefined ? 0 : READING) | (key === undefined ? 0 : KEY) | (request === undefined ? 0 : REQUEST)
    if (stamp !== undefined) at = this.text(stamp, at)
    if (sender !== undefined) {
      at = this.text(sender.client, at)
      this.bytes.writeUInt16LE(sender.packet, at)
      hash.copy(this.bytes, at + 2)
      at += 2 + hash.length
    }
    if (rejected !== undefined) at = this.text(rejected.detail, this.text(rejected.reason, at))
    if (reading !== undefined) at = this.bytes.writeDoubleLE(reading.value, this.bytes.writeDoubleLE(reading.time, this.text(reading.metric, this.text(reading.device, this.text(reading.tenant, at)))))
    if (key !== undefined) at = this.text(key, at)
    if (request !== undefined) at = this.text(request.tenant, this.text(request.key, this.text(request.id, at)))
    return this.bytes.subarray(0, at)
  }

  /** Text that is longer than 65,535 bytes is cut: no protocol here has longer topics. */
  private text (text: string, at: number): number {
    const room = 3 * text.length + 1024
    if (at + room > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (at + room))
      this.bytes.copy(larger, 0, 0, at)
      this.bytes = larger
    }
    const length = this.bytes.write(text, at + 2, Math.min(0xffff, this.bytes.length - at - 2))
    this.bytes.writeUInt16LE(length, at)
    return at + 2 + length
  }
}

export interface Read { topic: string, stamp: string | undefined, rejected: Message['rejected'], reading: Message['reading'], client: string | undefined, packet: number, hash: bigint, key: string | undefined, request: Message['request'], payload: number }

/** The message that stands in bytes from `start` on; `payload` is where its payload begins. The same object at every call. */
export function readMessage (bytes: Buffer, start: number): Read {
  let at = start
  const text = () => {
    const from = at + 2
    at = from + bytes.readUInt16LE(at)
    return bytes.toString('utf8', from, at)
  }
  read.topic = text()
  const flags = bytes[at++]
  read.stamp = (flags & STAMP) === 0 ? undefined : text()
  read.client = undefined
  if ((flags & SENDER) !== 0) {
    read.client = text()
    read.packet = bytes.readUInt16LE(at)
    read.hash = bytes.readBigUInt64LE(at + 2)
    at += 10
  }
  read.rejected = (flags & REJECTED) === 0 ? undefined : { reason: text() as Reason, detail: text() }
  read.reading = (flags & READING) === 0 ? undefined : { tenant: text(), device: text(), metric: text(), time: bytes.readDoubleLE(at), value: bytes.readDoubleLE(at + 8) }
  if (read.reading !== undefined) at += 16
  read.key = (flags & KEY) === 0 ? undefined : text()
  read.request = (flags & REQUEST) === 0 ? undefined : { id: text(), key: text(), tenant: text() }
  read.payload = at
  return read
}
const read: Read = { topic: '', stamp: undefined, rejected: undefined, reading: undefined, client: undefined, packet: 0, hash: 0n, key: undefined, request: undefined, payload: 0 }
