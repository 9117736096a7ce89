import { MillraceError } from './errors.ts'
import type { Requested } from './listener.ts'
import { readMessage } from './message.ts'
import { kinds } from './wal-segment.ts'
import type { Wal } from './wal.ts'

/** What stands at a position of a log: a message as it came, or what the clock or the start of the process had to say. */
export interface Origin {
  readonly kind: string
  readonly ingest: number                    // ms
  readonly topic?: string
  readonly bytes?: number                    // of its payload
  readonly request?: Requested               // over HTTP
  readonly client?: string                   // of a broker or a device: who sent it
  readonly packet?: number                   // and under which packet id
  readonly idempotencyKey?: string           // without whose it is
}

const names = new Map(Object.entries(kinds).map(([name, kind]) => [kind, name]))

/**
 * What made the rows and alerts of a position. Nothing is written for it: it is the record of the log, which is there as long as
 * a pipeline needs it, and then as far as `--log-keep` goes: see docs/decisions/0012. Reads the segment from its beginning: at most 16 MiB. Throws log/dropped, api/not-found.
 */
export async function originOf (wal: Wal, position: number): Promise<Origin> {
  if (position > wal.durable) throw new MillraceError('api/not-found', `the log has no position ${position} yet: it ends at ${wal.durable}`)
  if (position < wal.first) throw new MillraceError('log/dropped', `the record at ${position} is not kept any more: the log begins at ${wal.first}`, { help: 'a larger --log-keep of millrace run keeps more of it' })
  const reader = wal.reader(position - 1)
  let found: Origin | undefined
  try {
    await reader.read((at, kind, ingest, body, from, to) => {
      if (at !== position) return
      const said = { kind: names.get(kind)!, ingest }
      if (kind !== kinds.message) return void (found = said)
      const { topic, request, client, packet, key, payload } = readMessage(body, from)
      found = { ...said, topic, bytes: to - payload, ...request === undefined ? {} : { request }, ...client === undefined ? {} : { client, packet }, ...key === undefined ? {} : { idempotencyKey: key.slice(key.indexOf('\n') + 1) } }
    })
  } finally { await reader.close() }
  if (found === undefined) throw new MillraceError('log/dropped', `the record at ${position} is not kept any more`)
  return found
}
