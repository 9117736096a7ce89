/** K4redis: two engines that are fed the same requests and share their keys by Redis; one is killed, and what it has not answered goes to the other. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { redisServer, withoutRedis } from '../../test/support/redis.ts'
import { Life, type Start } from '../kill/engine.ts'
import { uniform } from '../kill/readings.ts'
import { fixedPort, openOrigin } from '../kill/source.ts'
import { freshDatabase, query, temporary, until } from '../services.ts'
import { over, preload } from './inside.ts'
import { Skipped, unless, type Bench, type Report, type Row } from './row.ts'

const NAMES = ['a', 'b'] as const
const SENDERS = 8, EVERY = 25, AGAIN = 20            // ms between requests of one, and before the next try
const PATIENCE = 5000                                // ms for an answer
const LATER = 400                                    // ms that an engine stays dead
const SETTLED = 2000, MOST = 60_000                  // ms without a change until no more is expected; and at most
const TIME = 1_700_000_000_000

/** Between the request and its answer, in their order, with up to how many passings the process lives. */
const points = { 'key.reserved': 40, 'log.written': 40, 'log.synced': 40, 'key.taking': 40, 'key.taken': 40, 'reply.ready': 40, 'reply.sent': 40 } as const

interface Counts { acked: number, again: number, pending: number, away: number, unanswered: number, doubled: number }

/** Posts numbered readings to either engine, each under a key of its own, and what is not answered 202 to the other one; what is, once more to the other one. */
class Senders {
  readonly counts: Counts = { acked: 0, again: 0, pending: 0, away: 0, unanswered: 0, doubled: 0 }
  readonly acked = new Set<number>()
  readonly odd = new Set<string>()
  private readonly ports: readonly number[]
  private readonly key: string
  private next = 0
  private stopped = false
  private given = false              // up
  private readonly all: Promise<unknown>

  constructor (ports: readonly number[], key: string) {
    this.ports = ports
    this.key = key
    this.all = Promise.all(Array.from({ length: SENDERS }, () => this.run()))
  }

  get sent (): number { return this.next }

  stop (): void { this.stopped = this.given = true }

  /** Resolves when all that was begun is acknowledged. */
  async finish (): Promise<void> {
    this.stopped = true
    await this.all
  }

  private async run (): Promise<void> {
    while (!this.stopped) {
      const n = this.next++
      let at = n % 2
      for (; await this.post(at, n) === undefined; at = 1 - at) {
        if (this.given) return
        await sleep(AGAIN)
      }
      this.acked.add(n)
      this.counts.acked++
      const repeated = await this.post(1 - at, n)
      if (repeated === true) this.counts.again++
      if (repeated === false) this.counts.doubled++
      await sleep(EVERY)
    }
  }

  /** Whether it was known already; undefined when it was not taken, or nobody knows. */
  private async post (at: number, n: number): Promise<boolean | undefined> {
    try {
      const reply = await fetch(`http://127.0.0.1:${this.ports[at]}/api/v1/ingest`, {
        method: 'POST', body: JSON.stringify({ device: `d${n % 16}`, m: n, ts: TIME + n }), signal: AbortSignal.timeout(PATIENCE),
        headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json', 'idempotency-key': `reading-${n}` }
      })
      const body = await reply.json() as { replayed?: boolean, detail?: string }
      if (reply.status === 202) return body.replayed
      if (reply.status === 409 && Number(reply.headers.get('retry-after')) > 0) this.counts.pending++
      else if (reply.status === 503) this.counts.away++
      else this.odd.add(`${reply.status}: ${body.detail}`)
    } catch { this.counts.unanswered++ }
    return undefined
  }
}

async function shared ({ rounds, progress, seed, say, signal, closing, server }: Bench): Promise<Report> {
  if (withoutRedis !== false) throw new Skipped(withoutRedis)
  const redis = await redisServer({ durable: true }), folder = temporary('shared-keys'), database = await freshDatabase((await server()).url)
  closing.push(() => redis.stop(), () => { rmSync(folder, { recursive: true, force: true }) }, () => database.stop())
  const { prepare, to, connected } = await openOrigin('http', 4), { key } = to as { key: string }
  await prepare!(database.url)
  const ports = [await fixedPort(), await fixedPort()], lives: Life[] = []
  closing.push(async () => { for (const life of lives) await life.destroy() })
  const start = (who: number, how: Partial<Start> = {}): Life => {
    const home = join(folder, NAMES[who]), file = join(home, 'pipeline.json')
    mkdirSync(home, { recursive: true })
    writeFileSync(file, JSON.stringify({ name: NAMES[who], from: { http: {} }, pipe: [{ dedupe: { within: '10m' } }], to: [{ postgres: { table: `rows_${NAMES[who]}` } }] }))
    return lives[who] = new Life({ file, folder: join(home, 'state'), database: database.url, http: ports[who], connected, args: ['--redis', redis.url], node: preload('failpoint'), ...how })
  }
  for (const who of [0, 1]) await start(who).ready()
  const senders = new Senders(ports, key), reached = new Set<string>()
  closing.push(() => { senders.stop() })
  await until('some are acknowledged', () => senders.acked.size > 20)
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    const who = k % 2, [point, most] = Object.entries(points)[k % Object.keys(points).length]
    await lives[who].destroy()
    await over(start(who, { env: { MILLRACE_FAILPOINT: `${point}:${1 + Math.floor(most * uniform(seed, k))}` } }), `the point ${point} is reached`, signal)
    if (lives[who].child.signalCode !== 'SIGKILL') throw lives[who].died()
    reached.add(point)
    if (k % 3 === 2) {
      await redis.halt()
      await sleep(LATER / 2, undefined, { signal })
      await redis.start()
    }
    await sleep(LATER, undefined, { signal })
    await start(who).ready()
  }
  await senders.finish()
  say(`sent ${senders.sent}, ${senders.acked.size} acknowledged`)
  const counts = async () => (await query(database.url, "SELECT pipeline, received::int AS received FROM counts WHERE branch = '' ORDER BY 1")).map(r => r.received as number)
  let seen = '', since = performance.now()
  await until('no more is committed', async () => {
    signal.throwIfAborted()
    const now = JSON.stringify(await counts())
    if (now !== seen) { seen = now; since = performance.now() }
    return performance.now() - since > SETTLED
  }, MOST, 100)
  const times = new Map<number, number>()
  for (const name of NAMES) for (const { n, value } of await query(database.url, `SELECT (extract(epoch FROM time) * 1000)::float8 - ${TIME} AS n, value FROM rows_${name}`)) times.set(value === n ? n : -1, (times.get(n) ?? 0) + 1)
  const received = (await counts()).reduce((a, b) => a + b, 0), lost = [...senders.acked].filter(n => !times.has(n)).length, phantom = [...times.keys()].filter(n => n < 0 || n >= senders.sent).length
  const rows = [...times.values()].reduce((a, b) => a + b, 0), doubled = Math.max(rows - times.size, received - times.size, senders.counts.doubled)
  const { pending, again } = senders.counts
  return {
    figures: { kills: rounds, points: reached.size, ...senders.counts, rows, received, lost, doubled, phantom },
    wrong: [
      ...senders.odd, ...unless(lost === 0, `${lost} lost`), ...unless(doubled === 0, `${doubled} doubled`), ...unless(phantom === 0, `${phantom} phantom`),
      ...unless(rounds < Object.keys(points).length || pending > 0, 'no request met a key that was reserved: the kills show nothing'), ...unless(again > 0, 'no request was known at the other engine')
    ]
  }
}

const some = Object.keys(points).length
export const sharedKeys: readonly Row[] = [{
  id: 'K4redis', name: 'kill -9 of one of two engines that share keys by Redis', fault: `failpoints: ${Object.keys(points).join(', ')}; Redis killed too, every third time`,
  expected: 'nothing lost that was answered 202, nothing twice that was sent again to the other engine; 409 until the dead one has said what it has',
  tiers: { commit: some, nightly: 10 * some, release: 25 * some },
  run: shared
}]
