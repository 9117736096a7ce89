/**
 * A device that detectors are to learn anew, because a maintenance window of it is over: what they have learned of it from readings
 * that arrived before `end` (ms since 1970) is void.
 */
export interface Relearn { readonly tenant: string, readonly device: string, readonly end: number }

/** As the body of a log record, little endian: end (f64), tenant, device (u16 length, UTF-8, each). */
export function relearnBody ({ tenant, device, end }: Relearn): Buffer {
  const names = [tenant, device].map(name => Buffer.from(name)), bytes = Buffer.alloc(8 + names.reduce((n, { length }) => n + 2 + length, 0))
  let at = bytes.writeDoubleLE(end)
  for (const name of names) at = bytes.writeUInt16LE(name.length, at) + name.copy(bytes, at + 2)
  return bytes
}

export function readRelearn (bytes: Buffer, start: number): Relearn {
  let at = start + 8
  const text = () => {
    const from = at + 2
    at = from + bytes.readUInt16LE(at)
    return bytes.toString('utf8', from, at)
  }
  return { end: bytes.readDoubleLE(start), tenant: text(), device: text() }
}
