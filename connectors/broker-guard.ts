import type { Socket } from 'node:net'

export interface GuardLimits {
  readonly connect: number           // bytes of the first packet, which must be a CONNECT
  readonly packet: number            // bytes of any later one, as its header declares them
}
/** A packet that was refused. `head` is what of it had been read with its header. */
export interface Refused { readonly declared: number, readonly limit: number, readonly type: number, readonly connected: boolean, readonly head: Buffer }

const CONNECT = 1
const HEADER = 5                     // longest fixed header: type, then 1 to 4 bytes of length

/** Whether more may be read now, and a call when that may have changed: nothing is read meanwhile, so the peer's window fills up. */
export interface Room { open (): boolean, next (go: () => void): void }

/**
 * Reads the fixed headers (MQTT 3.1.1, section 2.2) of what passes through socket.read(), and cuts the connection at a
 * packet that declares more than is allowed, before any of it has been collected. Copies nothing, 20 bytes per socket.
 */
export function guard (socket: Socket, limits: GuardLimits, refused: (packet: Refused) => void, room: Room): void {
  let left = 0                       // bytes of the packet under way
  let type = 0, length = 0, shift = -7           // of the header under way; -7: it has not begun
  let connected = false

  const bad = (chunk: Buffer, at: number, declared: number, limit: number): false => {
    refused({ declared, limit, type, connected, head: Buffer.from(chunk.subarray(at, at + 1024)) })
    return false
  }
  const passes = (chunk: Buffer): boolean => {
    for (let i = 0; i < chunk.length;) {
      if (left > 0) {
        const step = Math.min(left, chunk.length - i)
        left -= step
        i += step
      } else if (shift < 0) {
        type = chunk[i++] >> 4
        length = shift = 0
        if (!connected && type !== CONNECT) return bad(chunk, i, NaN, limits.connect)
      } else {
        const byte = chunk[i++]
        length += (byte & 127) * 2 ** shift
        shift += 7
        if (byte & 128) {
          if (shift === 7 * (HEADER - 1)) return bad(chunk, i, Infinity, limits.packet)
          continue
        }
        const limit = connected ? limits.packet : limits.connect
        if (length > limit) return bad(chunk, i, length, limit)
        connected = true
        left = length
        shift = -7
      }
    }
    return true
  }

  const read = socket.read.bind(socket)
  let waiting = false
  socket.read = (size?: number) => {
    if (!room.open()) {
      if (!waiting) room.next(() => { waiting = false; if (!socket.destroyed) socket.emit('readable') })
      waiting = true
      return null
    }
    const chunk = read(size) as Buffer | null
    if (chunk === null || passes(chunk)) return chunk
    socket.destroy()
    return null
  }
}
