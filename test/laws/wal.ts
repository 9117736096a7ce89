import fc from 'fast-check'
import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Wal, type WalOptions } from '../../engine/wal.ts'
import type { WalReader } from '../../engine/wal-reader.ts'
import type { Kind } from '../../engine/wal-segment.ts'
import { lay, RecordedDisk } from './wal-disk.ts'

/** Where to put what need not outlive the machine: syncs cost nothing there. */
export const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
export const never = new AbortController().signal
export interface Entry { readonly position: number, readonly kind: Kind, readonly ingest: number, readonly body: string }

/** A log whose warnings are kept. */
export const warnings = (): { warn: any, readonly said: any[] } => { const said: any[] = []; return { said, warn: (what: unknown) => { said.push(what) } } }
export const openWal = (folder: string, options: Partial<WalOptions> = {}): Promise<Wal> => Wal.open(folder, { log: warnings(), ...options }, never)

/** The record that a test appends at this position: all of it follows from the position. */
export function entry (position: number, size = position * 7 % 40): Entry {
  return { position, kind: (position % 4 + 1) as Kind, ingest: 1773057600000 + position / 8, body: `${position}:`.padEnd(size, String.fromCharCode(33 + position % 90)) }
}

/** Appends the entry of the next position; undefined when the log has no room. */
export function append (wal: Wal, position: number, size?: number): Entry | undefined {
  const { kind, ingest, body } = entry(position, size), half = position % body.length
  const got = wal.append(kind, ingest, Buffer.from(body.slice(0, half)), Buffer.from(body.slice(half)))
  if (got !== undefined) assert.equal(got, position, 'positions grow by one')
  return got === undefined ? undefined : entry(position, size)
}

/** One read. */
export async function take (reader: WalReader): Promise<Entry[]> {
  const entries: Entry[] = []
  await reader.read((position, kind, ingest, bytes, start, end) => { entries.push({ position, kind, ingest, body: bytes.toString('latin1', start, end) }) })
  return entries
}

/** Every durable record after a position. */
export async function all (wal: Wal, after = wal.first - 1): Promise<Entry[]> {
  const reader = wal.reader(after), entries: Entry[] = []
  try {
    while (reader.position < wal.durable) entries.push(...await take(reader))
  } finally { await reader.close() }
  return entries
}

/** What a process that is killed at this moment leaves behind. */
export const copyOf = (folder: string, to: string): Promise<void> => cp(folder, to, { recursive: true, filter: file => !basename(file).startsWith('lock') })

type Step = { readonly do: 'append', readonly sizes: readonly number[] } | { readonly do: 'flush' } | { readonly do: 'close' } | { readonly do: 'kill' } | { readonly do: 'drop' | 'reader' | 'read' | 'leave', readonly at: number }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('append' as const), sizes: fc.array(fc.oneof(fc.nat(30), fc.nat(400)), { minLength: 1, maxLength: 12 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'close' as const }, { do: 'kill' as const }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('drop' as const, 'reader' as const, 'read' as const, 'read' as const, 'leave' as const), at: fc.nat(1000) }) }
)

/**
 * A log beside an array of its records, through any appends, flushes, drops, readers, stops and kills: every reader sees
 * exactly what was appended, in order, once; what was durable stays; what a reader still needs is not dropped; the budget holds.
 */
export async function behavesLikeAnArray (runs: number, budget = 4000): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-wal-'))
  let n = 0
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
    let folder = join(root, String(++n)), told = { upTo: 0 }
    const open = () => {
      const mine = told = { upTo: 0 }
      return openWal(folder, { budget, segment: 300, durable: upTo => { assert.ok(upTo > mine.upTo); mine.upTo = upTo }, failed: error => { throw error } })
    }
    let wal = await open()
    let records: (Entry | undefined)[] = [undefined], known = 0, dropped = 0
    let readers: WalReader[] = []
    const checkAll = async () => {
      assert.ok(wal.first <= Math.max(1, dropped + 1), 'only what may be dropped is dropped')
      const { first, durable } = wal, entries = await all(wal)
      assert.ok(entries.length >= durable + 1 - first)
      assert.deepEqual(entries, records.slice(first, first + entries.length))
      assert.ok(wal.bytes <= budget + 100, `${wal.bytes} bytes`)
    }
    const reopen = async () => {
      for (const reader of readers) await reader.close()
      readers = []
      wal = await open()
      assert.ok(wal.durable >= known, `${wal.durable} after ${known} were durable`)
      assert.ok(wal.durable < records.length, 'nothing is there that was not appended')
      records = records.slice(0, wal.durable + 1)
      told.upTo = wal.durable
      await checkAll()
    }
    try {
      for (const s of steps) {
        if (s.do === 'append') {
          for (const size of s.sizes) {
            const made = append(wal, records.length, size)
            if (made === undefined) {
              for (const reader of readers) await reader.close()
              readers = []
              await wal.flush()
              await wal.drop(dropped = wal.durable)
              await wal.room(size)
              break
            }
            records.push(made)
          }
        } else if (s.do === 'flush') {
          await wal.flush()
          assert.equal(wal.durable, records.length - 1)
          assert.equal(told.upTo, wal.durable)
          await checkAll()
        } else if (s.do === 'close') {
          await wal.close()
          known = wal.durable
          assert.equal(known, records.length - 1)
          await reopen()
        } else if (s.do === 'kill') {
          known = wal.durable
          const before = folder
          folder = join(root, String(++n))
          await copyOf(before, folder)
          const old = wal
          await reopen()
          await old.close()
        } else if (s.do === 'drop') {
          const upTo = s.at % (wal.durable + 1)
          dropped = Math.max(dropped, Math.min(upTo, ...readers.map(r => r.position)))
          await wal.drop(upTo)
          await checkAll()
        } else if (s.do === 'reader') {
          readers.push(wal.reader(wal.first - 1 + s.at % (wal.durable - wal.first + 2)))
        } else {
          const reader = readers[s.at % Math.max(1, readers.length)]
          if (reader === undefined) continue
          if (s.do === 'leave') {
            readers.splice(readers.indexOf(reader), 1)
            await reader.close()
          } else if (reader.position < wal.durable) {
            const from = reader.position + 1
            const got = await take(reader)
            assert.ok(got.length > 0)
            assert.deepEqual(got, records.slice(from, from + got.length))
          }
        }
      }
      await wal.flush()
      await checkAll()
    } finally {
      for (const reader of readers) await reader.close()
      await wal.close()
      await rm(folder, { recursive: true, force: true })
    }
  }), { numRuns: runs })
  await rm(root, { recursive: true, force: true })
}

/**
 * Whatever part of its unsynced work a loss of power leaves, at any moment, the log opens, has every record that was durable and not dropped, and
 * nothing that was not appended; also when a process was killed before and its successor's readers have already
 * seen what only the system's memory had. Returns the number of states that were opened.
 */
export async function survivesLossOfPower (): Promise<number> {
  const root = await mkdtemp(join(memory, 'millrace-wal-'))
  try {
    let n = 0
    const recorded = async (diesAt = Infinity) => {
      const folder = join(root, `run${++n}`), recorder = new RecordedDisk(folder)
      recorder.diesAt = diesAt
      await session(folder, recorder).catch(error => { if (diesAt === Infinity) throw error })
      return { folder, recorder }
    }
    let states = 0
    const check = async (recorder: RecordedDisk, from: number) => {
      for (const state of recorder.states(from)) {
        const folder = join(root, 'state')
        lay(folder, state)
        try { await holds(folder, state.mark) } catch (error) { throw new Error(`after ${state.after}: ${(error as Error).message}`, { cause: error }) }
        rmSync(folder, { recursive: true })
        states++
      }
    }
    const { recorder } = await recorded()
    await check(recorder, 0)
    for (let at = 1; at <= recorder.ops.length; at++) {
      if (!['write', 'create', 'unlink'].includes(recorder.ops[at - 1].do)) continue
      const killed = await recorded(at)
      killed.recorder.diesAt = Infinity
      await session(killed.folder, killed.recorder, 1)
      await check(killed.recorder, at)
    }
    return states
  } finally { await rm(root, { recursive: true, force: true }) }
}

/** Opens, reads everything, appends in groups of one to three over several segments, drops, closes. */
async function session (folder: string, recorder: RecordedDisk, groups = 9): Promise<void> {
  let dropped = 0
  const wal = await openWal(folder, { fs: recorder.fs, budget: 4000, segment: 200, durable: durable => { recorder.mark({ durable, dropped }) } })
  dropped = wal.first - 1
  await all(wal)
  recorder.mark({ durable: wal.durable, dropped })
  let next = wal.durable + 1
  try {
    for (let group = 0; group < groups; group++) {
      for (let k = 0; k <= group % 3; k++) append(wal, next++)
      await wal.flush()
      if (group % 4 !== 3) continue
      recorder.mark({ durable: wal.durable, dropped: dropped = wal.durable - 2 })
      await wal.drop(dropped)
    }
  } finally { await wal.close() }
}

/** The log in this folder keeps what was promised, and works. */
async function holds (folder: string, { durable, dropped }: { durable: number, dropped: number }): Promise<void> {
  const wal = await openWal(folder)
  try {
    assert.ok(wal.durable >= durable, `the log ends at ${wal.durable}, ${durable} was durable`)
    assert.ok(wal.first <= dropped + 1, `the log begins at ${wal.first}, only ${dropped} was dropped`)
    const next = wal.durable + 1
    append(wal, next)
    await wal.flush()
    const entries = await all(wal)
    assert.deepEqual(entries, entries.map((_, i) => entry(wal.first + i)))
    assert.equal(entries.at(-1)!.position, next)
  } finally { await wal.close() }
}
