import { fork } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freshDatabase, postgresServer, query, temporary, until } from '../services.ts'
import { Archive, readArchive, type Message } from './archive.ts'
import { check, type Verdict } from './check.ts'
import { Commits } from './commits.ts'
import { Life } from './engine.ts'
import { work, type Truth } from './oracle.ts'
import { NAME, pipelineOf, settingsOf, TABLES } from './pipeline.ts'
import type { Ledger, Task } from './publish.ts'
import { nameOf, payloadOf, readingOf, uniform, type Plan } from './readings.ts'
import { openTable } from './questdb.ts'
import { fixedPort, openOrigin, type sources } from './source.ts'

export interface Given {
  readonly source: typeof sources[number]
  readonly kills: number
  readonly protocol: 4 | 5           // of MQTT, for source mqtt
  readonly seed: number
  readonly series: number
  readonly rate: number              // messages/s
  readonly seconds: number           // how long to publish when nothing is killed
  readonly stretch: number           // what waits before kills are multiplied by, for a machine that is slow or busy
  readonly sink: 'postgres' | 'questdb'      // questdb: as a follower beside it
  readonly oracle: 'log' | 'ledger'  // whose order the recomputation follows
}

/** What came of it. Times in ms from a start after a kill, one for each that came so far. */
export interface Outcome extends Verdict, Ledger {
  readonly commits: number           // until the last kill, or until publishing ends
  readonly repeated: number          // messages of the log that say what an earlier one has said
  readonly late: number
  readonly suppressed: number
  readonly ready: readonly number[]
  readonly recovered: readonly number[]        // to the first new commit
}

const STARTING = 0.1, STOPPING = 0.1           // shares of the kills during start-up and shut-down
const SETTLED = 2000, PATIENCE = 20_000        // ms without a change until no more is expected: when all rows are there, when not

/** Publishes, kills, waits until all is committed, checks. `closing` gets what must be undone at the end, in reverse, also after an error. */
export async function soak (given: Given, say: (line: string) => void, signal: AbortSignal, closing: (() => unknown)[]): Promise<Outcome> {
  const { seed, kills, stretch } = given
  const folder = temporary('kill'), server = await postgresServer()
  closing.push(() => rmSync(folder, { recursive: true, force: true }), () => server.stop())
  const database = await freshDatabase(server.url)
  closing.push(() => database.stop())
  const origin = await openOrigin(given.source, given.protocol)
  closing.push(() => origin.stop())
  const follower = given.sink === 'questdb' ? openTable() : undefined
  closing.push(() => follower?.stop())
  const plan: Plan = { seed, series: given.series, rate: given.rate, start: Math.floor(Date.now() / 1000) * 1_000_000 }
  const settings = settingsOf(plan), file = join(folder, 'pipeline.json'), ledgerFile = join(folder, 'ledger'), http = await fixedPort()
  writeFileSync(file, JSON.stringify(pipelineOf(origin.from, settings, follower === undefined ? [] : [follower.sink])))
  const archive = new Archive(join(folder, 'engine', 'log'), join(folder, 'archive'))
  const commits = await Commits.watch(database.url)
  closing.push(() => { archive.stop() }, () => commits.close())

  const lives: Life[] = [], ready: number[] = []
  const start = () => {
    const life = new Life({ file, database: database.url, folder: join(folder, 'engine'), http })
    lives.push(life)
    return life
  }
  const again = () => {
    const life = start()
    commits.started(life.spawned)
    return life
  }
  closing.push(async () => { for (const life of lives) await life.destroy() })

  let life = start()
  await life.ready(origin.connected)
  const publisher = startPublisher({ plan, ledger: ledgerFile, to: origin.to })
  closing.push(() => publisher.stop())
  await until('the first commit', () => commits.count > 0)

  for (let k = 0; k < kills; k++) {
    const manner = k === 0 ? 0.5 : uniform(seed, k, 1), starting = manner < STARTING, stopping = manner > 1 - STOPPING
    if (k > 0) life = again()
    if (k > 0 && !starting) ready.push(await life.ready(origin.connected))
    await sleep(stretch * (starting ? 250 * uniform(seed, k, 2) : 250 + 600 * uniform(seed, k, 3)), undefined, { signal })
    if (life.over) throw life.died()
    if (stopping) {
      life.child.kill('SIGTERM')
      await sleep(stretch * 100 * uniform(seed, k, 4), undefined, { signal })
    }
    await life.destroy()
    if ((k + 1) % 20 === 0) say(`${k + 1} kills, ${commits.count} commits`)
  }
  if (kills === 0) await sleep(given.seconds * 1000, undefined, { signal })
  const counted = commits.count
  if (kills > 0) {
    life = again()
    ready.push(await life.ready(origin.connected))
  }

  const ledger = await publisher.finish()
  say(`published ${ledger.attempted} messages, ${ledger.acked} acknowledged`)
  await settled(database.url, ledger.acked, signal)
  if (life.over) throw life.died()
  life.child.kill('SIGTERM')
  await life.ended
  archive.stop()

  const messages = given.oracle === 'ledger' ? published(plan, ledger.attempted) : origin.messages?.() ?? readArchive(join(folder, 'archive'))
  const truth: Truth = await work(messages, settings)
  const verdict = await check(database.url, plan, settings, readFileSync(ledgerFile), truth, follower?.read, say)
  return { ...ledger, ...verdict, commits: counted, repeated: truth.repeated, late: truth.late, suppressed: lives.reduce((n, l) => n + l.suppressed, 0), ready, recovered: commits.firsts }
}

/** What was published, in its order: that of the log as long as nobody doubles or reorders anything on the way. */
function* published (plan: Plan, attempted: number): Generator<Message> {
  for (let m = 0; m < attempted; m++) {
    const reading = readingOf(plan, m)
    yield { position: m + 1, ingest: 0, topic: `${NAME}/${nameOf(reading.series)}`, payload: payloadOf(plan, reading) }
  }
}

/** Resolves when the counts stand still: soon when every acknowledged reading has its row, else after a while. */
async function settled (url: string, acked: number, signal: AbortSignal): Promise<void> {
  let seen = '', since = 0
  await until('no more is committed', async () => {
    signal.throwIfAborted()
    const counts = JSON.stringify(await query(url, 'SELECT branch, received, rows FROM counts ORDER BY branch'))
    const now = performance.now()
    if (counts !== seen) { seen = counts; since = now }
    if (now - since < SETTLED) return false
    return now - since > PATIENCE || (await query(url, `SELECT count(*)::float8 AS rows FROM ${TABLES.readings}`))[0].rows >= acked
  }, 600_000, 250)
}

function startPublisher (task: Task): { finish (): Promise<Ledger>, stop (): void } {
  const here = import.meta.url
  const child = fork(fileURLToPath(new URL(`publish${extname(here)}`, here)), [JSON.stringify(task)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const answer = new Promise<Ledger>((resolve, reject) => {
    child.once('message', message => resolve(message as Ledger))
    child.once('exit', code => reject(new Error(`the publisher ended with ${code}`)))
  })
  answer.catch(() => {})
  return {
    finish () {
      child.send('stop')
      return answer
    },
    stop () { if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL') }
  }
}
