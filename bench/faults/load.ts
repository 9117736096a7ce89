/** More than the engine or its database can take, for a while; and faults of all kinds for a long time. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Life } from '../kill/engine.ts'
import { uniform } from '../kill/readings.ts'
import { Stage } from '../kill/stage.ts'
import { until } from '../services.ts'
import { figuresOf } from './kills.ts'
import { exact, once, percentiles, unless, type Bench, type Report, type Row } from './row.ts'

const WAITING = 'millrace_log_waiting_records'
/** MiB; of a life that is over 0. */
const rssOf = ({ over, child: { pid } }: Life): number => over ? 0 : Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
const filesOf = ({ child: { pid } }: Life): number => readdirSync(`/proc/${pid}/fd`).length

/** Looks at something every 100 ms. */
class Peak {
  private highest = -Infinity
  private readonly timer: NodeJS.Timeout

  constructor (look: () => number, closing: (() => unknown)[]) {
    this.timer = setInterval(() => { this.highest = Math.max(this.highest, look()) }, 100)
    closing.push(() => clearInterval(this.timer))
  }

  /** The highest value since the last call. */
  take (): number {
    const { highest } = this
    this.highest = -Infinity
    return highest
  }
}

const STEADY = 120_000               // ms of normal work: within the first minute its heap still grows
const RATE = 5000                    // messages/s
const GROWTH = 1.3                   // of the memory that it needs while all is well
const CATCH_UP = 2                   // times the rate at which readings come in

/** The database is away for so many seconds, while readings go on coming in; then it is back, and they still do. */
async function outage ({ rounds, seed, stretch, say, signal, closing, server }: Bench): Promise<Report> {
  const database = await server()
  const stage = await Stage.open({ source: 'mqtt', seed, series: 1000, rate: RATE, server: database }, say, signal, closing)
  const life = await stage.begin(), rss = new Peak(() => rssOf(life), closing)
  await sleep(STEADY, undefined, { signal })
  const steady = rss.take(), before = await stage.publisher.snapshot()
  await database.crash()
  await sleep(rounds * 1000, undefined, { signal })
  const after = await stage.publisher.snapshot(), waiting = life.metric(WAITING)
  const away = rss.take()
  await database.start()
  const began = performance.now()
  await until('all that waited is committed', () => { signal.throwIfAborted(); return life.metric(WAITING) < RATE / 2 }, 2 * stretch * rounds * 1000 + 60_000)
  const seconds = (performance.now() - began) / 1000, came = (await stage.publisher.snapshot()).acked - after.acked
  const back = rss.take(), peak = Math.max(away, back), ingested = (after.acked - before.acked) / rounds, times = (waiting + came) / came
  const outcome = await stage.finish()
  return {
    figures: { away_s: rounds, acked_while_away_s: Math.round(ingested), waiting, catch_up_s: Math.round(seconds), catch_up_times_ingest: Math.round(times * 100) / 100, rss_away_mib: Math.round(away), rss_catching_up_mib: Math.round(back), rss_steady_mib: Math.round(steady), ...figuresOf(outcome) },
    wrong: [
      ...exact(outcome), ...once(outcome), ...unless(ingested >= 0.95 * RATE, `only ${Math.round(ingested)} messages/s were acknowledged while the database was away`),
      ...unless(peak <= GROWTH * steady, `its memory grew from ${Math.round(steady)} to ${Math.round(peak)} MiB`), ...unless(times >= CATCH_UP, `it caught up at only ${times.toFixed(2)} times the rate of ingest`)
    ]
  }
}

const BURST = 10, BUDGET = '64MiB', CALM = 10_000      // ms before and after

/** Devices send ten times as much as usual for so many seconds, which is more than the engine can take: they have to wait, and nothing else happens. */
async function burst ({ rounds, seed, say, signal, closing, server }: Bench): Promise<Report> {
  const stage = await Stage.open({ source: 'broker', seed, series: 1000, rate: 2000 * BURST, server: await server(), start: { args: ['--log-budget', BUDGET] } }, say, signal, closing)
  const life = stage.start()
  await life.ready()
  stage.publish(1 / BURST)
  await stage.progress()
  await sleep(CALM, undefined, { signal })
  const rss = new Peak(() => rssOf(life), closing), log = new Peak(() => life.metric('millrace_log_bytes'), closing), buffer = new Peak(() => life.metric('millrace_buffer_bytes'), closing)
  const before = await stage.publisher.snapshot()
  stage.publisher.pace(1)
  await sleep(rounds * 1000, undefined, { signal })
  const after = await stage.publisher.snapshot(), asked = rounds * 2000 * BURST, sent = after.attempted - before.attempted
  stage.publisher.pace(1 / BURST)
  await sleep(CALM, undefined, { signal })
  const bounds = { log: life.metric('millrace_log_capacity_bytes'), buffer: life.metric('millrace_buffer_capacity_bytes') }, most = { log: log.take(), buffer: buffer.take() }
  const outcome = await stage.finish()
  return {
    figures: { burst_s: rounds, asked, sent, log_bytes: most.log, log_capacity_bytes: bounds.log, buffer_bytes: most.buffer, buffer_capacity_bytes: bounds.buffer, rss_mib: Math.round(rss.take()), ...figuresOf(outcome) },
    wrong: [
      ...exact(outcome), ...once(outcome), ...unless(sent < asked, 'the engine could take all of it: the burst shows nothing'),
      ...unless(most.log <= bounds.log, `the log had ${most.log} bytes`), ...unless(most.buffer <= 2 * bounds.buffer, `${most.buffer} bytes were under way`)
    ]
  }
}

const STOPS = 10_000                 // ms
const DRAINED = 143                  // 128 + SIGTERM

/** SIGTERM under load, and a new start. */
async function drain ({ rounds, seed, stretch, say, signal, closing, server }: Bench): Promise<Report> {
  const stage = await Stage.open({ source: 'mqtt', seed, series: 64, rate: 2000, server: await server() }, say, signal, closing)
  let life = await stage.begin(), drained = 0
  const took: number[] = []
  for (let k = 0; k < rounds; k++) {
    await stage.progress()
    await sleep(500 * uniform(seed, k), undefined, { signal })
    const asked = performance.now()
    life.child.kill('SIGTERM')
    await life.ended
    took.push(performance.now() - asked)
    if (life.child.exitCode === DRAINED) drained++
    life = await stage.again()
  }
  await stage.progress()
  const outcome = await stage.finish(), slowest = Math.round(Math.max(...took))
  return {
    figures: { stops: rounds, drained, stop_ms: percentiles(took), ...figuresOf(outcome) },
    wrong: [
      ...exact(outcome), ...once(outcome), ...unless(drained === rounds, `${rounds - drained} stops did not end with ${DRAINED}`), ...unless(slowest <= STOPS * stretch, `a stop took ${slowest} ms`),
      ...unless(outcome.suppressed === 0, `${outcome.suppressed} messages came again that had been acknowledged or were in the log`)
    ]
  }
}

const MINUTE = 60_000
const MORE = 1.1                     // of what a life has had at the same point of its first minutes

/**
 * Minutes of mixed faults: connections to the database are ended, it crashes, the broker is stopped for a while, and for two
 * thirds of the time the engine is killed at the end of each minute. In the last third it lives on, and must not grow.
 */
async function mixed ({ rounds, seed, say, signal, closing, server }: Bench): Promise<Report> {
  const database = await server(), kills = Math.floor(rounds * 2 / 3)
  const stage = await Stage.open({ source: 'mqtt', seed, series: 200, rate: 1000, server: database }, say, signal, closing), name = new URL(stage.database).pathname.slice(1)
  let life = await stage.begin(), killed = 0, crashes = 0, ended = 0, pauses = 0
  const seen: { readonly rss: number, readonly files: number, readonly resources: number }[] = []
  const { pid } = stage.origin.broker!
  closing.push(() => { process.kill(pid!, 'SIGCONT') })
  for (let minute = 0; minute < rounds; minute++) {
    const began = performance.now(), at = (second: number) => sleep(Math.max(0, began + second * 1000 - performance.now()), undefined, { signal })
    await at(5 + 5 * uniform(seed, minute, 1))
    ended += await database.terminate(name)
    await at(15 + 5 * uniform(seed, minute, 2))
    await database.crash()
    crashes++
    await sleep(3000 * uniform(seed, minute, 3), undefined, { signal })
    await database.start()
    await at(30 + 5 * uniform(seed, minute, 4))
    process.kill(pid!, 'SIGSTOP')
    pauses++
    await sleep(3000 * uniform(seed, minute, 5), undefined, { signal }).finally(() => process.kill(pid!, 'SIGCONT'))
    await at(55)
    await stage.progress()
    seen.push({ rss: rssOf(life), files: filesOf(life), resources: life.metric('nodejs_active_resources_total') })
    say(`minute ${minute + 1}: ${Math.round(seen.at(-1)!.rss)} MiB, ${seen.at(-1)!.files} files, ${seen.at(-1)!.resources} resources`)
    await at(MINUTE / 1000)
    if (minute >= kills) continue
    await life.destroy()
    killed++
    life = await stage.again()
  }
  const outcome = await stage.finish()
  const calm = seen.slice(kills), half = Math.ceil(calm.length / 2), of = (what: keyof typeof seen[number]) => [calm.slice(0, half), calm.slice(-half)].map(part => part.reduce((n, s) => n + s[what], 0) / part.length)
  const grew = (['rss', 'files', 'resources'] as const).filter(what => { const [first, last] = of(what); return last > first * MORE })
  const [rss, later] = of('rss'), hours = (calm.length - half) / 60
  return {
    figures: { minutes: rounds, kills: killed, crashes, terminated: ended, pauses, rss_mib: Math.round(later), rss_mib_per_hour: hours > 0 ? Math.round((later - rss) / hours * 10) / 10 : 0, files: seen.at(-1)!.files, resources: seen.at(-1)!.resources, ...figuresOf(outcome) },
    wrong: [...exact(outcome), ...once(outcome), ...grew.map(what => `${what} grew from ${of(what)[0].toFixed(1)} to ${of(what)[1].toFixed(1)}`)]
  }
}

export const load: readonly Row[] = [
  {
    id: 'P1', name: 'the database is away', fault: `PostgreSQL stopped for as many seconds as there are rounds, at ${RATE} messages/s`, expected: `acknowledged all the same; memory at most ${GROWTH} times; caught up at ${CATCH_UP} times the rate at which readings come in`,
    tiers: { nightly: 60, release: 600 },
    run: outage
  },
  {
    id: 'P2', name: 'a burst of ten times the usual rate', fault: 'for as many seconds as there are rounds, more than the engine takes', expected: 'devices wait; log and buffers stay within their bounds; nothing lost',
    tiers: { nightly: 60, release: 60 },
    run: burst
  },
  {
    id: 'P6', name: 'mixed faults for a long time', fault: 'each minute: connections ended, database crashed, broker stopped for a while, engine killed', expected: 'nothing lost, nothing twice; memory, files, timers stay what they are',
    tiers: { nightly: 30, release: 1440 },
    run: mixed
  },
  {
    id: 'P7', name: 'SIGTERM under load', fault: 'a stop and a start, again and again', expected: 'out within 10 s with all committed; nothing comes again',
    tiers: { commit: 2, nightly: 20, release: 100 },
    run: drain
  }
]
