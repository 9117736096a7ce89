import { fork } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freshDatabase, postgresServer, query, temporary, until, type Service } from '../services.ts'
import { Archive, readArchive, type Message } from './archive.ts'
import { check, type Verdict } from './check.ts'
import { Commits } from './commits.ts'
import { Life, type Start } from './engine.ts'
import { work, type Truth } from './oracle.ts'
import { NAME, pipelineOf, settingsOf, TABLES, type Settings } from './pipeline.ts'
import type { Ledger, Task } from './publish.ts'
import { openTable, type Table } from './questdb.ts'
import { nameOf, payloadOf, readingOf, type Plan } from './readings.ts'
import { fixedPort, openOrigin, type Origin, type sources } from './source.ts'

export interface Setting {
  readonly source: typeof sources[number]
  readonly protocol?: 4 | 5          // of MQTT, for source mqtt
  readonly seed: number
  readonly series: number
  readonly rate: number              // messages/s
  readonly sink?: 'postgres' | 'questdb'     // questdb: as a follower beside it
  readonly oracle?: 'log' | 'ledger' // whose order the recomputation follows
  /** The database server; one of its own when absent. */
  readonly server?: Service
  /** Where its files are; a temporary folder, removed at the end, when absent. */
  readonly folder?: string
  /** Where the database keeps its tables. */
  readonly tablespace?: string
  /** How the engine is to reach what is there: something may stand between. */
  readonly reach?: (direct: Reach) => Promise<Reach>
  /** The pipeline, before it is written down. */
  readonly change?: (pipeline: any) => unknown
  /** What every life is started with. */
  readonly start?: Partial<Start>
  /** Values on which an operator throws: these readings are to be dead letters. */
  readonly poison?: (value: number) => boolean
}
export interface Reach { readonly broker: number, readonly database: string }

/** What came of it. Times in ms from a start after a fault, one for each that came so far. */
export interface Outcome extends Verdict, Ledger {
  readonly commits: number
  readonly repeated: number          // messages of the log that say what an earlier one has said
  readonly late: number
  readonly dead: number              // readings on which an operator threw
  readonly suppressed: number
  readonly ready: readonly number[]
  readonly recovered: readonly number[]        // to the first new commit
}

const SETTLED = 2000, PATIENCE = 60_000        // ms without a change until no more is expected: when all rows are there, when not

/**
 * What a fault needs around it: a database, a source, a publisher with its ledger, the archive of the log, and lives of the engine.
 * At the end every row is held against the ledger, and every score, window and alert against a recomputation from the log.
 * `closing` gets what must be undone at the end, in reverse, also after an error.
 */
export class Stage {
  readonly lives: Life[] = []
  readonly ready: number[] = []
  readonly plan: Plan
  readonly folder: string
  readonly ledgerFile: string
  readonly database: string          // for us; the engine may be given another way to it
  readonly origin: Origin
  readonly archive: Archive
  readonly commits: Commits
  publisher!: Publisher
  private readonly setting: Setting
  private readonly settings: Settings
  private readonly given: Omit<Start, 'folder'>
  private readonly follower: Table | undefined
  private readonly say: (line: string) => void
  private readonly signal: AbortSignal
  private readonly closing: (() => unknown)[]

  private constructor (setting: Setting, at: { readonly folder: string, readonly database: string, readonly reach: Reach, readonly http: number, readonly origin: Origin, readonly follower: Table | undefined, readonly commits: Commits }, say: (line: string) => void, signal: AbortSignal, closing: (() => unknown)[]) {
    this.setting = setting
    this.folder = at.folder
    this.database = at.database
    this.origin = at.origin
    this.follower = at.follower
    this.commits = at.commits
    this.say = say
    this.signal = signal
    this.closing = closing
    this.ledgerFile = join(at.folder, 'ledger')
    this.plan = { seed: setting.seed, series: setting.series, rate: setting.rate, start: Math.floor(Date.now() / 1000) * 1_000_000 }
    this.settings = settingsOf(this.plan)
    const file = join(at.folder, 'pipeline.json'), pipeline = pipelineOf(at.origin.from(at.reach.broker), this.settings, at.follower === undefined ? [] : [at.follower.sink])
    writeFileSync(file, JSON.stringify(setting.change?.(pipeline) ?? pipeline))
    this.given = { file, database: at.reach.database, http: at.http, connected: at.origin.connected }
    this.archive = new Archive(join(at.folder, 'engine', 'log'), join(at.folder, 'archive'))
    closing.push(() => { this.archive.stop() }, async () => { for (const life of this.lives) await life.destroy() })
  }

  static async open (setting: Setting, say: (line: string) => void, signal: AbortSignal, closing: (() => unknown)[]): Promise<Stage> {
    const folder = setting.folder ?? temporary('kill'), server = setting.server ?? await postgresServer()
    closing.push(() => { rmSync(folder, { recursive: true, force: true }) }, setting.server === undefined ? () => server.stop() : () => {})
    const database = await freshDatabase(server.url, setting.tablespace)
    closing.push(() => database.stop())
    const origin = await openOrigin(setting.source, setting.protocol ?? 5)
    closing.push(() => origin.stop())
    await origin.prepare?.(database.url)
    const follower = setting.sink === 'questdb' ? await openTable() : undefined
    closing.push(() => follower?.stop())
    const direct = { broker: origin.port, database: database.url }
    const commits = new Commits(database.url)
    closing.push(() => commits.close())
    return new Stage(setting, { folder, database: database.url, reach: await setting.reach?.(direct) ?? direct, http: origin.http ?? await fixedPort(), origin, follower, commits }, say, signal, closing)
  }

  /** A new life of the engine; `how` besides what the setting says. */
  start (how: Partial<Start> = {}): Life {
    const life = new Life({ folder: join(this.folder, 'engine'), ...this.given, ...this.setting.start, ...how })
    if (this.lives.length > 0) this.commits.started(life.spawned)
    this.lives.push(life)
    return life
  }

  /** The first life, a publisher, and a first commit. */
  async begin (how: Partial<Start> = {}): Promise<Life> {
    const life = this.start(how)
    await life.ready()
    this.publish()
    await this.progress()
    return life
  }

  /** Begins to publish, at so many times the plan's rate. */
  publish (times = 1): void {
    this.publisher = new Publisher({ plan: this.plan, times, ledger: this.ledgerFile, to: this.origin.to })
    this.closing.push(() => { this.publisher.stop() })
  }

  /** A life after another, ready. */
  async again (how: Partial<Start> = {}): Promise<Life> {
    const life = this.start(how)
    this.ready.push(await life.ready())
    return life
  }

  /** Resolves at the next commit. */
  async progress (within = 60_000): Promise<void> {
    const { count } = this.commits
    await until('the next commit', () => { this.signal.throwIfAborted(); return this.commits.count > count }, within, 20)
  }

  /** Ends publishing, waits until all is committed, and for `more`, stops the engine and checks. */
  async finish (more: () => Promise<void> = async () => {}): Promise<Outcome> {
    const { setting, commits: { count }, database, plan } = this
    const ledger = await this.publisher.finish()
    this.say(`published ${ledger.attempted} messages, ${ledger.acked} acknowledged`)
    const whole = await settled(database, ledger.acked, this.signal), life = this.lives.at(-1)!
    if (!whole) this.say(`the counts have stood still for ${PATIENCE / 1000} s: ${troubleOf(life)}`)
    await more()
    if (life.over) throw life.died()
    life.child.kill('SIGTERM')
    await life.ended
    this.archive.finish()
    const truth: Truth = await work(setting.oracle === 'ledger' ? published(plan, ledger.attempted) : this.messages(), this.settings, setting.poison)
    const verdict = await check(database, plan, this.settings, readFileSync(this.ledgerFile), truth, this.follower?.read, this.say)
    return { ...ledger, ...verdict, commits: count, repeated: truth.repeated, late: truth.late, dead: truth.dead.length, suppressed: ledger.replayed ?? this.lives.reduce((n, { events: { redelivery_suppressed: suppressed = 0 } }) => n + suppressed, 0), ready: this.ready, recovered: this.commits.firsts }
  }

  /** What the log has had so far. */
  messages (): Iterable<Message> | AsyncIterable<Message> { return this.origin.messages?.() ?? readArchive(join(this.folder, 'archive')) }
}

/** What was published, in its order: that of the log as long as nobody doubles or reorders anything on the way. */
function* published (plan: Plan, attempted: number): Generator<Message> {
  for (let m = 0; m < attempted; m++) {
    const reading = readingOf(plan, m)
    yield { position: m + 1, ingest: 0, topic: `${NAME}/${nameOf(reading.series)}`, payload: payloadOf(plan, reading) }
  }
}

/** What an engine says of itself: metrics of its place and its trouble, and the end of its log. */
const troubleOf = (life: Life): string => [...life.metrics.split('\n').filter(line => /^millrace_(ready|position|in_flight|log_waiting|readings_total)/.test(line)), life.log.slice(-2000)].join('\n')

/** Resolves when the counts stand still: soon when every acknowledged reading has its row, else after a while. Tells which. */
async function settled (url: string, acked: number, signal: AbortSignal): Promise<boolean> {
  let seen = '', since = 0, whole = false
  await until('no more is committed', async () => {
    signal.throwIfAborted()
    const counts = JSON.stringify(await query(url, 'SELECT branch, received, rows FROM counts ORDER BY branch'))
    const now = performance.now()
    if (counts !== seen) { seen = counts; since = now }
    if (now - since < SETTLED) return false
    whole = (await query(url, `SELECT (SELECT count(*) FROM ${TABLES.readings})::float8 + (SELECT count(*) FROM dead_letters)::float8 AS rows`))[0].rows >= acked
    return whole || now - since > PATIENCE
  }, 600_000, 250)
  return whole
}

/** The publisher, in a process of its own. */
export class Publisher {
  private readonly child: ReturnType<typeof fork>

  constructor (task: Task) {
    const here = import.meta.url
    this.child = fork(fileURLToPath(new URL(`publish${extname(here)}`, here)), [JSON.stringify(task)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  }

  /** Publishes nothing more; resolves when all is acknowledged, or nothing has been for a while, and the ledger is written. */
  finish (): Promise<Ledger> { return this.ask('stop') }
  /** Writes the ledger as it is now. */
  snapshot (): Promise<Ledger> { return this.ask('snapshot') }
  /** Goes on at so many times the plan's rate. */
  pace (times: number): void { this.child.send(times) }
  stop (): void { if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL') }

  private ask (what: 'stop' | 'snapshot'): Promise<Ledger> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the publisher ended with ${code}`))
      this.child.once('exit', ended).once('message', message => {
        this.child.off('exit', ended)
        resolve(message as Ledger)
      })
      this.child.send(what)
    })
  }
}
