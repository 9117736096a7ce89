/** The stream of JetStream itself: made anew, restored from an older copy, or shorter than the engine was away. */
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { startNats, withoutNats, type NatsServer } from '../../test/support/nats.ts'
import { Life } from '../kill/engine.ts'
import { uniform } from '../kill/readings.ts'
import { fixedPort } from '../kill/source.ts'
import { freshDatabase, query, temporary, until } from '../services.ts'
import { over } from './inside.ts'
import { Skipped, unless, type Bench, type Report, type Row } from './row.ts'

const STREAM = 'faults'
const BEGAN = Date.now() - 3_600_000

/** A server with a stream in a folder, a database, and lives of an engine that reads the one into the other. Values count up and are never repeated. */
class Rig {
  life!: Life
  private server: NatsServer | undefined
  private connection: NatsConnection | undefined
  private value = 0                  // of the next reading; its time is one millisecond for each
  private readonly port: number
  private readonly folder: string
  private readonly database: string
  private readonly http: number

  private constructor (folder: string, database: string, port: number, http: number) {
    this.folder = folder
    this.database = database
    this.port = port
    this.http = http
  }

  static async open ({ closing, server }: Bench): Promise<Rig> {
    if (withoutNats) throw new Skipped(withoutNats)
    const folder = temporary('streams'), database = await freshDatabase((await server()).url)
    closing.push(() => { rmSync(folder, { recursive: true, force: true }) }, () => database.stop())
    const rig = new Rig(folder, database.url, await fixedPort(), await fixedPort())
    const from = { jetstream: { servers: `nats://127.0.0.1:${rig.port}`, stream: STREAM, subject: 't.{device}.{metric}' } }
    writeFileSync(join(folder, 'pipeline.json'), JSON.stringify({ name: 'streams', from, time: { lateness: '1s', idle: '10m' }, to: [{ postgres: { table: 'readings' } }] }))
    closing.push(() => rig.halt(), () => rig.life?.destroy())
    return rig
  }

  /** The engine begins; `ready`: to read. */
  async start (ready = true): Promise<void> {
    this.life = new Life({ file: join(this.folder, 'pipeline.json'), database: this.database, folder: join(this.folder, 'engine'), http: this.http, connected: /"msg":"jetstream: reading"/ })
    if (ready) await this.life.ready()
  }

  async serve (): Promise<void> {
    this.server = await startNats({ port: this.port, args: ['-js', '-sd', join(this.folder, 'js')] })
    this.connection = await connect({ servers: this.server.url })
  }

  async halt (): Promise<void> {
    await this.connection?.close()
    await this.server?.stop()
    this.server = undefined
  }

  /** Makes the stream; deletes one that is there. At most so many messages stay in it. */
  async make (most = -1): Promise<void> {
    const { streams } = await jetstreamManager(this.connection!)
    await streams.delete(STREAM).catch(() => {})
    await streams.add({ name: STREAM, subjects: ['t.>'], storage: 'file', max_msgs: most })
  }

  async publish (n: number): Promise<void> {
    const js = (await jetstreamManager(this.connection!)).jetstream()
    for (let left = n; left > 0; left -= 500) await Promise.all(Array.from({ length: Math.min(500, left) }, () => js.publish(`t.d${this.value % 8}.m`, `{"ts":${BEGAN + this.value},"value":${this.value++}}`)))
  }

  /** A copy of the server's folder; with `back` the folder is as it was then. The server is not running. */
  copy (back = false): void {
    const [now, then] = ['js', 'copy'].map(name => join(this.folder, name)), [from, to] = back ? [then, now] : [now, then]
    rmSync(to, { recursive: true, force: true })
    cpSync(from, to, { recursive: true })
  }

  async values (): Promise<number[]> { return (await query(this.database, 'SELECT value::int AS value FROM readings ORDER BY value')).map(r => r.value as number) }
  /** Waits for so many rows. */
  async rows (n: number): Promise<void> { await until(`${n} rows are there`, async () => (await query(this.database, 'SELECT count(*)::int AS n FROM readings'))[0].n >= n, 60_000) }
}

/** How a stream may become another one: while the engine reads it and while it is away, as a new one and as an older copy that has gone on. */
const manners: Readonly<Record<string, (rig: Rig, more: number) => Promise<void>>> = {
  async 'made anew while away' (rig, more) {
    await rig.life.destroy()
    await rig.make()
    await rig.publish(more)
    await rig.start(false)
  },
  async 'made anew while reading' (rig, more) {
    await rig.make()
    await rig.publish(more)
  },
  async 'older copy while away' (rig, more) {
    await rig.life.destroy()
    await older(rig)
    await sleep(1100)
    await rig.publish(more)
    await rig.start(false)
  },
  async 'older copy while reading' (rig) { await older(rig) }
}
async function older (rig: Rig): Promise<void> {
  await rig.halt()
  rig.copy(true)
  await rig.serve()
}

/** The engine must end, and say why; nothing of the other stream may become a row. */
async function another (bench: Bench): Promise<Report> {
  const { rounds, progress, seed, signal } = bench, told: Record<string, number> = {}, wrong: string[] = []
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    const rig = await Rig.open(bench), [name, manner] = Object.entries(manners)[k % 4], first = 50 + Math.floor(200 * uniform(seed, k, 1)), second = 50 + Math.floor(200 * uniform(seed, k, 2))
    await rig.serve()
    await rig.make()
    await rig.publish(first)
    await rig.halt()
    rig.copy()
    await rig.serve()
    await rig.publish(second)
    await rig.start()
    await rig.rows(first + second)
    await manner(rig, first + second + Math.floor(300 * uniform(seed, k, 3)))
    await over(rig.life, 'the engine ends', signal, 60_000)
    const rows = await rig.values()
    if (rig.life.child.exitCode !== 0 && /source\/stream-reset/.test(rig.life.log)) told[name] = (told[name] ?? 0) + 1
    else wrong.push(`${name}: the engine ended with ${rig.life.child.exitCode}: ${rig.life.log.slice(-500)}`)
    if (rows.length !== first + second) wrong.push(`${name}: ${rows.length} rows, not ${first + second}`)
    await rig.halt()
  }
  return { figures: { streams: rounds, told }, wrong }
}

const MOST = 400                     // messages in the stream

/** More comes than the stream keeps, while the engine is away; the gap is counted exactly, and all that is still there becomes rows. */
async function overtaken (bench: Bench): Promise<Report> {
  const { rounds, progress, seed } = bench, rig = await Rig.open(bench), wrong: string[] = []
  await rig.serve()
  await rig.make(MOST)
  await rig.publish(MOST / 2)
  await rig.start()
  let rows = MOST / 2, missing = 0, counted = 0
  await rig.rows(rows)
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await rig.life.destroy()
    const gap = 1 + Math.floor(1000 * uniform(seed, k))
    await rig.publish(MOST + gap)
    await rig.start()
    await rig.rows(rows += MOST)
    missing += gap
    await until('the gap is counted', () => rig.life.events.record_lost !== undefined)
    counted += rig.life.events.record_lost
    if (rig.life.events.record_lost !== gap) wrong.push(`${rig.life.events.record_lost} messages were counted as lost, not ${gap}`)
  }
  const all = await rig.values()
  return { figures: { gaps: rounds, missing, counted, rows: all.length }, wrong: [...wrong, ...unless(all.length === rows, `${all.length} rows, not ${rows}`)] }
}

export const streams: readonly Row[] = [
  {
    id: 'D5', name: 'the stream is another one', fault: Object.keys(manners).join(', '), expected: 'the engine ends with source/stream-reset, and nothing of the other stream becomes a row',
    tiers: { commit: 4, nightly: 12, release: 40 },
    run: another
  },
  {
    id: 'D6', name: 'retention overtakes the engine', fault: `more messages than the ${MOST} that the stream keeps, while the engine is away`, expected: 'the gap is counted exactly',
    tiers: { commit: 2, nightly: 10, release: 40 },
    run: overtaken
  }
]
