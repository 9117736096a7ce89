import { mkdtempSync, rmSync } from 'node:fs'
import * as disk from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { clock, sleep } from '../engine/clock.ts'
import { disk as files } from '../engine/files.ts'
import { Pace } from '../engine/wal-pace.ts'
import { Wal } from '../engine/wal.ts'
import type { Each } from '../engine/wal-reader.ts'
import { kinds } from '../engine/wal-segment.ts'
import { mustEqual, round, spread, type Benchmark, type Figures } from './measure.ts'

const BODY = 120, RATE = 5000, SECONDS = 5, FULL = 1_000_000, RUNS = 5, MiB = 2 ** 20

/** What takes records and says when they are durable: the log, or the floor. */
interface Taker {
  /** False when it has no room; then `room` first. */
  append (body: Buffer): boolean
  flush (): Promise<void>
  /** Resolves when it may have room. */
  room (): Promise<void>
  /** Closes, and returns the sum of the numbers of the records that are found again, and how many. */
  check (): Promise<{ sum: number, count: number }>
}

/**
 * Records of 120 bytes through the log at 5,000 per second and as fast as it takes them, against the floor: the same bytes without
 * frames or checks, written and synced in groups at the same pace. Every record carries its number; at the end all are read back.
 */
export const wal: Benchmark = {
  summary: 'the write-ahead log: records per second, time of its syncs and CPU per record, against writing and syncing the same bytes bare',
  unit: 'record',
  async run (say) {
    const steady = await alternated(say, `${RATE} a second`, RUNS, steadily)
    const full = await alternated(say, 'full speed', RUNS, fully)
    return [
      { load: 'steady', rate: RATE, body_bytes: BODY, seconds: SECONDS, runs: RUNS, ...figures(steady) },
      { load: 'full', records: FULL, body_bytes: BODY, runs: RUNS, ...figures(full) }
    ]
  }
}

interface Run { readonly count: number, readonly perSecond: number, readonly cpu: number, readonly read: number, readonly syncs: RecordableHistogram }
type Load = (taker: Taker) => Promise<number>
type Open = (folder: string, syncs: RecordableHistogram) => Promise<Taker>

async function alternated (say: (line: string) => void, load: string, runs: number, work: Load): Promise<Record<'wal' | 'floor', Run[]>> {
  const taken: Record<'wal' | 'floor', Run[]> = { wal: [], floor: [] }
  for (let run = 0; run < runs; run++) {
    for (const [name, start] of [['wal', openLog], ['floor', openFloor]] as const) {
      const folder = mkdtempSync(join(process.cwd(), '.bench-wal-')), syncs = createHistogram()
      try {
        const taker = await start(folder, syncs), from = performance.now(), before = process.cpuUsage()
        const count = await work(taker)
        const { user, system } = process.cpuUsage(before), ms = performance.now() - from
        const reading = performance.now(), found = await taker.check()
        mustEqual(`${name}: records read back`, found.count, count)
        mustEqual(`${name}: sum of their numbers`, found.sum, count * (count - 1) / 2)
        taken[name].push({ count, perSecond: count / ms * 1000, cpu: (user + system) * 1000 / count, read: count / (performance.now() - reading) * 1000, syncs })
        say(`${load}, ${name}: ${count} records in ${(ms / 1000).toFixed(2)} s, ${syncs.count} syncs, all read back`)
      } finally { rmSync(folder, { recursive: true }) }
    }
  }
  return taken
}

function figures ({ wal, floor }: Record<'wal' | 'floor', Run[]>): Figures {
  const of = (runs: Run[], figure: (run: Run) => number) => spread(runs.map(figure)).median
  const ms = (runs: Run[], p: number) => round(of(runs, r => r.syncs.percentile(p)) / 1e6)
  const speed = of(wal, r => r.perSecond), bare = of(floor, r => r.perSecond)
  return {
    records_per_s: Math.round(speed), mb_per_s: round(speed * BODY / 1e6), fsync_p50_ms: ms(wal, 50), fsync_p99_ms: ms(wal, 99), cpu_ns_per_record: Math.round(of(wal, r => r.cpu)),
    records_per_fsync: round(of(wal, r => r.count / r.syncs.count)), read_back_records_per_s: Math.round(of(wal, r => r.read)),
    floor_records_per_s: Math.round(bare), floor_fsync_p50_ms: ms(floor, 50), floor_fsync_p99_ms: ms(floor, 99), floor_cpu_ns_per_record: Math.round(of(floor, r => r.cpu)), ratio_to_floor: round(speed / bare),
    records_per_s_spread: range(wal, r => r.perSecond), floor_records_per_s_spread: range(floor, r => r.perSecond), cpu_ns_per_record_spread: range(wal, r => r.cpu), floor_cpu_ns_per_record_spread: range(floor, r => r.cpu)
  }
}
const range = (runs: readonly Run[], figure: (run: Run) => number): readonly number[] => { const { low, high } = spread(runs.map(figure)); return [Math.round(low), Math.round(high)] }

const body = Buffer.alloc(BODY, 'x')
function numbered (n: number): Buffer {
  body.writeUInt32LE(n, 0)
  return body
}

/** 5 records each millisecond, as they are due; a late timer catches up. */
async function steadily (taker: Taker): Promise<number> {
  const from = performance.now(), total = RATE * SECONDS
  for (let n = 0; n < total; await sleep(1)) {
    for (const due = Math.min(total, (performance.now() - from) * RATE / 1000); n < due; n++) if (!taker.append(numbered(n))) throw new Error('there was no room at the steady rate')
  }
  await taker.flush()
  return total
}

async function fully (taker: Taker): Promise<number> {
  for (let n = 0; n < FULL;) {
    if (taker.append(numbered(n))) n++
    else await taker.room()
  }
  await taker.flush()
  return FULL
}

const openLog: Open = async (folder, syncs) => {
  const open: typeof disk.open = async (path, flags, mode) => timed(await disk.open(path, flags, mode), syncs)
  const wal = await Wal.open(folder, { log: { warn () {} }, fs: { ...files, open } }, new AbortController().signal)
  return {
    append: record => wal.append(kinds.message, 0, record) !== undefined,
    flush: () => wal.flush(),
    room: () => wal.room(BODY),
    async check () {
      const reader = wal.reader(0)
      let sum = 0, count = 0
      const each: Each = (_position, _kind, _ingest, bytes, start) => { sum += bytes.readUInt32LE(start); count++ }
      while (reader.position < wal.durable) await reader.read(each)
      await reader.close()
      await wal.close()
      return { sum, count }
    }
  }
}

/** Bodies only, in two buffers of 8 MiB: while one is written and synced, the other gathers. */
const openFloor: Open = async (folder, syncs) => {
  const file = timed(await disk.open(join(folder, 'floor'), 'w+'), syncs)
  let filling = Buffer.alloc(8 * MiB), writing = Buffer.alloc(8 * MiB), filled = 0, size = 0, running: Promise<void> | undefined, written = () => {}
  const pace = new Pace(clock)
  const run = async () => {
    await new Promise(go => { setImmediate(go) })
    while (filled > 0) {
      await pace.ready()
      const length = filled
      ;[filling, writing, filled] = [writing, filling, 0]
      await file.write(writing, 0, length, size)
      await file.datasync()
      size += length
      written()
    }
    running = undefined
  }
  return {
    append (record) {
      if (filled + BODY > filling.length) return false
      filling.set(record, filled)
      filled += BODY
      pace.add()
      running ??= run()
      return true
    },
    async flush () { await running },
    room: () => new Promise(go => { written = go }),
    async check () {
      let sum = 0, count = 0
      const chunk = Buffer.alloc(BODY * 2048)
      for (let at = 0; at < size; at += chunk.length) {
        const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
        for (let i = 0; i < bytesRead; i += BODY, count++) sum += chunk.readUInt32LE(i)
      }
      await file.close()
      return { sum, count }
    }
  }
}

function timed (handle: FileHandle, syncs: RecordableHistogram): FileHandle {
  const sync = handle.datasync.bind(handle)
  handle.datasync = async () => {
    const from = performance.now()
    await sync()
    syncs.record(Math.max(1, Math.round((performance.now() - from) * 1e6)))
  }
  return handle
}
