import { join } from 'node:path'
import type { Logger } from './log.ts'
import { MillraceError } from './errors.ts'
import type { FileSystem } from './files.ts'
import { damaged, endOf, firstOf, HEADER, readHeader, writeAll, type Segment } from './wal-segment.ts'

/** What a folder holds of a log. */
export interface Found {
  readonly segments: Segment[]       // those with records, in order
  readonly next: number              // the position after the last record
  readonly begun: boolean            // a segment for `next` is there, without records
}

/**
 * Finds the segments of a log. Every one but the last must be there with its full length; its records are checked when
 * they are read. The last one is read whole, cut behind its last whole record, with a warning, and made durable: what a
 * process that was killed has written may be in the system's memory only. It is written again for that, because a sync that
 * failed has left it in memory as if it were on the disk, and another sync would pass over it. Throws log/damaged.
 */
export async function recover (fs: FileSystem, folder: string, log: Pick<Logger, 'warn'>): Promise<Found> {
  const segments: Segment[] = []
  const names = (await fs.readdir(folder)).filter(name => firstOf(name) !== undefined).toSorted()
  for (const name of names) {
    const file = join(folder, name), first = firstOf(name)!
    const { size } = await fs.stat(file), before = segments.at(-1)
    if (name === names.at(-1) && size <= HEADER) {     // its header may be torn, but is written only when all before it is durable
      const end = before === undefined ? undefined : endOf(await bytesOf(fs, before), before)
      if (end !== undefined && end.next !== first) throw damaged(before!.file, end.end, `: its records end at position ${end.next - 1}, and the next segment begins at ${first}`)
      return { segments, next: first, begun: true }
    }
    const found = readHeader(await bytesOf(fs, { file, bytes: HEADER }))
    if (found?.first !== first) throw damaged(file, 0, ': this is not the header that was written')
    if (before !== undefined) follows(before, found.before, file)
    segments.push({ file, first, salt: found.salt, bytes: size })
  }
  const last = segments.at(-1)
  if (last === undefined) return { segments, next: 1, begun: false }
  const bytes = await bytesOf(fs, last), { end, next } = endOf(bytes, last)
  const handle = await fs.open(last.file, 'r+')
  try {
    if (end < last.bytes) {
      log.warn({ file: last.file, at: end, bytes: last.bytes - end }, 'log: it ends in records that were never finished; they are cut off')
      await handle.truncate(end)
    }
    await writeAll(handle, bytes, end, 0)
    await handle.sync()
  } finally { await handle.close() }
  last.bytes = end
  const begun = end === HEADER
  if (begun) segments.pop()
  return { segments, next, begun }
}

/** Throws unless `segment` is the one before `file`, whole. What an overtaken process wrote behind its end is not part of it. */
function follows (segment: Segment, { first, bytes }: Pick<Segment, 'first' | 'bytes'>, file: string): void {
  if (segment.first !== first) throw new MillraceError('log/damaged', `log: the segment before ${file}, of position ${first}, is missing: ${segment.file} stands before it`, { help: 'put the file back' })
  if (segment.bytes < bytes) throw damaged(segment.file, segment.bytes, `: the file ends here, ${bytes} bytes were durable`)
  segment.bytes = bytes
}

async function bytesOf (fs: FileSystem, { file, bytes }: Pick<Segment, 'file' | 'bytes'>): Promise<Buffer> {
  const handle = await fs.open(file, 'r')
  try {
    const buffer = Buffer.allocUnsafe(bytes)
    let length = 0
    for (let got = -1; got !== 0 && length < bytes; length += got) got = (await handle.read(buffer, length, bytes - length, length)).bytesRead
    return buffer.subarray(0, length)
  } finally { await handle.close() }
}
