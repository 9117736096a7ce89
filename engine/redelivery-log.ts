import { join } from 'node:path'
import type { FileSystem } from './files.ts'
import { readMessage } from './message.ts'
import type { Redeliveries } from './redelivery.ts'
import type { Position } from './source.ts'
import { kinds, type Kind } from './wal-segment.ts'
import type { Wal } from './wal.ts'

const HINT = 'senders'

/** The body of the record that says that a sender has been told of everything up to a position. */
export const barrier = (client: string, upTo: Position): Buffer => {
  const bytes = Buffer.alloc(8 + Buffer.byteLength(client))
  bytes.writeDoubleLE(upTo, 0)
  bytes.write(client, 8)
  return bytes
}

/** Where the newest record is that says all that may come again. Only so that a start need not look for it. */
export const noteSenders = (fs: FileSystem, folder: string, position: Position): Promise<void> => fs.writeFile(join(folder, HINT), String(position)).catch(() => {})

/**
 * What may come again, from the records since one that says all of it, or since the beginning. Returns the position of the newest
 * such record (0: none) and the ingest time of the newest record of any kind (ms; 0: none). Reads at most a segment or two.
 */
export async function readSenders (wal: Wal, fs: FileSystem, folder: string, redeliveries: Redeliveries): Promise<{ readonly position: Position, readonly newest: number }> {
  const noted = await fs.readFile(join(folder, HINT), 'utf8').then(Number, () => NaN)
  const reader = wal.reader((noted >= wal.first && noted <= wal.durable && await kindAt(wal, noted) === kinds.senders ? noted : wal.first) - 1)
  redeliveries.clear()               // what was put there and never became durable has to come again
  let senders = 0, newest = 0
  try {
    while (reader.position < wal.durable) {
      await reader.read((position, kind, ingest, bytes, from, to) => {
        newest = Math.max(newest, ingest)
        if (kind === kinds.message) {
          const { client, packet, hash } = readMessage(bytes, from)
          if (client !== undefined) redeliveries.put(client, packet, hash, position)
        } else if (kind === kinds.barrier) redeliveries.confirm(bytes.toString('utf8', from + 8, to), bytes.readDoubleLE(from))
        else if (kind === kinds.senders) {
          redeliveries.load(bytes, from, to)
          senders = position
        }
      })
    }
  } finally { await reader.close() }
  return { position: senders, newest }
}

/** The note may be of a record that never became durable: then another one has its position. */
async function kindAt (wal: Wal, at: Position): Promise<Kind | undefined> {
  const reader = wal.reader(at - 1)
  let found: Kind | undefined
  try { await reader.read((position, kind) => { if (position === at) found = kind }) } finally { await reader.close() }
  return found
}
