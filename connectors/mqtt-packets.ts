import type { Duplex, Writable } from 'node:stream'

/** A PUBLISH as it stands in the bytes of a connection; the payload is valid only during the call. */
export interface Published { readonly topic: string, readonly payload: Buffer, readonly qos: 0 | 1, readonly dup: boolean, readonly messageId: number | undefined }

const PUBLISH = 3, RETAINED = 1, DUPLICATE = 8

/**
 * Reads a connection in front of mqtt.js. A PUBLISH of QoS 0 or 1 that is not retained and has no properties goes to `take` from the
 * bytes as they came; every other packet goes to mqtt.js (`others`), and nothing is read until it is done with it, so that none overtakes
 * another. While `take` returns false nothing is read either, and `wait` calls back when to try again. mqtt.js makes an object, events and a
 * turn of the queue of each message: more than half of what a message cost, see docs/explain/performance.md.
 */
export function readPackets (from: Duplex, others: Writable, { version, take, wait }: {
  readonly version: 4 | 5, readonly take: (message: Published) => boolean, readonly wait: (go: () => void) => void
}): void {
  let parts: Buffer[] = []           // what has come and is not whole yet
  let held = 0, needed = 0           // bytes of them, and how many make it worth to look
  let stopped = false                // until somebody is ready again

  const go = () => {
    stopped = false
    work()
    if (!stopped) from.resume()
  }
  const stop = (bytes: Buffer, at: number) => {
    stopped = true
    keep(bytes, at, 0)
    from.pause()
  }
  const keep = (bytes: Buffer, at: number, need: number) => {
    parts = at === bytes.length ? [] : [bytes.subarray(at)]
    held = bytes.length - at
    needed = need
  }
  const work = () => {
    if (held === 0 || held < needed) return
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts, held)
    let at = 0
    while (at < bytes.length) {
      let body = at + 1, length = 0, shift = 0
      for (; body < bytes.length && shift < 28; shift += 7) {
        const byte = bytes[body++]
        length += (byte & 127) * 2 ** shift
        if (byte < 128) { shift = -1; break }
      }
      if (shift >= 28) {             // no length: mqtt.js has the words for that
        others.write(bytes.subarray(at))
        return keep(bytes, bytes.length, 0)
      }
      if (shift >= 0 || body + length > bytes.length) return keep(bytes, at, shift >= 0 ? 0 : body + length - at)
      const message = published(bytes, at, body, body + length, version)
      if (message === undefined) {
        const packet = bytes.subarray(at, body + length)
        stop(bytes, body + length)
        return void others.write(packet, go)
      }
      if (!take(message)) {
        stop(bytes, at)
        return wait(go)
      }
      at = body + length
    }
    keep(bytes, at, 0)
  }
  from.on('data', (chunk: Buffer) => {
    parts.push(chunk)
    held += chunk.length
    if (!stopped) work()
  })
}

/** The packet from `at`, with its body from `body` to `end`; undefined when it is for mqtt.js. */
function published (bytes: Buffer, at: number, body: number, end: number, version: 4 | 5): Published | undefined {
  const head = bytes[at], qos = head >> 1 & 3
  if (head >> 4 !== PUBLISH || qos > 1 || (head & RETAINED) !== 0 || end - body < 2) return undefined
  const topic = body + 2, after = topic + bytes.readUInt16BE(body), properties = after + 2 * qos, payload = version === 5 ? properties + 1 : properties
  if (after === topic || payload > end || (version === 5 && bytes[properties] !== 0)) return undefined
  const messageId = qos === 0 ? undefined : bytes.readUInt16BE(after)
  if (messageId === 0) return undefined
  return { topic: bytes.toString('utf8', topic, after), payload: bytes.subarray(payload, end), qos: qos as 0 | 1, dup: (head & DUPLICATE) !== 0, messageId }
}
