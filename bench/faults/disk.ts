/** The disk under the log, and under the database: it fails, and it is full. */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, seriesOf, stepOf, uniform } from '../kill/readings.ts'
import { Stage } from '../kill/stage.ts'
import { query, temporary, until } from '../services.ts'
import { over } from './inside.ts'
import { figuresOf } from './kills.ts'
import { exact, percentiles, Skipped, unless, type Bench, type Report, type Row } from './row.ts'

const ENDS = 1000                    // ms

/** fdatasync of the log's segment fails, at a random one of the next syncs. What was not durable before must not be acknowledged after. */
async function unsynced ({ rounds, progress, seed, stretch, say, signal, closing, server }: Bench): Promise<Report> {
  if (spawnSync('strace', ['-V']).error !== undefined) throw new Skipped('strace is not installed: apt install strace')
  const stage = await Stage.open({ source: 'broker', seed, series: 64, rate: 800, server: await server() }, say, signal, closing)
  let life = await stage.begin(), acked = 0, behind = 0
  const ended: number[] = [], wrong: string[] = []
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    const trace = join(stage.folder, `trace-${k}`), segment = newest(join(stage.folder, 'engine', 'log'))
    const strace = spawn('strace', ['-f', '-ttt', '-p', String(life.child.pid), '-o', trace, '-e', 'trace=fdatasync,fsync', '-e', `inject=fdatasync,fsync:error=EIO:when=${1 + Math.floor(40 * uniform(seed, k))}+`, '-P', segment], { stdio: 'ignore' })
    const gone = new Promise(resolve => strace.once('exit', resolve))
    closing.push(() => { if (strace.exitCode === null && strace.signalCode === null) strace.kill('SIGTERM') })
    await over(life, 'the engine ends by itself', signal)
    const end = Date.now()
    await gone
    const [, at] = /([\d.]+) f(?:data)?sync\(.*EIO.*INJECTED/.exec(readFileSync(trace, 'utf8')) ?? []
    if (at === undefined) throw new Error(`nothing was injected: ${readFileSync(trace, 'utf8').slice(-300)}`)
    ended.push(end - Number(at) * 1000)
    const [, durable] = /nothing after position (\d+) is durable/.exec(life.log) ?? []
    if (life.child.exitCode !== 1 || durable === undefined) throw life.died()
    await stage.publisher.snapshot()
    const ledger = readFileSync(stage.ledgerFile), { plan } = stage
    for await (const { position, topic, payload } of stage.messages()) {
      if (position <= Number(durable)) continue
      const [, device, metric] = topic.split('/'), { ts } = JSON.parse(payload) as { ts: number }
      behind++
      acked += ledger[messageOf(plan, { series: seriesOf(`${device}/${metric}`), n: (ts - plan.start) / stepOf(plan) })] ?? 0
    }
    life = await stage.again()
    await stage.progress()
  }
  const outcome = await stage.finish(), slowest = Math.round(Math.max(...ended))
  return {
    figures: { errors: rounds, written_after: behind, acked_after: acked, ended_ms: percentiles(ended), ...figuresOf(outcome) },
    wrong: [...wrong, ...exact(outcome), ...unless(acked === 0, `${acked} messages were acknowledged that were not durable`), ...unless(behind > 0, 'nothing was under way at an error: the errors show nothing'), ...unless(slowest <= ENDS * stretch, `it ended only after ${slowest} ms`)]
  }
}

const newest = (folder: string): string => join(folder, (readdirSync(folder, { recursive: true }) as string[]).filter(name => name.endsWith('.log')).toSorted().at(-1)!)

const RECOVERS = 10_000              // ms
const GROWTH = 128                   // MB that the engine may grow by while it waits

/** A small disk, mounted at the folder until the row ends. */
function mount (folder: string, size: string, closing: (() => unknown)[]): void {
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=777`, 'millrace', folder]).status !== 0) throw new Skipped('this user may not mount a small disk')
  closing.push(() => { spawnSync('umount', ['-l', folder]) })
}

/** Fills the disk to its last byte. */
function fill (folder: string): string {
  const file = join(folder, 'ballast'), descriptor = openSync(file, 'w')
  try {
    for (let size = 2 ** 20; size > 0;) try { writeSync(descriptor, Buffer.alloc(size)) } catch { size = Math.floor(size / 4) }
  } finally { closeSync(descriptor) }
  return file
}

const memoryOf = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

/** The disk of the log is full for a while, then that of the database, in turn. */
async function full (bench: Bench): Promise<Report> {
  const { rounds, progress, seed, stretch, say, signal, closing } = bench, server = await bench.server()
  const folder = temporary('small'), tables = server.room('small')
  closing.push(() => { rmSync(folder, { recursive: true, force: true }) })
  mount(folder, '300m', closing)
  mount(tables, '300m', closing)
  mkdirSync(join(tables, 'space'), { mode: 0o777 })
  server.give(join(tables, 'space'))
  await query(server.url, `CREATE TABLESPACE small LOCATION '${join(tables, 'space')}'`)
  closing.push(() => query(server.url, 'DROP TABLESPACE small'))
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 800, server, folder, tablespace: 'small' }, say, signal, closing)
  const life = await stage.begin(), back: number[] = [], pid = life.child.pid!, before = memoryOf(pid)
  let grown = 0
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await stage.progress()
    const [disk, said] = k % 2 === 0 ? [folder, 'log: the disk is full'] as const : [tables, 'store failed, trying again'] as const
    const times = life.times(said), ballast = fill(disk)
    await until(`the engine says "${said}"`, () => { signal.throwIfAborted(); return life.times(said) > times }, 120_000, 10)
    await sleep(2000 + 2000 * uniform(seed, k), undefined, { signal })
    grown = Math.max(grown, memoryOf(pid) - before)
    rmSync(ballast)
    const began = performance.now()
    await stage.progress()
    back.push(performance.now() - began)
  }
  const outcome = await stage.finish(), slowest = Math.round(Math.max(...back))
  return {
    figures: { times_full: rounds, grown_mb: Math.round(grown), back_ms: percentiles(back), ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...unless(slowest <= RECOVERS * stretch, `it worked again only after ${slowest} ms`), ...unless(grown <= GROWTH, `the engine grew by ${Math.round(grown)} MB`)]
  }
}

export const disk: readonly Row[] = [
  {
    id: 'D1', name: 'the disk of the log fails', fault: 'EIO of fdatasync, by strace', expected: 'nothing acknowledged that was not durable; ends within 1 s',
    tiers: { commit: 2, nightly: 20, release: 100 },
    run: unsynced
  },
  {
    id: 'D2', name: 'the disk of the log is full, and that of the database', fault: 'ENOSPC on a small tmpfs', expected: 'waits without growing, works again within 10 s, nothing lost',
    tiers: { nightly: 4, release: 20 },
    run: full
  }
]
