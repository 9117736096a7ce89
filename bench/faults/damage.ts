/** What is on disk is not what was written: bits have flipped, ends are missing. And what an older version has written. */
import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { append, entry, survivesLossOfPower } from '../../test/laws/wal.ts'
import { MillraceError, SeriesTable, type SnapshotPage } from '../../engine/index.ts'
import { intactOf } from '../../engine/checkpoint.ts'
import type { WalReader } from '../../engine/wal-reader.ts'
import { Wal } from '../../engine/wal.ts'
import { FileStore } from '../../sinks/file/store.ts'
import { Session } from '../../sinks/postgres-session.ts'
import { snapshotsOf } from '../../sinks/postgres-snapshots.ts'
import { NAME } from '../kill/pipeline.ts'
import { uniform } from '../kill/readings.ts'
import { Stage } from '../kill/stage.ts'
import { temporary } from '../services.ts'
import { goldens, load, write, type Golden } from './golden.ts'
import { preload } from './inside.ts'
import { unless, type Bench, type Report, type Row } from './row.ts'

/** What became of damages: the snapshot before was used, an error by name, an end that was taken for torn, one that nobody needs any more. */
interface Tally { previous: number, refused: number, torn: number, harmless: number, readonly wrong: string[] }
const tally = (): Tally => ({ previous: 0, refused: 0, torn: 0, harmless: 0, wrong: [] })

const quiet = pino({ level: 'silent' }), never = new AbortController().signal
const isDamage = (error: unknown): boolean => error instanceof MillraceError && (error.code === 'store/damaged' || error.code === 'log/damaged')
/** All of a snapshot, as one text. */
const textOf = (pages: readonly SnapshotPage[]): string => pages.map(p => `${p.partition}/${p.page} ${Buffer.from(p.data).toString('base64')}`).toSorted().join('\n')

/** Pages of snapshots of a real engine in PostgreSQL: a bit of what is kept flips, or an end is missing. */
async function inDatabase ({ rounds, progress, seed, say, signal, closing, server }: Bench): Promise<Tally> {
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 400, server: await server(), start: { node: preload('failpoint') } }, say, signal, closing)
  const life = await stage.begin()
  await sleep(4000, undefined, { signal })
  life.child.kill('SIGTERM')
  await life.ended
  const session = await Session.connect(stage.database, 30_000)
  closing.push(() => session.close())
  const { snapshots } = await snapshotsOf(session, NAME)
  if (snapshots.length !== 2) throw new Error(`there are ${snapshots.length} snapshots, two were to be`)
  const known = new Map(await Promise.all([textOf(await snapshots[0].content()), textOf(await snapshots[1].content())].map(async (text, i) => [snapshots[i].generation, text] as const)))
  const { rows: pages } = await session.query<{ partition: number, page: number, generation: string, bytes: number }>('SELECT partition, page, generation, length(data) AS bytes FROM snapshot_pages WHERE pipeline = $1', [NAME])
  const newest = (p: typeof pages[number]) => !pages.some(q => q.partition === p.partition && q.page === p.page && Number(q.generation) > Number(p.generation))
  const found = tally()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    const page = pages[Math.floor(pages.length * uniform(seed, k, 1))], u = uniform(seed, k, 2), at = [NAME, page.partition, page.page, page.generation]
    const how = k % 5 === 0 ? `UPDATE snapshot_pages SET data = substr(data, 1, ${Math.floor(page.bytes * u)})` : k % 7 === 0 ? `UPDATE snapshot_pages SET digest = set_bit(digest, b, 1 - get_bit(digest, b)) FROM (VALUES (${Math.floor(256 * u)})) AS v (b)` : `UPDATE snapshot_pages SET data = set_bit(data, b, 1 - get_bit(data, b)) FROM (VALUES (${Math.floor(8 * page.bytes * u)})) AS v (b)`
    await session.query('BEGIN')
    try {
      const { rowCount } = await session.query(`${how} WHERE pipeline = $1 AND partition = $2 AND page = $3 AND generation = $4`, at)
      if (rowCount !== 1) throw new Error(`${how} has changed ${rowCount} rows`)
      const got = await intactOf({ snapshots } as any, quiet)
      const matters = newest(page), right = got !== undefined && known.get(got.header.generation) === textOf(got.content)
      if (!right) found.wrong.push(`${how}: generation ${got?.header.generation} with other pages`)
      else if (matters && !got.older) found.wrong.push(`${how}: not noticed`)
      else if (matters) found.previous++
      else found.harmless++
    } catch (error) {
      if (!isDamage(error)) throw error
      found.refused++
    } finally { await session.query('ROLLBACK') }
  }
  return found
}

/** One file of the folder, not quite as it was. Returns what was done to which. */
function hurt (folder: string, names: readonly string[], seed: number, k: number): { readonly name: string, readonly what: string } {
  const name = names[Math.floor(names.length * uniform(seed, k, 3))], file = join(folder, name), { size } = statSync(file)
  if (k % 4 === 0) {
    const length = Math.floor(size * uniform(seed, k, 4))
    truncateSync(file, length)
    return { name, what: `${name} cut to ${length} of ${size} bytes` }
  }
  const bytes = readFileSync(file), bit = Math.floor(8 * size * uniform(seed, k, 4))
  bytes[bit >> 3] ^= 1 << (bit & 7)
  writeFileSync(file, bytes)
  return { name, what: `bit ${bit} of ${name} flipped` }
}

/** The file store: its log of commits and its snapshots. Where the last record is torn it stands at the commit before. */
async function inFiles ({ rounds, progress, seed, closing }: Bench): Promise<Tally> {
  const folder = temporary('damage'), origin = join(folder, 'origin'), copy = join(folder, 'copy'), found = tally()
  closing.push(() => { rmSync(folder, { recursive: true, force: true }) })
  const open = (at: string) => new FileStore(at, { pipeline: NAME, tables: [] }, { pipeline: NAME, series: new SeriesTable(10), log: quiet, database: undefined, folder }, { segment: 3000 })
  const store = open(origin), { epoch } = await store.open(never)
  const states = new Map<number, string>(), texts = new Map<number, string>()
  for (let version = 0; version < 40; version++) {
    const generation = 1 + Math.floor(version / 6), pages = Array.from({ length: 3 }, (_, page) => pageOf(generation, page))
    const snapshot = version % 6 !== 5 ? undefined : { generation, pages, complete: { generation, pages: pages.length, position: version, version, origin: 'log:x', layout: [] } }
    if (snapshot !== undefined) texts.set(generation, textOf(pages))
    await store.commit({ writes: [], alerts: [], late: [], deadLetters: [], position: version + 1, origin: 'log:x', partitions: [], marks: [], ingest: version, counts: () => ({}), epoch, version, ...snapshot === undefined ? {} : { snapshot } })
    states.set(version + 1, JSON.stringify([version + 1, [...texts.keys()].toReversed().slice(0, 2)]))
  }
  await store.close()
  const names = (readdirSync(origin, { recursive: true }) as string[]).filter(name => /\.(log|pages)$/.test(name)), last = names.filter(name => name.endsWith('.log')).toSorted().at(-1)
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    rmSync(copy, { recursive: true, force: true })
    cpSync(origin, copy, { recursive: true })
    const { name, what } = hurt(copy, names, seed, k), damaged = open(copy)
    try {
      const recovered = await damaged.open(never), { version, position, snapshots } = recovered
      if (states.get(version) !== JSON.stringify([position, snapshots.map(s => s.generation)]) || version < 40 && name !== last) found.wrong.push(`${what}: version ${version} at ${position}`)
      const got = await intactOf(recovered, quiet)
      if (got === undefined || textOf(got.content) !== texts.get(got.header.generation)) found.wrong.push(`${what}: generation ${got?.header.generation} with other pages`)
      else if (name.endsWith('.pages') && name.includes(`${snapshots[0].generation}.`) && !got.older) found.wrong.push(`${what}: not noticed`)
      else if (got.older) found.previous++
      else if (version < 40) found.torn++
      else found.harmless++
    } catch (error) {
      if (!isDamage(error)) throw error
      found.refused++
    } finally { await damaged.close() }
  }
  return found
}

const pageOf = (generation: number, page: number): SnapshotPage => {
  const data = Buffer.from(`page ${page} of generation ${generation} `.repeat(20))
  return { partition: page, page: 0, digest: createHash('sha256').update(data).digest(), data }
}

/** The write-ahead log. Only what nobody can know to have been durable, the last group, may be taken for torn. */
async function inLog ({ rounds, progress, seed, closing }: Bench): Promise<Tally> {
  const folder = temporary('damage'), origin = join(folder, 'origin'), copy = join(folder, 'copy'), found = tally(), log = { warn () {} }
  closing.push(() => { rmSync(folder, { recursive: true, force: true }) })
  const wal = await Wal.open(origin, { log, segment: 1500 }, never)
  let next = 1, group = 1
  for (let k = 0; k < 60; k++) {
    group = next
    for (let n = 1 + Math.floor(8 * uniform(seed, k, 9)); n > 0; n--) append(wal, next++)
    await wal.flush()
  }
  const names = readdirSync(origin).filter(name => name.endsWith('.log')), last = names.toSorted().at(-1)
  cpSync(origin, `${copy}.whole`, { recursive: true })
  await wal.close()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    rmSync(copy, { recursive: true, force: true })
    cpSync(`${copy}.whole`, copy, { recursive: true })
    rmSync(join(copy, 'lock'), { force: true })
    const { name, what } = hurt(copy, names, seed, k)
    let opened: Wal | undefined, reader: WalReader | undefined, read = 0
    try {
      opened = await Wal.open(copy, { log }, never)
      reader = opened.reader(0)
      while (reader.position < opened.durable) {
        await reader.read((position, kind, ingest, bytes, from, to) => {
          const want = entry(position)
          if (kind !== want.kind || ingest !== want.ingest || bytes.toString('utf8', from, to) !== want.body) found.wrong.push(`${what}: record ${position} is another one`)
          read = position
        })
      }
      const cut = /cut to/.test(what)          // an end that is missing is, in the last segment, an end that was never written
      if (read < next - 1 && (name !== last || read < group - 1 && !cut)) found.wrong.push(`${what}: ends at ${read} of ${next - 1}`)
      else if (read < next - 1) found.torn++
      else found.harmless++
    } catch (error) {
      if (!isDamage(error)) throw error
      found.refused++
    } finally {
      await reader?.close()
      await opened?.close().catch(() => {})
    }
  }
  return found
}

async function damage (bench: Bench): Promise<Report> {
  const parts = { database: await inDatabase(bench), files: await inFiles(bench), log: await inLog(bench) }
  const wrong = Object.entries(parts).flatMap(([where, { wrong }]) => wrong.slice(0, 5).map(w => `${where}: ${w}`))
  const { database, files, log } = parts
  return {
    figures: { damages: 3 * bench.rounds, ...Object.fromEntries(Object.entries(parts).map(([where, { wrong, ...counts }]) => [where, { ...counts, wrong: wrong.length }])) },
    wrong: [...wrong, ...unless(database.previous > 0 && files.previous > 0, 'no snapshot was passed over for an older one'), ...unless(files.refused > 0 && log.refused > 0, 'nothing was refused')]
  }
}

/** Snapshots that earlier versions have written: loaded, they go on as if nothing had been; with other steps, those begin anew. */
async function older (): Promise<Report> {
  const all = goldens(), wrong = all.flatMap(golden => unless(load(golden) === golden.after, `the snapshot of ${golden.version} goes on in another way`))
  const now: Golden = write()
  return {
    figures: { versions: all.map(g => g.version).join(' '), pages: all.reduce((n, g) => n + g.pages.length, 0) },
    wrong: [...wrong, ...unless(all.length > 0, 'there is no snapshot in test/fixtures/snapshots'), ...unless(load({ ...now, pages: [] }) !== now.after, 'what comes after does not depend on the snapshot: it shows nothing')]
  }
}

async function power (): Promise<Report> {
  const states = await survivesLossOfPower()
  return { figures: { states }, wrong: unless(states > 500, `only ${states} states`) }
}

export const damages: readonly Row[] = [
  {
    id: 'D3', name: 'snapshots and logs that are not as they were written', fault: 'random bits flip, ends are missing: pages in the database, the file store, the write-ahead log', expected: 'noticed; the one before is used, or it is refused by name; never a wrong state',
    tiers: { commit: 333, nightly: 1000, release: 1000 },
    run: damage
  },
  {
    id: 'D4', name: 'loss of power', fault: 'every state that unsynced work can leave', expected: 'nothing that was durable is lost (see test/engine/wal-crash.test.ts)',
    tiers: { nightly: 1, release: 1 },
    run: power
  },
  {
    id: 'D7', name: 'snapshots of earlier versions', fault: 'test/fixtures/snapshots, one for each version', expected: 'go on with the same outputs',
    tiers: { nightly: 1, release: 1 },
    run: older
  }
]
